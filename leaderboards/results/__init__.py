"""What a stored run holds: its schema, its files, and which runs may stand on one board."""

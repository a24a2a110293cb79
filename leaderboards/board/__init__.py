"""What a board holds, and how it is built from stored results."""

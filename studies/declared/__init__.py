"""Studies that are declared before they are run: a YAML file each, and what runs and reports it."""

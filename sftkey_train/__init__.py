"""From a base model and a variant to a checkpoint."""

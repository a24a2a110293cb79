"""What the speed measurements share. `steps` and `shapes` run in the rival's environment too and need torch
and transformers alone."""

"""What the speed measurements share. `steps` and `qwen` run in the rival's environment too and need torch and
transformers alone."""

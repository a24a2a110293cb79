"""lm-eval's own command with its own vLLM model, as a user of it would run it."""

"""The command, and what ties training, evaluation and leaderboards together."""

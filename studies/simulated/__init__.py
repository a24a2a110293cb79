"""Worlds whose truth is known, to see how often the leaderboard's intervals and tests are right."""

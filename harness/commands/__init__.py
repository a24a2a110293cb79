"""The `harness` command. Heavy imports are inside the functions that need them, so that help is instant."""

from harness.commands.main import app, main

__all__ = ["app", "main"]

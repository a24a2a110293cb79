"""Where the commands print."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def console(*, stderr: bool = False) -> Console:
    """Where to print; silent in all processes of a launch but the first."""
    from rich.console import Console

    from sftkey_train import distributed

    return Console(stderr=stderr, quiet=not distributed.is_first())

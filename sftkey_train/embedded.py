"""The embedded base models: tiny Llamas that come with the package, so that nothing is downloaded or built.

They were pre-trained on text of the generated world, half of it in tags, by `python -m studies bases`, which
makes them again; each from a seed of its own, which decides its first weights and its text.
"""

from __future__ import annotations

from pathlib import Path

EMBEDDED = ("embedded", "embedded-1")
BASES = Path(__file__).parent / "bases"


def embedded_folder(name: str = EMBEDDED[0]) -> Path | None:
    """Folder of an embedded base model; None where no one has that name."""
    return BASES / name if name in EMBEDDED else None

"""What a checkpoint's model card says at its top."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def card_licence(folder: Path) -> str | None:
    """The licence that the card names; None where there is no card, or none in it."""
    front = _front_matter(folder / "README.md")
    licence = front.get("license")
    if licence == "other":
        licence = front.get("license_name") or licence
    return ", ".join(map(str, licence)) if isinstance(licence, list) else str(licence) if licence else None


def _front_matter(path: Path) -> dict[str, Any]:
    """The YAML between the first two lines of dashes; empty where there is none that can be read."""
    import yaml

    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return {}
    if not text.startswith("---\n"):
        return {}
    try:
        data = yaml.safe_load(text[4:].partition("\n---")[0])
    except yaml.YAMLError:
        return {}
    return data if isinstance(data, dict) else {}

"""Tag formats of one's own, kept in the run's folder, so that its outputs can be judged again."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from tasks.tags import TAG_FORMATS, TagFormat, get_tag_format

FOLDER = "tag-formats"


def keep_formats(run_dir: Path, tags: Iterable[str]) -> None:
    """Copies the files of those that have no name of their own."""
    for path in {Path(one) for one in tags if one not in TAG_FORMATS}:
        (run_dir / FOLDER).mkdir(exist_ok=True)
        shutil.copyfile(path, run_dir / FOLDER / f"{get_tag_format(str(path)).digest()[:16]}.yaml")


def format_of(run_dir: Path, name: str) -> TagFormat:
    """The tag format that a stored entry names.

    Raises:
        InputError: It is neither a named one nor kept in the run's folder.
    """
    kept = [get_tag_format(str(path)) for path in sorted((run_dir / FOLDER).glob("*.yaml"))]
    return next((one for one in kept if one.name == name), None) or get_tag_format(name)

"""A run can be judged again although the file of its tag format is gone."""

from pathlib import Path

import pytest

from tasks.errors import InputError
from tasks.tags import KEPT_FORMATS, format_of, get_tag_format, keep_formats


def test_a_format_of_ones_own_is_kept_and_found_by_its_name(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "name: scratchpad\nthink_open: <s>\nthink_close: </s>\nanswer_open: <r>\nanswer_close: </r>\n"
    )
    digest = get_tag_format(str(file)).digest()
    keep_formats(tmp_path, ["none", str(file), "thinking-answer", str(file)])
    file.unlink()
    assert format_of(tmp_path, "scratchpad").digest() == digest
    assert format_of(tmp_path, "thinking-answer") == get_tag_format("thinking-answer")


def test_a_run_with_named_formats_keeps_no_files(tmp_path: Path) -> None:
    keep_formats(tmp_path, ["none", "think"])
    assert not (tmp_path / KEPT_FORMATS).exists()


def test_a_format_that_nobody_kept_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown tag format 'scratchpad'"):
        format_of(tmp_path, "scratchpad")

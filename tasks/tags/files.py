r"""Tag formats by their names: the named ones, one's own, and those that a run has kept.

A format of one's own is one YAML file, whose path is given wherever a format's name may be::

    name: scratchpad            # else the file's name
    think_open: <scratchpad>
    think_close: </scratchpad>
    answer_open: <result>
    answer_close: </result>
    # answer_style: tags | text | boxed | line; else tags where answer_open is given, and text where not
    # whitespace: loose | strict
    # think_open_in_prompt: true where the chat template's prompt ends with think_open
    # description, source, instruction: texts
"""

import shutil
from collections.abc import Container, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, get_args

from tasks.errors import InputError, check_keys, did_you_mean
from tasks.files import read_yaml
from tasks.records import json_type
from tasks.tags.formats import TAG_FORMATS, AnswerStyle, TagFormat, Whitespace, make_format

KEPT_FORMATS = "tag-formats"
"""Folder of a run with the files of its own tag formats, so that its outputs can be judged again."""
_FILE_ENDINGS = (".yaml", ".yml")

_TEXTS = ("name", "description", "source", "instruction")
_MARKS = ("think_open", "think_close", "answer_open", "answer_close")
_CHOSEN = {"answer_style": get_args(AnswerStyle), "whitespace": get_args(Whitespace)}
_KEYS = (*_TEXTS, *_MARKS, *_CHOSEN, "think_open_in_prompt")


def get_tag_format(name: str) -> TagFormat:
    """Find a tag format by its name, or read one from a file.

    Args:
        name: a key of `TAG_FORMATS`, or the path of a YAML file, which ends in `.yaml`.

    Returns:
        The format.

    Raises:
        InputError: there is no such format, which suggests the nearest name; or a fault in the file.
    """
    if name.endswith(_FILE_ENDINGS):
        return _read(name, *_state(name))
    if name not in TAG_FORMATS:
        raise InputError(
            f"unknown tag format '{name}'; {did_you_mean(name, TAG_FORMATS)} (or a file that ends in .yaml)"
        )
    return TAG_FORMATS[name]


def keep_formats(run_dir: Path, tags: Iterable[str]) -> None:
    """Copy the files of those formats that have no name of their own into a run's folder."""
    for path in {Path(one) for one in tags if one not in TAG_FORMATS}:
        (run_dir / KEPT_FORMATS).mkdir(exist_ok=True)
        shutil.copyfile(path, run_dir / KEPT_FORMATS / f"{get_tag_format(str(path)).digest()[:16]}.yaml")


def format_of(run_dir: Path, name: str) -> TagFormat:
    """Find the tag format that a stored entry names.

    Args:
        run_dir: the folder of its run, where formats of one's own are kept.
        name: as the entry has it.

    Returns:
        The format: the one kept in the folder, else a known one.

    Raises:
        InputError: it is neither.
    """
    kept = [get_tag_format(str(path)) for path in sorted((run_dir / KEPT_FORMATS).glob("*.yaml"))]
    return next((one for one in kept if one.name == name), None) or get_tag_format(name)


def _state(path: str) -> tuple[int, int]:
    try:
        state = Path(path).stat()
    except OSError as error:
        raise InputError(f"{path}: tag format cannot be read ({error.strerror}); check the path") from error
    return state.st_mtime_ns, state.st_size


@lru_cache(maxsize=64)
def _read(path: str, mtime_ns: int, size: int) -> TagFormat:
    """Read a file once for each state of it: the scorer asks for the format of every sample."""
    return read_tag_format(Path(path), TAG_FORMATS)


def read_tag_format(path: Path, taken: Container[str]) -> TagFormat:
    """Read and check a tag format.

    Args:
        path: the YAML file; the module says which keys it may have.
        taken: names that it must not have.

    Returns:
        The format.

    Raises:
        InputError: one line that names the file, the key and the remedy.
    """
    given = _load(path)
    check_keys(given, _KEYS, str(path))
    for key, value in given.items():
        _check_value(key, value, path)
    marks = {key: given.get(key, "") for key in _MARKS}
    style: AnswerStyle = given.get("answer_style") or ("tags" if marks["answer_open"] else "text")
    if style == "boxed" and not marks["answer_open"]:
        marks |= {"answer_open": "\\boxed{", "answer_close": "}"}
    fault = _fault_of_marks(marks, style) or _fault_of_options(given, marks, style)
    name = given.get("name") or path.stem
    if name in taken:
        fault = f"name: '{name}' is a format of the harness; choose another"
    if fault:
        raise InputError(f"{path}: {fault}")
    opening, closing, answer_opening, answer_closing = marks.values()
    return make_format(
        name,
        (opening, closing, answer_opening, answer_closing),
        style,
        source=given.get("source") or "a file of one's own",
        description=given.get("description", ""),
        instruction=given.get("instruction", ""),
        whitespace=given.get("whitespace", "loose"),
        think_open_in_prompt=given.get("think_open_in_prompt", False),
    )


def _load(path: Path) -> dict[str, Any]:
    data = read_yaml(path, "tag format cannot be read ({error}); check the path")
    if not isinstance(data, dict) or not data:
        raise InputError(f"{path}: expected the keys of a tag format, such as think_open: <think>")
    return data


def _check_value(key: Any, value: Any, path: Path) -> None:
    if key == "think_open_in_prompt":
        if not isinstance(value, bool):
            raise InputError(f"{path}: {key} is {json_type(value)}; write true or false")
    elif not isinstance(value, str):
        raise InputError(f"{path}: {key} is {json_type(value)}; write a text, in quotes")
    elif key in _CHOSEN and value not in _CHOSEN[key]:
        raise InputError(f"{path}: {key} is '{value}'; {did_you_mean(value, _CHOSEN[key])}")


def _fault_of_marks(marks: dict[str, str], style: AnswerStyle) -> str | None:
    for key, mark in marks.items():
        if mark != mark.strip() and not (style == "line" and key == "answer_open" and mark.strip()):
            return f"{key}: whitespace at its ends; leave it out (whitespace: strict asks for newlines)"
        if "\n" in mark:
            return f"{key}: a newline; write one line"
    if bool(marks["think_open"]) != bool(marks["think_close"]):
        return "think_open and think_close belong together; give both or neither"
    given = [mark.lower() for mark in marks.values() if mark]
    if len(set(given)) < len(given):
        return "two marks are the same; let each differ from the others in more than case"
    return _fault_of_answer(marks, style)


def _fault_of_answer(marks: dict[str, str], style: AnswerStyle) -> str | None:
    opening, closing = marks["answer_open"], marks["answer_close"]
    if style == "tags" and not (opening and closing):
        return "answer_open and answer_close are needed for answer_style: tags; add both"
    if style == "text" and (opening or closing):
        return "answer_style: text has no marks around the answer; leave answer_open and answer_close out"
    if style == "text" and not marks["think_open"]:
        return "no marks at all; give think_open and think_close, or answer_open and answer_close"
    if style == "boxed" and not (opening.endswith("{") and len(opening) > 1 and closing == "}"):
        return "answer_style: boxed needs an answer_open that ends in { and answer_close: '}'"
    if style == "line" and not opening:
        return "answer_open: needed for answer_style: line; add how the line begins"
    return None


def _fault_of_options(given: dict[str, Any], marks: dict[str, str], style: AnswerStyle) -> str | None:
    if given.get("think_open_in_prompt") and not marks["think_open"]:
        return "think_open_in_prompt: needs think_open; add it"
    if given.get("whitespace") == "strict" and style != "tags" and not marks["think_open"]:
        return "whitespace: strict is about tags, and there are none; leave it out"
    return None

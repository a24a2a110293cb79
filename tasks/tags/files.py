r"""A tag format of one's own: one YAML file, whose path is given wherever a format's name may be.

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

from collections.abc import Container
from pathlib import Path
from typing import Any, get_args

from tasks.errors import InputError, did_you_mean
from tasks.records import json_type
from tasks.tags.formats import AnswerStyle, TagFormat, Whitespace

_TEXTS = ("name", "description", "source", "instruction")
_MARKS = ("think_open", "think_close", "answer_open", "answer_close")
_CHOSEN = {"answer_style": get_args(AnswerStyle), "whitespace": get_args(Whitespace)}
_KEYS = (*_TEXTS, *_MARKS, *_CHOSEN, "think_open_in_prompt")


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
    return TagFormat(
        name=name,
        description=given.get("description") or _shown(marks, style),
        source=given.get("source") or "a file of one's own",
        instruction=given.get("instruction") or _instruction(marks, style),
        answer_style=style,
        whitespace=given.get("whitespace", "loose"),
        think_open_in_prompt=given.get("think_open_in_prompt", False),
        **marks,
    )


def _load(path: Path) -> dict[str, Any]:
    import yaml

    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: tag format cannot be read ({error}); check the path") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not YAML ({' '.join(str(error).split())})") from error
    if not isinstance(data, dict) or not data:
        raise InputError(f"{path}: expected the keys of a tag format, such as think_open: <think>")
    return data


def _check_value(key: Any, value: Any, path: Path) -> None:
    if key not in _KEYS:
        raise InputError(f"{path}: unknown key '{key}'; {did_you_mean(str(key), _KEYS)}")
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


def _shown(marks: dict[str, str], style: AnswerStyle) -> str:
    thinking = f"{marks['think_open']}…{marks['think_close']}" if marks["think_open"] else "reasoning, then "
    answer = "plain text" if style == "text" else f"{marks['answer_open']}…{marks['answer_close']}"
    return thinking + answer


def _instruction(marks: dict[str, str], style: AnswerStyle) -> str:
    opening, closing = marks["think_open"], marks["think_close"]
    reason = f"Reason step by step inside {opening} and {closing}" if opening else "Reason step by step"
    end = {
        "tags": f"give only the final answer inside {marks['answer_open']} and {marks['answer_close']}.",
        "text": "give only the final answer.",
        "boxed": f"put only the final answer inside {marks['answer_open']}{marks['answer_close']}.",
        "line": f"end with one line of the form: {marks['answer_open']}X{marks['answer_close']}",
    }
    return f"{reason}, then {end[style]}"

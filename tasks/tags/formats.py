r"""What a tag format is, the named ones and those of one's own, and what can be wrong with an output.

A format is its marks and the style of its answer: between `tags`, the plain `text` after the reasoning, in a
`boxed` expression, or on a last `line` of its own. Reasoning stands between tags of its own, or is whatever
comes before the answer. A format of one's own is one YAML file, whose path is given wherever a format's name
may be::

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

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import permutations
from pathlib import Path
from typing import Any, Literal, get_args

from tasks.errors import InputError, check_keys, did_you_mean
from tasks.files import write_whole
from tasks.names import check_name
from tasks.reading import read_yaml
from tasks.records import json_type

Segment = Literal["thinking_tag", "thinking", "answer_tag", "answer"]
AnswerStyle = Literal["tags", "text", "boxed", "line"]
Whitespace = Literal["loose", "strict"]
Defect = Literal[
    "no_tags", "wrong_order", "unclosed_thinking", "unclosed_answer", "text_outside", "repeated",
    "whitespace", "empty_answer", "truncated",
]  # fmt: skip
DEFECTS: tuple[Defect, ...] = get_args(Defect)
_VALIDITY: dict[AnswerStyle, str] = {
    "tags": "valid: every tag once and in order, nothing outside the spans, an answer that is not blank",
    "text": "valid: the reasoning first, its tags once each, then a text that is not blank",
    "boxed": "valid: a closed box that is not blank on the last line with words, none with another content",
    "line": "valid: one line of this form, the last, with an answer that is not blank",
}
KEPT_FORMATS = "tag-formats"
_LONGEST_MARK = 200
_KEPT_NAME = re.compile("[0-9a-f]{16}")  # the beginning of its digest
"""Folder of a run with the files of its own tag formats, so that its outputs can be judged again."""
_FILE_ENDINGS = (".yaml", ".yml")
_UNREADABLE = "tag format cannot be read ({error}); check the path"
_MARKS = ("think_open", "think_close", "answer_open", "answer_close")
_CHOSEN = {"answer_style": get_args(AnswerStyle), "whitespace": get_args(Whitespace)}
_OPTIONS = ("description", "source", "instruction", "whitespace", "think_open_in_prompt")
_KEYS = ("name", *_MARKS, "answer_style", *_OPTIONS)


@dataclass(frozen=True, slots=True)
class TagFormat:
    r"""The marks around the reasoning and the answer.

    Attributes:
        name: how users name it.
        description: one line for `harness list tags`.
        source: where the format comes from.
        think_open: opens the reasoning; empty, like `think_close`, where that is what precedes the answer.
        think_close: closes the reasoning.
        answer_open: opens the answer: a tag, ``\boxed{`` or the start of a line; empty for style `text`.
        answer_close: closes the answer.
        instruction: one sentence that tells an instruct model to answer in this format.
        answer_style: how the answer is marked.
        whitespace: what may stand around tags: `loose` any whitespace; `strict` exactly a line for each tag,
            ``<think>\n…\n</think>\n<answer>\n…\n</answer>``, with at most one newline at the very end.
        think_open_in_prompt: the prompt ends with `think_open`, and a response starts inside the reasoning.
        tagged: whether this is a format at all; False for `none` alone, whose form is plain words.
    """

    name: str
    description: str
    source: str
    think_open: str
    think_close: str
    answer_open: str
    answer_close: str
    instruction: str
    answer_style: AnswerStyle = "tags"
    whitespace: Whitespace = "loose"
    think_open_in_prompt: bool = False
    tagged: bool = True

    @property
    def marks(self) -> tuple[str, str, str, str]:
        """What opens and closes the reasoning, and what opens and closes the answer."""
        return self.think_open, self.think_close, self.answer_open, self.answer_close

    @property
    def span_tags(self) -> tuple[str, ...]:
        """The tags that open and close spans, in the order of a valid response; up to four."""
        answer = (self.answer_open, self.answer_close) if self.answer_style == "tags" else ()
        return tuple(filter(None, (self.think_open, self.think_close, *answer)))

    @property
    def tag_strings(self) -> tuple[str, ...]:
        r"""The strings that mark the format and may be made tokens: span tags, ``\boxed{`` or ``####``."""
        if not self.tagged or self.answer_style in ("tags", "text"):
            return self.span_tags
        return (*self.span_tags, self.answer_open.strip())

    @property
    def validity(self) -> str:
        """What format validity means here, in one line."""
        strict = "; whitespace exactly so: each tag a line" if self.whitespace == "strict" else ""
        return _VALIDITY[self.answer_style] + strict

    def digest(self) -> str:
        """Twelve hex digits of all that decides how a response is written, asked for and judged."""
        content = {k: v for k, v in asdict(self).items() if k not in ("name", "description", "source")}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def _format(
    name: str, marks: tuple[str, str, str, str], answer_style: AnswerStyle = "tags", **options: Any
) -> TagFormat:
    """A tag format whose description and instruction follow from its marks where they are not given."""
    think_open, think_close, answer_open, answer_close = marks
    shown = f"{think_open}…{think_close}" if think_open else "reasoning, then "
    shown += "plain text" if answer_style == "text" else f"{answer_open}…{answer_close}"
    reason = "Reason step by step" + (f" inside {think_open} and {think_close}" if think_open else "")
    end = {
        "tags": f"give only the final answer inside {answer_open} and {answer_close}.",
        "text": "give only the final answer.",
        "boxed": f"put only the final answer inside {answer_open}{answer_close}.",
        "line": f"end with one line of the form: {answer_open}X{answer_close}",
    }
    fields: dict[str, Any] = {"description": shown, "instruction": f"{reason}, then {end[answer_style]}"}
    fields |= dict(zip(_MARKS, marks, strict=True)) | options
    return TagFormat(name=name, answer_style=answer_style, **fields)


_R1 = ("<think>", "</think>", "<answer>", "</answer>")
THINK_ANSWER = _format("think-answer", _R1, source="DeepSeek-R1, arXiv 2501.12948, Table 1")
_NAMED = (
    _format(
        "thinking-answer", ("<Thinking>", "</Thinking>", "<Answer>", "</Answer>"), source="arXiv 2512.21017"
    ),
    THINK_ANSWER,
    _format(
        "think-answer-strict",
        _R1,
        source="format_reward and tag_count_reward of huggingface/open-r1",
        description="<think>…</think><answer>…</answer>, each tag on a line of its own",
        instruction=(
            "Reason step by step between a line <think> and a line </think>, then give only the final answer "
            "between a line <answer> and a line </answer>."
        ),
        whitespace="strict",
    ),
    _format(
        "think",
        ("<think>", "</think>", "", ""),
        "text",
        source="Qwen3, arXiv 2505.09388; distilled DeepSeek-R1 models",
        description="<think>…</think>, then plain text that gives the answer",
    ),
    _format(
        "boxed",
        ("", "", "\\boxed{", "}"),
        "boxed",
        source="MATH, arXiv 2103.03874",
        instruction=r"Reason step by step, and put only the final answer inside \boxed{}.",
    ),
    _format(
        "gsm8k",
        ("", "", "#### ", ""),
        "line",
        source="GSM8K, arXiv 2110.14168",
        description="reasoning, then a last line '#### x'",
    ),
    _format(
        "none",
        ("", "", "The answer is ", "."),
        "line",
        source="the untagged variants of arXiv 2512.21017; the wording of the line is this project's",
        description=(
            "plain text whose last line is 'The answer is X.'; its format validity means that line, "
            "so it is not comparable with that of a tagged format"
        ),
        tagged=False,
    ),
)
TAG_FORMATS: dict[str, TagFormat] = {tag_format.name: tag_format for tag_format in _NAMED}


def get_tag_format(name: str) -> TagFormat:
    """Find a tag format by its name, or read one from a file.

    Args:
        name: a key of `TAG_FORMATS`, or the path of a YAML file, which ends in `.yaml`.

    Raises:
        InputError: there is no such format, which suggests the nearest name; or a fault in the file, in one
            line that names the file, the key and the remedy.
    """
    if name.endswith(_FILE_ENDINGS):
        try:
            state = Path(name).stat()
        except OSError as error:
            raise InputError(f"{name}: {_UNREADABLE.format(error=error.strerror)}") from error
        return _read(Path(name), state.st_mtime_ns, state.st_size)
    if name not in TAG_FORMATS:
        raise InputError(
            f"unknown tag format '{name}'; {did_you_mean(name, TAG_FORMATS)} (or a file that ends in .yaml)"
        )
    return TAG_FORMATS[name]


def keep_formats(run_dir: Path, tags: Iterable[str]) -> None:
    """Copy the files of those formats that have no name of their own into a run's folder."""
    for path in {Path(one) for one in tags if one not in TAG_FORMATS}:
        (run_dir / KEPT_FORMATS).mkdir(exist_ok=True)
        kept = run_dir / KEPT_FORMATS / f"{get_tag_format(str(path)).digest()[:16]}.yaml"
        write_whole(kept, path.read_text(encoding="utf-8"))


def format_of(run_dir: Path, name: str) -> TagFormat:
    """Find the tag format that a stored entry names: one kept in the folder of its run, else a known one.

    Raises:
        InputError: it is neither, or the kept file is not as it was.
    """
    for path in sorted((run_dir / KEPT_FORMATS).glob("*.yaml")):
        kept = get_tag_format(str(path))
        if _KEPT_NAME.fullmatch(path.stem) and kept.digest()[:16] != path.stem:
            raise InputError(f"{path}: damaged (another format than was kept); copy the original there")
        if kept.name == name:
            return kept
    return get_tag_format(name)


@lru_cache(maxsize=64)
def _read(path: Path, mtime_ns: int, size: int) -> TagFormat:
    """Read a file once for each state of it: the scorer asks for the format of every sample."""
    given = read_yaml(path, _UNREADABLE)
    if not isinstance(given, dict) or not given:
        raise InputError(f"{path}: expected the keys of a tag format, such as think_open: <think>")
    check_keys(given, _KEYS, str(path))
    for key, value in given.items():
        _check_value(key, value, path)
    marks = {key: given.get(key, "") for key in _MARKS}
    style: AnswerStyle = given.get("answer_style") or ("tags" if marks["answer_open"] else "text")
    if style == "boxed" and not marks["answer_open"]:
        marks |= {"answer_open": "\\boxed{", "answer_close": "}"}
    fault = _fault_of_marks(marks, style) or _fault_of_style(given, marks, style)
    name = check_name(given.get("name", path.stem), str(path))
    if name in TAG_FORMATS:
        fault = f"name: '{name}' is a format of the harness; choose another"
    if fault:
        raise InputError(f"{path}: {fault}")
    opening, closing, answer_opening, answer_closing = marks.values()
    return _format(
        name,
        (opening, closing, answer_opening, answer_closing),
        style,
        **{"source": "a file of one's own", **{key: given[key] for key in _OPTIONS if given.get(key)}},
    )


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
        if "\n" in mark or len(mark) > _LONGEST_MARK:
            return f"{key}: a newline, or more than {_LONGEST_MARK} characters; write one short line"
    if bool(marks["think_open"]) != bool(marks["think_close"]):
        return "think_open and think_close belong together; give both or neither"
    written = [mark.lower() for mark in marks.values() if mark]
    if len(set(written)) < len(written):
        return "two marks are the same; let each differ from the others in more than case"
    if any(one in other for one, other in permutations(written, 2) if one != "}"):  # that which ends a box
        return "a mark stands within another, and would be found there; let none hold another"
    return None


def _fault_of_style(given: dict[str, Any], marks: dict[str, str], style: AnswerStyle) -> str | None:
    think_open, _, opening, closing = marks.values()
    if style == "tags" and not (opening and closing):
        return "answer_open and answer_close are needed for answer_style: tags; add both"
    if style == "text" and (opening or closing):
        return "answer_style: text has no marks around the answer; leave answer_open and answer_close out"
    if style == "text" and not think_open:
        return "no marks at all; give think_open and think_close, or answer_open and answer_close"
    if style == "boxed" and not (opening.endswith("{") and len(opening) > 1 and closing == "}"):
        return "answer_style: boxed needs an answer_open that ends in { and answer_close: '}'"
    if style == "line" and not opening:
        return "answer_open: needed for answer_style: line; add how the line begins"
    if given.get("think_open_in_prompt") and not think_open:
        return "think_open_in_prompt: needs think_open; add it"
    if given.get("whitespace") == "strict" and style != "tags" and not think_open:
        return "whitespace: strict is about tags, and there are none; leave it out"
    return None

r"""What a tag format is, the named ones, and the words for what can be wrong with an output.

A format is its marks and the style of its answer: between `tags`, the plain `text` after the reasoning, in a
`boxed` expression, or on a last `line` of its own. Reasoning stands between tags of its own, or is whatever
comes before the answer. A format of one's own is one YAML file (`tasks.tags.files`).
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

Segment = Literal["thinking_tag", "thinking", "answer_tag", "answer"]
AnswerStyle = Literal["tags", "text", "boxed", "line"]
Whitespace = Literal["loose", "strict"]
Defect = Literal[
    "no_tags",
    "wrong_order",
    "unclosed_thinking",
    "unclosed_answer",
    "text_outside",
    "repeated",
    "whitespace",
    "empty_answer",
    "truncated",
]
DEFECTS: tuple[Defect, ...] = get_args(Defect)
_VALIDITY: dict[AnswerStyle, str] = {
    "tags": "valid: every tag once and in order, nothing outside the spans, an answer that is not blank",
    "text": "valid: the reasoning first, its tags once each, then a text that is not blank",
    "boxed": "valid: a closed box that is not blank on the last line with words, none with another content",
    "line": "valid: one line of this form, the last, with an answer that is not blank",
}


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


def make_format(
    name: str,
    marks: tuple[str, str, str, str],
    answer_style: AnswerStyle = "tags",
    *,
    source: str,
    description: str = "",
    instruction: str = "",
    **options: Any,
) -> TagFormat:
    """A tag format whose description and instruction follow from its marks where they are not given.

    Args:
        name: how users name it.
        marks: what opens and closes the reasoning, and what opens and closes the answer.
        answer_style: how the answer is marked.
        source: where the format comes from.
        description: one line; empty for that of the marks.
        instruction: one sentence; empty for that of the marks.
        options: the other fields of `TagFormat`.
    """
    return TagFormat(
        name,
        description or _shown(marks, answer_style),
        source,
        *marks,
        instruction or _instruction(marks, answer_style),
        answer_style,
        **options,
    )


def _shown(marks: tuple[str, str, str, str], style: AnswerStyle) -> str:
    think_open, think_close, answer_open, answer_close = marks
    thinking = f"{think_open}…{think_close}" if think_open else "reasoning, then "
    return thinking + ("plain text" if style == "text" else f"{answer_open}…{answer_close}")


def _instruction(marks: tuple[str, str, str, str], style: AnswerStyle) -> str:
    think_open, think_close, answer_open, answer_close = marks
    reason = (
        f"Reason step by step inside {think_open} and {think_close}" if think_open else "Reason step by step"
    )
    end = {
        "tags": f"give only the final answer inside {answer_open} and {answer_close}.",
        "text": "give only the final answer.",
        "boxed": f"put only the final answer inside {answer_open}{answer_close}.",
        "line": f"end with one line of the form: {answer_open}X{answer_close}",
    }
    return f"{reason}, then {end[style]}"


_R1 = ("<think>", "</think>", "<answer>", "</answer>")
THINK_ANSWER = make_format("think-answer", _R1, source="DeepSeek-R1, arXiv 2501.12948, Table 1")
_NAMED = (
    make_format(
        "thinking-answer", ("<Thinking>", "</Thinking>", "<Answer>", "</Answer>"), source="arXiv 2512.21017"
    ),
    THINK_ANSWER,
    make_format(
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
    make_format(
        "think",
        ("<think>", "</think>", "", ""),
        "text",
        source="Qwen3, arXiv 2505.09388; distilled DeepSeek-R1 models",
        description="<think>…</think>, then plain text that gives the answer",
    ),
    make_format(
        "boxed",
        ("", "", "\\boxed{", "}"),
        "boxed",
        source="MATH, arXiv 2103.03874",
        instruction=r"Reason step by step, and put only the final answer inside \boxed{}.",
    ),
    make_format(
        "gsm8k",
        ("", "", "#### ", ""),
        "line",
        source="GSM8K, arXiv 2110.14168",
        description="reasoning, then a last line '#### x'",
    ),
    make_format(
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

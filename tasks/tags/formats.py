r"""What a tag format is, the named ones, and the words for what can be wrong with an output.

A format is its marks and the style of its answer: between `tags`, the plain `text` after the reasoning, in a
`boxed` expression, or on a last `line` of its own. Reasoning stands between tags of its own, or is whatever
comes before the answer. A format of one's own is one YAML file (`tasks.tags.files`).
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Literal, get_args

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


THINKING_ANSWER = TagFormat(
    name="thinking-answer",
    description="<Thinking>…</Thinking><Answer>…</Answer>",
    source="arXiv 2512.21017",
    think_open="<Thinking>",
    think_close="</Thinking>",
    answer_open="<Answer>",
    answer_close="</Answer>",
    instruction=(
        "Reason step by step inside <Thinking> and </Thinking>, then give only the final answer inside "
        "<Answer> and </Answer>."
    ),
)
THINK_ANSWER = TagFormat(
    name="think-answer",
    description="<think>…</think><answer>…</answer>",
    source="DeepSeek-R1, arXiv 2501.12948, Table 1",
    think_open="<think>",
    think_close="</think>",
    answer_open="<answer>",
    answer_close="</answer>",
    instruction=(
        "Reason step by step inside <think> and </think>, then give only the final answer inside <answer> "
        "and </answer>."
    ),
)
THINK_ANSWER_STRICT = TagFormat(
    name="think-answer-strict",
    description="<think>…</think><answer>…</answer>, each tag on a line of its own",
    source="format_reward and tag_count_reward of huggingface/open-r1",
    think_open="<think>",
    think_close="</think>",
    answer_open="<answer>",
    answer_close="</answer>",
    instruction=(
        "Reason step by step between a line <think> and a line </think>, then give only the final answer "
        "between a line <answer> and a line </answer>."
    ),
    whitespace="strict",
)
THINK = TagFormat(
    name="think",
    description="<think>…</think>, then plain text that gives the answer",
    source="Qwen3, arXiv 2505.09388; distilled DeepSeek-R1 models",
    think_open="<think>",
    think_close="</think>",
    answer_open="",
    answer_close="",
    instruction="Reason step by step inside <think> and </think>, then give only the final answer.",
    answer_style="text",
)
BOXED = TagFormat(
    name="boxed",
    description=r"reasoning, then \boxed{…}",
    source="MATH, arXiv 2103.03874",
    think_open="",
    think_close="",
    answer_open="\\boxed{",
    answer_close="}",
    instruction=r"Reason step by step, and put only the final answer inside \boxed{}.",
    answer_style="boxed",
)
GSM8K = TagFormat(
    name="gsm8k",
    description="reasoning, then a last line '#### x'",
    source="GSM8K, arXiv 2110.14168",
    think_open="",
    think_close="",
    answer_open="#### ",
    answer_close="",
    instruction="Reason step by step, then end with one line of the form: #### X",
    answer_style="line",
)
UNTAGGED = TagFormat(
    name="none",
    description=(
        "plain text whose last line is 'The answer is X.'; its format validity means that line, "
        "so it is not comparable with that of a tagged format"
    ),
    source="the untagged variants of arXiv 2512.21017; the wording of the line is this project's",
    think_open="",
    think_close="",
    answer_open="The answer is ",
    answer_close=".",
    instruction="Reason step by step, then end with one line of the form: The answer is X.",
    answer_style="line",
    tagged=False,
)
TAG_FORMATS: dict[str, TagFormat] = {
    tag_format.name: tag_format
    for tag_format in (THINKING_ANSWER, THINK_ANSWER, THINK_ANSWER_STRICT, THINK, BOXED, GSM8K, UNTAGGED)
}

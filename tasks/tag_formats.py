"""The named tag formats and the words for what can be wrong with an output; see `tags` for their use."""

from dataclasses import dataclass
from typing import Literal, get_args

from tasks.errors import InputError
from tasks.suggest import did_you_mean

Segment = Literal["thinking_tag", "thinking", "answer_tag", "answer"]
Defect = Literal[
    "no_tags",
    "wrong_order",
    "unclosed_thinking",
    "unclosed_answer",
    "text_outside",
    "repeated",
    "empty_answer",
    "truncated",
]
DEFECTS: tuple[Defect, ...] = get_args(Defect)


@dataclass(frozen=True, slots=True)
class TagFormat:
    """The strings around the reasoning and the answer; all four are empty for the untagged format.

    Attributes:
        name: how users name it.
        description: one line for `harness list tags`.
        source: where the format comes from.
        think_open: opens the reasoning.
        think_close: closes the reasoning.
        answer_open: opens the answer.
        answer_close: closes the answer.
        instruction: one sentence that tells an instruct model to answer in this format.
    """

    name: str
    description: str
    source: str
    think_open: str
    think_close: str
    answer_open: str
    answer_close: str
    instruction: str

    @property
    def tagged(self) -> bool:
        """Whether the format has tags at all."""
        return bool(self.answer_open)

    @property
    def tag_strings(self) -> tuple[str, ...]:
        """The four tags in the order of a valid response; empty for the untagged format."""
        tags = (self.think_open, self.think_close, self.answer_open, self.answer_close)
        return tags if self.tagged else ()


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
UNTAGGED = TagFormat(
    name="none",
    description=(
        "plain text whose last line is 'The answer is X.'; its format validity means that line, "
        "so it is not comparable with that of a tagged format"
    ),
    source="the untagged variants of arXiv 2512.21017; the wording of the line is this project's",
    think_open="",
    think_close="",
    answer_open="",
    answer_close="",
    instruction="Reason step by step, then end with one line of the form: The answer is X.",
)
TAG_FORMATS: dict[str, TagFormat] = {
    tag_format.name: tag_format for tag_format in (THINKING_ANSWER, THINK_ANSWER, UNTAGGED)
}


def get_tag_format(name: str) -> TagFormat:
    """Find a tag format by name.

    Args:
        name: a key of `TAG_FORMATS`.

    Returns:
        The format.

    Raises:
        InputError: there is no such format; suggests the nearest name.
    """
    if name not in TAG_FORMATS:
        raise InputError(f"unknown tag format '{name}'; {did_you_mean(name, TAG_FORMATS)}")
    return TAG_FORMATS[name]

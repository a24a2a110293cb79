"""One output, one verdict: the same function for lm-eval, for outputs made elsewhere and for rewards."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tasks.answers import answers_equal, reference_answer
from tasks.choices import choice_letter, last_letter
from tasks.extraction import Found, find_answer, read_span
from tasks.records import Kind
from tasks.tags import Defect, Parsed, TagFormat, parse_output

SCORER_VERSION = "1"
DEFAULT_ALPHA = 0.7

_READABLE_CHARS = 3_000
_LETTER_GOLD = re.compile(r"[(\[]?[A-J][)\]]?(?:\s+[A-Z][\w ]*)?")


class Output(str):
    """An output that knows how its generation ended; a plain str is taken as not truncated.

    Attributes:
        finish_reason: "stop", "length" (truncated), or None where the engine does not say.
        score: the verdict on it, once `process_results` has given one.
    """

    finish_reason: str | None
    score: "SampleScore | None"

    def __new__(cls, text: str, finish_reason: str | None = None) -> "Output":
        """Wrap the text of a generation."""
        output = super().__new__(cls, text)
        output.finish_reason = finish_reason
        output.score = None
        return output


@dataclass(frozen=True, slots=True)
class SampleScore:
    """The verdict on one output.

    Attributes:
        accuracy: the final answer, found as best one can, equals the reference. This ranks: it is comparable
            between tagged and untagged formats.
        accuracy_strict: the same, but counted only where the answer is where it should be: in the answer span
            of a valid output; for the untagged format in an explicit final-answer statement.
        format_valid: the output keeps exactly to its format (for the untagged one that means less).
        score: alpha * accuracy + (1 - alpha) * format_valid (arXiv 2512.21017).
        truncated: generation stopped at the token limit.
        defects: every format defect.
        extracted: the answer that was compared; None where there is none.
    """

    accuracy: bool
    accuracy_strict: bool
    format_valid: bool
    score: float
    truncated: bool
    defects: tuple[Defect, ...]
    extracted: str | None


def score_output(
    output: str,
    *,
    gold: str,
    kind: Kind,
    choices: Sequence[str] | None,
    tag_format: TagFormat,
    truncated: bool = False,
    alpha: float = DEFAULT_ALPHA,
) -> SampleScore:
    """Score one output; bounded in time, and no string makes it raise.

    The answer is sought in a closed answer span, even of an otherwise invalid output; else, for a tagged
    format, in the text after the closed reasoning; else in the whole output. Truncated reasoning is never an
    answer: an output that ends inside its reasoning has none, and in a truncated output only a closed answer
    span or a complete statement of the answer counts, never the last number or letter.

    Args:
        output: what the model wrote, without the prompt.
        gold: the reference; where it holds "####", what follows that.
        kind: how answers are compared.
        choices: the texts of the choices, for kind choice.
        tag_format: the format that the output should keep to.
        truncated: whether generation stopped at the token limit.
        alpha: the weight of accuracy in the score, 0 to 1.

    Returns:
        The verdict.
    """
    parsed = parse_output(output, tag_format, truncated=truncated)
    gold = reference_answer(gold)
    found, text = _locate(output, parsed, kind, choices, tag_format, truncated)
    right = found is not None and answers_equal(gold, found.answer, kind, choices)
    if kind == "latex" and not right and text is not None and not truncated:
        right = _equal_as_text(gold, text)
    explicit = found is not None and found.explicit
    strict = right and explicit and (parsed.format_valid or not tag_format.tagged)
    return SampleScore(
        accuracy=right,
        accuracy_strict=strict,
        format_valid=parsed.format_valid,
        score=alpha * right + (1 - alpha) * parsed.format_valid,
        truncated=truncated,
        defects=parsed.defects,
        extracted=found.answer if found else None,
    )


def _locate(
    output: str,
    parsed: Parsed,
    kind: Kind,
    choices: Sequence[str] | None,
    tag_format: TagFormat,
    truncated: bool,
) -> tuple[Found | None, str | None]:
    """Find the answer, and the free text it was sought in where that was not an answer span."""
    if tag_format.tagged and "no_tags" in parsed.defects:
        parsed = parse_output(output, tag_format, truncated=truncated, ignore_case=True)
    if parsed.answer is not None:
        answer = read_span(parsed.answer, kind, choices)
        return (Found(answer, explicit=True, complete=True) if answer else None), None
    if parsed.in_thinking:
        return None, None
    text = output if parsed.rest is None or not tag_format.tagged else parsed.rest
    for tag in tag_format.tag_strings:
        text = text.replace(tag, " ")
    found = find_answer(text, kind, choices)
    if truncated and found and not (found.explicit and found.complete):
        found = None
    return found, text


def _equal_as_text(gold: str, text: str) -> bool:
    """A second reading of free text in LaTeX: Math-Verify's own search, or the letter of a choice."""
    if _LETTER_GOLD.fullmatch(gold):
        wanted = choice_letter(gold, None)
        return wanted is not None and wanted == (
            choice_letter(text[-200:], None) or last_letter(text[-3000:], None)
        )
    return bool(text.strip()) and answers_equal(gold, text.strip()[-_READABLE_CHARS:], "latex", None)

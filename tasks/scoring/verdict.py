"""One output, one verdict: the same function for lm-eval, for outputs made elsewhere and for rewards."""

import hashlib
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tasks.records import LETTERS, Kind, Record
from tasks.scoring.choices import choice_letter, last_letter
from tasks.scoring.conclusions import concluding_number, first_sentence
from tasks.scoring.extraction import Found, before_next_question, find_answer, is_prose, read_span
from tasks.scoring.latex import last_side, latex_equal, settled_equal
from tasks.scoring.markup import normalise_words
from tasks.scoring.math_verify import Undecided
from tasks.scoring.numbers import holds_number, is_number, numbers_equal
from tasks.tags.answers import Offsets, stripped
from tasks.tags.formats import DEFECTS, THINK_ANSWER, Defect, TagFormat
from tasks.tags.parse import Parsed, opens_reasoning, parse_output

DEFAULT_ALPHA = 0.7
JUDGING_PACKAGES = ("math-verify", "latex2sympy2_extended", "sympy")
"""Libraries whose versions are part of the scorer."""

_LABELLED_CHARS = 2_000
_MAX_TEXT_CHARS = 50_000
_LABEL = re.compile(r"^\s*[(\[]?[A-Z][)\].:]\s+(?=\S)")
_READABLE_CHARS = 1_000
_ESSAY_CHARS = 12
"""A reference of so many characters is right where the output ends in its very words."""
_SPAN_CHARS = 50_000
_SHOWN_CHARS = 60
# Single dollars on lines of their own set no formula in Markdown, nor for those who published verdicts.
_BROKEN_DOLLARS = re.compile(r"(?<![$\\])\$[ \t]*\n[^$]*\n[ \t]*\$\Z")
# A reference in LaTeX that is the letter of a choice, perhaps with its words.
_LETTER_GOLD = re.compile(r"[(\[]?[A-J][)\]]?(?:\s+[A-Z][\w ]*)?")


@dataclass(frozen=True, slots=True)
class Item:
    """An output to be scored, with all that its verdict depends on.

    Attributes:
        output: what the model wrote, without the prompt.
        gold: the reference; where it holds "####", what follows that.
        kind: how answers are compared.
        choices: the texts of the choices, for kind choice.
        tag_format: the format that the output should keep to.
        truncated: whether generation stopped at the token limit.
        alpha: the weight of accuracy in the score, 0 to 1.
        reasoning_open: whether the prompt opened the reasoning; as the format says where None.
    """

    output: str
    gold: str
    kind: Kind
    choices: Sequence[str] | None
    tag_format: TagFormat
    truncated: bool = False
    alpha: float = DEFAULT_ALPHA
    reasoning_open: bool | None = None

    @classmethod
    def of(
        cls,
        record: Record,
        output: str,
        tag_format: TagFormat,
        *,
        truncated: bool = False,
        alpha: float = DEFAULT_ALPHA,
        prompt: str | None = None,
    ) -> "Item":
        """An output to the question of a record; other arguments are as in the class.

        Where the prompt is given as the model read it, its end says whether it opened the reasoning.
        """
        opened = None if prompt is None else opens_reasoning(prompt, tag_format)
        asked = (record.answer, record.kind, record.choices)
        return cls(output, *asked, tag_format, truncated, alpha, opened)


@dataclass(frozen=True, slots=True)
class Score:
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
        thinking_chars: length of the reasoning; None where none was found.
        thinking: where the reasoning stands, as offsets into the output: start and end (exclusive); also
            reasoning that never ends, of which `thinking_chars` says nothing.
        answer: where the answer span, box or line of the format stands, likewise; None where there is none.
        undecided: Math-Verify reached its limit of time or memory, so that the answer counts as wrong without
            being known to be.
    """

    accuracy: bool
    accuracy_strict: bool
    format_valid: bool
    score: float
    truncated: bool
    defects: tuple[Defect, ...]
    extracted: str | None
    thinking_chars: int | None = None
    thinking: Offsets | None = None
    answer: Offsets | None = None
    undecided: bool = False


def reference_answer(gold: str) -> str:
    """The answer of a reference that may carry its reasoning before "####", as GSM8K's do."""
    return gold.rpartition("####")[2].strip()


def answers_equal(gold: str, answer: str, kind: Kind, choices: Sequence[str] | None) -> bool:
    """Whether an answer, already extracted, equals the reference, by the rules of its kind; never raises.

    number: same exact value, notation and currency aside (`numbers_equal`); choice: same letter,
    however named; latex: same text, or mathematically equal by form or by Math-Verify; text: same words,
    case, punctuation, articles and the letter of a choice before them, as in "(B) a surplus", aside;
    contains: the reference's words stand in the answer, one after the other.
    """
    try:
        return _equal(gold, answer, kind, choices)
    except Undecided:
        return False


def _equal(gold: str, answer: str, kind: Kind, choices: Sequence[str] | None) -> bool:
    if kind == "number":
        return numbers_equal(gold, answer)
    if kind == "choice":
        wanted = choice_letter(gold, choices)
        return wanted is not None and wanted == choice_letter(answer, choices)
    if kind == "latex":
        return latex_equal(gold, answer)
    if max(len(gold), len(answer)) > _MAX_TEXT_CHARS:
        return gold.strip() == answer.strip()
    wanted = normalise_words(gold)
    if kind == "contains":
        return f" {wanted} " in f" {normalise_words(answer)} "
    bare = _LABEL.sub("", answer) if len(answer) <= _LABELLED_CHARS else answer
    return wanted in (normalise_words(answer), normalise_words(bare))


def fault_of_gold(gold: str, kind: Kind, choices: Sequence[str] | None) -> str | None:
    """Why nothing could ever equal a reference, in words; None where something can."""
    answer = reference_answer(gold)
    shown = repr(answer if len(answer) <= _SHOWN_CHARS else f"{answer[:_SHOWN_CHARS]}…")
    if not answer:
        return "no answer after ####" if gold.strip() else "is empty"
    if kind == "number" and not holds_number(answer):
        return f"{shown} is no number that can be compared; mend it, or use another kind"
    if kind == "choice":
        letter = choice_letter(answer, choices) if len(answer) <= _LABELLED_CHARS else None
        if letter is None:
            return f"{shown} is no choice; write its letter" + ("" if choices else ", or add 'choices'")
        words = [normalise_words(choice) for choice in choices or ()]
        if words and words.count(words[LETTERS.index(letter)]) > 1:
            return f"the choice {shown} stands twice among the choices"
    return None


def score(item: Item) -> Score:
    """Score one output; bounded in time, and no string makes it raise.

    The answer is sought in the answer span, box or line, even of an otherwise invalid output; else in the
    text after the closed reasoning; else in the whole output. Truncated reasoning is never an answer: an
    output that ends inside its reasoning has none, and in a truncated output only a closed answer span or a
    complete statement of the answer counts, never the last number or letter.
    """
    parsed, lenient = _parse(item)
    thinking = lenient.thinking_span
    undecided, right, found, explicit = False, False, None, False
    try:
        found, text = _locate(item, lenient)
        explicit = found is not None and found.explicit
        right = _is_right(item, lenient, found, text)
    except Undecided:
        undecided = True
    strict = right and explicit and (parsed.format_valid or not item.tag_format.tagged)
    return Score(
        accuracy=right,
        accuracy_strict=strict,
        format_valid=parsed.format_valid,
        score=item.alpha * right + (1 - item.alpha) * parsed.format_valid,
        truncated=item.truncated,
        defects=parsed.defects,
        extracted=found.answer if found else None,
        thinking_chars=None if thinking is None else thinking[1] - thinking[0],
        thinking=_reasoning(lenient),
        answer=lenient.answer_span,
        undecided=undecided,
    )


def _is_right(item: Item, lenient: Parsed, found: Found | None, text: str | None) -> bool:
    """Whether the answer that was found, or the text that it was sought in, equals the reference."""
    gold, kind, choices = reference_answer(item.gold), item.kind, item.choices
    explicit = found is not None and found.explicit
    if found is not None and kind == "latex" and not explicit:
        # Math-Verify is asked once, about the text
        right = any(settled_equal(gold, side) is True for side in (found.answer, last_side(found.answer)))
    elif found is not None and kind == "latex" and is_number(gold) and is_prose(found.answer):
        # "The area is 7" says 7, "See part 7 of the notes" does not; Math-Verify takes any number for it.
        number = concluding_number(found.answer)
        right = number is not None and numbers_equal(gold, number)
    else:
        right = found is not None and _equal(gold, found.answer, kind, choices)
    if kind == "latex" and not right and text is not None and not item.truncated:
        right = _equal_as_text(
            gold, text, stated=explicit and (lenient.answer is None or not item.tag_format.tagged)
        )
    return right


def spans(item: Item) -> tuple[Offsets | None, Offsets | None]:
    """`Score.thinking` and `Score.answer` alone: where an output's reasoning and answer stand, unjudged."""
    _, lenient = _parse(item)
    return _reasoning(lenient), lenient.answer_span


def _reasoning(parsed: Parsed) -> Offsets | None:
    if parsed.thinking_span is None and parsed.unclosed_start is not None:
        return stripped(parsed.output, parsed.unclosed_start, len(parsed.output))
    return parsed.thinking_span


def metrics(*scores: Score) -> dict[str, float]:
    """Spread a verdict into lm-eval's metrics, one for each defect included; several into their means."""
    names = ("accuracy", "accuracy_strict", "format_valid", "score", "truncated")
    sums = {name: sum(getattr(score, name) for score in scores) for name in names}
    sums |= {f"defect_{defect}": sum(defect in score.defects for score in scores) for defect in DEFECTS}
    return {name: total / len(scores) for name, total in sums.items()}


@cache
def scorer_digest() -> str:
    """Twelve hex digits of all that decides a verdict: the code of scoring and tags, Math-Verify's version.

    Another digest does not mean other verdicts; the same one does mean the same.
    """
    folder, digest = Path(__file__).parents[1], hashlib.sha256()
    files = (*folder.glob("scoring/*.py"), *folder.glob("tags/*.py"), folder / "records.py")
    for path in sorted(files):
        digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    for package in JUDGING_PACKAGES:
        with suppress(PackageNotFoundError):
            digest.update(f"{package} {version(package)}".encode())
    return digest.hexdigest()[:12]


def _parse(item: Item) -> tuple[Parsed, Parsed]:
    """The form of an output, and the more lenient reading in which its answer is sought."""
    parse = partial(parse_output, tag_format=item.tag_format, reasoning_open=item.reasoning_open)
    parsed, lenient = parse(item.output, truncated=item.truncated), None
    if item.tag_format.answer_style == "line" and item.kind != "choice":
        parsed = _up_to_sentence(parsed, reference_answer(item.gold))
    if "no_tags" in parsed.defects and item.tag_format.span_tags:
        lenient = parse(item.output, truncated=item.truncated, ignore_case=True)
    # Where the output goes on to another question, what answers the one that was asked; `find_answer` sees to
    # that where the answer is the text.
    elif {"repeated", "text_outside"} & set(parsed.defects) and item.tag_format.answer_style != "text":
        forms = (parse(prefix, truncated=False) for prefix in before_next_question(item.output))
        lenient = next((form for form in forms if form.answer is not None), None)
    return parsed, lenient or parsed


def _up_to_sentence(parsed: Parsed, gold: str) -> Parsed:
    """The answer of a line ends with its first sentence, as it is read, unless the reference has several."""
    sentence = first_sentence(parsed.answer or "")
    if parsed.answer_span is None or sentence == parsed.answer or first_sentence(gold) != gold:
        return parsed
    start = parsed.answer_span[0]
    defects = tuple(one for one in DEFECTS if one in (*parsed.defects, "text_outside"))
    return replace(parsed, answer_span=(start, start + len(sentence)), defects=defects)


def _locate(item: Item, parsed: Parsed) -> tuple[Found | None, str | None]:
    """Find the answer, and the free text it was sought in where that was not an answer span."""
    kind, choices, tag_format = item.kind, item.choices, item.tag_format
    # Without tags a line is a statement like others: one that comes later counts.
    last = tag_format.tagged or "text_outside" not in parsed.defects
    if parsed.answer is not None and tag_format.answer_style != "text" and last:
        several = parsed.rest if "repeated" in parsed.defects and tag_format.answer_style == "boxed" else None
        return read_span(parsed.answer, kind, choices), several
    if parsed.in_thinking:
        return None, None
    text = item.output if parsed.rest is None else parsed.rest
    for tag in tag_format.span_tags:
        text = text.replace(tag, " ")
    found = _find_in_text(text, kind, choices)
    if item.truncated and found and not (found.explicit and found.complete):
        found = None
    if found and tag_format.answer_style == "text" and "\n" not in text.strip():
        found = Found(found.answer, explicit=True, complete=True)  # the text is nothing but the answer
    return found, text


def _find_in_text(text: str, kind: Kind, choices: Sequence[str] | None) -> Found | None:
    """The answer of a text without the format's tags; `<answer>` is understood there whatever the format."""
    tail = text[-_SPAN_CHARS:]
    if "</" in tail:
        span = parse_output(tail, THINK_ANSWER, truncated=False, ignore_case=True, reasoning_open=False)
        if span.answer is not None:
            return read_span(span.answer, kind, choices)
    return find_answer(text, kind, choices)


def _equal_as_text(gold: str, text: str, stated: bool) -> bool:
    """A second reading of free text in LaTeX: a choice's letter or, unless stated, Math-Verify's search."""
    if _LETTER_GOLD.fullmatch(gold):
        found = choice_letter(text[-200:], None) or last_letter(text[-3000:], None)
        return found is not None and found == choice_letter(gold, None)
    end = text[-_SPAN_CHARS:].strip()
    if _ends_in_essay(gold, end):
        return True
    if stated or not end or _BROKEN_DOLLARS.search(end):
        return False
    end = _last_paragraph(end)
    number = concluding_number(end) if is_number(gold) and "\\" not in end else None
    if number is not None and numbers_equal(gold, number):
        return True
    mentions = is_number(gold) and is_prose(end) and number is None  # of which Math-Verify takes any
    return not mentions and _equal(gold, end, "latex", None)


def _ends_in_essay(gold: str, text: str) -> bool:
    """Whether a text ends in a long reference, word for word, spaces and a full stop aside."""
    wanted = " ".join(gold.split()).rstrip(" .")
    if not _ESSAY_CHARS <= len(wanted) <= _SPAN_CHARS // 2:
        return False
    words = " ".join(text.removesuffix("I hope it is correct.").split()).rstrip(" .*")
    return words.endswith(wanted) and words[: -len(wanted)][-1:] in ("", " ")


def _last_paragraph(text: str) -> str:
    """A short text, or the last paragraph of a longer one; blank where that is long or a formula's half."""
    if len(text) <= _READABLE_CHARS:
        return text
    end = text.rpartition("\n\n")[2]
    if len(end) > _READABLE_CHARS or end.count("$") % 2 or end.count("\\begin") != end.count("\\end"):
        return ""
    return end

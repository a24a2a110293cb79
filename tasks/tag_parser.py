"""Judge the form of one output: which tags are there, in which order, with what between them.

Apart from `tags` because it must hold for any string a model can emit: linear in its length, never raising.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from tasks.tag_formats import DEFECTS, Defect, TagFormat

FINAL_LEAD = "The answer is "
_FINAL_LINE = re.compile(r"^[ \t]*The answer is(?=[ \t.])(.*)$", re.MULTILINE)
_THINK_OPEN, _THINK_CLOSE, _ANSWER_OPEN, _ANSWER_CLOSE = range(4)


@dataclass(frozen=True, slots=True)
class Parsed:
    """What the form of an output says.

    Attributes:
        format_valid: the output keeps exactly to the format: it has no defect at all.
        defects: every defect present, in the order of `DEFECTS`.
        thinking: the text of the first closed thinking span (untagged: before the final line), else None.
        answer: the text of the last closed answer span (untagged: of the last final-answer line), stripped;
            None where there is none, where it is blank, or where it stands inside reasoning that goes on.
        rest: the text after the closed reasoning, or after an answer tag that was never closed: where an
            answer may be looked for when there is no answer span. None where the format gives no such place.
        in_thinking: the output ends inside reasoning that was opened and never closed.
    """

    format_valid: bool
    defects: tuple[Defect, ...]
    thinking: str | None
    answer: str | None
    rest: str | None = None
    in_thinking: bool = False


@dataclass(frozen=True, slots=True)
class _Tag:
    rank: int  # its place in a valid response: 0 opens the thinking … 3 closes the answer
    start: int
    end: int


def parse_output(output: str, tag_format: TagFormat, *, truncated: bool, ignore_case: bool = False) -> Parsed:
    """Judge the form of an output, in time linear in its length.

    Tags are matched exactly, case included; whitespace may surround them. Every defect present is listed:
    ``no_tags`` no tag at all; ``wrong_order`` a tag before one that must precede it, or a tag whose partner
    or reasoning is missing before it; ``unclosed_thinking``, ``unclosed_answer`` opened and not closed;
    ``text_outside`` text in neither span; ``repeated`` a tag that occurs twice, nested or not;
    ``empty_answer`` a blank answer, or nothing at all after the reasoning; ``truncated`` cut by the token
    limit.

    For the untagged format a valid output has exactly one line "The answer is X.", and it is the last one:
    ``no_tags`` no final-answer line, ``repeated`` several, ``empty_answer`` a line without X,
    ``text_outside`` text after the line, ``truncated``. That is not comparable with the form of tags.

    Args:
        output: what the model wrote, without the prompt.
        tag_format: the format it should keep to.
        truncated: whether generation stopped at the token limit.
        ignore_case: match tags in any case; for lenient scoring only.

    Returns:
        The verdict and the texts found.
    """
    if not tag_format.tagged:
        return _parse_untagged(output, truncated)
    tags = _find_tags(output, tag_format, ignore_case)
    defects: set[Defect] = {"truncated"} if truncated else set()
    if not tags:
        return Parsed(False, _ordered(defects | {"no_tags"}), None, None)
    last = {tag.rank: index for index, tag in enumerate(tags)}
    in_thinking = last.get(_THINK_OPEN, -1) > last.get(_THINK_CLOSE, -1)
    thinking = next(_spans(output, tags, _THINK_OPEN), None)
    answer = next(_spans(output, tags[::-1], _ANSWER_OPEN), None)
    rest = None if in_thinking else _rest(output, tags, last)
    defects |= _tag_defects(tags, last)
    if _text_outside(output, tags):
        defects.add("text_outside")
    if answer == "" or (answer is None and rest is not None and not rest.strip()):
        defects.add("empty_answer")
    if in_thinking and output[tags[-1].end :].strip():
        answer = None  # the reasoning went on: what stood in it was not the answer
    return Parsed(not defects, _ordered(defects), thinking, answer or None, rest, in_thinking)


def final_line_answer(line: str) -> str | None:
    """Read one line as the final-answer line of the untagged format.

    Args:
        line: a line without its newline.

    Returns:
        X of "The answer is X.", blank where X is missing; None where it is no such line.
    """
    match = _FINAL_LINE.match(line)
    stated = match.group(1).strip() if match else ""
    return stated[:-1].rstrip() if stated.endswith(".") else None


def _find_tags(output: str, tag_format: TagFormat, ignore_case: bool) -> list[_Tag]:
    rank = {tag.lower(): place for place, tag in enumerate(tag_format.tag_strings)}
    pattern = "|".join(re.escape(tag) for tag in sorted(tag_format.tag_strings, key=len, reverse=True))
    matches = re.finditer(pattern, output, re.IGNORECASE | re.ASCII if ignore_case else 0)
    return [_Tag(rank[match.group().lower()], match.start(), match.end()) for match in matches]


def _tag_defects(tags: list[_Tag], last: dict[int, int]) -> set[Defect]:
    defects: set[Defect] = set()
    first = {tag.rank: -index for index, tag in enumerate(reversed(tags), start=1)}
    places = [first[rank] for rank in sorted(first)]
    partners = ((_THINK_CLOSE, _THINK_OPEN), (_ANSWER_OPEN, _THINK_OPEN), (_ANSWER_CLOSE, _ANSWER_OPEN))
    if places != sorted(places) or any(tag in first and needed not in first for tag, needed in partners):
        defects.add("wrong_order")
    if len(tags) > len(first):
        defects.add("repeated")
    if last.get(_THINK_OPEN, -1) > last.get(_THINK_CLOSE, -1):
        defects.add("unclosed_thinking")
    if last.get(_ANSWER_OPEN, -1) > last.get(_ANSWER_CLOSE, -1):
        defects.add("unclosed_answer")
    return defects


def _text_outside(output: str, tags: list[_Tag]) -> bool:
    outside, end = True, 0
    for tag in tags:
        if outside and output[end : tag.start].strip():
            return True
        outside, end = tag.rank in (_THINK_CLOSE, _ANSWER_CLOSE), tag.end
    return outside and bool(output[end:].strip())


def _spans(output: str, tags: list[_Tag], opening: int) -> Iterator[str]:
    """The stripped texts between an opening tag and the closing tag right beside it, in the order of tags."""
    for left, right in pairwise(tags):
        if left.start > right.start:
            left, right = right, left
        if (left.rank, right.rank) == (opening, opening + 1):
            yield output[left.end : right.start].strip()


def _rest(output: str, tags: list[_Tag], last: dict[int, int]) -> str | None:
    if last.get(_ANSWER_OPEN, -1) > last.get(_ANSWER_CLOSE, -1):
        return output[tags[last[_ANSWER_OPEN]].end :]
    return output[tags[last[_THINK_CLOSE]].end :] if _THINK_CLOSE in last else None


def _parse_untagged(output: str, truncated: bool) -> Parsed:
    defects: set[Defect] = {"truncated"} if truncated else set()
    answer, start, end = None, 0, 0
    for match in _FINAL_LINE.finditer(output):
        stated = final_line_answer(match.group())
        if stated is not None:
            if answer is not None:
                defects.add("repeated")
            answer, start, end = stated, match.start(), match.end()
    if answer is None:
        return Parsed(False, _ordered(defects | {"no_tags"}), None, None)
    if not answer:
        defects.add("empty_answer")
    if output[end:].strip():
        defects.add("text_outside")
    return Parsed(not defects, _ordered(defects), output[:start].strip(), answer or None, output[end:])


def _ordered(defects: set[Defect]) -> tuple[Defect, ...]:
    return tuple(defect for defect in DEFECTS if defect in defects)

"""Judge the form of one output: which tags are there, in which order, with what between them.

It must hold for any string that a model can emit: linear in its length, never raising. What it finds it keeps
as offsets into the output, so that nobody has to search for a text again.
"""

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import NamedTuple

from tasks.tags.answers import Offsets, marked_answer, stripped
from tasks.tags.formats import DEFECTS, Defect, TagFormat

_THINK_OPEN, _THINK_CLOSE, _ANSWER_OPEN, _ANSWER_CLOSE = range(4)
_MOST_TAGS = 10_000
# ASCII: without it, İ and K (Kelvin) would count as letters of a tag in another case.
_KNOWN_OPEN = re.compile(r"\s*<think(?:ing)?>", re.IGNORECASE | re.ASCII)
_KNOWN_CLOSE = re.compile(r"</think(?:ing)?>", re.IGNORECASE | re.ASCII)
_KNOWN_ENDING = re.compile(r"<think(?:ing)?>\s*\Z", re.IGNORECASE | re.ASCII)
_OPENING_CHARS = 200


@dataclass(frozen=True, slots=True)
class Parsed:
    """What the form of an output says; the properties give the texts that the offsets mark.

    Attributes:
        output: what was parsed.
        defects: every defect present, in the order of `DEFECTS`; an output without any is valid.
        thinking_span: where the first closed thinking span stands, else None; for a format without tags
            around the reasoning what comes before the answer. Stripped, as all spans are, and perhaps blank.
        answer_span: where the last closed answer span, box or line stands, or for style `text` the whole text
            after the reasoning; None where there is none, where it is blank or may be cut off, or where it
            is inside reasoning that goes on.
        rest_start: where the text begins that follows the closed reasoning, or an answer tag that was never
            closed: there an answer may be looked for when there is no answer span. None where the format
            gives no such place.
        unclosed_start: where reasoning begins that never ends; None where there is none such.
    """

    output: str
    defects: tuple[Defect, ...]
    thinking_span: Offsets | None = None
    answer_span: Offsets | None = None
    rest_start: int | None = None
    unclosed_start: int | None = None

    @property
    def format_valid(self) -> bool:
        """Whether the output keeps exactly to the format: it has no defect at all."""
        return not self.defects

    @property
    def thinking(self) -> str | None:
        """The text of the reasoning."""
        return self.output[slice(*self.thinking_span)] if self.thinking_span else None

    @property
    def answer(self) -> str | None:
        """The text of the answer."""
        return self.output[slice(*self.answer_span)] if self.answer_span else None

    @property
    def rest(self) -> str | None:
        """The text in which an answer may be looked for."""
        return None if self.rest_start is None else self.output[self.rest_start :]

    @property
    def in_thinking(self) -> bool:
        """Whether the output ends inside reasoning that was opened and never closed."""
        return self.unclosed_start is not None


class _Tag(NamedTuple):
    rank: int  # its place in a valid response: 0 opens the thinking … 3 closes the answer
    start: int
    end: int


def parse_output(
    output: str,
    tag_format: TagFormat,
    *,
    truncated: bool,
    ignore_case: bool = False,
    reasoning_open: bool | None = None,
) -> Parsed:
    r"""Judge the form of an output, in time linear in its length.

    Tags are matched exactly, case included; whitespace may surround them unless the format is strict. Every
    defect present is listed: ``no_tags`` no tag, box or line of the format at all; ``wrong_order`` a tag
    before one that must precede it, or a tag whose partner or reasoning is missing before it;
    ``unclosed_thinking``, ``unclosed_answer`` opened and not closed; ``text_outside`` text where the format
    has none (after a box, on a later line); ``repeated`` a tag that occurs twice, nested or not, a second
    line, a box with another content; ``whitespace`` all is there, but not with the whitespace of a strict
    format; ``empty_answer`` a blank answer, or nothing at all after the reasoning; ``truncated`` cut by the
    token limit.

    With whitespace `loose`, an output of style `tags` is valid where it is so for both
    ``^<think>.*?</think>\s*<answer>.*?</answer>$`` (with DOTALL) and a count of one for each tag, with two
    exceptions: whitespace may stand around the whole, and a blank answer is none. `strict` is the same with
    ``^<think>\n.*?\n</think>\n<answer>\n.*?\n</answer>$`` and no whitespace around the whole but what `$`
    allows, one newline. `think` without exceptions but the blank answer and whitespace around the whole is
    ``^<think>(?!.*<think>)(.*?)</think>.*$`` where ``</think>`` comes once.

    Reasoning in ``<think>`` or ``<thinking>`` is respected also by formats that have no tags for it: what
    stands in it is no answer.

    Args:
        output: what the model wrote, without the prompt.
        tag_format: the format it should keep to.
        truncated: whether generation stopped at the token limit.
        ignore_case: match tags in any case; for lenient scoring only.
        reasoning_open: whether the prompt ended with the tag that opens the reasoning (`opens_reasoning`), so
            that the output begins inside it; as the format says where None.
    """
    opened = tag_format.think_open_in_prompt if reasoning_open is None else reasoning_open
    tags = _find_tags(output, tag_format, ignore_case)
    if tags:
        return _parse_tagged(output, tags, tag_format, truncated, opened)
    return _parse_untagged(output, tag_format, truncated, opened)


def opens_reasoning(prompt: str, tag_format: TagFormat) -> bool:
    """Whether a prompt, as the model reads it, ends with a tag that opens reasoning, or the format says so.

    Some chat templates do so; besides the format's own tag, ``<think>`` and ``<thinking>`` count.
    """
    end = prompt[-_OPENING_CHARS:].rstrip()
    own = bool(tag_format.think_open) and end.endswith(tag_format.think_open)
    return own or tag_format.think_open_in_prompt or _KNOWN_ENDING.search(end) is not None


def _parsed(
    output: str,
    truncated: bool,
    defects: set[Defect],
    thinking: Offsets | None = None,
    answer: Offsets | None = None,
    rest: int | None = None,
    unclosed: int | None = None,
) -> Parsed:
    present = defects | {"truncated"} if truncated else defects
    ordered = tuple(defect for defect in DEFECTS if defect in present)
    blank = answer is not None and answer[0] == answer[1]
    return Parsed(output, ordered, thinking, None if blank else answer, rest, unclosed)


def _parse_untagged(output: str, tag_format: TagFormat, truncated: bool, opened: bool) -> Parsed:
    """Where there is no tag of the format: a box, a line or plain text may be the answer."""
    start, unclosed = _after_known_reasoning(output, opened)
    if unclosed is not None:
        return _parsed(output, truncated, {"no_tags", "unclosed_thinking"}, rest=start, unclosed=unclosed)
    if tag_format.span_tags:
        return _parsed(output, truncated, {"no_tags"}, rest=start)
    found = marked_answer(output, start, tag_format, truncated)
    thinking = None if found.start is None else stripped(output, 0, found.start)
    return _parsed(output, truncated, found.defects, thinking, found.answer, start)


def _parse_tagged(
    output: str, tags: list[_Tag], tag_format: TagFormat, truncated: bool, opened: bool
) -> Parsed:
    """Where there are tags of the format."""
    opened = opened and bool(tag_format.think_open) and tags[0].rank != _THINK_OPEN
    if opened:
        tags = [_Tag(_THINK_OPEN, 0, 0), *tags]  # the one in the prompt
    last = {tag.rank: index for index, tag in enumerate(tags)}
    in_thinking = last.get(_THINK_OPEN, -1) > last.get(_THINK_CLOSE, -1)
    thinking = next(_spans(output, tags, _THINK_OPEN), None)
    rest = None if in_thinking else _rest(tags, last)
    defects = _tag_defects(tags, last, tag_format)
    if _text_outside(output, tags, tag_format):
        defects.add("text_outside")
    if not defects and tag_format.whitespace == "strict" and not _is_strict(output, tag_format, opened):
        defects.add("whitespace")
    answer: Offsets | None = None
    if tag_format.answer_style == "tags":
        answer = next(_spans(output, tags[::-1], _ANSWER_OPEN), None)
        if not tag_format.think_open and _ANSWER_OPEN in last:
            thinking = stripped(output, 0, tags[last[_ANSWER_OPEN]].start)
    elif rest is not None:
        found = marked_answer(output, rest, tag_format, truncated)
        answer, defects = found.answer, defects | found.defects
    blank = answer and answer[0] == answer[1]
    if blank or (answer is None and rest is not None and not output[rest:].strip()):
        defects.add("empty_answer")
        defects.discard("no_tags")
    if in_thinking and output[tags[-1].end :].strip():
        answer = None  # the reasoning went on: what stood in it was not the answer
    unclosed = tags[last[_THINK_OPEN]].end if in_thinking else None
    return _parsed(output, truncated, defects, thinking, answer, rest, unclosed)


def _find_tags(output: str, tag_format: TagFormat, ignore_case: bool) -> list[_Tag]:
    """The tags in order; of more than 20,000 the first and the last, which settle every verdict but spans."""
    searched = output.lower() if ignore_case else output
    if not any((tag.lower() if ignore_case else tag) in searched for tag in tag_format.span_tags):
        return []  # far quicker than the pattern finds out
    tags = tag_format.span_tags
    rank = {mark.lower(): place for place, mark in enumerate(tag_format.marks) if mark in tags}
    pattern = "|".join(re.escape(tag) for tag in sorted(tags, key=len, reverse=True))
    matches = re.finditer(pattern, output, re.IGNORECASE | re.ASCII if ignore_case else 0)
    kept = [*islice(matches, _MOST_TAGS), *deque(matches, maxlen=_MOST_TAGS)]
    return [_Tag(rank[match.group().lower()], match.start(), match.end()) for match in kept]


def _tag_defects(tags: list[_Tag], last: dict[int, int], tag_format: TagFormat) -> set[Defect]:
    defects: set[Defect] = set()
    first = {tag.rank: -index for index, tag in enumerate(reversed(tags), start=1)}
    places = [first[rank] for rank in sorted(first)]
    partners = [(_THINK_CLOSE, _THINK_OPEN), (_ANSWER_CLOSE, _ANSWER_OPEN)]
    if tag_format.think_open:
        partners.append((_ANSWER_OPEN, _THINK_OPEN))
    if places != sorted(places) or any(tag in first and needed not in first for tag, needed in partners):
        defects.add("wrong_order")
    if len(tags) > len(first):
        defects.add("repeated")
    if last.get(_THINK_OPEN, -1) > last.get(_THINK_CLOSE, -1):
        defects.add("unclosed_thinking")
    if last.get(_ANSWER_OPEN, -1) > last.get(_ANSWER_CLOSE, -1):
        defects.add("unclosed_answer")
    return defects


def _text_outside(output: str, tags: list[_Tag], tag_format: TagFormat) -> bool:
    free_text_answer = tag_format.answer_style != "tags"
    outside, end = bool(tag_format.think_open), 0
    for tag in tags:
        if outside and output[end : tag.start].strip():
            return True
        outside = tag.rank == _ANSWER_CLOSE or (tag.rank == _THINK_CLOSE and not free_text_answer)
        end = tag.end
    return outside and bool(output[end:].strip())


def _is_strict(output: str, tag_format: TagFormat, opened: bool) -> bool:
    """Whether each tag of an output without defect has a line of its own."""
    think_open, think_close, answer_open, answer_close = map(re.escape, tag_format.marks)
    start = "" if opened else f"{think_open}\n"
    thinking = rf"{start}.*?\n{think_close}\n" if think_open else r"(?:.*?\n)?"
    answer = rf"{answer_open}\n.*?\n{answer_close}\n?" if tag_format.answer_style == "tags" else ".+"
    return re.fullmatch(thinking + answer, output, re.DOTALL) is not None


def _spans(output: str, tags: list[_Tag], opening: int) -> Iterator[Offsets]:
    """What stands, stripped, between an opening tag and the closing tag right beside it, in tag order."""
    for left, right in pairwise(tags):
        if left.start > right.start:
            left, right = right, left
        if (left.rank, right.rank) == (opening, opening + 1):
            yield stripped(output, left.end, right.start)


def _rest(tags: list[_Tag], last: dict[int, int]) -> int | None:
    if last.get(_ANSWER_OPEN, -1) > last.get(_ANSWER_CLOSE, -1):
        return tags[last[_ANSWER_OPEN]].end
    return tags[last[_THINK_CLOSE]].end if _THINK_CLOSE in last else None


def _after_known_reasoning(output: str, opened: bool) -> tuple[int, int | None]:
    """Where the text after reasoning in well-known tags begins, and where such reasoning that never ends."""
    # Looking for "</" first is far quicker than the pattern on an output of millions of characters.
    closing = deque(_KNOWN_CLOSE.finditer(output), maxlen=1) if "</" in output else ()
    start = closing[0].end() if closing else 0
    if opening := _KNOWN_OPEN.match(output, start):
        return start, opening.end()
    return start, 0 if opened and not closing else None

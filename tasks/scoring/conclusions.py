"""Which number a statement, an answer span or reasoning means, where several stand in it or none answers.

Some numbers only name a thing (step 3, f(0)) or say of what or when something holds (more than 5, in 2019),
and a text may mention some while it says that it has no answer.
"""

import re
from collections.abc import Iterator

from tasks.scoring.digits import NUMERAL
from tasks.scoring.numbers import every_number, first_number, last_number, numbers_equal, stated_number

_CONCLUSION_CHARS = 2_000
_SENTENCE_CHARS = 400
# A full stop before a digit ends no sentence: it may be of a number or a list. Nor does that of a title or an
# initial, unless a word follows that often begins sentences.
SENTENCE_END = re.compile(
    r"(?<!\b[A-Z])(?<!\b[A-Z][a-z])(?<!\bMrs)\.\s+(?=[^\s\d])|(?<=[0-9]{2})\.\s+|[。！？।]|\n|[!?]\s+(?=[A-Z])"
    r"|(?<=\b[A-Z])\.\s+(?=(?:All|As|Because|But|He|In|It|Option|Other|She|Since|So|That|The|There|They|This|We)\b)"
)
_EQUALS = re.compile(r"[=≈]|\\approx")
_OPERATOR = r"(?:\\times|\\cdot|[-+−*/×÷^]|x(?=\s?[0-9]))"
# "18 dollars for 2 days"; but neither "18 + 2" nor "18 apples + 2 pears", which are still to be computed.
_BEGINS_WITH_NUMBER = re.compile(
    r"[\s$€£¥*~(\\]*[-−]?\.?[0-9][0-9.,]*+"
    rf"(?!(?:\s*[A-Za-z%°]{{1,20}}+){{0,3}}\s*(?:{_OPERATOR}\s*[$(\\]*[0-9]|[=≈]|\\approx))"
)
_BARE = re.compile(r"\W*[0-9][0-9.,/]*\W*(?:[^\W\d]+\W*){0,3}")
# "18, not 3 * 7 = 21": another number follows, or why it is this one.
_ASIDE = re.compile(r"(?<=\W)(?:(?:and |but )?not|rather than|instead of|because|since)\s")
# "which is 5 more" names a result as "= 5" does; a sign that is followed by another (==) does not.
_RESULT = re.compile(
    r"(?:[=≈]|\b(?:equals|equal to|total of|total is|which is|to get)\b"
    r"|[,)]\s+or\b(?:\s(?:about|approximately))?(?=\s\W?[0-9]))\s*(?=[^\s=≈])"
)
# What follows these concludes; what stands before them was known.
_THEN = re.compile(
    r"\b(?:so|thus|hence|therefore|then|that means|which means|meaning|leaving|giving|making)\b"
)
# "3 + 4": what stands before the last number does something to it, so that no other number was meant.
_OPERATION = re.compile(r"[0-9)]\s?[-+*/×÷^]\s?\Z")
_WORKING = re.compile(rf"[0-9)]\s*{_OPERATOR}\s*[$(\\]*[0-9][^\n=≈]{{0,60}}[=≈]")
_TELLS_HOW_MANY = re.compile(
    r"\W*(?:(?:so|thus|hence|therefore|in total|altogether)\b,?\s*)?"
    r"there\s+(?:are|were|is|was|will be|would be)\s+(?:a total of\s+|only\s+)?\W*[0-9]",
    re.IGNORECASE,
)
_LIST_MARK = re.compile(r"(?<=\n)[ \t]*(?:\(?[0-9]{1,2}[.)]|[-–*•])[ \t]+(?=\S)")
_N = r"\s*[(#$*]{0,3}[0-9](?:[0-9.,]*[0-9])?"
# Numbers that name a part of a text, or are put into a function.
_PART = r"\b(?:question|problem|exercise|part|step|chapter|section|equation|figure)s?"
_NAMES = re.compile(rf"{_PART}{_N}\b(?:\s*(?:-|–|to|and){_N}\b)?|(?<=[A-Za-z]\(){_N}(?=\))", re.IGNORECASE)
_THING = r"\b(?:no\.|number|page|line|row|column|room|bus|route|grade|level|day|week|year|round|lesson|unit)"
_COMPARED = (
    r"\b(?:than(?: or equal to)?|over|under|above|below|exceed(?:s|ing)?|after|before|within|every"
    r"|divisible by|multiples? of|(?:with|has|have|had) at (?:least|most))(?: the)?"
    r"(?: (?:first|next|last|past))?"
)
_OF_ALL = (
    r"(?:\b(?:each|one|all|half|some|any|none|most|out)|(?<=[0-9%]))\s+of"
    r"(?:\s+(?:the|these|those|his|her|their|its|my|our))?(?: (?:first|other|same|remaining))?"
)
# Numbers that number a thing, or say of what, when or under which condition.
_CONDITIONS = re.compile(
    rf"(?:#|{_THING})(?<!the number){_N}|(?:{_COMPARED}|{_OF_ALL}|\b(?:first|next|last|past)){_N}"
    rf"|\bbetween{_N}(?: [a-z]+)? and{_N}|\bfrom{_N} to{_N}|\b[0-9]{{1,2}}:[0-9]{{2}}\b"
    rf"|\bin{_N} (?:second|minute|hour|day|week|month|year)s?\b"
    rf"|\bwhich (?:is|was){_N} (?:\w+ )?(?:more|less|fewer|times|greater|higher|lower)\b"
    r"|\b(?:in|since|by|from|until|of)\s(?:1[5-9]|20)[0-9]{2}\b|\b[0-9]{1,4}(?:st|nd|rd|th\b|-(?=[A-Za-z]))"
    r"|\A\W*(?:since|because|if|when|given|although|while)\b[^,\n]{1,120},(?![0-9])",
    re.IGNORECASE,
)
_KNOW = (
    r"(?:answer|solv|determin|find|found|comput|calculat|tell|told|say|said|stat|giv|know|specif|mention"
    r"|conclud|infer|decid|figure)"
)
_WHO = r"\b(?:I|we|one|it|you|text|problem|question|passage|story|article|information|data)"
_CANNOT = r"(?:can(?:no|['’])t|can not|could(?: no|n['’])t)"
_DECLINES = re.compile(
    rf"{_WHO}\s+(?:\w+\s+)?(?:{_CANNOT}|d(?:o|oes|id)(?: no|n['’])t)\s(?:\w+\s){{0,3}}?{_KNOW}"
    rf"|\b{_CANNOT}\s+be\s+(?:\w+\s+)?{_KNOW}"
    r"|\b(?:is|are)(?: no|n['’])t\s+(?:\w+\s+)?(?:known|given|stated|specified|mentioned|determined|clear)\b"
    r"|\b(?:unable|impossible|not possible|not able|not enough|insufficient|no way)\s+to\s+(?:\w+\s+)?"
    rf"{_KNOW}|\b(?:not enough|insufficient)\s+(?:information|data|facts)"
    r"|\b(?:is|are|remains?)\s+(?:unknown|unclear|undetermined)\b"
    r"|\bno (?:definite |definitive |clear )?answer\b|无法|不能确定",
    re.IGNORECASE,
)
_GOES_ON = re.compile(r"\b(?:but|however|so|thus|therefore|hence|yet|still)\b[^\n]*[0-9]")


def first_sentence(text: str) -> str:
    """The first sentence of a text, without the full stop between it and another."""
    return SENTENCE_END.split(text.strip(), maxsplit=1)[0]


def declines(sentence: str) -> bool:
    """Whether a sentence says that there is no answer, as "I could not solve question 7" does."""
    said = _DECLINES.search(sentence)
    return said is not None and not _GOES_ON.search(sentence, said.end())


def said_number(stated: str) -> str | None:
    """The number that the rest of "The answer is …" says: its first sentence decides."""
    stated = stated[:_CONCLUSION_CHARS]
    sentence = first_sentence(stated)
    if declines(sentence):
        return None
    return _first_or_computed(sentence) or stated_number(_telling(sentence)) or first_number(_telling(stated))


def span_number(span: str) -> str | None:
    """The number of an answer span: its conclusion, unless its one sentence, or a bare first one, says it.

    "18 dollars for 2 days" says 18, and so does "18. It is 9 a day."; "9 * 2 = 18\n18 + 2 = 20" says 20.
    """
    text, sentence = span.strip(), first_sentence(span)
    if stated_number(text) == text:
        return text
    if (len(sentence) >= len(text) - 1 or _BARE.fullmatch(sentence)) and (
        found := _first_or_computed(sentence)
    ):
        return None if declines(sentence) else found
    end = text[-_CONCLUSION_CHARS:]
    return concluding_number(text) or (None if declines(end) else stated_number(_telling(end)))


def _first_or_computed(sentence: str) -> str | None:
    """The number that a sentence begins with or that its equations end in; or all of it that is a list."""
    if _BEGINS_WITH_NUMBER.match(sentence) or stated_number(sentence) == sentence:
        return stated_number(sentence)
    aside = _ASIDE.search(sentence)
    clause = sentence[: aside.start()] if aside and first_number(sentence[: aside.start()]) else sentence
    sides = _EQUALS.split(clause)
    computed = stated_number(sides[-1]) if len(sides) > 1 else None
    return computed and next(_same(computed, every_number(sides[-1])), computed)


def computes_on(text: str) -> bool:
    """Whether a text begins with a computation, or with what is known for one, that later sentences do."""
    first, *others = [*filter(None, map(str.strip, SENTENCE_END.split(text[:_CONCLUSION_CHARS]))), ""]
    known = set() if _BARE.fullmatch(first) or _EQUALS.search(first) else {*every_number(first)}
    used = (every_number(_EQUALS.split(other)[0]) for other in others if _WORKING.search(other))
    if known and any(not known.isdisjoint(numbers) for numbers in used):
        return True
    result = stated_number(_EQUALS.split(first)[-1]) if others and _WORKING.search(first) else None
    return result is not None and any(
        mark == result or mark == "=" for mark in (*every_number(others[0]), *others[0])
    )


def _telling(sentence: str) -> str:
    """A sentence without the numbers that name something, nor those of conditions where others are left."""
    named = _NAMES.sub(_blank, sentence)
    freed = _CONDITIONS.sub(_blank, named)
    return freed if first_number(freed) else named


def _same(computed: str, numbers: list[str]) -> Iterator[str]:
    """Those equal to a number, last first: of 3/12 = 25% that is the percentage."""
    return (number for number in reversed(numbers) if numbers_equal(computed, number))


def _blank(match: re.Match[str]) -> str:
    return " " * len(match[0])


def concluding_number(text: str) -> str | None:
    """The number that reasoning concludes with which never states its answer outright, as written there.

    Of several numbers in the last sentence with any it is the one that was computed last, that of "there are
    25 spiders on 5 twigs", or else the last. None where the conclusion is that there is no answer.
    """
    tail = _LIST_MARK.sub("", text[-_CONCLUSION_CHARS:].rstrip())
    condition = None
    for sentence in reversed(SENTENCE_END.split(tail)):
        if declines(sentence):
            return condition
        told = _telling(sentence)
        if not (numbers := every_number(told)):
            continue
        if condition and not _EQUALS.search(told):
            return condition
        found = _concluded(told, numbers, tail) if len(numbers) > 1 else numbers[0]
        # "That is more than 40": what was computed right before is meant, where it was.
        if condition or every_number(_CONDITIONS.sub(_blank, told)):
            return found
        condition = found
    if condition:
        return condition
    line = text.strip().rpartition("\n")[2]
    numeral = NUMERAL.match(line) if len(line) <= _SENTENCE_CHARS else None
    # 四十二公斤 and 三个 are an answer, 十分好 is none
    is_all = numeral and len(line[numeral.end() :].rstrip("。.")) <= (4 if numeral.end() > 1 else 1)
    return numeral[0] if numeral and is_all else last_number(text[:-_CONCLUSION_CHARS])


def _concluded(sentence: str, numbers: list[str], tail: str) -> str:
    last = sentence.rfind(numbers[-1])
    if len(sentence) > _SENTENCE_CHARS or _OPERATION.search(sentence[:last]):
        return numbers[-1]
    concludes = list(_THEN.finditer(sentence))
    if concludes and len(follows := every_number(sentence[concludes[-1].end() :])) == 1:
        return follows[0]
    results = list(_RESULT.finditer(tail))
    computed = first_number(tail[results[-1].end() : results[-1].end() + 60]) if results else None
    if computed:
        return next(_same(computed, numbers), numbers[-1])
    return numbers[0] if _TELLS_HOW_MANY.match(sentence) else numbers[-1]

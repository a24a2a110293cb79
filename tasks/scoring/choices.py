"""Multiple choice: which letter an answer means, whether it is a letter or the choice's own words."""

import re
from collections import deque
from collections.abc import Iterator, Sequence

from tasks.records import LETTERS
from tasks.scoring.markup import normalise_words, strip_markup
from tasks.scoring.numbers import first_number, is_number, numbers_equal

_STATED_CHARS = 1_000
_DEFAULT_LETTERS = LETTERS[:10]
_LONE = re.compile(r"^[(\[]?\s*([A-Za-z])\s*[)\]]?\s*[.:,;!]*$")
# A letter is over where no Latin letter follows; in Chinese none stands between it and the next word.
_AFTER_WORD, _BEFORE_WORD = "(?<![A-Za-zÀ-ɏ0-9_'’])", "(?![A-Za-zÀ-ɏ0-9_'’])"
# "(b)" names a choice in either case; a bare letter only as a capital, since "a" begins many sentences.
_LEADING = re.compile(
    rf"^(?:(?i:option|choice|answer|letter)\s+)?(?:[(\[]\s*([A-Za-z])\s*[)\]]|([A-Z]){_BEFORE_WORD})"
)
_LABEL = re.compile(r"[(\[]?([A-Z])[)\].:]+\s*")
# After a letter: "A or B", "A/B", "A, B", "(A) water and (C)"; but not "A, B is …", which goes on about B.
_HEDGE = re.compile(
    r"^(?:[^\w,]*|[)\]][^,.;()\[\]\n]{1,60}(?=\b(?:and|or)\b))"
    rf"(?:,(?:\s*(?:and|or)\b)?|/|&|\band\b|\bor\b)\s*[(\[]?(?-i:([A-Z])){_BEFORE_WORD}(?!\s+(?:is|are|was|has|does|would|can)\b)",
    re.IGNORECASE,
)
_NO_CHOICE = re.compile(
    r"\W*(?:none of (?:the|these|them)\b|neither\b|(?:can(?:not|'t)|could not) be (?:determined|answered)\b)",
    re.IGNORECASE,
)
# "B because A is …": what comes after speaks of other choices.
_CLAUSE_END = re.compile(r"[,;:\n]|\b(?:because|since|as|but|not|than|while|if)\b|n't\b")
_TRUTHS = {"yes": True, "true": True, "no": False, "false": False}
# "A marsh" goes on, "A because" does not.
_GOES_ON = re.compile(r" +(?!(?:because|since|as|for|due|which|and|or|but|so)\b)[a-z]")
_STANDALONE = re.compile(rf"{_AFTER_WORD}[(\[]?([A-Z])[)\]]?{_BEFORE_WORD}")
# What makes a letter part of a formula or a quantity: x_A, $A$, 2A, A = 2, A(x), E. coli; "**A**" is bold.
_SYMBOL_BEFORE = re.compile(r"(?:[\\{}_^$=+/|<>≈×·Δ0-9]|(?<!\*)\*)\s?\Z")
_SYMBOL_AFTER = re.compile(r"\s?(?:[\\{}_^$=+/|<>≈×·(]|\*(?!\*))|-|\. [a-z]|\s[0-9]")
_NAMED = re.compile(r"\b(?:option|choice|answer|letter)\W{0,4}\Z", re.IGNORECASE)


def choice_letter(answer: str, choices: Sequence[str] | None) -> str | None:
    """Tell which choice a short answer names: B, (B), B., B) text, option B, or the choice's text.

    Where the texts of the choices are not known, the letters A to J count. None where the answer names no
    choice or more than one.
    """
    text = strip_markup(answer)
    letters = _letters(choices)
    if lone := _LONE.match(text):
        letter = lone[1].upper()
        return letter if letter in letters else _exact_choice(text, choices or ())
    if choices and (letter := _exact_choice(text, choices) or _labelled_choice(text, choices)):
        return letter
    if choices and (letter := _leading_choice(text, choices) or _equal_choice(text, choices)):
        return letter
    if (leading := _LEADING.match(text)) and (letter := (leading[1] or leading[2]).upper()) in letters:
        hedge = _HEDGE.match(text[leading.end() :])
        if hedge and hedge[1] in letters and hedge[1] != letter:
            return None
        if not _is_article(letter, leading[2], text, leading.end()):
            return letter
    return mentioned_choice(text, choices) or _only_letter(text, letters) or _clause_letter(text, letters)


def last_letter(text: str, choices: Sequence[str] | None) -> str | None:
    """Find the last letter of a choice that stands alone; articles and symbols of formulas do not count."""
    return next(iter(deque(_standing_alone(text, _letters(choices)), maxlen=1)), None)


def names_no_choice(stated: str, choices: Sequence[str] | None) -> bool:
    """Whether the rest of "The answer is …" names no single choice: "A or B", "none of these", (F) of four.

    False also where it says nothing of choices.
    """
    letters, text = _letters(choices), strip_markup(stated[:_STATED_CHARS])
    if _NO_CHOICE.match(text):
        return True
    first = _STANDALONE.search(text)
    if first is None:
        return False
    if first[1] not in letters:
        return _LEADING.match(text) is not None and (first.group() != first[1] or first.end() == len(text))
    hedge = _HEDGE.match(text[first.end(1) :])
    return hedge is not None and hedge[1] in letters and hedge[1] != first[1]


def mentioned_choice(text: str, choices: Sequence[str] | None) -> str | None:
    """Find the one choice whose words occur in a text, and give its letter; None where none or several do.

    A choice within a longer mentioned one does not count.
    """
    haystack = f" {normalise_words(text)} "
    words = [normalise_words(choice) for choice in choices or ()]
    found = [word for word in words if word and f" {word} " in haystack]
    longest = [
        one for one in found if not any(one != other and f" {one} " in f" {other} " for other in found)
    ]
    return LETTERS[words.index(longest[0])] if len(longest) == 1 else None


def _only(holds: list[bool]) -> str | None:
    """The letter of the one choice of which something holds."""
    return LETTERS[holds.index(True)] if sum(holds) == 1 else None


def _exact_choice(text: str, choices: Sequence[str]) -> str | None:
    wanted = normalise_words(text)
    same = wanted and _only([normalise_words(choice) == wanted for choice in choices])
    return same or _only([choice.strip() == text.strip() for choice in choices])


def _labelled_choice(text: str, choices: Sequence[str]) -> str | None:
    """The letter before the words of the very choice that it names: "C. water", "(C) water"."""
    label = _LABEL.match(text)
    if label is None or (place := LETTERS.index(label[1])) >= len(choices):
        return None
    wanted = normalise_words(choices[place])
    return label[1] if wanted and normalise_words(text[label.end() :]) == wanted else None


def _leading_choice(text: str, choices: Sequence[str]) -> str | None:
    """The choice whose own words begin the answer, as in "no, because …"; the longest where several do."""
    wanted = f"{normalise_words(text)} "
    words = [normalise_words(choice) for choice in choices]
    longest = max((word for word in words if word and wanted.startswith(f"{word} ")), key=len, default=None)
    if longest is None or words.count(longest) > 1 or wanted[len(longest) :].startswith(" or "):
        return None
    return LETTERS[words.index(longest)]


def _equal_choice(text: str, choices: Sequence[str]) -> str | None:
    """The one choice of the same value, where all are numbers, or truth, where they are yes and no."""
    if is_number(text) and all(len(choice) <= _STATED_CHARS and first_number(choice) for choice in choices):
        return _only([numbers_equal(choice, text) for choice in choices])
    words = [normalise_words(choice) for choice in choices]
    first = normalise_words(text).partition(" ")[0]
    meant = _TRUTHS.get(first) if sorted(words) in (["no", "yes"], ["false", "true"]) else None
    return None if meant is None else _only([_TRUTHS[word] == meant for word in words])


def _letters(choices: Sequence[str] | None) -> str:
    return LETTERS[: len(choices)] if choices else _DEFAULT_LETTERS


def _clause_letter(text: str, letters: str) -> str | None:
    """The letter of a first clause that holds no other: "for sure D, it can't be A"."""
    end = _CLAUSE_END.search(text)
    if end is None:
        return None
    first = _STANDALONE.search(text, 0, end.start())
    hedge = _HEDGE.match(text[first.end(1) :]) if first else None
    return None if hedge and hedge[1] in letters else _only_letter(text[: end.start()], letters)


def _only_letter(text: str, letters: str) -> str | None:
    found = set(_standing_alone(text, letters))
    return found.pop() if len(found) == 1 else None


def _standing_alone(text: str, letters: str) -> Iterator[str]:
    """The letters that stand alone in a text and are no article or symbol, in order."""
    for match in _STANDALONE.finditer(text):
        article = _is_article(match[1], match.group(), text, match.end())
        if match[1] in letters and not article and not _is_symbol(text, match):
            yield match[1]


def _is_symbol(text: str, letter: re.Match[str]) -> bool:
    """Whether a bare letter belongs to a formula, a quantity or a name: B = 2, 30 N, $A$, E. coli."""
    if letter.group() != letter[1]:
        return False
    before = text[max(letter.start() - 25, 0) : letter.start()]
    if _NAMED.search(before):
        return False
    return bool(_SYMBOL_BEFORE.search(before) or _SYMBOL_AFTER.match(text, letter.end()))


def _is_article(letter: str, written: str | None, text: str, end: int) -> bool:
    """Whether a bare A or I, with words going on after it, is the English word and not a choice."""
    return written == letter and letter in "AI" and _GOES_ON.match(text, end, end + 40) is not None

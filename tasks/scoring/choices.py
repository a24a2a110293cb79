"""Multiple choice: which letter an answer means, whether it is a letter or the choice's own words."""

import re
from collections import deque
from collections.abc import Iterator, Sequence

import tasks.scoring.latex as latex
from tasks.records import LETTERS
from tasks.scoring.markup import normalise_words, strip_markup
from tasks.scoring.numbers import begins_with_number, every_number, is_number, numbers_equal

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
# "None of these", "not listed", "I cannot select …", "no definitive answer": the rest of the sentence too.
_ABSTAINS = re.compile(
    r"\b(?:none of (?:these|them|the (?:above|options|choices|answers|given|listed))|neither"
    r"|(?:is|are|was)(?: not|n't) (?:listed"
    r"|(?:given|any|one|among)(?: of)?(?: the| these)? (?:options|choices|answers))"
    r"|not (?:enough|sufficient) information|insufficient (?:information|data)"
    r"|no (?:(?:single|one|definitive|definite|clear|correct|right|valid|given) )*(?:answer|option|choice)s?"
    r"|(?:can(?:not|'t| not)|could(?: not|n't)|unable to|(?:do|did)(?: not|n't)) (?:\w+ ){0,2}?"
    r"(?:be )?(?:select|determin|cho+se|answer|decide|pick|solve|know|tell|say|find|identif)\w*)\b"
    r"(?:(?!\b(?:but|however|though)\b)[^.!?\n]){0,200}",
    re.IGNORECASE,
)
_SPEAKS_OF_ANSWERS = re.compile(r"answer|option|choice|listed|none of", re.IGNORECASE)
_PICKS = re.compile(
    r"\b(?:closest|nearest|best|cho+se|pick|select|go with|guess|answer|option|choice)\b", re.IGNORECASE
)
# Operators, commands, and a letter or digit beside one: words lose these without changing, formulas do not.
_FORMULA = re.compile(
    r"[$\\^=<>+×÷√≤≥π*]|(?<![A-Za-z])[-−–]\s?[0-9.$]|[0-9)]\s?[-−–/]"
    r"|(?<![A-Za-z])[A-Za-z]\s?[-−–/]\s?[A-Za-z0-9](?![A-Za-z])"
)
_FORMULA_CHARS = 300
_LETTERED = re.compile(r"[(\[][A-Z][)\]]|[A-Z][).:,]")
_PROSE = re.compile(r"(?<![\\A-Za-z{])[A-Za-z]{3,} +[A-Za-z]{2,}")
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}")
_ASIDE = re.compile(r"[^.!?\n]{0,200}\?(?=\s{0,20}\S)")
# "B because A is …": what comes after speaks of other choices.
_CLAUSE_END = re.compile(r"[,;:\n]|\b(?:because|since|as|but|not|than|while|if)\b|n't\b")
_TRUTHS = {"yes": True, "true": True, "no": False, "false": False}
# "A marsh" goes on, "A because" does not.
_GOES_ON = re.compile(r" +(?!(?:because|since|as|for|due|which|and|or|but|so)\b)[a-z]")
_STANDALONE = re.compile(rf"{_AFTER_WORD}[(\[]?([A-Z])[)\]]?{_BEFORE_WORD}")
# What makes a letter part of a formula or a quantity: x_A, $A$, 2A, A = 2, A(x), E. coli; "**A**" is bold.
_SYMBOL_BEFORE = re.compile(
    r"(?:[\\{}_^$=+/|<>≈×·Δ0-9]|(?<!\*)\*|\\(?:cup|cap|times|cdot|div|pm|setminus|circ))\s?\Z"
)
_SYMBOL_AFTER = re.compile(r"\s?(?:[\\{}_^$=+/|<>≈×·(]|\*(?!\*))|-|\. [a-z]|\s[0-9]")
_OPERATOR_AFTER = re.compile(r"\s?[\\{}_^=+/<>≈×·]|-|\*(?!\*)")
_NAMED = re.compile(r"\b(?:option|choice|answer|letter)\W{0,4}\Z", re.IGNORECASE)


def choice_letter(answer: str, choices: Sequence[str] | None) -> str | None:
    """Tell which choice a short answer names: B, (B), B., B) text, option B, or the choice's text or value.

    Where the texts of the choices are not known, the letters A to J count. None where the answer names no
    choice or more than one. Formulas are compared as formulas: x - 3 is not x + 3.
    """
    text = strip_markup(answer)
    letters = _letters(choices)
    if lone := _LONE.match(text):
        letter = lone[1].upper()
        return letter if letter in letters else _exact_choice(text, choices or ())
    if choices and (letter := _exact_choice(text, choices) or _labelled_choice(text, choices)):
        return letter
    if "?" in text[:-1] and len(text) <= _STATED_CHARS:
        text = _ASIDE.sub("", text).strip()  # "A marsh? No: B": what was asked is not what is said
    if choices and (letter := _leading_choice(text, choices) or _equal_choice(text, choices)):
        return letter
    if (leading := _LEADING.match(text)) and (letter := (leading[1] or leading[2]).upper()) in letters:
        hedge = _HEDGE.match(text[leading.end() :])
        if hedge and hedge[1] in letters and hedge[1] != letter:
            return None
        bare = leading[2] is not None and leading.end() == leading.end(2) and not leading.start(2)
        symbol = bare and _OPERATOR_AFTER.match(text, leading.end()) is not None
        if not symbol and not _is_article(letter, leading[2], text, leading.end()):
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
    if _ABSTAINS.match(text.lstrip(" *_:,")):
        return True
    first = _STANDALONE.search(text)
    if first is None:
        return False
    if first[1] not in letters:
        return _LEADING.match(text) is not None and (first.group() != first[1] or first.end() == len(text))
    hedge = _HEDGE.match(text[first.end(1) :])
    return hedge is not None and hedge[1] in letters and hedge[1] != first[1]


def abstains(text: str, choices: Sequence[str] | None) -> bool:
    """Whether a text ends without an answer and says so: not listed, cannot be determined.

    Not where that is one of the choices, or a choice is picked after it all the same.
    """
    said = next(iter(deque(_ABSTAINS.finditer(text), maxlen=1)), None)
    if said is None or any(map(_ABSTAINS.search, choices or ())):
        return False
    rest = text[said.end() :]
    if re.search(r"[.!?\n]\s*\w", rest) and not _SPEAKS_OF_ANSWERS.search(said.group()):
        return False  # the reasoning went on
    return not (_PICKS.search(rest) and last_letter(rest, choices))


def mentioned_choice(text: str, choices: Sequence[str] | None) -> str | None:
    """Find the one choice whose words or number occur in a text, and give its letter; else None.

    A choice within a longer mentioned one does not count, nor a number or a letter within a formula.
    """
    numbers = every_number(text) if any(map(is_number, choices or ())) else []
    haystack = f" {normalise_words(text)} "
    words = [normalise_words(choice) for choice in choices or ()]

    def occurs(choice: str, word: str) -> bool:
        if is_number(choice):
            return any(numbers_equal(choice, number) for number in numbers)
        return (
            f" {word} " in haystack and not _is_formula(choice) and (len(word) > 1 or not _is_formula(text))
        )

    found = [word for choice, word in zip(choices or (), words, strict=True) if word and occurs(choice, word)]
    longest = [
        one for one in found if not any(one != other and f" {one} " in f" {other} " for other in found)
    ]
    return LETTERS[words.index(longest[0])] if len(longest) == 1 else None


def _is_formula(text: str) -> bool:
    return len(text) <= _FORMULA_CHARS and _FORMULA.search(text) is not None and not _DATE.search(text)


def _only(holds: list[bool]) -> str | None:
    """The letter of the one choice of which something holds."""
    return LETTERS[holds.index(True)] if sum(holds) == 1 else None


def _exact_choice(text: str, choices: Sequence[str]) -> str | None:
    exact = _only([choice.strip() == text for choice in choices])
    if exact or not (wanted := normalise_words(text)):
        return exact
    if not _is_formula(text):
        return _only([normalise_words(choice) == wanted and not _is_formula(choice) for choice in choices])
    return _only([_is_formula(choice) and _bare(choice) == _bare(text) for choice in choices])


def _bare(text: str) -> str:
    return re.sub(r"\\[,;! ]|[\s$]|\.\Z", "", text)


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
    words = [
        "" if _is_formula(choice) or is_number(choice) else normalise_words(choice) for choice in choices
    ]
    longest = max((word for word in words if word and wanted.startswith(f"{word} ")), key=len, default=None)
    if longest is None or words.count(longest) > 1 or wanted[len(longest) :].startswith(" or "):
        return None
    if len(longest) == 1 and _is_formula(text):
        return None
    return LETTERS[words.index(longest)]


def _equal_choice(text: str, choices: Sequence[str]) -> str | None:
    """The one choice of the same value: a number, a formula, or truth where they are yes and no."""
    if number := begins_with_number(text):
        valued = [is_number(choice) or begins_with_number(choice) is not None for choice in choices]
        alike = (
            has and numbers_equal(choice, text if is_number(text) else number)
            for has, choice in zip(valued, choices, strict=True)
        )
        if letter := _only(list(alike)):
            return letter
    if (_is_formula(text) or is_number(text)) and not _LETTERED.match(text):
        return _equal_formula(text, choices)
    words = [normalise_words(choice) for choice in choices]
    first = normalise_words(text).partition(" ")[0]
    meant = _TRUTHS.get(first) if sorted(words) in (["no", "yes"], ["false", "true"]) else None
    return None if meant is None else _only([_TRUTHS[word] == meant for word in words])


def _equal_formula(text: str, choices: Sequence[str]) -> str | None:
    """The one choice that is the same in algebra; Math-Verify is asked where forms settle nothing."""
    if len(text) > _FORMULA_CHARS or _PROSE.search(text) or not any(map(_is_formula, choices)):
        return None
    settled = [latex.settled_equal(choice, text) for choice in choices]
    if True not in settled and _is_formula(text) and not is_number(text):
        settled = [
            verdict is None and _is_formula(choice) and latex.latex_equal(choice, text)
            for verdict, choice in zip(settled, choices, strict=True)
        ]
    return _only([verdict is True for verdict in settled])


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

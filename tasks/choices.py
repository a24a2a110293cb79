"""Multiple choice: which letter an answer means, whether it is a letter or the choice's own words."""

import re
from collections.abc import Sequence

from tasks.records import LETTERS
from tasks.words import normalise_words, strip_markup

_DEFAULT_LETTERS = LETTERS[:10]
_LONE = re.compile(r"^[(\[]?\s*([A-Za-z])\s*[)\]]?\s*[.:,;!]*$")
_LEADING = re.compile(
    r"^(?:(?i:option|choice|answer|letter)\s+)?(?:[(\[]\s*([A-Za-z])\s*[)\]]|([A-Z])(?![\w'’]))"
)
_HEDGE = re.compile(r"^\W*(?:,|/|&|\band\b|\bor\b)\s*[(\[]?([A-Z])(?![\w'’])", re.IGNORECASE)
_STANDALONE = re.compile(r"(?<![\w'’])[(\[]?([A-Z])[)\]]?(?![\w'’])")


def choice_letter(answer: str, choices: Sequence[str] | None) -> str | None:
    """Tell which choice a short answer names: B, (B), B., B) text, option B, or the choice's text.

    Args:
        answer: the answer, already extracted from the output.
        choices: the texts of the choices; None where they are not known (then letters A to J).

    Returns:
        The capital letter, or None where the answer names no choice or more than one.
    """
    text = strip_markup(answer)
    letters = LETTERS[: len(choices)] if choices else _DEFAULT_LETTERS
    if lone := _LONE.match(text):
        letter = lone[1].upper()
        return letter if letter in letters else None
    if choices and (letter := _exact_choice(text, choices)):
        return letter
    if choices and (letter := _leading_choice(text, choices)):
        return letter
    if (leading := _LEADING.match(text)) and (letter := (leading[1] or leading[2]).upper()) in letters:
        after = text[leading.end() :]
        hedge = _HEDGE.match(after)
        if hedge and hedge[1].upper() in letters and hedge[1].upper() != letter:
            return None
        if not _is_article(letter, leading[2], after):
            return letter
    return mentioned_choice(text, choices) or _only_letter(text, letters)


def last_letter(text: str, choices: Sequence[str] | None) -> str | None:
    """Find the last letter of a choice that stands alone; the article A and the pronoun I do not count.

    Args:
        text: reasoning that never states its answer outright.
        choices: as for `choice_letter`.

    Returns:
        The letter, or None.
    """
    letters = LETTERS[: len(choices)] if choices else _DEFAULT_LETTERS
    found = None
    for match in _STANDALONE.finditer(text):
        if match[1] in letters and not _is_article(
            match[1], match.group(), text[match.end() : match.end() + 40]
        ):
            found = match[1]
    return found


def mentioned_choice(text: str, choices: Sequence[str] | None) -> str | None:
    """Find the one choice whose words occur in a text; a choice within a longer mentioned one does not count.

    Args:
        text: any text.
        choices: the texts of the choices.

    Returns:
        Its letter, or None where no choice or more than one is mentioned.
    """
    haystack = f" {normalise_words(text)} "
    words = [normalise_words(choice) for choice in choices or ()]
    found = [
        (letter, word)
        for letter, word in zip(LETTERS, words, strict=False)
        if word and f" {word} " in haystack
    ]
    longest = [
        letter
        for letter, word in found
        if not any(word != other and f" {word} " in f" {other} " for _, other in found)
    ]
    return longest[0] if len(longest) == 1 else None


def _exact_choice(text: str, choices: Sequence[str]) -> str | None:
    wanted = normalise_words(text)
    same = [
        letter for letter, choice in zip(LETTERS, choices, strict=False) if normalise_words(choice) == wanted
    ]
    if len(same) == 1 and wanted:
        return same[0]
    verbatim = [
        letter for letter, choice in zip(LETTERS, choices, strict=False) if choice.strip() == text.strip()
    ]
    return verbatim[0] if len(verbatim) == 1 else None


def _leading_choice(text: str, choices: Sequence[str]) -> str | None:
    """The choice whose own words begin the answer, as in "no, because …"; the longest where several do."""
    wanted = f"{normalise_words(text)} "
    words = [normalise_words(choice) for choice in choices]
    longest = max((word for word in words if word and wanted.startswith(f"{word} ")), key=len, default=None)
    if longest is None or words.count(longest) > 1 or wanted[len(longest) :].startswith(" or "):
        return None
    return LETTERS[words.index(longest)]


def _only_letter(text: str, letters: str) -> str | None:
    found = {
        match[1]
        for match in _STANDALONE.finditer(text)
        if match[1] in letters and not _is_article(match[1], match.group(), text[match.end() :])
    }
    return found.pop() if len(found) == 1 else None


def _is_article(letter: str, written: str | None, after: str) -> bool:
    """Whether a bare A or I, with words going on after it, is the English word and not a choice."""
    bare = written is not None and written == letter
    return bare and letter in "AI" and re.match(r" +[a-z]", after) is not None

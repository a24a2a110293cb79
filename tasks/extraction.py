r"""Find the final answer in free text: what was stated outright, or else the best guess.

The order is that of the strength of the evidence: the last ``\boxed{…}``, then ``#### x``, then a sentence or
line such as "the answer is x", and only then the last number, letter or line.
"""

import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from tasks.choices import choice_letter, last_letter, mentioned_choice
from tasks.numeric import first_number, last_number
from tasks.records import Kind
from tasks.words import strip_markup

_TAIL_CHARS = 50_000
_BOXED = re.compile(r"\\(?:boxed|fbox)\s*\{")
_HASHES = re.compile(r"####[ \t]*([^\n]*)")
_STATEMENT = re.compile(
    r"\banswer[ \t]*(?:\*\*|__)?(?:[ \t]+(?:to|for|of)\b[^\n.:]{0,120}?)?[ \t]*"
    r"(?:(?:is|are|was|equals|will be|would be|should be|must be)\b[ \t]*:?|:|=)"
    r"|^[ \t]*(?:\*\*)?A(?:\*\*)?[ \t]*:",
    re.IGNORECASE | re.MULTILINE,
)
_SENTENCE_END = re.compile(r"\.\s+(?=[^\s\d])|\n")
_MATH = re.compile(r"\$\$(.+?)\$\$|\\\[(.+?)\\\]|\\\((.+?)\\\)|(?<![\\$])\$([^$\n]+?)\$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Found:
    """An answer found in a text.

    Attributes:
        answer: the answer as written (for choices: the letter).
        explicit: it was stated as the answer, not guessed from its place.
        complete: something follows it that shows that it was not cut off.
    """

    answer: str
    explicit: bool
    complete: bool


def extract_final_answer(text: str, kind: Kind, choices: Sequence[str] | None) -> str | None:
    """Find the final answer of a text as best one can; see the module for the order.

    Args:
        text: an output without tags; only its last 50,000 characters are searched.
        kind: what kind of answer to look for.
        choices: the texts of the choices, for kind choice.

    Returns:
        The answer as written (a letter for kind choice), or None.
    """
    found = find_answer(text, kind, choices)
    return found.answer if found else None


def find_answer(text: str, kind: Kind, choices: Sequence[str] | None) -> Found | None:
    """Find the final answer and say how sure it is; arguments as for `extract_final_answer`."""
    tail = text[-_TAIL_CHARS:]
    for stated, complete in _statements(tail):
        answer = read_stated(stated, kind, choices)
        if answer:
            return Found(answer, explicit=True, complete=complete or _is_followed(stated, answer, kind))
    guess = _guess(tail, kind, choices)
    return Found(guess, explicit=False, complete=False) if guess else None


def read_stated(stated: str, kind: Kind, choices: Sequence[str] | None) -> str | None:
    """Read the answer out of a statement of it, such as the rest of "The answer is …" or an answer span.

    Args:
        stated: the text that should hold the answer and little else.
        kind: what kind of answer it is.
        choices: the texts of the choices, for kind choice.

    Returns:
        The answer as written (a letter for kind choice), or None where it holds none.
    """
    sentence = _SENTENCE_END.split(stated.strip(), maxsplit=1)[0]
    if kind == "number":
        after_equals = first_number(sentence.rpartition("=")[2]) if "=" in sentence else None
        return after_equals or first_number(sentence) or first_number(stated)
    if kind == "choice":
        return choice_letter(stated, choices) or choice_letter(sentence, choices)
    line = stated.strip() if kind == "latex" else strip_markup(sentence)
    return line.rstrip(".").strip() or None


def read_span(text: str, kind: Kind, choices: Sequence[str] | None) -> str | None:
    """Read the answer out of an answer span: a statement in it, else the span itself (its last number)."""
    for stated, _ in _statements(text[-_TAIL_CHARS:]):
        if answer := read_stated(stated, kind, choices):
            return answer
    if kind == "number":
        return first_number(text.rpartition("=")[2]) if "=" in text else last_number(text[-_TAIL_CHARS:])
    if kind == "choice":
        return choice_letter(text, choices) or last_letter(text, choices)
    return text.strip() or None


def _statements(text: str) -> list[tuple[str, bool]]:
    """The last statement of each sort, strongest first, and whether its end was seen."""
    statements: list[tuple[str, bool]] = []
    if boxed := _last_boxed(text):
        statements.append((boxed, True))
    for pattern in (_HASHES, _STATEMENT):
        matches = deque(pattern.finditer(text), maxlen=1)
        if matches:
            last = matches.pop()
            statements.append(_line_after(text, last.start(1) if pattern is _HASHES else last.end()))
    return statements


def _line_after(text: str, start: int) -> tuple[str, bool]:
    """The line that starts here, or where it is blank the next one that is not; and whether it was ended."""
    end = text.find("\n", start)
    line = text[start : end if end >= 0 else None]
    if not strip_markup(line).strip(" *_:") and end >= 0:
        rest = text[end:].lstrip()
        start = len(text) - len(rest)
        end = text.find("\n", start)
        line = text[start : end if end >= 0 else None]
    return line, end >= 0


def _is_followed(stated: str, answer: str, kind: Kind) -> bool:
    """Whether something after the answer shows that it was not cut; a comma may stand inside a number."""
    if kind in ("latex", "text"):
        return stated.rstrip().endswith(".")
    after = stated[stated.rfind(answer) + len(answer) :] if answer in stated else ""
    return bool(after.strip(" ,"))


def _last_boxed(text: str) -> str | None:
    """The content of the last closed box; braces are matched, and escaped braces are text."""
    for start in reversed([match.end() for match in _BOXED.finditer(text)][-20:]):
        depth, position = 1, start
        for position in range(start, min(len(text), start + 5000)):
            if text[position] in "{}" and text[position - 1] != "\\":
                depth += 1 if text[position] == "{" else -1
            if not depth:
                return text[start:position].strip() or None
    return None


def _guess(text: str, kind: Kind, choices: Sequence[str] | None) -> str | None:
    if kind == "number":
        return last_number(text)
    if kind == "choice":
        whole = None if "\n" in text.strip() else choice_letter(text[:200], choices)
        letter = whole or last_letter(text, choices) or mentioned_choice(text, choices)
        return letter or mentioned_choice(text.rstrip().rpartition("\n")[2], choices)
    if kind == "latex":
        groups = _MATH.findall(text[-5000:])
        if groups:
            return "".join(groups[-1]).strip() or None
    return text.rstrip().rpartition("\n")[2].strip() or None

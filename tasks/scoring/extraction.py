r"""Find the final answer in free text: what was stated outright, or else the best guess.

Only the answer to the question asked counts, not what a model writes on to the next one: base models go on to
another question, or another's turn. The order is that of the strength of the evidence: a sentence "the final
answer is x" after the last box, the last ``\boxed{…}``, then ``#### x``, then a sentence or line such as "the
answer is x", and only then the last number, letter or formula.
"""

import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from tasks.records import Kind
from tasks.scoring.choices import abstains, choice_letter, last_letter, mentioned_choice, names_no_choice
from tasks.scoring.conclusions import (
    SENTENCE_END,
    computes_on,
    concluding_number,
    declines,
    first_sentence,
    said_number,
    span_number,
)
from tasks.scoring.digits import plain_digits
from tasks.scoring.markup import first_formula, joined_boxes, last_formula, strip_markup
from tasks.tags.answers import closed_boxes

_TAIL_CHARS = 50_000
_SENTENCE_CHARS = 300
_MENTION_CHARS = 1_000
"""A longer text mentions many things: the words of a choice somewhere in it are no answer."""
_MOST_STATEMENTS = 5
_MOST_QUESTIONS = 3
_HASHES = re.compile(r"####[ \t]*([^\n]*)")
_PROSE = re.compile(r"[A-Za-z]{2,} +(?:[^\s]+ +)?[A-Za-z]{2,}")
# Possessive: with a plain {0,20} two gaps side by side could share a row of spaces in many ways.
_GAP = r"[ \t]{0,20}+"
# "(final) answer", perhaps bold, with "(in km)" or "to the question" after it, then "is", "=" or a colon,
# unless it "is not" or "is correct"; or a heading "## Answer" on a line of its own; or "A:" that begins one.
_ENGLISH = (
    rf"\b(?P<final>final[ \t]{{1,20}}+)?answer{_GAP}(?:\*\*|__)?+(?:{_GAP}\([^()\n]{{1,40}}\))?+"
    rf"(?:{_GAP}(?:(?<=[ \t])(?:to|for|of)\b[^\n.:]{{0,80}}?|,[^\n,.:]{{0,40}},))?{_GAP}"
    rf"(?:(?:is|are|was|equals|(?:will|would|should|must) be|(?:comes|turns) out to(?: be)?)\b"
    rf"(?!{_GAP}(?:not|(?:in)?correct|wrong|right)\b){_GAP}(?:\*\*)?:?|:|=|→|->)"
    r"|^[ \t#*_]{0,10}(?:final[ \t]{1,20})?answer[ \t*_]{0,10}$"
    rf"|^{_GAP}(?:\*\*)?(?:A|Ans)(?:\*\*)?\.?{_GAP}:"
    # What agents write: Finish[D], Answer("C"); and a choice as one's own.
    r"|\b(?:finish|answer|submit)[\[(][\"' ]{0,3}"
    rf"|\b(?:final|my|best|correct)[ \t]{{1,5}}(?:choice|option){_GAP}(?:\*\*)?{_GAP}"
    rf"(?:is\b(?!{_GAP}not\b)|:){_GAP}(?:\*\*)?"
)
# The answer in other languages, "is" or a colon after it and no "not"; "故选B", "选择 C 项" in Chinese.
_ELSEWHERE = (
    r"(?:(?:最终|正确|最后)?(?:的)?答案|(?<![回应解])答|答え|正解|정답|답(?=[은: ])"
    r"|الإجابة|الاجابة|الجواب|उत्तर|উত্তর|คำตอบ|సమాధానం"
    r"|\b(?:ответ|respuesta|réponse|antwort|lösung|resposta|risposta|jibu|jawaban|cevap|đáp án)\b)"
    r"[^\n.:：。，,]{0,20}?[】\])）*_ \t]{0,5}"
    r"(?:[:：=]|应?该?(?:是|为|為)|は|(?:은|는)|هو|هي|है|হল|হলো|কি|คือ|(?<=】)"
    r"|\b(?:es|est|ist|lautet|é|è|ni|adalah|là|jest)\b)"
    r"(?![ \t]{0,5}(?:不|否|无|لا|नहीं|না|ไม่|\b(?:no|nicht|pas|non|não|не|si)\b))[】：:*_ \t]{0,5}"
    r"|(?<![不别未可])选(?:择|項|项|为|：|:|[ \t]){0,3}(?=[(（]?[A-J](?![A-Za-z]))"
)
_STATEMENT = re.compile(f"{_ENGLISH}|{_ELSEWHERE}", re.IGNORECASE | re.MULTILINE)
# The question said again, where an answer is due.
_QUESTION = re.compile(
    r"\W*(?:wh(?:o|ose|om|at|en|ere|ich|y)|how|is|are|was|were|do|does|did|can|will|would|in|at|on|to|for|from"
    r"|if)\b[^?\n]{0,300}+[?？][\s*_\"]*",
    re.IGNORECASE,
)
_BEFORE_WORKING = re.compile(r"\b(?:answer|a|ans)\W*\Z", re.IGNORECASE)
_END_TOKEN = re.compile(
    r"<\|[\w ]{1,30}\|>|</?(?:br|p|b|i|s|eo[a-z]|bos|pad|unk|end|sep|im_end)\s?/?>", re.IGNORECASE
)
# Also with the full-width marks of Chinese outputs.
_LABELLED_LINE = re.compile(r"[(\[]?[A-Z][)\].:,。，：、].{1,300}")


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


class _Statement(NamedTuple):
    """A statement of the answer: its text, whether its end was seen, whether it is the answer and no more."""

    text: str
    complete: bool
    bare: bool = False


def find_answer(text: str, kind: Kind, choices: Sequence[str] | None) -> Found | None:
    """Find the final answer of a text as best one can, and say how sure it is; see the module for the order.

    Args:
        text: an output without tags; only its last 50,000 characters are searched.
        kind: what kind of answer to look for.
        choices: the texts of the choices, for kind choice.
    """
    turn = own_turn(text)
    parts = [_plain(part[-_TAIL_CHARS:], kind) for part in (*before_next_question(turn), turn)]
    for part in parts:
        if found := _find_stated(part, kind, choices):
            return found
        stated = _statements(part, kind) if kind == "choice" else ()
        if any(names_no_choice(each.text, choices) for each in stated) or _gives_up(part, kind, choices):
            return None
        leads_up = part is not parts[-1] and _LEADS_UP.match(part)
        if not leads_up and (guess := _guess(part, kind, choices)):
            return Found(guess, explicit=False, complete=False)
    return None


def _plain(text: str, kind: Kind) -> str:
    """Without end-of-text tokens and line breaks of HTML; the digits of other scripts as those of ASCII."""
    text = _END_TOKEN.sub(" ", text)
    return plain_digits(text) if kind in ("number", "choice") else text


def _gives_up(text: str, kind: Kind, choices: Sequence[str] | None) -> bool:
    """Whether a text that states no answer ends by saying that there is none."""
    end = text[-_SENTENCE_CHARS * 2 :].strip()
    if kind == "choice":
        return abstains(end, choices)
    return declines(SENTENCE_END.split(end.rstrip(" .!*"))[-1])


def _read(statement: _Statement, kind: Kind, choices: Sequence[str] | None) -> str | None:
    """Read the answer out of a statement of it, such as the rest of "The answer is …"."""
    stated = statement.text
    if statement.bare and kind == "latex":
        return stated.strip().rstrip(".") or None
    if kind == "number":
        return said_number(stated)
    sentence = first_sentence(stated)
    if kind == "choice":
        return choice_letter(stated, choices) or choice_letter(sentence, choices)
    if kind == "latex":
        return first_formula(stated) or None
    return strip_markup(sentence).rstrip(".").strip() or None


def read_span(text: str, kind: Kind, choices: Sequence[str] | None) -> Found | None:
    """Read the answer out of an answer span: a statement in it, else the span itself."""
    tail = _plain(text[-_TAIL_CHARS:], kind)
    if found := _find_stated(tail, kind, choices):
        answer: str | None = found.answer
    elif kind not in ("text", "contains") and _gives_up(tail, kind, choices):
        answer = None
    elif kind == "number":
        answer = span_number(_past_question(tail))
    elif kind == "choice":
        named = choice_letter(tail, choices)
        answer = named or (None if names_no_choice(tail, choices) else last_letter(tail, choices))
    else:
        answer = _past_question(text).strip()
    return Found(answer, explicit=True, complete=True) if answer else None


def is_prose(text: str) -> bool:
    """Whether a text is words without a formula."""
    return "\\" not in text and "$" not in text and _PROSE.search(text) is not None


def _past_question(text: str) -> str:
    """What follows the question where a text begins with it; all of the text where nothing does."""
    question = _QUESTION.match(text)
    return text[question.end() :] or text if question else text


def _find_stated(text: str, kind: Kind, choices: Sequence[str] | None) -> Found | None:
    for stated in _statements(text, kind):
        start = text.rfind(stated.text)
        if not stated.bare and (question := _QUESTION.match(stated.text)):
            stated = _Statement(*_line_after(text, start + question.end()))
        answer = _read(stated, kind, choices)
        if kind == "number" and _BEFORE_WORKING.search(text[:start][-20:]) and computes_on(text[start:]):
            answer = concluding_number(text[start:])
        if answer:
            return Found(answer, True, complete=stated.complete or _is_followed(stated.text, answer, kind))
    return None


def _statements(text: str, kind: Kind) -> list[_Statement]:
    """The last statements of each sort, strongest first."""
    boxes = closed_boxes(text)
    boxed_until = boxes[-1].content_end if boxes else 0
    strong: list[_Statement] = []
    hashes = deque(_HASHES.finditer(text), maxlen=1)
    weak = [_Statement(*_line_after(text, match.start(1)), bare=True) for match in hashes]
    for match in reversed(deque(_STATEMENT.finditer(text), maxlen=_MOST_STATEMENTS)):
        final = match["final"] and boxes and match.start() > boxed_until
        (strong if final else weak).append(_Statement(*_line_after(text, match.end())))
    if boxes:
        last = text[boxes[-1].content_start : boxed_until]
        strong.append(_Statement(joined_boxes(text, boxes) if kind == "latex" else last, True, bare=True))
    return strong + weak


def _line_after(text: str, start: int) -> tuple[str, bool]:
    """The line that starts here, or where it is blank the next one that is not; and whether it was ended.

    A formula that is displayed over several lines is one line.
    """
    end = text.find("\n", start)
    line = text[start : end if end >= 0 else None]
    if end >= 0 and "$$" not in line and not strip_markup(line).strip(" *_:"):
        rest = text[end:].lstrip()
        start = len(text) - len(rest)
        end = text.find("\n", start)
        line = text[start : end if end >= 0 else None]
    opened = "$$" if line.count("$$") % 2 else "\\]" if line.count("\\[") > line.count("\\]") else None
    closed = text.find(opened, start + len(line)) if opened else -1
    return (text[start : closed + 2], True) if closed >= 0 else (line, end >= 0)


def _is_followed(stated: str, answer: str, kind: Kind) -> bool:
    """Whether something after the answer shows that it was not cut; a comma may stand inside a number."""
    if kind not in ("number", "choice"):
        return stated.rstrip().endswith((".", "$", "\\)", "\\]"))
    after = stated[stated.rfind(answer) + len(answer) :] if answer in stated else ""
    return bool(after.strip(" ,-/:^*+"))


def _guess(text: str, kind: Kind, choices: Sequence[str] | None) -> str | None:
    if kind == "number":
        return concluding_number(text)
    if kind == "choice":
        return _guess_choice(text.strip(), choices)
    if kind == "latex" and (formula := last_formula(text)):
        return formula
    return _past_question(text.rstrip().rpartition("\n")[2]).strip() or None


def _guess_choice(text: str, choices: Sequence[str] | None) -> str | None:
    """The choice that a short answer begins with, that the last sentence names, or the last that is named."""
    if _LABELLED_LINE.fullmatch(text) and (letter := choice_letter(text, choices)):
        return letter
    sentence = SENTENCE_END.split(text[-_SENTENCE_CHARS:])[-1]
    if letter := choice_letter(sentence, choices) or last_letter(text, choices):
        return letter
    short = text if len(text) <= _MENTION_CHARS else ""
    return mentioned_choice(short, choices) or mentioned_choice(text.rpartition("\n")[2], choices)


_ANOTHER_SPEAKER = re.compile(
    r"<\|(?:im_start|im_end|endoftext|end_of_text|eot_id|eom_id|end|user|human|system|start_header_id)\|>|</s>"
    r"|<eo[ahs]>|<(?:start|end)_of_turn>|\[INST\]|<｜(?:User|end▁of▁sentence)｜>"
    r"|\n(?:#{1,6} |\*\*)?(?:User|Human)(?:\*\*)?\s?:"
)
_ASKS = r"(?:Question|Problem|Exercise|Instruction|Input|Prompt|Task)(?: ?#?[0-9]{1,4})?"
_ANOTHER_QUESTION = re.compile(
    rf"\n[ \t]{{0,20}}(?:\*\*|#{{1,6}} ?)?(?:Q|{_ASKS}|问题|题目)[0-9]{{0,4}}(?:\*\*)?\s?[:.：]"
    rf"|\n#{{1,6}} ?{_ASKS}[ \t]*\n",
    re.IGNORECASE,
)
# What leads up to a question that is said again, and holds no answer to it.
_LEADS_UP = re.compile(r"\s*(?:let|sure|okay|ok|here|first|to|we|i)\b|.*[:?]\s*\Z", re.IGNORECASE | re.DOTALL)
_SEARCHED_CHARS = 500_000
"""A longer output is no answer with others after it, but one that never ends."""


def own_turn(text: str) -> str:
    """The text up to where another speaker's turn begins; all of it where that is at its start."""
    return next(_before(_ANOTHER_SPEAKER, text), text)


def before_next_question(text: str) -> list[str]:
    """The text of one turn up to each next question that it goes on to, shortest first; three at most."""
    return list(islice(_before(_ANOTHER_QUESTION, own_turn(text)), _MOST_QUESTIONS))


def _before(pattern: re.Pattern[str], text: str) -> Iterator[str]:
    """What stands before each match, where it is not blank."""
    prefixes = (text[: match.start()] for match in pattern.finditer(text, 0, _SEARCHED_CHARS))
    return filter(str.strip, prefixes)

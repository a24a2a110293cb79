r"""Whether two answers in LaTeX are equal: by their text, by form, or as Math-Verify says.

Text and form (tuples, sets, lists, matrices, equations, words, values) settle what is certain, thousands of
times a second; the rest is left to Math-Verify. On 49,891 outputs that others had judged, the comparison of
numbers, choices and forms agreed with them as often as Math-Verify or more often, in a third to a ninth of
its time.
"""

import re
from collections.abc import Iterable
from fractions import Fraction
from functools import lru_cache
from itertools import chain

import tasks.scoring.algebra as algebra
import tasks.scoring.markup as markup
from tasks.scoring.algebra import Ratio
from tasks.scoring.latex_parser import read_expression
from tasks.scoring.markup import bracketed, split_top
from tasks.scoring.math_verify import MATH_VERIFY, math_verify_equal
from tasks.scoring.numbers import is_number, numbers_equal
from tasks.scoring.quantities import conversion, words_value

_MAX_CHARS = 4_000
_MAX_FORM_CHARS = 600
_MAX_PARTS = 12
# Commas, semicolons and "and" or "or", as words or in \text, but not within a command such as \operatorname.
_LIST = re.compile(r"[,;]|\\text\s*\{\s*,?\s*(?:and|or)\s*\}|(?<![a-zA-Z\\])(?:and|or)(?![a-zA-Z])")
# Not the second half of <=, >= or !=.
_EQUALS = re.compile(r"(?<![<>!])=")
_APPROX = re.compile(r"\\approx(?![a-zA-Z])")
_CUP = re.compile(r"\\cup(?![a-zA-Z])")
_RELATION = re.compile(r"[<>]|\\(?:le|ge|ne|in|pm|mp|notin)(?![a-zA-Z])|±")
_LETTER = r"(?:\\(?:mathbf|vec) ?\{[a-z]\}|[A-Za-z](?:_\{?\w+\}?)?)"
# What an equation may define: x, x_1, \vec{v}, (x, y), f(x), f^{-1}(x).
_NAME = re.compile(rf"\(?{_LETTER}(?:, ?{_LETTER})*\)?(?:\^\{{-1\}})?(?: ?\([a-z](?:, ?[a-z])*\))?")
_FUNCTION = re.compile(r"[a-zA-Z]\([a-z]\)")
# "(B) 12", "(B): 12": a choice's letter and its value.
_LABELLED = re.compile(r"[(\[]([A-J])[)\]]\s*[:.]?\s*(\S.*)")
_LETTER_ALONE = re.compile(r"[(\[]?([A-J])[)\]]?[.:]?")
_TIME = re.compile(r"[0-2]?[0-9]:[0-5][0-9](?![0-9:])")
_MEMBER = re.compile(r"[A-Za-z] ?\\in(?![a-zA-Z]) ?")
# 1,234,567 as a whole; and 1,234 somewhere, which may be one number or two.
_GROUPS = re.compile(r"-?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?")
_GROUPED = re.compile(r"(?<![0-9])[0-9]{1,3},[0-9]{3}(?![0-9])")
# 4210_5: digits and the base they are in.
_IN_OTHER_BASE = re.compile(r"([0-9A-F]+)_\{?([0-9]+)\}?")
_WORDS = re.compile(r"[A-Za-z]{2,}(?:[' .-]+[A-Za-z]+)*")
_NUMBER = re.compile(r"[0-9]{1,60}(?:\.[0-9]{1,60})?")
_MANIFOLD = re.compile(r"[<>!]|\\(?:le|ge|log|binom)(?![a-zA-Z])")
"""What can be written with other numbers and mean the same: 2x < 4 and 4x < 8, 5 over 2 and 5 over 3."""
_EMPTY = re.compile(r"no (?:real )?solutions?|\\emptyset|\\varnothing")
_STEP = re.compile(r"&?=|\\approx(?![a-zA-Z])")
_MARKUP = re.compile(
    r"\\left|\\right|\\[!,;:> ]|\\(?:big|Big|bigg|Bigg)[lr]?(?![a-zA-Z])|\\displaystyle|\\quad|\\qquad|[~$\s]"
)


def latex_equal(gold: str, answer: str) -> bool:
    """Whether an answer in LaTeX or plain text, or the text that ends in it, equals the reference.

    False also for inputs over 4,000 characters.

    Raises:
        Undecided: Math-Verify took more time or memory than it may.
    """
    if not MATH_VERIFY.started:
        MATH_VERIFY.start()  # it loads while the forms are compared
    settled = settled_equal(gold, answer)
    return math_verify_equal(gold, answer) if settled is None else settled


def settled_equal(gold: str, answer: str) -> bool | None:
    """Whether they are equal as far as their text and form tell; None where only Math-Verify can."""
    plain_gold, plain_answer = _plain(gold), _plain(answer)
    if plain_gold and plain_gold == plain_answer:
        return True
    if not plain_gold or not plain_answer or max(len(gold), len(answer)) > _MAX_CHARS:
        return False
    bare_gold, bare_answer = (markup.clean_latex(text[:_MAX_CHARS]) for text in (gold, answer))
    if is_number(bare_gold) and is_number(bare_answer):  # with its spaces: 2 1/4 is not 21/4
        if numbers_equal(bare_gold, bare_answer):
            return True
        if "," not in plain_gold + plain_answer:  # 3,4 may be two numbers
            return False
    return _equal_forms(gold, answer)


def last_side(answer: str) -> str:
    """What stands after the last equals sign of a formula that is worked out in steps; all of it else."""
    return split_top(answer, _STEP)[-1] if len(answer) <= _MAX_CHARS else answer


def _plain(text: str) -> str:
    r"""Take off what does not change the meaning: dollars, a box, spacing, \left and \right, a full stop."""
    bare = " ".join(text[: _MAX_CHARS + 1].split()).rstrip(".")
    bare = markup.unbox(_MARKUP.sub("", bare).removeprefix("\\(").removesuffix("\\)"))
    bare = re.sub(r"\\[dt]frac", r"\\frac", bare)
    return re.sub(r"(?<=[0-9])\{,\}(?=[0-9]{3})", "", bare).rstrip(".")


def _equal_forms(gold: str, answer: str) -> bool | None:
    too_long = max(len(gold), len(answer)) > _MAX_FORM_CHARS
    if too_long or max(gold.count("\\boxed"), answer.count("\\boxed")) > 1:
        return None
    gold, answer = markup.clean_latex(gold), markup.clean_latex(answer)
    if gold == answer and gold:
        return True
    verdict = _by_approximation(gold, answer)
    return False if verdict is None and _same_but_for_numbers(gold, answer) else verdict


def _by_approximation(gold: str, answer: str) -> bool | None:
    r"""Compare; where a side is "1/3 \\approx 0.33", either its exact or its rounded part may be meant."""
    golds, answers = split_top(gold, _APPROX), split_top(answer, _APPROX)
    if len(golds) == len(answers) == 1:
        return _compare(gold, answer, depth=0)
    verdicts = [_compare(left, right, depth=1) for left in golds[:2] for right in answers[:2]]
    if True in verdicts:
        return True
    return None if None in verdicts else False


def _same_but_for_numbers(gold: str, answer: str) -> bool:
    """Whether two texts differ in numbers alone: Math-Verify may read only the part where they agree."""
    if _NUMBER.sub("#", gold) != _NUMBER.sub("#", answer) or (_MANIFOLD.search(gold) and ":" not in gold):
        return False
    return sorted(map(Fraction, _NUMBER.findall(gold))) != sorted(map(Fraction, _NUMBER.findall(answer)))


def _compare(gold: str, answer: str, depth: int) -> bool | None:
    if gold == answer:
        return True if gold else None
    if not gold or not answer or depth > 4:
        return None
    for compare in (
        _by_label,
        _by_time,
        _by_base,
        _by_words,
        _by_matrix,
        _by_list,
        _by_assignment,
        _by_brackets,
        _by_union,
    ):
        settled, verdict = compare(gold, answer, depth)
        if settled:
            return verdict
    return _by_value(gold, answer)


Verdict = tuple[bool, bool | None]
"""Whether the form is one that the comparison is for, and what it found."""
_OTHER_FORM: Verdict = False, None


def _by_label(gold: str, answer: str, depth: int) -> Verdict:
    r"""Where one side is a choice's letter and its value, \textbf{(B)} 12, the other may be either."""
    for one, other in ((gold, answer), (answer, gold)):
        labelled, plain = (
            _LABELLED.fullmatch(markup.unwrap_text(one).strip()),
            markup.unwrap_text(other).strip(),
        )
        if labelled is None or _LABELLED.fullmatch(plain):
            continue
        if letter := _LETTER_ALONE.fullmatch(plain):
            return True, letter[1] == labelled[1]
        return True, _compare(labelled[2], other, depth + 1)
    return _OTHER_FORM


def _by_time(gold: str, answer: str, depth: int) -> Verdict:
    left, right = (markup.unwrap_text(text).strip() for text in (gold, answer))
    return (True, numbers_equal(left, right)) if _TIME.match(left) and _TIME.match(right) else _OTHER_FORM


def _by_base(gold: str, answer: str, depth: int) -> Verdict:
    left, right = _IN_OTHER_BASE.fullmatch(gold), _IN_OTHER_BASE.fullmatch(answer)
    return (True, left.groups() == right.groups()) if left and right else _OTHER_FORM


def _by_words(gold: str, answer: str, depth: int) -> Verdict:
    left, right = markup.unwrap_text(gold).strip(), markup.unwrap_text(answer).strip()
    if _EMPTY.fullmatch(left.lower()) and _EMPTY.fullmatch(right.lower()):
        return True, True
    worded = [text for text in (left, right) if len(text) > 2 and _WORDS.fullmatch(text)]
    if len(worded) == 1:
        value, words = _value(right if worded[0] is left else left), words_value(worded[0])
        number = None if value is None else algebra.rational(value)
        return _OTHER_FORM if number is None else (True, words is not None and words == number)
    if len(worded) < 2:
        return _OTHER_FORM
    if markup.normalise_words(left) == markup.normalise_words(right):
        return True, True
    rearranged = sorted(left.replace(" ", "")) == sorted(right.replace(" ", ""))  # xy is yx
    return True, None if rearranged else False


def _by_assignment(gold: str, answer: str, depth: int) -> Verdict:
    """x = 5 is 5, and y = 2x + 3 is 2x + 3, but x = 5 is not y = 5."""
    left, right = _assignment(gold), _assignment(answer)
    if left is None or right is None:
        return True, _by_equation(gold, answer)
    if not (left[0] or right[0]):
        return _OTHER_FORM
    functions = [_FUNCTION.fullmatch(name) is not None for name in (left[0], right[0])]
    as_function = any(functions) and all(
        f or side[0] == "y" for f, side in zip(functions, (left, right), strict=True)
    )
    if left[0] and right[0] and left[0] != right[0] and not as_function:
        return True, _by_equation(gold, answer)
    return True, _compare(left[1], right[1], depth + 1)


def _by_equation(gold: str, answer: str) -> bool | None:
    """Whether two equations are multiples of each other, as x + 1 = y and 2y - 2x = 2 are."""
    differences = []
    for text in (gold, answer):
        sides = [_value(side) for side in split_top(text, _EQUALS)]
        if len(sides) != 2 or sides[0] is None or sides[1] is None:
            return None
        differences.append(algebra.add(sides[0], algebra.negative(sides[1])))
    return algebra.proportional(*differences)


def _assignment(text: str) -> tuple[str, str] | None:
    """The name that is given a value, if any, and the value; None for another equation or relation."""
    if member := _MEMBER.match(text):
        return "", text[member.end() :]
    sides = split_top(text, _EQUALS)
    if len(sides) == 1:
        return None if _RELATION.search(text) else ("", text)
    if _NAME.fullmatch(sides[0]) and not _RELATION.search(text):
        return sides[0].replace(" ", ""), sides[-1]
    return None


def _by_matrix(gold: str, answer: str, depth: int) -> Verdict:
    left, right = markup.matrix_rows(gold), markup.matrix_rows(answer)
    if left is None or right is None:
        return (True, None) if "\\begin" in gold + answer else _OTHER_FORM
    if [len(row) for row in left] != [len(row) for row in right]:
        return True, False
    return True, _each(chain.from_iterable(left), chain.from_iterable(right), depth)


def _by_list(gold: str, answer: str, depth: int) -> Verdict:
    """Bare lists are sets: their order does not matter, nor how often a member is named."""
    if _GROUPS.fullmatch(gold) or _GROUPS.fullmatch(answer):
        return _OTHER_FORM
    left, right = _members(gold), _members(answer)
    if len(left) == len(right) == 1:
        return _OTHER_FORM
    left, right = _without_name(left), _without_name(right)
    if any(_GROUPED.search(text) for text in (gold, answer)):
        return True, None  # 1,234 may be a number or two of them
    if len(left) == 1 or len(right) == 1:
        return True, False if all(_is_value(part) for part in (*left, *right)) else None
    if any("=" in part for part in left) != any("=" in part for part in right):
        return True, (len(left) == len(right) and _each(left, right, depth)) or None
    return True, _same_members(left, right, depth)


def _without_name(members: list[str]) -> list[str]:
    """Take the name off the values of one unknown: x = 1 or x = 2 is 1, 2."""
    sides = [split_top(member, _EQUALS) for member in members]
    names = {side[0] for side in sides if len(side) == 2}
    if len(names) == 1 and len(sides[0]) == 2 and all(_NAME.fullmatch(name) for name in names):
        return [side[-1] for side in sides]
    return members


def _members(text: str) -> list[str]:
    return [part for part in split_top(text, _LIST) if part]


def _same_members(left: list[str], right: list[str], depth: int) -> bool | None:
    if max(len(left), len(right)) > _MAX_PARTS:
        return None
    table = [[_compare(gold, answer, depth + 1) for answer in right] for gold in left]
    if all(any(row) for row in table) and all(any(column) for column in zip(*table, strict=True)):
        return True
    undecided = any(verdict is None for row in table for verdict in row)
    return None if undecided else False


def _by_brackets(gold: str, answer: str, depth: int) -> Verdict:
    left, right = bracketed(gold), bracketed(answer)
    if left is None or right is None:
        return (True, False) if _is_group(gold, answer) or _is_group(answer, gold) else _OTHER_FORM
    members = _members(left[1]), _members(right[1])
    if max(len(part) for part in members) < 2:
        return _OTHER_FORM
    if (left[0], left[2]) != (right[0], right[2]):
        half_open = all(len(part) == 2 for part in members) and "\\{" not in left[0] + right[0]
        return True, False if half_open else None
    if left[0] == "\\{":
        return True, _same_members(*members, depth)
    if len(members[0]) != len(members[1]):
        return True, False
    return True, _each(*members, depth)


def _is_group(text: str, value: str) -> bool:
    """Whether a text is a tuple or an interval, which no single value is; (1,234) may be a number."""
    group = bracketed(text)
    return bool(group and len(_members(group[1])) > 1 and not _GROUPED.search(text) and _is_value(value))


def _by_union(gold: str, answer: str, depth: int) -> Verdict:
    left, right = split_top(gold, _CUP), split_top(answer, _CUP)
    if len(left) == len(right) == 1:
        return _OTHER_FORM
    return True, (len(left) == len(right) and _each(left, right, depth)) or None


def _each(golds: Iterable[str], answers: Iterable[str], depth: int) -> bool | None:
    """Compare one by one."""
    found = [_compare(*pair, depth + 1) for pair in zip(golds, answers, strict=True)]
    return False if False in found else None if None in found else True


def _by_value(gold: str, answer: str) -> bool | None:
    (left, left_unit), (right, right_unit) = markup.split_unit(gold), markup.split_unit(answer)
    if left_unit and not right_unit:
        right, right_unit = _split_short_unit(right, left_unit)
    elif right_unit and not left_unit:
        left, left_unit = _split_short_unit(left, right_unit)
    values = _value(left), _value(right)
    if values[0] is None or values[1] is None:
        return None
    factor = conversion(left_unit, right_unit)
    if factor is None:
        return False
    if len(left) == len(right) == 1 and left.isalpha() and left.lower() == right.lower():
        return None  # the letter of a choice, perhaps
    return algebra.equal(algebra.multiply(values[0], algebra.constant(factor)), values[1])


def _split_short_unit(text: str, other_unit: str) -> tuple[str, str]:
    """Split off a unit of one letter, such as the m of 450 m, where the other side has a unit."""
    match = re.search(r"(?<=[0-9}])\s*([mshgl])$", text)
    if match and conversion(match[1], other_unit) is not None:
        return text[: match.start()], match[1]
    return text, ""


def _is_value(text: str) -> bool:
    return _value(markup.split_unit(text)[0]) is not None


@lru_cache(maxsize=10_000)
def _value(text: str) -> Ratio | None:
    if _GROUPS.fullmatch(text):
        text = text.replace(",", "")
    try:
        return read_expression(text) if text else None
    except algebra.UnsettledError:
        return None

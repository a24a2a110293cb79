r"""Read a LaTeX or plain expression into exact algebra, or find that it is outside of it.

Only what has one reading is read: arithmetic, letters, fractions, powers, roots, mixed numbers, functions by
their name. Anything else, and anything too long or too deep, raises `UnsettledError`.
"""

import cmath
import re
from fractions import Fraction

import tasks.scoring.algebra as algebra
from tasks.scoring.algebra import Ratio, UnsettledError, divide, multiply, negative

_MAX_CHARS = 300
_MAX_DEPTH = 25
# Digits are bounded, so that no number is too long to compute with. Any other sign is a token by itself.
_TOKEN = re.compile(r"\\[a-zA-Z]+|\\.|[0-9]{1,60}(?:\.[0-9]{1,60})?|\.[0-9]{1,60}|\*\*|\S")
# Three letters in a row are a word, and not the product of three unknowns.
_WORD = re.compile(r"(?<![\\a-zA-Z])[a-zA-Z]{3,}")
_NUMBER = re.compile(r"[0-9]*\.?[0-9]+")
_LETTER = re.compile(
    r"[a-zA-Z]|\\(?:alpha|beta|gamma|delta|epsilon|varepsilon|zeta|eta|theta|vartheta|kappa|lambda|mu|nu|xi"
    r"|pi|rho|sigma|tau|phi|varphi|chi|psi|omega|Gamma|Delta|Theta|Lambda|Sigma|Phi|Psi|Omega|infty)"
)
_STYLES = {"\\mathbf", "\\vec", "\\mathrm", "\\hat", "\\bar", "\\overline"}
_FUNCTIONS = {
    "\\sin": cmath.sin, "\\cos": cmath.cos, "\\tan": cmath.tan, "\\arctan": cmath.atan,
    "\\csc": lambda value: 1 / cmath.sin(value), "\\sec": lambda value: 1 / cmath.cos(value),
    "\\cot": lambda value: 1 / cmath.tan(value), "\\exp": cmath.exp, "\\ln": cmath.log,
    "\\log": None,  # of what base?
}  # fmt: skip
_FRACTIONS = {"\\frac", "\\dfrac", "\\tfrac", "\\cfrac"}
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_FACTORS = {*_CLOSING, *_FRACTIONS, *_FUNCTIONS, *_STYLES, "\\sqrt"}
_TIMES = {"*", "\\cdot", "\\times", "×", "·", "⋅"}
_OVER = {"/", "÷", "\\div"}
# √ applies to a number, a letter or what stands in parentheses.
_ROOT_SIGN = re.compile(r"√\s*([0-9]+|[a-z]|\([^()]*\))")
_SPELLINGS = str.maketrans({"−": "-", "–": "-", "π": "\\pi ", "∞": "\\infty "})


def read_expression(text: str) -> Ratio:
    r"""The exact value of an expression, in LaTeX or plain text without dollars, units and \left or \right.

    Raises:
        UnsettledError: it has no or more than one reading here, or is too large.
    """
    text = _ROOT_SIGN.sub(r"\\sqrt{\1}", text.translate(_SPELLINGS))
    if len(text) > _MAX_CHARS or _WORD.search(text):
        raise UnsettledError
    reader = _Reader(_TOKEN.findall(text))
    value = reader.sum()
    if reader.next is not None:
        raise UnsettledError
    return value


class _Reader:
    """A recursive descent over the tokens of one expression."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._depth = 0

    @property
    def next(self) -> str | None:
        return self._tokens[0] if self._tokens else None

    def take(self, wanted: str | None = None) -> str:
        if not self._tokens or (wanted is not None and self._tokens[0] != wanted):
            raise UnsettledError
        return self._tokens.pop(0)

    def took(self, *tokens: str) -> str | None:
        """The next token, taken, if it is one of these."""
        return self._tokens.pop(0) if self.next in tokens else None

    def sum(self) -> Ratio:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise UnsettledError
        total = self.product()
        while sign := self.took("+", "-"):
            term = self.product()
            total = algebra.add(total, negative(term) if sign == "-" else term)
        self._depth -= 1
        return total

    def product(self) -> Ratio:
        if sign := self.took("+", "-"):
            return negative(self.product()) if sign == "-" else self.product()
        value, divided = self._power(), False
        while self.next is not None:
            if self.took(*_TIMES):
                value = multiply(value, self._signed_power())
            elif self.took(*_OVER):
                value, divided = divide(value, self._signed_power()), True
            elif self._begins_factor() and not divided:  # 1/2x has two readings
                value = multiply(value, self._implied_factor())
            else:
                break
        if divided and self._begins_factor():
            raise UnsettledError
        return value

    def _begins_factor(self) -> bool:
        token = self.next or ""
        return token in _FACTORS or bool(_LETTER.fullmatch(token) or _NUMBER.fullmatch(token))

    def _implied_factor(self) -> Ratio:
        if _NUMBER.fullmatch(self.next or ""):
            raise UnsettledError  # 2 3
        return self._power()

    def _signed_power(self) -> Ratio:
        sign = self.took("+", "-")
        return negative(self._power()) if sign == "-" else self._power()

    def _power(self) -> Ratio:
        base = self._atom()
        if self.took("^", "**"):
            base = algebra.power(base, self._exponent())
            if self.next in ("^", "**"):
                raise UnsettledError
        return base

    def _exponent(self) -> Ratio:
        if self.took("-"):
            return negative(self._exponent())
        return self._number() if _NUMBER.fullmatch(self.next or "") else self._argument()

    def _atom(self) -> Ratio:
        token = self.next or ""
        if _NUMBER.fullmatch(token):
            return self._mixed_number()
        if token in _CLOSING:
            self.take()
            value = self.sum()
            self.take(_CLOSING[token])
            return value
        self.take()
        if token in _FRACTIONS:
            return divide(self._argument(), self._argument())
        if token == "\\sqrt":
            return self._root()
        if token in _FUNCTIONS:
            return self._function(token)
        if token in _STYLES:
            return algebra.symbol(f"{token}{self._letter_argument()}{self._subscript()}")
        if _LETTER.fullmatch(token):
            return algebra.symbol(token + self._subscript())
        raise UnsettledError

    def _number(self) -> Ratio:
        token = self.take()
        return algebra.constant(Fraction(token), decimal="." in token)

    def _mixed_number(self) -> Ratio:
        r"""A number; directly before a fraction of whole numbers it is the whole part of a mixed one."""
        whole = self._number()
        if self.next == "_":
            raise UnsettledError  # digits of another base
        if self.next not in _FRACTIONS or whole.decimal:
            return whole
        fraction = self._atom()
        value = algebra.rational(fraction)
        if value is not None and 0 < value < 1 and not fraction.decimal:
            return algebra.add(whole, fraction)
        return multiply(whole, fraction)

    def _root(self) -> Ratio:
        degree = 2
        if self.took("["):
            written = algebra.rational(self.sum())
            self.take("]")
            if written is None or written.denominator != 1 or not 2 <= written <= 100:
                raise UnsettledError
            degree = int(written)
        if (self.next or "").isdigit() and len(self.next or "") > 1:
            raise UnsettledError  # \sqrt12 has two readings
        return algebra.root(self._argument(), degree)

    def _function(self, name: str) -> Ratio:
        subscript, exponent = self._subscript(), None
        if self.took("^"):
            exponent = self._exponent()
            if (algebra.rational(exponent) or 0) <= 0:
                raise UnsettledError  # the inverse function, perhaps
        evaluate = _FUNCTIONS[name] if not subscript else None
        value = algebra.function(f"{name}{subscript}", self._function_argument(), evaluate)
        return algebra.power(value, exponent) if exponent else value

    def _function_argument(self) -> Ratio:
        if self.next in _CLOSING:
            return self._atom()
        value = self._power()
        while self._begins_factor() and self.next not in _FUNCTIONS and self.next not in _CLOSING:
            value = multiply(value, self._implied_factor())
        return value

    def _argument(self) -> Ratio:
        r"""What belongs to \frac, \sqrt or ^: a group, or one digit, letter or command."""
        token = self.next or ""
        if token.isdigit() and len(token) > 1:
            self._tokens[0] = token[1:]
            return algebra.constant(Fraction(token[0]))
        return self._number() if _NUMBER.fullmatch(token) else self._atom()

    def _letter_argument(self) -> str:
        grouped = self.took("{")
        letter = self.take()
        if not _LETTER.fullmatch(letter):
            raise UnsettledError
        if grouped:
            self.take("}")
        return letter

    def _subscript(self) -> str:
        if not self.took("_"):
            return ""
        if not self.took("{"):
            return f"_{self.take()}"
        inside = "_"
        while not self.took("}"):
            inside += self.take()
        return inside

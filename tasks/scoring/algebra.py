"""Exact algebra, as far as it settles whether two answers are equal: polynomials and their ratios.

The generators of the polynomials are letters, primes to a fractional power, i with i² = −1, and opaque terms
such as sin(x), of which nothing is known but their name and their value at one point. Without opaque terms
the generators are independent and the ring has no zero divisors, so that equality is certain both ways; with
them, two values that differ at that point differ. What is too large is left unsettled.
"""

import cmath
import math
import operator
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

_CONSTANTS: dict[str, float] = {"e": math.e, "\\pi": math.pi}
Monomial = tuple[tuple[str, Fraction | int], ...]
Polynomial = dict[Monomial, Fraction]
_Function = Callable[..., complex]
_ONE: Polynomial = {(): Fraction(1)}

IMAGINARY = "i"
_MAX_TERMS = 120
_MAX_PRODUCTS = 2_000
_MAX_BITS = 1_500
_MAX_RADICAND = 10**8
_MAX_EXPONENT = 32


class UnsettledError(Exception):
    """Too large, or outside what this algebra knows."""


def plus(left: Polynomial, right: Polynomial) -> Polynomial:
    """The sum of two polynomials."""
    total = dict(left)
    for monomial, factor in right.items():
        total[monomial] = total.get(monomial, Fraction(0)) + factor
    return _bounded(total)


def times(left: Polynomial, right: Polynomial) -> Polynomial:
    """The product of two polynomials."""
    if len(left) * len(right) > _MAX_PRODUCTS:
        raise UnsettledError
    total: Polynomial = {}
    for left_monomial, left_factor in left.items():
        for right_monomial, right_factor in right.items():
            monomial, factor = _joined(left_monomial, right_monomial)
            total[monomial] = total.get(monomial, Fraction(0)) + left_factor * right_factor * factor
    return _bounded(total)


def bound_bits(value: Fraction) -> None:
    """Refuse a coefficient of too many bits."""
    if value.numerator.bit_length() + value.denominator.bit_length() > _MAX_BITS:
        raise UnsettledError


def prime_factors(value: int) -> dict[int, int]:
    """The prime factors of a whole number and how often each divides it; empty for 0 and 1."""
    factors: dict[int, int] = {}
    if (whole := math.isqrt(value)) ** 2 == value and whole > 1:
        return {prime: 2 * count for prime, count in prime_factors(whole).items()}
    if value > _MAX_RADICAND:
        raise UnsettledError
    prime = 2
    while prime * prime <= value:
        while value % prime == 0:
            value, factors[prime] = value // prime, factors.get(prime, 0) + 1
        prime += 1
    if value > 1:
        factors[value] = factors.get(value, 0) + 1
    return factors


def _joined(left: Monomial, right: Monomial) -> tuple[Monomial, int]:
    """The product of two monomials, and the factor of i² = −1 and of primes to whole powers in it."""
    if not left or not right:
        return left or right, 1
    exponents, factor = dict(left), 1
    for name, exponent in right:
        exponents[name] = exponents.get(name, 0) + exponent
        if exponents[name] > 1 and name == IMAGINARY:
            factor, exponents[name] = -factor, 0
        elif exponents[name] >= 1 and name.isdigit():
            factor, exponents[name] = factor * int(name), exponents[name] - 1
    return tuple(sorted((name, exponent) for name, exponent in exponents.items() if exponent)), factor


def _bounded(polynomial: Polynomial) -> Polynomial:
    if len(polynomial) > _MAX_TERMS:
        raise UnsettledError
    for factor in polynomial.values():
        bound_bits(factor)
    return {monomial: factor for monomial, factor in polynomial.items() if factor}


@dataclass(frozen=True, slots=True)
class Ratio:
    """A ratio of two polynomials.

    Attributes:
        top: the numerator.
        bottom: the denominator, never zero.
        decimal: it was written with a decimal fraction, which may be a rounded value.
        opaque: it holds terms of which only the name is known, so that only equality is certain.
        at_point: its value where each letter has a certain value; None where that cannot be told.
    """

    top: Polynomial
    bottom: Polynomial
    decimal: bool = False
    opaque: bool = False
    at_point: complex | None = None


def constant(value: Fraction, decimal: bool = False) -> Ratio:
    """A rational number."""
    bound_bits(value)
    top: Polynomial = {(): value} if value else {}
    return Ratio(top, _ONE, decimal, at_point=_at_point(lambda: complex(value)))


def symbol(name: str) -> Ratio:
    """A letter; i is the imaginary unit, e and π are what they are."""
    value = 1j if name == IMAGINARY else _CONSTANTS.get(name)
    if value is None:
        value = 0.6 + zlib.crc32(name.encode()) % 100_003 / 90_001
    return Ratio({((name, 1),): Fraction(1)}, _ONE, at_point=value)


def _opaque(name: str, at_point: complex | None) -> Ratio:
    return Ratio({((name, 1),): Fraction(1)}, _ONE, opaque=True, at_point=at_point)


def function(name: str, argument: Ratio, evaluate: _Function | None) -> Ratio:
    """An opaque function of a value."""
    return _opaque(f"{name}({_key(argument)})", _at_point(evaluate, argument))


def add(left: Ratio, right: Ratio) -> Ratio:
    """The sum of two values."""
    if left.bottom == right.bottom:
        top, bottom = plus(left.top, right.top), left.bottom
    else:
        top = plus(times(left.top, right.bottom), times(right.top, left.bottom))
        bottom = times(left.bottom, right.bottom)
    return _ratio(top, bottom, left, right, operator.add)


def negative(value: Ratio) -> Ratio:
    """The value with its sign turned."""
    top = {monomial: -factor for monomial, factor in value.top.items()}
    return replace(value, top=top, at_point=None if value.at_point is None else -value.at_point)


def multiply(left: Ratio, right: Ratio) -> Ratio:
    """The product of two values."""
    top, bottom = times(left.top, right.top), times(left.bottom, right.bottom)
    return _ratio(top, bottom, left, right, operator.mul)


def divide(left: Ratio, right: Ratio) -> Ratio:
    """The quotient of two values; unsettled where the second is zero."""
    if not right.top:
        raise UnsettledError
    inverse = _at_point(lambda value: 1 / value, right)
    return multiply(left, replace(right, top=right.bottom, bottom=right.top, at_point=inverse))


def power(base: Ratio, exponent: Ratio) -> Ratio:
    """A power: computed for small whole exponents and roots of rationals, opaque for others."""
    value = rational(exponent)
    if value is not None and abs(value.numerator) <= _MAX_EXPONENT:
        result = constant(Fraction(1))
        for _ in range(abs(value.numerator)):
            result = multiply(result, base)
        if value < 0:
            result = divide(constant(Fraction(1)), result)
        if value.denominator == 1:
            return result
        if rational(base) is not None:
            return root(result, value.denominator)
    return _opaque(f"({_key(base)})^({_key(exponent)})", _at_point(operator.pow, base, exponent))


def root(base: Ratio, degree: int) -> Ratio:
    """The root of a degree: computed for rationals, opaque for others."""
    value = rational(base)
    if value is None:
        return function(f"root{degree}", base, lambda inside: inside ** (1 / degree))
    if value < 0 and degree % 2 == 0 and degree > 2:
        raise UnsettledError
    if not value:
        return base
    result = divide(_whole_root(abs(value.numerator), degree), _whole_root(value.denominator, degree))
    result = replace(result, decimal=base.decimal)
    if value < 0:
        return multiply(result, symbol(IMAGINARY)) if degree == 2 else negative(result)
    return result


def rational(value: Ratio) -> Fraction | None:
    """The value where it is a rational number, else None."""
    if set(value.top) <= {()} and set(value.bottom) == {()}:
        return value.top.get((), Fraction(0)) / value.bottom[()]
    return None


def _key(value: Ratio) -> str:
    """A name of the value; equal names mean equal values."""
    return "/".join(
        " ".join(
            f"{factor}{[(name, str(exponent)) for name, exponent in monomial]}"
            for monomial, factor in sorted(part.items())
        )
        for part in (value.top, value.bottom)
    )


def equal(left: Ratio, right: Ratio) -> bool | None:
    """Whether two values are equal; None where this algebra cannot tell.

    A decimal fraction equals a number that it rounds to six places, as in Math-Verify, unless that would
    take much of the value away: 0.333333 equals 1/3, and 0.0000001 does not equal 0.0000002.
    """
    if times(left.top, right.bottom) == times(right.top, left.bottom):
        return True
    decimal = left.decimal or right.decimal
    if left.opaque or right.opaque:
        return False if _differ(left.at_point, right.at_point, 1e-2 if decimal else 1e-6) else None
    if not decimal:
        return False
    if not (_is_constant(left) and _is_constant(right)):
        return False if _differ(left.at_point, right.at_point, 1e-2) else None
    numbers = _number(left), _number(right)
    if numbers[0] is None or numbers[1] is None:
        return None
    return rounds_alike(numbers[0], numbers[1])


def proportional(left: Ratio, right: Ratio) -> bool | None:
    """Whether one value is a rational multiple of the other, denominators aside; None where not certain."""
    if not left.top or not right.top or left.opaque or right.opaque:
        return None
    if set(left.top) != set(right.top):
        return False
    return len({right.top[monomial] / factor for monomial, factor in left.top.items()}) == 1


def rounds_alike(left: Fraction | float, right: Fraction | float) -> bool:
    """Whether two numbers agree to six decimal places and to a thousandth of their size."""
    one, other = Fraction(left), Fraction(right)
    return round(one, 6) == round(other, 6) and abs(one - other) <= abs(other) / 1000


def _differ(left: complex | None, right: complex | None, tolerance: float) -> bool:
    """Whether two values differ by more than rounding can explain."""
    if left is None or right is None or not (cmath.isfinite(left) and cmath.isfinite(right)):
        return False
    size = max(abs(left), abs(right))
    return 1e-12 < size < 1e12 and abs(left - right) > tolerance * max(size, 1)


def _is_constant(value: Ratio) -> bool:
    names = {name for part in (value.top, value.bottom) for monomial in part for name, _ in monomial}
    return all(name.isdigit() or name in _CONSTANTS for name in names)


def _number(value: Ratio) -> Fraction | float | None:
    exact = rational(value)
    if exact is not None:
        return exact
    return None if value.at_point is None or value.at_point.imag else value.at_point.real


def _ratio(top: Polynomial, bottom: Polynomial, left: Ratio, right: Ratio, evaluate: _Function) -> Ratio:
    if set(bottom) == {()}:
        top, bottom = {monomial: factor / bottom[()] for monomial, factor in top.items()}, _ONE
    decimal, opaque = left.decimal or right.decimal, left.opaque or right.opaque
    return Ratio(top, bottom, decimal, opaque, _at_point(evaluate, left, right))


def _at_point(evaluate: _Function | None, *arguments: Ratio) -> complex | None:
    values = [argument.at_point for argument in arguments]
    if evaluate is None or None in values:
        return None
    try:
        return complex(evaluate(*values))
    except (ValueError, ArithmeticError):
        return None


def _whole_root(value: int, degree: int) -> Ratio:
    """The root of a whole number, as a product of primes to powers below one."""
    result = constant(Fraction(1))
    for prime, count in prime_factors(value).items():
        result = multiply(result, constant(Fraction(prime ** (count // degree))))
        if count % degree:
            exponent = Fraction(count % degree, degree)
            prime_root: Polynomial = {((str(prime), exponent),): Fraction(1)}
            result = multiply(result, Ratio(prime_root, _ONE, at_point=complex(prime ** float(exponent))))
    return result

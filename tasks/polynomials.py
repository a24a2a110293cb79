"""Polynomials with rational coefficients, in letters, roots of primes, i and terms known by name alone.

A polynomial maps monomials to coefficients; a monomial is a sorted tuple of (generator, exponent). Apart from
`algebra` because here nothing is known of ratios, values and decimals. All sizes are bounded.
"""

import math
from fractions import Fraction

Monomial = tuple[tuple[str, Fraction | int], ...]
Polynomial = dict[Monomial, Fraction]

IMAGINARY = "i"
_MAX_TERMS = 120
_MAX_PRODUCTS = 2_000
_MAX_BITS = 1_500
_MAX_RADICAND = 10**8


class UnsettledError(Exception):
    """Too large, or outside what this algebra knows."""


def plus(left: Polynomial, right: Polynomial) -> Polynomial:
    """left + right."""
    total = dict(left)
    for monomial, factor in right.items():
        total[monomial] = total.get(monomial, Fraction(0)) + factor
    return _bounded(total)


def times(left: Polynomial, right: Polynomial) -> Polynomial:
    """left * right."""
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

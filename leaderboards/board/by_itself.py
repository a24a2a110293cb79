"""The answer by itself: what they are worth after the reference's reasoning, row by row."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from leaderboards.board.rows import Key
from leaderboards.board.values import Paired, contents_of, matrices_of, seeds_on_all, spread_of
from leaderboards.results.merge import Group
from leaderboards.results.outcomes import ByItself, Outcomes
from leaderboards.stats import MACRO, mean_interval


def keys_of(
    groups: Sequence[Group], benchmarks: Sequence[str], alpha: float, partner_of: Sequence[int | None]
) -> dict[tuple[int, str], Key]:
    """The answer by itself of each row, by its position, on each benchmark, and on all where it is known.

    `partner_of` is the row that each is compared with, where they were asked the same. A question that one of
    the rows could not be asked so counts for none.
    """
    found: dict[tuple[int, str], Key] = {}
    groups = _asked_so(groups, benchmarks)
    for where, own in (*((name, (name,)) for name in benchmarks), (MACRO, tuple(benchmarks))):
        alike = [all(group.is_comparable(name) for name in own) for group in groups]
        measured = {
            row: group
            for row, group in enumerate(groups)
            if seeds_on_all(group, own)
            and all(group.outcomes[name].key is not None for name in own)
            and (alike[row] or where != MACRO)
        }
        spread = spread_of(list(measured.values()), own, "key", alpha)
        for row, group in measured.items():
            matrices = list(matrices_of(group, own, "key", alpha).values())
            accuracy = mean_interval(matrices, [1] * len(own), spread, contents_of(group, own))
            partner, difference, bits, own_bits = partner_of[row], None, None, None
            if partner in measured and alike[row] and alike[partner]:
                pair = Paired.of(group, measured[partner], own)
                difference = pair.difference("key", alpha, spread) if pair.seeds else None
                bits = pair.bits_difference() if pair.seeds else None
                own_bits = pair.own_bits_difference() if pair.seeds else None
            parts = [group.outcomes[name].by_itself for name in own]
            found[row, where] = Key(accuracy, difference, bits, own_bits, *_means(parts))
    return found


def _asked_so(groups: Sequence[Group], benchmarks: Sequence[str]) -> list[Group]:
    """The groups, each benchmark with the questions alone that all comparable ones could be asked."""
    known: dict[tuple[int, str], NDArray[np.bool_]] = {
        (row, name): ~np.isnan(key_SQ.sum(axis=0))
        for row, group in enumerate(groups)
        for name in benchmarks
        if name in group.outcomes and (key_SQ := group.outcomes[name].key) is not None
    }
    shared: dict[str, NDArray[np.bool_]] = {}
    for (row, name), known_Q in known.items():
        if groups[row].is_comparable(name):
            shared[name] = np.logical_and(shared.get(name, known_Q), known_Q)
    only = {
        (row, name): shared[name] if groups[row].is_comparable(name) else known_Q
        for (row, name), known_Q in known.items()
    }
    return [
        replace(
            group,
            outcomes={
                name: _with_questions(one, only[row, name]) if (row, name) in only else one
                for name, one in group.outcomes.items()
            },
        )
        for row, group in enumerate(groups)
    ]


def _with_questions(outcomes: Outcomes, asked_Q: NDArray[np.bool_]) -> Outcomes:
    """Some questions alone, as far as the answer by itself is concerned; nothing is known of none."""
    if asked_Q.all() or outcomes.key is None:
        return outcomes
    if not asked_Q.any():
        return replace(outcomes, key=None, bits=None, own_bits=None)
    contents, alone = outcomes.contents, outcomes.by_itself
    bits = None if outcomes.bits is None else outcomes.bits[:, asked_Q]
    own_bits = None if outcomes.own_bits is None else outcomes.own_bits[:, asked_Q]
    if bits is not None and alone is not None:
        alone = alone._replace(bits_gold=float(np.nanmean(bits)))
    return replace(
        outcomes,
        question_ids=outcomes.question_ids[asked_Q],
        key=outcomes.key[:, asked_Q],
        bits=bits,
        own_bits=own_bits,
        by_itself=alone,
        contents=None if contents is None else contents[asked_Q],
    )


def _means(parts: Sequence[ByItself | None]) -> Iterator[float | None]:
    """Of each figure over the benchmarks, which count alike; None where one of them has none."""
    for name in ByItself._fields:
        values = [value for one in parts if one and (value := getattr(one, name)) is not None]
        yield sum(values) / len(values) if len(values) == len(parts) else None

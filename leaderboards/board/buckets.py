"""Accuracy where reasoning is short or long, and where answers are: buckets whose edges all rows share."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from leaderboards.board.rows import Bucket, BucketBy
from leaderboards.results.merge import Group
from leaderboards.results.outcomes import Lengths
from leaderboards.stats import Estimate, wilson_interval

NUM_BUCKETS = 4

_Floats = NDArray[np.float64]


def buckets_of(groups: Sequence[Group], benchmark: str) -> dict[tuple[str, str], tuple[Bucket, ...]]:
    """The buckets of each row, by model and name, on one benchmark.

    Reasoning is that of the output, which the row chose to write: a row that is right where it reasons long
    may just reason long where the question is hard. The answer is the reference's, the same for all rows.
    """
    lengths = {
        (group.model, group.name): found
        for group in groups
        if benchmark in group.outcomes and (found := group.outcomes[benchmark].lengths)
    }
    edges: dict[BucketBy, _Floats] = {
        "reasoning": _edges([found.reasoning_N for found in lengths.values()]),
        "answer": _edges([found.answer_N for found in lengths.values()]),
    }
    return {name: tuple(_buckets(found, edges)) for name, found in lengths.items()}


def _edges(lengths: Sequence[_Floats]) -> _Floats:
    """The lowest length of each bucket: quartiles of all outputs, fewer where many are equally long."""
    known = np.concatenate([each[~np.isnan(each)] for each in lengths]) if lengths else np.empty(0)
    if not len(known):
        return known
    quantiles = np.quantile(known, np.arange(NUM_BUCKETS) / NUM_BUCKETS, method="inverted_cdf")
    return np.unique(quantiles)


def _buckets(lengths: Lengths, edges: Mapping[BucketBy, _Floats]) -> Iterator[Bucket]:
    values: dict[BucketBy, _Floats] = {"reasoning": lengths.reasoning_N, "answer": lengths.answer_N}
    for by, length_N in values.items():
        # One bucket says nothing that the accuracy itself does not.
        if len(edges[by]) > 1:
            number_N = np.searchsorted(edges[by], length_N, side="right") - 1
            number_N[np.isnan(length_N)] = -1  # NaN sorts behind everything, which is no length
            for number, low in enumerate(edges[by].tolist()):
                if (here_N := number_N == number).any():
                    yield _bucket(by, int(low), length_N[here_N], lengths, here_N)


def _bucket(by: BucketBy, low: int, length_M: _Floats, lengths: Lengths, here_N: NDArray[np.bool_]) -> Bucket:
    """Its interval counts the questions alone: the seeds' outputs for one question are not independent."""
    mean = float(lengths.right_N[here_N].mean())
    num_questions = len(np.unique(lengths.question_N[here_N]))
    interval = wilson_interval(mean, num_questions)
    return Bucket(
        by=by,
        low=low,
        high=int(length_M.max()),
        num_outputs=int(here_N.sum()),
        num_questions=num_questions,
        accuracy=Estimate(mean, *interval, num_questions, 1),
    )

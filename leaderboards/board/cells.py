"""The cells of a row, made once all is measured and compared, and accuracy by length.

Lengths fall into buckets whose edges all rows share, so that rows can be compared bucket by bucket.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leaderboards.board.rows import (
    FORMAT_DEPENDENT,
    Bucket,
    BucketBy,
    Cell,
    Comparison,
    FigureKey,
    Judged,
    MetricCell,
    Origin,
    Sampled,
)
from leaderboards.board.sampling import ValuesBySize, sampled_points, values_by_size
from leaderboards.board.values import Measured, seeds_on_all, take_seeds
from leaderboards.results.merge import Group
from leaderboards.results.outcomes import LENGTHS, Lengths
from leaderboards.results.schema import METRICS, Evaluation, GenerationValue, Metric, TrainingCost
from leaderboards.stats import MACRO, Estimate, wilson_interval
from tasks.scoring import cohens_kappa

NUM_BUCKETS = 4
_COSTS = (
    *("steps", "tokens_forward", "tokens_loss", "flops", "wall_seconds"),
    *("reference_tokens", "reference_flops"),
)
_OF_EVALUATION = ("data_digest", "engine", "dtype", "scorer", "prompts")

_Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class CellMaker:
    """What the cells of one row are made of.

    Attributes:
        row: Its position on the board.
        measured: Its own figures.
        bootstrap: Intervals of the hierarchical bootstrap, of all rows.
        comparisons: To the reference, of all rows.
        buckets: By position and benchmark.
        votes: By benchmark, where several outputs were drawn for each question (`votes_of`).
    """

    row: int
    measured: Measured
    bootstrap: Mapping[FigureKey, tuple[float, float]]
    comparisons: Mapping[FigureKey, Comparison]
    buckets: Mapping[tuple[int, str], tuple[Bucket, ...]]
    votes: Mapping[str, ValuesBySize]

    @property
    def group(self) -> Group:
        """Whose cells they are."""
        return self.measured.group

    def cell(self, where: str, benchmarks: Sequence[str]) -> Cell | None:
        """The row on these benchmarks; None where it was not measured on all of them."""
        if (where, METRICS[0]) not in self.measured.estimates:
            return None
        outcomes = [self.group.outcomes[benchmark] for benchmark in benchmarks]
        defects = sum((one.defects for one in outcomes), Counter[str]())
        return Cell(
            benchmark=where,
            metrics=tuple(self._metric(where, metric) for metric in METRICS),
            num_outputs=sum(one.accuracy.size * one.num_samples for one in outcomes),
            num_samples=min(one.num_samples for one in outcomes),
            truncated=float(np.mean([one.truncated.mean() for one in outcomes])),
            output_tokens=float(np.mean([one.output_tokens.mean() for one in outcomes])),
            defects=tuple(sorted(defects.items(), key=lambda item: (-item[1], item[0]))),
            sampled=self._sampled(benchmarks),
            judged=None if where == MACRO else self._judged(where),
            buckets=self.buckets.get((self.row, where), ()),
            origins=() if where == MACRO else tuple(self._origins(where)),
        )

    def _metric(self, where: str, metric: Metric) -> MetricCell:
        key = (self.row, where, metric)
        return MetricCell(
            metric=metric,
            estimate=replace(self.measured.estimates[where, metric], bootstrap=self.bootstrap.get(key)),
            own_format=metric in FORMAT_DEPENDENT and self.measured.own_format,
            comparison=self.comparisons.get(key),
        )

    def _sampled(self, benchmarks: Sequence[str]) -> Sampled | None:
        """None unless all of the benchmarks have the same number of outputs for each question, over one."""
        if any(name not in self.votes for name in benchmarks):
            return None
        outcomes = [self.group.outcomes[name] for name in benchmarks]
        if len({one.num_samples for one in outcomes}) > 1:
            return None
        seeds = seeds_on_all(self.group, benchmarks)
        found = [
            {
                size: (take_seeds(one, passing, seeds), take_seeds(one, majority, seeds))
                for size, (passing, majority) in self.votes[name].items()
            }
            for name, one in zip(benchmarks, outcomes, strict=True)
        ]
        evaluations = [each for each in self.group.evaluations if each.benchmark in benchmarks]
        return Sampled(
            num_samples=outcomes[0].num_samples,
            temperature=_recorded(evaluations, "temperature"),
            seeds=_recorded(evaluations, "seed"),
            points=sampled_points(found),
        )

    def _origins(self, benchmark: str) -> Iterator[Origin]:
        outcomes = self.group.outcomes[benchmark]
        right_S = outcomes.accuracy.sum(axis=1) * outcomes.num_samples
        for one in self.group.evaluated:
            entry, evaluation = one.entry, one.evaluation
            if evaluation.benchmark == benchmark:
                yield Origin(
                    seed=entry.seed,
                    source=one.source,
                    checkpoint=without_home(entry.checkpoint),
                    digest=entry.digest,
                    **{name: getattr(evaluation, name) for name in _OF_EVALUATION},
                    generation=tuple((key, _worded(value)) for key, value in evaluation.generation.items()),
                    num_right=round(right_S[outcomes.seeds.index(entry.seed)]),
                    num_outputs=evaluation.n * evaluation.num_samples,
                )

    def _judged(self, benchmark: str) -> Judged | None:
        """All seeds together; None where no verdict could be read."""
        verdicts = self.group.outcomes[benchmark].judged
        if not verdicts or not (n := sum(verdicts)):
            return None
        checks = [each.judge for each in self.group.evaluations if each.benchmark == benchmark and each.judge]
        judges = dict.fromkeys(f"{check.model}, prompt {check.prompt_version}" for check in checks)
        return Judged(
            judge=" / ".join(judges),
            n=n,
            unreadable=sum(check.unreadable for check in checks),
            rule_only=verdicts.rule_only,
            judge_only=verdicts.judge_only,
            rule_accuracy=(verdicts.both + verdicts.rule_only) / n,
            judge_accuracy=(verdicts.both + verdicts.judge_only) / n,
            agreement=(verdicts.both + verdicts.neither) / n,
            kappa=cohens_kappa(*verdicts),
        )


def _recorded(evaluations: Sequence[Evaluation], setting: str) -> str:
    """The values that a generation setting had, such as `0.7` or `0, 1, 2`; empty where none is recorded."""
    found = (each.generation.get(setting) for each in evaluations)
    return ", ".join(dict.fromkeys(str(value) for value in found if value is not None))


def _worded(value: GenerationValue) -> str:
    return ", ".join(map(repr, value)) if isinstance(value, tuple) else str(value)


def without_home(path: str) -> str:
    """A path as a report may show it to anyone: the writer's home folder as `~`."""
    home = str(Path.home())
    return f"~{path[len(home) :]}" if path.startswith(f"{home}/") else path


def mean_cost(group: Group) -> TrainingCost | None:
    """The mean over the seeds that were trained here; None for the base and for external checkpoints."""
    costs = [entry.training for entry in group.entries if entry.training is not None]
    if not costs:
        return None
    means: dict[str, Any] = {name: float(np.mean([getattr(cost, name) for cost in costs])) for name in _COSTS}
    budgets = dict.fromkeys(cost.budget for cost in costs if cost.budget)
    return replace(costs[0], **means, budget=" / ".join(budgets))


def votes_of(group: Group) -> dict[str, ValuesBySize]:
    """What several outputs for each question give, by benchmark, where several were drawn."""
    drawn = {benchmark: one.draws for benchmark, one in group.outcomes.items() if one.draws}
    return {benchmark: values_by_size(draws) for benchmark, draws in drawn.items()}


def buckets_of(
    groups: Sequence[Group], benchmarks: Sequence[str]
) -> dict[tuple[int, str], tuple[Bucket, ...]]:
    """The buckets of each row, by its position, on each benchmark.

    Reasoning is that of the output, which the row chose to write: a row that is right where it reasons long
    may just reason long where the question is hard. The answer is the reference's, the same for all rows.
    """
    buckets: dict[tuple[int, str], tuple[Bucket, ...]] = {}
    for benchmark in benchmarks:
        outcomes = ((row, group.outcomes.get(benchmark)) for row, group in enumerate(groups))
        lengths = {row: one.lengths for row, one in outcomes if one and one.lengths}
        edges = {by: _edges([found.chars[by] for found in lengths.values()]) for by in LENGTHS}
        buckets |= {(row, benchmark): tuple(_buckets(found, edges)) for row, found in lengths.items()}
    return buckets


def _edges(lengths: Sequence[_Floats]) -> _Floats:
    """The lowest length of each bucket: quartiles of all outputs, fewer where many are equally long."""
    known = np.concatenate([np.empty(0), *(each[~np.isnan(each)] for each in lengths)])
    if not len(known):
        return known
    return np.unique(np.quantile(known, np.arange(NUM_BUCKETS) / NUM_BUCKETS, method="inverted_cdf"))


def _buckets(lengths: Lengths, edges: Mapping[BucketBy, _Floats]) -> Iterator[Bucket]:
    for by, length_N in lengths.chars.items():
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

"""Builds the leaderboard: stored runs in, a `Board` out; every writer only lays it out.

Everything is measured and compared first; then each row, and the board, is made once, whole. The format
validity of an untagged entry, which is another thing, is never compared with that of a tagged one.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from leaderboards.board import conclusions, rows
from leaderboards.board.budgets import against_compute
from leaderboards.board.by_itself import keys_of
from leaderboards.board.claims import answer_claims
from leaderboards.board.comparing import Comparer, alpha_changes, partners, tiers
from leaderboards.board.curves import curve_of
from leaderboards.board.sampling import ValuesBySize, sampled_points, values_by_size
from leaderboards.board.sensitivity import variations
from leaderboards.board.values import (
    Family,
    Measured,
    bootstrap,
    buckets_of,
    seeds_on_all,
    take_seeds,
)
from leaderboards.results.comparability import checked_aspects
from leaderboards.results.merge import Group, merge_runs
from leaderboards.results.reported import Reported
from leaderboards.results.schema import METRICS, Evaluation, GenerationValue, Metric, RunResults, TrainingCost
from leaderboards.stats import CONFIDENCE, MACRO
from tasks.errors import InputError
from tasks.scoring import cohens_kappa

DEFAULT_REFERENCES = ("sft-tag-x2", "sft-tag", "sft")
_COSTS = [each.name for each in fields(TrainingCost) if each.name not in ("stages", "budget")]
_OF_ENTRY = ("role", "tags", "tagged", "method", "licence", "link", "tuning")
_OF_EVALUATION = ("data_digest", "engine", "dtype", "scorer", "prompts")


def build_board(
    runs: Sequence[RunResults],
    *,
    reference: str | None = None,
    rank_by: str = "accuracy",
    alpha: float = 0.7,
    margin: float = 0.01,
    allow_different: Collection[str] = (),
    reported: Sequence[Reported] = (),
    claims: Sequence[str] = (),
) -> rows.Board:
    """Builds the leaderboard of one or several stored runs.

    Args:
        runs: the stored runs; the same checkpoint in two of them counts once.
        reference: the entry that all others are compared with; by default the compute-matched control
            `sft-tag-x2`, else `sft-tag`, else `sft`, else the first trained entry, else the first.
        rank_by: accuracy, accuracy_strict, format_valid or score; the macro average decides.
        alpha: the weight of accuracy in score = α·accuracy + (1 - α)·format_valid.
        margin: within how much, a share of 1, two entries are called equivalent.
        allow_different: in what results may differ (data, prompt, generation, scorer) and be shown marked.
        reported: figures that others report, to be shown beside the rows.
        claims: to be answered beside those on record in the runs.

    Raises:
        InputError: an unknown reference or metric, runs that contradict each other or are not comparable, or
            a row and its reference that were not asked the same questions.
    """
    metric = next((each for each in METRICS if each == rank_by), None)
    if metric is None:
        raise InputError(f"rank_by: unknown metric {rank_by!r}; choose one of {', '.join(METRICS)}")
    if not 0 <= alpha <= 1:
        raise InputError(f"alpha: {alpha} is outside 0 to 1; it weighs accuracy against format in the score")
    groups = merge_runs(runs, checked_aspects(allow_different))
    name = _reference_name(groups, reference)
    benchmarks = tuple(dict.fromkeys(chain.from_iterable(group.outcomes for group in groups)))
    family = Family.of(groups, benchmarks, alpha)
    measured, ranks = _ranked([Measured.of(group, benchmarks, alpha, family) for group in groups], metric)
    groups = tuple(each.group for each in measured)
    comparer = Comparer(measured, benchmarks, alpha, family, margin)
    names = dict.fromkeys(group.name for group in groups)
    versus = {other: comparer.against(other) for other in names}
    ranked = [row for row, rank in enumerate(ranks) if rank is not None]
    pairs = comparer.pairs(metric)
    changes = alpha_changes([one.score_by_alpha for one in measured], comparer.both_differ())
    made = tuple(_rows(measured, ranks, tiers(ranked, pairs), versus[name], benchmarks, alpha, name))

    def build(others: Sequence[RunResults]) -> rows.Board:
        return build_board(
            others,
            reference=name,
            rank_by=rank_by,
            alpha=alpha,
            margin=margin,
            allow_different=allow_different,
        )

    return rows.Board(
        rows=made,
        benchmarks=benchmarks,
        reference=name,
        rank_by=metric,
        alpha=alpha,
        confidence=CONFIDENCE,
        margin=margin,
        family_macro=len(pairs),
        family_cells=sum(where != MACRO and of == metric for _, where, of in versus[name]),
        summary=conclusions.summary(made, metric),
        notes=conclusions.cautions(made, groups, benchmarks, metric),
        checks=conclusions.checks(made, groups, benchmarks, changes),
        provenance=tuple((run.source, dict(run.provenance)) for run in runs),
        claims=tuple(
            replace(answer, variations=variations(answer, groups, margin))
            for answer in answer_claims(groups, runs, benchmarks, claims, alpha, margin)
        ),
        pairs=pairs,
        alpha_changes=changes,
        reported=tuple(reported),
        budgets=against_compute(runs, made, metric, build),
        versus=versus,
    )


def _reference_name(groups: Sequence[Group], asked: str | None) -> str:
    names = list(dict.fromkeys(group.name for group in groups))
    if asked is not None:
        if asked not in names:
            raise InputError(f"reference: no entry named {asked!r}; the runs hold {', '.join(names)}")
        return asked
    trained = [group.name for group in groups if group.entries[0].role == "trained"]
    return next(name for name in (*DEFAULT_REFERENCES, *trained, *names) if name in names)


def _ranked(
    measured: Sequence[Measured], metric: Metric
) -> tuple[tuple[Measured, ...], tuple[int | None, ...]]:
    """Best macro average first, with ranks; those whose figure means something else come last, unranked."""

    def has_mean(one: Measured) -> bool:
        return (MACRO, metric) in one.estimates

    def own_format(one: Measured) -> bool:
        return metric in rows.FORMAT_DEPENDENT and one.own_format

    any_comparable = any(has_mean(one) and not own_format(one) for one in measured)

    def comparable(one: Measured) -> bool:
        return has_mean(one) and not (any_comparable and own_format(one))

    def mean(one: Measured) -> float:
        return one.estimates[MACRO, metric].mean if has_mean(one) else -1.0

    ordered = sorted(measured, key=lambda one: (not comparable(one), -mean(one)))
    better = [sum(comparable(other) and mean(other) > mean(one) for other in measured) for one in ordered]
    ranks = (ahead + 1 if comparable(one) else None for one, ahead in zip(ordered, better, strict=True))
    return tuple(ordered), tuple(ranks)


def _rows(
    measured: Sequence[Measured],
    ranks: Sequence[int | None],
    tier_of: Mapping[int, int],
    compared: Mapping[rows.FigureKey, rows.Comparison],
    benchmarks: tuple[str, ...],
    alpha: float,
    reference: str,
) -> Iterator[rows.Row]:
    groups = [one.group for one in measured]
    intervals, buckets = bootstrap(groups, benchmarks, alpha), buckets_of(groups, benchmarks)
    keys = keys_of(groups, benchmarks, alpha, partners(groups, reference))
    for row, group in enumerate(groups):
        votes = {name: values_by_size(one.draws) for name, one in group.outcomes.items() if one.draws}
        maker = _CellMaker(row, measured[row], intervals, compared, buckets, votes, keys)
        cells = (maker.cell(benchmark, (benchmark,)) for benchmark in benchmarks)
        first = group.entries[0]
        yield rows.Row(
            rank=ranks[row],
            tier=tier_of.get(row),
            name=group.name,
            model=group.model,
            **{name: getattr(first, name) for name in _OF_ENTRY},
            seeds=tuple(entry.seed for entry in group.entries),
            checkpoints=tuple(_without_home(entry.checkpoint) for entry in group.entries),
            is_reference=group.name == reference,
            macro=maker.cell(MACRO, benchmarks),
            cells=tuple(cell for cell in cells if cell),
            cost=_mean_cost(group),
            curve=curve_of(group.curves),
            evaluation_seconds=sum(evaluation.wall_seconds for evaluation in group.evaluations),
            marks=tuple(dict.fromkeys(f"{one.benchmark}: {one.mark()}" for one in group.unlike)),
            score_by_alpha=measured[row].score_by_alpha,
        )


@dataclass(frozen=True, slots=True, eq=False)
class _CellMaker:
    """What the cells of the row at this position are made of; all but its figures and votes: of all rows."""

    row: int
    measured: Measured
    bootstrap: Mapping[rows.FigureKey, tuple[float, float]]
    comparisons: Mapping[rows.FigureKey, rows.Comparison]
    buckets: Mapping[tuple[int, str], tuple[rows.Bucket, ...]]
    votes: Mapping[str, ValuesBySize]
    keys: Mapping[tuple[int, str], rows.Key]

    @property
    def group(self) -> Group:
        """Whose cells they are."""
        return self.measured.group

    def cell(self, where: str, benchmarks: Sequence[str]) -> rows.Cell | None:
        """The row on these benchmarks; None where it was not measured on all of them."""
        if (where, METRICS[0]) not in self.measured.estimates:
            return None
        outcomes = [self.group.outcomes[benchmark] for benchmark in benchmarks]
        defects = sum((one.defects for one in outcomes), Counter[str]())
        return rows.Cell(
            benchmark=where,
            metrics=tuple(self._metric(where, metric) for metric in METRICS),
            num_outputs=sum(one.accuracy.size * one.num_samples for one in outcomes),
            num_samples=min(one.num_samples for one in outcomes),
            truncated=float(np.mean([one.truncated.mean() for one in outcomes])),
            output_tokens=float(np.mean([one.output_tokens.mean() for one in outcomes])),
            undecided=sum(one.undecided for one in outcomes),
            defects=tuple(sorted(defects.items(), key=lambda item: (-item[1], item[0]))),
            sampled=self._sampled(where, benchmarks),
            judged=None if where == MACRO else self._judged(where),
            key=self.keys.get((self.row, where)),
            buckets=self.buckets.get((self.row, where), ()),
            origins=() if where == MACRO else tuple(self._origins(where)),
        )

    def _metric(self, where: str, metric: Metric) -> rows.MetricCell:
        key = (self.row, where, metric)
        return rows.MetricCell(
            metric=metric,
            estimate=replace(self.measured.estimates[where, metric], bootstrap=self.bootstrap.get(key)),
            own_format=metric in rows.FORMAT_DEPENDENT and self.measured.own_format,
            comparison=self.comparisons.get(key),
        )

    def _sampled(self, where: str, benchmarks: Sequence[str]) -> rows.Sampled | None:
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
        return rows.Sampled(
            num_samples=outcomes[0].num_samples,
            temperature=_recorded(evaluations, "temperature"),
            seeds=_recorded(evaluations, "seed"),
            points=sampled_points(found, self.measured.spreads[where, "accuracy"]),
        )

    def _origins(self, benchmark: str) -> Iterator[rows.Origin]:
        outcomes = self.group.outcomes[benchmark]
        right_S = outcomes.accuracy.sum(axis=1) * outcomes.num_samples
        for one in self.group.evaluated:
            entry, evaluation = one.entry, one.evaluation
            if evaluation.benchmark == benchmark:
                yield rows.Origin(
                    seed=entry.seed,
                    source=one.source,
                    checkpoint=_without_home(entry.checkpoint),
                    digest=entry.digest,
                    **{name: getattr(evaluation, name) for name in _OF_EVALUATION},
                    generation=tuple((key, _worded(value)) for key, value in evaluation.generation.items()),
                    num_right=round(right_S[outcomes.seeds.index(entry.seed)]),
                    num_outputs=evaluation.n * evaluation.num_samples,
                )

    def _judged(self, benchmark: str) -> rows.Judged | None:
        """All seeds together; None where no verdict could be read."""
        verdicts = self.group.outcomes[benchmark].judged
        if not verdicts or not (n := sum(verdicts)):
            return None
        checks = [each.judge for each in self.group.evaluations if each.benchmark == benchmark and each.judge]
        judges = dict.fromkeys(f"{check.model}, prompt {check.prompt_version}" for check in checks)
        return rows.Judged(
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


def _without_home(path: str) -> str:
    """A path as a report may show it to anyone: the writer's home folder as `~`."""
    home = str(Path.home())
    return f"~{path[len(home) :]}" if path.startswith(f"{home}/") else path


def _mean_cost(group: Group) -> TrainingCost | None:
    """The mean over the seeds that were trained here; None for the base and for external checkpoints."""
    costs = [entry.training for entry in group.entries if entry.training is not None]
    if not costs:
        return None
    means: dict[str, Any] = {name: float(np.mean([getattr(cost, name) for cost in costs])) for name in _COSTS}
    budgets = dict.fromkeys(cost.budget for cost in costs if cost.budget)
    return replace(costs[0], **means, budget=" / ".join(budgets))

"""Fills one cell of the board, and a row's training cost, from the merged outcomes of a row."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from leaderboards.board.pairing import Seeds, seeds_on_all, take_seeds, values
from leaderboards.board.rows import (
    FORMAT_DEPENDENT,
    MACRO,
    METRICS,
    Cell,
    Judged,
    Metric,
    MetricCell,
    Origin,
    Sampled,
)
from leaderboards.board.sampling import Curve, sampled_curve, sampled_points
from leaderboards.report.wording import without_home
from leaderboards.results.merge import Group
from leaderboards.results.outcomes import Outcomes, Verdicts
from leaderboards.results.schema import Evaluation, GenerationValue, JudgeCheck, TrainingCost
from leaderboards.stats import mean_interval
from tasks.scoring import cohens_kappa


@dataclass(frozen=True, slots=True, eq=False)
class CellMaker:
    """One row's group, the weight of accuracy in its score, and its votes, which are counted once."""

    group: Group
    alpha: float
    curves: Mapping[str, Curve]

    @classmethod
    def of(cls, group: Group, alpha: float) -> "CellMaker":
        """Counts the votes of a group where it has several outputs for each question."""
        drawn = {name: one.draws for name, one in group.outcomes.items() if one.draws}
        return cls(group, alpha, {name: sampled_curve(draws) for name, draws in drawn.items()})

    def cell(self, where: str, benchmarks: Sequence[str]) -> Cell | None:
        """The row on these benchmarks, not yet compared; None where no seed has results on all of them."""
        seeds = seeds_on_all(self.group, benchmarks)
        if not seeds:
            return None
        outcomes = [self.group.outcomes[benchmark] for benchmark in benchmarks]
        return Cell(
            benchmark=where,
            metrics=tuple(self._metric(metric, outcomes, seeds) for metric in METRICS),
            num_outputs=sum(one.accuracy.size * one.num_samples for one in outcomes),
            num_samples=min(one.num_samples for one in outcomes),
            truncated=float(np.mean([one.truncated.mean() for one in outcomes])),
            output_tokens=float(np.mean([one.output_tokens.mean() for one in outcomes])),
            defects=_defects(outcomes),
            sampled=self._sampled(benchmarks, seeds),
            judged=None if where == MACRO else self._judged(where),
            origins=() if where == MACRO else tuple(self._origins(where)),
        )

    def _metric(self, metric: Metric, outcomes: Sequence[Outcomes], seeds: Seeds) -> MetricCell:
        matrices = [take_seeds(one, values(one, metric, self.alpha), seeds) for one in outcomes]
        return MetricCell(
            metric=metric,
            estimate=mean_interval(matrices, draws=[one.num_samples for one in outcomes]),
            own_format=metric in FORMAT_DEPENDENT and not self.group.entries[0].tagged,
            comparison=None,
        )

    def _sampled(self, benchmarks: Sequence[str], seeds: Seeds) -> Sampled | None:
        """None unless all of the benchmarks have the same number of outputs for each question, over one."""
        if any(name not in self.curves for name in benchmarks):
            return None
        outcomes = [self.group.outcomes[name] for name in benchmarks]
        if len({one.num_samples for one in outcomes}) > 1:
            return None
        curves = [
            {
                size: (take_seeds(one, passing, seeds), take_seeds(one, majority, seeds))
                for size, (passing, majority) in self.curves[name].items()
            }
            for name, one in zip(benchmarks, outcomes, strict=True)
        ]
        evaluations = [each for each in self.group.evaluations if each.benchmark in benchmarks]
        return Sampled(
            num_samples=outcomes[0].num_samples,
            temperature=_recorded(evaluations, "temperature"),
            seeds=_recorded(evaluations, "seed"),
            points=sampled_points(curves),
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
                    data_digest=evaluation.data_digest,
                    engine=evaluation.engine,
                    dtype=evaluation.dtype,
                    scorer=evaluation.scorer,
                    prompts=evaluation.prompts,
                    generation=tuple((key, _worded(value)) for key, value in evaluation.generation.items()),
                    num_right=round(right_S[outcomes.seeds.index(entry.seed)]),
                    num_outputs=evaluation.n * evaluation.num_samples,
                )

    def _judged(self, benchmark: str) -> Judged | None:
        verdicts = self.group.outcomes[benchmark].verdicts
        evaluations = [each for each in self.group.evaluations if each.benchmark == benchmark]
        return judged(verdicts, [each.judge for each in evaluations if each.judge]) if verdicts else None


def _recorded(evaluations: Sequence[Evaluation], setting: str) -> str:
    """The values that a generation setting had, such as `0.7` or `0, 1, 2`; empty where none is recorded."""
    found = (each.generation.get(setting) for each in evaluations)
    return ", ".join(dict.fromkeys(str(value) for value in found if value is not None))


def _worded(value: GenerationValue) -> str:
    return ", ".join(map(repr, value)) if isinstance(value, tuple) else str(value)


def _defects(outcomes: Sequence[Outcomes]) -> tuple[tuple[str, int], ...]:
    counts: dict[str, int] = {}
    for defect, count in chain.from_iterable(one.defects for one in outcomes):
        counts[defect] = counts.get(defect, 0) + count
    return tuple(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def mean_cost(group: Group) -> TrainingCost | None:
    """The mean over the seeds that were trained here; None for the base and for external checkpoints."""
    costs = [entry.training for entry in group.entries if entry.training is not None]
    if not costs:
        return None
    return TrainingCost(
        steps=float(np.mean([cost.steps for cost in costs])),
        tokens_forward=float(np.mean([cost.tokens_forward for cost in costs])),
        tokens_loss=float(np.mean([cost.tokens_loss for cost in costs])),
        flops=float(np.mean([cost.flops for cost in costs])),
        wall_seconds=float(np.mean([cost.wall_seconds for cost in costs])),
        stages=costs[0].stages,
        reference_tokens=float(np.mean([cost.reference_tokens for cost in costs])),
        reference_flops=float(np.mean([cost.reference_flops for cost in costs])),
        budget=" / ".join(dict.fromkeys(cost.budget for cost in costs if cost.budget)),
    )


def judged(verdicts: Verdicts, checks: Sequence[JudgeCheck]) -> Judged | None:
    """One row on one benchmark, all seeds together; None where no verdict could be read."""
    n = verdicts.both + verdicts.rule_only + verdicts.judge_only + verdicts.neither
    if not n:
        return None
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
        kappa=cohens_kappa(verdicts.both, verdicts.rule_only, verdicts.judge_only, verdicts.neither),
    )

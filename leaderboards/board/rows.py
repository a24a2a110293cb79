"""What a leaderboard is, as plain data: rows, cells, intervals, comparisons, and what was found.

Apart from `build`, which makes it, so that writers and sentences need nothing but the data.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from leaderboards.board.findings import Caution, Check, SummaryFinding
from leaderboards.results.reported import Reported
from leaderboards.results.schema import METRICS, Declared, Metric, Role, TrainingCost, Tuning
from leaderboards.results.schema import BucketBy as BucketBy
from leaderboards.stats import MACRO, Difference, Estimate

Verdict = Literal["better", "worse", "equivalent", "undecided"]
ClaimVerdict = Literal["confirmed", "refuted", "equivalent", "undecided", "unknown"]
Standing = Literal["before", "after", "default"]
"""Of a claim: on record before anything was trained, made when results may have been seen, or by default."""
ALPHAS = tuple(step / 10 for step in range(11))
"""The weights of accuracy at which the score is shown."""
# They hold format validity, which for an untagged entry means something else.
FORMAT_DEPENDENT = frozenset({"accuracy_strict", "format_valid", "score"})
FigureKey = tuple[int, str, Metric]
"""Which figure of a board: position of its row, benchmark or `macro`, metric."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A row against another on one metric; the verdict goes by the Holm-corrected p-value.

    Attributes:
        difference: The row's mean minus the other's, paired by question and seed.
        p_holm: Its p-value, corrected over the family of comparisons that it is shown in.
        verdict: What may be said; equivalent means within the board's margin.
        effect: Cohen's h of the two means (`stats.cohens_h`).
        detectable: The true difference that would be found four times in five, after the correction.
        family: How many comparisons were corrected together.
    """

    difference: Difference
    p_holm: float
    verdict: Verdict
    effect: float = 0.0
    detectable: float = 0.0
    family: int = 1

    def reversed(self) -> "Comparison":
        """The same comparison seen from the other row."""
        mirrored: dict[Verdict, Verdict] = {"better": "worse", "worse": "better"}
        return replace(
            self,
            difference=self.difference.reversed(),
            verdict=mirrored.get(self.verdict, self.verdict),
            effect=-self.effect,
        )


@dataclass(frozen=True, slots=True)
class MetricCell:
    """One metric of one row on one benchmark; `own_format` marks with † what is not comparable."""

    metric: Metric
    estimate: Estimate
    own_format: bool
    comparison: Comparison | None


@dataclass(frozen=True, slots=True)
class SampledPoint:
    """What `size` outputs for each question give: one of them right (pass), the vote right (majority)."""

    size: int
    passing: Estimate
    majority: Estimate


@dataclass(frozen=True, slots=True)
class Sampled:
    """Several outputs for each question, how they were drawn, and what 1, 2, 4, … of them give."""

    num_samples: int
    temperature: str
    seeds: str
    points: tuple[SampledPoint, ...]


@dataclass(frozen=True, slots=True)
class Judged:
    """A judge's verdicts beside the rule's on the n outputs whose verdict could be read; shares of 1.

    `kappa` is Cohen's, None where it is not defined (both constant).
    """

    judge: str
    n: int
    unreadable: int
    rule_only: int
    judge_only: int
    rule_accuracy: float
    judge_accuracy: float
    agreement: float
    kappa: float | None


@dataclass(frozen=True, slots=True)
class Key:
    """The answer by itself, of one row on one benchmark or all; None where not measured.

    Attributes:
        accuracy: Of the answers given after the reference's reasoning.
        difference: Of that to the reference entry; None for itself.
        bits_gold: Mean -log2 p of the reference answer after the reference's reasoning.
        bits_difference: Of these to the reference entry's, in bits; None for itself.
        bits_own: The same after the output's own reasoning.
        own_difference: Of these to the reference entry's, over the questions where both reason in all seeds.
        own: Share of the outputs in which that could be measured.
        reasoning: Share of the outputs whose reasoning makes the reference's calculations, in their order.
        right_after: Share of these that are right.
    """

    accuracy: Estimate
    difference: Difference | None
    bits_difference: Difference | None
    own_difference: Difference | None
    bits_gold: float | None
    bits_own: float | None
    own: float | None
    reasoning: float | None
    right_after: float | None


@dataclass(frozen=True, slots=True)
class Bucket:
    """Outputs of one row on one benchmark whose reasoning, or whose reference answer, is about equally long.

    Attributes:
        by: `reasoning`: characters of the output's own reasoning; `answer`: of the reference answer, so that
            all rows have the same questions in a bucket.
        low: Characters from which on an output belongs here; the edges are the same for all rows.
        high: Characters of the longest.
        num_outputs: How many there are, over all seeds.
        num_questions: How many questions they belong to.
        accuracy: Share that is right, with its interval.
    """

    by: BucketBy
    low: int
    high: int
    num_outputs: int
    num_questions: int
    accuracy: Estimate


@dataclass(frozen=True, slots=True)
class Origin:
    """Where one seed's figures on one benchmark come from.

    Attributes:
        seed: Of the training; None where there is none.
        source: The run that holds the samples, as it was named to the reader.
        checkpoint: Which weights.
        digest: Of the weights.
        data_digest: Of the questions and their answers.
        engine: What generated, with its version.
        dtype: The numbers in which it did.
        scorer: Digest of the scorer; empty where it is not known.
        prompts: Digest of the prompts' texts; empty where it is not known.
        generation: What else decides what is generated, as text.
        num_right: Outputs that are right (lenient accuracy).
        num_outputs: All outputs.
    """

    seed: int | None
    source: str
    checkpoint: str
    digest: str
    data_digest: str
    engine: str
    dtype: str
    scorer: str
    prompts: str
    generation: tuple[tuple[str, str], ...]
    num_right: int
    num_outputs: int


@dataclass(frozen=True, slots=True)
class Cell:
    """One row on one benchmark, or on all (`macro`): metrics, and what went wrong in the outputs.

    `num_samples` is the number of outputs drawn for each question, the smallest where benchmarks differ.
    `sampled` is there where several were drawn (for `macro`: equally many on all benchmarks), `judged` where
    a judge read them; `undecided` counts outputs whose comparison reached a limit; `buckets` and `origins`
    (one a seed) are those of one benchmark, none for `macro`.
    """

    benchmark: str
    metrics: tuple[MetricCell, ...]
    num_outputs: int
    num_samples: int
    truncated: float
    output_tokens: float
    undecided: int
    defects: tuple[tuple[str, int], ...]
    sampled: Sampled | None = None
    judged: Judged | None = None
    key: Key | None = None
    buckets: tuple[Bucket, ...] = ()
    origins: tuple[Origin, ...] = ()

    def metric(self, name: Metric) -> MetricCell:
        """The cell's figures for one metric."""
        return self.metrics[METRICS.index(name)]


@dataclass(frozen=True, slots=True)
class Grid:
    """Where a line's T points lie: optimiser steps, tokens forward (mean over seeds), number of the stage."""

    steps: tuple[float, ...]
    tokens: tuple[float, ...]
    stages: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """One quantity along T points: the mean over the seeds, the lowest and the highest seed."""

    quantity: str
    grid: Grid
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class StageEnd:
    """A stage, from 1 on, and where it ended: the mean over the seeds."""

    number: int
    name: str
    steps: float
    tokens: float


@dataclass(frozen=True, slots=True)
class Curve:
    """The training of one row of the board; `lines` holds only what was measured."""

    num_seeds: int
    stages: tuple[StageEnd, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One entry of one model.

    Attributes:
        rank: By the macro average of the ranking metric; None where that cannot be compared.
        tier: Rows of one tier cannot be told apart; None without a rank.
        name: Of the entry.
        model: What it was trained from, or what it is.
        role: Trained here, the untrained base, or external.
        seeds: Of its trainings; `(None,)` without.
        tags: Its tag format.
        tagged: Whether that has tags at all.
        method: How it was trained: full, lora, …
        checkpoints: One a seed.
        is_reference: Whether others are compared with it.
        macro: Over all benchmarks; None where it lacks one.
        cells: By benchmark.
        cost: Of the training of one seed (the mean over its seeds); None where it was not trained here.
        curve: Of its training.
        evaluation_seconds: Time spent generating, over all seeds.
        licence: Of an external checkpoint.
        link: To where an external checkpoint is from.
        tuning: How its settings were chosen; None where that is not known.
        marks: Why its figures are not comparable with the others', where the user insisted on showing them.
        score_by_alpha: Macro score at each of `ALPHAS`; None where its format means something else.
    """

    rank: int | None
    tier: int | None
    name: str
    model: str
    role: Role
    seeds: tuple[int | None, ...]
    tags: str
    tagged: bool
    method: str | None
    checkpoints: tuple[str, ...]
    is_reference: bool
    macro: Cell | None
    cells: tuple[Cell, ...]
    cost: TrainingCost | None
    curve: Curve | None
    evaluation_seconds: float
    licence: str | None
    link: str | None
    tuning: Tuning | None = None
    marks: tuple[str, ...] = ()
    score_by_alpha: tuple[Estimate, ...] | None = None

    def cell(self, benchmark: str) -> Cell | None:
        """The row's cell for a benchmark or for `macro`; None where it was not evaluated."""
        if benchmark == MACRO:
            return self.macro
        return next((cell for cell in self.cells if cell.benchmark == benchmark), None)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two rows, by their positions on the board, compared on the macro average of the ranking metric.

    All such pairs are the family that is corrected; stars, tiers and sentences are made from them.
    """

    first: int
    second: int
    comparison: Comparison


@dataclass(frozen=True, slots=True)
class BudgetPoint:
    """A row trained with a share of the budget, over all benchmarks.

    Attributes:
        share: Of the budget.
        flops: All that it took, samples and reference model among it.
        estimate: The ranking metric.
    """

    share: float
    flops: float
    estimate: Estimate


@dataclass(frozen=True, slots=True)
class BudgetLine:
    """What more compute brought one row.

    Attributes:
        row: Its position.
        points: By growing share; the last is the whole.
        needed: FLOPs at which its line first has what the reference has with the whole budget, straight
            between two points over the logarithm of the FLOPs; null where it never does.
    """

    row: int
    points: tuple[BudgetPoint, ...]
    needed: float | None


@dataclass(frozen=True, slots=True)
class Variation:
    """A claim's question with one choice made otherwise, tested by itself.

    Attributes:
        what: The choice, in words.
        difference: The first row minus the second.
        low: Lower end of its interval at the answer's level.
        high: Its upper end.
        verdict: What the answer would be.
    """

    what: str
    difference: Difference
    low: float
    high: float
    verdict: ClaimVerdict


@dataclass(frozen=True, slots=True)
class Answer:
    """What the results say to a claim.

    Attributes:
        claim: As it is written.
        first: Row that it is about.
        second: Row beside it.
        benchmarks: That it is over, each weighing the same.
        standing: Whether it was on record before anything was trained.
        declared: The record.
        difference: The first row minus the second.
        p: Of the test that decides; corrected over the family, unless seeds are added until it is decided.
        level: Below which p decides.
        low: Lower end of the difference's interval at this level.
        high: Its upper end.
        verdict: Equivalent means within the board's margin, unknown that seeds are too few or too unlike.
        family: How many claims of like standing were corrected together.
        alpha: Weight of accuracy, where it is about the score.
        variations: The same question with one choice made otherwise.
    """

    claim: str
    first: int
    second: int
    benchmarks: tuple[str, ...]
    standing: Standing
    declared: Declared | None
    difference: Difference
    p: float = 1.0
    level: float = 1.0
    low: float = -1.0
    high: float = 1.0
    verdict: ClaimVerdict = "unknown"
    family: int = 1
    alpha: float = 1.0
    variations: tuple[Variation, ...] = ()


@dataclass(frozen=True, slots=True)
class AlphaChange:
    """Where the ranking by score changes as α grows: at `alpha` the one row passes the other.

    Rows are positions on the board; `distinguishable` says whether the two differ beyond chance both in
    accuracy and in format, since a change of rank between rows that nobody can tell apart means nothing.
    """

    alpha: float
    rises: int
    falls: int
    distinguishable: bool


@dataclass(frozen=True, slots=True)
class Board:
    """A leaderboard, rows best first.

    Attributes:
        rows: One for each entry of each model.
        benchmarks: In the order in which they first appear.
        reference: Name of the entry that the rows' comparisons are to.
        rank_by: The ranking metric.
        alpha: Weight of accuracy in score.
        confidence: Level of the intervals.
        margin: Within how much, a share of 1, two rows are equivalent.
        family_macro: How many pairs of rows are corrected together over all benchmarks.
        family_cells: How many differences on single benchmarks, corrected apart from them.
        claims: What was asked, and the answers.
        summary: What was found, the headline first.
        notes: What to beware of.
        checks: What was checked.
        provenance: Of each run, by its source.
        pairs: All pairs of rows that can be compared.
        alpha_changes: Where the ranking by score changes, by α.
        reported: Figures that others report.
        budgets: Of each trained row at smaller shares of the budget; empty where none were trained.
        versus: The comparisons to every other entry that may be chosen as the reference, by its name.
    """

    rows: tuple[Row, ...]
    benchmarks: tuple[str, ...]
    reference: str
    rank_by: Metric
    alpha: float
    confidence: float
    margin: float
    family_macro: int
    family_cells: int
    summary: tuple[SummaryFinding, ...]
    notes: tuple[Caution, ...]
    checks: tuple[Check, ...]
    provenance: tuple[tuple[str, Mapping[str, str]], ...]
    claims: tuple[Answer, ...] = ()
    pairs: tuple[Pair, ...] = ()
    alpha_changes: tuple[AlphaChange, ...] = ()
    reported: tuple[Reported, ...] = ()
    budgets: tuple[BudgetLine, ...] = ()
    versus: Mapping[str, Mapping[FigureKey, Comparison]] = field(default_factory=dict, repr=False)

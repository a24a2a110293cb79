"""What a board found, as data: a small class for each kind, which `report.findings` puts into a sentence.

Rows are given by their positions on the board.
"""

from typing import Literal, NamedTuple

from leaderboards.results.schema import Overlap

FAR_APART = 0.2
"""Seeds of an entry whose accuracies differ by more are named: they may lie on two sides of a jump."""
MANY_TRUNCATED = 0.05
"""Share of an entry's outputs on a benchmark cut at the token limit that is worth a warning."""
MANY_VERDICTS = 0.01
"""Share of the outputs made again by the reference engine that may be judged otherwise."""
UNMATCHED = 0.01
"""Relative difference in steps or tokens beyond which entries were not trained with the same compute."""


class Headline(NamedTuple):
    """The rows that are better than the reference, by the ranking metric over all benchmarks."""

    better: tuple[int, ...]


class AgainstReference(NamedTuple):
    """A row beside the reference; `compute_ratio` is there where their compute was clearly unequal."""

    row: int
    compute_ratio: float | None


class SameCompute(NamedTuple):
    """Rows that were trained with the same optimiser steps and forward tokens."""

    rows: tuple[int, ...]
    steps: float
    tokens_forward: float


class ComputeMatch(NamedTuple):
    """The trained rows of a model (None: the only one) by their compute, the reference's group first.

    Rows that learn from samples stand in no group: part of their budget went into drawing these.
    `reference_tokens` are the forward tokens that preparing a reference model took on top, by row; `sampled`
    those that samples took, and how many times the reference's compute (None: unknown) all came to.
    """

    model: str | None
    groups: tuple[SameCompute, ...]
    reference_tokens: tuple[tuple[int, float], ...]
    sampled: tuple[tuple[int, float, float | None], ...] = ()


class Detectable(NamedTuple):
    """True differences that would probably be found, of the rows that nothing tells from the reference.

    The least of them and its row, and the most; the two are one where there is one such row.
    """

    least: tuple[int, float]
    most: tuple[int, float]


class OneSeed(NamedTuple):
    """Trained rows with one seed."""

    rows: tuple[int, ...]


class SeedsUnknown(NamedTuple):
    """Rows with several seeds, too few or too unlike for anything to follow for other seeds."""

    rows: tuple[int, ...]


class SeedsFarApart(NamedTuple):
    """A row whose seeds' means, sorted, lie far apart, shares of 1."""

    row: int
    by_seed: tuple[float, ...]


class FewQuestions(NamedTuple):
    """A benchmark with few questions, and how wide its widest interval is."""

    benchmark: str
    num_questions: int
    width: float


class NotRanked(NamedTuple):
    """Rows without a rank: for want of results, or since the metric holds another kind of format."""

    rows: tuple[int, ...]
    why: Literal["results", "format"]


class NearZero(NamedTuple):
    """Every macro accuracy is near zero; `highest` is the highest end of their intervals."""

    highest: float


class Truncated(NamedTuple):
    """Where more than `MANY_TRUNCATED` of the outputs were cut at the token limit: row, benchmark, share."""

    cells: tuple[tuple[int, str, float], ...]


class UndecidedVerdicts(NamedTuple):
    """Outputs that count as wrong only because their comparison reached a limit: row, benchmark, number."""

    cells: tuple[tuple[int, str, int], ...]


class UnequalTuning(NamedTuple):
    """Trained rows by how many points their settings were chosen from (0: none known), most first."""

    groups: tuple[tuple[int, tuple[int, ...]], ...]


class AtEdge(NamedTuple):
    """Rows whose chosen settings lie at the edge of what was tried, and which settings."""

    rows: tuple[tuple[int, tuple[str, ...]], ...]


class Tuned(NamedTuple):
    """Rows whose settings were chosen on validation questions: row, points, seeds of each, points gained."""

    rows: tuple[tuple[int, int, int, float], ...]


class Repeated(NamedTuple):
    """Questions that stand several times in what a board averages: how many, and where."""

    number: int
    benchmarks: tuple[str, ...]


class Overlapping(NamedTuple):
    """Test questions of a benchmark that stand in the training data of these rows."""

    benchmark: str
    rows: tuple[int, ...]
    overlap: Overlap


class OtherVerdicts(NamedTuple):
    """Where the reference engine's outputs were judged otherwise: row, benchmark, how many, of how many."""

    cells: tuple[tuple[int, str, int, int], ...]


class NotComparable(NamedTuple):
    """An entry that was asked or judged unlike the others on these benchmarks; `how` says in what."""

    entry: str
    benchmarks: tuple[str, ...]
    how: str


class Setting(NamedTuple):
    """What differs between the rows of a benchmark, such as the engine: each value and who has it."""

    name: str
    values: tuple[tuple[str, tuple[int, ...]], ...]


class UnequalSettings(NamedTuple):
    """Benchmarks on which the rows' outputs were not made alike."""

    benchmarks: tuple[str, ...]
    settings: tuple[Setting, ...]


class ScoreLeaders(NamedTuple):
    """Who leads by score for which α (from, to, row), and how often two rows change places as α grows.

    `num_apart` of the changes are between rows that differ in both accuracy and format.
    """

    spans: tuple[tuple[float, float, int], ...]
    num_changes: int
    num_apart: int


class NoOverlap(NamedTuple):
    """Rows none of whose training data holds a question of these benchmarks (name, questions)."""

    rows: tuple[int, ...]
    benchmarks: tuple[tuple[str, int], ...]
    num_train: int
    ngram_size: int


class MadeAgain(NamedTuple):
    """What a reference engine gave for the outputs that it made again, over all these rows and benchmarks."""

    engine: str
    rows: tuple[int, ...]
    benchmarks: tuple[str, ...]
    n: int
    texts_differ: int
    verdicts_differ: int


class JudgeBesideRule(NamedTuple):
    """How often judge and rule differ on a benchmark, by row, of the n outputs whose verdict was readable."""

    benchmark: str
    differ: tuple[tuple[int, int], ...]
    n: int
    unreadable: int


SummaryFinding = Headline | AgainstReference | ComputeMatch
_OfFigures = Detectable | OneSeed | SeedsUnknown | SeedsFarApart | FewQuestions | NotRanked | NearZero
_OfTheirMaking = (
    Truncated
    | UndecidedVerdicts
    | Repeated
    | UnequalTuning
    | AtEdge
    | Overlapping
    | OtherVerdicts
    | NotComparable
    | UnequalSettings
)
Caution = _OfFigures | _OfTheirMaking
Check = Tuned | ScoreLeaders | NoOverlap | MadeAgain | JudgeBesideRule
Finding = SummaryFinding | Caution | Check

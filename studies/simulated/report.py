"""The tables of the coverage simulation, as Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from studies.simulated.measures import Coverage, Sizes, welch_coverage
from studies.simulated.worlds import PairWorld, World

K = TypeVar("K", World, PairWorld)
G = TypeVar("G")

LOW, HIGH = 0.93, 0.97
EFFECTS = {0.0: "no seed effect", 0.1: "realistic seed effect (0.1)", 0.4: "large seed effect (0.4)"}
RATIOS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)


class Found(NamedTuple):
    """What was simulated: by world or pair of variants."""

    means: Mapping[World, Coverage]
    others: Mapping[World, Coverage]
    pairs: Mapping[PairWorld, Coverage]
    boards: Mapping[tuple[float, int], tuple[Coverage, Coverage]]
    bootstrap: Mapping[World, Coverage]
    sizes: Mapping[PairWorld, Sizes]
    replications: int
    seed: int


def document(found: Found, wall_seconds: float, cpu_seconds: float) -> str:
    """Everything between the marks."""
    return "\n".join(
        [
            f"Seed {found.seed}, {found.replications} replications of each cell (Monte Carlo standard error "
            f"{100 * _error(found.replications):.1f} points at 95 %), {wall_seconds:.0f} s "
            f"({cpu_seconds:.0f} s of one core). A cell is coverage in per cent · mean width in points; "
            "**bold**: coverage outside 93 to 97 %.",
            "",
            *_means(found),
            *_others(found),
            *_pairs(found),
            *_boards(found),
            *_bootstrap(found),
            *_sizes(found),
            *_welch(),
        ]
    )


def _means(found: Found) -> list[str]:
    lines = ["### Coverage of the interval of a mean", "", *_summary(found.means)]
    lines += _outside(found.means, lambda w: f"{w.accuracy:g}")
    for seed_sd, num_seeds in _kinds(found.means):
        cells = {w: c for w, c in found.means.items() if (w.seed_sd, w.num_seeds) == (seed_sd, num_seeds)}
        lines += [f"#### {num_seeds} seeds, {EFFECTS[seed_sd]}", ""]
        lines += _grid(cells, lambda w: w.num_questions, lambda w: f"{w.accuracy:g}", "n \\ accuracy")
    return lines


def _others(found: Found) -> list[str]:
    rows = []
    for question_sd in sorted({world.question_sd for world in found.others}):
        cells = {w: c for w, c in found.others.items() if w.question_sd == question_sd}
        rows += [[f"{question_sd:g}", *row] for row in _ranges(cells)]
    return [
        "### Coverage of the interval of a mean with other spreads of question difficulty",
        "",
        f"Accuracies 0.02 to 0.5, {found.replications // 2} replications.",
        "",
        *table(["question SD, logits", *_RANGE_HEADER], rows),
    ]


def _pairs(found: Found) -> list[str]:
    lines = ["### Coverage of the interval of a paired difference", "", *_summary(found.pairs)]
    lines += _outside(found.pairs, lambda pair: f"{pair.world.accuracy:g} with Δ {pair.gap:g}")
    for seed_sd, num_seeds in _kinds(pair.world for pair in found.pairs):
        cells = {
            pair: cell
            for pair, cell in found.pairs.items()
            if (pair.world.seed_sd, pair.world.num_seeds) == (seed_sd, num_seeds)
        }
        ordered = dict(sorted(cells.items(), key=lambda item: item[0].gap))
        lines += [f"#### {num_seeds} seeds, {EFFECTS[seed_sd]}", ""]
        lines += _grid(
            ordered,
            lambda pair: pair.world.num_questions,
            lambda pair: f"{pair.world.accuracy:g}, Δ {pair.gap:g}",
            "n \\ accuracy, Δ",
        )
    return lines


def _boards(found: Found) -> list[str]:
    rows = [
        [EFFECTS[seed_sd], str(seeds), *(_cell(cell) for cell in cells)]
        for (seed_sd, seeds), cells in found.boards.items()
    ]
    return [
        "### Coverage for a macro average",
        "",
        "Four benchmarks of 1319, 500, 200 and 100 questions, accuracies 0.6, 0.3, 0.8 and 0.1, true Δ 0.05, "
        "0, 0.03 and 0; a seed's effect is the same on all four.",
        "",
        *table(["seed effect", "seeds", "mean", "paired difference"], rows),
    ]


def _bootstrap(found: Found) -> list[str]:
    rows = [
        [
            EFFECTS[world.seed_sd],
            str(world.num_seeds),
            str(world.num_questions),
            f"{world.accuracy:g}",
            _cell(cell),
            _cell(found.means[world]),
        ]
        for world, cell in found.bootstrap.items()
    ]
    replications = found.replications // 10
    return [
        "### The hierarchical bootstrap beside it",
        "",
        f"{replications} replications (standard error {100 * _error(replications):.1f} points), "
        "1000 resamples.",
        "",
        *table(["seed effect", "seeds", "n", "accuracy", "bootstrap", "interval of the mean"], rows),
    ]


def _sizes(found: Found) -> list[str]:
    rows = [
        [
            EFFECTS[pair.world.seed_sd],
            str(pair.world.num_seeds),
            str(pair.world.num_questions),
            f"{pair.world.accuracy:g}",
            *(f"{100 * share:.1f}" for share in size),
        ]
        for pair, size in found.sizes.items()
    ]
    replications = found.replications // 5
    error = 100 * _error(replications)
    return [
        "### Size of the tests",
        "",
        f"Per cent of p-values below 0.05 where there is no difference; {replications} replications "
        f"(standard error {error:.1f} points at 5 %), 500 flips. McNemar's is that of one seed pair; bare "
        "flips are sign flips of the plain mean question by question, for comparison.",
        "",
        *table(
            ["seed effect", "seeds", "n", "accuracy", "clustered t", "McNemar", "bare flips"],
            rows,
        ),
    ]


def _welch() -> list[str]:
    rows = [
        [str(seeds), name, *(f"{100 * welch_coverage(ratio, seeds, towards):.1f}" for ratio in RATIOS)]
        for seeds in (2, 3, 4, 5, 8)
        for name, towards in (("Welch", 1.0), ("ours", seeds / 10))
    ]
    return [
        "### Degrees of freedom: coverage by quadrature, normal seeds",
        "",
        "V = W + A with W known and A estimated from the seeds, by the ratio of A's expectation to W; in "
        "per cent.",
        "",
        *table(["seeds", "degrees of freedom", *(f"{ratio:g}" for ratio in RATIOS)], rows),
    ]


_RANGE_HEADER = ["seed effect", "seeds", "lowest", "mean", "highest", "below 93 %", "above 97 %", "cells"]


def _summary(cells: Mapping[World, Coverage] | Mapping[PairWorld, Coverage]) -> list[str]:
    return table(_RANGE_HEADER, _ranges(cells))


def _outside(cells: Mapping[K, Coverage], column_of: Callable[[K], str]) -> list[str]:
    """Where the cells above the upper limit are."""
    above = [key for key, cell in cells.items() if cell.share > HIGH]
    places = {
        "questions": Counter(str(_world(key).num_questions) for key in above),
        "accuracy": Counter(column_of(key) for key in above),
    }
    named = (
        f"by {by} {', '.join(f'{name}: {count}' for name, count in counts.most_common())}"
        for by, counts in places.items()
    )
    return [f"Cells above 97 %: {'; '.join(named)}.", ""]


def _ranges(cells: Mapping[World, Coverage] | Mapping[PairWorld, Coverage]) -> list[list[str]]:
    shares = [(_world(key), cell.share) for key, cell in cells.items()]
    rows = []
    for seed_sd, num_seeds in _kinds(world for world, _ in shares):
        of = [share for world, share in shares if (world.seed_sd, world.num_seeds) == (seed_sd, num_seeds)]
        rows.append([EFFECTS[seed_sd], str(num_seeds), *_range(of)])
    return [*rows, ["all", "3–5", *_range([share for _, share in shares])]]


def _range(shares: Sequence[float]) -> list[str]:
    return [
        *(f"{100 * share:.1f}" for share in (min(shares), sum(shares) / len(shares), max(shares))),
        str(sum(share < LOW for share in shares)),
        str(sum(share > HIGH for share in shares)),
        str(len(shares)),
    ]


def _world(key: World | PairWorld) -> World:
    return key.world if isinstance(key, PairWorld) else key


def _kinds(worlds: Iterable[World]) -> list[tuple[float, int]]:
    return list(dict.fromkeys((world.seed_sd, world.num_seeds) for world in worlds))


def _grid(
    cells: Mapping[G, Coverage], row_of: Callable[[G], int], column_of: Callable[[G], str], corner: str
) -> list[str]:
    columns: list[str] = list(dict.fromkeys(column_of(key) for key in cells))
    by_place: dict[tuple[int, str], Coverage] = {
        (row_of(key), column_of(key)): cell for key, cell in cells.items()
    }
    rows = [
        [str(row), *(_cell(by_place[row, column]) for column in columns)]
        for row in dict.fromkeys(row_of(key) for key in cells)
    ]
    return table([corner, *columns], rows)


def _cell(cell: Coverage) -> str:
    share = f"{100 * cell.share:.1f}"
    share = share if LOW <= cell.share <= HIGH else f"**{share}**"
    return f"{share} · {100 * cell.width:.1f}"


def _error(replications: int) -> float:
    return float((0.95 * 0.05 / max(replications, 1)) ** 0.5)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table, and a blank one."""
    return [
        f"| {' | '.join(header)} |",
        f"|{'---|' * len(header)}",
        *(f"| {' | '.join(row)} |" for row in rows),
        "",
    ]

"""The document of a declared study, made of its results alone: no figure in it is written by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.measure.tables import table
from harness.commands.sweep import LEDGER_FILE, in_words
from leaderboards import Board, read_outcomes
from leaderboards.board.claim_text import parse_claim
from leaderboards.board.rows import Comparison, Key, Row
from leaderboards.board.values import Measure, Paired, contents_of
from leaderboards.report.findings import sentences
from leaderboards.report.wording import bits, bounds, difference, enumerated, p_value, percent, points
from leaderboards.results.merge import Group
from leaderboards.results.schema import RESULTS_FILE
from leaderboards.stats import CONFIDENCE, MACRO, Difference, holm, paired_difference
from studies.declared.declaration import Contrast, Study

_NONE = "–"
MEASURES: tuple[Measure, ...] = ("accuracy", "key")
"""What is contrasted between cells."""


def write_document(study: Study, board: Board, groups: Sequence[Group], path: Path) -> None:
    """Writes the Markdown file.

    Args:
        study: What was declared.
        board: Of all its cells.
        groups: The same results, by question and seed.
        path: The file.
    """
    by_name = {group.name: group for group in groups}
    parts = [
        f"# A study: {study.name}",
        f"**{study.declaration.question}**",
        *_opening(study, board),
        "## The answer",
        *sentences(board.claims, board),
        *_verdicts(study, board),
        "## Where it comes from: reasoning, or the answer after it",
        *_factors(study, board),
        "## All arms",
        *_arms(study, board),
        *_contrasts(study, by_name),
        *_orientation(study),
        *_settings(study),
        "## Limits",
        "\n".join(f"- {limit}" for limit in study.declaration.limits),
    ]
    path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _opening(study: Study, board: Board) -> Iterator[str]:
    told, facts = study.declaration, dict(board.provenance[0][1])
    counted: dict[int, list[str]] = {}
    for row in board.rows:
        if row.role == "trained":
            counted.setdefault(len(row.seeds), []).append(f"`{row.name}`")
    said = "; ".join(f"{enumerated(sorted(names))} with {seeds} seeds" for seeds, names in counted.items())
    yield (
        f"Declared before it was run (`{study.file}`, sha256 `{study.digest}`), run by "
        f"`{study.command}`, which also writes this page from the results."
        f" Primary contrast: `{told.claim}`. {told.exclusions}"
    )
    if undone := [f"`{cell}`" for cell in told.cells if cell not in study.done]:
        yield f"Not run, of the cells that were declared: {enumerated(undone)}."
    yield (
        f"{said}. The base is `{Path(told.model).name}`. {_cells(study)}, with the same optimiser steps on "
        f"the same examples. Made on {facts.get('cpu', 'an unknown processor')}, "
        f"{facts.get('cpu_cores', '?')} cores, {facts.get('gpu', 'no GPU')}."
    )


def _cells(study: Study) -> str:
    if len(study.done) == 1:
        return f"Every arm is trained on {enumerated([f'`{name}`' for name in study.done[0].split(',')])}"
    return f"{len(study.done)} cells, in each of which every arm is trained on that cell alone"


def _verdicts(study: Study, board: Board) -> Iterator[str]:
    """The primary contrast cell by cell."""
    method, control, base = _row(board, _method(study)), _row(board, study.declaration.control), _base(board)
    yield (
        f"Cell by cell, accuracy in %; Δ is `{method.name}` minus `{control.name}` in points with its 95 % "
        f"interval; p: by Holm's method over all {board.family_cells} differences in single cells."
    )
    names = study.declaration.arms[0].variants
    head = ("cell", "base", *(f"`{name}`" for name in names), "Δ", "95 % interval", "p (Holm)", "verdict",
            f"key accuracy of `{names[0]}`")  # fmt: skip
    rows = []
    for cell in (*board.benchmarks, MACRO):
        found = _comparison(method, cell)
        shown = [_accuracy(row, cell) for row in (base, *(_row(board, name) for name in names))]
        key = _key(_row(board, names[0]), cell)
        level = percent(key.accuracy.mean) if key else _NONE
        rows.append([_cell_name(cell), *shown, *_tested(found), found.verdict if found else _NONE, level])
    yield table(head, rows)


def _factors(study: Study, board: Board) -> Iterator[str]:
    method, control = _row(board, _method(study)), _row(board, study.declaration.control)
    known = any(key and key.reasoning is not None for key in (_key(row, MACRO) for row in board.rows))
    parts = (
        "Accuracy is P(reasoning right) × P(answer right | reasoning right), and what is right after wrong "
        "reasoning. "
    )
    yield (
        f"{parts if known else ''}Key accuracy is that of the answer after the *reference's* reasoning; bits "
        "are −log2 p of the right answer there; own bits, after its own reasoning. "
        f"`{control.name}` → `{method.name}`; Δ with 95 % intervals, uncorrected: key accuracy in points, "
        "bits (fewer is better)."
    )
    head = ("cell", "reasoning right, %", "right after it, %", "key accuracy, %", "Δ key accuracy", "bits",
            "Δ bits", "own bits", "Δ own bits")  # fmt: skip
    rows = []
    for cell in (*board.benchmarks, MACRO):
        before, after = _key(control, cell), _key(method, cell)
        if before is None or after is None:
            continue
        change = after.difference
        rows.append(
            [
                _cell_name(cell),
                _arrow(before.reasoning, after.reasoning),
                _arrow(before.right_after, after.right_after),
                _arrow(before.accuracy.mean, after.accuracy.mean),
                difference(change) if change else _NONE,
                f"{_bits(before.bits_gold)} → {_bits(after.bits_gold)}",
                bits(after.bits_difference) if after.bits_difference else _NONE,
                f"{_bits(before.bits_own)} → {_bits(after.bits_own)}",
                bits(after.own_difference) if after.own_difference else _NONE,
            ]
        )
    yield _filled(head, rows)


def _arms(study: Study, board: Board) -> Iterator[str]:
    control = study.declaration.control
    yield (
        f"Over all cells, against `{control}`. Equivalent: within {_margin(board)}. "
        f"p: Holm over all {board.family_macro} pairs of the board. A gain above the interval's upper end is "
        "excluded. Key: key accuracy in %; its difference and that of bits with 95 % intervals, uncorrected."
    )
    head = ("arm", "seeds", "accuracy, %", "Δ", "95 % interval", "p (Holm)", "verdict", "key", "Δ key",
            "Δ bits", "reasoning right, %")  # fmt: skip
    yield _filled(head, [_arm(row) for row in board.rows if row.role == "trained"])
    yield "Δ accuracy and, after the stroke, Δ key accuracy in each cell, in points; * p < 0.05 after Holm."
    others = [row for row in board.rows if row.role == "trained" and row.name != control]
    lines = [[f"`{row.name}`", *(_both(row, cell) for cell in board.benchmarks)] for row in others]
    yield table(("arm", *map(_cell_name, board.benchmarks)), lines)


def _margin(board: Board) -> str:
    size = f"{100 * board.margin:g}"
    return f"{size} point" if size == "1" else f"{size} points"


def _filled(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table without the columns that no row fills."""
    kept = [i for i in range(len(head)) if any({*row[i].split(" → ")} != {_NONE} for row in rows)]
    return table([head[i] for i in kept], [[row[i] for i in kept] for row in rows])


def _arm(row: Row) -> list[str]:
    found, key = _comparison(row, MACRO), _key(row, MACRO)
    change = key.difference if key else None
    return [
        f"`{row.name}`",
        str(len(row.seeds)),
        _accuracy(row, MACRO),
        *_tested(found),
        found.verdict if found else "control",
        percent(key.accuracy.mean) if key else _NONE,
        difference(change) if change else _NONE,
        bits(key.bits_difference) if key and key.bits_difference else _NONE,
        percent(key.reasoning) if key and key.reasoning is not None else _NONE,
    ]


def _both(row: Row, cell: str) -> str:
    found, key = _comparison(row, cell), _key(row, cell)
    change = points(key.difference.mean) if key and key.difference else _NONE
    star = "\\*" if found and found.p_holm < 1 - CONFIDENCE else ""
    return f"{points(found.difference.mean) if found else _NONE}{star} / {change}"


def _contrasts(study: Study, groups: Mapping[str, Group]) -> Iterator[str]:
    """How the difference to the control changes between cells: one family of tests for each measure."""
    told, cells = study.declaration, groups[study.declaration.control].outcomes
    contrasts = {name: one for name, one in told.contrasts.items() if {*one.more, *one.less} <= {*cells}}
    names = [name for name in groups if name != told.control and groups[name].entries[0].role == "trained"]
    if not contrasts:
        return
    yield "## Does it depend on the cell?"
    yield (
        f"How the difference to `{told.control}` changes from some cells to others, in points; p: by "
        f"Holm's method over all {len(names) * len(contrasts)} contrasts of a column. Positive: the arm "
        "does better, compared with the control, in the cells named first."
    )
    found = {
        (name, contrast, measure): _contrast(groups[name], groups[told.control], one, measure)
        for measure in MEASURES
        for name in names
        for contrast, one in contrasts.items()
    }
    corrected: dict[tuple[str, str, str], float] = {}
    for measure in MEASURES:
        own = [key for key in found if key[2] == measure]
        corrected |= dict(zip(own, holm([found[key].p for key in own]), strict=True))
    shown = {
        key: (f"{points(one.mean)} ({bounds(one.low, one.high)})", p_value(corrected[key]))
        for key, one in found.items()
    }
    rows = [
        [f"`{name}`", contrast, *(text for measure in MEASURES for text in shown[name, contrast, measure])]
        for name in names
        for contrast in contrasts
    ]
    yield table(
        ("arm", "contrast", "accuracy (95 % interval)", "p", "key accuracy (95 % interval)", "p"), rows
    )


def _contrast(group: Group, control: Group, of: Contrast, measure: Measure) -> Difference:
    """The mean over some cells minus that over as many others, from signed differences of all of them.

    The mean of the signed cells is half of that contrast, so everything that has its unit is doubled.
    """
    cells = (*of.more, *of.less)
    signs = [1] * len(of.more) + [-1] * len(of.less)
    matrices = Paired.of(group, control, cells).matrices(measure)
    signed = [sign * matrix for sign, matrix in zip(signs, matrices, strict=True)]
    # A question that stands in several cells is one: with contents it is held against itself.
    half = paired_difference(signed, contents=contents_of(group, cells))
    return Difference(
        mean=2 * half.mean,
        low=2 * half.low,
        high=2 * half.high,
        p=half.p,
        num_questions=half.num_questions,
        num_seeds=half.num_seeds,
        mcnemar_p=(),
    )


def _orientation(study: Study) -> Iterator[str]:
    """Shares of right answers on other benchmarks, which nothing is concluded from."""
    told = study.declaration.orientation
    folders = sorted(study.orientation_folder("").glob(f"*/{RESULTS_FILE}"))
    if told is None or not folders:
        return
    yield "## For orientation"
    yield (
        f"Accuracy in % on {told.limit} questions each of benchmarks that nothing was trained on, by the "
        "base and by one checkpoint of each arm: where this model stands, not how the arms compare."
    )
    runs = [read_outcomes(path.parent) for path in folders]
    rows = []
    for run in runs:
        right = run.samples.groupby("benchmark")["accuracy"].mean()
        rows.append([f"`{run.entries[0].name}`", *(percent(right[name]) for name in told.benchmarks)])
    yield table(("checkpoint", *(f"`{name}`" for name in told.benchmarks)), rows)


def _settings(study: Study) -> Iterator[str]:
    told = study.declaration
    chosen = {name: group.chosen_on for name, group in told.groups.items() if group.chosen_on}
    if not chosen or told.choice is None:
        return
    yield "## Settings"
    where = "; ".join(f"{name}: on `{cell}`" for name, cell in chosen.items())
    yield (
        f"Each arm's are the best of as many trials as any other's, with {told.choice.seeds} seeds that are "
        f"not tested and {told.choice.limit} validation questions ({where})."
    )
    rows: dict[str, list[str]] = {}
    ends = 0
    for name in chosen:
        tried = json.loads((study.choosing(name).out / LEDGER_FILE).read_text(encoding="utf-8"))
        for one in tried:
            if one["chosen"]:
                arm = Path(one["variant"]).stem
                text = f"{in_words(tuple(one['point'].items()))} ({percent(one['metric'])} %)"
                rows.setdefault(arm, []).append(text)
                own = [other["point"] for other in tried if other["variant"] == one["variant"]]
                ends += _at_an_end(one["point"], own)
    yield table(("arm", *chosen), [[f"`{arm}`", *texts] for arm, texts in rows.items()])
    yield (
        f"In {ends} of {sum(map(len, rows.values()))} choices a value is the least or greatest that was "
        "tried (of two, each is one of these): better settings may lie beyond."
    )


def _at_an_end(point: Mapping[str, float], tried: Sequence[Mapping[str, float]]) -> bool:
    """Whether any of its values is the least or the greatest of those that were tried."""
    values = {setting: [other[setting] for other in tried] for setting in point}
    return any(value in (min(values[setting]), max(values[setting])) for setting, value in point.items())


def _method(study: Study) -> str:
    return parse_claim(study.declaration.claim).first


def _row(board: Board, name: str) -> Row:
    return next(row for row in board.rows if row.name == name)


def _base(board: Board) -> Row:
    return next(row for row in board.rows if row.role == "base")


def _cell_name(cell: str) -> str:
    return "all" if cell == MACRO else f"`{cell}`"


def _comparison(row: Row, cell: str) -> Comparison | None:
    found = row.cell(cell)
    return found.metric("accuracy").comparison if found else None


def _key(row: Row, cell: str) -> Key | None:
    found = row.cell(cell)
    return found.key if found else None


def _accuracy(row: Row, cell: str) -> str:
    found = row.cell(cell)
    return percent(found.metric("accuracy").estimate.mean) if found else _NONE


def _tested(found: Comparison | None) -> list[str]:
    if found is None:
        return [_NONE] * 3
    return [
        points(found.difference.mean),
        bounds(found.difference.low, found.difference.high),
        p_value(found.p_holm),
    ]


def _arrow(before: float | None, after: float | None) -> str:
    return " → ".join(_NONE if share is None else percent(share) for share in (before, after))


def _bits(mean: float | None) -> str:
    return _NONE if mean is None else f"{mean:.2f}"

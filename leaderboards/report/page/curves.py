"""The page's training curves as JSON: few digits, shared grids, and which lines are shown at first."""

from dataclasses import asdict
from typing import NamedTuple

from leaderboards.board.rows import Board, Curve, Row

FEW_CURVES = 8
TOP_CURVES = 5


class _Quantity(NamedTuple):
    """What a chart says of a quantity; a logarithmic axis shows no number below zero."""

    name: str
    unit: str
    log: bool = True
    scale: int = 1


_GROUPS = (
    {
        "loss_answer": _Quantity("answer loss", "nats per token"),
        "loss_thinking": _Quantity("thinking loss", "nats per token"),
        "loss_tags": _Quantity("tag loss", "nats per token"),
        # It may be negative: PSFT maximises.
        "loss": _Quantity("objective", "the stage's objective", log=False),
    },
    {
        "accuracy": _Quantity("validation accuracy", "%", log=False, scale=100),
        "format_valid": _Quantity("validation format", "%", log=False, scale=100),
    },
    {
        "gradient_norm_answer": _Quantity("gradient norm, answer", "norm"),
        "gradient_norm_thinking": _Quantity("gradient norm, thinking", "norm"),
        "gradient_norm_tags": _Quantity("gradient norm, tags", "norm"),
        "gradient_norm": _Quantity("gradient norm, whole loss", "norm"),
    },
)


def curve_groups(board: Board) -> list[list[dict[str, object]]]:
    """The quantities that any row measured, by group: loss, validation, gradient norm."""
    measured = {line.quantity for row in board.rows if row.curve for line in row.curve.lines}
    groups = (
        [{"id": key, **found._asdict()} for key, found in group.items() if key in measured]
        for group in _GROUPS
    )
    return [group for group in groups if group]


def curves_json(board: Board) -> list[dict[str, object] | None]:
    """The curve of each row, in the board's order; None for a row without."""
    shown = _shown_at_first(board)
    return [_curve(row.curve, row in shown) if row.curve else None for row in board.rows]


def _shown_at_first(board: Board) -> list[Row]:
    """All where they are few, else the best of the board and the reference."""
    curved = [row for row in board.rows if row.curve]
    if len(curved) <= FEW_CURVES:
        return curved
    return [row for index, row in enumerate(curved) if index < TOP_CURVES or row.is_reference]


def _curve(curve: Curve, shown: bool) -> dict[str, object]:
    grids = list(dict.fromkeys(line.grid for line in curve.lines))
    numbers = [stage.number for stage in curve.stages]
    lines = {}
    for line in curve.lines:
        fields: dict[str, object] = {"grid": grids.index(line.grid), "mean": _short(line.mean)}
        if curve.num_seeds > 1:
            fields |= {"low": _short(line.low, digits=3), "high": _short(line.high, digits=3)}
        lines[line.quantity] = fields
    return {
        "shown": shown,
        "stages": [asdict(stage) for stage in curve.stages],
        "grids": [
            {
                "steps": _short(grid.steps, digits=6),
                "tokens": _short(grid.tokens, digits=6),
                "stages": [numbers.index(number) for number in grid.stages],
            }
            for grid in grids
        ],
        "lines": lines,
    }


def _short(values: tuple[float, ...], digits: int = 4) -> list[float]:
    rounded = (float(f"{value:.{digits}g}") for value in values)
    return [int(value) if value.is_integer() else value for value in rounded]

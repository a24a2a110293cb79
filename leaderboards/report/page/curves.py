"""The page's training curves as JSON: few digits, shared grids, and which lines are shown at first."""

from dataclasses import asdict

from leaderboards.board.rows import Board, Curve, Row

FEW_CURVES = 8
TOP_CURVES = 5
_GROUPS = (
    {
        "loss_answer": "answer loss",
        "loss_thinking": "thinking loss",
        "loss_tags": "tag loss",
        "loss": "objective",
    },
    {"accuracy": "validation accuracy", "format_valid": "validation format"},
    {
        "gradient_norm_answer": "gradient norm, answer",
        "gradient_norm_thinking": "gradient norm, thinking",
        "gradient_norm_tags": "gradient norm, tags",
        "gradient_norm": "gradient norm, whole loss",
    },
)
_SHARES = ("accuracy", "format_valid")
# An objective may be negative (PSFT maximises), which a logarithmic axis could not show.
_SIGNED = ("loss",)
_UNITS = {
    "loss": "the stage's objective",
    "loss_answer": "nats per token",
    "loss_thinking": "nats per token",
    "loss_tags": "nats per token",
    "accuracy": "%",
    "format_valid": "%",
}


def curve_groups(board: Board) -> list[list[dict[str, object]]]:
    """The quantities that any row measured, by group: loss, validation, gradient norm."""
    measured = {line.quantity for row in board.rows if row.curve for line in row.curve.lines}
    groups = [[_quantity(key, name) for key, name in group.items() if key in measured] for group in _GROUPS]
    return [group for group in groups if group]


def _quantity(key: str, name: str) -> dict[str, object]:
    return {
        "id": key,
        "name": name,
        "unit": _UNITS.get(key, "norm"),
        "log": key not in (*_SHARES, *_SIGNED),
        "scale": 100 if key in _SHARES else 1,
    }


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

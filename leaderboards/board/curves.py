"""From stored curve points to lines that can be drawn: one mean over the seeds, its range, and few points."""

import json
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from leaderboards.board.rows import Curve, Grid, Line, StageEnd

MAX_POINTS = 300
QUANTITIES = (
    *("loss_answer", "loss_thinking", "loss_tags", "loss"),
    *("accuracy", "format_valid"),
    *("gradient_norm_answer", "gradient_norm_thinking", "gradient_norm_tags", "gradient_norm"),
    *("reward", "response_tokens", "entropy", "kl", "equal_groups"),
)
PART = "reward: "
"""Begins the quantity of each part of a reward."""

_Floats = NDArray[np.float64]


def curve_of(points: pd.DataFrame, max_points: int = MAX_POINTS) -> Curve | None:
    """The lines of one row from the points of its seeds; None where it has none."""
    if points.empty:
        return None
    names = dict(zip(points["stage"].tolist(), points["stage_name"].tolist(), strict=True))
    parts = _parts(points)
    quantities = (*QUANTITIES, *parts)
    stages = _by_stage_and_seed(points.assign(**parts), quantities)
    ends = {stage: np.mean([seed_NC[-1, :2] for seed_NC in seeds], axis=0) for stage, seeds in stages.items()}
    lines = (_line(stages, quantities, at, max_points) for at in range(len(quantities)))
    stage_ends = (StageEnd(stage, names[stage], *map(float, end_2)) for stage, end_2 in ends.items())
    return Curve(points["seed"].nunique(), tuple(stage_ends), tuple(line for line in lines if line))


def _parts(points: pd.DataFrame) -> dict[str, list[float]]:
    """Each part of a reward at each point; not-a-number where it has none."""
    if points["rewards"].isna().all():
        return {}
    rows = [json.loads(text) if isinstance(text, str) else {} for text in points["rewards"]]
    names = dict.fromkeys(name for row in rows for name in row)
    return {PART + name: [float(row.get(name, np.nan)) for row in rows] for name in names}


def _by_stage_and_seed(points: pd.DataFrame, quantities: Sequence[str]) -> dict[int, list[_Floats]]:
    """For each stage one array per seed: N points in order × step, tokens and the quantities."""
    ordered = points.sort_values(["stage", "seed", "step"])
    keys_N2 = ordered[["stage", "seed"]].to_numpy()
    values_NC = ordered[["step", "tokens", *quantities]].to_numpy(np.float64)
    # Where the stage or the seed changes; groupby would build a DataFrame for each of them.
    starts = np.flatnonzero((np.diff(keys_N2, axis=0) != 0).any(axis=1)) + 1
    stages: dict[int, list[_Floats]] = {}
    for keys, values in zip(np.split(keys_N2, starts), np.split(values_NC, starts), strict=True):
        stages.setdefault(int(keys[0, 0]), []).append(values)
    return stages


def _line(
    stages: dict[int, list[_Floats]], quantities: Sequence[str], at: int, max_points: int
) -> Line | None:
    column = 2 + at
    along = {}
    for stage, seeds in stages.items():
        measured = (seed_NC[np.isfinite(seed_NC[:, column])][:, [0, 1, column]] for seed_NC in seeds)
        if kept := [seed_N3 for seed_N3 in measured if len(seed_N3)]:
            along[stage] = _along_stage(kept)
    total = sum(rows.shape[1] for rows in along.values())
    if not total:
        return None
    # Bins never reach over the end of a stage, so each stage may need one bin more than its share.
    size = -(-total // max(max_points - len(along), 1))
    binned = {stage: _bin_means(rows, size) for stage, rows in along.items()}
    # Stages may have been measured with different numbers of seeds: only what is over the seeds is joined.
    drawn = [
        np.vstack([rows[:2], rows[2:].mean(0), rows[2:].min(0), rows[2:].max(0)]) for rows in binned.values()
    ]
    steps, tokens, mean, low, high = (tuple(row) for row in np.hstack(drawn).tolist())
    numbers = tuple(stage for stage, rows in binned.items() for _ in range(rows.shape[1]))
    return Line(quantities[at], Grid(steps, tokens, numbers), mean, low, high)


def _along_stage(seeds: Sequence[_Floats]) -> _Floats:
    """Rows of T points of one stage: steps, tokens, and S values, the seeds brought to common steps.

    Seeds of one run were logged at the same steps, which are kept. Where runs logged at different steps,
    the seed with the fewest points gives them and the others are interpolated, within what all have.
    """
    first, last = max(seed_N3[0, 0] for seed_N3 in seeds), min(seed_N3[-1, 0] for seed_N3 in seeds)
    fewest = min((seed_N3[:, 0] for seed_N3 in seeds), key=len)
    steps_T = fewest[(fewest >= first) & (fewest <= last)]
    tokens_T = np.mean([np.interp(steps_T, seed_N3[:, 0], seed_N3[:, 1]) for seed_N3 in seeds], axis=0)
    values_ST = [np.interp(steps_T, seed_N3[:, 0], seed_N3[:, 2]) for seed_N3 in seeds]
    return np.vstack([steps_T, tokens_T, *values_ST])


def _bin_means(rows_NT: _Floats, size: int) -> _Floats:
    """Means over runs of `size` neighbouring points, the last of them over what is left."""
    length = rows_NT.shape[1]
    if size == 1 or not length:
        return rows_NT
    starts = np.arange(0, length, size)
    counts = np.diff(np.append(starts, length))
    return np.add.reduceat(rows_NT, starts, axis=1) / counts

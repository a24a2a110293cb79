"""The table of training curves: its Parquet schema, and whether it belongs to a run's entries.

A row is one logged step of one checkpoint's training. `stage` is 1 for the variant's first; `step`, `tokens`
(forward) and `wall_seconds` count from there. `loss` is the stage's objective, the other losses are mean
cross-entropies of the tokens they name, also where these carry no loss; `accuracy` and `format_valid` are
shares of the validation sample; gradient norms are of the whole loss and of its parts.
"""

from collections.abc import Sequence

import pandas as pd
import pyarrow as pa

from leaderboards.results.parquet import Table
from leaderboards.results.schema import TRAINING_FILE, Entry, describe
from tasks.errors import InputError

_CHECKPOINT_KEY = ["model", "entry", "seed"]
# NaN where not measured at a step: stored as null and read back as NaN.
_MEASURED = (
    *("loss", "loss_thinking", "loss_answer", "loss_tags", "learning_rate", "accuracy", "format_valid"),
    *("gradient_norm", "gradient_norm_thinking", "gradient_norm_answer", "gradient_norm_tags"),
)

CURVES = Table(
    rows="curves",
    mend="run train-and-eval again",
    schema=pa.schema(
        [
            pa.field("entry", pa.string(), nullable=False),
            pa.field("model", pa.string(), nullable=False),
            pa.field("seed", pa.int64(), nullable=False),
            pa.field("stage", pa.int64(), nullable=False),
            pa.field("stage_name", pa.string(), nullable=False),
            pa.field("step", pa.int64(), nullable=False),
            pa.field("tokens", pa.int64(), nullable=False),
            *(pa.field(name, pa.float64()) for name in _MEASURED),
            pa.field("wall_seconds", pa.float64(), nullable=False),
        ]
    ),
)


def check_curves(entries: Sequence[Entry], curves: pd.DataFrame, where: str) -> None:
    """Every curve belongs to an entry, holds a point once, and counts on through its stages.

    Raises:
        InputError: a curve of an entry that is not there, a point stored twice, or steps or tokens that
            begin anew in a later stage, which would draw the stages over each other.
    """
    known = {(entry.model, entry.name, entry.seed) for entry in entries}
    for _, points in curves.groupby(_CHECKPOINT_KEY, sort=False):
        model, name, seed = points.iloc[0][_CHECKPOINT_KEY]
        owner = f"{where}: {TRAINING_FILE}: {describe(name, seed)}"
        if (model, name, seed) not in known:
            raise InputError(f"{owner} of {model} is not among the entries")
        _check_order(points.sort_values(["stage", "step"]), owner)


def _check_order(points: pd.DataFrame, owner: str) -> None:
    repeated = points[points.duplicated(["stage", "step"])]
    if len(repeated):
        first = repeated.iloc[0]
        raise InputError(f"{owner}: stage {first['stage']}, step {first['step']} is stored twice")
    for count in ("step", "tokens"):
        falls = points[points[count].diff() < 0]
        if len(falls):
            first = falls.iloc[0]
            raise InputError(
                f"{owner}: {count} falls to {first[count]} at stage {first['stage']}, step {first['step']}; "
                "steps and tokens count on from the variant's first stage"
            )

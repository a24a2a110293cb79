"""The conditions of the regression gate: ``METRIC(BENCHMARK) [of ENTRY] drops [by more than X points]``."""

import re
from dataclasses import dataclass

from leaderboards.board.rows import METRICS, Metric
from tasks.errors import InputError, did_you_mean

EACH = "*"
GRAMMAR = "METRIC(BENCHMARK) [of ENTRY] drops [by more than X points]"
_CONDITION = re.compile(
    r"\s*(?P<metric>[\w ]+?)\s*\(\s*(?P<benchmark>[^()]+?)\s*\)"
    r"(?:\s+of\s+(?P<entry>\S.*?))?"
    r"\s+drops?(?:\s+by\s+more\s+than\s+(?P<points>\S+?)\s*(?:points?|pp))?\s*",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition.

    Attributes:
        text: As it was written.
        metric: What must not drop.
        benchmark: A name, `macro` or `*`.
        entry: Whose; None for every entry.
        margin: The drop that is let pass, a share of 1.
    """

    text: str
    metric: Metric
    benchmark: str
    entry: str | None
    margin: float


def parse_condition(text: str) -> Condition:
    """Reads a condition.

    Raises:
        InputError: one line that says what is wrong and how it is written.
    """
    found = _CONDITION.fullmatch(text)
    where = f"--fail-if {text!r}"
    if not found:
        raise InputError(f"{where}: not a condition; write {GRAMMAR}, such as 'accuracy(gsm8k) drops'")
    name = found["metric"].lower()
    metric = next((each for each in METRICS if each == name), None)
    if metric is None:
        raise InputError(f"{where}: unknown metric '{name}'; {did_you_mean(name, METRICS)}")
    return Condition(text, metric, found["benchmark"], found["entry"], _margin(found["points"], where))


def _margin(points: str | None, where: str) -> float:
    if points is None:
        return 0.0
    try:
        value = float(points)
    except ValueError:
        value = -1.0
    if not 0 <= value < 100:
        raise InputError(f"{where}: by more than {points} points; expected a number from 0 to 100")
    return value / 100

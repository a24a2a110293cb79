"""How figures are worded everywhere: percent, points, intervals, p-values, compute, and metric names.

It imports nothing but what words are made of, so that a command may import it without waiting.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tasks.shown import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from leaderboards.board.rows import Board, Cell, Comparison, Row, Verdict
    from leaderboards.results.reported import Reported, ReportedFigure
    from leaderboards.results.schema import Metric, TrainingCost
    from leaderboards.stats import Difference

METRIC_NAMES: dict[Metric, str] = {
    "accuracy": "accuracy",
    "accuracy_strict": "strict accuracy",
    "format_valid": "format validity",
    "score": "score",
}
VERDICT_WORDS: dict[Verdict, str] = {
    "better": "is better than",
    "worse": "is worse than",
    "equivalent": "is equivalent to",
    "undecided": "is not shown to differ from",
}
MISSING = "–"
_STRIP = 6
"""Places for dots: two in each character of Braille."""
OWN_FORMAT_MARK = "†"
SIGNIFICANT_MARK = "*"
UNLIKE_MARK = "‡"


def percent(share: float) -> str:
    """A share of 1 in percent with one decimal, without the sign: `71.2`."""
    return f"{100 * share:.1f}"


def points(share: float) -> str:
    """A difference of shares in percentage points, signed with a true minus: `−0.8`, `+1.5`, `0.0`."""
    text = f"{100 * share:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text.replace("-", "−")


def signed(number: float) -> str:
    """A number with two digits, signed with a true minus: `−0.12`, `+0.40`, `0.00`."""
    text = f"{number:+.2f}"
    return "0.00" if text in ("+0.00", "-0.00") else text.replace("-", "−")


def bounds(low: float, high: float) -> str:
    """An interval of differences in points: `−3.1 to +1.5`."""
    return f"{points(low)} to {points(high)}"


def p_value(p: float) -> str:
    """A p-value with two digits, or `< 0.001`; with more of them where two would read as the limit itself."""
    text = "< 0.001" if p < 0.001 else f"{p:.2g}" if p < 0.095 else f"{p:.2f}"
    return f"{p:.4f}" if text == "0.05" else text


def equals(p: str) -> str:
    """What stands behind `p`: `= 0.40`, `< 0.001`."""
    return p if p.startswith("<") else f"= {p}"


def tested(comparison: Comparison, confidence: float) -> str:
    """A difference and its test: `−0.8 points, 95 % CI −3.1 to +1.5, Holm p = 0.40`."""
    found, p = comparison.difference, p_value(comparison.p_holm)
    return (
        f"{points(found.mean)} points, {100 * confidence:.0f} % CI {bounds(found.low, found.high)}, "
        f"Holm p {equals(p)}"
    )


def large(number: float) -> str:
    """A count with a prefix of three digits: `950`, `12.3k`, `4.5M`, `1.2T`."""
    for unit, size in (("P", 1e15), ("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(number) >= 0.9995 * size:
            return f"{number / size:.3g}{unit}"
    return f"{number:.3g}"


def training_flops(cost: TrainingCost) -> str:
    """That of the own stages and their samples, and after a plus that of a reference model: `1.1T + 500G`."""
    added = f" + {large(cost.reference_flops)}" if cost.reference_flops else ""
    return large(cost.flops + cost.sampled_flops) + added


def enumerated(names: Sequence[str]) -> str:
    """Names as a sentence has them: `a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]


def duration(seconds: float) -> str:
    """A duration as `45 s`, `3 min 20 s` or `2 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s" if seconds >= 9.5 else f"{seconds:.1f} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def label(row: Row, board: Board) -> str:
    """The row's name, with its model where the board holds several, and marked where it is not comparable."""
    several = len({other.model for other in board.rows}) > 1
    name = printable(f"{row.name} · {row.model}" if several else row.name)
    return name + (UNLIKE_MARK if row.marks else "")


def role_label(row: Row, board: Board) -> str:
    """The row's name, saying so where it was not trained here: `other (external)`."""
    untrained = row.role == "external" or (row.role == "base" and row.name != "base")
    return f"{label(row, board)} ({row.role})" if untrained else label(row, board)


def title(board: Board) -> str:
    """What the ranking goes by: `accuracy in %, macro average of 4 benchmarks`."""
    count = len(board.benchmarks)
    over = board.benchmarks[0] if count == 1 else f"macro average of {count} benchmarks"
    return printable(f"{METRIC_NAMES[board.rank_by]} in %, {over}")


def mark(cell: Cell, metric: Metric) -> str:
    """`*` where the corrected test found a difference to the reference, else nothing."""
    found = cell.metric(metric).comparison
    return SIGNIFICANT_MARK if found and found.verdict in ("better", "worse") else ""


def value(cell: Cell, metric: Metric) -> str:
    """A metric's mean in percent, marked † where it is not comparable: `71.2`, `99.0†`."""
    figures = cell.metric(metric)
    return percent(figures.estimate.mean) + (OWN_FORMAT_MARK if figures.own_format else "")


def dots(shares: Sequence[float], widest: float) -> str:
    """Seeds as dots on a strip as wide as the board's widest spread, then their own spread in points."""
    if not shares:
        return MISSING
    low, spread = min(shares), max(shares) - min(shares)
    places = {round((_STRIP - 1) * (share - low + (widest - spread) / 2) / widest) for share in shares}
    pairs = ((at in places, at + 1 in places) for at in range(0, _STRIP, 2))
    return "".join(chr(0x2800 + 2 * left + 16 * right) for left, right in pairs) + f" {100 * spread:.1f}"


def span(ends: tuple[float, float] | None) -> str:
    """An interval of shares in percent: `[68.0, 74.1]`."""
    return f"[{percent(ends[0])}, {percent(ends[1])}]" if ends else MISSING


def figure(cell: Cell, metric: Metric, marked: str = "") -> str:
    """A metric's mean and interval in percent, with a mark between them: `71.2* [68.0, 74.1]`."""
    estimate = cell.metric(metric).estimate
    return f"{value(cell, metric)}{marked} {span((estimate.low, estimate.high))}"


def against_reference(row: Row, cell: Cell, metric: Metric) -> str:
    """The difference to the reference as `−0.8 [−3.1, +1.5]`, marked * where the corrected test finds one."""
    if row.is_reference:
        return "reference"
    comparison = cell.metric(metric).comparison
    if comparison is None:
        return MISSING
    return difference(comparison.difference, mark(cell, metric))


def difference(found: Difference, marked: str = "") -> str:
    """A difference with its interval in points, and a mark between them: `−0.8* [−3.1, +1.5]`."""
    return f"{points(found.mean)}{marked} [{points(found.low)}, {points(found.high)}]"


def bits(found: Difference) -> str:
    """A difference in bits with its interval, marked with a true minus: `−0.12 [−0.20, −0.04]`."""
    return f"{signed(found.mean)} [{signed(found.low)}, {signed(found.high)}]"


def origins(board: Board) -> Iterator[str]:
    """Licence and link of the checkpoints made elsewhere: `other: licence MIT, https://example.org/other`."""
    for row in board.rows:
        if row.licence or row.link:
            licence = f"licence {row.licence}" if row.licence else "licence not stated"
            yield printable(f"{label(row, board)}: {licence}" + (f", {row.link}" if row.link else ""))


def is_macro(figure: ReportedFigure, benchmarks: Sequence[str]) -> bool:
    """Whether it is an average over exactly these benchmarks."""
    return bool(figure.members) and set(figure.members) == set(benchmarks)


def sources(reported: Sequence[Reported]) -> Iterator[str]:
    """Who reports the figures, with link and note, once for each source."""
    for source, link, note in dict.fromkeys((row.source, row.link, row.note) for row in reported):
        where = f"{source} ({link})" if link else source
        yield printable(f"Reported by {where}: {note}. In %; neither ranked nor tested.")


def reported_label(row: Reported) -> str:
    """Name and model, such as `sft · Qwen2.5-7B`."""
    return printable(f"{row.name} · {row.model}")


def web_link(text: str | None) -> str | None:
    """A link that may be made one to click on: http or https with a host; None for anything else."""
    try:
        parts = urlsplit(text or "")
    except ValueError:
        return None
    return text if parts.scheme in ("http", "https") and parts.netloc else None


def family(board: Board) -> str:
    """What the tests of a board are corrected over, as part of a sentence."""
    single = f", and apart from them over {board.family_cells} on single benchmarks"
    return (
        f"paired two-way clustered t test, p < {1 - board.confidence:.2g} after Holm's correction over all "
        f"{board.family_macro} pairs of entries" + (single if len(board.benchmarks) > 1 else "")
    )


def short_legend(board: Board) -> tuple[str, ...]:
    """What the marks of the table mean, in a line or a few."""
    parts = [
        f"[ ] {100 * board.confidence:.0f} % interval over questions and training seeds",
        "dots: the seeds, and their spread in points",
    ]
    if board.family_macro:
        parts[1:1] = [
            f"{SIGNIFICANT_MARK} differs from {board.reference} by more than chance "
            f"(p < {1 - board.confidence:.2g}, corrected for all {board.family_macro} pairs)",
            "entries of one tier cannot be told apart",
        ]
    marks = [line for line in legend(board) if line[0] in (OWN_FORMAT_MARK, UNLIKE_MARK)]
    return (printable("; ".join(parts) + "."), *marks)


def legend(board: Board) -> tuple[str, ...]:
    """What the marks mean, and how the intervals and tests were made."""
    level = f"{100 * board.confidence:.0f} %"
    lines = [
        f"[ ] {level} interval: questions and training seeds are both a sample; for an entry without "
        "several seeds (the base, most external ones) it holds question sampling alone.",
    ]
    if board.family_macro:
        lines.append(
            f"{SIGNIFICANT_MARK} differs from {board.reference}: {family(board)}. Intervals are not "
            "corrected."
        )
    if board.pairs:
        lines.append(
            "tier: by these tests no two entries of one tier can be told apart; each of a lower tier is "
            "worse than at least one of the tier above."
        )
    if any(row.marks for row in board.rows):
        lines.append(f"{UNLIKE_MARK} not comparable with the others, and shown because that was asked for.")
    if any(row.cost and row.cost.reference_flops for row in board.rows):
        lines.append(
            "FLOPs: of one seed's own stages + of preparing the reference model that its objective needs."
        )
    if any(row.cost for row in board.rows) and any(row.role == "base" for row in board.rows):
        lines.append(
            "FLOPs/point: all of these for each point of accuracy gained over the untrained base; the higher "
            "one stands, the more the next point costs."
        )
    if any(not row.tagged for row in board.rows):
        lines.append(
            f"{OWN_FORMAT_MARK} no tags: format validity means a final-answer line here, another thing than "
            "the tag format; it, strict accuracy and score are not ranked or compared with tagged entries."
        )
    return tuple(map(printable, lines))

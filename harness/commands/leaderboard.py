"""`harness leaderboard`, and the report that other commands end with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.commands.options import option
from harness.progress import console
from leaderboards.report.wording import METRIC_NAMES, bounds, p_value, percent, points
from tasks.shown import printable

if TYPE_CHECKING:
    from rich.console import Console

    from leaderboards.board.rows import Board
    from leaderboards.gate import GateReport, GateTest

_ENTRIES = "Folder of entry files; those evaluated on the same questions join the board."
_ALLOW = "Show results marked that are not comparable: data, prompt, generation, scorer."
_FAIL_IF = (
    "METRIC(BENCHMARK|macro|*) [of ENTRY] drops [by more than X points]: exit 1 if it does, by the paired "
    "test against the baseline."
)


_REQUIRE = (
    "A claim that must be confirmed, else exit 1: A not worse than B by X points [on METRIC] "
    "[over BENCHMARKS]; what is merely not refuted does not pass."
)
_REPORTED = "Show what papers report in all forms; the page always does."
_CLAIM = "A question to be answered first; one that is not on record in the run is said to come late."


def leaderboard(
    run_dirs: Annotated[list[Path], typer.Argument(help="Folders of finished runs.", metavar="RUN_DIR…")],
    out: Annotated[Path | None, option("Where to write the report.")] = None,
    reference: Annotated[str | None, option("Entry that differences are taken to.")] = None,
    rank_by: Annotated[str | None, option("accuracy, accuracy_strict, format_valid or score.")] = None,
    alpha: Annotated[float | None, option("Weight of accuracy in score.")] = None,
    entries: Annotated[Path | None, option(_ENTRIES)] = None,
    allow_different: Annotated[str | None, option(_ALLOW, metavar="a,b")] = None,
    margin: Annotated[float, option("Points within which entries are called equivalent.")] = 1.0,
    claim: Annotated[list[str] | None, option(_CLAIM, metavar='"A > B by 1"')] = None,
    samples: Annotated[int, typer.Option(help="At most so many samples in the page.", min=0)] = 100_000,
    baseline: Annotated[list[Path] | None, option("Earlier run to compare with; may be repeated.")] = None,
    fail_if: Annotated[list[str] | None, option(_FAIL_IF, metavar='"METRIC(BENCHMARK) drops"')] = None,
    require: Annotated[list[str] | None, option(_REQUIRE, metavar='"A not worse than B by 1"')] = None,
    full: Annotated[bool, typer.Option("--full", help="Print tests, benchmarks and compute too.")] = False,
    reported: Annotated[bool, typer.Option("--reported", help=_REPORTED)] = False,
) -> None:
    """Write the report again from stored results alone; what is not said is as in the first run."""
    from harness.config import stored_config
    from harness.outputs import check_report_folder
    from harness.run import report
    from leaderboards import read_outcomes
    from leaderboards.gate import check_gate
    from leaderboards.results.schema import METRICS
    from tasks.errors import InputError, did_you_mean

    if out is None and len(run_dirs) > 1:
        raise InputError("name the folder of the joint report: --out DIR")
    for path in (*run_dirs, *(baseline or ())):
        if path.exists() and not path.is_dir():
            raise InputError(f"{path}: no such folder; name that of a finished run")
    check_report_folder(out or run_dirs[0] / "leaderboard", [*run_dirs, *(baseline or ()), entries])
    if rank_by is not None and rank_by not in METRICS:
        raise InputError(f"--rank-by {rank_by}: {did_you_mean(rank_by, METRICS)}")
    if alpha is not None and not 0 <= alpha <= 1:
        raise InputError(f"--alpha {alpha}: choose a number from 0 to 1")
    if not 0 < margin < 100:
        raise InputError(f"--margin {margin:g}: choose points above 0 and below 100")
    runs = [read_outcomes(path) for path in run_dirs]
    stored = stored_config(runs[0])
    weight = stored.alpha if alpha is None else alpha
    if fail_if and not baseline:
        raise InputError("--fail-if needs an earlier run to compare with: --baseline RUN_DIR")
    # Tested before the board is built, so that what is wrong is said at once.
    before = [read_outcomes(path) for path in baseline or ()]
    gate = check_gate(runs, before, fail_if or (), weight) if before else None
    made = report(
        runs,
        out or run_dirs[0] / "leaderboard",
        reference=reference or stored.reference,
        rank_by=rank_by or stored.rank_by,
        alpha=weight,
        entries=entries,
        allow_different=[part.strip() for part in (allow_different or "").split(",") if part.strip()],
        most_samples=samples,
        claims=(*stored.claims, *(claim or ()), *(require or ())),
        margin=margin / 100,
        reported=reported,
    )
    made.show(console(), full=full)
    if gate:
        print_gate(gate, console())
    met = [print_required(each, made.board, console()) for each in require or ()]
    if (gate and gate.failed) or not all(met):
        raise typer.Exit(1)


def print_required(claim: str, board: Board, console: Console) -> bool:
    """Whether a claim is confirmed for each model that it is about; prints `ok: …` or `not shown: …`."""
    from rich.text import Text

    from leaderboards.board.claim_text import parse_claim
    from leaderboards.report.findings import sentences

    answers = [answer for answer in board.claims if parse_claim(answer.claim) == parse_claim(claim)]
    for answer, said in zip(answers, sentences(answers, board), strict=True):
        shown = answer.verdict == "confirmed"
        text = Text(
            f"{'ok' if shown else 'not shown'}: {printable(claim)}: {said}", "" if shown else "bold red"
        )
        console.print(text, soft_wrap=True)
    return bool(answers) and all(answer.verdict == "confirmed" for answer in answers)


def print_gate(report: GateReport, console: Console) -> None:
    """The table, then `ok:` or `regression:` for each test, then the notes."""
    from rich.text import Text

    from leaderboards.report.terminal import ruled_table

    table = ruled_table(("entry", "on", "before", "now", "Δ", "Holm p", "finds", ""))
    several = len({test.model for test in report.tests}) > 1
    for test in report.tests:
        found = test.difference
        name = f"{test.entry} · {test.model}" if several else test.entry
        table.add_row(
            Text(printable(name)),
            Text(f"{METRIC_NAMES[test.condition.metric]}, {printable(test.benchmark)}"),
            percent(test.before),
            percent(test.now),
            points(found.mean),
            p_value(test.p_holm),
            f"≥ {percent(test.findable)}",
            Text("drop", "bold red") if test.failed else Text("ok", "green"),
        )
    console.print(table)
    for note in report.notes:
        console.print(Text(f"! {printable(note)}", "yellow"))
    for test in report.tests:
        style = "bold red" if test.failed else ""
        console.print(Text(gate_line(test), style), soft_wrap=True)


def gate_line(test: GateTest) -> str:
    """One test in words, `regression: …` where it failed."""
    found = test.difference
    name = f"{test.condition.metric}({printable(test.benchmark)}) of {printable(test.entry)}"
    figures = (
        f"{percent(test.before)} → {percent(test.now)} % ({points(found.mean)} points, 95 % CI "
        f"{bounds(found.low, found.high)}, Holm p {p_value(test.p_holm)})"
    )
    margin = test.condition.margin
    allowed = f"{100 * margin:g} points"
    if test.failed:
        return f"regression: {name} drops{f' by more than {allowed}' if margin else ''}: {figures}"
    passed = f" ({allowed} are let pass)" if margin else ""
    return f"ok: {name}{passed}: {figures}; a drop of {percent(test.findable)} points would probably be found"

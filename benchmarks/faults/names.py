"""Part `names`: hostile names and texts through every form in which a board is read.

Names that the grammar refuses are refused; what it lets through, and every text of a sample, is neutral: no
markup, formula, command or control character of it works where it is shown.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmarks.faults.bad import ESCAPE, NUL, RTL
from benchmarks.faults.ground import Ground, Outcome, Verdict, crash, last_line
from benchmarks.faults.small import apart

PART = "names"
HOSTILE = {
    "a script": "<script>alert('HOSTILE')</script>",
    "an end of a script": "</script><img src=x onerror=HOSTILE()>",
    "a comment": "<!--HOSTILE--><!--",
    "a picture": "![HOSTILE](http://HOSTILE.example/x.png)",
    "a link": "[HOSTILE](javascript:HOSTILE)",
    "a column": "a|HOSTILE|b",
    "a heading": "# HOSTILE",
    "a formula": "=HYPERLINK(HOSTILE)",
    "a plus": "+HOSTILE",
    "a minus": "-HOSTILE",
    "an at": "@HOSTILE",
    "a command": r"\input{HOSTILE}\write18{HOSTILE}",
    "an end of LaTeX": r"\end{tabular} & HOSTILE \\ %",
    "markup": "[bold red]HOSTILE[/]",
    "an end of markup": "[/red]HOSTILE",
    "braces": "{0.__class__}HOSTILE",
    "a template": "{{ 7*7 }}HOSTILE{% raw %}",
    "ESC": ESCAPE + "HOSTILE",
    "C1": "\x9b31mHOSTILE",
    "right to left": RTL + "HOSTILE",
    "NUL": NUL + "HOSTILE",
    "a newline": "HOSTILE\n| a | b |\n",
    "a return": "HOSTILE\rover",
    "a path": "../../HOSTILE",
    "an absolute path": "/tmp/HOSTILE",
    "half a character": "HOSTILE\ud800",
    "long": "HOSTILE" * 2000,
    "a line separator": "HOSTILE\u2028x",
    "a backtick": "`HOSTILE`",
    "a dollar": "$HOSTILE$ \\(x\\)",
}
_LIVE = re.compile(r"<script|<img|<!--|href=\"(?:javascript|http://HOSTILE)[^>]*|<h[1-6]>\s*HOSTILE")
"""In a rendered page."""
_RAW = re.compile(r"<script>alert|<img src=x|<!--HOSTILE|onerror=HOSTILE\(\)>")
_CELL = re.compile(r"\s*[=+\-@\t\r]")


def names(ground: Ground, only: str = "") -> Iterator[Outcome]:
    """The outcomes: each text as an entry's name, as a model's, and in all texts of the samples."""
    ground.finished()
    cases: dict[str, Callable[[], tuple[Verdict, str]]] = {}
    for words, text in HOSTILE.items():
        for what in ("entry", "model", "benchmark", "texts"):
            if only in (case := f"{what}: {words}"):
                cases[case] = partial(_show, ground, what, text)
    yield from ground.each(PART, cases)


def _show(ground: Ground, what: str, text: str) -> tuple[Verdict, str]:
    ground.put_back("finished")
    try:
        apart(_write, ground.run, what, text)
    except ValueError as error:
        said = str(error)  # UTF-8 has no halves of characters, so nothing that is read can hold one
        refused = said.startswith(("InputError", "UnicodeEncodeError"))
        return ("refused" if refused else "crashed"), said[:300]
    before = _files(ground.work)
    for arguments in _commands(ground, what, text):
        ended = ground.call(*arguments)
        if wrong := crash(ended, None):
            return "crashed", f"{arguments[0]}: {wrong}"
        if ended.code == 2:
            return "refused", f"{arguments[0]}: {last_line(ended.err)}"
        for line in (ended.out + ended.err).splitlines():
            if bad := next((c for c in line if not c.isprintable() and c != "\t"), None):
                return "crashed", f"{arguments[0]}: {bad!r} on the terminal"
    folders = ("run/leaderboard/", "run/cards/")
    if strange := [name for name in _files(ground.work) - before if not name.startswith(folders)]:
        return "crashed", f"written: {strange[:2]}"
    faults = [fault for fault in apart(_faults, ground.run) if fault]
    return ("silently wrong", "; ".join(faults)[:300]) if faults else ("unaffected", "")


def _commands(ground: Ground, what: str, text: str) -> Iterator[list[object]]:
    yield ["leaderboard", ground.run]
    yield ["card", ground.run, "--entry", text if what == "entry" else "sft"]
    yield ["diff", text if what == "entry" else "sft", "rho-1", "--run", ground.run, "--full"]


def _files(work: Path) -> set[str]:
    return {path.relative_to(work).as_posix() for path in work.rglob("*") if path.is_file()}


def _write(run: Path, what: str, text: str) -> None:
    """Writes the run again by the library itself, with the text in it."""
    from leaderboards.results.store import read_results, write_results

    results = read_results(run)
    entries, samples, curves = list(results.entries), results.samples.copy(), results.curves
    if what == "texts":
        for name in ("prompt", "output", "gold", "extracted"):
            samples[name] = text
        numbers = samples.groupby("entry").cumcount()
        samples["sample_id"] = [f"{text}{number}" for number in numbers]
    if what == "entry":
        entries = [replace(one, name=text) if one.name == "sft" else one for one in entries]
        samples["entry"] = [text if name == "sft" else name for name in samples["entry"]]
        curves = curves.assign(entry=[text if name == "sft" else name for name in curves["entry"]])
    if what == "model":
        entries = [replace(one, model=text) for one in entries]
        samples, curves = samples.assign(model=text), curves.assign(model=text)
    if what == "benchmark":
        entries = [
            replace(one, evaluations=tuple(replace(each, benchmark=text) for each in one.evaluations))
            for one in entries
        ]
        samples = samples.assign(benchmark=text)
    write_results(run, results.provenance, entries, samples, curves)


def _faults(run: Path) -> list[str]:
    """What works, of all that should not, in the forms of a board and in the cards."""
    from markdown_it import MarkdownIt

    folder = run / "leaderboard"
    texts = {path.name: path.read_text("utf-8") for path in [*folder.iterdir(), *run.glob("cards/*/*.md")]}
    found = [
        f"{name}: {hit[0]!r}" for name, text in texts.items() if (hit := _RAW.search(text)) and "html" in name
    ]
    for name in ("leaderboard.md", "README.md"):
        text = texts.get(name, "").partition("\n---\n")[2] or texts.get(name, "")  # without a card's metadata
        page = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
        found += [f"{name}: {hit[0]!r}" for hit in _LIVE.finditer(page)]
        found += [f"{name}: {c!r}" for c in text if not c.isprintable() and c not in "\n\t"][:1]
        found += [f"{name}: rows of other widths" for widths in _widths(text) if len(widths) > 1]
    for row in csv.reader(io.StringIO(texts["leaderboard.csv"])):
        found += [f"csv: {cell[:30]!r}" for cell in row if _CELL.match(cell) and "HOSTILE" in cell]
    tex = texts["leaderboard.tex"]
    found += [
        f"tex: {bad}" for bad in (r"\input{HOSTILE", r"\write18{", r"\end{tabular} & HOSTILE") if bad in tex
    ]
    try:
        json.loads(texts["leaderboard.json"])
    except ValueError as error:
        found.append(f"json: {error}")
    return found


def _widths(text: str) -> Iterator[set[int]]:
    """The numbers of cells in each table in Markdown."""
    rows: set[int] = set()
    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            rows.add(len(re.findall(r"(?<!\\)\|", line)))
        elif rows:
            yield rows
            rows = set()

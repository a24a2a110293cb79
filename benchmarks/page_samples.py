"""The report of a run of 100,000 samples: how large the page is, how long it takes to build and to use.

    python -m benchmarks page_samples [--samples 100000] [--data-dir DIR]

The run is made up: five entries at two seeds on two benchmarks. Questions are GSM8K's where they are at hand;
an output is the question's own rationale with sentences of others, 400 to 900 characters, as varied as real
text, so that compression is worth what it would be. The page is built in a process of its own, whose peak of
memory counts, and used in headless Chromium. Linux only
(`/proc`). Of more samples than a page takes it holds a subset.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.measure.browser import chromium
from benchmarks.measure.gsm8k import add_data_dir, training_records
from leaderboards.results.schema import Entry, Evaluation, Sample

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tasks.records import Record

ENTRIES = {"base": 0.3, "sft": 0.55, "sft-tag": 0.58, "sftkey-tag": 0.62, "sft-tag-x2": 0.6}
SEEDS = (0, 1)
BENCHMARKS = ("gsm8k", "gsm8k-again")
OUTPUT_CHARS = (400, 900)
REDRAWN = "() => !old.isConnected && document.querySelector('#samples-list details') !== null"


def write_run(folder: Path, num_samples: int, data_dir: Path) -> str:
    """Stores a run of so many samples; says where its text is from."""
    from leaderboards.results.store import write_results

    checkpoints = [(name, seed) for name in ENTRIES for seed in SEEDS]
    size = num_samples // (len(checkpoints) * len(BENCHMARKS))
    records, source = training_records(data_dir, size)
    sentences = [line for record in records[:7473] for line in (record.rationale or "").split("\n") if line]
    entries = [_entry(name, seed, size) for name, seed in checkpoints]
    rows = (
        row
        for entry in entries
        for benchmark in BENCHMARKS
        for row in _rows(entry, benchmark, records, sentences)
    )
    write_results(folder, {"created": "now"}, entries, rows)
    return source


def _entry(name: str, seed: int, size: int) -> Entry:
    evaluations = tuple(
        Evaluation(benchmark, size, f"data-{benchmark}", "made up", "float32", 1, 1, 1.0, {})
        for benchmark in BENCHMARKS
    )
    tagged = "tag" in name
    tags = "thinking-answer" if tagged else "none"
    return Entry(
        name, "made-up", "trained", seed, tags, tagged, "full", "-", f"{name}-{seed}", None, evaluations
    )


def _rows(entry: Entry, benchmark: str, records: list[Record], sentences: list[str]) -> Iterator[Sample]:
    rng = random.Random(f"{entry.name} {entry.seed} {benchmark}")
    for number, record in enumerate(records):
        right = rng.random() < ENTRIES[entry.name]
        answer = record.answer if right else str(rng.randint(2, 999))
        yield Sample(
            entry=entry.name,
            model=entry.model,
            seed=entry.seed,
            benchmark=benchmark,
            sample_id=f"{benchmark}-{number}",
            sample_index=0,
            prompt=f"Question: {record.question}\nAnswer:",
            output=_output(record, answer, entry.tagged, sentences, rng),
            gold=record.answer,
            choices=None,
            extracted=answer,
            accuracy=right,
            accuracy_strict=right,
            format_valid=True,
            score=float(right),
            truncated=False,
            defects=(),
            finish_reason="stop",
            prompt_tokens=80,
            output_tokens=rng.randint(100, 230),
        )


def _output(record: Record, answer: str, tagged: bool, sentences: list[str], rng: random.Random) -> str:
    goal = rng.randint(*OUTPUT_CHARS) - 60
    lines = [line for line in (record.rationale or "").split("\n") if rng.random() < 0.7]
    while sum(map(len, lines)) < goal:
        lines.insert(rng.randint(0, len(lines)), rng.choice(sentences))
    reasoning = "\n".join(lines)
    if tagged:
        return f"<Thinking>{reasoning}</Thinking>\n<Answer>{answer}</Answer>"
    return f"{reasoning}\nThe answer is {answer}."


def build(folder: Path) -> dict[str, float]:
    """Builds the page of a stored run in this process; what it took."""
    from leaderboards import build_board, read_outcomes
    from leaderboards.report.page.render import page_html
    from leaderboards.report.page.samples import collect_samples

    started = time.perf_counter()
    run = read_outcomes(folder)
    board = build_board([run])
    board_seconds = time.perf_counter() - started
    before_mb = _peak_mb()
    started = time.perf_counter()
    samples = collect_samples(board, [run])
    assert samples is not None
    pack_seconds = time.perf_counter() - started
    started = time.perf_counter()
    page = page_html(board, samples)
    (folder / "page.html").write_text(page, encoding="utf-8")
    write_seconds = time.perf_counter() - started
    (folder / "without.html").write_text(page_html(board), encoding="utf-8")
    return {
        "s to build the board": board_seconds,
        "s to pack the samples": pack_seconds,
        "s to write the page": write_seconds,
        "MB of peak memory before packing": before_mb,
        "MB of peak memory": _peak_mb(),
        "MB of packed samples": sum(map(len, samples.chunks.values())) / 1e6,
        "MB of page": len(page.encode()) / 1e6,
    }


def _peak_mb() -> float:
    """Of this process; unlike `ru_maxrss` not of the one that started it."""
    status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    peak = next(line for line in status if line.startswith("VmHWM:"))
    return int(peak.split()[1]) * 1024 / 1e6


def use(path: Path) -> dict[str, float]:
    """Opens the page and does what a reader does; seconds each, as the reader waits for them."""
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        started = time.perf_counter()
        page.goto(path.with_name("without.html").as_uri(), wait_until="load", timeout=120_000)
        bare = {"s until a page without samples is loaded": time.perf_counter() - started}
        return bare | _steps(page, path)


def _steps(page: Page, path: Path) -> dict[str, float]:
    figures = {}

    def timed(name: str, act: Callable[[], object], wait: str) -> None:
        page.evaluate("window.old = document.querySelector('#samples-list details')")
        started = time.perf_counter()
        act()
        page.wait_for_function(wait)
        figures[name] = time.perf_counter() - started

    def search(name: str, text: str) -> None:
        wait = f"() => document.getElementById('samples-status').textContent.includes('“{text}”')"
        timed(name, lambda: page.fill("#samples-search", text), wait)

    opening = time.perf_counter()
    page.goto(path.as_uri(), wait_until="commit", timeout=120_000)
    page.wait_for_selector("h1")
    figures["s until something is seen"] = time.perf_counter() - opening
    page.wait_for_load_state("load")
    figures["s until the page is loaded"] = time.perf_counter() - opening
    page.wait_for_selector("#samples-list details")
    figures["s until the first differences are seen"] = time.perf_counter() - opening
    first = "#samples-list summary >> nth=0"
    timed(
        "s to open a question",
        lambda: page.click(first),
        "() => document.querySelector('.side .text') !== null",
    )
    timed("s to turn the page", lambda: page.click("#samples-next"), REDRAWN)
    timed("s to choose another entry", lambda: page.select_option("#samples-a", label="sft-tag"), REDRAWN)
    search("s to search all differences of two entries", "half of the")
    timed("s to show all", lambda: page.select_option("#samples-which", "all"), REDRAWN)
    search("s to search all samples of two entries", "half as many")
    figures["MB of JavaScript memory"] = page.evaluate("performance.memory.usedJSHeapSize") / 1e6
    return figures


def main(arguments: list[str]) -> None:
    """Prints a Markdown table of the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks page_samples", description=__doc__)
    parser.add_argument("--samples", type=int, default=100_000, help="samples that the run holds")
    parser.add_argument("--here", type=Path, help=argparse.SUPPRESS)
    add_data_dir(parser)
    options = parser.parse_args(arguments)
    if options.here:
        print(json.dumps(build(options.here)))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = write_run(folder, options.samples, options.data_dir)
        command = [sys.executable, "-m", "benchmarks", "page_samples", "--here", str(folder)]
        child = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        built: dict[str, Any] = json.loads(child.stdout.splitlines()[-1])
        print(f"{options.samples:,} samples, text from {source}\n\n| what | figure |\n|---|---|")
        for what, figure in (built | use(folder / "page.html")).items():
            print(f"| {what} | {figure:,.2f} |", flush=True)

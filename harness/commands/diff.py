"""`harness diff`: where two entries differ, sample by sample.

Counts and tests first, then questions that the two answer differently, with both outputs. What models wrote
is shown, never interpreted: no markup, no escape sequence, nothing invisible.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from harness.commands.options import option
from harness.progress import console
from leaderboards.report.wording import p_value, points
from tasks.shown import neutral, printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from leaderboards.diff import BenchmarkDifference, Differing, DifferingSamples, Only
    from leaderboards.results.schema import Sample
    from leaderboards.sides import Side

WIDE_CONSOLE = 120
_WORDS: dict[Only, str] = {
    "a": "only A is right",
    "b": "only B is right",
    "both-wrong": "both are wrong",
    "differing": "one is right and the other wrong",
}
# Unicode has pictures of the control characters, in their order, but that of delete.
_PICTURES = {code: 0x2400 + code for code in range(0x20) if chr(code) != "\n"} | {0x7F: "␡"}
_JSON_FIELDS = {
    **{"prompt": "prompt", "output": "output", "reasoning": "thinking", "answer": "answer"},
    **{name: name for name in ("extracted", "accuracy", "accuracy_strict", "format_valid")},
    **{name: name for name in ("truncated", "defects", "output_tokens", "judge")},
}
"""What is said of an output, by the names that a reader of the JSON meets."""
_SIDE = "An entry's name, a RUN_DIR that holds one, or RUN_DIR:ENTRY."
_RUN = "Run to look for names in; may be repeated. By default runs/embedded."
_ONLY = "Questions that only A has right, only B, neither, or just one of them."


def diff(
    a: Annotated[str, typer.Argument(help=_SIDE, metavar="A")],
    b: Annotated[str, typer.Argument(help="The other, likewise.", metavar="B")],
    run: Annotated[list[Path] | None, option(_RUN)] = None,
    benchmark: Annotated[str | None, option("Only this one.")] = None,
    seed: Annotated[int | None, option("Only this training seed.")] = None,
    only: Annotated[str, typer.Option(help=_ONLY, metavar="a|b|both-wrong|differing")] = "differing",
    limit: Annotated[int, typer.Option(help="Questions to show; 0 for the summary alone.", min=0)] = 10,
    full: Annotated[bool, typer.Option("--full", help="Whole prompts and outputs.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show where two entries differ, sample by sample."""
    from leaderboards.diff import ONLY, compare, read_samples
    from leaderboards.sides import find_sides
    from tasks.errors import InputError, did_you_mean

    kind = next((each for each in ONLY if each == only), None)
    if kind is None:
        raise InputError(f"--only {only}: {did_you_mean(only, ONLY)}")
    left, right = find_sides(a, b, run or _default_runs())
    found = compare(left, right, benchmark=benchmark, seed=seed, only=kind)
    samples = read_samples(left, right, found.spots[:limit])
    if as_json:
        print(_json(left, right, found, samples))
        return
    screen = console()
    print_differences(left, right, found, kind, screen)
    print_samples(samples, (left.name, right.name), full, screen)
    if limit and len(samples) < len(found.spots):
        screen.print(f"\n{len(samples)} of {len(found.spots)} shown; --limit N shows more", highlight=False)


def _default_runs() -> list[Path]:
    """The run that `harness train-and-eval` without options makes, where it is there."""
    from harness.config import load_config

    out = load_config(None, {}, []).out
    return [out] if out.is_dir() else []


def _json(a: Side, b: Side, found: Differing, samples: Sequence[DifferingSamples]) -> str:
    """Both sides, the counts and tests, and the samples that were asked for; shares of 1."""
    import json
    from dataclasses import asdict

    content: dict[str, object] = {
        letter: {
            "entry": side.name,
            "model": side.group.model,
            "seeds": [entry.seed for entry in side.group.entries],
            "runs": [run.source for run in side.runs],
        }
        for letter, side in (("a", a), ("b", b))
    }
    content |= {
        "benchmarks": [asdict(each) for each in found.benchmarks],
        "cautions": found.cautions,
        "num_questions": len(found.spots),
        "samples": [
            {"spot": asdict(each.spot), "gold": each.a.gold, "choices": each.a.choices}
            | {
                letter: {name: getattr(sample, field) for name, field in _JSON_FIELDS.items()}
                for letter, sample in (("a", each.a), ("b", each.b))
            }
            for each in samples
        ],
    }
    return json.dumps(content, indent=1, allow_nan=False)


def print_differences(a: Side, b: Side, found: Differing, only: Only, console: Console) -> None:
    """The two entries, how often each is right, the paired tests, and their forms."""
    from rich.text import Text

    from leaderboards.report.terminal import print_paragraph

    for letter, side in (("A", a), ("B", b)):
        console.print(Text(f"{letter}  {_side_words(side)}", "bold"), soft_wrap=True)
    console.print()
    for table in _tables(found.benchmarks):
        console.print(table)
    notes = [
        "Counts are of pairs of outputs to one question, seeds paired as on the leaderboard. A − B: points "
        "of accuracy with 95 % interval and p of the paired two-way clustered t test, not corrected for the "
        "number of benchmarks.",
        "McNemar: exact test of each pair of seeds, as seed:p; it says whether these two checkpoints differ.",
    ]
    if a.group.entries[0].tags != b.group.entries[0].tags:
        notes.append("The two have different tag formats: their format validity means different things.")
    for note in notes:
        print_paragraph(console, note, "dim")
    for caution in found.cautions:
        print_paragraph(console, f"! {printable(caution)}", "yellow")
    console.print()
    shown = f"{len(found.spots)} questions on which {_WORDS[only]}"
    console.print(Text(shown if found.spots else f"No question on which {_WORDS[only]}.", "bold"))


def print_samples(
    samples: Sequence[DifferingSamples], names: tuple[str, str], full: bool, console: Console
) -> None:
    """Question, reference and both outputs of each; shortened unless `full`."""
    from rich.text import Text

    for number, sample in enumerate(samples, start=1):
        console.print()
        console.print(Text(f"{number}  {_heading(sample)}", "bold cyan"))
        console.print(_question(sample, full))
        if console.width >= WIDE_CONSOLE:
            console.print(_beside(sample, names, full))
        else:
            for letter, name, own in zip("AB", names, (sample.a, sample.b), strict=True):
                console.print(_grid([(letter, printable(name)), *_lines(own, full)]))


def _side_words(side: Side) -> str:
    """Entry, model, seeds and runs: `sft-tag · Qwen2.5-1.5B, seeds 0, 1 (runs/qwen)`."""
    seeds = [entry.seed for entry in side.group.entries if entry.seed is not None]
    listed = f", seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}" if seeds else ""
    runs = ", ".join(run.source for run in side.runs)
    return f"{printable(side.name)} · {printable(side.group.model)}{listed} ({printable(runs)})"


def visible(text: str, lines: Literal["kept", "joined"]) -> str:
    """Text as it may be sent to a terminal: control characters as pictures, other invisible ones by code."""
    if lines == "joined":
        text = " ⏎ ".join(text.strip().splitlines())
    shown = text.translate(_PICTURES)
    return "\n".join(map(neutral, shown.split("\n")))


def shortened(text: str, most_chars: int) -> str:
    """Beginning and end of a longer text, and how much was left out."""
    if len(text) <= most_chars:
        return text
    left = len(text) - most_chars
    head = most_chars * 3 // 5
    return f"{text[:head]} … ({left} characters) … {text[len(text) - (most_chars - head) :]}"


def _tables(found: Sequence[BenchmarkDifference]) -> tuple[Table, Table]:
    """How often each is right, with the paired test; then McNemar's tests and the form of the outputs."""
    from rich.text import Text

    from leaderboards.report.terminal import ruled_table
    from leaderboards.stats import MACRO

    rights = ruled_table(("benchmark", "both", "only A", "only B", "neither", "A − B", "p"))
    forms = ruled_table(("benchmark", "McNemar p", "format A", "format B", "cut A", "cut B"))
    for one in found:
        name = "all (macro)" if one.benchmark == MACRO else printable(one.benchmark)
        difference, sides = one.difference, (one.form_a, one.form_b)
        interval = f"{points(difference.mean)} [{points(difference.low)}, {points(difference.high)}]"
        counts = (one.both, one.only_a, one.only_b, one.neither)
        rights.add_row(Text(name), *map(str, counts), interval, p_value(difference.p))
        pairs = zip(one.seed_pairs, difference.mcnemar_p, strict=True)
        mcnemar = " ".join(f"{_seeds(pair)}:{p_value(p).replace(' ', '')}" for pair, p in pairs)
        valid = (f"{form.format_valid}/{form.outputs}" for form in sides)
        forms.add_row(Text(name), mcnemar, *valid, *(str(form.truncated) for form in sides))
    return rights, forms


def _seeds(pair: tuple[int | None, int | None]) -> str:
    """Seeds of A and B; one number where they are the same."""
    left, right = ("–" if seed is None else str(seed) for seed in pair)
    return left if left == right else f"{left}/{right}"


def _heading(sample: DifferingSamples) -> str:
    spot = sample.spot
    verdicts = (("both are wrong", "only B is right"), ("only A is right", "both are right"))
    verdict = verdicts[sample.a.accuracy][sample.b.accuracy]
    parts = [printable(spot.benchmark), printable(spot.sample_id), verdict]
    if spot.pairs > 1:
        parts.append(f"in {spot.times} of {spot.pairs} pairs, here seeds {_seeds(spot.seeds)}")
    if spot.sample_index:
        parts.append(f"output {spot.sample_index + 1}")
    return " · ".join(parts)


def _question(sample: DifferingSamples, full: bool) -> Table:
    lines = [("prompt", _shown(sample.a.prompt, 600, full))]
    if sample.b.prompt != sample.a.prompt:
        lines.append(("prompt B", _shown(sample.b.prompt, 600, full)))
    choices = sample.a.choices or ()
    if not all(choice in sample.a.prompt for choice in choices):
        lettered = (f"{chr(65 + i)}. {choice}" for i, choice in enumerate(choices))
        lines.append(("choices", _shown("; ".join(lettered), 400, full)))
    lines.append(("gold", _shown(sample.a.gold, 200, full)))
    return _grid(lines)


def _beside(sample: DifferingSamples, names: tuple[str, str], full: bool) -> Table:
    """Both outputs line by line; what one of them lacks is empty."""
    left, right = dict(_lines(sample.a, full)), dict(_lines(sample.b, full))
    heads = [f"{letter} {printable(name)}" for letter, name in zip("AB", names, strict=True)]
    rows = [
        (label, left.get(label, ""), right.get(label, ""))
        for label in ("reasoning", "answer", "output", "extracted", "verdict")
        if label in left or label in right
    ]
    return _grid([("", *heads), *rows])


def _lines(sample: Sample, full: bool) -> Iterator[tuple[str, str]]:
    if full or not (sample.thinking or sample.answer):
        yield "output", _shown(sample.output, 600, full)
    else:
        yield "reasoning", _shown(sample.thinking, 400, full)
        yield "answer", _shown(sample.answer, 200, full)
    yield "extracted", "nothing" if sample.extracted is None else _shown(sample.extracted, 200, full)
    yield "verdict", ", ".join(_verdict(sample))


def _verdict(sample: Sample) -> Iterator[str]:
    if sample.accuracy and not sample.accuracy_strict:
        yield "right, though not in a valid answer span"
    else:
        yield "right" if sample.accuracy else "wrong"
    if sample.judge is not None and sample.judge != sample.accuracy:
        yield f"the judge says {'right' if sample.judge else 'wrong'}"
    defects = " ".join(sample.defects) or "no defect named"
    yield "format valid" if sample.format_valid else f"format broken ({defects})"
    if sample.truncated:
        yield "cut at the token limit"
    yield f"{sample.output_tokens} tokens"


def _shown(text: str, most_chars: int, full: bool) -> str:
    return visible(text.strip("\n"), "kept") if full else shortened(visible(text, "joined"), most_chars)


def _grid(rows: Sequence[tuple[str, ...]]) -> Table:
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2, 0, 0), expand=True)
    grid.add_column(width=11, no_wrap=True)
    for _ in rows[0][1:]:
        grid.add_column(ratio=1, overflow="fold")
    for label, *texts in rows:
        style = "bold" if label in ("", "A", "B") else ""
        verdicts = ["green" if text.startswith("right") else "red" for text in texts]
        cells = map(Text, texts, verdicts if label == "verdict" else repeat(style))
        grid.add_row(Text(f"  {label}", "dim"), *cells)
    return grid

"""`harness diff`: where two entries differ, sample by sample."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.commands.screen import console

if TYPE_CHECKING:
    from leaderboards.differing import Differing
    from leaderboards.differing_texts import DifferingSample
    from leaderboards.sides import Side

_SIDE = "An entry's name, a RUN_DIR that holds one, or RUN_DIR:ENTRY."


def diff(
    a: Annotated[str, typer.Argument(help=_SIDE, metavar="A")],
    b: Annotated[str, typer.Argument(help="The other, likewise.", metavar="B")],
    run: Annotated[
        list[Path] | None,
        typer.Option(
            help="Run to look for names in; may be repeated. By default runs/embedded.", show_default=False
        ),
    ] = None,
    benchmark: Annotated[str | None, typer.Option(help="Only this one.", show_default=False)] = None,
    seed: Annotated[int | None, typer.Option(help="Only this training seed.", show_default=False)] = None,
    only: Annotated[
        str,
        typer.Option(
            help="Questions that only A has right, only B, neither, or just one of them.",
            metavar="a|b|both-wrong|differing",
        ),
    ] = "differing",
    limit: Annotated[int, typer.Option(help="Questions to show; 0 for the summary alone.", min=0)] = 10,
    full: Annotated[bool, typer.Option("--full", help="Whole prompts and outputs.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show where two entries differ, sample by sample."""
    from leaderboards.differing import ONLY, compare
    from leaderboards.differing_texts import read_samples
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
    from harness.commands.diff_view import print_differences, print_samples

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


def _json(a: Side, b: Side, found: Differing, samples: list[DifferingSample]) -> str:
    """Both sides, the counts and tests, and the samples that were asked for; shares of 1."""
    import dataclasses
    import json

    sides = {
        letter: {
            "entry": side.name,
            "model": side.group.model,
            "seeds": [entry.seed for entry in side.group.entries],
            "runs": [run.source for run in side.runs],
        }
        for letter, side in (("a", a), ("b", b))
    }
    content = {
        **sides,
        "benchmarks": [dataclasses.asdict(each) for each in found.benchmarks],
        "cautions": found.cautions,
        "num_questions": len(found.spots),
        "samples": [dataclasses.asdict(sample) for sample in samples],
    }
    return json.dumps(content, indent=1, allow_nan=False)

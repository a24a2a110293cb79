"""A checkpoint's card: what it is, what it scored and what that is worth, from the stored run alone.

`README.md` in the form of the Hub, with results in its metadata (`hub`), and beside it
`.eval_results/`, the Hub's newer form of the same. Nothing is claimed that the paired test does not support.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from harness.config import Config
from harness.sharing.hub import Card, card_data, evaluation_files
from leaderboards.board.rows import Board, Cell, Row
from leaderboards.report import wording
from leaderboards.report.findings import sentences
from leaderboards.report.wording import METRIC_NAMES, enumerated, large
from leaderboards.results.schema import METRICS, Entry, RunResults, describe
from leaderboards.stats import MACRO
from tasks.errors import InputError
from tasks.shown import markdown_code, markdown_line, markdown_text, neutral

TEMPLATE = Path(__file__).with_name("card.md.j2")
_METHODS = {
    "full": "full fine-tuning",
    "lora": "LoRA",
    "dora": "DoRA",
    "rslora": "rank-stabilised LoRA",
    "qlora": "LoRA on a quantised base",
}
_ROLES = {
    "base": "This is the untrained base model of a comparison.",
    "external": "It was trained elsewhere; nothing is known here of how.",
}


def make_card(results: RunResults, config: Config, name: str, seed: int | None) -> Card:
    """Makes the card of one checkpoint of a run; InputError where there is no such one, or several."""
    from huggingface_hub import ModelCard

    from leaderboards.board.build import build_board

    entry = _find(results, name, seed)
    rank_by, alpha = config.rank_by, config.alpha
    board = build_board([results], reference=config.reference, rank_by=rank_by, alpha=alpha)
    (own,) = build_board([_alone(results, entry)], rank_by=rank_by, alpha=alpha).rows
    row = next(row for row in board.rows if (row.name, row.model) == (entry.name, entry.model))
    body = _body(entry, own, row, board, config)
    data = "\n".join(map(neutral, card_data(entry, own, config).to_yaml().split("\n")))
    card = ModelCard(f"---\n{data}\n---\n\n{body}")
    created = results.provenance.get("created")
    return Card(str(card), evaluation_files(entry, own, config, created), entry.checkpoint)


def _find(results: RunResults, name: str, seed: int | None) -> Entry:
    named = [entry for entry in results.entries if entry.name == name]
    if not named:
        known = ", ".join(dict.fromkeys(entry.name for entry in results.entries))
        raise InputError(f"{results.source}: no entry named {name!r}; the run holds {known}")
    found = [entry for entry in named if seed is None or entry.seed == seed]
    seeds = ", ".join(str(entry.seed) for entry in named)
    if not found:
        raise InputError(f"{results.source}: {name} has no seed {seed}; it has {seeds}")
    if len(found) > 1:
        raise InputError(f"{results.source}: {name} has the seeds {seeds}; a card is of one: --seed N")
    return found[0]


def _alone(results: RunResults, entry: Entry) -> RunResults:
    """The run as if it had this checkpoint alone, so that its figures are its own and not a mean."""
    samples = results.samples
    seed = samples["seed"].isna() if entry.seed is None else samples["seed"] == entry.seed
    mine = (samples["entry"] == entry.name) & (samples["model"] == entry.model) & seed
    return dataclasses.replace(
        results,
        entries=(entry,),
        samples=samples[mine].reset_index(drop=True),
        curves=results.curves.iloc[:0],
    )


def _body(entry: Entry, own: Row, row: Row, board: Board, config: Config) -> str:
    import jinja2

    environment = jinja2.Environment(
        trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined, autoescape=False
    )
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(
        title=markdown_text(describe(entry.name, entry.seed)),
        summary=_summary(entry),
        metrics=[METRIC_NAMES[metric] for metric in METRICS],
        confidence=f"{100 * board.confidence:.0f} %",
        results=[_result(cell, entry) for cell in _cells(own)],
        tagged=entry.tagged,
        alpha=f"{board.alpha:g}",
        rest=f"{1 - board.alpha:g}",
        comparison=_comparison(row, board),
        training=_cells_of(_training(entry, config)),
        integrity=_integrity(entry),
        cautions=[markdown_line(each) for each in sentences(board.notes, board)],
        evaluation=_cells_of(_evaluation(entry, config)),
        provenance={name: markdown_code(text) for name, text in board.provenance[0][1].items()},
    )


def _cells_of(lines: list[tuple[str, str]]) -> list[list[str]]:
    return [list(map(markdown_text, line)) for line in lines]


def _summary(entry: Entry) -> str:
    if entry.role != "trained":
        linked = f" See {markdown_text(entry.link)}." if entry.link else ""
        return _ROLES[entry.role] + linked
    method = _METHODS.get(entry.method or "", markdown_text(entry.method or ""))
    form = f"in the tag format {markdown_code(entry.tags)}" if entry.tagged else "without tags"
    trained = f"Trained from {markdown_code(entry.model)} by {method}"
    return f"{_description(entry.name)} {trained}; it answers {form}."


def _description(name: str) -> str:
    from sftkey_train.variants import load_variant, variant_names

    if set(name.split("+")) <= {*variant_names()}:
        return markdown_line(load_variant(name).description)
    return f"The variant {markdown_code(name)}."  # of a file, which need not be here any more


def _cells(row: Row) -> list[Cell]:
    return [*row.cells, row.macro] if row.macro is not None and len(row.cells) > 1 else [*row.cells]


def _result(cell: Cell, entry: Entry) -> list[str]:
    name = "macro average" if cell.benchmark == MACRO else cell.benchmark
    asked = sum(one.n for one in entry.evaluations if cell.benchmark in (one.benchmark, MACRO))
    figures = [wording.figure(cell, metric) for metric in METRICS]
    return [markdown_text(name), str(asked), *figures, wording.percent(cell.truncated)]


def _comparison(row: Row, board: Board) -> list[str]:
    """What the run says of the variant against the reference, over all its seeds."""
    if row.is_reference:
        return [f"{markdown_code(row.name)} is what the other entries of its run were compared with."]
    lines = [line for cell in reversed(_cells(row)) for line in _verdict(cell, board)]
    seeds = len(row.seeds)
    over = f"the mean of {seeds} seeds" if seeds > 1 else "one checkpoint: how training varies is not known"
    return [f"Against {markdown_code(board.reference)} ({over}):", *lines] if lines else []


def _verdict(cell: Cell, board: Board) -> Iterator[str]:
    found = cell.metric(board.rank_by).comparison
    if found is not None:
        where = "over all benchmarks" if cell.benchmark == MACRO else f"on {markdown_text(cell.benchmark)}"
        difference, p = wording.points(found.difference.mean), wording.p_value(found.p_holm)
        between = wording.bounds(found.difference.low, found.difference.high)
        yield (
            f"{METRIC_NAMES[board.rank_by].capitalize()} {where}: {difference} points "
            f"({100 * board.confidence:.0f} % interval {between}; p = {p} after Holm's "
            f"correction): **{found.verdict}**."
        )


def _training(entry: Entry, config: Config) -> list[tuple[str, str]]:
    cost = entry.training
    if cost is None:
        return []
    settings = config.settings_of(entry.name)
    rows = [
        ("stages", enumerated(cost.stages)),
        ("budget", cost.budget or "not noted"),
        ("optimiser steps", str(cost.steps)),
        ("tokens seen / with loss", f"{large(cost.tokens_forward)} / {large(cost.tokens_loss)}"),
        ("compute", f"{large(cost.flops)} FLOP in {wording.duration(cost.wall_seconds)}"),
        ("learning rate", f"{settings.learning_rate:g}"),
        ("examples a step", str(settings.batch_size)),
        ("training questions from", enumerated(config.benchmarks)),
    ]
    if cost.sampled_tokens:
        drawn = f"{large(cost.sampled_tokens)} tokens, {large(cost.sampled_flops)} FLOP"
        rows.append(("samples drawn, within the budget", drawn))
    if cost.reference_flops:
        rows.append(("reference model, on top", f"{large(cost.reference_flops)} FLOP"))
    return rows


def _integrity(entry: Entry) -> list[str]:
    lines = []
    for one in entry.evaluations:
        said = "whether its questions were trained on is not known."
        if found := one.overlap:
            said = (
                f"of {found.n} test questions {found.exact} stand word for word in the {found.num_train} "
                f"training records, {found.ngram} share {found.ngram_size} words in a row."
            )
        lines.append(f"{markdown_line(one.benchmark)}: {said}")
    return lines


def _evaluation(entry: Entry, config: Config) -> list[tuple[str, str]]:
    one, first = entry.evaluations[0], f", first {config.limit}" if config.limit else ""
    how = one.generation
    decoding = "greedy" if not how.get("temperature") else f"temperature {how['temperature']}"
    budgets = dict.fromkeys(str(one.generation.get("max_new_tokens")) for one in entry.evaluations)
    return [
        ("engine", f"{one.engine}, {one.dtype}"),
        ("decoding", f"{decoding}, at most {' / '.join(budgets)} new tokens"),
        ("outputs a question", str(one.num_samples)),
        ("examples before a question", str(how.get("num_fewshot") or 0)),
        ("told the format in the prompt", "yes" if how.get("instruct") else "no"),
        ("split", f"{how.get('split', config.eval.split)}{first}"),
    ]

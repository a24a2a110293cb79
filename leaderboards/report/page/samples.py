"""The samples in the page: which questions it holds, and how they are packed.

All samples stand in the one HTML file as chunks: JSON, deflated (zlib), in base64. The browser unpacks a
chunk when it is looked at, so a page of 100,000 samples opens like one without. Verdicts stand apart from
outputs, so that finding the questions on which two entries differ unpacks no text. Prompts and reference
answers stand once for all entries that have the same. Which field of a `Sample` goes where says its metadata.
"""

import base64
import dataclasses
import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import NamedTuple

import pandas as pd

from leaderboards.board.rows import Board
from leaderboards.report.wording import label
from leaderboards.results.schema import RunResults, Sample
from leaderboards.results.tables import EvaluationKey
from leaderboards.results.texts import RunTexts, Wanted
from tasks.shown import neutral

BLOCK_QUESTIONS = 250
"""Questions whose texts stand in one chunk."""
MOST_SAMPLES = 100_000
MOST_TOKENS = 40_000_000
REASONING, ANSWER, OTHER = "r", "a", "_"
"""What a piece of an output is, as its first character says; other is, for example, a tag."""
_QUESTION = [each.name for each in dataclasses.fields(Sample) if each.metadata["page"] == "question"]
_FLAGS = [
    (each.name, "None" in str(each.type))
    for each in dataclasses.fields(Sample)
    if each.metadata["page"] == "verdict" and "bool" in str(each.type)
]
"""The yes and no of a verdict, and whether it may be missing."""


@dataclass(frozen=True, slots=True, eq=False)
class PackedSamples:
    """What the page's template needs.

    `chunks` are base64 texts by the id of the script element that each belongs in, `index` says as JSON what
    is in which of them, and `caption` how many samples of how many are in the page.
    """

    chunks: Mapping[str, str]
    index: Mapping[str, object]
    caption: str


class _Held(NamedTuple):
    """Samples of one seed of a row, by its position, on one benchmark, and the run that holds them."""

    row: int
    tags: str
    key: EvaluationKey
    texts: RunTexts


def collect_samples(
    board: Board, runs: Sequence[RunResults], most: int = MOST_SAMPLES, most_tokens: int = MOST_TOKENS
) -> PackedSamples | None:
    """Packs the samples of a board's rows.

    Where there are more than `most` samples, or more than `most_tokens` tokens in them, the page holds an
    evenly spaced subset of each benchmark's questions, the same for all entries.

    Args:
        runs: what it was built from; texts are read from a run's folder where it has none in memory.
        most: samples that the page may hold.
        most_tokens: tokens of outputs that the page may hold.

    Returns:
        The packed samples; None where no run has any.

    Raises:
        InputError: a run's file changed while it was read.
    """
    found = [RunTexts.of(run) for run in runs]
    texts = [each for each in found if each]
    held = list(_held(board, texts))
    if not held:
        return None
    questions: dict[str, dict[str, None]] = {}
    num_samples = num_tokens = 0
    for each in held:
        rows = each.texts.rows(each.key)
        ids = pd.unique(each.texts.sample_id_N[rows]).tolist()
        questions.setdefault(each.key[3], {}).update(dict.fromkeys(ids))
        num_samples += int(rows.sum())
        num_tokens += int(each.texts.output_tokens_N[rows].sum())
    share = min(1.0, most / num_samples, most_tokens / max(num_tokens, 1))
    packer = _Packer({name: _evenly(list(ids), share) for name, ids in questions.items()})
    for run in texts:
        packer.add_run(run, [each for each in held if each.texts is run])
    index = packer.index() | {
        "rows": [label(row, board) for row in board.rows],
        "reference": next((i for i, row in enumerate(board.rows) if row.is_reference), 0),
    }
    kept, total = (sum(map(len, each.values())) for each in (packer.kept, questions))
    caption = (
        f"This report holds all {num_samples:,} outputs to {total:,} questions."
        if packer.num_samples == num_samples
        else f"This report holds {packer.num_samples:,} of {num_samples:,} outputs: those to {kept:,} of "
        f"{total:,} questions, evenly spaced over each benchmark and the same for all entries. The runs hold "
        "the rest."
    )
    if missing := [run.source for run, each in zip(runs, found, strict=True) if each is None]:
        caption += f" Without their texts, so not here: the samples of {', '.join(missing)}."
    return PackedSamples(packer.chunks, index, caption)


def unpack(chunk: str) -> object:
    """What a chunk holds."""
    return json.loads(zlib.decompress(base64.b64decode(chunk)))


def pieces_of(sample: Sample) -> list[str]:
    """The output cut into reasoning, answer and the rest, so that each character is kept once, in its place.

    Returns:
        The pieces in order, each with what it is as its first character; without it they join to the output.
    """
    spans = (
        (sample.thinking_start, sample.thinking_end, REASONING),
        (sample.answer_start, sample.answer_end, ANSWER),
    )
    pieces, end = [], 0
    for start, stop, kind in sorted((a, b, kind) for a, b, kind in spans if a is not None and b is not None):
        if start < end or start == stop:
            continue
        if start > end:
            pieces.append(OTHER + sample.output[end:start])
        pieces.append(kind + sample.output[start:stop])
        end = stop
    if end < len(sample.output):
        pieces.append(OTHER + sample.output[end:])
    return pieces


def _held(board: Board, texts: Sequence[RunTexts]) -> Iterator[_Held]:
    """Where each row's samples are: as in the board, the first run that holds them stands for them."""
    for position, row in enumerate(board.rows):
        for cell, seed in product(row.cells, row.seeds):
            key = (row.model, row.name, seed, cell.benchmark)
            if run := next((each for each in texts if key in each.codes), None):
                yield _Held(position, row.tags, key, run)


def _evenly(ids: Sequence[str], share: float) -> dict[str, int]:
    """A number for each question that is kept; at least one is."""
    count = max(1, int(len(ids) * share + 1e-9))  # a third of 240 is 80, not 79 by rounding
    return {ids[i * len(ids) // count]: i for i in range(count)}


@dataclass(slots=True)
class _Packer:
    """Turns samples into chunks, those of one seed on one benchmark at once, and remembers what is where."""

    kept: Mapping[str, Mapping[str, int]]
    chunks: dict[str, str] = field(default_factory=dict)
    num_samples: int = 0
    cells: list[dict[str, object]] = field(default_factory=list)
    defects: dict[tuple[str, ...], int] = field(default_factory=dict)
    questions: dict[tuple[str, str], tuple[object, ...]] = field(default_factory=dict)
    prompts: dict[tuple[str, bytes], list[str]] = field(default_factory=dict)

    def add_run(self, run: RunTexts, held: Sequence[_Held]) -> None:
        """Reads and packs what one run holds."""
        rows = {each.key: each.row for each in held}
        wanted = [Wanted(each.key, each.tags, self.kept[each.key[3]]) for each in held]
        for one, samples in run.read(wanted):
            self._add(rows[one.key], one.key, samples)

    def index(self) -> dict[str, object]:
        """What is in which chunk; called once, when all is added."""
        return {
            "blockQuestions": BLOCK_QUESTIONS,
            "defects": [tuple(map(neutral, each)) for each in self.defects],
            "benchmarks": {
                name: {
                    "size": len(ids),
                    "questions": self._store_blocks(
                        [self.questions.get((name, each), (each, "", None)) for each in ids]
                    ),
                }
                for name, ids in self.kept.items()
            },
            "cells": sorted(
                self.cells, key=lambda cell: (cell["row"], -1 if cell["seed"] is None else cell["seed"])
            ),
        }

    def _add(self, row: int, key: EvaluationKey, by_number: Mapping[int, Sequence[Sample]]) -> None:
        _, _, seed, benchmark = key
        drawn = [by_number.get(number, []) for number in range(len(self.kept[benchmark]))]
        for first, *_ in by_number.values():
            asked = tuple(getattr(first, name) for name in _QUESTION)
            self.questions.setdefault((benchmark, first.sample_id), asked)
        self.num_samples += sum(map(len, drawn))
        known = self.defects
        verdicts = {
            "flags": [[_flags(sample) for sample in each] for each in drawn],
            "defects": [[known.setdefault(sample.defects, len(known)) for sample in each] for each in drawn],
            "tokens": [[sample.output_tokens for sample in each] for each in drawn],
            "extracted": [[sample.extracted for sample in each] for each in drawn],
        }
        self.cells.append(
            {
                "row": row,
                "seed": seed,
                "benchmark": benchmark,
                "draws": max(map(len, drawn)),
                "verdicts": self._store(verdicts),
                "outputs": self._store_blocks([[pieces_of(sample) for sample in each] for each in drawn]),
                "prompts": self._prompts(benchmark, drawn),
            }
        )

    def _prompts(self, benchmark: str, drawn: Sequence[Sequence[Sample]]) -> list[str]:
        """The chunks of these prompts: those of another entry where it was asked in the same words."""
        texts = [each[0].prompt if each else "" for each in drawn]
        digest = hashlib.sha256("\0".join(texts).encode()).digest()
        if (benchmark, digest) not in self.prompts:
            self.prompts[benchmark, digest] = self._store_blocks(texts)
        return self.prompts[benchmark, digest]

    def _store_blocks(self, items: Sequence[object]) -> list[str]:
        starts = range(0, len(items), BLOCK_QUESTIONS)
        return [self._store(items[start : start + BLOCK_QUESTIONS]) for start in starts]

    def _store(self, content: object) -> str:
        name = f"samples-{len(self.chunks)}"
        # Base64 takes a third more than the bytes, but no text of a model can end the element it stands in.
        text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
        self.chunks[name] = base64.b64encode(zlib.compress(text.encode())).decode("ascii")
        return name


def _flags(sample: Sample) -> int:
    """A bit for each yes or no, from the lowest on; two where it may be missing: known, and yes.

    `samples.js` has the same order.
    """
    bits: list[bool] = []
    for name, may_be_missing in _FLAGS:
        value = getattr(sample, name)
        bits += [value is not None, bool(value)] if may_be_missing else [value]
    return sum(1 << place for place, is_set in enumerate(bits) if is_set)

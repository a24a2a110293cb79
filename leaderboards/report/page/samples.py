"""The samples in the page: which questions it holds, and how they are packed.

All samples stand in the one HTML file as chunks: JSON, deflated (zlib), in base64. The browser unpacks a
chunk when it is looked at, so a page of 100,000 samples opens like one without. Verdicts stand apart from
outputs, so that finding the questions on which two entries differ unpacks no text. Prompts and reference
answers stand once for all entries that have the same.
"""

import base64
import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import pandas as pd

from leaderboards.board.rows import Board
from leaderboards.report.page.pieces import pieces_of
from leaderboards.report.page.sample_texts import (
    Place,
    RunTexts,
    Sample,
    places_of,
    read_places,
    tag_format_of,
)
from leaderboards.report.wording import label
from leaderboards.results.schema import RunResults

BLOCK_QUESTIONS = 250
"""Questions whose texts stand in one chunk."""
MOST_SAMPLES = 100_000
MOST_TOKENS = 40_000_000
RIGHT, STRICT, VALID, TRUNCATED, JUDGED, JUDGED_RIGHT = (1 << bit for bit in range(6))
"""Bits of a verdict in a chunk; `samples.js` reads them."""

_Kept = dict[str, dict[str, int]]


@dataclass(frozen=True, slots=True, eq=False)
class PackedSamples:
    """What the page's template needs.

    Attributes:
        chunks: Base64 texts by the id of the script element that each belongs in.
        index: What is in which chunk; goes into the page as JSON.
        caption: How many samples of how many are in the page.
    """

    chunks: Mapping[str, str]
    index: Mapping[str, object]
    caption: str


def collect_samples(
    board: Board, runs: Sequence[RunResults], most: int = MOST_SAMPLES, most_tokens: int = MOST_TOKENS
) -> PackedSamples | None:
    """Packs the samples of a board's rows.

    Where there are more than `most` samples, or more than `most_tokens` tokens in them, the page holds an
    evenly spaced subset of each benchmark's questions, the same for all entries.

    Args:
        board: the board.
        runs: what it was built from; texts are read from a run's folder where it has none in memory.
        most: samples that the page may hold.
        most_tokens: tokens of outputs that the page may hold.

    Returns:
        The packed samples; None where no run has any.

    Raises:
        InputError: a run's file changed while it was read.
    """
    texts = [RunTexts.of(run) for run in runs]
    places = places_of(board, texts)
    if not places:
        return None
    questions = _questions(texts, places)
    num_samples, num_tokens = _totals(texts, places)
    share = min(1.0, most / num_samples, most_tokens / max(num_tokens, 1))
    kept: _Kept = {name: _evenly(ids, share) for name, ids in questions.items()}
    packer = _Packer(kept)
    for run, each in enumerate(texts):
        mine = [place for place in places if place.run == run]
        for place, samples in read_places(each, mine, kept) if each and mine else ():
            packer.add(place, samples, runs[run].source)
    index = packer.index() | {
        "rows": [label(row, board) for row in board.rows],
        "reference": next((i for i, row in enumerate(board.rows) if row.is_reference), 0),
    }
    caption = _caption(packer.num_samples, num_samples, sum(map(len, kept.values())), questions)
    missing = [run.source for run, each in zip(runs, texts, strict=True) if each is None]
    if missing:
        caption += f" Without their texts, so not here: the samples of {', '.join(missing)}."
    return PackedSamples(packer.chunks, index, caption)


def unpack(chunk: str) -> object:
    """What a chunk holds."""
    return json.loads(zlib.decompress(base64.b64decode(chunk)))


def _pack(content: object) -> str:
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return base64.b64encode(zlib.compress(text.encode())).decode("ascii")


def _questions(texts: Sequence[RunTexts | None], places: Sequence[Place]) -> dict[str, list[str]]:
    """The ids of each benchmark's questions, as they first appear."""
    found: dict[str, dict[str, None]] = {}
    for place, run in _with_runs(texts, places):
        ids = pd.unique(run.sample_id_N[run.code_N == place.code])
        found.setdefault(place.benchmark, {}).update(dict.fromkeys(ids.tolist()))
    return {benchmark: list(ids) for benchmark, ids in found.items()}


def _totals(texts: Sequence[RunTexts | None], places: Sequence[Place]) -> tuple[int, int]:
    masks = [(run, run.code_N == place.code) for place, run in _with_runs(texts, places)]
    return sum(int(mask.sum()) for _, mask in masks), sum(
        int(run.output_tokens_N[mask].sum()) for run, mask in masks
    )


def _with_runs(texts: Sequence[RunTexts | None], places: Sequence[Place]) -> Iterator[tuple[Place, RunTexts]]:
    for place in places:
        run = texts[place.run]
        if run is not None:
            yield place, run


def _evenly(ids: Sequence[str], share: float) -> dict[str, int]:
    """A number for each question that is kept; at least one is."""
    count = max(1, int(len(ids) * share + 1e-9))
    return {ids[i * len(ids) // count]: i for i in range(count)}


def _caption(num_kept: int, num_samples: int, num_questions: int, questions: Mapping[str, list[str]]) -> str:
    total = sum(map(len, questions.values()))
    if num_kept == num_samples:
        return f"This report holds all {num_samples:,} outputs to {total:,} questions."
    return (
        f"This report holds {num_kept:,} of {num_samples:,} outputs: those to {num_questions:,} of {total:,} "
        "questions, evenly spaced over each benchmark and the same for all entries. The runs hold the rest."
    )


@dataclass(slots=True)
class _Packer:
    """Turns the samples of one place after another into chunks, and remembers what is where."""

    kept: _Kept
    chunks: dict[str, str] = field(default_factory=dict)
    num_samples: int = 0
    cells: list[dict[str, object]] = field(default_factory=list)
    defects: dict[tuple[str, ...], int] = field(default_factory=dict)
    references: dict[str, dict[int, tuple[str, Sequence[str] | None]]] = field(default_factory=dict)
    prompts: dict[tuple[str, bytes], list[str]] = field(default_factory=dict)

    def add(self, place: Place, samples: Sequence[Sample], source: str) -> None:
        """Packs the samples of a place, which are ordered by question and sample index."""
        by_question = {number: list(group) for number, group in groupby(samples, key=lambda s: s.question)}
        size = len(self.kept[place.benchmark])
        drawn = [by_question.get(number, []) for number in range(size)]
        references = self.references.setdefault(place.benchmark, {})
        for number, group in by_question.items():
            references.setdefault(number, (group[0].gold, group[0].choices))
        tag_format = tag_format_of(source, place.tags)
        outputs = [[pieces_of(s.output, s.prompt, tag_format, s.truncated) for s in each] for each in drawn]
        self.num_samples += len(samples)
        self.cells.append(
            {
                "row": place.row,
                "seed": place.seed,
                "benchmark": place.benchmark,
                "draws": max(map(len, drawn)),
                "verdicts": self._store(self._verdicts(drawn)),
                "outputs": self._store_blocks(outputs),
                "prompts": self._prompts(place.benchmark, drawn),
            }
        )

    def index(self) -> dict[str, object]:
        """What is in which chunk; called once, when all is added."""
        return {
            "blockQuestions": BLOCK_QUESTIONS,
            "defects": list(self.defects),
            "benchmarks": {
                name: {"size": len(ids), "questions": self._store_blocks(self._asked(name, ids))}
                for name, ids in self.kept.items()
            },
            "cells": sorted(
                self.cells, key=lambda cell: (cell["row"], -1 if cell["seed"] is None else cell["seed"])
            ),
        }

    def _asked(self, benchmark: str, ids: Mapping[str, int]) -> list[tuple[object, ...]]:
        references = self.references.get(benchmark, {})
        return [(sample_id, *references.get(number, ("", None))) for sample_id, number in ids.items()]

    def _verdicts(self, drawn: Sequence[Sequence[Sample]]) -> dict[str, object]:
        return {
            "flags": [[_flags(sample) for sample in each] for each in drawn],
            "defects": [[self._defects(sample) for sample in each] for each in drawn],
            "tokens": [[sample.output_tokens for sample in each] for each in drawn],
            "extracted": [[sample.extracted for sample in each] for each in drawn],
        }

    def _defects(self, sample: Sample) -> int:
        return self.defects.setdefault(tuple(sample.defects), len(self.defects))

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
        self.chunks[name] = _pack(content)
        return name


def _flags(sample: Sample) -> int:
    bits = {
        RIGHT: sample.accuracy,
        STRICT: sample.accuracy_strict,
        VALID: sample.format_valid,
        TRUNCATED: sample.truncated,
        JUDGED: sample.judge is not None,
        JUDGED_RIGHT: bool(sample.judge),
    }
    return sum(bit for bit, is_set in bits.items() if is_set)

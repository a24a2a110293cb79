"""Reads both outputs to the questions on which two entries differ; of a run's texts no more than these.

Apart from `differing`, whose counts need no text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from leaderboards.differing import Spot
from leaderboards.report.page.pieces import ANSWER, REASONING, pieces_of
from leaderboards.report.page.sample_texts import Place, RunTexts, Sample, read_places, tag_format_of
from leaderboards.sides import Side
from tasks.errors import InputError

_Key = tuple[str, int | None, str, int]


@dataclass(frozen=True, slots=True)
class Answered:
    """One output and what was said of it.

    Attributes:
        prompt: What was asked.
        output: The whole of it.
        reasoning: Of the output, by the entry's tag format; empty where none was found.
        answer: The answer span, likewise.
        extracted: The answer that was compared; None where there was none.
        right: Whether it is (lenient accuracy).
        right_strict: Whether it is and stands in a valid answer span.
        format_valid: Whether the output keeps exactly to the tag format.
        truncated: Whether it was cut at the token limit.
        defects: Of its format.
        output_tokens: Its length.
        judge: What a judge said; None where none did.
    """

    prompt: str
    output: str
    reasoning: str
    answer: str
    extracted: str | None
    right: bool
    right_strict: bool
    format_valid: bool
    truncated: bool
    defects: tuple[str, ...]
    output_tokens: int
    judge: bool | None


@dataclass(frozen=True, slots=True)
class DifferingSample:
    """A question, its reference answer and choices, and what A and B answered."""

    spot: Spot
    gold: str
    choices: tuple[str, ...] | None
    a: Answered
    b: Answered


def read_samples(a: Side, b: Side, spots: Sequence[Spot]) -> list[DifferingSample]:
    """The texts of these questions, in their order.

    Raises:
        InputError: a run's texts are nowhere to be found, or changed while they were read.
    """
    found = [dict(_read(side, spots, number)) for number, side in enumerate((a, b))]
    samples = []
    for spot in spots:
        keys = [(spot.benchmark, seed, spot.sample_id, spot.sample_index) for seed in spot.seeds]
        (sample, left), (_, right) = (each[key] for each, key in zip(found, keys, strict=True))
        choices = tuple(sample.choices) if sample.choices is not None else None
        samples.append(DifferingSample(spot, sample.gold, choices, left, right))
    return samples


def _read(side: Side, spots: Sequence[Spot], number: int) -> Iterator[tuple[_Key, tuple[Sample, Answered]]]:
    """The outputs of one side, the first or the second of each pair of seeds."""
    ids: dict[str, dict[str, int]] = {}
    for spot in spots:
        own = ids.setdefault(spot.benchmark, {})
        own.setdefault(spot.sample_id, len(own))
    wanted = list(dict.fromkeys((spot.benchmark, spot.seeds[number]) for spot in spots))
    for run in side.runs if wanted else ():
        texts = RunTexts.of(run)
        if texts is None:
            raise InputError(f"{run.source}: its samples are gone, so no output can be shown; use --limit 0")
        places = []
        for benchmark, seed in tuple(wanted):
            code = texts.codes.get((side.group.model, side.name, seed, benchmark))
            if code is not None:
                wanted.remove((benchmark, seed))
                places.append(Place(0, seed, benchmark, 0, code, side.group.entries[0].tags))
        for place, samples in read_places(texts, places, ids):
            names = {question: name for name, question in ids[place.benchmark].items()}
            for sample in samples:
                key = (place.benchmark, place.seed, names[sample.question], sample.sample_index)
                yield key, (sample, _answered(sample, run.source, place.tags))


def _answered(sample: Sample, source: str, tags: str) -> Answered:
    pieces = pieces_of(sample.output, sample.prompt, tag_format_of(source, tags), sample.truncated)

    def part(kind: str) -> str:
        return "".join(piece[1:] for piece in pieces if piece[0] == kind).strip()

    return Answered(
        prompt=sample.prompt,
        output=sample.output,
        reasoning=part(REASONING),
        answer=part(ANSWER),
        extracted=sample.extracted,
        right=sample.accuracy,
        right_strict=sample.accuracy_strict,
        format_valid=sample.format_valid,
        truncated=sample.truncated,
        defects=tuple(sample.defects),
        output_tokens=sample.output_tokens,
        judge=sample.judge,
    )

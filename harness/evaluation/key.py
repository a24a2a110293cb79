"""The answer by itself: is it right once the reasoning is, and how likely is the right one?

A response is written up to where its answer begins, as training writes it: with the reference's reasoning
(*gold*), or with the model's own. After the gold reasoning the model goes on greedily, and the whole is
judged like any output: *key accuracy*. *Answer bits* are -log2 p of the reference answer's tokens and of the
one that follows them, which says that the answer ends there: without it, the beginning of another would do.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.engines.api import Completion, Request, Sampling, decode
from harness.evaluation.ask import Asked, Prompts
from harness.evaluation.generations import Queue
from harness.models.checkpoint import Checkpoint
from sftkey_train.segments import SEGMENT_ID
from sftkey_train.spans import encode
from sftkey_train.text import TextPath
from tasks.benchmarks import Benchmark
from tasks.errors import InputError
from tasks.records import Record
from tasks.scoring import Item, Score
from tasks.tags import TagFormat, get_tag_format, parse_output, render_response

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_PROMPT, _ANSWER = SEGMENT_ID["prompt"], SEGMENT_ID["answer"]
ROOM = 16
"""Tokens for an answer, beside twice those of the reference's."""


@dataclass(frozen=True)
class Given:
    """A record's response up to its answer, and the answer with the token that follows it."""

    text: str
    ids: tuple[int, ...]
    answer_ids: tuple[int, ...]


@dataclass(frozen=True)
class Key:
    """What is measured of the answer to one question; None where it was not.

    Attributes:
        right: Whether the answer after the gold reasoning is right.
        bits_gold: Answer bits after the gold reasoning.
        bits_own: Answer bits after the model's own, for each output of the question.
    """

    right: bool | None
    bits_gold: float | None
    bits_own: tuple[float | None, ...]


NOT_MEASURED = Key(None, None, ())


class Keys:
    """What is asked beside the questions themselves, and what comes of it.

    Args:
        queue: Answers.
        records: The questions of a benchmark that are asked.
        prompts: How prompts are written for a checkpoint; a server takes no beginning of a response.
    """

    def __init__(
        self,
        queue: Queue,
        records: Callable[[Benchmark], Sequence[Record]],
        prompts: Callable[[Checkpoint], Prompts],
    ) -> None:
        self._queue, self._records, self._prompts = queue, records, prompts
        self._gold: dict[tuple[str, str, str], list[Given | None]] = {}

    def gold(self, asked: Asked) -> Asked:
        """What is asked after the reference's reasoning: an answer, and how likely the reference's is."""
        ways = [_answer, how_likely] if self._queue.measures(asked.checkpoint) else [_answer]
        pairs = zip(asked.requests, self._given(asked), strict=True)
        found = (way(base, one) for base, one in pairs if one for way in ways)
        return replace(asked, requests=tuple(found), prompts=())

    def own(self, asked: Asked) -> Asked:
        """What is asked after the model's own reasoning, once it has answered."""
        found = (one for some in self._own(asked) for one in some if one)
        return replace(asked, requests=tuple(found), prompts=())

    def items(self, asked: Asked, alpha: float) -> Iterator[Item]:
        """The outputs after the reference's reasoning, for the scorer."""
        tag_format, records = get_tag_format(asked.checkpoint.tags), self._records(asked.benchmark)
        rows = zip(records, asked.requests, self._given(asked), asked.prompts, strict=True)
        given = [(record, base, one, prompt) for record, base, one, prompt in rows if one]
        answers = self._queue.completions(asked.checkpoint, [_answer(base, one) for _, base, one, _ in given])
        for (record, _, one, prompt), [(said, _)] in zip(given, answers, strict=True):
            cut, text = said.finish_reason == "length", one.text + said.text
            yield Item.of(record, text, tag_format, truncated=cut, alpha=alpha, prompt=prompt)

    def found(self, asked: Asked, scores: Iterator[Score]) -> list[Key]:
        """All that is known, question by question; the scores are those of `items`."""
        gold = self._given(asked)
        right = [next(scores).accuracy if one else None for one in gold]
        if not self._queue.measures(asked.checkpoint):
            return [Key(each, None, ()) for each in right]
        first = [
            how_likely(base, one) if one else None for base, one in zip(asked.requests, gold, strict=True)
        ]
        rows = [[one, *some] for one, some in zip(first, self._own(asked), strict=True)]
        made = iter(self._queue.completions(asked.checkpoint, [one for row in rows for one in row if one]))
        bits = [[float(next(made)[0][0].text) if one else None for one in row] for row in rows]
        return [Key(each, row[0], tuple(row[1:])) for each, row in zip(right, bits, strict=True)]

    def _given(self, asked: Asked) -> list[Given | None]:
        """None for all where a checkpoint is served."""
        path, records = self._prompts(asked.checkpoint), self._records(asked.benchmark)
        if not isinstance(path, TextPath):
            return [None] * len(records)
        name = asked.benchmark.name, asked.checkpoint.tags, path.digest()
        if name not in self._gold:
            self._gold[name] = given(records, get_tag_format(asked.checkpoint.tags), path)
        return [
            one if one and _fits(one, base) else None
            for one, base in zip(self._gold[name], asked.requests, strict=True)
        ]

    def _own(self, asked: Asked) -> list[list[Request | None]]:
        """For each output of each question the reference answer after its reasoning; none if not measured."""
        path, tag_format = self._prompts(asked.checkpoint), get_tag_format(asked.checkpoint.tags)
        if not isinstance(path, TextPath) or not self._queue.measures(asked.checkpoint):
            return []
        drawn = self._queue.completions(asked.checkpoint, asked.requests)
        records = self._records(asked.benchmark)
        reasoned = [
            with_reasoning(record, said, tag_format)
            for record, some in zip(records, drawn, strict=True)
            for said, _ in some
        ]
        made = iter(given(reasoned, tag_format, path))
        return [
            [how_likely(base, one) if (one := next(made)) and _fits(one, base) else None for _ in some]
            for base, some in zip(asked.requests, drawn, strict=True)
        ]


def given(records: Sequence[Record], tag_format: TagFormat, path: TextPath) -> list[Given | None]:
    """Each record's response up to its answer, in the tokens of training.

    None where a record has no rationale, cannot be written in the format, or changes the prompt's tokens, as
    a response may that begins with what the prompt's end can be joined to.
    """
    usable = [_renders(record, tag_format) for record in records]
    kept = [record for record, use in zip(records, usable, strict=True) if use]
    try:
        corpus = encode(kept, tag_format, path, sys.maxsize) if kept else None
    except InputError:  # which names one of them
        alone = len(records) == 1
        return [None] if alone else [given([record], tag_format, path)[0] for record in records]
    examples = iter([corpus[index] for index in range(len(corpus))] if corpus else [])
    return [_given(path, **next(examples)) if use else None for use in usable]


def with_reasoning(record: Record, said: Completion, tag_format: TagFormat) -> Record:
    """The record with the reasoning of an output in the place of its own.

    That is what the format says is reasoning; where it finds none, all that stands before an answer of the
    format, or the whole output.
    """
    parsed = parse_output(said.text, tag_format, truncated=said.finish_reason == "length")
    end = parsed.answer_span[0] if parsed.answer_span else len(said.text)
    return replace(record, rationale=(parsed.thinking or said.text[:end]).strip() or None)


def _answer(base: Request, one: Given) -> Request:
    """What comes after a beginning, greedily."""
    sampling = Sampling(_room(one), base.sampling.stop, base.sampling.stop_ids)
    return Request((*base.prompt, *one.ids), sampling)


def how_likely(base: Request, one: Given) -> Request:
    """How likely the reference's answer is after a beginning."""
    return Request((*base.prompt, *one.ids), Sampling(1), continuation=one.answer_ids)


def _fits(one: Given, base: Request) -> bool:
    """Whether it is no longer than an output may be: the context was checked for no more."""
    return len(one.ids) + _room(one) <= base.sampling.max_new_tokens


def _room(one: Given) -> int:
    return ROOM + 2 * len(one.answer_ids)


def _renders(record: Record, tag_format: TagFormat) -> bool:
    try:
        return record.rationale is not None and bool(render_response(record, tag_format))
    except InputError:
        return False


def _given(path: TextPath, input_ids: NDArray[np.int64], segments: NDArray[np.int64]) -> Given | None:
    answer = (segments == _ANSWER).nonzero()[0].tolist()
    if not answer:  # it shares its only token with what closes it
        return None
    start, first, last = int((segments != _PROMPT).argmax()), answer[0], answer[-1]
    ids = input_ids.tolist()
    # A decoder writes a space, or not, by what stands before: so as a difference of two whole texts.
    before, text = (decode(path.tokenizer, ids[:end], ()) for end in (start, first))
    return Given(text[len(before) :], tuple(ids[start:first]), tuple(ids[first : last + 2]))

"""How many test questions also stand in the training data: word for word, or by a run of words.

The n-grams are those of GPT-3 (arXiv 2005.14165, appendix C): 13 words, without case and punctuation; a
shorter question is one run by itself, but not under 8 words, where a match would say nothing. Numbers and
signs of arithmetic are words, so that problems made from one template with other numbers are other problems.

What counts is the question. Its choices belong to it only where it is compared whole: a question with another
set of choices is another one, and choices that a benchmark's questions share (yes and no, ranges) are no sign
that a question is known. Nor are runs that many questions share: those in more than 10 different questions of
the benchmark or of the training data are taken as template text, as GPT-3 did.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from leaderboards.results.schema import Entry, Overlap
from tasks.errors import InputError
from tasks.records import Record, iter_objects

if TYPE_CHECKING:
    from numpy.typing import NDArray

NGRAM_SIZE = 13
SHORTEST_RUN = 8
"""Words of a question that count as a run by themselves; GPT-3's smallest n."""
LARGEST_SHARE = 10
"""A run in more different questions than this is template text."""
NUM_EXAMPLES = 5
_BATCH_WORDS = 1 << 20
"""Words of training questions looked at together: some 20 MB."""
# A number with its separators, letters and digits, a sign of arithmetic; a hyphen is one before an operand.
_WORD = re.compile(r"\d+(?:[.,]\d+)*|[^\W_]+|[+*/^=<>%×÷±√−]|-(?=\s*(?:\d|\(|[^\W\d_]\b))")
_FACTOR = 0x9E3779B97F4A7C15
"""Odd, so that the powers that weigh a run's words never vanish modulo 2^64."""


def find_overlaps(train: Iterable[Record], tests: Mapping[str, Sequence[Record]]) -> dict[str, Overlap]:
    """Seeks test questions, given by benchmark, in training data, which is read once for all benchmarks.

    Memory grows with the test questions and with what is found, not with the training data.
    """
    questions = {name: [_words(record.question) for record in records] for name, records in tests.items()}
    index = _Index.of([words for benchmark in questions.values() for words in benchmark])
    whole = _WholeQuestions([record for records in tests.values() for record in records], questions)
    runs = _Runs(index)
    num_train = 0
    for records, words in _batches(train):
        num_train += len(records)
        whole.seek(records, words)
        runs.seek(records, words)
    shared = runs.found()
    overlaps, first = {}, 0
    for name, test_records in tests.items():
        mine = range(first, first + len(test_records))
        first += len(test_records)
        overlaps[name] = _overlap(test_records, mine, whole.found, shared, num_train)
    return overlaps


def with_overlap(entry: Entry, overlaps: Mapping[str, Overlap]) -> Entry:
    """What was trained here knows its training data; of the base nothing is known."""
    if entry.role != "trained":
        return entry
    known = (replace(one, overlap=overlaps[one.benchmark]) for one in entry.evaluations)
    return replace(entry, evaluations=tuple(known))


def iter_questions(path: Path, field: str = "question") -> Iterator[Record]:
    """Reads what somebody trained on: a JSON object a line, of which only the question matters.

    `field` holds it; `id` and `choices` are taken where they exist. InputError names file and line where
    there is no object, or its question is missing or no text.
    """
    for number, (where, fields) in enumerate(iter_objects(path), start=1):
        question, choices = fields.get(field), fields.get("choices")
        if not isinstance(question, str):
            names = ", ".join(fields) or "none"
            raise InputError(
                f"{where}: no text in '{field}'; name the question's field with --field ({names})"
            )
        texts = tuple(map(str, choices)) if isinstance(choices, list) else None
        yield Record(str(fields.get("id", f"line {number}")), question, texts, None, "", "text")


def _overlap(
    records: Sequence[Record],
    places: range,
    exact: Mapping[int, str],
    shared: Mapping[int, str],
    num_train: int,
) -> Overlap:
    found = [(record, i) for record, i in zip(records, places, strict=True) if i in exact or i in shared]
    return Overlap(
        n=len(records),
        num_train=num_train,
        exact=sum(i in exact for _, i in found),
        ngram=len(found),
        ngram_size=NGRAM_SIZE,
        examples=tuple(
            (record.id, exact[i] if i in exact else shared[i]) for record, i in found[:NUM_EXAMPLES]
        ),
    )


def _words(text: str) -> list[str]:
    """The words that are compared: NFKC, without case and punctuation; `1,000` is `1000`."""
    # In ASCII the normal form is the text itself, and most questions are ASCII.
    plain = text if text.isascii() else unicodedata.normalize("NFKC", text)
    return [word.replace(",", "") for word in _WORD.findall(plain.casefold())]


def _batches(train: Iterable[Record]) -> Iterator[tuple[list[Record], list[list[str]]]]:
    records: list[Record] = []
    words: list[list[str]] = []
    num_words = 0
    for record in train:
        records.append(record)
        words.append(_words(record.question))
        num_words += len(words[-1])
        if num_words >= _BATCH_WORDS:
            yield records, words
            records, words, num_words = [], [], 0
    yield records, words


class _WholeQuestions:
    """Test questions by all their words; `found`: id of the first training record that asks the same."""

    def __init__(self, records: Sequence[Record], questions: Mapping[str, list[list[str]]]) -> None:
        self.found: dict[int, str] = {}
        self._choices = [_choices(record) for record in records]
        self._places: dict[str, list[int]] = {}
        words = (words for benchmark in questions.values() for words in benchmark)
        for place, question in enumerate(words):
            if question:
                self._places.setdefault(" ".join(question), []).append(place)

    def seek(self, records: Sequence[Record], words: Sequence[list[str]]) -> None:
        for record, question in zip(records, words, strict=True):
            for place in self._places.get(" ".join(question), ()):
                mine, theirs = self._choices[place], _choices(record)
                # In any order; a question that was trained on without its choices is still the same.
                if place not in self.found and (not mine or not theirs or mine == theirs):
                    self.found[place] = record.id


def _choices(record: Record) -> frozenset[str]:
    return frozenset(" ".join(_words(choice)) for choice in record.choices or ())


@dataclass(frozen=True)
class _Index:
    """The runs of all test questions."""

    codes: dict[str, int]  # word -> 64 random bits
    runs_R: NDArray[np.uint64]  # hash of each run that is no template text, ascending
    # Where the places of each run begin in `places_P`; the end of the last is added.
    starts_R: NDArray[np.int64]
    places_P: NDArray[np.int64]  # test questions that hold a run
    sizes: tuple[int, ...]  # words in a run: 13, and those of shorter questions

    @classmethod
    def of(cls, questions: Sequence[list[str]]) -> _Index:
        codes = {}
        for word in sorted({word for words in questions for word in words}):
            hashed = hashlib.blake2b(word.encode("utf-8", "replace"), digest_size=8).digest()
            codes[word] = int.from_bytes(hashed, "little") | 1  # never 0: a word that no test question has
        by_size: dict[int, list[int]] = {}
        for place, words in enumerate(questions):
            if len(words) >= SHORTEST_RUN:
                by_size.setdefault(min(len(words), NGRAM_SIZE), []).append(place)
        hashes, places = [np.empty(0, np.uint64)], [np.empty(0, np.int64)]
        for size, members in by_size.items():
            for hashes_N, owners_N in _hash_runs([questions[place] for place in members], codes, (size,)):
                hashes.append(hashes_N)
                places.append(np.array(members, np.int64)[owners_N])
        runs_P, places_P = _distinct_pairs(np.concatenate(hashes), np.concatenate(places))
        runs_R, counts_R = np.unique(runs_P, return_counts=True)
        kept_R = counts_R <= LARGEST_SHARE
        kept_P = np.repeat(kept_R, counts_R)
        ends_R = np.cumsum(counts_R[kept_R])
        return cls(
            codes,
            runs_R[kept_R],
            np.concatenate([[0], ends_R]).astype(np.int64),
            places_P[kept_P],
            tuple(sorted(by_size)),
        )


@dataclass
class _Runs:
    """Training questions that share a run with a test question."""

    index: _Index  # the test questions' runs
    # Run -> hashes of the different training questions that hold it, at most one more than a run may have.
    questions: dict[int, set[int]] = field(default_factory=dict)
    ids: dict[int, str] = field(default_factory=dict)  # run -> id of the first of them

    def seek(self, records: Sequence[Record], words: Sequence[list[str]]) -> None:
        index = self.index
        for hashes_N, owners_N in _hash_runs(words, index.codes, index.sizes):
            runs_N = np.searchsorted(index.runs_R, hashes_N)
            runs_N[runs_N == len(index.runs_R)] = 0  # beyond the last: any place will do, as it is no hit
            hits_H = np.flatnonzero(index.runs_R[runs_N] == hashes_N) if len(index.runs_R) else ()
            for hit in hits_H:
                run, owner = int(runs_N[hit]), owners_N[hit]
                known = self.questions.setdefault(run, set())
                self.ids.setdefault(run, records[owner].id)
                if len(known) <= LARGEST_SHARE:  # one more shows template text; the rest would be memory
                    known.add(hash(" ".join(words[owner])))

    def found(self) -> dict[int, str]:
        """Test question -> id of a training record that shares a run which is no template text."""
        shared: dict[int, str] = {}
        for run, known in sorted(self.questions.items()):
            if len(known) <= LARGEST_SHARE:
                for place in self.index.places_P[self.index.starts_R[run] : self.index.starts_R[run + 1]]:
                    shared.setdefault(int(place), self.ids[run])
        return shared


def _hash_runs(
    questions: Sequence[list[str]], codes: Mapping[str, int], sizes: Sequence[int]
) -> Iterator[tuple[NDArray[np.uint64], NDArray[np.int64]]]:
    """Hash of every run of each size, ascending, and the position of the question that it stands in.

    A run's hash is a polynomial of its words' codes modulo 2^64; a run with a word that no test question has
    is left out. Among 10^7 runs of training and 10^6 of test the chance of one false match is below 10^-6.
    """
    lengths = np.array([len(words) for words in questions], np.int64)
    codes_N = np.fromiter((codes.get(word, 0) for words in questions for word in words), np.uint64)
    owners_N = np.repeat(np.arange(len(questions)), lengths)
    hashes_N, whole_N = np.zeros(len(codes_N), np.uint64), np.ones(len(codes_N), np.bool_)
    # One word longer at each turn: the hash so far times the factor, plus the word that is added.
    for size in range(1, min(max(sizes, default=0), len(codes_N)) + 1):
        last_N = codes_N[size - 1 :]
        hashes_N = hashes_N[: len(last_N)] * np.uint64(_FACTOR) + last_N
        whole_N = whole_N[: len(last_N)] & (last_N != 0) & (owners_N[: len(last_N)] == owners_N[size - 1 :])
        if size in sizes:
            yield hashes_N[whole_N], owners_N[: len(last_N)][whole_N]


def _distinct_pairs(
    runs_N: NDArray[np.uint64], places_N: NDArray[np.int64]
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """The pairs in ascending order, each once: a run that a question repeats is one."""
    order = np.lexsort((places_N, runs_N))
    runs_N, places_N = runs_N[order], places_N[order]
    is_new = np.ones(len(runs_N), np.bool_)
    is_new[1:] = (runs_N[1:] != runs_N[:-1]) | (places_N[1:] != places_N[:-1])
    return runs_N[is_new], places_N[is_new]

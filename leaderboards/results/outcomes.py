"""The samples of stored runs as arrays: for each row of the board and benchmark, seeds × questions.

Several outputs for one question count as their mean (mean@k); the single verdicts stay beside it for what is
more than a mean (`sampling`). Axes: S seeds, Q questions, k outputs.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from leaderboards.results.schema import BucketBy, Evaluation, RunResults, describe
from leaderboards.results.tables import EvaluationKey, checkpoint_codes
from tasks.errors import InputError
from tasks.records import Kind

_MEANS = ("accuracy", "accuracy_strict", "format_valid", "truncated", "output_tokens")
LENGTHS: dict[BucketBy, str] = {"reasoning": "thinking_chars", "answer": "gold_chars"}
"""Columns that outputs are put into buckets by."""
_NUMBERS = (*_MEANS, *LENGTHS.values(), "undecided", "key", "bits_gold", "bits_own", "reasoning")

Choices = tuple[str, ...] | None


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """All outputs where several were drawn for a question: verdicts, answers (None where there is none)."""

    kind: Kind
    correct_SQk: NDArray[np.bool_]
    extracted_SQk: NDArray[np.object_]
    choices_Q: tuple[Choices, ...]


class ByItself(NamedTuple):
    """The answer by itself, over all outputs of one row on one benchmark; None where nothing was measured.

    `bits_gold` and `bits_own` are mean answer bits after the reference's reasoning and after the output's
    own, the latter measured for a share `own` of the outputs. `reasoning` is the share whose reasoning makes
    the reference's calculations, `right_after` the share of these that are right.
    """

    bits_gold: float | None
    bits_own: float | None
    own: float
    reasoning: float | None
    right_after: float | None


class RuleAndJudge(NamedTuple):
    """How many outputs rule and judge hold right: both, only one of them, or neither."""

    both: int
    rule_only: int
    judge_only: int
    neither: int


@dataclass(frozen=True, slots=True, eq=False)
class Lengths:
    """Of each of N = S·Q·k outputs the characters of each of `LENGTHS` (NaN: unknown), and the verdict."""

    chars: dict[BucketBy, NDArray[np.float64]]
    right_N: NDArray[np.bool_]
    question_N: NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """One row of the board on one benchmark: arrays of shape (S, Q), questions in one order for all rows.

    `undecided` counts outputs that are wrong only because their comparison reached a limit. `contents` (Q,)
    are numbers of the questions' contents, below 0 where not known; None where no question stands twice.
    `judge` is accuracy by a judge, to whom an output whose verdict cannot be read is wrong; None where not
    all seeds were judged. `key` is accuracy after the reference's reasoning and `bits` are the
    answer's there, NaN for a question that could not be asked so, None where a seed has none; `own_bits` are
    those after the outputs' own reasoning, NaN for a question that an output does not reason about.
    """

    seeds: tuple[int | None, ...]
    question_ids: NDArray[np.object_]
    accuracy: NDArray[np.float64]
    accuracy_strict: NDArray[np.float64]
    format_valid: NDArray[np.float64]
    truncated: NDArray[np.float64]
    output_tokens: NDArray[np.float64]
    defects: Counter[str]
    num_samples: int = 1
    undecided: int = 0
    judge: NDArray[np.float64] | None = None
    key: NDArray[np.float64] | None = None
    bits: NDArray[np.float64] | None = None
    own_bits: NDArray[np.float64] | None = None
    by_itself: ByItself | None = None
    contents: NDArray[np.int64] | None = None
    draws: Draws | None = None
    judged: RuleAndJudge | None = None
    lengths: Lengths | None = None


@dataclass(frozen=True, slots=True, eq=False)
class RunSamples:
    """One run's N samples as columns, made once, and the rows of each (checkpoint, benchmark) among them.

    Question numbers are the same for the same id in all runs. `columns` holds those that are averaged, and
    lengths and `undecided`, which are NaN where not known; `frame` what is read only where it is needed.
    `rows` are ordered by question and then by sample index; `defects` are counted for each key that has any.
    """

    question_N: NDArray[np.intp]
    question_ids: NDArray[np.object_]
    frame: pd.DataFrame
    columns: dict[str, NDArray[np.float64]]
    rows: dict[EvaluationKey, NDArray[np.intp]]
    defects: dict[EvaluationKey, Counter[str]]


@dataclass(frozen=True, slots=True)
class SeedSamples:
    """The samples of one checkpoint on one benchmark, which are among those of its run."""

    key: EvaluationKey
    evaluation: Evaluation
    samples: RunSamples

    @property
    def positions(self) -> NDArray[np.intp]:
        """Rows of its samples."""
        return self.samples.rows[self.key]

    @property
    def described(self) -> str:
        """Whose they are, as an error names it."""
        return describe(*self.key[1:3])


def load_samples(runs: Sequence[RunResults]) -> list[RunSamples]:
    """The samples of each run as columns; questions are numbered as they first appear."""
    found = [pd.factorize(run.samples["sample_id"]) for run in runs]
    ids = pd.Index(np.concatenate([np.asarray(own, dtype=object) for _, own in found]), dtype=object).unique()
    return [
        _load(run.samples, ids.get_indexer(np.asarray(own, dtype=object))[code_N], ids.to_numpy(dtype=object))
        for run, (code_N, own) in zip(runs, found, strict=True)
    ]


def _load(frame: pd.DataFrame, question_N: NDArray[np.intp], question_ids: NDArray[np.object_]) -> RunSamples:
    key_N, keys = checkpoint_codes(frame)
    # One sort for all; the last key counts first, so that each key's rows lie together, by question.
    order_N = np.lexsort((frame["sample_index"].to_numpy(), question_N, key_N))
    ends = np.cumsum(np.bincount(key_N, minlength=len(keys)))
    return RunSamples(
        question_N=question_N,
        question_ids=question_ids,
        frame=frame,
        columns={name: frame[name].to_numpy(np.float64, na_value=np.nan) for name in _NUMBERS},
        rows=dict(zip(keys, np.split(order_N, ends[:-1]), strict=True)),
        defects=_count_defects(frame["defects"], key_N, keys),
    )


def _count_defects(
    column: pd.Series, key_N: NDArray[np.int64], keys: Sequence[EvaluationKey]
) -> dict[EvaluationKey, Counter[str]]:
    array = pa.array(column, type=pa.list_(pa.string()), from_pandas=True)
    lists = pa.chunked_array(array).combine_chunks()
    # In Arrow, since a million small Python lists would cost more than the rest of the board.
    owners = pc.list_parent_indices(lists).to_numpy()
    if not len(owners):
        return {}
    names = pc.dictionary_encode(pc.list_flatten(lists))
    defects = names.dictionary.to_pylist()
    number_N = key_N[owners] * len(defects) + names.indices.to_numpy(zero_copy_only=False)
    table = np.bincount(number_N, minlength=len(keys) * len(defects)).reshape(len(keys), -1)
    return {
        key: Counter({defects[i]: int(row[i]) for i in np.flatnonzero(row)})
        for key, row in zip(keys, table, strict=True)
    }


def stack(parts: Sequence[SeedSamples], *, with_contents: bool = False) -> Outcomes:
    """Stacks the seeds of one row on one benchmark, with the questions' contents where these are wanted.

    Raises:
        InputError: the seeds were not asked the same questions, or not equally often.
    """
    first = parts[0]
    benchmark, num_samples = first.evaluation.benchmark, first.evaluation.num_samples
    questions = [_questions(part) for part in parts]
    for part, ids in zip(parts[1:], questions[1:], strict=True):
        if part.evaluation.num_samples != num_samples:
            raise InputError(
                f"{benchmark}: {first.described} has {num_samples} outputs for each question, "
                f"{part.described} {part.evaluation.num_samples}; evaluate all seeds with the same number of "
                "samples"
            )
        check_same_questions(questions[0], ids, (first.described, part.described), benchmark)
    return Outcomes(
        seeds=tuple(part.key[2] for part in parts),
        question_ids=questions[0],
        num_samples=num_samples,
        undecided=int(np.nansum(_joined(parts, "undecided"))),
        contents=contents_of(first) if with_contents else None,
        judge=_by_judge(parts),
        key=_once(parts, "key"),
        bits=_once(parts, "bits_gold"),
        own_bits=_of_each(parts, "bits_own"),
        by_itself=_by_itself(parts),
        defects=sum((part.samples.defects.get(part.key, Counter()) for part in parts), Counter[str]()),
        draws=_draws(parts) if num_samples > 1 else None,
        judged=_judged(parts),
        lengths=_lengths(parts),
        **{name: np.stack([_drawn(part, name).mean(axis=1) for part in parts]) for name in _MEANS},
    )


def _questions(part: SeedSamples) -> NDArray[np.object_]:
    """The ids of the Q questions of a seed, each of which must have its k outputs."""
    num_samples = part.evaluation.num_samples
    number_N = part.samples.question_N[part.positions]
    if len(number_N) % num_samples or (np.diff(number_N.reshape(-1, num_samples), axis=1) != 0).any():
        raise InputError(
            f"{part.evaluation.benchmark}: {part.described}: not every question has {num_samples} outputs; "
            "run the evaluation again"
        )
    return part.samples.question_ids[number_N[::num_samples]]


def _once(parts: Sequence[SeedSamples], name: str) -> NDArray[np.float64] | None:
    """A column that is the same for each output of a question; None where no question was measured."""
    found_SQ = np.stack([_drawn(part, name)[:, 0] for part in parts])
    return None if np.isnan(found_SQ).all(axis=1).any() else found_SQ


def _of_each(parts: Sequence[SeedSamples], name: str) -> NDArray[np.float64] | None:
    """The mean of a column over the outputs of a question; None where no question was measured."""
    found_SQ = np.stack([_drawn(part, name).mean(axis=1) for part in parts])
    return None if np.isnan(found_SQ).all(axis=1).any() else found_SQ


def _by_itself(parts: Sequence[SeedSamples]) -> ByItself | None:
    gold_N, own_N, reasoned_N = (_joined(parts, name) for name in ("bits_gold", "bits_own", "reasoning"))
    if all(np.isnan(each_N).all() for each_N in (gold_N, own_N, reasoned_N)):
        return None
    right_N = _joined(parts, "accuracy")[reasoned_N == 1]
    found = (_mean(each_N[~np.isnan(each_N)]) for each_N in (gold_N, own_N, reasoned_N, right_N))
    bits_gold, bits_own, reasoning, right_after = found
    return ByItself(bits_gold, bits_own, float((~np.isnan(own_N)).mean()), reasoning, right_after)


def _mean(values_N: NDArray[np.float64]) -> float | None:
    return float(values_N.mean()) if len(values_N) else None


def _by_judge(parts: Sequence[SeedSamples]) -> NDArray[np.float64] | None:
    if not all(part.evaluation.judge for part in parts):
        return None
    right = [np.nan_to_num(_judge(part)).reshape(-1, part.evaluation.num_samples) for part in parts]
    return np.stack([own.mean(axis=1) for own in right])


def _judge(part: SeedSamples) -> NDArray[np.float64]:
    """The judge's verdicts on a seed's samples, NaN where one cannot be read."""
    column = part.samples.frame["judge"].iloc[part.positions].astype("boolean")
    return np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan), dtype=np.float64)


def contents_of(part: SeedSamples) -> NDArray[np.int64] | None:
    """Numbers of the contents of a seed's Q questions, below 0 where not known; None where none is."""
    column = part.samples.frame["content"].iloc[part.positions[:: part.evaluation.num_samples]]
    return None if column.isna().all() else column.to_numpy(np.int64, na_value=-1)


def _drawn(part: SeedSamples, name: str) -> NDArray[np.float64]:
    """One column of a seed's samples as (Q, k)."""
    return part.samples.columns[name][part.positions].reshape(-1, part.evaluation.num_samples)


def _draws(parts: Sequence[SeedSamples]) -> Draws:
    first = parts[0]
    size = first.evaluation.num_samples
    choices: Sequence[Sequence[str] | None] = [None] * (len(first.positions) // size)
    if first.evaluation.kind == "choice":
        choices = _arrow(first, "choices", first.positions[::size], pa.list_(pa.string())).to_pylist()
    answers = [
        np.array(_arrow(part, "extracted", part.positions, pa.string()).to_pylist(), dtype=object)
        for part in parts
    ]
    return Draws(
        kind=first.evaluation.kind,
        correct_SQk=np.stack([_drawn(part, "accuracy") > 0 for part in parts]),
        extracted_SQk=np.stack([answer.reshape(-1, size) for answer in answers]),
        choices_Q=tuple(tuple(texts) if texts else None for texts in choices),
    )


def _arrow(part: SeedSamples, name: str, positions: NDArray[np.intp], kind: pa.DataType) -> pa.Array:
    return pa.array(part.samples.frame[name].iloc[positions], type=kind, from_pandas=True)


def _judged(parts: Sequence[SeedSamples]) -> RuleAndJudge | None:
    """What rule and judge say of the outputs that were judged; None where none were."""
    pairs = []
    for part in parts:
        if part.evaluation.judge:
            verdict = _judge(part)
            # 0 to 3 for neither, judge alone, rule alone, both; NaN where the judge's verdict is unreadable.
            pairs.append((2 * part.samples.columns["accuracy"][part.positions] + verdict)[~np.isnan(verdict)])
    if not pairs:
        return None
    counts = np.bincount(np.concatenate(pairs).astype(np.intp), minlength=4)
    return RuleAndJudge(*reversed(counts.tolist()))


def _lengths(parts: Sequence[SeedSamples]) -> Lengths | None:
    """None where no length was stored."""
    chars = {by: _joined(parts, name) for by, name in LENGTHS.items()}
    if all(np.isnan(length_N).all() for length_N in chars.values()):
        return None
    return Lengths(
        chars=chars,
        right_N=_joined(parts, "accuracy") > 0,
        question_N=np.concatenate([part.samples.question_N[part.positions] for part in parts]),
    )


def _joined(parts: Sequence[SeedSamples], name: str) -> NDArray[np.float64]:
    return np.concatenate([part.samples.columns[name][part.positions] for part in parts])


def check_same_questions(
    left: NDArray[np.object_], right: NDArray[np.object_], names: tuple[str, str], benchmark: str
) -> None:
    """Raises InputError unless both entries answered exactly the same questions, in the same order."""
    if left is right or (len(left) == len(right) and bool((left == right).all())):
        return
    only_left, only_right = sorted(set(left) - set(right)), sorted(set(right) - set(left))
    example, owner = (only_left[0], names[0]) if only_left else (only_right[0], names[1])
    raise InputError(
        f"{benchmark}: {names[0]} and {names[1]} were not asked the same questions "
        f"(sample {example} only by {owner}); evaluate both with the same data and --limit"
    )

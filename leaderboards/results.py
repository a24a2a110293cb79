"""The schema of a stored run, its writer and its reader.

A run directory holds `results.json` (schema version, provenance, one entry per checkpoint) and
`samples.parquet` (one row per scored sample). The JSON names the SHA-256 of the Parquet, so that a run
killed between the two writes, or a file cut short by a copy, is refused rather than half believed.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tasks.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

SCHEMA_VERSION = 1
RESULTS_FILE = "results.json"
SAMPLES_FILE = "samples.parquet"

Role = Literal["base", "trained", "external"]
GenerationValue = str | int | float | bool | None | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TrainingCost:
    """The full compute charged to a variant, also where a stage was shared with another variant."""

    steps: int
    tokens_forward: int
    tokens_loss: int
    flops: float
    wall_seconds: float
    stages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One checkpoint on one benchmark: how many samples, on what data, generated how, at what cost."""

    benchmark: str
    n: int
    data_digest: str
    engine: str
    dtype: str
    prompt_tokens: int
    output_tokens: int
    wall_seconds: float
    generation: dict[str, GenerationValue]


@dataclass(frozen=True, slots=True)
class Entry:
    """One checkpoint: a variant at one seed, the untrained base, or an external checkpoint."""

    name: str
    model: str
    role: Role
    seed: int | None
    tags: str
    tagged: bool
    method: str | None
    checkpoint: str
    digest: str
    training: TrainingCost | None
    evaluations: tuple[Evaluation, ...]


@dataclass(frozen=True, slots=True)
class SampleRow:
    """One scored sample; the fields are the columns of `samples.parquet`, in this order."""

    entry: str
    model: str
    seed: int | None
    benchmark: str
    sample_id: str
    prompt: str
    output: str
    gold: str
    extracted: str | None
    accuracy: bool
    accuracy_strict: bool
    format_valid: bool
    score: float
    truncated: bool
    defects: tuple[str, ...]
    finish_reason: str
    prompt_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True, eq=False)
class RunResults:
    """A stored run as read back; `source` is the directory it came from."""

    provenance: Mapping[str, str]
    entries: tuple[Entry, ...]
    samples: pd.DataFrame
    source: str = "this run"


@dataclass(frozen=True, slots=True)
class _RunFile:
    schema_version: int
    provenance: dict[str, str]
    samples_sha256: str
    entries: tuple[Entry, ...]


def describe(name: str, seed: int | None) -> str:
    """How an error names one checkpoint: `sft (seed 0)`, or `base`."""
    return name if seed is None else f"{name} (seed {seed})"


def write_results(
    run_dir: Path,
    provenance: Mapping[str, str],
    entries: Sequence[Entry],
    samples: Iterable[SampleRow] | pd.DataFrame,
) -> None:
    """Stores a run atomically: each file is written beside its place and then moved into it.

    Raises:
        InputError: entries and samples do not belong together (an unknown entry, a sample twice, or
            another number of samples than an evaluation's `n`).
    """
    from leaderboards.sample_table import to_frame, write_samples

    frame = to_frame(samples)
    _check_coherent(tuple(entries), frame, str(run_dir))
    run_dir.mkdir(parents=True, exist_ok=True)
    digest = write_samples(frame, run_dir / SAMPLES_FILE)
    run_file = _RunFile(SCHEMA_VERSION, dict(provenance), digest, tuple(entries))
    text = json.dumps(dataclasses.asdict(run_file), indent=1, ensure_ascii=False, allow_nan=False)
    part = run_dir / f"{RESULTS_FILE}.part"
    part.write_text(text + "\n", encoding="utf-8")
    part.replace(run_dir / RESULTS_FILE)


def read_results(run_dir: Path) -> RunResults:
    """Reads a stored run and checks that its two files belong together.

    Raises:
        InputError: one line naming the file that is missing, damaged, or of another schema version.
    """
    from leaderboards.sample_table import read_samples

    run_file = _read_run_file(run_dir / RESULTS_FILE)
    samples = read_samples(run_dir / SAMPLES_FILE, run_file.samples_sha256)
    _check_coherent(run_file.entries, samples, str(run_dir))
    return RunResults(run_file.provenance, run_file.entries, samples, str(run_dir))


def _read_run_file(path: Path) -> _RunFile:
    from pydantic import TypeAdapter, ValidationError

    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; is this the directory of a finished run?") from None
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: damaged ({str(error).splitlines()[0]}); run the evaluation again"
        ) from None
    version = raw.get("schema_version") if isinstance(raw, dict) else None
    if version != SCHEMA_VERSION:
        raise InputError(
            f"{path}: schema version {version!r}, but this harness reads {SCHEMA_VERSION}; "
            "run the evaluation again with this version"
        )
    try:
        return TypeAdapter(_RunFile).validate_python(raw)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{path}: {where}: {first['msg']}; run the evaluation again") from None


def _expected_counts(entries: Sequence[Entry]) -> Iterator[tuple[tuple[str, str, int | None, str], int]]:
    for entry in entries:
        for evaluation in entry.evaluations:
            yield (entry.model, entry.name, entry.seed, evaluation.benchmark), evaluation.n


def _check_coherent(entries: Sequence[Entry], samples: pd.DataFrame, where: str) -> None:
    """Every evaluation has exactly its `n` samples, and no sample is without an evaluation."""
    from leaderboards.sample_table import count_samples, first_duplicate

    expected: dict[tuple[str, str, int | None, str], int] = {}
    for key, n in _expected_counts(entries):
        if key in expected:
            raise InputError(f"{where}: {describe(key[1], key[2])} is listed twice for {key[3]}")
        expected[key] = n
    duplicate = first_duplicate(samples)
    if duplicate is not None:
        raise InputError(f"{where}: {duplicate} is stored twice")
    counts = count_samples(samples)
    for key in [*expected, *(key for key in counts if key not in expected)]:
        if expected.get(key, 0) != counts.get(key, 0):
            raise InputError(
                f"{where}: {describe(key[1], key[2])} on {key[3]}: {RESULTS_FILE} says "
                f"{expected.get(key, 0)} samples, {SAMPLES_FILE} holds {counts.get(key, 0)}"
            )

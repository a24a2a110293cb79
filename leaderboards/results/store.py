"""A stored run's writer and reader; its schema is in `schema`.

A run directory holds `results.json` (schema version, provenance, entries), `samples.parquet` and, where
something was trained, `training.parquet` (one row per logged step). The JSON names the SHA-256 of each, so
that a run killed between the writes, or a file cut short by a copy, is refused rather than half believed.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from leaderboards.results import schema
from leaderboards.results.schema import Entry, RunResults, Sample
from tasks.errors import InputError
from tasks.files import write_whole

if TYPE_CHECKING:
    import pandas as pd

_VERSIONS = f"{', '.join(map(str, schema.READABLE_VERSIONS[:-1]))} and {schema.READABLE_VERSIONS[-1]}"


@dataclass(frozen=True, slots=True)
class _RunFile:
    schema_version: int
    provenance: dict[str, str]
    samples_sha256: str
    entries: tuple[Entry, ...]
    training_sha256: str | None = None


def write_results(
    run_dir: Path,
    provenance: Mapping[str, str],
    entries: Sequence[Entry],
    samples: Iterable[Sample] | pd.DataFrame,
    curves: Iterable[Mapping[str, object]] | pd.DataFrame = (),
) -> None:
    """Stores a run atomically: each file is written beside its place and then moved into it.

    Args:
        run_dir: its folder, made where it is missing.
        provenance: what made it.
        entries: one a checkpoint.
        samples: every judged output.
        curves: one row for each logged step, with the columns of `tables.CURVES`.

    Raises:
        InputError: entries, samples and curves do not belong together (an unknown entry, a sample or a
            point of a curve twice, or another number of samples than an evaluation's `n`).
    """
    from leaderboards.results.tables import CURVES, SAMPLES, check_curves, check_samples

    sample_frame, curve_frame = SAMPLES.to_frame(samples), CURVES.to_frame(curves)
    check_samples(entries, sample_frame, str(run_dir))
    check_curves(entries, curve_frame, str(run_dir))
    run_dir.mkdir(parents=True, exist_ok=True)
    digest = SAMPLES.write(sample_frame, run_dir / schema.SAMPLES_FILE)
    training = CURVES.write(curve_frame, run_dir / schema.TRAINING_FILE) if len(curve_frame) else None
    run_file = _RunFile(schema.SCHEMA_VERSION, dict(provenance), digest, tuple(entries), training)
    text = json.dumps(dataclasses.asdict(run_file), indent=1, ensure_ascii=False, allow_nan=False)
    write_whole(run_dir / schema.RESULTS_FILE, text + "\n")
    if training is None:
        (run_dir / schema.TRAINING_FILE).unlink(missing_ok=True)


def read_results(run_dir: Path, *, checked: bool = True) -> RunResults:
    """Reads a stored run and checks that its files belong together.

    Args:
        run_dir: its folder.
        checked: whether what the files hold is compared; their digests always are.

    Raises:
        InputError: one line naming the file that is missing, damaged, or of another schema version.
    """
    return _read(run_dir, with_texts=True, checked=checked)


def read_outcomes(run_dir: Path) -> RunResults:
    """As `read_results`, but of the samples only the columns that a board is built from.

    That is a tenth of the memory: prompts and outputs are nearly all of a run.
    """
    return _read(run_dir, with_texts=False, checked=True)


def _read(run_dir: Path, *, with_texts: bool, checked: bool) -> RunResults:
    from leaderboards.results.tables import CURVES, SAMPLES, check_curves, check_samples, outcome_columns

    run_file = _read_run_file(run_dir / schema.RESULTS_FILE)
    columns = None if with_texts else outcome_columns(run_file.entries)
    samples = SAMPLES.read(run_dir / schema.SAMPLES_FILE, run_file.samples_sha256, columns)
    digest = run_file.training_sha256
    curves = CURVES.read(run_dir / schema.TRAINING_FILE, digest) if digest else CURVES.to_frame(())
    if checked:
        check_samples(run_file.entries, samples, str(run_dir))
        check_curves(run_file.entries, curves, str(run_dir))
    return RunResults(run_file.provenance, run_file.entries, samples, str(run_dir), curves)


def _read_run_file(path: Path) -> _RunFile:
    from pydantic import TypeAdapter, ValidationError

    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; is this the directory of a finished run?") from None
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path}: damaged ({reason}); run the evaluation again") from None
    version = raw.get("schema_version") if isinstance(raw, dict) else None
    if version not in schema.READABLE_VERSIONS:
        raise InputError(
            f"{path}: schema version {version!r}, but this harness reads {_VERSIONS}; "
            "run the evaluation again with this version"
        )
    try:
        return TypeAdapter(_RunFile).validate_python(raw)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{path}: {where}: {first['msg']}; run the evaluation again") from None

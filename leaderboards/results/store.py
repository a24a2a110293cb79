"""A stored run's writer and reader; its schema is in `schema`.

A run directory holds `results.json` (schema version, provenance, entries), `samples.parquet` and, where
something was trained, `training.parquet` (one row per logged step). The JSON names the SHA-256 of each and
of itself, so that a run killed between the writes, or a damaged file, is refused rather than half believed.
It also holds the configuration: `config.yaml` beside it is for people, and to run the same again.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from leaderboards.results import schema
from leaderboards.results.schema import Declared, Entry, RunResults, Sample
from tasks.errors import InputError
from tasks.files import whole_file
from tasks.leases import LOCK, is_held
from tasks.names import AVERAGE, BASE, check_label, check_name
from tasks.reading import parse_json, read_json
from tasks.seals import content_digest

if TYPE_CHECKING:
    import pandas as pd

_VERSIONS = f"{', '.join(map(str, schema.READABLE_VERSIONS[:-1]))} and {schema.READABLE_VERSIONS[-1]}"


_TRIES, _SECONDS_BETWEEN = 10, 0.3


@dataclass(frozen=True, slots=True)
class _RunFile:
    schema_version: int
    provenance: dict[str, str]
    samples_sha256: str
    entries: tuple[Entry, ...]
    training_sha256: str | None = None
    config: str | None = None
    declared: tuple[Declared, ...] = ()


def write_results(
    run_dir: Path,
    provenance: Mapping[str, str],
    entries: Sequence[Entry],
    samples: Iterable[Sample] | pd.DataFrame,
    curves: Iterable[Mapping[str, object]] | pd.DataFrame = (),
    config: str | None = None,
    declared: Sequence[Declared] = (),
) -> None:
    """Stores a run: all files are written beside their places, and then moved into them together.

    Args:
        run_dir: its folder, made where it is missing.
        provenance: what made it.
        entries: one a checkpoint.
        samples: every judged output.
        curves: one row for each logged step, with the columns of `tables.CURVES`.
        config: the resolved configuration, as YAML.
        declared: the claims on record.

    Raises:
        InputError: entries, samples and curves do not belong together (an unknown entry, a sample or a
            point of a curve twice, or another number of samples than an evaluation's `n`).
    """
    from leaderboards.results.tables import CURVES, SAMPLES, check_curves, check_samples

    check_names(entries, str(run_dir))
    sample_frame, curve_frame = SAMPLES.to_frame(samples), CURVES.to_frame(curves)
    check_samples(entries, sample_frame, str(run_dir))
    check_curves(entries, curve_frame, str(run_dir))
    run_dir.mkdir(parents=True, exist_ok=True)
    with ExitStack() as parts:  # the first is moved last: it names the others
        results, samples_file = (
            parts.enter_context(whole_file(run_dir / name))
            for name in (schema.RESULTS_FILE, schema.SAMPLES_FILE)
        )
        digest, training = SAMPLES.write(sample_frame, samples_file), None
        if len(curve_frame):
            training = CURVES.write(
                curve_frame, parts.enter_context(whole_file(run_dir / schema.TRAINING_FILE))
            )
        made = (dict(provenance), digest, tuple(entries), training, config, tuple(declared))
        run_file = _RunFile(schema.SCHEMA_VERSION, *made)
        # As it will be read back: tuples are lists.
        content = parse_json(json.dumps(dataclasses.asdict(run_file), allow_nan=False), str(run_dir))
        content["sha256"] = content_digest(content)
        results.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
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
    for _ in range(_TRIES):
        with suppress(InputError):
            return _read_once(run_dir, with_texts=with_texts, checked=checked)
        if not is_held(run_dir / LOCK):
            break
        time.sleep(_SECONDS_BETWEEN)  # another process may be about to replace the files
    return _read_once(run_dir, with_texts=with_texts, checked=checked)


def _read_once(run_dir: Path, *, with_texts: bool, checked: bool) -> RunResults:
    from leaderboards.results.tables import CURVES, SAMPLES, check_curves, check_samples, outcome_columns

    run_file = _read_run_file(run_dir / schema.RESULTS_FILE)
    columns = None if with_texts else outcome_columns(run_file.entries)
    samples = SAMPLES.read(run_dir / schema.SAMPLES_FILE, run_file.samples_sha256, columns)
    digest = run_file.training_sha256
    curves = CURVES.read(run_dir / schema.TRAINING_FILE, digest) if digest else CURVES.to_frame(())
    if checked:
        check_samples(run_file.entries, samples, str(run_dir))
        check_curves(run_file.entries, curves, str(run_dir))
        for stage in set(curves["stage_name"]) if len(curves) else ():
            check_name(stage, str(run_dir / schema.TRAINING_FILE), what="stage")
    found = (run_dir / schema.BUDGETS).glob(f"0.[0-9]*/{schema.RESULTS_FILE}")
    smaller = {path.parent.name: _read(path.parent, with_texts=False, checked=checked) for path in found}
    more = (curves, run_file.config, run_file.declared, smaller)
    return RunResults(run_file.provenance, run_file.entries, samples, str(run_dir), *more)


def check_names(entries: Iterable[Entry], where: str) -> None:
    """What a run's entries, benchmarks, formats and stages are called: a stored run may come from anybody.

    Raises:
        InputError: one of them is no name, or one that means something else; begins with `where`.
    """
    for entry in entries:
        name = check_name(entry.name, where, (BASE,) if entry.role == "trained" else (), "an entry's name")
        check_label(entry.model, where, f"{name}: model")
        check_name(entry.tags, where, what=f"{name}: tags")
        if entry.method is not None:
            check_name(entry.method, where, what=f"{name}: method")
        for evaluation in entry.evaluations:
            check_name(evaluation.benchmark, where, (AVERAGE,), f"{name}: benchmark")
        for stage in entry.training.stages if entry.training else ():
            check_name(stage, where, what=f"{name}: stage")


def _read_run_file(path: Path) -> _RunFile:
    from pydantic import TypeAdapter, ValidationError

    if not path.exists():
        raise InputError(f"{path}: no such file; is this the directory of a finished run?")
    raw = read_json(path, "damaged ({error}); run the evaluation again")
    version, digest = raw.get("schema_version"), raw.pop("sha256", None)
    if version not in schema.READABLE_VERSIONS:
        raise InputError(
            f"{path}: schema version {version!r}, but this harness reads {_VERSIONS}; "
            "run the evaluation again with this version"
        )
    if version == schema.SCHEMA_VERSION and digest not in (None, content_digest(raw)):
        raise InputError(f"{path}: damaged (its content is not what was written); run the evaluation again")
    try:
        found = TypeAdapter(_RunFile).validate_python(raw)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{path}: {where}: {first['msg']}; run the evaluation again") from None
    check_names(found.entries, str(path))
    return found

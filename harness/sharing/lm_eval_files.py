"""A stored run in lm-eval's own files, so that whatever reads those reads ours.

`RUN/lm-eval/<entry>[-seed<N>]/results_<time>.json` and `samples_<task>_<time>.jsonl`, as `lm_eval
--output_path RUN/lm-eval --log_samples` (0.4.13) would have written them for a model of that name. They are
made from the stored run alone: a rerun that calls neither engine nor lm-eval, and a run that was scored anew,
have them too. What they say of the questions is read from where the run read them.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.sharing import lm_eval_schema as schema
from leaderboards.results.schema import Entry, Evaluation, RunResults
from tasks.benchmarks import Benchmark, load_benchmark
from tasks.errors import InputError
from tasks.records import Record
from tasks.tags import get_tag_format

if TYPE_CHECKING:
    import pandas as pd

    from harness.config import Config

FOLDER = "lm-eval"
SOURCE = ".source"
"""Beside the files: of what they were made."""
VERSION = 1
"""Raised whenever the same run would give other files."""
_HASHED = [
    *("sample_id", "sample_index", "prompt", "output", "gold"),
    *("accuracy", "accuracy_strict", "format_valid", "score", "truncated"),
]


def write_lm_eval_files(run_dir: Path, results: RunResults, config: Config) -> list[Path]:
    """Writes the files of every entry of a run, in place of older ones; what is up to date is left as it is.

    Args:
        run_dir: The run's folder.
        results: The run, as `leaderboards.read_results` gives it.
        config: The run's configuration: where its data are, and what was asked.

    Returns:
        The results files, one for each entry.

    Raises:
        InputError: They cannot be written, or a benchmark of the run is not known any more.
    """
    by_entry = results.samples.groupby(["model", "entry", "seed", "benchmark"], dropna=False, sort=False)
    frames = {(m, e, schema.seed_of(s), b): frame for (m, e, s, b), frame in by_entry}
    questions: dict[str, _Questions] = {}
    written = []
    for entry, name in zip(results.entries, _names(results.entries), strict=True):
        own = [frames[entry.model, entry.name, entry.seed, one.benchmark] for one in entry.evaluations]
        folder = run_dir / FOLDER / sanitized(name)
        fingerprint = _fingerprint(entry, own, config)
        if _written(folder, len(own)) != fingerprint:
            for one in entry.evaluations:
                if one.benchmark not in questions:
                    questions[one.benchmark] = _Questions(load_benchmark(one.benchmark), config)
            _write_entry(folder, name, entry, own, questions, results.provenance)
            (folder / SOURCE).write_text(fingerprint, encoding="utf-8")
        written += sorted(folder.glob("results_*.json"))
    return written


def _write_entry(
    folder: Path,
    name: str,
    entry: Entry,
    frames: Sequence[pd.DataFrame],
    questions: Mapping[str, _Questions],
    provenance: Mapping[str, str],
) -> None:
    time = _time(provenance)
    asked = [questions[evaluation.benchmark] for evaluation in entry.evaluations]
    samples = {
        one.benchmark.task: one.samples(entry, evaluation, frame)
        for one, evaluation, frame in zip(asked, entry.evaluations, frames, strict=True)
    }
    tasks = [
        (one.benchmark, evaluation, one.settings(entry), one.num_questions(evaluation))
        for one, evaluation in zip(asked, entry.evaluations, strict=True)
    ]
    prompts = [str(frame["prompt"].iloc[0]) for frame in frames]
    report = {
        **schema.results(tasks, samples),
        **schema.about_the_run(entry, provenance, time, asked[0].limit),
        **schema.about_the_template(entry.checkpoint, prompts),
        "model_name": name,
        "model_name_sanitized": sanitized(name),
    }
    _write(folder, time, report, samples)


def _fingerprint(entry: Entry, frames: Sequence[pd.DataFrame], config: Config) -> str:
    """Digest of all that an entry's files are made of; of the questions the entry itself has one."""
    from pandas.util import hash_pandas_object

    digest = hashlib.sha256(repr((VERSION, entry, config.data_dir, config.alpha, config.eval)).encode())
    for frame in frames:
        digest.update(hash_pandas_object(frame[_HASHED], index=False).to_numpy().tobytes())
    return digest.hexdigest()


def _written(folder: Path, num_tasks: int) -> str | None:
    """The fingerprint of the files in a folder; None where they are not all there."""
    files = len(list(folder.glob("results_*.json"))), len(list(folder.glob("samples_*.jsonl")))
    try:
        return (folder / SOURCE).read_text(encoding="utf-8") if files == (1, num_tasks) else None
    except OSError:
        return None


def sanitized(name: str) -> str:
    """A model's name as lm-eval names its folder."""
    return re.sub(r"[\"<>:/|\\?*\[\]]+", "__", name)


def _names(entries: Sequence[Entry]) -> list[str]:
    """The entry and its seed; the base model before them where the run has several."""
    several = len({entry.model for entry in entries}) > 1
    return [
        (f"{entry.model}/" if several else "")
        + (entry.name if entry.seed is None else f"{entry.name}-seed{entry.seed}")
        for entry in entries
    ]


def _time(provenance: Mapping[str, str]) -> datetime:
    try:
        return datetime.fromisoformat(provenance["created"]).astimezone(UTC)
    except (KeyError, ValueError):
        return datetime.now(UTC)


class _Questions:
    """The questions of a benchmark as lm-eval's documents, in their order."""

    def __init__(self, benchmark: Benchmark, config: Config) -> None:
        self.benchmark = benchmark
        self.limit = config.limit
        self._config = config
        self._records = _records(benchmark, config)
        self._places = {record.id: place for place, record in enumerate(self._records)}
        self._documents: dict[tuple[str, str], tuple[dict[str, Any], str]] = {}

    def num_questions(self, evaluation: Evaluation) -> int:
        """In the whole split, asked or not."""
        return len(self._records) or evaluation.n

    def settings(self, entry: Entry) -> dict[str, Any]:
        """What lm-eval calls the task's metadata."""
        config = self._config
        return {
            "tags": _tags(entry, config),
            "data_dir": str(config.data_dir) if config.data_dir else None,
            "alpha": float(config.alpha),
            "split": config.eval.split,
            "instruct": config.eval.instruct,
        }

    def samples(self, entry: Entry, evaluation: Evaluation, frame: pd.DataFrame) -> list[dict[str, Any]]:
        """The samples of one evaluation, in the order of the questions."""
        import pandas as pd

        drawn: dict[str, list[Any]] = {}
        defects = pd.Series([tuple(found) for found in frame["defects"]], index=frame.index, dtype=object)
        listed = frame.assign(defects=defects)
        ordered: Iterable[Any] = listed.sort_values("sample_index", kind="stable").itertuples(index=False)
        for row in ordered:
            drawn.setdefault(row.sample_id, []).append(row)
        known = all(sample_id in self._places for sample_id in drawn)
        numbered = [
            (self._places[sample_id] if known else place, rows)
            for place, (sample_id, rows) in enumerate(drawn.items())
        ]
        kwargs = schema.generation_kwargs(evaluation)
        settings = self.settings(entry)
        return [
            schema.sample(place, *self._document(rows[0], evaluation, settings), rows, kwargs)
            for place, rows in sorted(numbered, key=lambda pair: pair[0])
        ]

    def _document(
        self, row: Any, evaluation: Evaluation, settings: Mapping[str, Any]
    ) -> tuple[dict[str, Any], str]:
        """lm-eval's document of a question and its hash, made once for all entries of a tag format."""
        key = (settings["tags"], row.sample_id)
        if key not in self._documents:
            place = self._places.get(row.sample_id)
            record = self._records[place] if place is not None else _as_stored(row, evaluation)
            self._documents[key] = schema.document(record, settings)
        return self._documents[key]


def _records(benchmark: Benchmark, config: Config) -> list[Record]:
    """The split that was asked; empty where it cannot be read any more: what was stored must do then."""
    try:
        return list(benchmark.iter_records(config.eval.split, config.data_dir))
    except InputError:
        return []


def _as_stored(row: Any, evaluation: Evaluation) -> Record:
    choices = tuple(row.choices) if row.choices is not None else None
    kind: Any = evaluation.kind
    return Record(row.sample_id, row.prompt, choices, None, row.gold, kind)


def _tags(entry: Entry, config: Config) -> str:
    """The name of the entry's tag format, or the file that it was read from."""
    try:
        return config.tags if get_tag_format(config.tags).name == entry.tags else entry.tags
    except InputError:
        return entry.tags


def _write(
    folder: Path, time: datetime, report: Mapping[str, Any], samples: Mapping[str, list[dict[str, Any]]]
) -> None:
    """Writes beside what is there, and then puts it in its place: a reader never sees half of it."""
    stamp = time.replace(tzinfo=None).isoformat(timespec="microseconds").replace(":", "-")
    texts: dict[str, Iterable[str]] = {
        f"samples_{task}_{stamp}.jsonl": map(_line, rows) for task, rows in samples.items()
    }
    texts[f"results_{stamp}.json"] = [json.dumps(report, indent=2, ensure_ascii=False)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / SOURCE).unlink(missing_ok=True)
        for name, lines in texts.items():
            with (folder / f".{name}.part").open("w", encoding="utf-8", errors="replace") as file:
                file.writelines(lines)
        for name in texts:
            (folder / f".{name}.part").replace(folder / name)
        for path in (*folder.glob("results_*.json"), *folder.glob("samples_*.jsonl")):
            if path.name not in texts:
                path.unlink()
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror}); use another --out") from error


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"

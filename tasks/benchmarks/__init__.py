r"""Benchmarks: each is one lm-eval YAML under this folder, read here without lm-eval.

A YAML includes ``_tagged.yaml`` (prompt, metrics, greedy decoding) and adds what is its own::

    include: ../_tagged.yaml
    task: sftkey_gsm8k
    dataset_kwargs:
      about: Grade-school maths word problems of 2 to 8 steps.
      source: https://huggingface.co/datasets/openai/gsm8k (arXiv 2110.14168), MIT
      kind: number                  # how answers are compared: number, choice, latex, text
      match: exact                  # or contains: a text's words may stand in a sentence (kind contains)
      folder: gsm8k                 # its folder in a data directory
      splits: {train: train, test: test}
      hub: {path: openai/gsm8k, name: main}
      fields: {question: question, …}          # see `tasks.sources`
    generation_kwargs: {…}          # only where it differs, and then all of it: lm-eval merges no deeper

Instead of `hub` and `fields` a benchmark made on the spot has ``generator: tasks.world.generate:load`` and
``options: {kind: number, gap: 1}``: the function is called as ``load(split, **options)`` with the
source's name of the split and returns records (any iterable, lazily if it likes). A data set with a single
split says ``holdout: 50`` and maps train and test to it: one question in 50 is then the test set.

The tag format, the data directory, α and the instruction are run settings and stand under `metadata`, where
``lm_eval --metadata '{"tags": "none", "data_dir": "…"}'`` overrides them.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from tasks.checks import Count, checked
from tasks.errors import InputError, check_keys, did_you_mean
from tasks.names import AVERAGE, check_name
from tasks.reading import MOST_YAML_BYTES, parse_yaml, read_text
from tasks.records import KINDS, Kind, Record, iter_objects, json_type
from tasks.sources import (
    DataSource,
    HubSource,
    Split,
    is_lent,
    iter_split,
    lends_validation,
    parse_columns,
    parse_fields,
)
from tasks.tables import ENDINGS, split_file

TASK_PREFIX = "sftkey_"
TASKS_DIR = Path(__file__).parent
SHARED = TASKS_DIR / "_tagged.yaml"

SOURCE_KEYS = ("folder", "splits", "hub", "fields", "generator", "options", "holdout", "columns")
"""What of `dataset_kwargs` says where the records come from."""
_OWN_KEYS = ("about", "source", "kind", "match", *SOURCE_KEYS)
_MATCHES = ("exact", "contains")
_HUB_KEYS = ("path", "name", "revision", "splits", "skip_blank")
_SPLITS = ("train", "validation", "test")
_UNREADABLE = "cannot be read as YAML: {error}"


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A benchmark as its YAML describes it.

    Attributes:
        name: how users name it, such as ``gsm8k``.
        task: its name in lm-eval, such as ``sftkey_gsm8k``.
        description: one line.
        source: link or citation, and licence, in one line.
        kind: how its answers are compared.
        data: where its records come from.
        max_new_tokens: the token budget of a response.
        stop: strings that end a response.
        path: the YAML file.
    """

    name: str
    task: str
    description: str
    source: str
    kind: Kind
    data: DataSource
    max_new_tokens: int
    stop: tuple[str, ...]
    path: Path

    def records(self, split: Split, data_dir: Path | None = None) -> list[Record]:
        """Load a split: from the data directory where it has it, else from the Hub or the generator.

        Args:
            split: ``train``, ``validation`` or ``test``.
            data_dir: a directory with one folder a data set and one JSONL file a split.

        Raises:
            InputError: there is no such split, or it cannot be loaded; says what was tried.
        """
        records = list(self.iter_records(split, data_dir))
        if not records:
            raise InputError(f"benchmark '{self.name}': its {split} split is empty; check its source")
        return records

    def iter_records(self, split: Split, data_dir: Path | None = None) -> Iterator[Record]:
        """Load a split one record at a time; arguments and errors as for `records`."""
        return iter_split(self.data, split, self.kind, data_dir)

    @property
    def train_split(self) -> str | None:
        """The source's name of the training split, where there is one."""
        return self.data.splits.get("train")

    @property
    def has_validation(self) -> bool:
        """Whether there are validation records, of its own or lent from training."""
        return "validation" in self.data.splits or "train" in self.data.splits

    def wording_digest(self) -> str:
        """Of what says how its records become prompts: the YAML with what it includes, and the functions."""
        task = {key: value for key, value in read_task_yaml(self.path).items() if key != "dataset_kwargs"}
        digest = hashlib.sha256(json.dumps(task, sort_keys=True, default=str).encode())
        for path in (TASKS_DIR.parent / "lm_eval_task.py", *sorted(self.path.parent.glob("*.py"))):
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        return digest.hexdigest()

    def is_lent(self, record: Record) -> bool:
        """Whether a training record also stands in the validation split."""
        return lends_validation(self.data) and is_lent(record)


def benchmark_names(extra: Path | None = None) -> list[str]:
    """The sorted names of all benchmarks, and of those in a further folder."""
    return sorted(_index(extra))


def all_benchmarks() -> list[Benchmark]:
    """All benchmarks, sorted by name."""
    return [_parse(*found) for _, found in sorted(_index(None).items())]


def load_benchmark(
    name: str,
    extra: Path | None = None,
    data_dir: Path | None = None,
    fields: str | None = None,
    kind: str | None = None,
) -> Benchmark:
    """Find a benchmark by name.

    Args:
        name: its name, with or without the prefix ``sftkey_``.
        extra: a further folder to search for YAML files; it wins over the built-in ones.
        data_dir: the data directory, in which a folder may be a benchmark that no YAML describes.
        fields: how columns are named there, see `tasks.sources.parse_columns`.
        kind: of the answers there; where None, as the first row says by its `kind`, by choices or by an
            answer that is a number.

    Raises:
        InputError: there is no such benchmark (suggests the nearest), or its YAML is faulty.
    """
    if fields and not data_dir:
        raise InputError(f"--fields {fields}: names columns of --data-dir; give that too")
    index = _index(extra)
    found = index.get(name.removeprefix(TASK_PREFIX))
    if found is None and data_dir and (spec := _own_spec(name, data_dir, fields, kind)):
        task = {"task": TASK_PREFIX + name, "dataset_kwargs": spec}
        return _parse(SHARED, {**read_task_yaml(SHARED), **task})
    if found is None:
        also = f", nor a folder of {data_dir}" if data_dir else ""
        raise InputError(f"unknown benchmark '{name}'{also}; {did_you_mean(name, index)}")
    benchmark = _parse(*found)
    if kind not in (None, benchmark.kind):
        raise InputError(f"--kind {kind}: answers of {name} are of kind {benchmark.kind}; leave it out")
    columns = parse_columns(fields) if fields else benchmark.data.columns
    return replace(benchmark, data=replace(benchmark.data, columns=columns))


def _own_spec(name: str, data_dir: Path, fields: str | None, kind: str | None) -> dict[str, Any] | None:
    """The `dataset_kwargs` of a folder in the data directory, or of that directory itself."""
    own = re.fullmatch(r"\w[\w.-]*", name) and (data_dir / name).is_dir()
    folder = data_dir / name if own else data_dir
    if not own and data_dir.resolve().name != name:
        return None
    files = {split: path for split in _SPLITS if (path := split_file(folder, split)).exists()}
    if not files:
        raise InputError(f"{folder}: holds no test, train or validation file ({', '.join(ENDINGS)})")
    columns, path = parse_columns(fields or ""), next(reversed(files.values()))
    where, row = next(iter_objects(path), (str(path), {}))
    row |= {name: column.raw(row, where) for name, column in columns.items()}
    numeric = "number" if json_type(row.get("answer")) == "a number" else None
    said = row["kind"] if row.get("kind") in KINDS else None
    kind = kind or said or ("choice" if row.get("choices") else numeric)
    if kind is None:
        raise InputError(f"{folder}: say of which kind its answers are: --kind {'|'.join(KINDS)}")
    shown = {"about": f"the folder {name}", "source": "data of one's own", "columns": fields or ""}
    splits = {split: split for split in files}
    return {**shown, "kind": kind, "folder": str(folder.relative_to(data_dir)), "splits": splits}


def answer_kind(spec: Mapping[str, Any], where: str) -> Kind:
    """The kind of answers that `kind` and `match` of a `dataset_kwargs` come to; InputError where to none."""
    kind, match = spec["kind"], spec.get("match", "exact")
    if kind not in KINDS:
        raise InputError(f"{where}: unknown kind {kind!r}; {did_you_mean(str(kind), KINDS)}")
    if match not in _MATCHES:
        raise InputError(f"{where}: unknown match {match!r}; {did_you_mean(str(match), _MATCHES)}")
    if match == "contains" and kind not in ("text", "contains"):
        raise InputError(f"{where}: match: contains is for kind text, not for {kind}; leave it out")
    return "contains" if match == "contains" else kind


def parse_source(spec: Mapping[str, Any], where: str) -> DataSource:
    """Check the `dataset_kwargs` of a benchmark's YAML file, which `where` names in errors.

    Raises:
        InputError: an unknown or missing key.
    """
    _check_keys(spec, _OWN_KEYS, where)
    for key in ("kind", "folder", "splits"):
        if key not in spec:
            raise InputError(
                f"{where}: dataset_kwargs lacks '{key}'; see the top of tasks/benchmarks/__init__.py"
            )
    answer_kind(spec, where)
    _check_keys(spec["splits"], _SPLITS, f"{where}: splits")
    hub = spec.get("hub")
    if hub is not None:
        _check_keys(hub, _HUB_KEYS, f"{where}: hub")
    given = {key: spec[key] for key in SOURCE_KEYS if key in spec}
    given["hub"] = checked(HubSource, hub, where, "hub.") if hub else None
    given["fields"] = parse_fields(spec["fields"], where) if "fields" in spec else None
    given["columns"] = parse_columns(str(spec["columns"])) if spec.get("columns") is not None else None
    checked(DataSource, {**given, "fields": None, "columns": None}, where)
    return DataSource(**given)


@dataclass(frozen=True)
class _Generation:
    max_gen_toks: Count
    until: tuple[str, ...] = ()


def _parse(path: Path, config: Mapping[str, Any]) -> Benchmark:
    spec = config.get("dataset_kwargs") or {}
    data = parse_source(spec, str(path))
    generation = config.get("generation_kwargs") or {}
    if not isinstance(spec, Mapping) or not isinstance(generation, Mapping):
        raise InputError(f"{path}: dataset_kwargs and generation_kwargs must be mappings")
    if "max_gen_toks" not in generation:
        raise InputError(f"{path}: generation_kwargs lacks 'max_gen_toks'; include _tagged.yaml or add it")
    checked(
        _Generation,
        {key: generation[key] for key in ("max_gen_toks", "until") if key in generation},
        "generation",
        f"{path}: generation_kwargs.",
    )
    return Benchmark(
        name=check_name(
            config["task"].removeprefix(TASK_PREFIX), str(path), reserved=(AVERAGE,), what="task"
        ),
        task=config["task"],
        description=spec.get("about", ""),
        source=spec.get("source", ""),
        kind=answer_kind(spec, str(path)),
        data=data,
        max_new_tokens=int(generation["max_gen_toks"]),
        stop=tuple(generation.get("until", ())),
        path=path,
    )


def _index(extra: Path | None) -> dict[str, tuple[Path, dict[str, Any]]]:
    index: dict[str, tuple[Path, dict[str, Any]]] = {}
    for folder in (TASKS_DIR, *((extra,) if extra else ())):
        for path in sorted(folder.glob("**/*.yaml")):
            config = read_task_yaml(path)
            task = config.get("task")
            if isinstance(task, str) and task.startswith(TASK_PREFIX):
                index[task.removeprefix(TASK_PREFIX)] = (path, config)
    return index


def read_task_yaml(path: Path, including: tuple[Path, ...] = ()) -> dict[str, Any]:
    """Read a YAML as lm-eval does: `include` is merged at the top level only, `!function` stays a name."""
    if path in including:
        raise InputError(f"{path}: includes itself; break the circle")
    config = _parsed(read_text(path, _UNREADABLE, MOST_YAML_BYTES), str(path))
    if not isinstance(config, dict):
        raise InputError(f"{path}: must be a mapping")
    includes = config.get("include", [])
    includes = [includes] if isinstance(includes, str) else includes
    if not isinstance(includes, list) or not all(isinstance(one, str) for one in includes):
        raise InputError(f"{path}: include must be a path or a list of them")
    merged: dict[str, Any] = {}
    for included in includes:
        merged |= read_task_yaml((path.parent / included).resolve(), (*including, path))
    return {key: value for key, value in {**merged, **config}.items() if key != "include"}


@cache
def _parsed(content: str, where: str) -> Any:
    """What a file holds; every benchmark includes the same one, which takes longer to parse than its own."""
    return parse_yaml(content, where, _loader(), _UNREADABLE)


@cache
def _loader() -> Any:
    import yaml

    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C, where PyYAML was built with it
    loader: Any = type("BenchmarkLoader", (base,), {})
    loader.add_constructor("!function", lambda self, node: str(self.construct_scalar(node)))
    return loader


def _check_keys(spec: object, known: tuple[str, ...], where: str) -> None:
    if not isinstance(spec, Mapping):
        raise InputError(f"{where}: must be a mapping with {', '.join(known)}")
    check_keys(spec, known, where)

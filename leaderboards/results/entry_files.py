"""Entries: checkpoints trained elsewhere, one YAML file each, and which of them belong on a board.

A file under `leaderboards/entries/` puts its checkpoint on the leaderboards that asked the same questions;
`entries/_example.yaml` shows every key, and files whose names begin with `_` are left out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from leaderboards.results.comparability import Aspect, Evaluated, find_unlike
from leaderboards.results.schema import RESULTS_FILE
from tasks.checks import checked
from tasks.errors import InputError, check_keys
from tasks.names import BASE, check_name, file_name
from tasks.reading import read_yaml

if TYPE_CHECKING:
    from leaderboards.results.schema import RunResults

ENTRIES_DIR = Path(__file__).parents[1] / "entries"
STORED_DIR = Path("runs/entries")
"""Where an entry's evaluation is stored: a folder by its name."""
KIND_REPORTED = "reported"


@dataclass(frozen=True)
class Generation:
    """How an entry's responses are drawn; what is None is as the harness has it."""

    max_new_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    num_samples: int | None = None
    seed: int | None = None
    num_fewshot: int | None = None


@dataclass(frozen=True)
class EntryFile:
    """An entry as its YAML, the file `path`, describes it; `_example.yaml` says what each key means."""

    path: Path
    name: str
    weights: str
    adapter: str | None = None
    base: str | None = None
    revision: str | None = None
    tags: str | dict[str, Any] | None = None
    prompt_style: Literal["auto", "plain", "chat"] = "auto"
    instruct: bool = False
    benchmarks: tuple[str, ...] = ()
    generation: Generation = field(default_factory=Generation)
    licence: str | None = None
    link: str | None = None
    description: str = ""

    @property
    def model(self) -> str:
        """The weights as `--model` takes them: paths count from the file, a revision is pinned."""
        return self._placed(self.weights, self.revision)

    @property
    def adapter_path(self) -> str | None:
        """The adapter as `--adapter` takes it."""
        return self._placed(self.adapter) if self.adapter else None

    @property
    def base_path(self) -> str | None:
        """The base as `--base` takes it."""
        return self._placed(self.base) if self.base else None

    @property
    def out(self) -> Path:
        """Folder of its evaluation, where no other is asked for."""
        return STORED_DIR / file_name(self.name)

    def tags_name(self, folder: Path) -> str | None:
        """The tag format by name or path; content that stands in the entry is written into a folder first."""
        if isinstance(self.tags, str) and self.tags.endswith((".yaml", ".yml")):
            return str(self.path.parent / self.tags)
        if not isinstance(self.tags, dict):
            return self.tags
        import yaml

        folder.mkdir(parents=True, exist_ok=True)
        written = folder / "tags.yaml"
        whose = self.name[:40].rstrip(" ./")  # with what is added it is to remain a name
        content = {"name": f"{whose}'s own", **self.tags}
        written.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")
        return str(written)

    def settings(self) -> dict[str, Any]:
        """What it says of the evaluation, as configuration keys."""
        drawn = {key: value for key, value in vars(self.generation).items() if value is not None}
        own = {"prompt_style": self.prompt_style, "eval": {"instruct": self.instruct, **drawn}}
        return own | ({"benchmarks": list(self.benchmarks)} if self.benchmarks else {})

    def _placed(self, name: str, revision: str | None = None) -> str:
        path = self.path.parent / Path(name).expanduser()
        if path.is_dir() or name.startswith((".", "/", "~")):
            return str(path)
        return f"{name}@{revision}" if revision else name


def read_file(path: Path) -> dict[str, Any]:
    """The keys and values of a file of this folder, unchecked but for its kind.

    Raises:
        InputError: It cannot be read, is not YAML, holds no keys, or is of a kind that is not known.
    """
    data = read_yaml(path, unreadable="entry cannot be read ({error}); check the path")
    if not isinstance(data, dict):
        raise InputError(f"{path}: expected keys and values, as in {ENTRIES_DIR / '_example.yaml'}")
    if "kind" in data and data["kind"] != KIND_REPORTED:
        raise InputError(
            f"{path}: kind: {data['kind']!r} is not known; say {KIND_REPORTED} for figures that others "
            "report, and leave it out for a checkpoint"
        )
    return data


def read_folder(folder: Path, reported: bool) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The files of a folder by name: those of figures that others report, or those of checkpoints.

    Raises:
        InputError: There is no such folder, or a file of either kind cannot be read.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder of entries")
    for path in sorted(path for path in folder.glob("*.yaml") if not path.name.startswith("_")):
        data = read_file(path)
        if (data.get("kind") == KIND_REPORTED) == reported:
            yield path, data


def read_entry(path: Path) -> EntryFile:
    """Reads and checks an entry.

    Raises:
        InputError: One line that names the file, the key and the remedy.
    """
    data = read_file(path)
    if data.get("kind") == KIND_REPORTED:
        raise InputError(
            f"{path}: holds figures that others report, so there is nothing to evaluate; harness leaderboard "
            "shows them beside runs on the same benchmarks"
        )
    return _entry(data, path)


def _entry(data: dict[str, Any], path: Path) -> EntryFile:
    if "rows" in data:
        raise InputError(f"{path}: no 'kind: {KIND_REPORTED}' above its rows of figures; add it")
    check_keys(data, [item.name for item in dataclasses.fields(EntryFile) if item.name != "path"], str(path))
    if isinstance(generation := data.get("generation"), dict):
        inner = [item.name for item in dataclasses.fields(Generation)]
        check_keys(generation, inner, str(path), "unknown key 'generation.{key}'; {meant}")
    for key in ("name", "weights"):
        if not isinstance(data.get(key), str) or not data[key].strip():
            raise InputError(f"{path}: no '{key}'; add it, as in {ENTRIES_DIR / '_example.yaml'}")
    if isinstance(benchmarks := data.get("benchmarks"), str):
        data["benchmarks"] = [part.strip() for part in benchmarks.split(",") if part.strip()]
    check_name(data["name"], str(path), reserved=(BASE,))
    entry = checked(EntryFile, {**data, "path": path}, str(path))
    if entry.revision and Path(entry.model).is_dir():
        raise InputError(f"{path}: revision: weights are a folder, which has none; leave it out")
    return entry


def read_entries(folder: Path = ENTRIES_DIR) -> list[EntryFile]:
    """The checkpoints of a folder, by file name; files of reported figures are passed over.

    Raises:
        InputError: There is no such folder, one is faulty, or two have one name.
    """
    entries = [_entry(data, path) for path, data in read_folder(folder, reported=False)]
    seen: dict[Path, EntryFile] = {}
    for entry in entries:
        first = seen.setdefault(entry.out, entry)
        if first is not entry:
            alike = "is also" if entry.name == first.name else f"has the folder of '{first.name}',"
            raise InputError(f"{entry.path}: '{entry.name}' {alike} the name in {first.path}; rename one")
    return entries


class Joined(NamedTuple):
    """Stored entries that belong on a board, cut to what it compares, and a line for others."""

    runs: tuple[RunResults, ...]
    lines: tuple[str, ...]


def join_entries(
    runs: Sequence[RunResults], entries: Sequence[EntryFile], allowed: Collection[Aspect] = ()
) -> Joined:
    """The stored evaluations of entries that were asked what these runs were asked.

    Args:
        entries: As `read_entries` gives them.
        allowed: In what their results may differ from the runs'.

    Returns:
        Runs to be read beside the others, and one line for entries that share a benchmark but are missing.
    """
    asked = {(e.benchmark, e.data_digest) for run in runs for entry in run.entries for e in entry.evaluations}
    present = {(entry.model, entry.name) for run in runs for entry in run.entries}
    names = {benchmark for benchmark, _ in asked}
    joined, missing, lines = [], [], []
    for entry in entries:
        if not (entry.out / RESULTS_FILE).is_file():
            missing += [entry] if not entry.benchmarks or names & set(entry.benchmarks) else []
            continue
        found, why = _found(entry, asked, present)
        if found and (unlike := _unlike(runs, found, allowed)):
            found, why = None, unlike
        joined += [found] if found else []
        lines += [f"{entry.name} is left out: {why}"] if why else []
    if missing:
        command = " ".join(f"--entry {entry.path}" for entry in missing)
        names_shown = ", ".join(entry.name for entry in missing)
        lines.append(f"entries not evaluated yet: {names_shown} (harness eval {command})")
    return Joined(tuple(joined), tuple(lines))


def _found(
    entry: EntryFile, asked: set[tuple[str, str]], present: set[tuple[str, str]]
) -> tuple[RunResults | None, str | None]:
    """A stored entry cut to what is compared; else why it is left out, where that is worth a word."""
    from leaderboards.results.store import read_results

    try:
        run = read_results(entry.out)
    except InputError as error:
        return None, str(error)
    new = [one for one in run.entries if (one.model, one.name) not in present]
    shared = {e.benchmark for one in run.entries for e in one.evaluations} & {name for name, _ in asked}
    kept = []
    for one in new:
        if own := tuple(e for e in one.evaluations if (e.benchmark, e.data_digest) in asked):
            kept.append(dataclasses.replace(one, evaluations=own))
    if kept:
        keys = {(one.model, one.name, e.benchmark) for one in kept for e in one.evaluations}
        rows = zip(run.samples["model"], run.samples["entry"], run.samples["benchmark"], strict=True)
        samples = run.samples[[row in keys for row in rows]].reset_index(drop=True)
        return dataclasses.replace(run, entries=tuple(kept), samples=samples), None
    if not new or not shared:
        return None, None
    return None, (
        f"it was asked other questions of {', '.join(sorted(shared))}; evaluate it with the same data and "
        f"limit (harness eval --entry {entry.path} --limit N)"
    )


def _unlike(runs: Sequence[RunResults], found: RunResults, allowed: Collection[Aspect]) -> str | None:
    """Why a stored entry is not comparable with the runs of a board; None where it is, or may differ."""
    evaluated = [
        Evaluated(entry, evaluation, run.source)
        for run in (*runs, found)
        for entry in run.entries
        for evaluation in entry.evaluations
    ]
    differing = (one for one in find_unlike(evaluated) if found.source in (one.of.source, one.norm.source))
    return next((one.refusal() for one in differing if one.aspect not in allowed), None)

"""Entries: checkpoints trained elsewhere, one YAML file each that says what it is and how to evaluate it.

A file under `leaderboards/entries/` puts its checkpoint on the leaderboard once it has been evaluated;
`entries/_example.yaml` shows every key, and files whose names begin with `_` are left out. A file with
`kind: reported` holds no checkpoint but figures that others report (see `reported`).
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tasks.checks import checked
from tasks.errors import InputError, check_keys

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
    """An entry as its YAML describes it.

    Attributes:
        path: The file.
        name: As the leaderboard shows it.
        weights: Folder or Hub id of the whole model, or of an adapter.
        adapter: Folder or Hub id of a PEFT adapter on the weights.
        base: Base of weights that are an adapter, in place of the one they name.
        revision: Of the weights on the Hub: a branch, a tag or a commit.
        tags: Tag format: a name, the path of a YAML file, or its content.
        prompt_style: `auto`, `plain` or `chat`.
        instruct: Say in the prompt in which format to answer.
        benchmarks: To be evaluated on.
        generation: How responses are drawn.
        licence: Of the weights.
        link: To where they come from.
        description: One line.
    """

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
        return STORED_DIR / re.sub(r"[^\w.+-]+", "-", self.name)

    def tags_name(self, folder: Path) -> str | None:
        """The tag format by name or path; content that stands in the entry is written into a folder first."""
        if isinstance(self.tags, str) and self.tags.endswith((".yaml", ".yml")):
            return str(self.path.parent / self.tags)
        if not isinstance(self.tags, dict):
            return self.tags
        import yaml

        folder.mkdir(parents=True, exist_ok=True)
        written = folder / "tags.yaml"
        text = yaml.safe_dump(
            {"name": f"{self.name}'s own", **self.tags}, sort_keys=False, allow_unicode=True
        )
        written.write_text(text, encoding="utf-8")
        return str(written)

    def settings(self) -> dict[str, Any]:
        """What it says of the evaluation, as configuration keys."""
        drawn = {
            key: value for key, value in dataclasses.asdict(self.generation).items() if value is not None
        }
        own = {"prompt_style": self.prompt_style, "eval": {"instruct": self.instruct, **drawn}}
        return own | ({"benchmarks": list(self.benchmarks)} if self.benchmarks else {})

    def _placed(self, name: str, revision: str | None = None) -> str:
        path = self.path.parent / Path(name).expanduser()
        if path.is_dir() or name.startswith((".", "/", "~")):
            return str(path)
        return f"{name}@{revision}" if revision else name


def read_yaml(path: Path) -> dict[str, Any]:
    """The keys and values of a file of this folder, unchecked but for its kind.

    Raises:
        InputError: It cannot be read, is not YAML, holds no keys, or is of a kind that is not known.
    """
    import yaml

    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: entry cannot be read ({error}); check the path") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not YAML ({' '.join(str(error).split())})") from error
    if not isinstance(data, dict):
        raise InputError(f"{path}: expected keys and values, as in {ENTRIES_DIR / '_example.yaml'}")
    if "kind" in data and data["kind"] != KIND_REPORTED:
        raise InputError(
            f"{path}: kind: {data['kind']!r} is not known; say {KIND_REPORTED} for figures that others "
            "report, and leave it out for a checkpoint"
        )
    return data


def read_entry(path: Path) -> EntryFile:
    """Reads and checks an entry.

    Raises:
        InputError: One line that names the file, the key and the remedy.
    """
    data = read_yaml(path)
    if data.get("kind") == KIND_REPORTED:
        raise InputError(
            f"{path}: holds figures that others report, so there is nothing to evaluate; harness leaderboard "
            "shows them beside runs on the same benchmarks"
        )
    return _entry(data, path)


def _entry(data: dict[str, Any], path: Path) -> EntryFile:
    _check_keys(data, path)
    if isinstance(benchmarks := data.get("benchmarks"), str):
        data["benchmarks"] = [part.strip() for part in benchmarks.split(",") if part.strip()]
    entry = checked(EntryFile, {**data, "path": path}, str(path))
    if entry.revision and Path(entry.model).is_dir():
        raise InputError(f"{path}: revision: weights are a folder, which has none; leave it out")
    return entry


def _check_keys(data: dict[str, Any], path: Path) -> None:
    known = [item.name for item in dataclasses.fields(EntryFile) if item.name != "path"]
    inner = [item.name for item in dataclasses.fields(Generation)]
    if "rows" in data:
        raise InputError(f"{path}: no 'kind: {KIND_REPORTED}' above its rows of figures; add it")
    check_keys(data, known, str(path))
    generation = data.get("generation") or {}
    if isinstance(generation, dict):
        check_keys(generation, inner, str(path), "unknown key 'generation.{key}'; {meant}")
    for key in ("name", "weights"):
        if not isinstance(data.get(key), str) or not data[key].strip():
            raise InputError(f"{path}: no '{key}'; add it, as in {ENTRIES_DIR / '_example.yaml'}")


def read_entries(folder: Path = ENTRIES_DIR) -> list[EntryFile]:
    """The checkpoints of a folder, by file name; files of reported figures are passed over.

    Raises:
        InputError: There is no such folder, one is faulty, or two have one name.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder of entries")
    paths = sorted(path for path in folder.glob("*.yaml") if not path.name.startswith("_"))
    found = ((path, read_yaml(path)) for path in paths)
    entries = [_entry(data, path) for path, data in found if data.get("kind") != KIND_REPORTED]
    seen: dict[str, Path] = {}
    for entry in entries:
        if entry.name in seen:
            raise InputError(
                f"{entry.path}: '{entry.name}' is also the name in {seen[entry.name]}; rename one"
            )
        seen[entry.name] = entry.path
    return entries

"""What a study is, as its YAML file declares it before anything is run."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.commands.sweep import CHOSEN_FILE
from harness.config import Config, load_config
from leaderboards.results.schema import RESULTS_FILE, Entry
from sftkey_train.variants import load_variant
from tasks.checks import Count, checked
from tasks.errors import InputError, check_keys, did_you_mean
from tasks.reading import read_yaml

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Group:
    """Cells that share settings: a cell is a benchmark, with checkpoints of its own trained on it alone.

    Attributes:
        cells: Names of benchmarks; several with commas between them are one cell, trained on together.
        train: Settings of training, the same for all arms.
        chosen_on: The cell whose validation questions choose each arm's settings; nothing is chosen if None.
    """

    cells: tuple[str, ...]
    train: dict[str, Any] = field(default_factory=dict)
    chosen_on: str | None = None


@dataclass(frozen=True)
class Arms:
    """Variants with one number of seeds, trained as one run in each cell."""

    seeds: Count
    variants: tuple[str, ...]


@dataclass(frozen=True)
class Choice:
    """How settings are chosen: `harness sweep` over a grid, on so many validation questions and seeds."""

    seeds: Count
    limit: Count
    grid: dict[str, tuple[float, ...]]


@dataclass(frozen=True)
class Reasoned:
    """A benchmark of the training questions of another that have reasoning (`studies.declared.reasoned`).

    Attributes:
        of: The other's name.
        test: Questions that are held out for test.
        validation: Questions that are held out for validation.
        written_out: Whether the answer to a choice is its words, not its letter.
    """

    of: str
    test: Count
    validation: Count
    written_out: bool = False


@dataclass(frozen=True)
class Orientation:
    """Benchmarks that nothing was trained on, asked of the base and of each arm's first seed; no contrast."""

    benchmarks: tuple[str, ...]
    limit: Count


@dataclass(frozen=True)
class Contrast:
    """Cells whose difference to the control is held against that of others."""

    more: tuple[str, ...]
    less: tuple[str, ...]


@dataclass(frozen=True)
class Declaration:
    """A study.

    Attributes:
        question: In one sentence.
        claim: The primary contrast, as `harness train-and-eval --claim` takes it.
        control: Variant that differences are taken to.
        margin: Points within which two arms are equivalent.
        exclusions: What is left out of the results, and when, in words.
        run: Keys of the harness's configuration that all cells share.
        groups: By name.
        arms: The first holds the claim's.
        choice: None where no settings are chosen.
        data: Benchmarks that are made for the study, by name.
        contrasts: By name.
        orientation: None where nothing else is asked.
        limits: What the study cannot say, a sentence each.
    """

    question: str
    claim: str
    control: str
    margin: float
    exclusions: str
    run: dict[str, Any]
    groups: dict[str, Group]
    arms: tuple[Arms, ...]
    choice: Choice | None = None
    data: dict[str, Reasoned] = field(default_factory=dict)
    contrasts: dict[str, Contrast] = field(default_factory=dict)
    orientation: Orientation | None = None
    limits: tuple[str, ...] = ()

    @property
    def cells(self) -> list[str]:
        """All cells, in the order of the groups."""
        return [cell for group in self.groups.values() for cell in group.cells]

    @property
    def model(self) -> str:
        """The base."""
        return str(self.run.get("model", Config.model))

    @property
    def variants(self) -> list[str]:
        """All arms, as the configuration names them."""
        return [name for arms in self.arms for name in arms.variants]


@dataclass(frozen=True)
class Study:
    """A declaration and the digest of its file, and what is made of it.

    Attributes:
        name: Of its board and document.
        command: What runs it.
        file: Where it is declared.
        declaration: Its content.
        digest: sha256 of the file.
        out: Folder of its runs.
    """

    name: str
    command: str
    file: str
    declaration: Declaration
    digest: str
    out: Path

    def choosing(self, group: str) -> Config:
        """What `harness sweep` is given for a group of cells."""
        own, choice = self.declaration.groups[group], self.declaration.choice
        if not own.chosen_on or not choice:
            raise InputError(f"{self.name}: no settings are chosen for {group}")
        variants, folder = self.declaration.variants, self.out / "chosen" / group
        return self._config(
            own, own.chosen_on, folder, variants=variants, seeds=choice.seeds, limit=choice.limit
        )

    def measuring(self, group: str, cell: str, arms: int) -> Config:
        """What `harness train-and-eval` is given for some arms in a cell, with their chosen settings."""
        own, wanted = self.declaration.groups[group], self.declaration.arms[arms]
        chosen: Mapping[str, Any] = {}
        if own.chosen_on:
            config = load_config(self.choosing(group).out / CHOSEN_FILE)
            names = config.per_variant.keys() & {*wanted.variants}
            chosen = {
                "per_variant": {name: config.per_variant[name] for name in names},
                "tuned": {name: asdict(config.tuned[name]) for name in names},
            }
        claims = [self.declaration.claim] if arms == 0 else []
        given = {"variants": list(wanted.variants), "seeds": wanted.seeds, "claims": claims, **chosen}
        return self._config(own, cell, self.run_folder(cell, arms), **given)

    def orienting(self, entry: Entry, data_dir: Path | None) -> Config:
        """What `harness eval` is given for a checkpoint and the benchmarks that serve orientation."""
        told, run = self.declaration.orientation, self.declaration.run
        if told is None:
            raise InputError(f"{self.name}: nothing is asked for orientation")
        whole = {
            **{key: run[key] for key in ("prompt_style", "prompt_date") if key in run},
            "model": entry.checkpoint,
            "tags": entry.tags,
            "benchmarks": list(told.benchmarks),
            "limit": told.limit,
            "eval": {**run.get("eval", {}), "key": False},
            "data_dir": data_dir and str(data_dir),
            "out": str(self.orientation_folder(entry.name)),
        }
        return load_config(None, whole)

    def orientation_folder(self, name: str) -> Path:
        """Where the results of an arm's first seed, or of the base, stand for orientation."""
        return self.out / "orientation" / name

    @property
    def data_dir(self) -> Path:
        """Where the benchmarks that are made for the study stand."""
        return self.out / "data"

    @property
    def done(self) -> list[str]:
        """The cells in which all arms have been run, in their order."""
        arms = range(len(self.declaration.arms))
        return [
            cell
            for cell in self.declaration.cells
            if all((self.run_folder(cell, number) / RESULTS_FILE).exists() for number in arms)
        ]

    def run_folder(self, cell: str, arms: int) -> Path:
        """Where the results of some arms in a cell stand."""
        return self.out / "runs" / cell / str(arms)

    def _config(self, group: Group, cell: str, out: Path, **given: Any) -> Config:
        run = self.declaration.run
        train = {**run.get("train", {}), **group.train}
        store = self.out / "stores" / cell
        whole = {**run, "train": train, "benchmarks": cell, "out": str(out), "store": str(store), **given}
        return load_config(None, whole | ({"data_dir": str(self.data_dir)} if self.declaration.data else {}))


def read_study(name: str, out: Path, folder: Path = FOLDER, model: str | None = None) -> Study:
    """Reads a declaration.

    Args:
        name: Of its file.
        out: Folder of studies.
        folder: Of declarations.
        model: A base in place of the declared one; the study has its name too, then.

    Raises:
        InputError: There is none of that name, or its file does not fit.
    """
    known = sorted(path.stem for path in folder.glob("*.yaml"))
    if name not in known:
        raise InputError(f"no study {name!r}: {did_you_mean(name, known)}")
    path = folder / f"{name}.yaml"
    data = read_yaml(path)
    check_keys(data, Declaration.__dataclass_fields__, str(path), "unknown key {key!r}: {meant}")
    declaration = checked(Declaration, data, str(path))
    for variant in declaration.variants:
        load_variant(variant)
    for contrast, sides in declaration.contrasts.items():
        if lost := {*sides.more, *sides.less} - {*declaration.cells}:
            raise InputError(f"{path}: contrast {contrast!r} names {min(lost)}, which is no cell")
    own, command = name, f"python -m studies study {name}"
    if model:
        declaration = replace(declaration, run={**declaration.run, "model": model})
        own, command = f"{name}-{Path(model).name}", f"{command} --model {model}"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Study(own, command, f"studies/declared/{name}.yaml", declaration, digest, out / own)

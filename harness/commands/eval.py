"""`harness eval`: a checkpoint trained elsewhere."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from harness.commands.options import DATA, Base, Given, configured, option
from harness.progress import Reporter, console
from tasks.errors import InputError

if TYPE_CHECKING:
    from harness.config import Config
    from harness.external import External
    from leaderboards.results.entry_files import EntryFile

_MODEL = "Checkpoint, or base of the adapters: folder, Hub id or ID@REVISION."
_ADAPTER = "PEFT adapter, folder or Hub id; may be repeated."
_ENTRY = "Entry file that says all of this; flags win over it; may be repeated."


@configured(
    *("model", "benchmarks", "adapter", "base", "entry", "tags", "name", "instruct"),
    *("config", "engine", *DATA, "limit", "exact", "judge", "out", "setting"),
)
def evaluate(
    given: Given,
    model: Annotated[str | None, option(_MODEL, metavar="ID|PATH")] = None,
    adapter: Annotated[list[str] | None, option(_ADAPTER, metavar="ID|PATH")] = None,
    base: Base = None,
    entry: Annotated[list[Path] | None, option(_ENTRY, metavar="FILE.yaml")] = None,
    name: Annotated[str | None, option("Name on the leaderboard.")] = None,
) -> None:
    """Evaluate checkpoints trained elsewhere."""
    from harness.external import External
    from harness.run import report_on

    given = given.but(model=model)
    said = External(tuple(adapter or ()), base, name)
    evaluated = _evaluate_entries(entry, given, said) if entry else [_evaluate_one(given, said)]
    last, run_dirs = evaluated[-1], [one.out for one in evaluated]
    folder = given.flags.get("out") or last.out.parent if len(evaluated) > 1 else last.out
    try:
        report_on(run_dirs, folder / "leaderboard", last).show(console())
    except InputError as error:  # several that are not comparable stay evaluated
        if len(run_dirs) == 1:
            raise
        runs = " ".join(map(str, run_dirs))
        raise InputError(
            f"all are evaluated, but there is no joint board: {error} "
            f"(harness leaderboard {runs} --out {folder / 'leaderboard'})"
        ) from error


def _evaluate_one(given: Given, said: External) -> Config:
    from harness.external import evaluate_external

    if given.flags["model"] is None and said.adapters:  # an adapter is itself the model that is named
        if len(said.adapters) > 1:
            raise InputError("name the base of the adapters: --model ID|PATH")
        given, said = given.but(model=said.adapters[0]), dataclasses.replace(said, adapters=())
    paths = [Path(name) for name in said.adapters or [given.flags["model"] or ""]]
    label = said.name or "+".join(path.resolve().name if path.is_dir() else path.name for path in paths)
    label = "-".join([label, *given.flags.get("benchmarks", "").split(",")])
    folder = re.sub(r"[^\w.+@-]+", "-", label).encode()[:200].decode("utf-8", "ignore").strip("-.") or "eval"
    config = given.config({"model": "", "tags": "none", "out": Path("runs") / folder})
    evaluate_external(config, said, Reporter())
    return config


def _evaluate_entries(files: list[Path], given: Given, said: External) -> list[Config]:
    from harness.external import evaluate_external
    from leaderboards.results.entry_files import read_entry

    entries = [read_entry(path) for path in files]
    if len(entries) > 1 and (said.name or said.adapters or given.flags["model"]):
        raise InputError("--name, --model and --adapter name one checkpoint; give one --entry with them")
    if len({entry.out for entry in entries}) < len(entries):
        raise InputError("two entries have the same name; rename one")
    resolved = [_resolve_entry(entry, given, said, among=len(entries)) for entry in entries]
    for config, external in resolved:
        evaluate_external(config, external, Reporter())
    return [config for config, _ in resolved]


def _resolve_entry(entry: EntryFile, given: Given, said: External, among: int) -> tuple[Config, External]:
    """The entry below what the command line says."""
    from harness.external import External

    out = given.flags.get("out")
    folder = entry.out if out is None else out / entry.out.name if among > 1 else out
    own = {"tags": entry.tags_name(folder) or "none", **entry.settings()}
    given = given.but(model=given.flags["model"] or entry.model, out=folder)
    adapters = said.adapters or ((entry.adapter_path,) if entry.adapter_path else ())
    base, name = said.base or entry.base_path, said.name or entry.name
    return given.config(own), External(adapters, base, name, entry.licence, entry.link)

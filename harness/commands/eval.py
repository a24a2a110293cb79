"""`harness eval`: a checkpoint trained elsewhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.commands.leaderboard import report
from harness.commands.options import (
    Base,
    Benchmarks,
    ConfigFile,
    DataDir,
    EngineName,
    Exact,
    Judge,
    Limit,
    Out,
    Setting,
    Tags,
    flags,
)
from harness.commands.screen import console

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.config import Config
    from harness.models.external import External
    from leaderboards.results.entry_files import EntryFile


def evaluate(
    model: Annotated[
        str | None,
        typer.Option(
            help="Checkpoint, or base of the adapters: folder, Hub id or ID@REVISION.",
            metavar="ID|PATH",
            show_default=False,
        ),
    ] = None,
    benchmarks: Benchmarks = None,
    adapter: Annotated[
        list[str] | None,
        typer.Option(help="PEFT adapter, folder or Hub id; may be repeated.", metavar="ID|PATH"),
    ] = None,
    base: Base = None,
    entry: Annotated[
        list[Path] | None,
        typer.Option(
            help="Entry file that says all of this; flags win over it; may be repeated.", metavar="FILE.yaml"
        ),
    ] = None,
    tags: Tags = None,
    name: Annotated[str | None, typer.Option(help="Name on the leaderboard.", show_default=False)] = None,
    instruct: Annotated[
        bool, typer.Option("--instruct", help="Say in the prompt in which format to answer.")
    ] = False,
    config: ConfigFile = None,
    engine: EngineName = None,
    data_dir: DataDir = None,
    limit: Limit = None,
    exact: Exact = None,
    judge: Judge = None,
    out: Out = None,
    setting: Setting = None,
) -> None:
    """Evaluate checkpoints trained elsewhere."""
    from harness.config import judge_flags
    from harness.models.external import External

    given = flags(model, benchmarks, None, None, None, engine, data_dir, limit, out)
    given |= {"eval.instruct": True if instruct else None, "tags": tags, "eval.exact": exact}
    given |= judge_flags(judge)
    said = External(tuple(adapter or ()), base, name)
    if entry:
        evaluated = _evaluate_entries(entry, config, given, said, setting or [])
    else:
        evaluated = [_evaluate_one(config, given, said, setting or [])]
    last = evaluated[-1]
    folder = (out or last.out.parent) if len(evaluated) > 1 else last.out
    _report([one.out for one in evaluated], folder / "leaderboard", last)


def _report(run_dirs: Sequence[Path], out: Path, config: Config) -> None:
    """Several that are not comparable stay evaluated; how to see them on one board all the same is said."""
    from tasks.errors import InputError

    try:
        report(run_dirs, out, config.reference, config.rank_by, config.alpha)
    except InputError as error:
        if len(run_dirs) == 1:
            raise
        runs = " ".join(map(str, run_dirs))
        raise InputError(
            f"all are evaluated, but there is no joint board: {error} "
            f"(harness leaderboard {runs} --out {out})"
        ) from error


def _evaluate_one(config: Path | None, given: dict[str, Any], said: External, setting: list[str]) -> Config:
    from harness.config import load_config

    if given["model"] is None and said.adapters:  # each on the base that it was trained on
        given, said = {**given, "model": said.adapters[0]}, _alone(said)
    label = said.name or "+".join(_last_part(path) for path in said.adapters or [given["model"] or ""])
    label = "-".join([label, *(given["benchmarks"] or "").split(",")])
    defaults = {"tags": "none", "out": Path("runs") / _folder_name(label)}
    resolved = load_config(config, given, setting, defaults=defaults)
    _run(resolved, said)
    return resolved


def _alone(said: External) -> External:
    """A single adapter is itself the model that is named; its base is found from it."""
    import dataclasses

    from tasks.errors import InputError

    if len(said.adapters) > 1:
        raise InputError("name the base of the adapters: --model ID|PATH")
    return dataclasses.replace(said, adapters=())


def _evaluate_entries(
    files: list[Path], config: Path | None, given: dict[str, Any], said: External, setting: list[str]
) -> list[Config]:
    from leaderboards.results.entry_files import read_entry
    from tasks.errors import InputError

    entries = [read_entry(path) for path in files]
    if len(entries) > 1 and (said.name or said.adapters or given["model"]):
        raise InputError("--name, --model and --adapter name one checkpoint; give one --entry with them")
    if len({entry.out for entry in entries}) < len(entries):
        raise InputError("two entries have the same name; rename one")
    asked = [(entry, *_resolve_entry(entry, config, given, said, setting, len(entries))) for entry in entries]
    for _, resolved, external in asked:
        _run(resolved, external)
    return [resolved for _, resolved, _ in asked]


def _resolve_entry(
    entry: EntryFile,
    config: Path | None,
    given: dict[str, Any],
    said: External,
    setting: list[str],
    num_entries: int,
) -> tuple[Config, External]:
    """The entry below what the command line says."""
    from harness.config import load_config
    from harness.models.external import External

    out = given["out"]
    folder = entry.out if out is None else out / entry.out.name if num_entries > 1 else out
    own = {"tags": entry.tags_name(folder) or "none", **entry.settings()}
    given = {**given, "model": given["model"] or entry.model, "out": folder}
    adapters = said.adapters or ((entry.adapter_path,) if entry.adapter_path else ())
    external = External(
        adapters, said.base or entry.base_path, said.name or entry.name, entry.licence, entry.link
    )
    return load_config(config, given, setting, defaults=own), external


def _run(config: Config, said: External) -> None:
    """Looks at the checkpoints, then evaluates them."""
    from harness import run
    from harness.files import run_folder
    from harness.models.external import check_out, external_checkpoints
    from harness.progress import Reporter
    from tasks.tags import get_tag_format

    get_tag_format(config.tags)
    benchmarks = run.resolve_benchmarks(config)
    reporter = Reporter(console(stderr=True))
    wanted = external_checkpoints(config, said, reporter.line)
    check_out(config.out, wanted, config.benchmarks)
    with run_folder(config):
        run.evaluate(config, benchmarks, wanted, reporter)


def _last_part(name: str) -> str:
    path = Path(name)
    return path.resolve().name if path.is_dir() else path.name


def _folder_name(label: str) -> str:
    return re.sub(r"[^\w.+@-]+", "-", label).strip("-") or "eval"

"""What is stored, as targets of damage: every file and folder of a finished run, its store and the cache."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sftkey_train.stored import read_manifest

SAVES = "store/partial/*/checkpoint-[4-9]/seal.json"
"""Whole saves within a stage, from a run's folder."""


@dataclass(frozen=True)
class Target:
    """A stored file or folder.

    Attributes:
        kind: What it is, in words.
        path: Where, from the work's folder.
        use: What is taken away before, so that it is used: a key of `taken` in corruptions.
        by: The command that uses it.
        other: The same of another, which may come into its place.
        kept: The work that it stands in.
    """

    kind: str
    path: Path
    use: str = "all there"
    by: str = "train-and-eval"
    other: Path | None = None
    kept: str = "finished"


@dataclass(frozen=True)
class Stages:
    """Stages of the finished run by what they are to others, as folders from the work's."""

    leaf: Path
    parent: Path
    reference: Path
    others: tuple[Path, ...]

    @classmethod
    def of(cls, work: Path) -> Stages:
        """Finds them by their manifests."""
        nodes = {path: read_manifest(path)["stage"] for path in sorted((work / "run/store/stages").iterdir())}
        keys = {node["key"]: path.relative_to(work) for path, node in nodes.items()}
        parent = next(node["parent"] for node in nodes.values() if node["parent"])
        leaf = next(node["key"] for node in nodes.values() if node["parent"] == parent)
        reference = next((node["reference"] for node in nodes.values() if node["reference"] in keys), parent)
        others = [path for key, path in keys.items() if key not in (leaf, parent, reference)]
        return cls(keys[leaf], keys[parent], keys[reference], tuple(others))


def targets(all_kept: Path, stages: Stages) -> Iterator[Target]:
    """All of them, of the works in a folder."""
    kept, killed, swept = (all_kept / name for name in ("finished", "killed", "swept"))
    yield from _in(kept, "a stage's", stages.leaf, ["all there", "answers gone"], stages.parent)
    yield from _in(kept, "a parent's", stages.parent, ["leaves gone"], stages.reference)
    yield from _in(kept, "a reference stage's", stages.reference, ["references gone"], stages.parent)
    yield from _in_each(kept, "run/store/references", ["all there", "leaves gone"])
    yield from _in_each(kept, "run/store/evaluations", ["all there"])
    yield from _in_each(kept, "cache/base", ["answers gone", "stages gone"])
    yield from _in_each(kept, "cache/tokenizer", ["all there", "stages gone"])
    yield from _in_each(kept, "cache/corpora", ["all there", "stages gone"])
    for use in ("all there", "scores gone"):
        yield Target("answers", Path("run/store/generations.sqlite"), use)
    for name in ("vetted", "digests"):
        for path in sorted((kept / "cache" / name).glob("*")):
            yield Target(name, path.relative_to(kept), "answers gone")
    yield from _of_the_run(kept)
    yield Target("answers", Path("run/store/generations.sqlite"), by="verify")
    for save in [seal.parent for seal in killed.glob(f"run/{SAVES}")][:1]:
        for path in [save, *sorted(path for path in save.rglob("*") if path.is_file())]:
            yield Target("a save's", path.relative_to(killed), kept="killed")
    for pattern in ("*.json", "*.yaml", "sweep/*/results.json", "sweep/*/samples.parquet"):
        for path in sorted(swept.glob(f"run/{pattern}")):
            yield Target("a sweep's", path.relative_to(swept), by="sweep", kept="swept")


def _in(
    kept: Path, kind: str, folder: Path, uses: Sequence[str], other: Path | None = None
) -> Iterator[Target]:
    """A stored folder and its files, for each use; the same of another one, if there is one, beside them."""
    files = sorted(path for path in (kept / folder).rglob("*") if path.is_file())
    for path in [folder, *(path.relative_to(kept) for path in files)]:
        beside = other / path.relative_to(folder) if other else None
        target = Target(kind, path, other=beside if beside and (kept / beside).exists() else None)
        yield from (replace(target, use=use) for use in uses)
        if "all there" in uses or kind == "base'":
            yield replace(target, by="verify")


def _in_each(kept: Path, folder: str, uses: Sequence[str]) -> Iterator[Target]:
    """The first stored folder of a kind, the second beside it."""
    if not (kept / folder).is_dir():
        return
    one, *others = (path.relative_to(kept) for path in sorted((kept / folder).iterdir()) if path.is_dir())
    yield from _in(kept, f"{Path(folder).name}'", one, uses, others[0] if others else None)


def _of_the_run(kept: Path) -> Iterator[Target]:
    """Files of the run's folder, which several commands read."""
    reads = {
        "config.yaml": ("train-and-eval", "leaderboard", "card", "rescore"),
        "results.json": ("train-and-eval", "leaderboard", "card", "rescore", "verify"),
        "samples.parquet": ("train-and-eval", "leaderboard", "card", "rescore", "verify"),
        "training.parquet": ("train-and-eval", "leaderboard", "verify"),
        "leaderboard/leaderboard.json": ("train-and-eval", "leaderboard", "verify"),
        "leaderboard/leaderboard.html": ("train-and-eval", "verify"),
        "leaderboard/manifest.json": ("train-and-eval",),
        "tag-formats": ("rescore", "train-and-eval"),
        ".lock": ("train-and-eval", "leaderboard"),
    }
    for name, commands in reads.items():
        for path in (
            sorted((kept / "run" / name).glob("*")) if name == "tag-formats" else [kept / "run" / name]
        ):
            for by in commands if path.exists() else ():
                yield Target("the run's", path.relative_to(kept), by=by)
    # Whatever else lies there: read by nothing, or found by a pattern.
    known = {path.name for path in (kept / "run").iterdir()}
    others = sorted(known - {name.partition("/")[0] for name in reads} - {"store"})
    for name in (*others, "leaderboard", "tag-formats", "store", "store/stages", "store/evaluations"):
        yield Target("the run's folder", Path("run") / name, by="train-and-eval")
    for name in ("", "corpora", "vetted", "digests", "views"):
        if (kept / "cache" / name).is_dir():
            yield Target("the cache's folder", Path("cache") / name)

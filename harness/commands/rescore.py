"""`harness rescore`: the outputs of a stored run judged again by today's scorer; no engine, no model."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.commands.options import Workers, option
from harness.config import CONFIG_FILE, stored_config, stored_text
from harness.evaluation.evaluations import item_of, judged_fields
from harness.evaluation.lm import FOLDER as LM_EVAL_FOLDER
from harness.files import locked
from harness.outputs import check_run_folder, refuse_nesting
from harness.progress import console
from leaderboards.results.schema import RESULTS_FILE, SAMPLES_FILE, TRAINING_FILE, Entry, RunResults
from leaderboards.results.store import read_results, write_results
from tasks.errors import InputError
from tasks.files import write_whole
from tasks.scoring import Item, Score, score_many, scorer_digest
from tasks.seals import whole_folder
from tasks.shown import neutral, printable
from tasks.tags import KEPT_FORMATS, format_of

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

MOST_CHANGES_SHOWN = 20
KEPT = "before-rescore"
"""The old files, beside the new while these are written; found again, they are put back first."""
_FILES = (RESULTS_FILE, SAMPLES_FILE, TRAINING_FILE)
_EntryKey = tuple[str, str, int | None]


def rescore_command(
    run_dir: Annotated[Path, typer.Argument(help="Folder of a finished run.", metavar="RUN_DIR")],
    out: Annotated[Path | None, option("Write there instead of over the run's results.")] = None,
    workers: Workers = None,
) -> None:
    """Judge a stored run's outputs again, without an engine."""
    report = rescore(run_dir, out, workers)
    print_report(report, console())
    if report.same_scorer:
        print("the scorer is the one that scored the run")
    if report.without_lm_eval:
        print(
            f"removed: {(out or run_dir) / LM_EVAL_FOLDER}, lm-eval's own files, which held the old verdicts"
        )
    print(f"next: harness leaderboard {neutral(out or run_dir)}")


@dataclass(frozen=True, slots=True)
class Change:
    """A verdict that is another now; `before` and `after` say whether the answer is right."""

    entry: str
    seed: int | None
    benchmark: str
    sample_id: str
    sample_index: int
    before: bool
    after: bool
    extracted_before: str | None
    extracted: str | None


@dataclass(frozen=True, slots=True)
class RescoreReport:
    """What judging again has changed."""

    n: Mapping[str, int]  # benchmark -> number of samples
    changes: tuple[Change, ...]  # every sample whose accuracy is another now
    accuracy_strict: Mapping[str, int]  # benchmark -> how many changed in strict accuracy
    format_valid: Mapping[str, int]  # benchmark -> how many changed in format validity
    same_scorer: bool  # the run was scored by this very scorer
    without_lm_eval: bool = False  # its files in lm-eval's form, which held the old verdicts, were removed


def rescore(run_dir: Path, out: Path | None = None, workers: int | None = None) -> RescoreReport:
    """Score every stored sample again and write the results back, or to `out`, with the configuration.

    InputError where there is no stored run, its tag format is gone, or another process works there.
    """
    if not run_dir.is_dir():
        raise InputError(f"{run_dir}: no such folder; name that of a finished run")
    if out:
        refuse_nesting(out, [run_dir])
        check_run_folder(out)
        _check_results(out, read_results(run_dir))
    with locked(out or run_dir):
        if (run_dir / KEPT).is_dir():
            with locked(run_dir) if out else nullcontext():
                _put_back(run_dir)
        results = read_results(run_dir)
        scores = list(score_many(_items(results, run_dir), workers))
        samples = _with_scores(results.samples, scores)
        entries = []
        for entry in results.entries:
            again = tuple(replace(one, scorer=scorer_digest()) for one in entry.evaluations)
            entries.append(replace(entry, evaluations=again))
        folder = out or run_dir
        _write(folder, replace(results, entries=tuple(entries), samples=samples))
        if out and (config := stored_text(results)):
            write_whole(out / CONFIG_FILE, config)
        if out and (run_dir / KEPT_FORMATS).is_dir():
            shutil.copytree(run_dir / KEPT_FORMATS, out / KEPT_FORMATS, dirs_exist_ok=True)
        # lm-eval's own files hold the old verdicts, and only lm-eval makes new ones.
        without_lm_eval = (folder / LM_EVAL_FOLDER).is_dir()
        shutil.rmtree(folder / LM_EVAL_FOLDER, ignore_errors=True)
        return _report(results, samples, without_lm_eval)


def _check_results(out: Path, run: RunResults) -> None:
    """Refuses (InputError) to write over results other than an earlier rescoring of these."""
    if (out / RESULTS_FILE).exists():
        there, here = (
            {(*_key(entry), entry.digest, one.benchmark) for entry in of.entries for one in entry.evaluations}
            for of in (read_results(out), run)
        )
        if there != here:
            raise InputError(f"--out {out}: holds the results of another run; use another folder")


def print_report(report: RescoreReport, screen: Console) -> None:
    """Print how many verdicts changed, and the first of them."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title="verdicts that changed", title_justify="left")
    for name in ("benchmark", "samples", "right now", "wrong now", "accuracy_strict", "format_valid"):
        table.add_column(name, justify="left" if name == "benchmark" else "right")
    for benchmark, n in report.n.items():
        own = [change.after for change in report.changes if change.benchmark == benchmark]
        forms = (report.accuracy_strict[benchmark], report.format_valid[benchmark])
        counts = (n, sum(own), len(own) - sum(own), *forms)
        table.add_row(Text(printable(benchmark)), *map(str, counts))
    screen.print(table)
    for change in report.changes[:MOST_CHANGES_SHOWN]:
        screen.print(Text(neutral(_line(change))), soft_wrap=True)
    if len(report.changes) > MOST_CHANGES_SHOWN:
        screen.print(f"… and {len(report.changes) - MOST_CHANGES_SHOWN} more")


def _line(change: Change) -> str:
    who = change.entry if change.seed is None else f"{change.entry} · seed {change.seed}"
    which = f"{change.sample_id}#{change.sample_index}" if change.sample_index else change.sample_id
    before, after = ("right" if right else "wrong" for right in (change.before, change.after))
    read = f"{change.extracted!r}, before {change.extracted_before!r}"
    return f"{change.benchmark} {which} ({who}): {before} → {after}, extracted {read}"


def _items(results: RunResults, run_dir: Path) -> Iterator[Item]:
    """The stored samples as the scorer takes them, in the order of the table."""
    import pandas as pd

    try:
        alpha = stored_config(results).alpha
    except InputError as error:
        raise InputError(f"{run_dir}: alpha cannot be read ({error})") from error
    tags = {_key(entry): format_of(run_dir, entry.tags) for entry in results.entries}
    kinds = {(_key(entry), one.benchmark): one.kind for entry in results.entries for one in entry.evaluations}
    for row in _rows(results.samples):
        key = (row.entry, row.model, None if pd.isna(row.seed) else int(row.seed))
        yield item_of(row, kinds[key, row.benchmark], tags[key], alpha)


def _rows(samples: pd.DataFrame) -> Iterator[Any]:
    yield from samples.itertuples(index=False)


def _key(entry: Entry) -> _EntryKey:
    return entry.name, entry.model, entry.seed


def _with_scores(samples: pd.DataFrame, scores: Sequence[Score]) -> pd.DataFrame:
    import pandas as pd

    judged = [judged_fields(score, gold) for score, gold in zip(scores, samples["gold"], strict=True)]
    columns = {
        name: pd.Series([one[name] for one in judged], index=samples.index, dtype=samples[name].dtype)
        for name in (judged[0] if judged else ())
    }
    return samples.assign(**columns)


def _report(results: RunResults, samples: pd.DataFrame, without_lm_eval: bool) -> RescoreReport:
    old = results.samples
    by_benchmark = samples.groupby("benchmark", sort=False, observed=True)

    def changed(name: str) -> dict[str, int]:
        differs = old[name].ne(samples[name])
        return {str(key): int(differs[group.index].sum()) for key, group in by_benchmark}

    scorers = {one.scorer for entry in results.entries for one in entry.evaluations}
    return RescoreReport(
        n={str(key): len(group) for key, group in by_benchmark},
        changes=tuple(_changes(old, samples)),
        accuracy_strict=changed("accuracy_strict"),
        format_valid=changed("format_valid"),
        same_scorer=scorers == {scorer_digest()},
        without_lm_eval=without_lm_eval,
    )


def _changes(old: pd.DataFrame, new: pd.DataFrame) -> Iterator[Change]:
    import pandas as pd

    differs = old["accuracy"].ne(new["accuracy"])
    for before, after in zip(_rows(old[differs]), _rows(new[differs]), strict=True):
        yield Change(
            entry=after.entry,
            seed=None if pd.isna(after.seed) else int(after.seed),
            benchmark=after.benchmark,
            sample_id=after.sample_id,
            sample_index=int(after.sample_index),
            before=bool(before.accuracy),
            after=bool(after.accuracy),
            extracted_before=None if pd.isna(before.extracted) else before.extracted,
            extracted=None if pd.isna(after.extracted) else after.extracted,
        )


def _write(folder: Path, results: RunResults) -> None:
    """Writes the results; until the new files are whole, the old ones stay beside them."""
    there = [path for name in _FILES if (path := folder / name).is_file()]
    if there:
        with whole_folder(folder / KEPT, sealed=False) as partial:
            for path in there:
                shutil.copy2(path, partial / path.name)
    more = (results.curves, results.config, results.declared)
    write_results(folder, results.provenance, results.entries, results.samples, *more)
    shutil.rmtree(folder / KEPT, ignore_errors=True)


def _put_back(folder: Path) -> None:
    """An earlier rescoring was interrupted: its new files may not belong together."""
    kept = folder / KEPT
    for path in kept.iterdir():
        shutil.copy2(path, folder / path.name)
    shutil.rmtree(kept)

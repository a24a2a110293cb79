"""A declared study: its file is what is run, and its document says what its figures say."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from leaderboards import build_board, read_outcomes, write_results
from leaderboards.results.merge import merge_runs
from leaderboards.results.schema import Declared, Entry, Evaluation, Sample
from studies.declared.declaration import FOLDER, Study, read_study
from studies.declared.document import write_document
from studies.declared.pooling import pool
from studies.declared.running import run_study
from studies.study import publish
from tasks.benchmarks import load_benchmark
from tasks.errors import InputError

DOCS = Path(__file__).parents[2] / "docs"
CELLS = ("world_number", "world_number_gap1")
ARMS = ("sft-tag", "sft-tag-x2", "sftkey-tag")
CLAIM = "sftkey-tag > sft-tag-x2 on accuracy"
NUM_QUESTIONS = 150
SMALL = {
    "question": "Does it help?",
    "claim": CLAIM,
    "control": "sft-tag-x2",
    "margin": 1,
    "exclusions": "Nothing is left out.",
    "run": {"model": "embedded", "limit": 8, "train": {"batch_size": 4}},
    "groups": {"short": {"cells": list(CELLS), "train": {"amount": 3}, "chosen_on": "world_number_gap1"}},
    "choice": {"seeds": 1, "limit": 6, "grid": {"learning_rate": [1e-4, 3e-4]}},
    "arms": [{"seeds": 3, "variants": list(ARMS)}, {"seeds": 2, "variants": ["answer-weighted"]}],
    "contrasts": {"gap 1 − gap 0": {"more": ["world_number_gap1"], "less": ["world_number"]}},
    "limits": ["It is small."],
}
Share = Callable[[str, str], float]


def declared(folder: Path, **changes: object) -> Study:
    (folder / "small.yaml").write_text(yaml.safe_dump(SMALL | changes, allow_unicode=True), encoding="utf-8")
    return read_study("small", folder / "runs", folder)


def fill(study: Study, accuracy: Share, key: Share) -> None:
    """Stores results as if the study had been run: `accuracy` and `key` accuracy of each arm in each cell."""
    rng = np.random.default_rng(3)
    for number, arms in enumerate(study.declaration.arms):
        for cell in CELLS:
            names = [("base", None), *((name, seed) for name in arms.variants for seed in range(arms.seeds))]
            samples = [
                sample(name, seed, cell, i, bool(right), bool(after))
                for name, seed in names
                for i, (right, after) in enumerate(
                    zip(
                        rng.random(NUM_QUESTIONS) < accuracy(name, cell),
                        rng.random(NUM_QUESTIONS) < key(name, cell),
                        strict=True,
                    )
                )
            ]
            claims = [Declared(CLAIM, f"of {cell}", f"2026-01-0{1 + CELLS.index(cell)}", True, 3)]
            folder = study.run_folder(cell, number)
            entries = [entry(*name, cell) for name in names]
            told = claims if number == 0 else []
            write_results(folder, {"cpu": "a processor", "cell": cell}, entries, samples, declared=told)


def sample(name: str, seed: int | None, cell: str, i: int, right: bool, after: bool) -> Sample:
    return Sample(
        name, "embedded", seed, cell, f"{cell}-{i}", 0, "?", "4", "4", None, "4" if right else None, right,
        right, True, 0.3 + 0.7 * right, False, (), "stop", 3, 4, key=after, bits_gold=float(not after),
        reasoning=True,
    )  # fmt: skip


def entry(name: str, seed: int | None, cell: str) -> Entry:
    digest = "base" if seed is None else f"{name} {seed} {cell}"
    role = "base" if seed is None else "trained"
    evaluation = Evaluation(cell, NUM_QUESTIONS, f"data of {cell}", "hf", "float32", 3, 4, 1.0, {})
    of = "full" if seed is not None else None
    return Entry(name, "embedded", role, seed, "paper", True, of, digest, digest, None, (evaluation,))


def document(study: Study) -> str:
    runs = [read_outcomes(folder) for folder in pool(study)]
    board = build_board(runs, reference=study.declaration.control, margin=study.declaration.margin / 100)
    path = study.out / "study.md"
    write_document(study, board, merge_runs(runs), path)
    return path.read_text(encoding="utf-8")


def chosen(study: Study) -> None:
    """A sweep's ledger, which the document shows."""
    folder = study.choosing("short").out
    folder.mkdir(parents=True)
    found = [
        {"variant": name, "point": {"learning_rate": 1e-4}, "metric": 0.5, "chosen": True} for name in ARMS
    ]
    (folder / "sweep.json").write_text(json.dumps(found))


@pytest.mark.parametrize(
    ("method", "says"), [(0.8, "Yes, confirmed"), (0.3, "No, refuted"), (0.56, "Undecided")]
)
def test_the_answer_falls_as_the_figures_do(tmp_path: Path, method: float, says: str) -> None:
    study = declared(tmp_path)
    fill(study, lambda name, cell: method if name == "sftkey-tag" else 0.55, lambda name, cell: 0.7)
    chosen(study)
    text = document(study)
    assert f"Is sftkey-tag better than sft-tag-x2 on accuracy over all 2 benchmarks? {says}" in text
    assert "This was claimed before training" in text
    assert hashlib.sha256((tmp_path / "small.yaml").read_bytes()).hexdigest() in text
    assert "with 3 seeds; `answer-weighted` with 2 seeds" in text


def test_a_gain_in_the_answer_alone_is_told_from_one_in_the_reasoning(tmp_path: Path) -> None:
    study = declared(tmp_path)
    gap1 = "world_number_gap1"

    def key(name: str, cell: str) -> float:
        return 0.9 if (name, cell) == ("sftkey-tag", gap1) else 0.5

    fill(study, lambda name, cell: 0.5, key)
    chosen(study)
    runs = [read_outcomes(folder) for folder in pool(study)]
    board = build_board(runs, reference="sft-tag-x2")
    row = next(row for row in board.rows if row.name == "sftkey-tag")
    changes = {cell.benchmark: cell.key.difference for cell in row.cells if cell.key}
    assert changes[gap1] is not None
    assert changes[gap1].low > 0.3
    lines = [line.split(" | ") for line in document(study).splitlines() if "gap 1 − gap 0" in line]
    found = {line[0].strip("| `"): line for line in lines}
    mean, p = found["sftkey-tag"][4], found["sftkey-tag"][5].strip(" |").removeprefix("< ")
    assert float(mean.split(" ")[0].replace("−", "-")) == pytest.approx(40, abs=8)
    assert float(p) < 0.05
    assert float(found["answer-weighted"][5].strip(" |")) > 0.05


def test_cells_are_pooled_and_a_claim_is_as_old_as_its_last_record(tmp_path: Path) -> None:
    study = declared(tmp_path)
    fill(study, lambda name, cell: 0.5, lambda name, cell: 0.5)
    first, others = (read_outcomes(folder) for folder in pool(study))
    by_name = {(one.name, one.seed): one for one in first.entries}
    assert by_name["base", None].digest == "base"
    assert by_name["sft-tag", 0].digest != by_name["sft-tag", 1].digest
    assert by_name["sft-tag", 0].checkpoint == "2 checkpoints, one a cell"
    assert [one.benchmark for one in by_name["sft-tag", 0].evaluations] == list(CELLS)
    [claim] = first.declared
    assert (claim.claim, claim.at, claim.before) == (CLAIM, "2026-01-02", True)
    assert not others.declared
    assert study.digest in first.provenance["declaration"]


def test_what_was_not_run_is_said(tmp_path: Path) -> None:
    study = declared(tmp_path)
    fill(study, lambda name, cell: 0.5, lambda name, cell: 0.5)
    chosen(study)
    (study.run_folder("world_number_gap1", 1) / "results.json").unlink()
    text = document(study)
    assert "Not run, of the cells that were declared: `world_number_gap1`." in text
    assert "gap 1 − gap 0" not in text


@pytest.mark.parametrize("path", FOLDER.glob("*.yaml"), ids=lambda path: path.stem)
def test_what_is_declared_can_be_run(path: Path, tmp_path: Path) -> None:
    study = read_study(path.stem, tmp_path)
    assert study.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert study.declaration.arms[0].seeds >= 4
    for group, own in study.declaration.groups.items():
        for name in (name for cell in own.cells for name in cell.split(",")):
            made = study.declaration.data.get(name)
            load_benchmark(made.of if made else name)
        if own.chosen_on:
            assert set(study.choosing(group).variants) == {*study.declaration.variants}
            assert study.choosing(group).per_variant == {}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"contrasts": {"odd": {"more": ["gsm8k"], "less": ["world_number"]}}}, "gsm8k, which is no cell"),
        ({"arms": [{"seeds": 0, "variants": ["sft"]}]}, "seeds"),
        ({"arms": [{"seeds": 1, "variants": ["sft-tagg"]}]}, "did you mean 'sft-tag'"),
        ({"clam": "x"}, "claim"),
    ],
)
def test_a_faulty_declaration_is_one_line(tmp_path: Path, changes: dict[str, object], expected: str) -> None:
    with pytest.raises(InputError, match=expected) as caught:
        declared(tmp_path, **changes)
    assert "\n" not in str(caught.value)


def test_a_study_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="did you mean 'world'"):
        read_study("wold", tmp_path)


@pytest.mark.heavy
def test_a_study_runs_from_its_file_to_its_board(tmp_path: Path) -> None:
    study = declared(tmp_path, orientation={"benchmarks": ["world_choice"], "limit": 4})
    run_study(study, 2)
    before = {path: path.stat().st_mtime_ns for path in study.out.rglob("results.json")}
    assert len(before) >= 4
    run_study(study, 2)  # nothing is done twice
    assert {path: path.stat().st_mtime_ns for path in study.out.rglob("results.json")} == before
    publish(study, tmp_path)
    text = (tmp_path / "docs" / "study_small.md").read_text(encoding="utf-8")
    assert "claimed before training" in text
    asked = text.partition("## For orientation")[2].partition("##")[0]
    assert all(f"| `{name}` |" in asked for name in ("untrained", *ARMS, "answer-weighted"))
    assert (tmp_path / "leaderboards" / "published" / "small" / "leaderboard.html").is_file()


@pytest.mark.heavy
def test_a_command_that_fails_says_where_its_log_is(tmp_path: Path) -> None:
    study = declared(tmp_path, run=SMALL["run"] | {"model": str(tmp_path / "none")}, choice=None, groups={
        "short": {"cells": ["world_number"], "train": {"amount": 3}}
    }, contrasts={})  # fmt: skip
    with pytest.raises(InputError, match="train-and-eval ended with"):
        run_study(study, 1)


@pytest.mark.parametrize("path", FOLDER.glob("*.yaml"), ids=lambda path: path.stem)
def test_what_was_published_is_what_was_declared(path: Path) -> None:
    document = DOCS / f"study_{path.stem}.md"
    if not document.exists():
        pytest.skip("declared, and not run yet")
    assert hashlib.sha256(path.read_bytes()).hexdigest() in document.read_text(encoding="utf-8")

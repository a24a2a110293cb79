"""Where a command may write: into what can be made, never over what it reads or others keep."""

from pathlib import Path

import pytest

from harness.config import Config, dump_config
from harness.outputs import (
    check_card_file,
    check_folder,
    check_report_folder,
    check_run_folder,
    refuse_nesting,
)
from tasks.errors import InputError


def made(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("{}")
    return root


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["model.safetensors"], "holds a model"),
        (["config.json"], "holds a model"),
        (["adapter_config.json"], "holds a model"),
        (["gsm8k/test.jsonl"], "holds benchmark data"),
        (["generations.sqlite"], "holds a store"),
        (["config.yaml"], "its config.yaml was written by no run"),
        (["results.json"], "its results.json was written by no run"),
        (["leaderboard/index.html"], "its leaderboard was written by no run"),
    ],
)
def test_a_run_is_not_mixed_with_what_others_keep(tmp_path: Path, names: list[str], said: str) -> None:
    folder = made(tmp_path / "there", *names)
    with pytest.raises(InputError, match=f"^--out .*there: {said}"):
        check_run_folder(folder)
    assert sorted(path.name for path in folder.rglob("*") if path.is_file()) == [
        name.rpartition("/")[2] for name in names
    ]


def test_a_run_goes_on_in_its_own_folder_and_beside_strangers(tmp_path: Path) -> None:
    check_run_folder(made(tmp_path / "strange", "README.md", "src/main.py"))
    check_run_folder(made(tmp_path / "mine", "results.json", "samples.parquet"))
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "config.yaml").write_text(dump_config(Config()))
    check_run_folder(tmp_path / "begun")
    check_run_folder(tmp_path / "new" / "deep" / "down")
    assert not (tmp_path / "new").exists()


def test_nothing_is_written_within_a_store(tmp_path: Path) -> None:
    made(tmp_path / "store", "stages/key/model.safetensors")
    for inside in ("stages", "stages/mine", "evaluations"):
        with pytest.raises(InputError, match="within a store"):
            check_run_folder(tmp_path / "store" / inside)
        with pytest.raises(InputError, match="within a store"):
            check_report_folder(tmp_path / "store" / inside)


def test_a_report_takes_no_place_of_a_run(tmp_path: Path) -> None:
    run = made(tmp_path / "run", "results.json", "samples.parquet")
    with pytest.raises(InputError, match="is what is read"):
        check_report_folder(run, [run])
    with pytest.raises(InputError, match="holds a run's results"):
        check_report_folder(run)
    with pytest.raises(InputError, match=r"its manifest\.json belongs to no report"):
        check_report_folder(made(tmp_path / "extension", "manifest.json"))
    check_report_folder(run / "leaderboard", [run])
    check_report_folder(made(tmp_path / "board", "manifest.json", "leaderboard.json"))


def test_a_rescoring_lies_beside_its_run(tmp_path: Path) -> None:
    run = made(tmp_path / "runs" / "a", "results.json")
    for out in (run, run / "again", tmp_path / "runs", tmp_path / "runs" / "b" / ".." / "a"):
        with pytest.raises(InputError, match="or around it"):
            refuse_nesting(out, [run])
    refuse_nesting(tmp_path / "runs" / "b", [run])


def test_a_card_replaces_a_card_alone(tmp_path: Path) -> None:
    made(tmp_path, "model.safetensors", "results.json", "README.md")
    for name in ("model.safetensors", "results.json", "."):
        with pytest.raises(InputError, match="is there and is no card"):
            check_card_file(tmp_path / name)
    check_card_file(tmp_path / "README.md")
    check_card_file(tmp_path / "new" / "card.txt")


def test_a_link_that_leads_nowhere_is_no_place(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for folder in (tmp_path / "link", tmp_path / "link" / "run"):
        with pytest.raises(InputError, match="link is a link that leads nowhere; name another folder"):
            check_folder(folder)
    (tmp_path / "nowhere").mkdir()
    check_folder(tmp_path / "link" / "run")

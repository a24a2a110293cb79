"""A run's folder belongs to one process at a time, whose steps may be nested in each other."""

import subprocess
import sys
from pathlib import Path

import pytest

from harness.config import Config, load_config
from harness.files import locked, run_folder
from tasks.errors import InputError
from tasks.files import cache_dir


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return load_config(flags={"out": tmp_path / "run"})


def test_a_step_within_the_whole_run_goes_on_and_leaves_the_lock(config: Config) -> None:
    with run_folder(config):
        with run_folder(config):
            assert load_config(config.out / "config.yaml") == config
        with pytest.raises(InputError, match="another run works in this folder"), locked(config.out):
            pass
    with locked(config.out):
        pass


def test_another_process_is_kept_out(config: Config) -> None:
    code = (
        "import sys; from pathlib import Path; from harness.files import locked\n"
        "with locked(Path(sys.argv[1])): print('in')\n"
    )
    another = [sys.executable, "-c", code, str(config.out)]
    with run_folder(config):
        done = subprocess.run(another, capture_output=True, text=True)
        assert "another run works in this folder; wait for it or use --out" in done.stderr
    assert subprocess.run(another, capture_output=True, text=True, check=True).stdout == "in\n"


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(InputError, match=r"cannot be written .*; use another --out"),
        locked(tmp_path / "file"),
    ):
        pass


@pytest.mark.parametrize("broken", ["a file", "in a file"])
def test_a_cache_that_cannot_be_used_is_named(harness, tmp_path: Path, broken: str) -> None:
    cache = tmp_path / "cache"  # where the fixture's HARNESS_CACHE is
    cache.write_text("") if broken == "a file" else cache.mkdir()
    if broken != "a file":
        (cache / "corpora").write_text("")
    quick = ("--quick", "--out", tmp_path / "run")
    for command in (("train-and-eval", *quick, "--dry-run"), ("train", *quick)):
        done = harness(*command)
        assert done.returncode == 2, done.stderr
        assert f"the cache is {cache}: set HARNESS_CACHE to a folder that can be written" in done.stderr


def test_a_cache_needs_a_home_or_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    import pwd

    def nobody(_: int) -> None:
        raise KeyError

    for name in ("HOME", "HARNESS_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    with pytest.raises(InputError, match="set HARNESS_CACHE to a folder"):
        cache_dir()

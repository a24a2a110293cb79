"""`import harness`: what it offers is loaded when it is used, and the example of the documentation runs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import harness

DOCUMENT = Path(__file__).parents[2] / "docs" / "python_api.md"


def test_every_name_is_there_and_documented() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for name in harness.__all__:
        assert getattr(harness, name) is not None
        assert name in text, name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        harness.nothing  # noqa: B018


def test_importing_it_loads_nothing_else() -> None:
    code = (
        "import sys, harness\n"
        "floors = {'tasks', 'leaderboards', 'sftkey_train'}\n"
        "heavy = {'torch', 'transformers', 'datasets', 'vllm', 'lm_eval', 'pandas', 'numpy', 'pydantic'}\n"
        "print({name.partition('.')[0] for name in sys.modules} & (floors | heavy))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_what_plans_a_run_needs_no_torch_of_its_configuration() -> None:
    code = (
        "import sys, harness\n"
        "harness.load_config(settings=['seeds=1'])\n"
        "print({'torch', 'transformers', 'datasets', 'vllm', 'lm_eval', 'openai'} & set(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.heavy
def test_the_example_of_the_documentation_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    space: dict[str, object] = {}
    for code in re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), flags=re.S):
        exec(compile(code, str(DOCUMENT), "exec"), space)
    printed = capsys.readouterr().out
    assert "sftkey-tag: " in printed
    assert "open runs/quick/leaderboard/leaderboard.html" in printed
    assert printed.strip().splitlines()[-1] == "True True 19"
    assert (tmp_path / "runs/quick/leaderboard/leaderboard.json").is_file()

"""`harness diff` as a user meets it: what it prints, safely, and its one-line errors."""

import dataclasses
import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from harness.commands.diff import print_differences, print_samples, shortened, visible
from leaderboards.diff import DifferingSamples, compare, read_samples
from leaderboards.results.schema import Entry, Evaluation, Sample
from leaderboards.results.store import write_results
from leaderboards.sides import find_sides

EVIL = "<Thinking>[red]2 + 2[/red]\x1b[31m\r\x08\u202e" + "so " * 400 + "</Thinking><Answer>{}</Answer>"


def evaluation() -> Evaluation:
    return Evaluation(
        benchmark="gsm8k", n=4, data_digest="d", engine="hf", dtype="float32", prompt_tokens=4,
        output_tokens=4, wall_seconds=1.0, generation={"temperature": 0.0}, kind="number",
    )  # fmt: skip


def entry(name: str, seed: int) -> Entry:
    return Entry(
        name=name, model="tiny", role="trained", seed=seed, tags="thinking-answer", tagged=True,
        method="full", checkpoint=f"{name}-{seed}", digest=f"{name}-{seed}", training=None,
        evaluations=(evaluation(),),
    )  # fmt: skip


def row(name: str, seed: int, number: int) -> Sample:
    """`left` is right on the questions 0 and 1, `right` on 1 and 2, and nobody on 3."""
    is_right = number in ((0, 1) if name == "left" else (1, 2))
    return Sample(
        entry=name, model="tiny", seed=seed, benchmark="gsm8k", sample_id=f"q{number}", sample_index=0,
        prompt=f"Question {number}?\nAnswer:", output=EVIL.format(4 if is_right else 5), gold="4",
        choices=None, extracted="4" if is_right else "5", accuracy=is_right, accuracy_strict=is_right,
        format_valid=number != 2, score=1.0, truncated=number == 2,
        defects=("extra_text",) if number == 2 else (), finish_reason="stop", prompt_tokens=4,
        output_tokens=40,
    )  # fmt: skip


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("diff") / "run"
    names, seeds = ("left", "right"), (0, 1)
    entries = [entry(name, seed) for name in names for seed in seeds]
    write_results(folder, {}, entries, [row(n, s, q) for n in names for s in seeds for q in range(4)])
    return folder


def printed(stored: Path, width: int, full: bool = False) -> str:
    a, b = find_sides("left", "right", [stored])
    found = compare(a, b)
    console = Console(width=width, file=io.StringIO(), color_system=None, legacy_windows=False)
    print_differences(a, b, found, "differing", console)
    print_samples(read_samples(a, b, found.spots), (a.name, b.name), full, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [80, 160])
def test_it_shows_counts_tests_and_both_outputs(stored: Path, width: int) -> None:
    text = printed(stored, width)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert f"A left · tiny, seeds 0, 1 ({stored})" in lines
    assert any(line.startswith("gsm8k 2 2 2 2 0.0 [") for line in lines)
    assert any(line.startswith("gsm8k 0:1.00 1:1.00 6/8 6/8 2 2") for line in lines)
    assert "2 questions on which one is right and the other wrong" in lines
    assert "1 gsm8k · q0 · only A is right · in 2 of 2 pairs, here seeds 0" in lines
    assert "prompt Question 0? ⏎ Answer:" in lines
    assert "gold 4" in lines
    for verdict in ("right, format valid, 40 tokens", "wrong, format valid, 40 tokens"):
        assert verdict in " ".join(lines)
    assert "format broken (extra_text), cut at the token limit, 40 tokens" in " ".join(
        " ".join(lines).split()
    )
    assert ("A left B right" in lines) == (width == 160)
    body = text.splitlines()[2:]
    assert max(map(len, body)) <= width


def test_what_a_model_wrote_is_shown_and_not_interpreted(stored: Path) -> None:
    for full in (False, True):
        text = printed(stored, 160, full)
        assert not set(text) & {"\x1b", "\r", "\x08", "\u202e"}
        assert "[red]2 + 2[/red]" in text
        assert "␛[31m" in text
        assert "\\u202e" in text
    assert "characters) …" in printed(stored, 80)
    assert "characters) …" not in printed(stored, 80, full=True)


def test_texts_are_shortened_in_the_middle_and_made_visible() -> None:
    assert shortened("abc", 3) == "abc"
    assert shortened("a" * 50 + "z" * 50, 10) == "aaaaaa … (90 characters) … zzzz"
    assert visible("a\nb\tc", "joined") == "a ⏎ b␉c"
    assert visible("a\nb\x7f\u200b", "kept") == "a\nb␡\\u200b"


def test_a_differing_prompt_and_hidden_choices_are_shown(stored: Path) -> None:
    a, b = find_sides("left", "right", [stored])
    [sample, *_] = read_samples(a, b, compare(a, b).spots)
    changed = DifferingSamples(
        sample.spot,
        dataclasses.replace(sample.a, choices=("ten", "two")),
        dataclasses.replace(sample.b, prompt="Another?", judge=True),
    )
    console = Console(width=80, file=io.StringIO(), color_system=None)
    print_samples([changed], ("left", "right"), False, console)
    assert isinstance(console.file, io.StringIO)
    text = " ".join(console.file.getvalue().split())
    assert "prompt B Another?" in text
    assert "choices A. ten; B. two" in text
    assert "wrong, the judge says right" in text


def test_the_command_prints_text_and_json(harness, stored: Path) -> None:
    done = harness("diff", "left", "right", "--run", stored, "--limit", "1")
    assert done.returncode == 0, done.stderr
    assert "1 of 2 shown; --limit N shows more" in done.stdout
    done = harness("diff", f"{stored}:left", f"{stored}:right", "--only", "b", "--json")
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    assert data["a"] == {"entry": "left", "model": "tiny", "seeds": [0, 1], "runs": [str(stored)]}
    assert data["benchmarks"][0]["only_b"] == 2
    [sample] = data["samples"]
    assert (sample["spot"]["sample_id"], sample["a"]["accuracy"], sample["b"]["accuracy"]) == (
        "q2",
        False,
        True,
    )
    assert sample["b"]["output"] == EVIL.format(4)


def test_bad_input_is_one_line_and_exit_code_2(harness, stored: Path) -> None:
    done = harness("diff", "left", "right", "--only", "bothwrong", "--run", stored)
    assert done.returncode == 2
    assert done.stderr == "error: --only bothwrong: did you mean 'both-wrong'?\n"

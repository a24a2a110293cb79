"""`harness score`: outputs made elsewhere, judged by the one scorer."""

import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness.score import print_report, score_file
from tasks.errors import InputError
from tasks.tags import DEFECTS


def write(path: Path, *rows: Any) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def row(output: str, gold: Any = "18", **more: Any) -> dict[str, Any]:
    return {"id": f"{output}/{gold}", "output": output, "gold": gold, **more}


def test_figures_are_shares_of_all_lines(tmp_path: Path) -> None:
    path = write(
        tmp_path / "o.jsonl",
        row("<Thinking>r</Thinking><Answer>18</Answer>"),
        row("<Thinking>r</Thinking><Answer>17</Answer>"),
        row("It is 18"),
        row("<Thinking>so 18", finish_reason="length"),
    )
    report = score_file(path, "number", "thinking-answer")
    assert (report.n, report.accuracy, report.accuracy_strict, report.format_valid) == (4, 0.5, 0.25, 0.5)
    assert report.score == pytest.approx(0.7 * 0.5 + 0.3 * 0.5)
    assert report.truncated == 1
    assert report.defects == dict.fromkeys(DEFECTS, 0) | {
        "no_tags": 1,
        "unclosed_thinking": 1,
        "truncated": 1,
    }


def test_the_json_has_every_figure(tmp_path: Path) -> None:
    report = json.loads(score_file(write(tmp_path / "o.jsonl", row("#### 18")), "number").to_json())
    assert list(report) == [
        "n",
        "accuracy",
        "accuracy_strict",
        "format_valid",
        "score",
        "truncated",
        "defects",
    ]
    assert set(report["defects"]) == set(DEFECTS)


@pytest.mark.parametrize("gold", [18, 18.0, "18", "9 * 2 = 18\n#### 18", "$18"])
def test_a_gold_is_a_number_a_text_or_a_solution(tmp_path: Path, gold: Any) -> None:
    assert score_file(write(tmp_path / "o.jsonl", row("A: 18", gold)), "number").accuracy == 1.0


def test_choices_help_where_they_exist(tmp_path: Path) -> None:
    path = write(
        tmp_path / "o.jsonl",
        row("The answer is a tundra.", "B", choices=["a marsh", "a tundra"]),
        row("The answer is a tundra.", "a tundra", choices=["a marsh", "a tundra"]),
        row("(B)", "B"),
    )
    assert score_file(path, "choice").accuracy == 1.0


def test_latex_is_judged(tmp_path: Path) -> None:
    path = write(tmp_path / "o.jsonl", row("So $\\boxed{0.5}$", "\\frac{1}{2}"), row("So $2$", "3"))
    assert score_file(path, "latex").accuracy == 0.5


def test_samples_carry_the_verdicts(tmp_path: Path) -> None:
    path = write(tmp_path / "o.jsonl", row("#### 18", "so\n#### 18"), row("17", truncated=True))
    score_file(path, "number", samples_path=tmp_path / "s.jsonl")
    first, second = (json.loads(line) for line in (tmp_path / "s.jsonl").read_text().splitlines())
    assert first == {
        **{"id": "#### 18/so\n#### 18", "correct": True, "correct_strict": True, "format_valid": False},
        **{"extracted": "18", "gold": "18", "defects": ["no_tags"], "truncated": False, "score": 0.7},
    }
    assert (second["correct"], second["extracted"], second["truncated"]) == (False, None, True)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("{", "invalid JSON"),
        ({"id": "a", "output": "x"}, "field 'gold' is missing"),
        ({"id": "a", "output": 1, "gold": "x"}, "field 'output' must be a text"),
        ({"id": "a", "output": "x", "gold": None}, "field 'gold' must be"),
        ({"id": "a", "output": "x", "gold": "A", "choices": "AB"}, "field 'choices' must be"),
        ({"id": "a", "output": "x", "gold": "A", "truncated": "no"}, "field 'truncated' must be"),
        ({"id": None, "output": "x", "gold": "A"}, "field 'id' must be"),
    ],
)
def test_a_faulty_line_is_named(tmp_path: Path, line: Any, complaint: str) -> None:
    with pytest.raises(InputError, match=rf"o\.jsonl:2: {complaint}"):
        score_file(write(tmp_path / "o.jsonl", row("#### 18"), line), "number")


def test_faulty_requests_are_named(tmp_path: Path) -> None:
    path = write(tmp_path / "o.jsonl", row("18"))
    with pytest.raises(InputError, match="no outputs"):
        score_file(write(tmp_path / "empty.jsonl"), "number")
    with pytest.raises(InputError, match="alpha is 2"):
        score_file(path, "number", alpha=2)
    with pytest.raises(InputError, match="did you mean 'think-answer'"):
        score_file(path, "number", "think_answer")
    with pytest.raises(InputError, match="cannot be written"):
        score_file(path, "number", samples_path=tmp_path / "no" / "s.jsonl")


def test_the_table_shows_every_figure(tmp_path: Path) -> None:
    console = Console(record=True, width=80)
    print_report(score_file(write(tmp_path / "o.jsonl", row("#### 18")), "number"), console)
    text = console.export_text()
    assert "1 outputs" in text
    assert all(name in text for name in ("accuracy", "accuracy_strict", "0.7000", *DEFECTS))

"""`harness score`: outputs made elsewhere, judged by the one scorer."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness.commands.score import fitting_format, print_report, score_file
from leaderboards.results.schema import Sample
from tasks.errors import InputError
from tasks.scoring import many
from tasks.scoring.many import Agreement
from tasks.scoring.math_verify import MATH_VERIFY
from tasks.tags import DEFECTS


def write(path: Path, *rows: Any) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def row(output: str, gold: Any = "18", **more: Any) -> dict[str, Any]:
    return {"id": f"{output}/{gold}", "output": output, "gold": gold, **more}


def test_undecided_verdicts_are_counted_and_stand_in_their_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MATH_VERIFY, "equal", lambda gold, answer: None)
    path = write(tmp_path / "o.jsonl", row("\\boxed{\\ln (ab)}", "\\ln a+\\ln b"), row("\\boxed{3}", "3"))
    report = score_file(path, "latex", "boxed", tmp_path / "s.jsonl")
    assert (report.n, report.accuracy, report.undecided) == (2, 0.5, 1)
    rows = [json.loads(line) for line in (tmp_path / "s.jsonl").read_text().splitlines()]
    assert [each["undecided"] for each in rows] == [True, False]


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
        "undecided",
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
        **{"id": "#### 18/so\n#### 18", "accuracy": True, "accuracy_strict": True, "format_valid": False},
        **{
            "extracted": "18",
            "gold": "18",
            "defects": ["no_tags"],
            "truncated": False,
            "undecided": False,
            "score": 0.7,
        },
    }
    assert (second["accuracy"], second["extracted"], second["truncated"]) == (False, None, True)


def test_workers_change_nothing_and_keep_the_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many, "ALONE_SECONDS", 0.0)
    path = write(tmp_path / "o.jsonl", *({**row(f"#### {i % 5}", "3"), "id": i} for i in range(300)))
    reports = [
        score_file(path, "number", "gsm8k", tmp_path / f"{workers}.jsonl", workers=workers)
        for workers in (1, 2)
    ]
    assert reports[0] == reports[1]
    assert reports[0].accuracy == 0.2
    one, two = ((tmp_path / f"{workers}.jsonl").read_text() for workers in (1, 2))
    assert one == two
    assert [json.loads(line)["id"] for line in two.splitlines()] == list(range(300))


def test_labels_of_others_are_compared(tmp_path: Path) -> None:
    labelled = [("18", True), ("18", False), ("17", False), ("17", False), ("16", None)]
    rows = [row(f"It is {n}", **({} if right is None else {"correct": right})) for n, right in labelled]
    path = write(tmp_path / "o.jsonl", *rows)
    report = score_file(path, "number", samples_path=tmp_path / "s.jsonl", label="correct")
    assert report.label == Agreement(4, 0.75, pytest.approx(0.5))
    assert json.loads(report.to_json())["label"] == {"n": 4, "agreement": 0.75, "kappa": pytest.approx(0.5)}
    samples = [json.loads(line) for line in (tmp_path / "s.jsonl").read_text().splitlines()]
    assert [sample.get("label_agrees") for sample in samples] == [True, False, True, True, None]
    console = Console(record=True, width=80)
    print_report(report, console)
    assert "0.7500" in console.export_text()


def test_a_prompt_may_open_the_reasoning(tmp_path: Path) -> None:
    output = "9 * 2</think><answer>18</answer>"
    path = write(
        tmp_path / "o.jsonl",
        row(output, prompt="9 * 2?<think>\n"),
        row(output, prompt="9 * 2?"),
        row("it is 18", prompt="9 * 2?<think>\n"),
        row(output, prompt=[{"role": "user", "content": "9 * 2?"}]),
    )
    report = score_file(path, "number", "think-answer")
    assert (report.accuracy, report.format_valid) == (0.75, 0.25)


def test_a_tag_format_may_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("answer_open: '[['\nanswer_close: ']]'\n")
    report = score_file(write(tmp_path / "o.jsonl", row("[[18]]")), "number", str(tmp_path / "own.yaml"))
    assert (report.accuracy_strict, report.format_valid) == (1.0, 1.0)


def test_a_faulty_file_leaves_no_samples(tmp_path: Path) -> None:
    path = write(tmp_path / "o.jsonl", row("18"), "{")
    (tmp_path / "s.jsonl").write_text("earlier")
    with pytest.raises(InputError):
        score_file(path, "number", samples_path=tmp_path / "s.jsonl")
    assert (tmp_path / "s.jsonl").read_text() == "earlier"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["o.jsonl", "s.jsonl"]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("{", "invalid JSON"),
        ({"id": "a", "output": "x"}, "field 'gold' is missing"),
        ({"id": "a", "output": 1, "gold": "x"}, "field 'output' must be a text"),
        ({"id": "a", "output": "x", "gold": None}, "field 'gold' must be a text or a number, not null"),
        ({"id": "a", "output": "x", "gold": "A", "choices": "AB"}, "field 'choices' must be"),
        ({"id": "a", "output": "x", "gold": "A", "truncated": "no"}, "field 'truncated' must be"),
        ({"id": None, "output": "x", "gold": "A"}, "field 'id' must be"),
        ({"id": True, "output": "x", "gold": "7"}, "field 'id' must be"),
        ({"id": 1.5, "output": "x", "gold": "7"}, "field 'id' must be"),
        ({"id": ["a"], "output": "x", "gold": "7"}, "field 'id' must be"),
        ({"id": "", "output": "x", "gold": "7"}, "field 'id' must be"),
        ({"id": "a", "output": None, "gold": "7"}, "field 'output' must be"),
        ({"id": "a", "output": "x", "gold": ""}, "field 'gold' must be"),
        ({"id": "a", "output": "x", "gold": ["7"]}, "field 'gold' must be"),
        ({"id": "a", "output": "x", "gold": True}, "field 'gold' must be"),
        ({"id": "a", "output": "x", "gold": "seventh"}, "field 'gold': 'seventh' is no number"),
        ({"id": "a", "output": "x", "gold": "so ####"}, "field 'gold': no answer after ####"),
        ({"id": "a", "output": "x", "gold": "NaN"}, "field 'gold': 'NaN' is no number"),
        ({"id": "a", "output": "x", "gold": "1e999999999"}, "field 'gold': '1e999999999' is no number"),
        ({"id": "a", "output": "x", "gold": "9" * 5000}, "field 'gold': '9{60}…' is no number"),
        ('{"id": "a", "output": "x", "gold": NaN}', "invalid JSON \\(NaN is no number"),
        (
            '{"id": "a", "output": "x", "gold": 1e400}',
            "field 'gold' must be a text or a number, not infinite",
        ),
        ('{"id": "a", "output": "x", "gold": ' + "9" * 5000 + "}", "invalid JSON \\(a number of thousands"),
        ('{"id": "a", "output": "x", "gold": "7", "id": "b"}', "invalid JSON \\(the key 'id' stands twice"),
        ('{"id": "a", "output": "x", "gold": "7", "more": ' + "[" * 99 + "]" * 99 + "}", "invalid JSON"),
        ({"id": "a", "output": "x", "gold": "7", "choices": ["x"]}, "field 'choices' must be"),
        ({"id": "a", "output": "x", "gold": "7", "choices": ["x", " "]}, "field 'choices' must be"),
        ({"id": "a", "output": "x", "gold": "7", "choices": [1, 2]}, "field 'choices' must be"),
        ({"id": "a", "output": "x", "gold": "7", "finish_reason": ["length"]}, "field 'finish_reason' must"),
        ({"id": "a", "output": "x", "gold": "7", "prompt": 7}, "field 'prompt' must be"),
        ({"id": "a", "output": "x", "gold": "7", "sample_index": True}, "field 'sample_index' must be"),
        (row("#### 18", "19", id="#### 18/18"), "id '#### 18/18' stands at line 1 with another gold"),
    ],
)
def test_a_faulty_line_is_named(tmp_path: Path, line: Any, complaint: str) -> None:
    with pytest.raises(InputError, match=rf"o\.jsonl:2: {complaint}"):
        score_file(write(tmp_path / "o.jsonl", row("#### 18"), line), "number")


@pytest.mark.parametrize(
    ("gold", "choices", "complaint"),
    [
        ("purple", ["red", "blue"], "'purple' is no choice; write its letter"),
        ("C", ["red", "blue"], "'C' is no choice"),
        ("A or B", ["red", "blue"], "'A or B' is no choice"),
        ("K", None, "'K' is no choice; write its letter, or add 'choices'"),
        ("A", ["red", "Red."], "the choice 'A' stands twice among the choices"),
    ],
)
def test_a_gold_is_one_of_the_choices(
    tmp_path: Path, gold: str, choices: list[str] | None, complaint: str
) -> None:
    path = write(tmp_path / "o.jsonl", row("A", gold, choices=choices))
    with pytest.raises(InputError, match=f"o.jsonl:1: field 'gold': {complaint}"):
        score_file(path, "choice")


def test_several_outputs_of_a_question_are_counted(tmp_path: Path) -> None:
    drawn = [row("It is 18", id="q", sample_index=0), row("It is 17", id="q", sample_index=1)]
    path = write(tmp_path / "o.jsonl", *drawn, row("It is 18", id="r"))
    report = score_file(path, "number", samples_path=tmp_path / "s.jsonl")
    assert (report.n, report.questions) == (3, 2)
    assert json.loads(report.to_json())["questions"] == 2
    samples = [json.loads(line) for line in (tmp_path / "s.jsonl").read_text().splitlines()]
    assert [sample.get("sample_index") for sample in samples] == [0, 1, None]
    console = Console(record=True, width=80)
    print_report(report, console)
    assert "3 outputs of 2 questions" in console.export_text()
    with pytest.raises(InputError, match=r"o\.jsonl:3: id 'q' stands above with the same sample_index"):
        score_file(write(tmp_path / "o.jsonl", *drawn, drawn[0]), "number")


def test_half_a_character_is_replaced(tmp_path: Path) -> None:
    line = r'{"id": "a", "output": "\ud800 It is 18.", "gold": "18"}'
    assert score_file(write(tmp_path / "o.jsonl", line), "number", samples_path=tmp_path / "s").accuracy == 1


@pytest.mark.parametrize("name", ["o.jsonl", "./o.jsonl", "in/../o.jsonl", "soft", "hard", "fd"])
def test_what_is_read_is_never_written_to(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "o.jsonl", row("18"))
    (tmp_path / "in").mkdir()
    (tmp_path / "soft").symlink_to(path)
    (tmp_path / "hard").hardlink_to(path)
    with path.open() as file:
        samples = Path(f"/proc/self/fd/{file.fileno()}") if name == "fd" else tmp_path / name
        with pytest.raises(InputError, match="is what is read"):
            score_file(path, "number", samples_path=samples)
    assert json.loads(path.read_text())["output"] == "18"


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="/dev/full: cannot be written"):
        score_file(write(tmp_path / "o.jsonl", row("18")), "number", samples_path=Path("/dev/full"))


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
    with pytest.raises(InputError, match="no line has a field 'correct'; check --label"):
        score_file(path, "number", label="correct")
    with pytest.raises(InputError, match="field 'right' must be true or false"):
        score_file(write(tmp_path / "o.jsonl", row("18", right="yes")), "number", label="right")


def test_the_table_shows_every_figure(tmp_path: Path) -> None:
    console = Console(record=True, width=80)
    print_report(score_file(write(tmp_path / "o.jsonl", row("#### 18")), "number"), console)
    text = console.export_text()
    assert "1 outputs" in text
    assert all(name in text for name in ("accuracy", "accuracy_strict", "0.7000", *DEFECTS))


THOUGHT, TAGGED = "<think>9 * 2</think>It is {}.", "<think>9 * 2</think><answer>{}</answer>"


@pytest.mark.parametrize(
    ("outputs", "fitting"),
    [
        ([TAGGED] * 9 + ["It is {}."] * 3, "9 of the first 12 outputs keep to think-answer"),
        ([r"so \boxed{{{}}}"] * 3, "3 of the first 3 outputs keep to boxed; give --tags boxed"),
        (["so\n#### {}"] * 3, "keep to gsm8k"),
        ([THOUGHT] * 3, "keep to think;"),
        ([TAGGED, "It is {}.", "{}"], None),
        (["so\nThe answer is {}."] * 3, None),
        (["<think>{}"] * 3, None),
    ],
)
def test_the_tag_format_that_would_fit_is_told(
    tmp_path: Path, outputs: list[str], fitting: str | None
) -> None:
    rows = [row(output.format(18), id=number) for number, output in enumerate(outputs)]
    said = fitting_format(write(tmp_path / "o.jsonl", *rows))
    assert (said is None) if fitting is None else (said is not None and fitting in said)


def test_the_line_stands_beside_the_json(harness, tmp_path: Path) -> None:
    path = write(tmp_path / "o.jsonl", row(TAGGED.format(18)))
    done = harness("score", path, "--kind", "number", "--json")
    assert json.loads(done.stdout)["n"] == 1
    assert done.stderr == "1 of the first 1 outputs keep to think-answer; give --tags think-answer\n"
    assert harness("score", path, "--kind", "number", "--tags", "none").stderr == ""


def test_columns_of_a_table_may_have_other_names(tmp_path: Path) -> None:
    path = tmp_path / "o.csv"
    head = "number,response,answer,options,truncated,sample_index,ok\n"
    path.write_text(
        head + '007,The answer is B.,B,"[""a"", ""b""]",false,0,True\n007,C,B,"[""a"",""b""]",true,1,false\n'
    )
    fields = "id=number,output=response,gold=answer,choices=options"
    report = score_file(path, "choice", samples_path=tmp_path / "s.jsonl", label="ok", fields=fields)
    assert (report.n, report.questions, report.accuracy, report.truncated) == (2, 1, 0.5, 1)
    assert report.label == Agreement(2, 1.0, 1.0)
    assert json.loads((tmp_path / "s.jsonl").read_text().splitlines()[0])["id"] == "007"
    with pytest.raises(InputError, match=r"o\.csv:2: no column 'respnse'; did you mean 'response'"):
        score_file(path, "choice", fields=fields.replace("response", "respnse"))
    with pytest.raises(InputError, match="unknown field 'question'"):
        score_file(path, "choice", fields="question=number")


def test_report_and_samples_have_the_names_of_stored_samples(tmp_path: Path) -> None:
    path = write(tmp_path / "o.jsonl", row("18"))
    report = json.loads(score_file(path, "number", samples_path=tmp_path / "s.jsonl").to_json())
    shared = set(report) & {one.name for one in dataclasses.fields(Sample)}
    verdicts = {"accuracy", "accuracy_strict", "format_valid", "score"}
    assert {*verdicts, "truncated", "defects", "undecided"} == shared
    assert shared <= set(json.loads((tmp_path / "s.jsonl").read_text()))

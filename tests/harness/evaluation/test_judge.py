"""The judge: what it is asked, how it is read, and what it says beside the rule."""

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fake_server import MODEL, FakeServer, Reply, chat
from rich.console import Console

from harness.commands.options import given_by
from harness.config import JudgeSettings
from harness.engines.api import Completion, ServerSettings
from harness.evaluation.generations import GenerationStore
from harness.evaluation.judge import (
    DIFFERENCES_FILE,
    MAX_CANDIDATE_CHARS,
    JudgeModel,
    JudgePrompt,
    final_part,
    judge_results,
    read_verdict,
)
from harness.progress import Reporter
from leaderboards.results.schema import Entry, Evaluation, Sample
from leaderboards.results.store import read_results, write_results
from leaderboards.results.tables import SAMPLES
from tasks.errors import InputError
from tasks.records import Record
from tasks.scoring import Item, agreement, score
from tasks.tags import get_tag_format

TAGS = "thinking-answer"
RECORDS = [
    Record("a", "How many legs have two cats?", None, None, "8", "text"),
    Record("b", "Which is a planet?", ("Mars", "Moon"), None, "A", "choice"),
    Record("c", "Name a prime between 8 and 12.", None, None, "11", "text"),
    Record("d", "What is $x if $x = 3?", None, None, "3", "text"),
]
OUTPUTS = {
    "a": "<Thinking>4 + 4</Thinking>\n<Answer>eight</Answer>",
    "b": "<Thinking>the Moon is none</Thinking>\n<Answer>A</Answer>",
    "c": "<Thinking>9, 10, 11 no wait",
    "d": "<Thinking>as it says</Thinking>\n<Answer>$4</Answer>",
}


def results() -> list[tuple[Entry, pd.DataFrame]]:
    """One checkpoint with an output for each record, judged by the rule."""
    rows = []
    for record in RECORDS:
        output = OUTPUTS[record.id]
        truncated = record.id == "c"
        verdict = score(Item.of(record, output, get_tag_format(TAGS), truncated=truncated))
        rows.append(
            Sample(
                entry="mine", model="base", seed=None, benchmark="quiz", sample_id=record.id, sample_index=0,
                prompt="", output=output, gold=record.answer, choices=record.choices,
                extracted=verdict.extracted, accuracy=verdict.accuracy,
                accuracy_strict=verdict.accuracy_strict, format_valid=verdict.format_valid,
                score=verdict.score, truncated=truncated,
                defects=verdict.defects, finish_reason="length" if truncated else "stop",
                prompt_tokens=1, output_tokens=1,
            )
        )  # fmt: skip
    evaluation = Evaluation(
        benchmark="quiz", n=len(rows), data_digest="d", engine="hf", dtype="float32", prompt_tokens=4,
        output_tokens=4, wall_seconds=1.0, generation={},
    )  # fmt: skip
    entry = Entry(
        name="mine", model="base", role="external", seed=None, tags=TAGS, tagged=True, method=None,
        checkpoint="mine", digest="x", training=None, evaluations=(evaluation,),
    )  # fmt: skip
    return [(entry, SAMPLES.to_frame(rows))]


def asked(body: dict[str, Any]) -> str:
    return body["messages"][0]["content"]


def by_candidate(verdicts: dict[str, str]) -> Any:
    """A judge whose verdict depends on the candidate it is shown."""

    def answer(body: dict[str, Any]) -> Reply:
        candidate = asked(body).partition("<candidate>\n")[2].partition("\n</candidate>")[0]
        return Reply(chat(content=verdicts[candidate]))

    return answer


SCRIPT = {"eight": "CORRECT", "A": "CORRECT", "$4": "INCORRECT"}


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[GenerationStore]:
    with GenerationStore(tmp_path / "generations.sqlite") as opened:
        yield opened


def settings(server: FakeServer, **how: Any) -> JudgeSettings:
    return JudgeSettings(server=ServerSettings(url=server.url, max_retries=1), **how)


def judged(
    server: FakeServer, store: GenerationStore, run_dir: Path, **how: Any
) -> list[tuple[Entry, pd.DataFrame]]:
    return judge_results(
        results(),
        [TAGS],
        {"quiz": RECORDS},
        settings(server, **how),
        store,
        Reporter(Console(file=io.StringIO())),
        run_dir,
    )


def differences(run_dir: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run_dir / DIFFERENCES_FILE).read_text("utf-8").splitlines()]


# Rule and judge


def test_verdicts_stand_beside_the_rules_and_their_agreement_is_kept(
    tmp_path: Path, store: GenerationStore
) -> None:
    with FakeServer(by_candidate(SCRIPT)) as server:
        ((entry, frame),) = judged(server, store, tmp_path)
    assert list(frame["accuracy"]) == [False, True, False, False]
    assert list(frame["judge"]) == [True, True, False, False]
    (check,) = [evaluation.judge for evaluation in entry.evaluations]
    assert check is not None
    assert (check.n, check.unreadable) == (4, 0)
    found = agreement(zip(frame["accuracy"], frame["judge"], strict=True))
    assert (found.agreement, found.kappa) == (0.75, pytest.approx(0.5))
    assert check.model == f"{MODEL} at {server.url}"
    assert check.prompt_version.startswith("equivalence-1@")


def test_judged_results_are_stored_and_read_back(tmp_path: Path, store: GenerationStore) -> None:
    with FakeServer(by_candidate(SCRIPT)) as server:
        ((entry, frame),) = judged(server, store, tmp_path)
    write_results(tmp_path / "run", {}, [entry], frame)
    stored = read_results(tmp_path / "run")
    assert stored.entries == (entry,)
    assert list(stored.samples["judge"]) == list(frame["judge"])


def test_samples_on_which_they_differ_are_listed(tmp_path: Path, store: GenerationStore) -> None:
    with FakeServer(by_candidate(SCRIPT)) as server:
        judged(server, store, tmp_path)
    assert differences(tmp_path) == [
        {
            "entry": "mine", "model": "base", "seed": None, "benchmark": "quiz", "sample_id": "a",
            "sample_index": 0, "extracted": "eight", "question": "How many legs have two cats?",
            "reference": "8", "candidate": "eight", "rule": False, "judge": True, "said": "CORRECT",
        }
    ]  # fmt: skip


def test_what_cannot_be_read_counts_in_nothing_but_is_listed(tmp_path: Path, store: GenerationStore) -> None:
    with FakeServer(by_candidate({**SCRIPT, "eight": "It depends."})) as server:
        ((entry, frame),) = judged(server, store, tmp_path)
    check = entry.evaluations[0].judge
    assert check is not None
    assert (check.n, check.unreadable) == (4, 1)
    assert frame["judge"].isna().tolist() == [True, False, False, False]
    readable = frame[frame["judge"].notna()]
    found = agreement(zip(readable["accuracy"], readable["judge"], strict=True))
    assert (readable["judge"].mean(), found.agreement, found.kappa) == (pytest.approx(1 / 3), 1.0, 1.0)
    (line,) = differences(tmp_path)
    assert (line["judge"], line["said"]) == (None, "It depends.")


def test_a_judge_of_which_nothing_can_be_read_is_an_error(tmp_path: Path, store: GenerationStore) -> None:
    everything = [(replace(entry), frame[frame["sample_id"] == "a"]) for entry, frame in results()]
    with FakeServer([Reply(chat(content="Let me think."))]) as server:
        reporter = Reporter(Console(file=io.StringIO()))
        with pytest.raises(InputError, match="none of its 1 verdicts on quiz can be read"):
            judge_results(everything, [TAGS], {"quiz": RECORDS}, settings(server), store, reporter, tmp_path)


def test_an_output_that_ends_inside_its_reasoning_is_incorrect_and_not_asked_about(
    tmp_path: Path, store: GenerationStore
) -> None:
    with FakeServer(by_candidate(SCRIPT)) as server:
        judged(server, store, tmp_path)
    assert len(server.bodies) == 3
    assert not any("no wait" in asked(body) for body in server.bodies)


# What is kept


def test_a_second_run_asks_nothing(tmp_path: Path, store: GenerationStore) -> None:
    with FakeServer(by_candidate(SCRIPT)) as server:
        first = judged(server, store, tmp_path)
        server.bodies.clear()
        second = judged(server, store, tmp_path)
    assert server.bodies == []
    pd.testing.assert_frame_equal(first[0][1], second[0][1])
    assert first[0][0] == second[0][0]


def test_with_a_named_model_a_second_run_needs_no_server(tmp_path: Path, store: GenerationStore) -> None:
    with FakeServer(by_candidate(SCRIPT)) as server:
        first = judged(server, store, tmp_path, model=MODEL)
    second = judged(server, store, tmp_path, model=MODEL)
    assert first[0][0] == second[0][0]


def test_an_interrupted_run_asks_for_the_rest_only(tmp_path: Path, store: GenerationStore) -> None:
    def failing(body: dict[str, Any]) -> Reply:
        if "$4" in asked(body):
            return Reply({"error": {"message": "credit used up"}}, 403, seconds=0.3)
        return Reply(chat(content="CORRECT"))

    with FakeServer(failing) as server:
        with pytest.raises(InputError, match="credit used up"):
            judged(server, store, tmp_path, model=MODEL)
        server.bodies.clear()
        server._script = by_candidate(SCRIPT)
        judged(server, store, tmp_path, model=MODEL)
    assert ["$4" in asked(body) for body in server.bodies] == [True]


def test_another_prompt_version_is_asked_anew(
    tmp_path: Path, store: GenerationStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the texts that it gives are the same."""
    load = JudgePrompt.load
    with FakeServer(by_candidate(SCRIPT)) as server:
        judged(server, store, tmp_path)
        monkeypatch.setattr(
            JudgePrompt, "load", lambda name: replace(load(name), version="equivalence-1@other")
        )
        judged(server, store, tmp_path)
    assert len(server.bodies) == 6


def test_equal_answers_are_asked_about_once(tmp_path: Path, store: GenerationStore) -> None:
    twice = [
        *results(),
        *((replace(entry, name="too"), frame.assign(entry="too")) for entry, frame in results()),
    ]
    with FakeServer(by_candidate(SCRIPT)) as server:
        reporter = Reporter(Console(file=io.StringIO()))
        found = judge_results(
            twice, [TAGS] * 2, {"quiz": RECORDS}, settings(server), store, reporter, tmp_path
        )
    assert len(server.bodies) == 3
    assert list(found[0][1]["judge"]) == list(found[1][1]["judge"])


# Who judges


def test_the_judge_may_be_the_only_model_of_a_server(store: GenerationStore) -> None:
    with FakeServer([], models={"data": [{"id": "a-70b"}]}) as server:
        assert JudgeModel(settings(server), store, Reporter(Console())).model == "a-70b"


def test_of_several_models_one_is_to_be_named(store: GenerationStore) -> None:
    two = {"data": [{"id": "a"}, {"id": "b"}]}
    with FakeServer([], two) as server, pytest.raises(InputError, match=r"models \(a, b\); name the judge"):
        JudgeModel(settings(server), store, Reporter(Console()))


def test_an_unknown_prompt_is_refused(store: GenerationStore) -> None:
    with FakeServer([]) as server, pytest.raises(InputError, match="did you mean 'equivalence-1'"):
        JudgeModel(settings(server, prompt="equivalence"), store, Reporter(Console()))


@pytest.mark.parametrize(
    ("given", "model", "url"),
    [
        ("gpt-x", "gpt-x", None),
        ("org/judge-70b", "org/judge-70b", None),
        ("http://h:1/v1", None, "http://h:1/v1"),
    ],
)
def test_the_option_takes_a_model_or_an_address(given: str, model: str | None, url: str | None) -> None:
    judge = given_by({"judge": given}).config().eval.judge
    assert (judge.model, judge.server.url, judge.wanted) == (model, url, True)


def test_without_the_option_nobody_judges() -> None:
    assert not given_by({"judge": None}).config().eval.judge.wanted


# What it is shown


def test_the_prompt_holds_question_choices_reference_and_candidate() -> None:
    prompt = JudgePrompt.load("equivalence-1").write(RECORDS[1], "It is Mars.")
    assert "<question>\nWhich is a planet?\nA. Mars\nB. Moon\n</question>" in prompt
    assert "<reference>\nA. Mars\n</reference>" in prompt
    assert "<candidate>\nIt is Mars.\n</candidate>" in prompt


def test_dollars_in_a_question_are_no_placeholders() -> None:
    prompt = JudgePrompt.load("equivalence-1").write(RECORDS[3], "$question")
    assert "What is $x if $x = 3?" in prompt
    assert "<candidate>\n$question\n</candidate>" in prompt


@pytest.mark.parametrize(
    ("tags", "output", "part"),
    [
        (TAGS, "<Thinking>long</Thinking><Answer> 8 </Answer>", "8"),
        (TAGS, "<Thinking>long</Thinking>\nThe answer is 8.", "The answer is 8."),
        (TAGS, "<Thinking>long 8", None),
        (TAGS, "no tags, 8", "no tags, 8"),
        (TAGS, "  ", None),
        ("none", "Reasoning.\nThe answer is 8.", "8"),
        ("none", "x" * 5000 + "8", "x" * (MAX_CANDIDATE_CHARS - 1) + "8"),
    ],
)
def test_only_the_final_part_of_an_output_is_shown(tags: str, output: str, part: str | None) -> None:
    assert final_part(output, get_tag_format(tags), truncated=False) == part


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ("CORRECT", True),
        ("INCORRECT", False),
        ("  CORRECT \n", True),
        ("They say the same.\nCORRECT", True),
        ("<think>INCORRECT\nor not?</think>\n\nCORRECT", True),
        ("CORRECT\nCORRECT", True),
        ("CORRECT\nINCORRECT", None),
        ("It is CORRECT.", None),
        ("correct", None),
        ("", None),
        ("<think>\nCORRECT\n", True),
    ],
)
def test_a_verdict_is_read_strictly(said: str, verdict: bool | None) -> None:
    assert read_verdict(Completion(said, "stop", 1, 1)) is verdict


def test_a_verdict_that_was_cut_off_is_none() -> None:
    assert read_verdict(Completion("CORRECT\nbecause", "length", 1, 1)) is None

"""Samples are drawn of a trained stage, judged, charged and learned from; a rerun draws nothing again."""

import dataclasses
import json
from pathlib import Path

import pytest
import yaml
from command_line import call

from harness.sampling import SAMPLES, Drawn, examples, read_samples
from leaderboards import read_results
from sftkey_train.stored import read_manifest
from tasks.errors import InputError
from tasks.records import Record
from tasks.scoring import Item, score
from tasks.tags import get_tag_format

TAGS = get_tag_format("thinking-answer")
JUDGED = "mine"
RECORD = Record("q1", "What is 2 + 2?", None, "It is 4.", "4", "number")
OTHER = dataclasses.replace(RECORD, id="q2", question="And 2 + 3?", answer="5")


def drawn(record: Record, thinking: str | None, answer: str | None, **changes: object) -> Drawn:
    right = answer == record.answer
    given = Drawn(record, f"{thinking} {answer}", False, right, thinking, answer, {}, 0.0)
    return dataclasses.replace(given, **changes)


def stored(folder: Path, *samples: Drawn) -> Path:
    lines = [json.dumps(dataclasses.asdict(one)) + "\n" for one in samples]
    (folder / SAMPLES).write_text("".join(lines), encoding="utf-8")
    return folder


def learned(folder: Path, kind: str, *samples: Drawn) -> list[tuple[str, str | None, str]]:
    found = examples(stored(folder, *samples), kind, "a stage")
    assert len({one.id for one in found}) == len(found)
    return [(one.question, one.rationale, one.answer) for one in found]


def test_right_samples_are_learned_once_each_in_the_models_own_words(tmp_path: Path) -> None:
    found = learned(
        tmp_path, "rft", drawn(RECORD, "so", "4"), drawn(RECORD, "so", "4"), drawn(RECORD, "thus\u2028", "4"),
        drawn(RECORD, "so", "5"), drawn(OTHER, "so", "6"),
    )  # fmt: skip
    assert found == [(RECORD.question, "so", "4"), (RECORD.question, "thus\u2028", "4")]


def test_the_right_answer_is_learned_after_the_models_own_reasoning(tmp_path: Path) -> None:
    found = learned(
        tmp_path, "on-policy-key", drawn(RECORD, "wrongly", "9"), drawn(OTHER, None, "5"),
        drawn(OTHER, "on and on", None, truncated=True),
    )  # fmt: skip
    assert found == [(RECORD.question, "wrongly", "4")]


def test_where_there_is_a_reward_the_best_sample_of_each_question_is_learned(tmp_path: Path) -> None:
    def one(record: Record, thinking: str, reward: float, answer: str | None = "7") -> Drawn:
        return drawn(record, thinking, answer, rewards={"overlong": reward}, reward=reward)

    found = learned(
        tmp_path, "rft", one(RECORD, "a", -1.0), one(RECORD, "b", -0.5), one(RECORD, "c", 0.0, None),
        one(OTHER, "d", -0.5), one(OTHER, "e", -0.7),
    )  # fmt: skip
    assert [thinking for _, thinking, _ in found] == ["b", "d"], "what has no answer cannot be learned from"


@pytest.mark.parametrize(
    ("kind", "samples", "said"),
    [
        ("rft", [drawn(RECORD, "so", "5")], "a stage: none of the samples is right"),
        ("on-policy-key", [drawn(RECORD, None, "4")], "none of 1 samples reasons to an end"),
        (
            "rft",
            [drawn(RECORD, "so", "4", rewards={"format": 1.0}, reward=1.0)] * 2,
            "the reward is 1 for all 2 samples, so that none is better than another",
        ),
    ],
)
def test_nothing_to_learn_is_one_line(tmp_path: Path, kind: str, samples: list[Drawn], said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        learned(tmp_path, kind, *samples)
    assert "\n" not in str(caught.value)


def test_a_damaged_line_of_samples_is_named(tmp_path: Path) -> None:
    stored(tmp_path, drawn(RECORD, "so", "4"))
    with (tmp_path / SAMPLES).open("a") as file:
        file.write("{")
    with pytest.raises(InputError, match=r"samples\.jsonl, line 2"):
        read_samples(tmp_path)


def arguments(out: Path, variants: str, *more: object) -> list[object]:
    sets = [
        "train.amount=24",
        "train.batch_size=4",
        "train.learning_rate=1e-4",
        "train_limit=40",
        "train.workers=1",
    ]
    return [
        "train-and-eval", "--benchmarks", "world_number_gap1", "--variants", variants, "--seeds", 1,
        "--engine", "hf", "--out", out, "--set", "limit=8", *more,
        *(part for one in sets for part in ("--set", one)),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def judged_variant(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Draws two responses to each question, judged by three rewards, and learns from the better."""
    reward = {"accuracy": 1.0, "log-prob": 0.1, "tag-count": 0.0}
    draws = {"name": "draw", "kind": "sample", "options": {"samples": 2}, "reward": reward}
    stages = [{"name": "sft", "loss": "response"}, draws, {"name": "best", "kind": "rft", "loss": "key"}]
    content = {"name": JUDGED, "description": "d", "source": "s", "tagged": True, "stages": stages}
    path = tmp_path_factory.mktemp("variants") / "mine.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture(scope="module")
def whole(judged_variant: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    scratch = tmp_path_factory.mktemp("samples")
    variants = f"sft-tag-x2,sft-tag+rft,sft-tag+on-policy-key,{judged_variant}"
    done = call(scratch, *arguments(scratch / "run", variants))
    assert done.returncode == 0, done.stderr
    assert "sample: 72 responses to 18 training questions" in done.stdout
    return scratch / "run"


def folders(run: Path) -> dict[str, Path]:
    """Folders of the stages by the name of the stage and of the first variant that it belongs to."""
    found = {}
    for path in (run / "store" / "stages").iterdir():
        stage = read_manifest(path)["stage"]
        found[f"{stage['variants'][0]} {stage['stage']['name']}"] = path
    return found


def test_samples_are_verdicts_of_the_one_scorer(whole: Path) -> None:
    rows = read_samples(folders(whole)["sft-tag+rft sample"])
    assert len(rows) == 72
    assert len({one.record.id for one in rows}) == 18
    for one in rows:
        verdict = score(Item.of(one.record, one.output, TAGS, truncated=one.truncated))
        assert one.right == verdict.accuracy_strict
        assert one.answer is None or one.answer in one.output
    assert {one.right for one in rows} == {True, False}
    assert len({one.output for one in rows}) > 18, "responses to a question differ"


def test_a_question_is_the_same_for_all_variants_of_a_seed(whole: Path) -> None:
    of = folders(whole)
    asked = [
        [one.record.id for one in read_samples(of[name])] for name in of if name.endswith(("sample", "draw"))
    ]
    assert len(asked) == 3
    first = [list(dict.fromkeys(ids)) for ids in asked]
    shortest = min(map(len, first))
    assert all(ids[:shortest] == first[0][:shortest] for ids in first)


def test_rewards_are_kept_by_part(whole: Path) -> None:
    rows = read_samples(folders(whole)[f"{JUDGED} draw"])
    assert all(set(one.rewards) == {"accuracy", "log-prob", "tag-count"} for one in rows)
    assert all(-20 <= one.rewards["log-prob"] <= 0 for one in rows)
    assert len({one.rewards["log-prob"] for one in rows}) > 3
    weighed = [one.rewards["accuracy"] + 0.1 * one.rewards["log-prob"] for one in rows]
    assert [one.reward for one in rows] == pytest.approx(weighed)


def test_samples_are_charged_within_the_budget(whole: Path) -> None:
    costs = {entry.name: entry.training for entry in read_results(whole).entries if entry.training}
    control, rft = costs["sft-tag-x2"], costs["sft-tag+rft"]
    assert (control.steps, rft.steps) == (24, 18)
    assert rft.stages == ("sft", "sample", "rft")
    rows = read_samples(folders(whole)["sft-tag+rft sample"])
    assert rft.sampled_tokens > 20 * len(rows)
    of_a_forward_pass = control.flops / control.tokens_forward / 3
    assert rft.sampled_flops == pytest.approx(of_a_forward_pass * rft.sampled_tokens, rel=0.05)
    assert control.sampled_tokens == 0
    assert rft.total_flops == pytest.approx(control.total_flops, rel=0.05)
    assert (
        "Part of the budget went into drawing samples" in (whole / "leaderboard/leaderboard.md").read_text()
    )


def test_a_rerun_draws_nothing(whole: Path, judged_variant: Path, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (whole / "store" / "stages").rglob("*")}
    variants = f"sft-tag-x2,sft-tag+rft,sft-tag+on-policy-key,{judged_variant}"
    done = call(tmp_path, *arguments(whole, variants))
    assert done.returncode == 0, done.stderr
    assert "training 0 of " in done.stderr
    assert {path: path.stat().st_mtime_ns for path in (whole / "store" / "stages").rglob("*")} == before


@pytest.mark.heavy
def test_the_same_seed_draws_the_same_and_ends_in_the_same_weights(whole: Path, tmp_path: Path) -> None:
    done = call(tmp_path, *arguments(tmp_path / "again", "sft-tag+rft,sft-tag+on-policy-key"))
    assert done.returncode == 0, done.stderr

    def digests(run: Path) -> dict[str, str]:
        return {entry.name: entry.digest for entry in read_results(run).entries}

    again, first = digests(tmp_path / "again"), digests(whole)
    assert {name: first[name] for name in again} == again


def test_a_model_that_gets_nothing_right_is_one_line_and_nothing_is_lost(
    tiny_base: Path, tmp_path: Path
) -> None:
    given = ["--model", tiny_base, "--set", "eval.max_new_tokens=8"]
    done = call(tmp_path, *arguments(tmp_path / "run", "sft-tag+rft", *given))
    assert done.returncode == 2
    assert (
        done.stderr.strip()
        .splitlines()[-1]
        .startswith("error: sft-tag+rft · rft · seed 0: none of the samples is right and in the tag format")
    )
    assert len(folders(tmp_path / "run")) == 2, "the first stage and its samples are kept"


def test_samples_of_no_trained_model_are_refused(tmp_path: Path) -> None:
    done = call(tmp_path, *arguments(tmp_path / "run", "rft", "--dry-run"))
    assert done.returncode == 2
    [line] = done.stderr.strip().splitlines()
    assert line.startswith("error: rft: draws samples of the model that the stage before has trained")
    assert line.endswith("as in sft-tag+rft")

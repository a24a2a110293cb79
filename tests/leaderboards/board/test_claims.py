"""Declared questions: their grammar, what the results say to them, and when they were declared."""

import dataclasses
from collections.abc import Sequence

import pytest
from synthetic_board import VARIANTS, synthetic_run

from leaderboards.board.build import build_board
from leaderboards.board.claim_text import parse_claim
from leaderboards.board.rows import Answer
from leaderboards.report.findings import sentence
from leaderboards.results.schema import Declared, RunResults
from leaderboards.stats.sequential import nominal_level
from tasks.errors import InputError

BY_NAME = {variant.name: variant for variant in VARIANTS}


def run_of(*skills: tuple[str, float], seeds: int = 4, n: int = 150, **changes: object) -> RunResults:
    variants = [
        dataclasses.replace(BY_NAME[name], skill=skill, seeds=tuple(range(seeds))) for name, skill in skills
    ]
    return dataclasses.replace(synthetic_run(tuple(variants), n=n), **changes)


def declared(text: str, **changes: object) -> Declared:
    return dataclasses.replace(Declared(text, "d1g3st", "2026-03-04T05:06:07+00:00", True, 4), **changes)


APART = run_of(("sft", 1.2), ("sft-tag", 0.6))
ALIKE = run_of(("sft", 0.6), ("sft-tag", 0.6), seeds=8, n=400)


def answers(run: RunResults, *texts: str) -> Sequence[Answer]:
    return build_board([run], claims=texts, margin=0.05).claims


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a > b", ("a", "b", False, 0.0, "accuracy", (), ())),
        ("a<b by 1.5 points on Score", ("b", "a", False, 0.015, "score", (), ())),
        ("my entry = a=b  within 2 over x, y", ("my entry", "a=b", True, 0.02, "accuracy", ("x", "y"), ())),
        ("a not worse than b by 1 over macro", ("a", "b", False, -0.01, "accuracy", (), ())),
        ("a > b without x on format_valid", ("a", "b", False, 0.0, "format_valid", (), ("x",))),
    ],
)
def test_a_claim_is_a_sentence(text: str, expected: tuple[object, ...]) -> None:
    assert dataclasses.astuple(parse_claim(text))[1:] == expected


def test_the_same_claim_in_other_words_is_one() -> None:
    assert parse_claim("a > b  by 1 on accuracy") == parse_claim("b < a on ACCURACY by 1 points")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("a is better", "not a claim; write A > B"),
        ("a > b by 1 by 2", "not a claim"),
        ("a > a", "an entry beside itself"),
        ("a > b on acuracy", "unknown metric 'acuracy'; did you mean 'accuracy'?"),
        ("a > b within 1", "after '>' write by X points"),
        ("a = b", "after '=' write within X points"),
        ("a = b within 0", "after '=' write within X points"),
        ("a not worse than b", "after 'not worse than' write by X points"),
        ("a > b by nan", "X a number from 0 to 100"),
        ("a > b by -1", "X a number from 0 to 100"),
        ("sft > sft-tg", "sft-tg: did you mean 'sft-tag'?"),
        ("sft > sft-tag over world_numbr", "world_numbr: did you mean 'world_number'?"),
        ("sft > sft-tag over world_number without world_number", "leaves no benchmark"),
        ("sft > sft-tag on score", "score is another thing without tags"),
    ],
)
def test_a_fault_is_one_line(text: str, part: str) -> None:
    with pytest.raises(InputError) as error:
        answers(APART, text)
    assert part in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("run", "text", "verdict"),
    [
        (APART, "sft > sft-tag", "confirmed"),
        (APART, "sft < sft-tag", "refuted"),
        (APART, "sft > sft-tag by 5", "confirmed"),
        (APART, "sft > sft-tag by 50", "refuted"),
        (APART, "sft = sft-tag within 5 points", "refuted"),
        (APART, "sft-tag not worse than sft by 2", "refuted"),
        (APART, "sft-tag not worse than sft by 60", "confirmed"),
        (APART, "sft > sft-tag by 17", "undecided"),
        (ALIKE, "sft > sft-tag", "equivalent"),
        (ALIKE, "sft = sft-tag within 5", "confirmed"),
        (ALIKE, "sft = sft-tag within 0.1", "undecided"),
        (ALIKE, "sft > sft-tag by 9", "refuted"),
        (run_of(("sft", 1.2), ("sft-tag", 0.6), seeds=2), "sft > sft-tag", "unknown"),
    ],
)
def test_the_verdict_is_what_the_interval_says(run: RunResults, text: str, verdict: str) -> None:
    [answer] = answers(run, text)
    assert answer.verdict == verdict
    claim = parse_claim(text)
    if not claim.alike and verdict in ("confirmed", "refuted", "undecided"):
        side = {"confirmed": answer.low > claim.threshold, "refuted": answer.high < claim.threshold}
        assert side.get(verdict, answer.low <= claim.threshold <= answer.high)


def test_a_claim_may_be_about_some_benchmarks_and_is_tested_as_on_the_board() -> None:
    board = build_board([APART], claims=["sft > sft-tag", "sft > sft-tag over world_number,world_choice"])
    whole, some = board.claims
    [pair] = board.pairs
    assert abs(whole.difference.mean) == pytest.approx(abs(pair.comparison.difference.mean))
    assert whole.difference.se == pytest.approx(pair.comparison.difference.se)
    assert some.benchmarks == ("world_number", "world_choice")
    assert "of world_number and world_choice?" in sentence(some, board)


def test_without_a_claim_the_method_is_asked_against_its_control_where_both_are_there() -> None:
    [answer] = build_board([synthetic_run()]).claims
    assert (answer.claim, answer.standing, answer.declared) == ("sftkey-tag > sft-tag-x2", "default", None)
    assert answer.level == pytest.approx(0.05)
    assert build_board([APART]).claims == ()
    assert [each.standing for each in answers(synthetic_run(n=20), "sft > sft-tag")] == ["after"]


def test_claims_on_record_are_corrected_by_themselves_and_stay_claims() -> None:
    on_record = (declared("sft > sft-tag"), declared("sft > sft-tag by 12"))
    run = dataclasses.replace(APART, declared=on_record)
    first, second, late = answers(run, "sft > sft-tag by 13", "sft-tag < sft")
    assert [each.standing for each in (first, second, late)] == ["before", "before", "after"]
    assert (first.family, second.family, late.family) == (2, 2, 1)
    assert second.p >= second.difference.p_against(0.12)
    assert first.p == pytest.approx(2 * first.difference.p_against(0.0))
    assert late.p == pytest.approx(late.difference.p_against(0.13))
    assert "Holm p" in sentence(first, build_board([run]))


@pytest.mark.parametrize("changes", [{"before": False}, {"claim": "sft > sft-tag by 2"}])
def test_what_was_not_on_record_before_is_said_to_come_late(changes: dict[str, object]) -> None:
    run = dataclasses.replace(APART, declared=(declared("sft > sft-tag", **changes),))
    board = build_board([run], claims=["sft > sft-tag"])
    answer = next(each for each in board.claims if each.claim == "sft > sft-tag")
    assert answer.standing == "after"
    assert "after results may have been seen" in sentence(answer, board)


def test_every_run_that_trained_an_entry_must_have_it_on_record() -> None:
    more = dataclasses.replace(
        synthetic_run((dataclasses.replace(BY_NAME["sft"], seeds=(7,)),), n=150), source="runs/more"
    )
    first = dataclasses.replace(APART, declared=(declared("sft > sft-tag"),))
    claim = declared("sft > sft-tag")
    for record, standing in (((), "after"), ((claim,), "before")):
        board = build_board([first, dataclasses.replace(more, declared=record)])
        assert [each.standing for each in board.claims] == [standing]


def test_a_run_that_adds_seeds_is_tested_at_the_level_of_its_look() -> None:
    record = declared("sft > sft-tag by 10", seeds=3, most_seeds=20)
    board = build_board([dataclasses.replace(APART, declared=(record,))])
    [answer] = board.claims
    assert answer.level == nominal_level(4, 3, 20)
    assert answer.p == answer.difference.p_against(0.1)
    assert (answer.low, answer.high) == answer.difference.interval(answer.level)
    assert answer.low < answer.difference.low
    assert "4 of at most 20: each look spent a part of the 5 %" in sentence(answer, board)

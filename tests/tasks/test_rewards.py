"""Rewards: what each gives for right, wrong and hacked outputs, and that no output makes one raise."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import InputError
from tasks.records import Record
from tasks.rewards import LOWEST_LOG_PROB, REWARDS, Judged, RewardSum
from tasks.scoring import Item, score
from tasks.tags import get_tag_format

TAGS = get_tag_format("thinking-answer")
RECORD = Record("q", "What is 2 + 2?", None, "2 + 2 = 4.", "4", "number")
OUTPUTS = {
    "right": "<Thinking>2 + 2 = 4.</Thinking>\n<Answer>4</Answer>",
    "wrong": "<Thinking>2 + 2 = 5.</Thinking>\n<Answer>5</Answer>",
    "chatty": "Sure! <Thinking>2 + 2 = 4.</Thinking> so <Answer>4</Answer> Bye.",
    "tags alone": "<Thinking></Thinking>\n<Answer></Answer>",
    "no reasoning": "<Answer>4</Answer>",
    "repeated": "<Thinking>a</Thinking><Thinking>b</Thinking>\n<Answer>4</Answer><Answer>5</Answer>",
    "plain": "The answer is 4.",
    "nothing": "",
}


def judged(output: str, num_tokens: int = 10, budget: int = 100, log_prob: float | None = None) -> Judged:
    item = Item.of(RECORD, output, TAGS, truncated=num_tokens >= budget)
    return Judged(item, score(item), num_tokens, budget, log_prob)


def value(name: str, output: str, **changes: object) -> float:
    return REWARDS[name].function(judged(OUTPUTS[output], **changes))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("accuracy", {"right": 1, "wrong": 0, "chatty": 1, "tags alone": 0, "no reasoning": 1, "plain": 1}),
        ("accuracy-strict", {"right": 1, "wrong": 0, "chatty": 0, "no reasoning": 0, "plain": 0}),
        ("format", {"right": 1, "wrong": 1, "chatty": 0, "tags alone": 0, "repeated": 0, "plain": 0}),
        ("soft-format", {"right": 1, "wrong": 1, "chatty": 1, "tags alone": 0, "repeated": 0, "plain": 0}),
        (
            "tag-count",
            {"right": 1, "wrong": 1, "tags alone": 1, "no reasoning": 0.5, "repeated": 0, "plain": 0},
        ),
        ("score", {"right": 1, "wrong": 0.3, "chatty": 0.7, "tags alone": 0, "plain": 0.7, "nothing": 0}),
    ],
)
def test_what_an_output_is_worth(name: str, expected: dict[str, float]) -> None:
    assert {output: value(name, output) for output in expected} == pytest.approx(expected)


def test_tags_without_content_are_what_the_tag_count_pays_for_and_nothing_else_does() -> None:
    paid = {name for name in REWARDS if value(name, "tags alone") > 0}
    assert paid == {"tag-count"}


def test_a_right_output_is_worth_more_the_shorter_and_a_wrong_one_the_longer() -> None:
    ends = [value("cosine-length", output, num_tokens=n) for output in ("right", "wrong") for n in (0, 100)]
    assert ends == pytest.approx([1.0, 0.5, -1.0, -0.5])
    assert value("cosine-length", "right", num_tokens=50) == pytest.approx(0.75)


def test_repetition_costs_the_share_of_repeated_runs() -> None:
    runs = {"a b c d e": 0.0, "a b c a b c a b c": 3 / 7 - 1, "a b": 0.0, "": 0.0}
    found = {text: REWARDS["repetition"].function(judged(text)) for text in runs}
    assert found == pytest.approx(runs)


@pytest.mark.parametrize(("tokens", "expected"), [(0, 0), (80, 0), (90, -0.5), (100, -1), (300, -1)])
def test_overlong_outputs_cost_from_four_fifths_of_the_budget_on(tokens: int, expected: float) -> None:
    assert value("overlong", "right", num_tokens=tokens) == pytest.approx(expected)


def test_the_likelihood_of_the_right_answer_is_bounded_below() -> None:
    given_ = [-0.5, -500.0, float("nan"), -math.inf, None]
    found = [value("log-prob", "wrong", log_prob=one) for one in given_]
    assert found == [-0.5, *[LOWEST_LOG_PROB] * 4]


@given(
    st.text(max_size=200) | st.lists(st.sampled_from([*TAGS.span_tags, "4", " "])).map("".join),
    st.integers(0),
)
def test_no_output_makes_a_reward_raise(output: str, tokens: int) -> None:
    for one in REWARDS.values():
        assert math.isfinite(one.function(judged(output, tokens)))


def test_each_reward_says_what_it_is() -> None:
    for one in REWARDS.values():
        assert one.summary
        assert one.field("Formula").startswith(("r =", "right: r ="))
        assert one.field("Source")


def test_rewards_add_up_by_weight_and_one_of_weight_0_is_only_logged() -> None:
    total = RewardSum({"accuracy": 1.0, "format": 0.5, "tag-count": 0.0})
    parts = [total.parts(judged(OUTPUTS[name])) for name in ("right", "wrong", "plain")]
    assert parts[1] == {"accuracy": 0.0, "format": 1.0, "tag-count": 1.0}
    assert total.totals(parts) == [1.5, 0.5, 1.0]


def test_normalised_one_by_one_each_reward_has_the_same_say() -> None:
    group = [{"accuracy": 1.0, "overlong": -0.001}, {"accuracy": 0.0, "overlong": 0.0}]
    assert RewardSum({"accuracy": 1.0, "overlong": 1.0}, normalised=True).totals(group) == [0.0, 0.0]
    assert RewardSum({"accuracy": 1.0, "overlong": 1.0}).totals(group) == [0.999, 0.0]
    same = [{"accuracy": 1.0}] * 3
    assert RewardSum({"accuracy": 1.0}, normalised=True).totals(same) == [0.0] * 3, "no spread, no say"


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ({"acuracy": 1.0}, "did you mean 'accuracy'"),
        ({"format": 0.0}, "not 0"),
        ({"format": math.nan}, "numbers"),
    ],
)
def test_a_sum_of_nothing_is_refused(weights: dict[str, float], said: str) -> None:
    with pytest.raises(InputError, match=said):
        RewardSum(weights).check("here")

"""What the speed measurements rest on: the same work on both sides, timed alike, reckoned rightly."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.measure.children import in_turns
from benchmarks.measure.gsm8k import (
    QUESTION_WORDS,
    RATIONALE_WORDS,
    SHARES,
    TAGGED,
    halves,
    made_up_records,
    train_tokenizer,
)
from benchmarks.measure.shapes import QWEN, SMOLLM2, cut, training_flops
from benchmarks.measure.steps import time_steps
from benchmarks.measure.tables import against, spread
from sftkey_train.spans import encode
from sftkey_train.text import TextPath
from tasks.tags import get_tag_format


def steps(count: int) -> None:
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight])
    for _ in range(count):
        weight.grad = torch.ones(1)
        optimizer.step()


def test_training_is_broken_off_after_the_steps_that_are_timed() -> None:
    done: list[int] = []

    def train() -> None:
        for i in range(10):
            done.append(i)
            steps(1)

    assert len(time_steps(train, 3)) == 3
    assert len(done) == 4  # the first is not timed


def test_training_that_ends_too_soon_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="ended after 3 steps"):
        time_steps(lambda: steps(3), 3)


def test_the_stopwatch_is_gone_afterwards() -> None:
    time_steps(lambda: steps(9), 2)
    steps(9)


def test_sides_take_turns_and_neither_always_comes_second() -> None:
    assert list(in_turns(["a", "b"], 3)) == ["a", "b", "b", "a", "a", "b"]


def test_useful_flops_of_a_small_case() -> None:
    flops = training_flops(cut(QWEN, 2), [3, 5], num_loss_tokens=4)
    assert flops.layers == 6 * 2 * QWEN.layer_weights * 8
    assert flops.attention == 6 * 2 * 896 * (9 + 25)
    assert flops.head == 6 * 151_936 * 896 * 4


def test_the_models_are_as_large_as_they_are_called() -> None:
    assert [round(shape.state_bytes / 16e6) for shape in (QWEN, SMOLLM2)] == [494, 134]


@pytest.mark.parametrize(("part", "words"), [("question", QUESTION_WORDS), ("rationale", RATIONALE_WORDS)])
def test_made_up_records_have_gsm8ks_lengths(part: str, words: tuple[int, ...]) -> None:
    lengths = [len(getattr(record, part).split()) for record in made_up_records(3000)]
    for share, wanted in list(zip(SHARES, words, strict=True))[2:-2]:
        assert np.quantile(lengths, share) == pytest.approx(wanted, rel=0.1, abs=1)


@pytest.mark.parametrize("tags", ["thinking-answer", "none"])
def test_both_sides_see_the_same_text_and_the_same_tokens_with_loss(tags: str) -> None:
    records = made_up_records(20)
    path = TextPath.of(train_tokenizer(records, 400), "plain")
    tag_format = get_tag_format(tags)
    corpus = encode(records, tag_format, path, 1024)
    for i, record in enumerate(records):
        whole, answer = (halves(record, tag_format, answer_only=only) for only in (False, True))
        assert whole.prompt + whole.completion == answer.prompt + answer.completion
        text = whole.prompt + whole.completion + path.end_text
        assert corpus[i]["input_ids"].tolist() == path.tokenizer(text)["input_ids"]


def test_the_second_half_begins_with_the_answers_tag() -> None:
    (record,) = made_up_records(1)
    assert halves(record, TAGGED, answer_only=True).completion == f"<Answer>{record.answer}</Answer>"


def test_figures_are_written_as_median_range_and_verdict() -> None:
    assert spread([3.0, 1.0, 2.0]) == "2.00 (1.00–3.00)"
    assert against([1.0], [4.0], 1 / 3) == "0.25 (goal ≤ 0.33: reached)"
    assert against([3.0], [4.0], 0.5) == "0.75 (goal ≤ 0.5: missed)"

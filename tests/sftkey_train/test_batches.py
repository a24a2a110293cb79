"""The one order of batches, and how examples become a batch."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from tiny import corpus_of

from sftkey_train.batches import BatchOrder, BatchSequence, Collator
from sftkey_train.segments import SEGMENTS

LENGTHS = np.random.default_rng(0).integers(5, 90, 203)
EXAMPLES = [
    ([5, 6, 7, 8], ["prompt", "thinking", "answer", "end"]),
    ([9, 4], ["prompt", "answer"]),
]
WEIGHTS = {"prompt": 0, "thinking_tag": 0, "thinking": 2, "answer_tag": 0, "answer": 3, "end": 0.5}
any_lengths = st.lists(st.integers(1, 99), min_size=1, max_size=300)
quickly = hypothesis_settings(max_examples=60, deadline=None)


def batches_of(
    first: int, count: int, *, lengths: list[int] | np.ndarray = LENGTHS, batch_size: int = 8, seed: int = 1
) -> list[list[int]]:
    order = BatchOrder(np.array(lengths), batch_size, seed)
    return [batch.tolist() for batch in order.batches(first, count)]


@pytest.mark.parametrize("packing", [False, True])
def test_each_example_may_weigh_the_same(packing: bool) -> None:
    """Whatever its length and the weights of its segments; padding weighs nothing, nor what has no loss."""
    weights = tuple(float(WEIGHTS.get(name, 0)) for name in SEGMENTS)
    rows = [*EXAMPLES, ([3, 3], ["prompt", "prompt"])]
    corpus = corpus_of(rows)
    examples = [corpus[i] for i in range(len(rows))]
    plain, equal = (
        Collator(weights, packing=packing, per_example=per_example)(examples) for per_example in (False, True)
    )
    for i, total in enumerate((5.5, 3.0, 0.0)):
        own = plain["examples"] == i
        assert float(plain["weights"][own].sum()) == total
        assert float(equal["weights"][own].sum()) == pytest.approx(float(total > 0))
        if total:
            torch.testing.assert_close(equal["weights"][own] * total, plain["weights"][own])
    assert float(equal["weights"][equal["examples"] < 0].sum()) == 0


@quickly
@given(lengths=any_lengths, batch_size=st.integers(1, 40), passes=st.integers(1, 3), seed=st.integers(0, 9))
def test_a_pass_shows_each_example_at_most_once_in_full_batches(
    lengths: list[int], batch_size: int, passes: int, seed: int
) -> None:
    per_pass = BatchOrder(np.array(lengths), batch_size, seed).batches_per_pass
    assert per_pass == max(1, len(lengths) // batch_size)
    for number in range(passes):
        shown = batches_of(number * per_pass, per_pass, lengths=lengths, batch_size=batch_size, seed=seed)
        assert [len(batch) for batch in shown] == [batch_size] * per_pass
        times = np.bincount(np.concatenate(shown), minlength=len(lengths))
        assert np.ptp(times) <= 1  # where there are fewer examples than a batch holds, they go round
        assert len(lengths) < batch_size or times.max() == 1


@quickly
@given(
    lengths=any_lengths,
    batch_size=st.integers(1, 40),
    cuts=st.lists(st.integers(0, 70), min_size=2, max_size=5).map(sorted),
)
def test_consecutive_parts_are_the_whole(lengths: list[int], batch_size: int, cuts: list[int]) -> None:
    """Stages see what one stage would, wherever the cuts lie; and tokens are counted part by part."""
    order = BatchOrder(np.array(lengths), batch_size, 3)
    whole = [batch.tolist() for batch in order.batches(cuts[0], cuts[-1] - cuts[0])]
    parts = [batch.tolist() for start, end in pairwise(cuts) for batch in order.batches(start, end - start)]
    assert parts == whole
    assert order.tokens(cuts[0], cuts[-1] - cuts[0]) == sum(lengths[i] for batch in whole for i in batch)


@quickly
@given(lengths=any_lengths, batch_size=st.integers(1, 40), tokens=st.integers(0, 20_000))
def test_the_steps_for_tokens_come_nearest(lengths: list[int], batch_size: int, tokens: int) -> None:
    order = BatchOrder(np.array(lengths), batch_size, 3)
    steps = order.steps_for_tokens(tokens)
    assert steps >= 1
    distance = abs(order.tokens(0, steps) - tokens)
    for other in {max(1, steps - 1), steps + 1}:
        assert distance <= abs(order.tokens(0, other) - tokens)


def test_what_fills_no_batch_is_left_out_of_another_pass_another_time() -> None:
    left_out = [
        set(range(203)) - {i for batch in batches_of(number * 25, 25) for i in batch} for number in range(9)
    ]
    assert {len(missing) for missing in left_out} == {3}
    assert len(set.union(*left_out)) > 15


def test_the_order_follows_from_seed_and_pass() -> None:
    assert batches_of(0, 25) == batches_of(0, 25)
    assert batches_of(25, 25) != batches_of(0, 25) != batches_of(0, 25, seed=2)
    assert batches_of(25, 25) != batches_of(0, 25, seed=2)


def test_examples_of_a_batch_are_about_equally_long_and_batches_are_mixed() -> None:
    shown = batches_of(0, 25)
    padding = sum(LENGTHS[batch].max() * 8 - LENGTHS[batch].sum() for batch in shown)
    unsorted = sum(LENGTHS[i : i + 8].max() * 8 - LENGTHS[i : i + 8].sum() for i in range(0, 200, 8))
    assert padding < unsorted / 3
    means = [LENGTHS[batch].mean() for batch in shown]
    assert means != sorted(means)


def test_a_sampler_gives_the_examples_of_its_part() -> None:
    sampler = BatchSequence(BatchOrder(LENGTHS, 8, 1), 8, 20, 10)
    assert list(sampler) == [i for batch in batches_of(20, 10) for i in batch]
    assert len(sampler) == len(list(sampler)) == 80


def collated(*, packing: bool = False, **more: list[list[float]]) -> dict[str, torch.Tensor]:
    corpus = corpus_of(EXAMPLES)
    examples = [
        {**corpus[i], **{name: np.array(values[i], np.float32) for name, values in more.items()}}
        for i in range(2)
    ]
    return Collator([WEIGHTS[name] for name in SEGMENTS], packing=packing)(examples)


def test_what_belongs_to_a_token_stands_where_it_is_predicted() -> None:
    batch = collated(score=[[0, 1, 2, 3], [4, 5]])
    assert batch["input_ids"].tolist() == [[5, 6, 7, 8], [9, 4, 0, 0]]
    assert batch["targets"].tolist() == [[6, 7, 8, -1], [4, -1, -1, -1]]
    assert batch["segments"].tolist() == [[2, 4, 5, -1], [4, -1, -1, -1]]
    assert batch["weights"].tolist() == [[2, 3, 0.5, 0], [3, 0, 0, 0]]
    assert batch["examples"].tolist() == [[0] * 4, [1, 1, -1, -1]]
    assert batch["score"].tolist() == [[1, 2, 3, 0], [5, 0, 0, 0]]
    assert batch["weights"].dtype == torch.float32
    assert "position_ids" not in batch


def test_packed_examples_follow_each_other_and_count_their_positions_anew() -> None:
    """The last token of an example predicts nothing, not the first token of the next."""
    batch = collated(packing=True, score=[[0, 1, 2, 3], [4, 5]])
    assert {name: values.tolist() for name, values in batch.items()} == {
        "input_ids": [[5, 6, 7, 8, 9, 4]],
        "position_ids": [[0, 1, 2, 3, 0, 1]],
        "targets": [[6, 7, 8, -1, 4, -1]],
        "segments": [[2, 4, 5, -1, 4, -1]],
        "weights": [[2, 3, 0.5, 0, 3, 0]],
        "examples": [[0, 0, 0, 0, 1, 1]],
        "score": [[1, 2, 3, 0, 5, 0]],
    }


def test_a_field_may_hold_a_vector_for_each_token() -> None:
    batch = collated(hidden=[[[i, -i] for i in range(4)], [[i, -i] for i in range(4, 6)]])
    assert batch["hidden"].shape == (2, 4, 2)
    assert batch["hidden"][1].tolist() == [[5, -5], [0, 0], [0, 0], [0, 0]]


@pytest.mark.parametrize("packing", [False, True])
def test_the_weights_of_a_batch_sum_to_those_of_its_response_tokens(packing: bool) -> None:
    corpus = corpus_of([(list(range(9)), ["prompt"] * 3 + ["thinking"] * 4 + ["answer"] * 2)] * 3)
    batch = Collator([0, 0, 0.5, 0, 2, 0], packing=packing)([corpus[i] for i in range(3)])
    assert batch["weights"].sum().item() == pytest.approx(3 * (4 * 0.5 + 2 * 2))

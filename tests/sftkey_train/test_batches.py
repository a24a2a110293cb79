"""The order of examples, and how they become padded batches."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny import corpus_of

from sftkey_train.batches import Collator, LengthGroupedBatches
from sftkey_train.variants import SEGMENTS

LENGTHS = np.random.default_rng(0).integers(5, 90, 203)


def order(epoch: int = 0, *, batch_size: int = 8, seed: int = 1, lengths=LENGTHS) -> list[int]:
    batches = LengthGroupedBatches(lengths, batch_size, seed)
    batches.set_epoch(epoch)
    return list(batches)


@given(
    lengths=st.lists(st.integers(1, 99), min_size=1, max_size=300),
    batch_size=st.integers(1, 40),
    epoch=st.integers(0, 5),
)
def test_every_epoch_shows_each_example_once(lengths: list[int], batch_size: int, epoch: int) -> None:
    shown = order(epoch, batch_size=batch_size, lengths=np.array(lengths))
    assert sorted(shown) == list(range(len(lengths)))


def test_the_order_follows_from_seed_and_epoch() -> None:
    assert order() == order()
    assert order(epoch=1) != order()
    assert order(seed=2) != order()


def test_examples_of_a_batch_are_about_equally_long() -> None:
    def padding(indices: list[int]) -> int:
        batches = [LENGTHS[indices[i : i + 8]] for i in range(0, len(indices), 8)]
        return sum(int(batch.max() * len(batch) - batch.sum()) for batch in batches)

    assert padding(order()) < padding(list(range(len(LENGTHS)))) / 3


def test_the_short_batch_comes_last() -> None:
    """Otherwise every later batch would be cut across two groups of lengths."""
    shown = order()
    for start in range(0, 200, 8):
        assert np.ptp(LENGTHS[shown[start : start + 8]]) < 30


def test_the_weight_at_a_position_is_that_of_the_token_it_predicts() -> None:
    corpus = corpus_of(
        [
            ([5, 6, 7, 8], ["prompt", "thinking", "answer", "end"]),
            ([9, 4], ["prompt", "answer"]),
        ]
    )
    weight_of = {"prompt": 0, "thinking_tag": 0, "thinking": 2, "answer_tag": 0, "answer": 3, "end": 0.5}
    batch = Collator([weight_of[name] for name in SEGMENTS], pad_id=1)([corpus[0], corpus[1]])
    assert batch["input_ids"].tolist() == [[5, 6, 7, 8], [9, 4, 1, 1]]
    assert batch["segments"].tolist() == [[0, 2, 4, 5], [0, 4, -1, -1]]
    assert batch["weights"].tolist() == [[2, 3, 0.5, 0], [3, 0, 0, 0]]
    assert batch["weights"].dtype == torch.float32


def test_the_weights_of_a_batch_sum_to_those_of_its_response_tokens() -> None:
    corpus = corpus_of([(list(range(9)), ["prompt"] * 3 + ["thinking"] * 4 + ["answer"] * 2)] * 3)
    weights = [0, 0, 0.5, 0, 2, 0]
    batch = Collator(weights, 0)([corpus[i] for i in range(3)])
    assert batch["weights"].sum().item() == pytest.approx(3 * (4 * 0.5 + 2 * 2))

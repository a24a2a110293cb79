"""Examples to padded batches, and the order in which they come."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Sampler

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Collator:
    """Pads examples on the right and turns segments into loss weights.

    There is no attention mask: in a causal model what stands to the right changes nothing, and the padding
    carries no weight.

    Args:
        weights: Weight by segment id.
        pad_id: Any valid token id.
    """

    def __init__(self, weights: Sequence[float], pad_id: int) -> None:
        self._weight_of_segment = np.array(weights, np.float32)
        self._pad_id = pad_id

    def __call__(self, examples: Sequence[dict[str, NDArray[np.int64]]]) -> dict[str, Tensor]:
        """Batches examples.

        Returns:
            `input_ids` [B, T]; `segments` [B, T], −1 on padding; `weights` [B, T], where position t holds the
            weight of predicting token t+1.
        """
        width = max(len(example["input_ids"]) for example in examples)
        ids_BT = np.full((len(examples), width), self._pad_id, np.int64)
        segments_BT = np.full((len(examples), width), -1, np.int64)
        weights_BT = np.zeros((len(examples), width), np.float32)
        for row, example in enumerate(examples):
            length = len(example["input_ids"])
            ids_BT[row, :length] = example["input_ids"]
            segments_BT[row, :length] = example["segments"]
            weights_BT[row, : length - 1] = self._weight_of_segment[example["segments"][1:]]
        return {
            "input_ids": torch.from_numpy(ids_BT),
            "segments": torch.from_numpy(segments_BT),
            "weights": torch.from_numpy(weights_BT),
        }


class LengthGroupedBatches(Sampler[int]):
    """A new random order each epoch in which neighbours are about equally long, so that little is padding.

    The order depends on the seed, the epoch and the lengths alone: a stage and its compute-matched control
    see the same batches.

    Args:
        lengths_E: Tokens of each example.
        batch_size: Examples per optimiser step; batches are shuffled as wholes.
        seed: Seed of the order.
    """

    def __init__(self, lengths_E: NDArray[np.int64], batch_size: int, seed: int) -> None:
        self._lengths_E = lengths_E
        self._batch_size = batch_size
        self._seed = seed
        self._epoch = 0

    def __len__(self) -> int:
        return len(self._lengths_E)

    def set_epoch(self, epoch: int) -> None:
        """Chooses the epoch whose order the next iteration gives (called by accelerate)."""
        self._epoch = epoch

    def __iter__(self) -> Iterator[int]:
        """Yields example indices, batch after batch; a last short batch stays last."""
        rng = np.random.default_rng((self._seed, self._epoch))
        order = rng.permutation(len(self))
        pool = 32 * self._batch_size
        batches: list[NDArray[np.int64]] = []
        for start in range(0, len(order), pool):
            part = order[start : start + pool]
            part = part[np.argsort(self._lengths_E[part], kind="stable")]
            batches += [part[i : i + self._batch_size] for i in range(0, len(part), self._batch_size)]
        full = [batch for batch in batches if len(batch) == self._batch_size]
        short = [batch for batch in batches if len(batch) < self._batch_size]
        rng.shuffle(full)
        for batch in [*full, *short]:
            yield from batch.tolist()

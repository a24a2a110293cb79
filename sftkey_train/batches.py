"""Examples to batches, and the one order in which a run draws them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

BATCHES_IN_A_POOL = 32
"""Batches whose examples are sorted by length together."""


class BatchOrder:
    """An endless sequence of batches in which neighbours are about equally long, so that little is padding.

    The sequence depends on the lengths, the batch size and the seed alone, and every stage takes the part
    that its budget comes to: variants see the same batches, however they are cut into stages. Each pass over
    the data has an order of its own; examples that fill no whole batch are left out of that pass.

    Args:
        lengths_E: Tokens of each example.
        batch_size: Examples per optimiser step.
        seed: Seed of the order.
    """

    def __init__(self, lengths_E: NDArray[np.int64], batch_size: int, seed: int) -> None:
        self._lengths_E = lengths_E
        self._batch_size = batch_size
        self._seed = seed
        self.batches_per_pass = max(1, len(lengths_E) // batch_size)

    def batches(self, first: int, count: int) -> Iterator[NDArray[np.int64]]:
        """Example indices of the batches `first` to `first + count − 1`."""
        while count > 0:
            number, start = divmod(first, self.batches_per_pass)
            in_pass = self._pass(number)[start : start + count]
            yield from in_pass
            first, count = first + len(in_pass), count - len(in_pass)

    def tokens(self, first: int, count: int) -> int:
        """Tokens in those batches, padding not counted."""
        return int(sum(self._lengths_E[batch].sum() for batch in self.batches(first, count)))

    def steps_for_tokens(self, tokens: float) -> int:
        """The number of batches from the start whose tokens come nearest to `tokens`, at least one."""
        total, steps = 0, 0
        for batch in self.batches(0, 2**62):
            size = int(self._lengths_E[batch].sum())
            if steps and total + size / 2 > tokens:
                break
            total, steps = total + size, steps + 1
        return steps

    def _pass(self, number: int) -> NDArray[np.int64]:
        """All batches of one pass over the data, [batches, batch size]."""
        rng = np.random.default_rng((self._seed, number))
        order = rng.permutation(len(self._lengths_E))
        if len(order) < self._batch_size:  # too few for a batch: the pass is one, filled up by going round
            return np.resize(order, (1, self._batch_size))
        order = order[: self.batches_per_pass * self._batch_size]
        pool = BATCHES_IN_A_POOL * self._batch_size
        for start in range(0, len(order), pool):
            part = order[start : start + pool]
            order[start : start + pool] = part[np.argsort(self._lengths_E[part], kind="stable")]
        return rng.permutation(order.reshape(-1, self._batch_size))


class BatchSequence:
    """A stage's part of a `BatchOrder` as a sampler of example indices."""

    def __init__(self, order: BatchOrder, batch_size: int, first: int, count: int) -> None:
        self._order, self._first, self._count = order, first, count
        self._batch_size = batch_size

    def __len__(self) -> int:
        return self._count * self._batch_size

    def __iter__(self) -> Iterator[int]:
        for batch in self._order.batches(self._first, self._count):
            yield from batch.tolist()


class Collator:
    """Lays examples side by side and turns segments into loss weights.

    What belongs to a token stands where the token is predicted: position t holds the segment, weight and
    further values of token t+1. There is no attention mask: in a causal model what stands to the right
    changes nothing, and padding carries no weight.

    Args:
        weights: Weight by segment id.
        packing: One row of all examples, one after another, in place of a padded row for each.
        per_example: Each example's weights are scaled to sum to 1, so that the loss is a mean over examples.
    """

    def __init__(self, weights: Sequence[float], *, packing: bool = False, per_example: bool = False) -> None:
        self._weight_of_segment = np.array([*weights, 0.0], np.float32)  # index −1, no token, takes the last
        self._packing, self._per_example = packing, per_example

    def __call__(self, examples: Sequence[Mapping[str, NDArray[Any]]]) -> dict[str, Tensor]:
        """Batches examples.

        Args:
            examples: `input_ids` and `segments`, and anything else with a value for each token.

        Returns:
            `input_ids` [B, T]; `examples` [B, T], the example that a token belongs to, −1 on padding;
            `targets`, `segments` and `weights` [B, T] of the token to be predicted, −1 and 0 where there is
            none; whatever else the examples hold, shifted alike; with packing `position_ids` [B, T].
        """
        import torch

        lengths = [len(example["input_ids"]) for example in examples]
        batch = {
            "input_ids": self._lay([example["input_ids"] for example in examples], 0),
            "examples": self._lay([np.full(n, i, np.int64) for i, n in enumerate(lengths)], -1),
            "targets": self._lay([_shifted(example["input_ids"], -1) for example in examples], -1),
        }
        for name in examples[0].keys() - {"input_ids"}:
            none = -1 if name == "segments" else 0
            batch[name] = self._lay([_shifted(example[name], none) for example in examples], none)
        batch["weights"] = self._weight_of_segment[batch["segments"]]
        if self._per_example:
            totals_E = np.bincount(batch["examples"].ravel() + 1, batch["weights"].ravel(), len(examples) + 1)
            batch["weights"] /= np.where(totals_E > 0, totals_E, 1).astype(np.float32)[batch["examples"] + 1]
        if self._packing:
            batch["position_ids"] = self._lay([np.arange(n) for n in lengths], 0)
        return {name: torch.from_numpy(values) for name, values in batch.items()}

    def _lay(self, rows: Sequence[NDArray[Any]], filler: int) -> NDArray[Any]:
        """Rows of [length, …] as [B, T, …], padded on the right or one after another."""
        if self._packing:
            return np.concatenate(rows)[None]
        width = max(len(row) for row in rows)
        laid = np.full((len(rows), width, *rows[0].shape[1:]), filler, rows[0].dtype)
        for row, values in zip(laid, rows, strict=True):
            row[: len(values)] = values
        return laid


def _shifted(values: NDArray[Any], last: int) -> NDArray[Any]:
    """Each position gets the value of the next token."""
    shifted = np.roll(values, -1, axis=0)
    shifted[-1] = last
    return shifted

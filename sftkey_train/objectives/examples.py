"""Sums and ranks within examples, for the objectives that compare the tokens of an example."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def numbered(examples_N: Tensor) -> tuple[Tensor, Tensor]:
    """Examples numbered from 0 in their order.

    Args:
        examples_N: Any ascending numbers.

    Returns:
        Number of each token's example [N], number of tokens of each example [E].
    """
    _, example_N, count_E = examples_N.unique_consecutive(return_inverse=True, return_counts=True)
    return example_N, count_E


def summed(values_N: Tensor, example_N: Tensor, num_examples: int) -> Tensor:
    """Sum of the values of each example [E]."""
    return values_N.new_zeros(num_examples).index_add(0, example_N, values_N)


def ranked(values_N: Tensor, example_N: Tensor, count_E: Tensor) -> Tensor:
    """Rank of each value within its example, 0 the largest; of equal ones the earlier comes first [N]."""
    order_N = values_N.argsort(descending=True, stable=True)
    order_N = order_N[example_N[order_N].argsort(stable=True)]
    start_E = count_E.cumsum(0) - count_E
    rank_N = example_N.new_ones(len(example_N)).cumsum(0) - 1 - start_E[example_N]
    return rank_N.scatter(0, order_N, rank_N)

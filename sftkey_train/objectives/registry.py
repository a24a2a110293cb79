"""What an objective is given, what it is, the list of all, and sums and ranks within examples."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tasks.described import field_of, summary_of
from tasks.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

Reference = Literal["base", "sft"]
"""A reference model: the run's base model, or plain SFT of it with the variant's tags, seed and budget."""

Need = Literal["reference_log_probs", "reference_kl", "old_log_probs", "cleaning_rank", "top_entropy"]
"""A field of `Tokens` that is filled only for objectives that ask for it."""


@dataclass(frozen=True)
class Tokens:
    """The weighted positions of a batch, in order, example after example.

    In the formulas of the objectives, pₜ is the model's probability of the target of position t and sg[·] a
    constant, through which no gradient flows. Only `log_probs_N` and `reference_kl_N` carry gradients.

    Attributes:
        log_probs_N: log pₜ of each target under the model, differentiable, float32.
        weights_N: The stage's weight of each, above 0.
        segments_N: Segment of each target, an index into `segments.SEGMENTS`, int64.
        examples_N: Which example it belongs to, ascending, int64; examples are whole for an objective that is
            registered with `whole_examples`.
        step_weight_S: Total weight of each segment over the optimiser step, all micro-batches and ranks.
        reference_log_probs_N: log p of the target under the reference model, without dropout.
        reference_kl_N: KL(p_ref ‖ p_θ) = Σᵥ p_ref(v)·(log p_ref(v) − log p_θ(v)) over the whole vocabulary at
            the position that predicts the target, in nats; differentiable through p_θ, not through p_ref.
        old_log_probs_N: log p of the target under the model as it was before the current block of optimiser
            steps; equal to sg[log_probs_N] in the block's first step.
        cleaning_rank_N: Share of the stage's weighted tokens, over the corpus, whose ℓ_base − ℓ_ref is larger
            (of equal ones: that come earlier), from 0 to below 1. ℓ is −log p, base the run's base model; all
            are scored once, before the stage.
        top_entropy_N: −Σ qᵢ·log qᵢ / log 20, with q the model's 20 likeliest tokens renormalised to sum to 1
            (all tokens and their number where the vocabulary is smaller), from 0 to 1.
    """

    log_probs_N: Tensor
    weights_N: Tensor
    segments_N: Tensor
    examples_N: Tensor
    step_weight_S: Tensor
    reference_log_probs_N: Tensor | None = None
    reference_kl_N: Tensor | None = None
    old_log_probs_N: Tensor | None = None
    cleaning_rank_N: Tensor | None = None
    top_entropy_N: Tensor | None = None

    def need(self, field: Need) -> Tensor:
        """A field that the objective asked for.

        Raises:
            ValueError: It was not filled, or the objective is not registered as needing it.
        """
        tensor_N = getattr(self, f"{field}_N")
        if tensor_N is None:
            raise ValueError(f"the objective reads {field}_N, which the trainer did not fill")
        return tensor_N


@dataclass(frozen=True)
class Objective:
    """A registered objective.

    Attributes:
        name: What variants call it.
        function: `function(tokens, **options)` -> losses [N].
        needs: Optional fields of `Tokens` that it reads.
        whole_examples: Whether it compares the tokens of an example, which then must not be split.
        reference: Its usual reference model, where it needs one.
        fractions: Options that are above 0 and at most 1; all others are at least 0.
    """

    name: str
    function: Callable[..., Tensor]
    needs: frozenset[Need]
    whole_examples: bool
    reference: Reference | None
    fractions: frozenset[str]

    @property
    def options(self) -> dict[str, float]:
        """Its options with their defaults."""
        parameters = list(inspect.signature(self.function).parameters.values())
        return {parameter.name: parameter.default for parameter in parameters[1:]}

    @property
    def summary(self) -> str:
        """What it does, in one line."""
        return summary_of(self.function)

    @property
    def formula(self) -> str:
        """The loss of a token."""
        return field_of(self.function, "Formula")

    @property
    def source(self) -> str:
        """Where it comes from."""
        return field_of(self.function, "Source")

    def losses(self, tokens: Tokens, options: Mapping[str, float]) -> Tensor:
        """The loss of each token, before the stage's weights.

        Raises:
            InputError: An option is out of its range.
        """
        self.check(options, f"objective {self.name}")
        return self.function(tokens, **options)

    def check(self, options: Mapping[str, float], where: str) -> None:
        """Makes sure that a share of 60 is never taken for 60 %.

        Raises:
            InputError: An option is out of its range.
        """
        for name, value in options.items():
            if name in self.fractions and not 0 < value <= 1:
                raise InputError(f"{where}: option {name} must be above 0 and at most 1, not {value}")
            if not 0 <= value < float("inf"):
                raise InputError(f"{where}: option {name} must be a number of at least 0, not {value}")
            if value > 1e6:
                raise InputError(f"{where}: option {name} must be at most 1e6, not {value:g}")


OBJECTIVES: dict[str, Objective] = {}


def objective(
    name: str,
    *needs: Need,
    whole_examples: bool = False,
    reference: Reference | None = None,
    fractions: tuple[str, ...] = (),
) -> Callable[[Callable[..., Tensor]], Callable[..., Tensor]]:
    """Registers a function as an objective; its docstring has a line `Formula:` and a line `Source:`."""

    def register(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        needed, between = frozenset(needs), frozenset(fractions)
        OBJECTIVES[name] = Objective(name, function, needed, whole_examples, reference, between)
        return function

    return register


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
    # Two stable sorts: by value, then by example.
    order_N = values_N.argsort(descending=True, stable=True)
    order_N = order_N[example_N[order_N].argsort(stable=True)]
    start_E = count_E.cumsum(0) - count_E
    rank_N = example_N.new_ones(len(example_N)).cumsum(0) - 1 - start_E[example_N]  # 0, 1, … in each example
    return rank_N.scatter(0, order_N, rank_N)

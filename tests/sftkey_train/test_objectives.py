"""Each objective is its formula: losses and gradients, however the step is cut into micro-batches."""

import math
import random
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from naive_objectives import NAIVE, Step, Token

from sftkey_train.objectives import OBJECTIVES, Tokens
from sftkey_train.segments import SEGMENTS
from tasks.errors import InputError

OPTIONS: dict[str, list[dict[str, float]]] = {
    "focal": [{"gamma": 0.0}, {"gamma": 0.3}, {"gamma": 1.0}, {"gamma": 5.0}],
    "power": [{"k": 0.0}, {"k": 1.0}, {"k": 10.0}],
    "first-half": [{"share": 0.01}, {"share": 0.34}, {"share": 1.0}],
    "profit": [{"threshold": 0.5}],
    "eaft": [{"alpha": 0.0}, {"alpha": 0.5}, {"alpha": 3.0}],
    "asft": [{"kl": 0.0}, {"kl": 2.0}],
    "iw-sft": [{"temperature": 0.0}, {"temperature": 4.0, "clip": 2.0}],
    "psft": [{"epsilon": 0.0}, {"epsilon": 1.5}, {"refresh": 1.0}],
    "rho-1": [{"share": 0.01}, {"share": 0.25}, {"share": 1.0}],
    "token-cleaning": [{"share": 0.25}, {"share": 1.0}],
    "answer-weighted": [{"weight": 0.0}, {"weight": 1.0}, {"weight": 10.0}],
    "prompt-loss-weight": [{"weight": 0.0}, {"weight": 1.0}],
    "span-balanced": [{"answer": 1.0, "thinking": 0.0}, {"answer": 0.2, "thinking": 2.0}],
    "sft-go": [{"weight": 0.1}, {"weight": 1.0}],
}
"""What is tried besides the defaults."""

CASES = [
    pytest.param(name, options, id=" ".join([name, *(f"{key}={value}" for key, value in options.items())]))
    for name in OBJECTIVES
    for options in [{}, *OPTIONS.get(name, [])]
]
every_objective = pytest.mark.parametrize("name", OBJECTIVES)
every_case = pytest.mark.parametrize(("name", "options"), CASES)

FIELDS = {
    "reference_log_probs": "reference_log_p",
    "reference_kl": "reference_kl",
    "old_log_probs": "old_log_p",
    "cleaning_rank": "cleaning_rank",
    "top_entropy": "top_entropy",
}
"""Name in `Need` -> name in `Token`."""

WHOLE = ("prompt", "thinking_tag", "thinking", "thinking_tag", "answer_tag", "answer", "answer_tag", "end")
EXAMPLES = {
    3: ("prompt", *WHOLE[:3], "thinking", "thinking", *WHOLE[3:]),
    4: WHOLE[4:],
    9: ("thinking",) * 5,
    10: ("prompt",) * 2,
    27: WHOLE,
    28: ("end",),
}
"""Whole examples, and ones that lack a side; their numbers have gaps, as on one rank of several."""


@pytest.fixture(params=[0, 1, 2])
def tokens(request) -> list[Token]:
    draw = random.Random(request.param)
    return [
        Token(
            log_p=math.log(draw.uniform(0.02, 0.98)),
            weight=draw.choice([0.1, 1.0, 3.0]),
            segment=segment,
            example=example,
            reference_log_p=math.log(draw.uniform(0.02, 0.98)),
            reference_kl=draw.expovariate(1),
            old_log_p=math.log(draw.uniform(0.02, 0.98)),
            cleaning_rank=draw.random(),
            top_entropy=draw.random(),
        )
        for example, segments in EXAMPLES.items()
        for segment in segments
    ]


def weight_of(tokens: list[Token]) -> Step:
    """Weight of each segment in a step that is these tokens."""
    return {name: sum(token.weight for token in tokens if token.segment == name) for name in SEGMENTS}


def larger(step: Step) -> Step:
    """The same in a step that holds other micro-batches too."""
    return {name: 3.5 * weight + i + 1 for i, (name, weight) in enumerate(step.items())}


def tensors(name: str, tokens: list[Token], step: Step, dtype: torch.dtype = torch.float64) -> Tokens:
    """The tokens as the trainer hands them over, with the fields that the objective asks for and no other."""
    objective = OBJECTIVES[name]

    def column(field: str) -> torch.Tensor:
        return torch.tensor([getattr(token, field) for token in tokens], dtype=dtype)

    return Tokens(
        log_probs_N=column("log_p").requires_grad_(),
        weights_N=column("weight"),
        segments_N=torch.tensor([SEGMENTS.index(token.segment) for token in tokens]),
        examples_N=torch.tensor([token.example for token in tokens]),
        step_weight_S=torch.tensor([step[segment] for segment in SEGMENTS], dtype=dtype),
        **{f"{need}_N": column(FIELDS[need]).requires_grad_() for need in objective.needs},
    )


def total(losses: list[float], tokens: list[Token]) -> float:
    return sum(token.weight * loss for token, loss in zip(tokens, losses, strict=True))


def slope(name: str, tokens: list[Token], step: Step, i: int, field: str, options: dict[str, float]) -> float:
    """d Σ w·ℓ / d field of token i, what is behind a stop-gradient held fixed."""
    ends = []
    for change in (1e-6, -1e-6):
        moved = [*tokens]
        moved[i] = replace(tokens[i], **{field: getattr(tokens[i], field) + change})
        ends.append(total(NAIVE[name](moved, tokens, step, **options), tokens))
    return (ends[0] - ends[1]) / 2e-6


def test_every_objective_has_an_independent_twin_and_every_option_is_tried() -> None:
    assert set(NAIVE) == set(OBJECTIVES)
    for name, objective in OBJECTIVES.items():
        tried = {option for options in OPTIONS.get(name, []) for option in options}
        assert tried == set(objective.options), name


@every_objective
def test_every_objective_says_what_it_is_and_where_it_comes_from(name: str) -> None:
    objective = OBJECTIVES[name]
    assert objective.summary.endswith(".")
    assert objective.formula
    assert "Chosen" not in objective.formula + objective.source
    assert "arXiv" in objective.source or name == "cross-entropy"
    for option in objective.options:
        assert f"{option}: " in (objective.function.__doc__ or "")


@every_case
def test_losses_are_those_of_the_formula(name: str, options: dict[str, float], tokens: list[Token]) -> None:
    step = larger(weight_of(tokens))
    losses_N = OBJECTIVES[name].losses(tensors(name, tokens, step), options)
    assert losses_N.tolist() == pytest.approx(NAIVE[name](tokens, tokens, step, **options), rel=1e-12)


@every_case
def test_gradients_are_those_of_the_formula(
    name: str, options: dict[str, float], tokens: list[Token]
) -> None:
    step = larger(weight_of(tokens))
    batch = tensors(name, tokens, step)
    (batch.weights_N * OBJECTIVES[name].losses(batch, options)).sum().backward()
    everywhere = range(len(tokens))
    expected = [slope(name, tokens, step, i, "log_p", options) for i in everywhere]
    assert batch.log_probs_N.grad.tolist() == pytest.approx(expected, rel=1e-6, abs=1e-7)
    for need in OBJECTIVES[name].needs - {"reference_kl"}:
        assert batch.need(need).grad is None
    if "reference_kl" in OBJECTIVES[name].needs:
        expected = [slope(name, tokens, step, i, "reference_kl", options) for i in everywhere]
        assert batch.need("reference_kl").grad.tolist() == pytest.approx(expected, rel=1e-6, abs=1e-7)


@every_case
def test_micro_batches_change_nothing(name: str, options: dict[str, float], tokens: list[Token]) -> None:
    objective, step = OBJECTIVES[name], larger(weight_of(tokens))
    whole = objective.losses(tensors(name, tokens, step), options).tolist()
    for cut in range(1, len(tokens)):
        if objective.whole_examples and tokens[cut - 1].example == tokens[cut].example:
            continue
        parts = [tensors(name, part, step) for part in (tokens[:cut], tokens[cut:])]
        cut_losses = [loss for part in parts for loss in objective.losses(part, options).tolist()]
        assert cut_losses == pytest.approx(whole, rel=1e-12)


@pytest.mark.parametrize(
    "name", ["answer-weighted", "prompt-loss-weight", "span-balanced", "rho-1", "sft-go"]
)
def test_where_every_token_costs_1_so_does_the_step(name: str, tokens: list[Token]) -> None:
    sided = [replace(token, log_p=-1.0) for token in tokens if token.segment != "prompt"]
    batch = tensors(name, sided, weight_of(sided))
    mean = (batch.weights_N * OBJECTIVES[name].losses(batch, {})).sum() / batch.weights_N.sum()
    assert mean.item() == pytest.approx(1)


def test_span_balanced_is_the_sum_of_two_means(tokens: list[Token]) -> None:
    batch = tensors("span-balanced", tokens, weight_of(tokens))
    losses_N = OBJECTIVES["span-balanced"].losses(batch, {"answer": 0.7, "thinking": 0.2})
    answer, thinking = (
        total([-token.log_p for token in side], side) / sum(token.weight for token in side)
        for side in (
            [token for token in tokens if token.segment in ("answer_tag", "answer", "end")],
            [token for token in tokens if token.segment in ("thinking_tag", "thinking")],
        )
    )
    mean = (batch.weights_N * losses_N).sum() / batch.weights_N.sum()
    assert mean.item() == pytest.approx(0.7 * answer + 0.2 * thinking)


def test_psft_starts_as_cross_entropy_and_ends_a_token_that_has_grown_enough(tokens: list[Token]) -> None:
    grown = [replace(token, old_log_p=token.log_p - 0.5 * (i % 2)) for i, token in enumerate(tokens)]
    batch = tensors("psft", grown, weight_of(grown))
    OBJECTIVES["psft"].losses(batch, {}).sum().backward()
    assert batch.log_probs_N.grad.tolist() == [-1.0 + i % 2 for i in range(len(grown))]


def test_rho_1_keeps_the_earlier_of_equals() -> None:
    equal = [Token(-1.0, 1.0, "answer", i // 4, -0.5, 0, 0, 0, 0) for i in range(8)]
    losses_N = OBJECTIVES["rho-1"].losses(tensors("rho-1", equal, weight_of(equal)), {"share": 0.5})
    assert losses_N.tolist() == [2, 2, 0, 0] * 2


EXTREMES = [0.0, -1e-38, -1e-20, -1e-8, -1e-3, -1.0, -90.0, -1e4]


@every_case
@pytest.mark.parametrize("other", [0.0, -1e-8, -90.0, -1e4])
def test_sure_and_hopeless_tokens_have_finite_losses_and_gradients(
    name: str, options: dict[str, float], other: float
) -> None:
    tokens = [
        Token(log_p, 1.0, SEGMENTS[i % len(SEGMENTS)], i // 3, other, 0.0, other, 0.0, float(i % 2))
        for i, log_p in enumerate(EXTREMES)
    ]
    batch = tensors(name, tokens, weight_of(tokens), torch.float32)
    losses_N = OBJECTIVES[name].losses(batch, options)
    losses_N.sum().backward()
    assert losses_N.dtype == torch.float32
    assert losses_N.isfinite().all()
    assert batch.log_probs_N.grad.isfinite().all()


@every_case
@pytest.mark.parametrize("segment", SEGMENTS)
def test_a_step_of_one_segment_has_finite_losses(name: str, options: dict[str, float], segment: str) -> None:
    tokens = [Token(-1.0 - i, 1.0, segment, 0, -1.0, 0.1, -1.0, 0.2, 0.5) for i in range(3)]
    batch = tensors(name, tokens, weight_of(tokens), torch.float32)
    assert OBJECTIVES[name].losses(batch, options).isfinite().all()


@every_objective
def test_a_micro_batch_without_weighted_tokens_has_no_losses(name: str, tokens: list[Token]) -> None:
    batch = tensors(name, tokens, weight_of(tokens))
    none = {f: t[:0] for f, t in vars(batch).items() if f.endswith("_N") and t is not None}
    assert OBJECTIVES[name].losses(replace(batch, **none), {}).shape == (0,)


@every_objective
def test_a_field_that_the_trainer_left_out_is_named(name: str, tokens: list[Token]) -> None:
    for need in OBJECTIVES[name].needs:
        batch = replace(tensors(name, tokens, weight_of(tokens)), **{f"{need}_N": None})
        with pytest.raises(ValueError, match=f"{need}_N, which the trainer did not fill"):
            OBJECTIVES[name].losses(batch, {})


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("rho-1", {"share": 60.0}, "option share must be above 0 and at most 1, not 60.0"),
        ("token-cleaning", {"share": 0.0}, "option share must be above 0 and at most 1, not 0.0"),
        ("profit", {"threshold": math.nan}, "option threshold must be above 0 and at most 1, not nan"),
        ("focal", {"gamma": -1.0}, "option gamma must be a number of at least 0, not -1.0"),
        ("iw-sft", {"clip": math.inf}, "option clip must be a number of at least 0, not inf"),
    ],
)
def test_an_option_out_of_range_is_one_clear_line(
    name: str, options: dict[str, float], message: str, tokens: list[Token]
) -> None:
    with pytest.raises(InputError, match=message):
        OBJECTIVES[name].losses(tensors(name, tokens, weight_of(tokens)), options)


@every_objective
def test_the_usual_options_are_in_range(name: str) -> None:
    OBJECTIVES[name].check(OBJECTIVES[name].options, name)


def test_a_reference_model_is_named_exactly_where_one_is_needed() -> None:
    compared = {"reference_log_probs", "reference_kl", "cleaning_rank"}
    for name, objective in OBJECTIVES.items():
        assert (objective.reference is not None) == bool(objective.needs & compared), name


def test_objectives_are_known_without_torch() -> None:
    code = "import sys, sftkey_train.objectives; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_first_power_has_the_gradient_of_dft(tokens: list[Token]) -> None:
    gradients = []
    for name, options in (("power", {"k": 1.0}), ("dft", {})):
        given = tensors(name, tokens, weight_of(tokens))
        (OBJECTIVES[name].losses(given, options) * given.weights_N).sum().backward()
        gradients.append(given.log_probs_N.grad)
    torch.testing.assert_close(*gradients, rtol=1e-12, atol=0)

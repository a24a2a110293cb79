"""Configurations that must give the same numbers, and faults that must be loud."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tiny import (
    V,
    corpus_of,
    equal_states,
    largest_difference,
    lora_model,
    state_of,
    tagged_corpus,
    tiny_model,
    train,
    train_tokenizer,
    with_settings,
    with_weights,
)
from torch.nn.functional import cross_entropy
from transformers import TrainingArguments

from sftkey_train import recorded
from sftkey_train import trainer as trainer_module
from sftkey_train.batches import BatchOrder
from sftkey_train.corpus import Corpus
from sftkey_train.model import flops_of, output_head
from sftkey_train.objectives import OBJECTIVES
from sftkey_train.objectives.registry import objective
from sftkey_train.references import (
    NO_REFERENCE,
    ReferenceData,
    cleaning_rank,
    read_hidden,
    read_log_probs,
    score_corpus,
)
from sftkey_train.settings import TrainSettings, training_arguments
from sftkey_train.stages import StageNode, build_graph
from sftkey_train.stored import save_stage
from sftkey_train.trainer import SpanTrainer, train_stage
from sftkey_train.variants import load_variant
from tasks.errors import InputError

NodeOf = Callable[..., StageNode]
State = dict[str, torch.Tensor]
References = Callable[[str], ReferenceData]
TINY = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}


def variant_of(name: str) -> str:
    """The shipped variant of an objective."""
    return "sft-tag" if name == "cross-entropy" else name


@pytest.fixture(scope="module")
def references(tagged: Corpus, tmp_path_factory: pytest.TempPathFactory) -> References:
    """What an objective's reference models, which are not the trained one, say of the random examples."""
    folder = tmp_path_factory.mktemp("references")
    models = {
        name: tiny_model(V, seed=seed, initializer_range=0.3) for name, seed in (("base", 7), ("sft", 8))
    }
    for name, model in models.items():
        score_corpus(model, tagged, folder / name, hidden=True)
    base_N, sft_N = (read_log_probs(folder / name) for name in models)
    weights = load_variant("sft-tag").stages[0].weights
    by_need = {
        "reference_log_probs": ReferenceData({"reference_log_probs": base_N}),
        "cleaning_rank": ReferenceData({"cleaning_rank": cleaning_rank(base_N, sft_N, tagged, weights)}),
        "reference_kl": ReferenceData(
            {"reference_hidden": read_hidden(folder / "base")},
            output_head(models["base"]).requires_grad_(False),
        ),
    }

    def of(name: str) -> ReferenceData:
        return next((by_need[need] for need in OBJECTIVES[name].needs & by_need.keys()), NO_REFERENCE)

    return of


@pytest.mark.parametrize("name", OBJECTIVES)
def test_accumulation_changes_nothing(
    name: str, tagged: Corpus, node_of: NodeOf, settings: TrainSettings, references: References
) -> None:
    """Six steps of 8 examples, as micro-batches of 8, 4, 2 and 1, for every objective."""
    settings = replace(settings, epochs=2, log_every=1, weight_decay=0.0)
    node = node_of(variant_of(name), settings)
    start = tiny_model(V, initializer_range=0.3)
    whole, result = train(tagged, node, start, reference=references(name))
    assert largest_difference(whole, state_of(tiny_model(V, initializer_range=0.3))) > 1e-2
    for micro in (4, 2, 1):
        model = tiny_model(V, initializer_range=0.3)
        parts, accumulated = train(
            tagged, with_settings(node, micro_batch_size=micro), model, reference=references(name)
        )
        assert largest_difference(whole, parts) < 1e-4
        for line, expected in zip(accumulated.history, result.history, strict=True):
            assert line.loss == pytest.approx(expected.loss, rel=1e-4)
            assert line.loss_answer == pytest.approx(expected.loss_answer, rel=1e-4)
        assert accumulated.cost.tokens_forward == result.cost.tokens_forward


@pytest.mark.parametrize("adapters", [False, True])
def test_two_stages_with_one_optimiser_are_one_long_stage(
    adapters: bool, tagged: Corpus, node_of: NodeOf, settings: TrainSettings, tmp_path: Path
) -> None:
    """At a constant rate, bit for bit; a fresh optimiser goes elsewhere."""
    settings = replace(settings, epochs=4, schedule="constant", warmup_epochs=0.0, optimizer_state="carried")
    whole = node_of("sft-tag", settings)
    half = whole.num_steps // 2
    new = lora_model if adapters else partial(tiny_model, V)
    long, _ = train(tagged, whole, new())
    for state in ("carried", "fresh"):
        first = with_settings(replace(whole, num_steps=half), optimizer_state=state)
        second = replace(first, first_step=half, num_steps=whole.num_steps - half)
        model = new()
        _, result = train(tagged, first, model)
        assert (result.moments is None) == (state == "fresh")
        save_stage(model, train_tokenizer("gpt2"), tmp_path / state, {}, [], moments=result.moments)
        ended, _ = train(tagged, second, model, parent=tmp_path / state)
        assert equal_states(ended, long) == (state == "carried")
    with pytest.raises(InputError, match=r"optimizer\.moments: not there"):
        train(tagged, with_settings(second, optimizer_state="carried"), new(), parent=tmp_path / "fresh")


def test_a_loss_over_examples_is_the_mean_of_their_means(
    tagged: Corpus, node_of: NodeOf, settings: TrainSettings
) -> None:
    """Against a computation example by example; micro-batches change nothing."""
    settings = replace(settings, epochs=1, log_every=1, warmup_epochs=0.0, loss_mean="examples")
    node = replace(node_of("sft-tag", settings), num_steps=1)
    model = tiny_model(V, initializer_range=0.3)
    [batch] = BatchOrder(tagged.lengths_E, settings.batch_size, node.seed).batches(0, 1)
    means = []
    for index in batch:
        ids, segments = (torch.from_numpy(tagged[int(index)][name]) for name in ("input_ids", "segments"))
        with torch.no_grad():
            losses = cross_entropy(model(ids[None]).logits[0, :-1], ids[1:], reduction="none")
        has_loss = torch.tensor([node.stage.weights[segment] > 0 for segment in segments[1:]])
        means.append(float(losses[has_loss].mean()))
    assert len({round(mean, 3) for mean in means}) == settings.batch_size
    for micro in (None, 2):
        start = tiny_model(V, initializer_range=0.3)
        _, result = train(tagged, with_settings(node, micro_batch_size=micro), start)
        assert result.history[0].loss == pytest.approx(sum(means) / len(means), rel=1e-4)


def test_accumulation_changes_nothing_for_a_model_that_takes_no_loss_arguments(
    tagged: Corpus, node_of: NodeOf, settings: TrainSettings
) -> None:
    """Transformers divides the loss of such a model by the number of micro-batches."""
    losses = []
    for micro in (None, 2):
        model = tiny_model(V)
        model.accepts_loss_kwargs = False
        node = node_of("sft-tag", replace(settings, micro_batch_size=micro, log_every=1))
        losses.append(train(tagged, node, model)[1].history[0].loss)
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_a_micro_batch_that_does_not_divide_the_batch_is_refused(
    tagged: Corpus, node_of: NodeOf, settings: TrainSettings
) -> None:
    with pytest.raises(InputError, match=r"batch_size \(8\) is no multiple of train.micro_batch_size \(3\)"):
        train(tagged, node_of("sft", replace(settings, micro_batch_size=3)))


def model_of_family(family: str) -> torch.nn.Module:
    import transformers

    torch.manual_seed(0)
    if family == "gpt2":
        config = transformers.GPT2Config(
            vocab_size=V,
            n_embd=16,
            n_layer=2,
            n_head=2,
            n_positions=64,
            resid_pdrop=0,
            embd_pdrop=0,
            attn_pdrop=0,
        )
        return transformers.GPT2LMHeadModel(config)
    if family == "qwen2":
        return transformers.Qwen2ForCausalLM(
            transformers.Qwen2Config(vocab_size=V, num_key_value_heads=1, tie_word_embeddings=True, **TINY)
        )
    return tiny_model(V, **TINY)


@pytest.mark.parametrize("micro", [None, 2])
@pytest.mark.parametrize("name", ["cross-entropy", "rho-1"])
@pytest.mark.parametrize("family", ["llama", "gpt2", "qwen2"])
def test_packing_changes_nothing(
    family: str,
    name: str,
    micro: int | None,
    tagged: Corpus,
    node_of: NodeOf,
    settings: TrainSettings,
    references: References,
) -> None:
    settings = replace(settings, epochs=2, log_every=1, micro_batch_size=micro)
    node = node_of(variant_of(name), settings)
    padded, result = train(tagged, node, model_of_family(family), reference=references(name))
    packed, other = train(
        tagged, with_settings(node, packing=True), model_of_family(family), reference=references(name)
    )
    assert largest_difference(padded, state_of(model_of_family(family))) > 1e-2
    assert largest_difference(padded, packed) < 1e-4
    for line, expected in zip(other.history, result.history, strict=True):
        assert line.loss == pytest.approx(expected.loss, rel=1e-4)
        assert line.loss_thinking == pytest.approx(expected.loss_thinking, rel=1e-4)
    assert other.cost.tokens_forward == result.cost.tokens_forward


@pytest.mark.parametrize("ignored", ["positions", "mask"])
def test_packing_is_refused_where_examples_would_see_each_other(
    ignored: str, tagged: Corpus, node_of: NodeOf, settings: TrainSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that takes no notice of positions, or that minds them but masks nothing."""
    model = tiny_model(V)
    if ignored == "mask":
        from transformers import masking_utils

        monkeypatch.setattr(masking_utils, "find_packed_sequence_indices", lambda positions: None)
    else:
        own = model.forward
        monkeypatch.setattr(
            model, "forward", lambda input_ids, position_ids=None, **more: own(input_ids, **more)
        )
    node = node_of("sft-tag", replace(settings, packing=True))
    with pytest.raises(InputError, match=r"lets packed examples see each other; set train\.packing to false"):
        train(tagged, node, model)
    train(tagged, with_settings(node, packing=False), model)


def test_a_longer_neighbour_changes_no_loss(
    node_of: NodeOf, settings: TrainSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The losses of an example are the same alone and padded to a longer one's length."""
    names = ["prompt"] * 3 + ["thinking"] * 4 + ["answer", "end"]
    short = (list(range(9)), names)
    long = (list(range(30)), ["prompt"] * 9 + ["thinking"] * 20 + ["end"])
    seen: list[torch.Tensor] = []

    def recording(tokens: Any) -> torch.Tensor:
        seen.append(-tokens.log_probs_N.detach()[tokens.examples_N == tokens.examples_N[0]])
        return -tokens.log_probs_N

    original = OBJECTIVES["cross-entropy"]
    monkeypatch.setitem(OBJECTIVES, "cross-entropy", replace(original, function=recording))
    settings = replace(settings, amount=1)
    for data, batch_size in ((corpus_of([short]), 1), (corpus_of([short, short, long]), 3)):
        train(data, node_of("sft", replace(settings, batch_size=batch_size), data=data))
    alone, padded = seen
    assert len(alone) == 6
    torch.testing.assert_close(padded[:6], alone, rtol=1e-5, atol=1e-6)


def test_the_seed_decides_all(tagged: Corpus, node_of: NodeOf, settings: TrainSettings) -> None:
    first, _ = train(tagged, node_of("sft-tag", settings))
    again, _ = train(tagged, node_of("sft-tag", settings))
    other, _ = train(tagged, node_of("sft-tag", settings, seed=2))
    assert equal_states(first, again)
    assert not equal_states(first, other)


def naive_loss(model: torch.nn.Module, corpus: Corpus, weights: tuple[float, ...]) -> float:
    """Σ wₜ·ℓₜ / Σ wₜ over the examples, one token at a time."""
    total = weight = 0.0
    for index in range(len(corpus)):
        ids = torch.from_numpy(corpus[index]["input_ids"])
        log_probs = model(input_ids=ids[None]).logits[0].detach().double().log_softmax(-1)
        for position in range(1, len(ids)):
            w = weights[corpus[index]["segments"][position]]
            total -= w * float(log_probs[position - 1, ids[position]])
            weight += w
    return total / weight


@pytest.mark.parametrize("packing", [False, True])
def test_the_loss_is_divided_by_the_weight_of_the_step(
    packing: bool, node_of: NodeOf, settings: TrainSettings
) -> None:
    """By the definition, with weights 1, 3 and 0.1 and uneven examples in two micro-batches."""
    corpus = tagged_corpus(4)
    settings = replace(settings, batch_size=4, micro_batch_size=2, packing=packing)
    node = with_weights(node_of("sft", settings, data=corpus), thinking=1, answer=3, prompt=0.1)
    model = tiny_model(V, initializer_range=0.3)
    expected = naive_loss(model, corpus, node.stage.weights)
    assert train(corpus, node, model)[1].history[0].loss == pytest.approx(expected, rel=1e-5)


def test_the_loss_of_a_line_is_the_mean_of_its_steps(
    tagged: Corpus, node_of: NodeOf, settings: TrainSettings
) -> None:
    settings = replace(settings, epochs=2, micro_batch_size=2)
    each = [line.loss for line in train(tagged, node_of("sft", replace(settings, log_every=1)))[1].history]
    some = [line.loss for line in train(tagged, node_of("sft", replace(settings, log_every=4)))[1].history]
    assert some == pytest.approx([sum(each[:4]) / 4, sum(each[4:]) / 2])


def test_only_the_ratio_of_weights_matters(tagged: Corpus, node_of: NodeOf, settings: TrainSettings) -> None:
    node = node_of("sft", settings)
    light, _ = train(tagged, with_weights(node, thinking=1, answer=3))
    heavy, _ = train(tagged, with_weights(node, thinking=2, answer=6))
    even, _ = train(tagged, with_weights(node, thinking=1, answer=1))
    assert largest_difference(light, heavy) < 1e-6
    assert largest_difference(light, even) > 1e-4


def test_a_target_without_weight_is_not_learnt_but_still_read(
    node_of: NodeOf, settings: TrainSettings
) -> None:
    """One step with weight on the answer alone: the token 4, read after 1, 2 and 3."""
    start = state_of(tiny_model(V))

    def change(ids: list[int]) -> State:
        corpus = corpus_of([(ids, ["prompt", "thinking", "thinking", "answer", "end"])] * 8)
        after, _ = train(corpus, with_weights(node_of("sft", settings, data=corpus), answer=1))
        return {name: after[name] - start[name] for name in start}

    changes = change([1, 2, 3, 4, 5])
    # The head learns towards the answer, and away from thinking and end as from any token that never comes.
    towards = torch.sign(changes["lm_head.weight"])
    assert torch.equal(towards[4], -towards[10])
    for token in (2, 3, 5):
        assert torch.equal(towards[token], towards[10])
    # The thinking is read: gradients reach its embeddings, not those of what was not in the context.
    read = changes["model.embed_tokens.weight"].abs().sum(dim=1)
    assert min(read[token] for token in (1, 2, 3)) > 10 * max(read[token] for token in (4, 5, 10))
    assert largest_difference(changes, change([1, 2, 3, 4, 9])) == 0
    assert largest_difference(changes, change([1, 2, 9, 4, 5])) > 0


@pytest.mark.parametrize("log_every", [1, 3, 100])
def test_a_loss_that_is_not_a_number_stops_the_stage(
    tagged: Corpus, node_of: NodeOf, settings: TrainSettings, monkeypatch: pytest.MonkeyPatch, log_every: int
) -> None:
    """Also where it first appears after a good step, which transformers would hide behind an average."""
    calls = iter(range(99))

    def breaks(tokens: Any) -> torch.Tensor:
        return tokens.log_probs_N * (float("nan") if next(calls) == 1 else -1.0)

    monkeypatch.setitem(OBJECTIVES, "cross-entropy", replace(OBJECTIVES["cross-entropy"], function=breaks))
    with pytest.raises(FloatingPointError, match=r"sft-tag · sft · seed 1: the loss is nan at step \d"):
        train(tagged, node_of("sft-tag", replace(settings, log_every=log_every)))


@pytest.mark.parametrize("log_every", [1, 2, 100])
@pytest.mark.parametrize("variant", ["sft-tag", "key-tag"])
def test_the_history_ends_with_the_last_step(
    tagged: Corpus, node_of: NodeOf, settings: TrainSettings, variant: str, log_every: int
) -> None:
    node, shown = node_of(variant, replace(settings, log_every=log_every)), []
    _, result = train(tagged, node, on_step=shown.append)
    steps = [metrics.step for metrics in result.history]
    assert steps == sorted({*range(log_every, node.num_steps + 1, log_every), node.num_steps})
    assert tuple(shown) == result.history
    assert {metrics.num_steps for metrics in result.history} == {node.num_steps} == {3}
    assert result.history[-1].tokens == result.cost.tokens_forward


class Nosy:
    """A probe that generates, draws random numbers and changes the model's mode."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, model: torch.nn.Module) -> Mapping[str, float]:
        assert not model.training
        with torch.no_grad():
            model.generate(
                torch.arange(4)[None], max_new_tokens=2, do_sample=True, pad_token_id=0, use_cache=True
            )
        torch.randn(9)
        self.calls += 1
        return {"accuracy": self.calls / 10, "format_valid": 0.5}


@pytest.mark.parametrize(
    "watch",
    [
        {"log_every": 100},
        {"gradient_norms": True},
        {"validate_every": 2, "log_every": 3},
        {
            "gradient_norms": True,
            "validate_every": 1,
            "log_every": 1,
            "save_minutes": 0.0,
            "validation_records": 3,
        },
    ],
    ids=lambda watch: "+".join(watch),
)
@pytest.mark.parametrize("method", ["full", "lora with dropout"])
@pytest.mark.parametrize("variant", ["key-tag", "psft"])
def test_how_one_looks_changes_nothing(
    tagged: Corpus, node_of: NodeOf, settings: TrainSettings, variant: str, method: str, watch: dict[str, Any]
) -> None:
    """Such settings are not part of a stage's key, so they must not be part of its weights."""
    states = []
    for more in ({"log_every": 1}, watch):
        node = node_of(variant, replace(settings, micro_batch_size=4, epochs=2, **more))
        model = tiny_model(V) if method == "full" else lora_model(lora_dropout=0.3)
        states.append(train(tagged, node, model, probe=Nosy())[0])
    assert equal_states(*states)


def test_the_probe_is_called_as_often_as_asked_and_after_the_last_step(
    tagged: Corpus, node_of: NodeOf, settings: TrainSettings
) -> None:
    node = node_of("sft-tag", replace(settings, epochs=7 / 3, validate_every=3, log_every=2))
    _, result = train(tagged, node, probe=Nosy())
    seen = {line.step: str(line.accuracy) for line in result.history}
    assert seen == {2: "nan", 3: "0.1", 4: "nan", 6: "0.2", 7: "0.3"}
    assert {line.format_valid for line in result.history if line.step in (3, 6, 7)} == {0.5}


def test_the_time_of_the_probe_is_not_training_time(
    tagged: Corpus, node_of: NodeOf, settings: TrainSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock that goes on for 100 seconds in each of three probes, and for 5 after each step."""
    clock = [0.0]
    for module in (trainer_module, recorded):
        monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: clock[0]))

    def passes(seconds: float) -> Mapping[str, float]:
        clock[0] += seconds
        return {}

    node = node_of("sft-tag", replace(settings, validate_every=1))
    _, result = train(tagged, node, on_step=lambda _: passes(5), probe=lambda _: passes(100))
    assert [line.wall_seconds for line in result.history] == [0, 5, 10]
    assert (result.cost.wall_seconds, clock) == (15, [315])


def test_a_stage_may_be_ended_early(tagged: Corpus, node_of: NodeOf, settings: TrainSettings) -> None:
    node = node_of("sft-tag", replace(settings, epochs=3, log_every=2))
    _, result = train(tagged, node, stop_when=lambda history: len(history) == 2)
    assert [line.step for line in result.history] == [2, 4]
    assert result.cost.tokens_forward < node.tokens_forward


def test_the_work_is_counted_by_weight_and_token() -> None:
    """Every weight but the embeddings; the head for tokens with loss alone; frozen ones cost less."""
    untied, tied = tiny_model(V), tiny_model(V, tie_word_embeddings=True)
    sizes = {name: tensor.numel() for name, tensor in untied.named_parameters()}
    head, embeddings = sizes.pop("lm_head.weight"), sizes.pop("model.embed_tokens.weight")
    assert head == embeddings == V * 16
    inner = sum(sizes.values())
    assert flops_of(untied, 100, 10) == flops_of(tied, 100, 10) == 6 * (inner * 100 + head * 10)
    adapted = lora_model()
    trained = sum(parameter.numel() for parameter in adapted.parameters() if parameter.requires_grad)
    assert flops_of(adapted, 100, 10) == 6 * trained * 100 + 4 * (inner * 100 + head * 10)


def batches_seen(
    corpus: Corpus, nodes: list[StageNode], monkeypatch: pytest.MonkeyPatch
) -> list[list[list[int]]]:
    """The token ids of each micro-batch of the stages, one after another."""
    seen: list[list[list[int]]] = []
    with monkeypatch.context() as patch:
        own = SpanTrainer.compute_loss

        def recording(self: SpanTrainer, model: torch.nn.Module, inputs: Any, *args: Any, **more: Any) -> Any:
            seen.append(inputs["input_ids"].tolist())
            return own(self, model, inputs, *args, **more)

        patch.setattr(SpanTrainer, "compute_loss", recording)
        for node in nodes:
            train(corpus, node)
    return seen


@pytest.mark.parametrize("share", [0.5, 0.2])
def test_a_two_stage_variant_sees_the_batches_of_a_one_stage_one(
    share: float, tagged: Corpus, settings: TrainSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also across the border between two passes, and with accumulation."""
    settings = replace(settings, epochs=5 / 3, stage2_share=share, micro_batch_size=4)
    names = ("sft-tag", "sftkey-tag", "sft-tag-x2", "key-tag")
    variants = [load_variant(name) for name in names]
    graph = build_graph(variants, [3], settings, "base", {"t": tagged}, dict.fromkeys(names, "t"))
    seen = [
        batches_seen(tagged, [graph.nodes[key] for key in graph.chains[name, 3]], monkeypatch)
        for name in names
    ]
    assert len(seen[0]) == 10
    assert seen[0] == seen[1] == seen[2] == seen[3]


def test_the_learning_rate_warms_up_and_falls(
    tagged: Corpus, node_of: NodeOf, settings: TrainSettings
) -> None:
    settings = replace(settings, epochs=4, batch_size=6, warmup_epochs=1, log_every=1)
    node = node_of("sft-tag", settings)
    assert (node.num_steps, node.warmup_steps) == (16, 4)
    _, result = train(tagged, node)
    rates = [metrics.learning_rate / settings.learning_rate for metrics in result.history]
    assert rates[:5] == pytest.approx([0, 1 / 4, 2 / 4, 3 / 4, 1])
    assert rates[4:] == sorted(rates[4:], reverse=True)


def test_a_stage_has_a_learning_rate_of_its_own(
    tagged: Corpus, node_of: NodeOf, settings: TrainSettings
) -> None:
    node = replace(node_of("sft-tag", replace(settings, log_every=1)), learning_rate=0.5, warmup_steps=1)
    _, result = train(tagged, node)
    assert max(metrics.learning_rate for metrics in result.history) == 0.5


def test_a_new_objective_is_one_function(
    tagged: Corpus, node_of: NodeOf, settings: TrainSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    registered = dict(OBJECTIVES)

    @objective("scaled")
    def scaled(tokens: Any, by: float = 0.5) -> torch.Tensor:
        return -by * tokens.log_probs_N

    node = node_of("sft-tag", replace(settings, log_every=1))
    mine = replace(node, stage=replace(node.stage, objective="scaled", options=(("by", 0.25),)))
    try:
        losses = [train(tagged, which)[1].history[0].loss for which in (node, mine)]
    finally:
        OBJECTIVES.clear()
        OBJECTIVES.update(registered)
    assert losses[1] == pytest.approx(losses[0] / 4)


def test_one_process_trains_on_one_device(settings: TrainSettings, tmp_path: Path) -> None:
    of_stage = {"seed": 1, "learning_rate": 1e-2, "max_steps": 3, "warmup_steps": 1}
    arguments = training_arguments(settings, tmp_path, TrainingArguments, run_name="sft", **of_stage)
    assert arguments.n_gpu <= 1
    assert arguments.train_batch_size * arguments.gradient_accumulation_steps == settings.batch_size


@pytest.mark.parametrize(
    "change", [{"schedule": "zigzag"}, {"report_to": "telepathy"}], ids=lambda change: next(iter(change))
)
def test_a_setting_that_transformers_refuses_is_one_line(
    change: dict[str, Any], tagged: Corpus, node_of: NodeOf, settings: TrainSettings
) -> None:
    with pytest.raises(InputError) as raised:
        train(tagged, node_of("sft", replace(settings, **change)))
    assert "\n" not in str(raised.value)


def test_threads_are_given_back(
    tagged: Corpus, node_of: NodeOf, settings: TrainSettings, tmp_path: Path
) -> None:
    before, during = torch.get_num_threads(), []
    torch.set_num_threads(2)
    try:
        train_stage(
            tiny_model(V),
            tagged,
            node_of("sft"),
            lambda _: during.append(torch.get_num_threads()),
            scratch=tmp_path,
        )
        assert (during, torch.get_num_threads()) == ([1], 2)
    finally:
        torch.set_num_threads(before)

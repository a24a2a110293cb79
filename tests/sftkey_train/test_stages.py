"""Stages are shared where they are the same, and only there; what is compared has equal budgets."""

from collections.abc import Iterable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from tiny import equal_states, records_of, tagged_corpus, tiny_model, train

from sftkey_train.batches import BatchOrder
from sftkey_train.corpus import Corpus
from sftkey_train.model import load_for_training
from sftkey_train.segments import SEGMENTS
from sftkey_train.settings import NOT_IN_THE_WEIGHTS, TrainSettings
from sftkey_train.spans import encode
from sftkey_train.stages import BASE, StageGraph, StageNode, build_graph, rounds
from sftkey_train.stored import save_stage
from sftkey_train.text import TextPath
from sftkey_train.variants import Stage, Variant, load_variant
from tasks.errors import InputError
from tasks.records import Record
from tasks.tags import get_tag_format

TAGGED = ("sft-tag", "sftkey-tag", "sft-tag-x2", "key-tag")
THREE = "sft-tag+key-tag+key-tag"
CORPUS = tagged_corpus(50)


def graph_of(
    settings: TrainSettings,
    *,
    names: Iterable[str] = TAGGED,
    seeds: Iterable[int] = (1,),
    base: str = "base",
    corpus: Corpus = CORPUS,
) -> StageGraph:
    variants = [load_variant(name) for name in names]
    return build_graph(variants, [*seeds], settings, base, {"t": corpus}, dict.fromkeys(names, "t"))


def chain_of(name: str, settings: TrainSettings, **changes: object) -> list[StageNode]:
    graph = graph_of(settings, names=(name,), **changes)
    return [graph.nodes[key] for key in next(iter(graph.chains.values()))]


def key_of(settings: TrainSettings, name: str = "sftkey-tag", **changes: object) -> str:
    return chain_of(name, settings, **changes)[-1].key


def variant_of(*stages: Stage, name: str = "mine") -> Variant:
    return Variant(name, "", "", True, stages)


def test_variants_that_begin_alike_share_their_first_stage(settings: TrainSettings) -> None:
    graph = graph_of(settings, names=("sftkey-tag", "sft-tag-x2", "key-tag"), seeds=(1, 2))
    first = {name: graph.chains[name, 1][0] for name in ("sftkey-tag", "sft-tag-x2", "key-tag")}
    assert first["sftkey-tag"] == first["sft-tag-x2"] != first["key-tag"]
    assert graph.nodes[first["sftkey-tag"]].variants == ("sftkey-tag", "sft-tag-x2")
    assert graph.nodes[first["sftkey-tag"]].label == "sftkey-tag, sft-tag-x2 · sft · seed 1"
    assert len(graph.nodes) == 2 * 4
    assert not set(graph.chains["sftkey-tag", 1]) & set(graph.chains["sftkey-tag", 2])


def test_a_budget_of_a_stage_lets_one_stage_be_the_first_of_two(settings: TrainSettings) -> None:
    graph = graph_of(replace(settings, budget_of="stage"))
    first = {name: graph.chains[name, 1][0] for name in TAGGED}
    assert first["sft-tag"] == first["sftkey-tag"] == first["sft-tag-x2"] != first["key-tag"]


def test_a_second_stage_may_see_the_data_of_the_first_again(settings: TrainSettings) -> None:
    first, second = chain_of("sftkey-tag", settings)
    again_first, again = chain_of("sftkey-tag", replace(settings, stage2_data="same"))
    assert again_first.key == first.key
    assert (second.first_step, again.first_step) == (first.num_steps, 0)
    assert again.num_steps == second.num_steps == first.num_steps
    assert again.tokens_forward == first.tokens_forward != second.tokens_forward


def test_parents_and_references_come_before_children(settings: TrainSettings) -> None:
    done: set[str | None] = {None, BASE}
    graph = graph_of(settings, names=(*TAGGED, "rho-1", "asft", "token-cleaning"))
    for key, node in graph.nodes.items():
        assert node.parent in done
        assert node.reference in done
        assert node.key == key
        done.add(key)


@pytest.mark.parametrize("budget", ["steps", "tokens", "epochs"])
@pytest.mark.parametrize("size", [{"epochs": 0.7}, {"epochs": 3.0}, {"amount": True}], ids=str)
@pytest.mark.parametrize("share", [0.5, 0.1, 0.8])
def test_variants_have_equal_steps_and_tokens_however_many_stages(
    budget: str, size: dict[str, float], share: float, settings: TrainSettings
) -> None:
    if "amount" in size:
        size = {"amount": {"steps": 9.0, "tokens": 2000.0, "epochs": 1.7}[budget]}
    settings = replace(settings, budget=budget, stage2_share=share, **size)
    totals = set()
    for name in (*TAGGED, THREE, "rho-1"):
        chain = chain_of(name, settings)
        totals.add((sum(node.num_steps for node in chain), sum(node.tokens_forward for node in chain)))
        starts = [node.first_step for node in chain]
        assert starts == [sum(node.num_steps for node in chain[:i]) for i in range(len(chain))]
    assert len(totals) == 1


@pytest.mark.parametrize(
    ("changes", "steps"),
    [
        ({"epochs": 2.0}, 12),
        ({"epochs": 0.5}, 3),
        ({"epochs": 0.01}, 1),
        ({"amount": 11}, 11),
        ({"budget": "epochs", "epochs": 1.5}, 9),
        ({"budget": "epochs", "amount": 2.5}, 15),
        ({"batch_size": 64, "epochs": 2.0}, 2),
    ],
    ids=str,
)
def test_the_steps_of_a_budget(changes: dict[str, object], steps: int, settings: TrainSettings) -> None:
    """50 examples are 6 batches of 8; what fills no batch is left out of a pass."""
    assert [node.num_steps for node in chain_of("sft-tag", replace(settings, **changes))] == [steps]


@pytest.mark.parametrize("changes", [{"epochs": 1.5}, {"amount": 1234.0}], ids=str)
def test_a_budget_in_tokens_is_met_to_the_nearest_step(
    changes: dict[str, float], settings: TrainSettings
) -> None:
    (node,) = chain_of("sft-tag", replace(settings, budget="tokens", **changes))
    wanted = changes.get("amount", 1.5 * len(CORPUS.ids_N))
    largest_batch = 8 * max(CORPUS.lengths_E)
    assert abs(node.tokens_forward - wanted) <= largest_batch / 2


def test_untagged_variants_get_the_budget_of_the_tagged_ones(settings: TrainSettings) -> None:
    """In steps or tokens, also where their examples are shorter; `epochs` are of the variant's own data."""
    keep = CORPUS.segments_N != SEGMENTS.index("thinking_tag")
    lengths = [int(keep[a:b].sum()) for a, b in zip(CORPUS.starts_E[:-1], CORPUS.starts_E[1:], strict=True)]
    short = Corpus(
        CORPUS.ids_N[keep], CORPUS.segments_N[keep], np.cumsum([0, *lengths]).astype(np.int64), 0, {}
    )
    few = tagged_corpus(20)
    variants = [load_variant("sft"), load_variant("sft-tag")]

    def nodes(untagged: Corpus, budget: str) -> tuple[StageNode, StageNode]:
        corpora, tags_of = {"none": untagged, "t": CORPUS}, {"sft": "none", "sft-tag": "t"}
        graph = build_graph(variants, [1], replace(settings, budget=budget), "base", corpora, tags_of)
        plain, tagged = (graph.nodes[graph.chains[name, 1][0]] for name in ("sft", "sft-tag"))
        return plain, tagged

    plain, tagged = nodes(short, "steps")
    assert plain.num_steps == tagged.num_steps
    plain, tagged = nodes(short, "tokens")
    assert plain.num_steps > tagged.num_steps
    assert plain.tokens_forward == pytest.approx(tagged.tokens_forward, rel=0.1)
    plain, tagged = nodes(few, "steps")
    assert plain.num_steps == tagged.num_steps == 6
    plain, tagged = nodes(few, "epochs")
    assert (plain.num_steps, tagged.num_steps) == (2, 6)


@pytest.mark.parametrize(
    ("name", "settings_of", "steps"),
    [
        ("sftkey-tag", {"amount": 10}, [5, 5]),
        ("sftkey-tag", {"amount": 10, "stage2_share": 0.3}, [7, 3]),
        ("sftkey-tag", {"amount": 10, "stage2_share": 0.01}, [9, 1]),
        (THREE, {"amount": 12, "stage2_share": 0.5}, [6, 3, 3]),
        ("sftkey-tag", {"amount": 10, "budget_of": "stage"}, [10, 10]),
        ("sftkey-tag", {"amount": 10, "budget_of": "stage", "stage2_share": 0.2}, [10, 2]),
        ("sft-tag", {"amount": 10, "budget_of": "stage", "stage2_share": 0.2}, [10]),
        (THREE, {"amount": 10, "budget_of": "stage", "stage2_share": 0.5}, [10, 5, 5]),
    ],
)
def test_stages_share_the_budget(
    name: str, settings_of: dict[str, object], steps: list[int], settings: TrainSettings
) -> None:
    assert [node.num_steps for node in chain_of(name, replace(settings, **settings_of))] == steps


@hypothesis_settings(max_examples=40, deadline=None)
@given(
    weights=st.lists(st.floats(1e-7, 1), min_size=2, max_size=5),
    total=st.integers(5, 200),
    off=st.floats(-1e-6, 1e-6),
)
def test_every_stage_has_a_step_and_none_is_lost(weights: list[float], total: int, off: float) -> None:
    """Whatever the shares, also where their sum is 1 only to rounding."""
    shares = [weight / sum(weights) * (1 + off) for weight in weights]
    stages = [replace(load_variant("key-tag").stages[0], share=share) for share in shares]
    settings = TrainSettings(batch_size=8, amount=total)
    graph = build_graph([variant_of(*stages)], [1], settings, "b", {"t": CORPUS}, {"mine": "t"})
    nodes = [graph.nodes[key] for key in graph.chains["mine", 1]]
    steps = [node.num_steps for node in nodes]
    assert sum(steps) == total
    assert min(steps) >= 1
    assert [node.first_step for node in nodes] == [sum(steps[:i]) for i in range(len(steps))]
    if total * min(shares) > 1:
        assert steps == pytest.approx([share * total for share in shares], abs=1)


@pytest.mark.parametrize(("name", "amount"), [("sftkey-tag", 1), (THREE, 2)])
def test_a_budget_with_fewer_steps_than_stages_is_one_clear_line(
    name: str, amount: int, settings: TrainSettings
) -> None:
    with pytest.raises(InputError, match=rf"a budget of {amount} steps? is too small for the \d stages of"):
        chain_of(name, replace(settings, amount=amount))


@pytest.mark.parametrize("batch_size", [8, 10, 64])
@pytest.mark.parametrize("name", ["sft-tag", "key-tag", "prompt-loss-weight", "sftkey-tag"])
@pytest.mark.parametrize("packing", [False, True])
def test_the_tokens_of_the_plan_are_those_that_training_counts(
    name: str, batch_size: int, packing: bool, settings: TrainSettings
) -> None:
    """With the prompt's too where it has weight; and an example's first token, which none predicts, never."""
    settings = replace(
        settings, epochs=2.1, budget="tokens", batch_size=batch_size, packing=packing, micro_batch_size=2
    )
    for node in chain_of(name, settings):
        _, result = train(CORPUS, node)
        assert (result.cost.tokens_forward, result.cost.tokens_loss) == (
            node.tokens_forward,
            node.tokens_loss,
        )
        assert result.history[-1].step == node.num_steps


def test_the_tokens_with_loss_are_those_of_the_weighted_segments(settings: TrainSettings) -> None:
    settings = replace(settings, batch_size=10)  # every example in each pass
    by_segment = CORPUS.tokens_by_segment()
    tokens = {
        name: chain_of(name, settings)[0].tokens_loss for name in ("sft-tag", "key-tag", "prompt-loss-weight")
    }
    assert tokens["key-tag"] == sum(by_segment[name] for name in ("answer_tag", "answer", "end"))
    assert tokens["sft-tag"] == len(CORPUS.ids_N) - by_segment["prompt"]
    assert tokens["prompt-loss-weight"] == len(CORPUS.ids_N) - len(CORPUS)


def test_the_learning_rate_is_that_of_the_stage_or_of_its_place(settings: TrainSettings) -> None:
    assert [node.learning_rate for node in chain_of(THREE, settings)] == [1e-2, 5e-3, 5e-3]
    own = variant_of(*(replace(stage, learning_rate=0.3) for stage in load_variant("sftkey-tag").stages))
    graph = build_graph([own], [1], settings, "b", {"t": CORPUS}, {"mine": "t"})
    assert {node.learning_rate for node in graph.nodes.values()} == {0.3}


def test_a_variant_may_have_settings_of_its_own(settings: TrainSettings) -> None:
    variants = [load_variant("sft-tag"), load_variant("key-tag")]
    own = {"key-tag": replace(settings, learning_rate=0.5)}
    tags_of = {"sft-tag": "t", "key-tag": "t"}
    graph = build_graph(variants, [1], settings, "b", {"t": CORPUS}, tags_of, own)
    rates = {node.variants: node.learning_rate for node in graph.nodes.values()}
    assert rates == {("sft-tag",): 1e-2, ("key-tag",): 0.5}


@pytest.mark.parametrize(
    ("changes", "warmup"),
    [({"epochs": 4, "warmup_epochs": 1.0}, 6), ({"warmup_epochs": 2.0}, 3), ({"amount": 1}, 0)],
    ids=str,
)
def test_warm_up_is_half_of_a_stage_at_most(
    changes: dict[str, float], warmup: int, settings: TrainSettings
) -> None:
    assert chain_of("sft-tag", replace(settings, **changes))[0].warmup_steps == warmup


def test_plain_sft_as_a_reference_is_the_variant_that_is_just_that(settings: TrainSettings) -> None:
    graph = graph_of(settings, names=("rho-1", "sft-tag", "token-cleaning", "asft"))
    key = graph.chains["sft-tag", 1][0]
    assert graph.nodes[graph.chains["rho-1", 1][0]].reference == key
    assert graph.nodes[graph.chains["token-cleaning", 1][0]].reference == key
    assert graph.nodes[graph.chains["asft", 1][0]].reference == BASE
    assert graph.nodes[key].reference is None
    assert graph.nodes[key].variants == ("sft-tag",)
    assert len(graph.nodes) == 4
    (reference, _) = graph_of(settings, names=("rho-1",)).nodes.values()
    assert (reference.variants, reference.label) == ((), "reference · sft · seed 1")


CHANGES = {
    "method": "lora", "learning_rate": 0.02, "second_learning_rate": 0.02, "budget": "epochs", "epochs": 2,
    "amount": 3, "budget_of": "stage", "stage2_share": 0.2,
    "stage2_data": "same", "loss_mean": "examples", "optimizer_state": "carried",
    "batch_size": 4, "micro_batch_size": 2,
    "packing": True, "warmup_epochs": 0.0, "schedule": "cosine", "weight_decay": 0.0, "max_grad_norm": 2.0,
    "max_length": 512, "log_every": 1, "validate_every": 5, "validation_records": 7, "gradient_norms": True,
    "report_to": "wandb", "save_minutes": 1.0, "workers": 2, "tag_tokens": True, "lora_rank": 4,
    "lora_alpha": 4, "lora_dropout": 0.1,
}  # fmt: skip


@pytest.mark.parametrize("field", [field.name for field in fields(TrainSettings)])
def test_a_setting_decides_the_key_where_it_decides_weights(field: str, settings: TrainSettings) -> None:
    if field == "budget":
        settings = replace(settings, amount=7.0)
    changed = replace(settings, **{field: CHANGES[field]})
    assert changed != settings
    assert (key_of(settings) == key_of(changed)) == (field in NOT_IN_THE_WEIGHTS)


def test_budgets_that_come_to_the_same_steps_share_a_stage(settings: TrainSettings) -> None:
    keys = {
        key_of(replace(settings, **changes), "sft-tag")
        for changes in (
            {"epochs": 2},
            {"amount": 12},
            {"budget": "epochs", "epochs": 2},
            {"stage2_share": 0.1, "epochs": 2},
        )
    }
    assert len(keys) == 1


def test_whatever_else_decides_weights_decides_the_key(
    settings: TrainSettings, records: list[Record], paths: dict[str, TextPath]
) -> None:
    def encoded(data: list[Record], tags: str = "thinking-answer", kind: str = "byte-level") -> Corpus:
        return encode(data, get_tag_format(tags), paths[kind], 512)

    def key(variant: Variant) -> str:
        graph = build_graph([variant], [1], settings, "base", {"t": encoded(records)}, {variant.name: "t"})
        return graph.chains[variant.name, 1][-1]

    sft, rho = load_variant("sft-tag").stages[0], load_variant("rho-1").stages[0]
    corpora = [
        encoded(records), encoded(records[:-1]), encoded(records[::-1]), encoded(records, "think-answer"),
        encoded(records, kind="gpt2"),
    ]  # fmt: skip
    variants = [
        variant_of(sft),
        variant_of(replace(sft, weights=(0, 1, 1, 1, 2, 1))),
        variant_of(replace(sft, objective="dft")),
        variant_of(replace(sft, objective="focal", options=(("gamma", 2.0),))),
        variant_of(replace(sft, objective="focal", options=(("gamma", 1.0),))),
        variant_of(rho),
        variant_of(replace(rho, reference="base")),
        variant_of(sft, sft),
        variant_of(replace(sft, share=0.3), replace(sft, share=0.7)),
    ]
    keys = [
        *(key_of(settings, corpus=corpus) for corpus in corpora),
        key_of(settings, corpus=corpora[0], base="another"),
        key_of(settings, corpus=corpora[0], seeds=(2,)),
        *(key(variant) for variant in variants),
    ]
    assert len(set(keys)) == len(keys)


def test_a_moved_segment_border_decides_the_key(settings: TrainSettings) -> None:
    segments_N = CORPUS.segments_N.copy()
    segments_N[segments_N == SEGMENTS.index("answer_tag")] = SEGMENTS.index("answer")
    assert key_of(settings) != key_of(settings, corpus=replace(CORPUS, segments_N=segments_N))


def test_names_do_not_decide_the_key(settings: TrainSettings) -> None:
    variant = load_variant("sftkey-tag")
    stages = tuple(replace(stage, name=f"{stage.name}-2") for stage in variant.stages)
    renamed = replace(variant, name="other", description="x", source="y", stages=stages)
    graph = build_graph([renamed], [1], settings, "base", {"u": CORPUS}, {"other": "u"})
    assert graph.chains["other", 1][-1] == key_of(settings)
    assert key_of(settings, "sft-tag+key-tag") == key_of(settings)


@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_shared_stage_is_a_separate_stage(
    tmp_path: Path, path: TextPath, settings: TrainSettings, method: str
) -> None:
    """`sftkey-tag` alone and after `sft-tag` and the control come to the same weights, bit for bit."""
    from transformers import set_seed

    corpus = encode(records_of(16), get_tag_format("thinking-answer"), path, 512)
    settings = replace(settings, method=method, lora_rank=2, lora_dropout=0.1, budget_of="stage")
    tiny_model(len(path.tokenizer)).save_pretrained(tmp_path / "base")

    def trained(node: StageNode, store: Path) -> dict:
        set_seed(node.seed)
        parent = store / node.parent if node.parent else None
        model = load_for_training(str(tmp_path / "base"), parent, settings)
        state, _ = train(corpus, node, model)
        save_stage(model, path.tokenizer, store / node.key, {}, [])
        return state

    graph = graph_of(settings, names=TAGGED[:3], corpus=corpus)
    assert len(graph.nodes) == 3
    shared = {key: trained(node, tmp_path / "shared") for key, node in graph.nodes.items()}
    alone = graph_of(settings, names=("sftkey-tag",), corpus=corpus)
    for key, node in alone.nodes.items():
        assert equal_states(trained(node, tmp_path / "alone"), shared[key])
    first, second = alone.chains["sftkey-tag", 1]
    assert not equal_states(shared[first], shared[second])


def test_a_plan_names_the_batches_that_training_draws(settings: TrainSettings) -> None:
    first, second = chain_of("sftkey-tag", replace(settings, epochs=3))
    order = BatchOrder(CORPUS.lengths_E, 8, 1)
    assert first.num_steps + second.num_steps == 18
    assert first.tokens_forward + second.tokens_forward == order.tokens(0, 18)


def test_drawing_is_paid_for_with_three_responses_for_an_example(settings: TrainSettings) -> None:
    own = replace(settings, budget="steps", amount=24, batch_size=2, stage2_share=0.5)
    sft, sample, rft = chain_of("sft-tag+rft", own)
    assert (sft.num_steps, rft.num_steps) == (12, 6)
    assert (sample.num_steps, sample.num_questions) == (0, 3 * 6 * 2 // 4)
    assert (sample.parent, rft.parent, rft.data) == (sft.key, sft.key, sample.key)
    assert sample.tokens_forward == round(9 * 4 * CORPUS.lengths_E.mean())


def test_steps_that_a_drawing_has_no_questions_for_go_to_what_learns(settings: TrainSettings) -> None:
    own = replace(settings, budget="steps", amount=240, batch_size=5, stage2_share=0.5)
    sft, sample, key = chain_of("sft-tag+on-policy-key", own)
    assert sample.num_questions == len(CORPUS)
    assert sft.num_steps == 120
    assert key.num_steps == 120 - -(-len(CORPUS) // 15)


def test_what_learns_from_samples_hangs_on_how_they_were_drawn(settings: TrainSettings) -> None:
    def keys(drawn_by: str, name: str = "sft-tag+rft") -> list[str]:
        variants = [load_variant(name)]
        graph = build_graph(variants, [1], settings, "base", {"t": CORPUS}, {name: "t"}, None, drawn_by)
        return list(graph.chains[name, 1])

    first, other = keys("vllm"), keys("hf")
    assert [one == two for one, two in zip(first, other, strict=True)] == [True, False, False]
    both = keys("vllm", "sft-tag+on-policy-key")
    assert both[0] == first[0]
    assert both[1] != first[1], "one response to a question, not four"


def test_iterated_samples_are_those_of_the_model_that_they_follow(settings: TrainSettings) -> None:
    _sft, first, once, second, twice = chain_of("sft-tag+rft+rft", settings)
    assert (second.parent, twice.parent, twice.data) == (once.key, once.key, second.key)
    assert first.key != second.key


@pytest.mark.parametrize(
    ("stages", "said"),
    [
        (("rft",), r"as in sft-tag\+rft"),
        (("sft-tag", "rft", "draw"), "ends with samples that nothing learns from"),
        (("sft-tag", "learn"), "needs a stage of kind sample before it"),
    ],
)
def test_stages_in_an_order_that_cannot_be_are_refused(
    settings: TrainSettings, stages: tuple[str, ...], said: str
) -> None:
    draw, learn = load_variant("rft").stages
    own = {
        "draw": (draw,),
        "learn": (learn,),
        "rft": (draw, learn),
        "sft-tag": load_variant("sft-tag").stages,
    }
    variant = variant_of(*(stage for name in stages for stage in own[name]), name="+".join(stages))
    with pytest.raises(InputError, match=said):
        build_graph([variant], [1], settings, "base", {"t": CORPUS}, {variant.name: "t"})


def test_rounds_train_before_they_draw_and_draw_together(settings: TrainSettings) -> None:
    names = ("sft-tag+rft", "sft-tag-x2", "sft-tag+on-policy-key", "sft-tag+rft+rft")
    nodes = list(graph_of(settings, names=names, seeds=(1, 2)).nodes.values())
    done: set[str | None] = {None}
    kinds = []
    for now, drawing in rounds(nodes):
        for node in (*now, *drawing):
            assert node.needs <= done | {other.key for other in now}
        assert all(node.draws for node in drawing)
        assert not any(node.draws for node in now)
        done |= {node.key for node in (*now, *drawing)}
        kinds.append((len(now), len(drawing)))
    assert done == {None, *(node.key for node in nodes)}
    assert len(kinds) == 3, "before, after the first samples, after the second"

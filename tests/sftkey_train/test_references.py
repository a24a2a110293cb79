"""What a reference model says of the data is what it says one token at a time."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import V, corpus_of, lora_model, tagged_corpus, tiny_model, train

from sftkey_train import loss
from sftkey_train import references as references_module
from sftkey_train.corpus import Corpus
from sftkey_train.model import output_head
from sftkey_train.objectives import OBJECTIVES, Tokens
from sftkey_train.references import (
    ReferenceData,
    StageData,
    cleaning_rank,
    read_hidden,
    read_log_probs,
    read_scoring_cost,
    reference_key,
    score_corpus,
)
from sftkey_train.segments import SEGMENTS
from sftkey_train.settings import TrainSettings
from sftkey_train.stages import StageNode
from sftkey_train.variants import load_variant

NodeOf = Callable[..., StageNode]


def log_softmax_of(model: torch.nn.Module, ids: np.ndarray) -> torch.Tensor:
    """[T, V] in float64, of an example alone."""
    with torch.no_grad():
        return (
            model(input_ids=torch.from_numpy(ids)[None], use_cache=False).logits[0].double().log_softmax(-1)
        )


def naive_log_probs(model: torch.nn.Module, corpus: Corpus) -> list[float]:
    """log p of each token of the responses, 0 for the prompts."""
    found = []
    for index in range(len(corpus)):
        example = corpus[index]
        log_probs_TV = log_softmax_of(model, example["input_ids"])
        for position, (token, segment) in enumerate(zip(*example.values(), strict=True)):
            found.append(float(log_probs_TV[position - 1, token]) if segment else 0.0)
    return found


def model_of(kind: str) -> torch.nn.Module:
    if kind == "lora":
        return lora_model(tiny_model(V, initializer_range=0.3), lora_dropout=0.5).train()
    return tiny_model(V, initializer_range=0.3).train()


@pytest.mark.parametrize("kind", ["full", "lora"])
@pytest.mark.parametrize("tokens_per_batch", [8192, 60, 1])
def test_log_probs_are_those_of_each_example_alone(
    kind: str, tokens_per_batch: int, tagged: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However the examples are batched; and without dropout."""
    monkeypatch.setattr(references_module, "TOKENS_PER_BATCH", tokens_per_batch)
    model = model_of(kind)
    score_corpus(model, tagged, tmp_path / "r", hidden=False)
    log_probs_N = read_log_probs(tmp_path / "r")
    assert log_probs_N.dtype == np.float32
    assert log_probs_N.tolist() == pytest.approx(naive_log_probs(model.eval(), tagged), rel=1e-4, abs=1e-6)
    assert not (tmp_path / "r" / "hidden.npy").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["r"]


def test_from_hidden_states_the_head_gives_the_whole_distribution(tagged: Corpus, tmp_path: Path) -> None:
    model = model_of("full").eval()
    score_corpus(model, tagged, tmp_path / "r", hidden=True)
    hidden_NH = read_hidden(tmp_path / "r")
    assert hidden_NH.shape == (len(tagged.ids_N), 16)
    for index in (0, 5):
        example, start = tagged[index], int(tagged.starts_E[index])
        log_probs_TV = log_softmax_of(model, example["input_ids"])
        for position, segment in enumerate(example["segments"]):
            kept_H = torch.from_numpy(hidden_NH[start + position].copy())
            if not segment:
                assert not kept_H.any()
                continue
            given_V = output_head(model)(kept_H).detach().double().log_softmax(-1)
            torch.testing.assert_close(given_V, log_probs_TV[position - 1], rtol=1e-4, atol=1e-5)


def test_scoring_says_what_it_cost(tagged: Corpus, tmp_path: Path) -> None:
    model = model_of("full")
    score_corpus(model, tagged, tmp_path / "r", hidden=False)
    cost = read_scoring_cost(tmp_path / "r")
    num_weights = sum(parameter.numel() for parameter in model.parameters())
    assert (cost.tokens_forward, cost.flops) == (461, 2 * num_weights * 461)
    assert cost.wall_seconds > 0


def test_scoring_leaves_nothing_half_done(
    tagged: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("out of memory")

    with monkeypatch.context() as patch:
        patch.setattr(references_module, "_score_batch", fails)
        with pytest.raises(RuntimeError):
            score_corpus(model_of("full"), tagged, tmp_path / "r", hidden=True)
    assert not (tmp_path / "r").exists()
    score_corpus(model_of("full"), tagged, tmp_path / "r", hidden=True)
    assert read_log_probs(tmp_path / "r").any()


def test_the_key_names_weights_data_and_what_is_kept(tagged: Corpus) -> None:
    keys = [
        reference_key("a", tagged, hidden=False),
        reference_key("b", tagged, hidden=False),
        reference_key("a", tagged, hidden=True),
        reference_key("a", tagged_corpus(23), hidden=False),
    ]
    assert len(set(keys)) == 4
    assert reference_key("a", tagged_corpus(), hidden=False) == keys[0]


def test_the_batch_has_a_token_s_values_where_it_is_predicted(tagged: Corpus) -> None:
    values_N = np.arange(len(tagged.ids_N), dtype=np.float32)
    data = StageData(tagged, {"score": values_N})
    assert len(data) == len(tagged)
    assert data[3]["score"].tolist() == list(range(tagged.starts_E[3], tagged.starts_E[4]))
    assert data[3]["input_ids"].tolist() == tagged[3]["input_ids"].tolist()


def test_tokens_are_ranked_by_what_fine_tuning_helps_over_the_corpus() -> None:
    """ℓ_base − ℓ_reference; of equal ones the earlier first; tokens without weight rank last."""
    names = ["prompt", "thinking", "thinking", "answer"]
    corpus = corpus_of([([1, 2, 3, 4], names), ([1, 2, 3, 4], names)])
    base = np.array([0, -3, -1, -2, 0, -1, -1, -9], np.float32)
    reference = np.array([0, -1, -3, -2, 0, -1, -1, -1], np.float32)
    weights = tuple(float(name == "thinking") for name in SEGMENTS)
    rank_N = cleaning_rank(base, reference, corpus, weights)
    assert rank_N.tolist() == [1, 0, 0.75, 1, 1, 0.25, 0.5, 1]
    with_answer = tuple(float(name in ("thinking", "answer")) for name in SEGMENTS)
    assert cleaning_rank(base, reference, corpus, with_answer)[7] == 0


def test_token_cleaning_trains_on_its_share_of_the_corpus(tagged: Corpus) -> None:
    rng = np.random.default_rng(0)
    base, reference = (rng.normal(size=len(tagged.ids_N)).astype(np.float32) for _ in range(2))
    weights = load_variant("token-cleaning").stages[0].weights
    kept_N = cleaning_rank(base, reference, tagged, weights) < 0.6
    by_segment = tagged.tokens_by_segment()
    assert kept_N.sum() == np.ceil(0.6 * (len(tagged.ids_N) - by_segment["prompt"]))
    gain_N = reference - base
    weighted_N = tagged.segments_N > 0
    assert gain_N[kept_N].min() >= gain_N[weighted_N & ~kept_N].max()


@pytest.mark.parametrize("rows_per_chunk", [5, 10**6])
def test_the_loss_has_the_kl_from_the_reference(
    rows_per_chunk: int,
    tagged: Corpus,
    node_of: NodeOf,
    settings: TrainSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Σᵥ q·(log q − log p) at each position of a response, by the definition; 0 from a model to itself."""
    monkeypatch.setattr(loss, "LOGITS_PER_CHUNK", rows_per_chunk * V)
    seen: list[Tokens] = []

    def recording(tokens: Tokens) -> torch.Tensor:
        seen.append(tokens)
        return -tokens.log_probs_N + tokens.need("reference_kl")

    monkeypatch.setitem(OBJECTIVES, "asft", replace(OBJECTIVES["asft"], function=recording))
    node = node_of("asft", replace(settings, batch_size=24))
    node = replace(node, stage=replace(node.stage, options=()))
    for seed in (1, 2):
        reference = tiny_model(V, seed=seed, initializer_range=0.3)
        score_corpus(reference, tagged, tmp_path / f"r{seed}", hidden=True)
        given = ReferenceData(
            {"reference_hidden": read_hidden(tmp_path / f"r{seed}")},
            output_head(reference).requires_grad_(False),
        )
        seen.clear()
        model = tiny_model(V, seed=1, initializer_range=0.3)
        before = {key: value.clone() for key, value in model.state_dict().items()}
        train(tagged, node, model, reference=given)
        kls = sorted(kl for tokens in seen for kl in tokens.reference_kl_N.tolist())
        model.load_state_dict(before)
        expected = []
        for index in range(len(tagged)):
            ids, segments = tagged[index].values()
            own, other = log_softmax_of(model, ids), log_softmax_of(reference, ids)
            kl_T = (other.exp() * (other - own)).sum(-1)
            expected += [float(kl_T[position - 1]) for position in np.flatnonzero(segments)]
        assert kls == pytest.approx(sorted(expected), rel=1e-4, abs=1e-5)
        assert (max(kls) < 1e-5) == (seed == 1)


def test_the_reference_does_not_train(tagged: Corpus, node_of: NodeOf, tmp_path: Path) -> None:
    reference = tiny_model(V, seed=3)
    score_corpus(reference, tagged, tmp_path / "r", hidden=True)
    head = output_head(reference).requires_grad_(False)
    before = head.weight.clone()
    train(
        tagged,
        node_of("asft"),
        reference=ReferenceData({"reference_hidden": read_hidden(tmp_path / "r")}, head),
    )
    assert torch.equal(head.weight, before)

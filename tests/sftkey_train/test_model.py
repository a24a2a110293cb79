"""The head in other hands, and models that this would not suit."""

from pathlib import Path

import pytest
import torch
from tiny import V, lora_model, tiny_model
from transformers import CohereConfig, CohereForCausalLM, Gemma2Config, Gemma2ForCausalLM

from sftkey_train.model import (
    check_head,
    check_packing,
    head_replaced,
    load_base,
    output_head,
)
from sftkey_train.text import load_tokenizer
from tasks.errors import InputError

SHAPE = {
    "vocab_size": V, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1,
    "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 8, "pad_token_id": 0,
}  # fmt: skip


@pytest.fixture(params=["full", "tied", "lora"])
def any_model(request: pytest.FixtureRequest):
    if request.param == "lora":
        return lora_model().eval()
    return tiny_model(V, num_hidden_layers=2, tie_word_embeddings=request.param == "tied").eval()


@pytest.fixture
def ids_BT() -> torch.Tensor:
    return torch.randint(0, V, (3, 11), generator=torch.Generator().manual_seed(0))


def test_another_function_gets_the_last_hidden_states_and_the_head(any_model, ids_BT: torch.Tensor) -> None:
    expected = any_model(input_ids=ids_BT).logits
    with head_replaced(any_model, lambda hidden_BTH, head: (hidden_BTH @ head.weight.T).sum()):
        total = any_model(input_ids=ids_BT).logits
    torch.testing.assert_close(total, expected.sum(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("fails", [False, True])
def test_the_head_is_its_own_again_afterwards(ids_BT: torch.Tensor, fails: bool) -> None:
    model = tiny_model(V).eval()
    before = model(input_ids=ids_BT).logits
    try:
        with head_replaced(model, lambda hidden_BTH, head: hidden_BTH):
            assert model(input_ids=ids_BT).logits.shape == (3, 11, 16)
            if fails:
                raise ValueError
    except ValueError:
        pass
    assert "forward" not in vars(model.lm_head)
    assert torch.equal(model(input_ids=ids_BT).logits, before)


def test_a_forward_that_someone_else_put_on_the_head_comes_back(ids_BT: torch.Tensor) -> None:
    model = tiny_model(V)
    own = model.lm_head.forward
    model.lm_head.forward = other = lambda hidden: own(hidden)
    with head_replaced(model, lambda hidden_BTH, head: hidden_BTH):
        assert model.lm_head.forward is not other
    assert model.lm_head.forward is other


def test_an_ordinary_head_passes(any_model, ids_BT: torch.Tensor) -> None:
    any_model.train()
    check_head(any_model, ids_BT[0])
    assert any_model.training


@pytest.mark.parametrize(
    "make",
    [
        lambda: Gemma2ForCausalLM(Gemma2Config(**SHAPE, final_logit_softcapping=30.0)),
        lambda: CohereForCausalLM(CohereConfig(**SHAPE, logit_scale=0.0625)),
    ],
    ids=["capped", "scaled"],
)
def test_a_model_that_changes_its_logits_is_refused(make, ids_BT: torch.Tensor) -> None:
    torch.manual_seed(0)
    with pytest.raises(InputError, match="changes its logits after the output head") as raised:
        check_head(make(), ids_BT[0])
    assert "\n" not in str(raised.value)


def test_the_same_model_without_a_cap_passes(ids_BT: torch.Tensor) -> None:
    check_head(Gemma2ForCausalLM(Gemma2Config(**SHAPE, final_logit_softcapping=None)), ids_BT[0])


def test_what_cannot_be_loaded_is_one_line(tmp_path: Path) -> None:
    for load in (load_base, load_tokenizer):
        with pytest.raises(InputError) as raised:
            load(str(tmp_path))
        assert "\n" not in str(raised.value)
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(InputError, match="this is an adapter"):
        load_base(str(tmp_path))


def test_a_head_that_is_no_linear_layer_is_refused() -> None:
    model = tiny_model(V)
    model.lm_head = torch.nn.Sequential(model.lm_head)
    with pytest.raises(InputError, match="has a Sequential for an output head"):
        output_head(model)


@pytest.mark.parametrize("use_cache", [False, True])
def test_packing_passes_where_examples_are_kept_apart(
    any_model, ids_BT: torch.Tensor, use_cache: bool
) -> None:
    """Whatever the configuration says of the cache, which training does not use."""
    any_model.config.use_cache = use_cache
    any_model.train()
    check_packing(any_model, ids_BT[0])
    assert any_model.training
    assert any_model.config.use_cache == use_cache

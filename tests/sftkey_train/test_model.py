"""The head on chosen rows, and models that this would not suit."""

from pathlib import Path

import pytest
import torch
from tiny import tiny_model
from transformers import CohereConfig, CohereForCausalLM, Gemma2Config, Gemma2ForCausalLM

from sftkey_train.model import check_head, head_on_rows, load_base, load_for_training, load_tokenizer
from sftkey_train.objectives import chunked_losses, cross_entropy
from sftkey_train.settings import TrainSettings
from tasks.errors import InputError

V = 40
SHAPE = {
    "vocab_size": V, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1,
    "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 8, "pad_token_id": 0,
}  # fmt: skip


def lora_model():
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(3)
    model = get_peft_model(
        tiny_model(V, num_hidden_layers=2),
        LoraConfig(task_type="CAUSAL_LM", target_modules="all-linear", r=2, init_lora_weights=False),
    )
    return model.eval()


@pytest.fixture(params=["full", "tied", "lora"])
def any_model(request: pytest.FixtureRequest):
    if request.param == "lora":
        return lora_model()
    return tiny_model(V, num_hidden_layers=2, tie_word_embeddings=request.param == "tied").eval()


@pytest.fixture
def ids_BT() -> torch.Tensor:
    return torch.randint(0, V, (3, 11), generator=torch.Generator().manual_seed(0))


def test_the_sparse_loss_is_the_dense_loss_and_so_are_its_gradients(any_model, ids_BT: torch.Tensor) -> None:
    weights_BT = torch.rand(3, 11, generator=torch.Generator().manual_seed(1))
    weights_BT[weights_BT < 0.5] = 0
    weights_BT[:, -1] = 0
    logits = any_model(input_ids=ids_BT).logits.double()
    dense = sum(
        -weights_BT[b, t].double() * logits[b, t].log_softmax(-1)[ids_BT[b, t + 1]]
        for b in range(3)
        for t in range(10)
    )
    trained = [parameter for parameter in any_model.parameters() if parameter.requires_grad]
    dense_grads = torch.autograd.grad(dense, trained)
    rows_BT = weights_BT > 0
    with head_on_rows(any_model, rows_BT) as head:
        hidden_NH = any_model(input_ids=ids_BT).logits
        losses_N = chunked_losses(hidden_NH, head, ids_BT.roll(-1, 1)[rows_BT], cross_entropy)
    sparse = (losses_N * weights_BT[rows_BT]).sum()
    assert hidden_NH.shape == (int(rows_BT.sum()), 16)
    torch.testing.assert_close(sparse.double(), dense, rtol=1e-5, atol=1e-6)
    for got, want in zip(torch.autograd.grad(sparse, trained), dense_grads, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("fails", [False, True])
def test_the_head_is_its_own_again_afterwards(ids_BT: torch.Tensor, fails: bool) -> None:
    model = tiny_model(V).eval()
    before = model(input_ids=ids_BT).logits
    try:
        with head_on_rows(model, torch.ones_like(ids_BT, dtype=torch.bool)):
            assert model(input_ids=ids_BT).logits.shape == (33, 16)
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
    with head_on_rows(model, ids_BT > 0):
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


def test_lora_trains_the_adapters_alone(tmp_path: Path) -> None:
    tiny_model(V).save_pretrained(tmp_path)
    model = load_for_training(str(tmp_path), None, TrainSettings(method="lora", lora_rank=2))
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert trained
    assert all("lora_" in name for name in trained)

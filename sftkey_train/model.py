"""Load a base model for training, whole or under LoRA adapters, with safe defaults."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sftkey_train.settings import TrainSettings
from tasks.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def load_tokenizer(path: str) -> PreTrainedTokenizerBase:
    """Loads a tokenizer from a folder or the Hub.

    Raises:
        InputError: There is none, or it needs remote code.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path}: no tokenizer could be loaded ({_first_line(error)})") from error
    return tokenizer


def load_base(path: str, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    """Loads a causal language model from safetensors, without remote code.

    Raises:
        InputError: The weights are missing, not safetensors, or of an unknown architecture.
    """
    from transformers import AutoModelForCausalLM

    if (Path(path) / "adapter_config.json").is_file():
        raise InputError(f"{path}: this is an adapter; name its base as the model and it as the adapter")
    try:
        model = AutoModelForCausalLM.from_pretrained(
            path, dtype=dtype, use_safetensors=True, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path}: the model cannot be loaded ({_first_line(error)})") from error
    model.config.use_cache = False
    return model


def load_for_training(base: str, parent: Path | None, settings: TrainSettings) -> torch.nn.Module:
    """Loads what a stage starts from.

    Args:
        base: Folder or Hub id of the base model.
        parent: Checkpoint of the stage before; the base itself where None.
        settings: Says whether the weights or adapters on them are trained.

    Returns:
        The model in float32; mixed precision is the trainer's matter.
    """
    if settings.method == "full":
        return load_base(str(parent or base))
    from peft import LoraConfig, PeftModel, get_peft_model

    model = load_base(base)
    if parent is not None:
        return PeftModel.from_pretrained(model, str(parent), is_trainable=True)
    return get_peft_model(
        model,
        LoraConfig(
            task_type="CAUSAL_LM",
            target_modules="all-linear",
            r=settings.lora_rank,
            lora_alpha=settings.lora_alpha,
            lora_dropout=settings.lora_dropout,
        ),
    )


@contextmanager
def head_on_rows(model: torch.nn.Module, rows_BT: Tensor) -> Iterator[Callable[[Tensor], Tensor]]:
    """While active, the model's forward gives the hidden states of the chosen positions in place of logits.

    The call still goes through the model's own forward, so that wrappers around it (adapters, data
    parallelism) see every pass.

    Args:
        model: A causal language model, perhaps wrapped.
        rows_BT: Mask of the positions wanted.

    Yields:
        The output head, [N, H] -> [N, V].
    """
    head = output_head(model)
    with _other_forward(head, lambda hidden_BTH: hidden_BTH[rows_BT]) as forward:
        yield _Head(forward, getattr(head, "weight", None))


@contextmanager
def _other_forward(
    module: torch.nn.Module, other: Callable[[Tensor], Tensor]
) -> Iterator[Callable[[Tensor], Tensor]]:
    """While active, a module's forward is another function; yields its own, which is back in the end."""
    own = module.forward
    had_own = "forward" in vars(module)
    module.forward = other
    try:
        yield own
    finally:
        if had_own:
            module.forward = own
        else:
            del module.forward


class _Head:
    """The head's own forward, with its weight for whoever asks for the vocabulary's size."""

    def __init__(self, forward: Callable[[Tensor], Tensor], weight: Tensor | None) -> None:
        self.weight = weight
        self._forward = forward

    def __call__(self, hidden_NH: Tensor) -> Tensor:
        return self._forward(hidden_NH)


def output_head(model: torch.nn.Module) -> torch.nn.Module:
    """The LM head of a causal language model, through wrappers such as DDP.

    Raises:
        InputError: The model has none.
    """
    inner = model.module if hasattr(model, "module") else model
    head = inner.get_output_embeddings()
    if head is None:
        raise InputError(f"{type(inner).__name__} has no output head; a causal language model is needed")
    return head


def check_head(model: torch.nn.Module, input_ids_T: Tensor) -> None:
    """Makes sure that what the head gives is what the model gives, at every position.

    Some architectures scale or cap their logits after the head; training through the head alone would
    silently minimise something else. The head's output is made large here, because capping hardly shows on
    the small logits of an untrained model.

    Raises:
        InputError: The model changes its logits after the head.
    """
    ids_BT = input_ids_T[None]
    head = output_head(model)
    own_forward = head.forward
    given: list[Tensor] = []

    def enlarged(hidden_BTH: Tensor) -> Tensor:
        logits_BTV = own_forward(hidden_BTH)
        given.append(logits_BTV + torch.linspace(-100, 100, logits_BTV.shape[-1]).to(logits_BTV))
        return given[-1]

    was_training = model.training
    model.eval()
    with torch.no_grad(), _other_forward(head, enlarged):
        logits_BTV = model(input_ids=ids_BT).logits
    model.train(was_training)
    same = len(given) == 1 and logits_BTV.shape == given[0].shape and logits_BTV.shape[:2] == ids_BT.shape
    if not (same and torch.allclose(logits_BTV.float(), given[0].float(), rtol=1e-3, atol=1e-3)):
        raise InputError(
            f"{type(model).__name__} changes its logits after the output head (scaling or capping), which "
            "this trainer does not do; it cannot be trained here"
        )


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0][:200]

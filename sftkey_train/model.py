"""Load a base model for training, whole or under LoRA adapters, with safe defaults."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from sftkey_train.settings import TrainSettings, check_method
from sftkey_train.text import first_line
from tasks.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def load_base(path: str, dtype: torch.dtype = torch.float32, **options: Any) -> PreTrainedModel:
    """Loads a causal language model from safetensors, without remote code.

    Args:
        path: Folder or Hub id.
        dtype: Of its weights.
        options: For transformers' `from_pretrained`.

    Raises:
        InputError: The weights are missing, not safetensors, or of an unknown architecture.
    """
    from transformers import AutoModelForCausalLM

    if (Path(path) / "adapter_config.json").is_file():
        raise InputError(f"{path}: this is an adapter; name its base as the model and it as the adapter")
    try:
        model = AutoModelForCausalLM.from_pretrained(
            path, dtype=dtype, use_safetensors=True, trust_remote_code=False, **options
        )
    except Exception as error:  # transformers raises whatever it met in the files
        raise InputError(f"{path}: the model cannot be loaded ({first_line(error)})") from error
    model.config.use_cache = False  # useless in training, and in the way of packing
    return model


def load_for_training(
    base: str,
    parent: Path | None,
    settings: TrainSettings,
    vocabulary_size: int = 0,
    last_layers: int | None = None,
) -> torch.nn.Module:
    """Loads what a stage starts from.

    Args:
        base: Folder or Hub id of the base model.
        parent: Checkpoint of the stage before; the base itself where None.
        settings: Says whether the weights or adapters on them are trained.
        vocabulary_size: The embeddings are made larger where the tokenizer has more tokens than they.
        last_layers: How many of the last layers are trained; all where None.

    Returns:
        The model in float32; mixed precision is the trainer's matter.

    Raises:
        InputError: The model has fewer layers.
    """
    if parent is not None and settings.method != "full" and not (parent / "adapter_config.json").is_file():
        base, parent = str(parent), None  # the stage before trained the weights themselves
    if settings.method == "full":
        model = load_base(str(parent or base))
        if vocabulary_size > model.get_input_embeddings().num_embeddings:
            model.resize_token_embeddings(vocabulary_size)
        if last_layers is not None:
            _freeze_below(model, last_layers)
        return model
    from peft import LoraConfig, PeftModel, get_peft_model

    model = _load_in_4_bits(base) if settings.method == "qlora" else load_base(base)
    if parent is not None:  # peft loads adapters frozen unless told otherwise
        return PeftModel.from_pretrained(model, str(parent), is_trainable=True)
    return get_peft_model(
        model,
        LoraConfig(
            task_type="CAUSAL_LM",
            target_modules="all-linear",  # in peft that is all but the output head
            r=settings.lora_rank,
            lora_alpha=settings.lora_alpha,
            lora_dropout=settings.lora_dropout,
            use_dora=settings.method == "dora",
            use_rslora=settings.method == "rslora",
        ),
    )


def _freeze_below(model: PreTrainedModel, last_layers: int) -> None:
    """Freezes all but the last layers, the norm after them, and a head that is not the embeddings."""
    layers = next(
        (part for part in model.modules() if isinstance(part, torch.nn.ModuleList) and len(part)), None
    )
    if layers is None or len(layers) < last_layers:
        found = len(layers) if layers is not None else 0
        raise InputError(f"last_layers {last_layers}: {type(model).__name__} has {found} layers")
    below: set[Tensor] = {*model.get_input_embeddings().parameters()}
    for layer in layers[:-last_layers]:
        below.update(layer.parameters())
    for parameter in below:
        parameter.requires_grad_(False)


def _load_in_4_bits(base: str) -> PreTrainedModel:
    """The base in NF4 with double quantisation, prepared for adapters (arXiv 2305.14314)."""
    from peft import prepare_model_for_kbit_training
    from transformers import BitsAndBytesConfig

    check_method("qlora")
    quantised = load_base(
        base,
        quantization_config=BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
        ),
    )
    return prepare_model_for_kbit_training(quantised, use_gradient_checkpointing=False)


@contextmanager
def evaluating(model: torch.nn.Module) -> Iterator[None]:
    """While active, the model drops nothing out and no gradient is kept; then it trains again if it did."""
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(was_training)


def model_inputs(batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What the model itself is given of a batch."""
    return {name: batch[name] for name in ("input_ids", "position_ids") if name in batch}


@contextmanager
def head_replaced(
    model: torch.nn.Module, function: Callable[[Tensor, torch.nn.Linear], Tensor]
) -> Iterator[None]:
    """While active, the model's forward gives `function(hidden_BTH, head)` in the place of logits.

    The call still goes through the model's own forward and the head's own hooks, so that wrappers around
    them (adapters, data parallelism, sharded parameters) see every pass.

    Args:
        model: A causal language model, perhaps wrapped.
        function: Called with the last hidden states and the output head.
    """
    head = output_head(model)
    # The head's own `forward` is replaced, not the head: hooks and sharded parameters hang on the module, and
    # what comes out is taken for logits, whose shape transformers does not look at where no labels are given.
    with _other_forward(head, lambda hidden_BTH: function(hidden_BTH, head)):
        yield


@contextmanager
def _other_forward(module: torch.nn.Module, other: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """While active, a module's forward is another function."""
    own = vars(module).get("forward")  # accelerate puts one there where it moves weights about
    module.forward = other
    try:
        yield
    finally:
        if own is None:
            del module.forward
        else:
            module.forward = own


def output_head(model: torch.nn.Module) -> torch.nn.Linear:
    """The LM head of a causal language model, through wrappers such as DDP.

    Raises:
        InputError: The model has none, or one that is no plain linear layer.
    """
    inner = model.module if hasattr(model, "module") else model  # DDP and DeepSpeed wrap
    head = inner.get_output_embeddings()
    if isinstance(head, torch.nn.Linear):
        return head
    if head is None:
        raise InputError(f"{type(inner).__name__} has no output head; a causal language model is needed")
    raise InputError(
        f"{type(inner).__name__} has a {type(head).__name__} for an output head; only a plain linear "
        "layer can be trained here"
    )


def flops_of(model: torch.nn.Module, tokens_forward: int, tokens_loss: int) -> float:
    """The usual estimate, 2 a weight and token forward and 4 backward (arXiv 2001.08361, section 2.1).

    The output head counts for the tokens with loss alone, looking up embeddings costs nothing, attention over
    the context is left out, and frozen weights need only half of the backward pass: none of it where nothing
    below them is trained either.
    """
    embeddings = model.get_input_embeddings().weight
    head = output_head(model).weight
    parameters = list(model.parameters())
    adapted = hasattr(model, "peft_config")  # from the first layer on
    lowest = next((i for i, one in enumerate(parameters) if one.requires_grad and one is not embeddings), 0)
    total = 0.0
    for i, parameter in enumerate(parameters):
        tokens = tokens_loss if parameter is head else 0 if parameter is embeddings else tokens_forward
        frozen = 2.0 if i < lowest and not adapted and parameter is not head else 4.0
        total += (6.0 if parameter.requires_grad else frozen) * parameter.numel() * tokens
    return total


def forward_flops(model: torch.nn.Module, num_tokens: int, num_output_tokens: int) -> float:
    """The same estimate for a forward pass: 2 a weight and token, the head at the output's tokens alone."""
    head, embeddings = output_head(model).weight, model.get_input_embeddings().weight
    others = sum(one.numel() for one in model.parameters() if one is not head and one is not embeddings)
    return 2.0 * head.numel() * num_output_tokens + 2.0 * others * num_tokens


def generation_flops(model_dir: str, num_prompt_tokens: int, num_output_tokens: int) -> float:
    """That of generating with the model in a folder."""
    from transformers import AutoConfig, AutoModelForCausalLM

    with torch.device("meta"):  # shapes alone
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(model_dir))
    return forward_flops(model, num_prompt_tokens + num_output_tokens, num_output_tokens)


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

    with evaluating(model), _other_forward(head, enlarged):
        logits_BTV = model(input_ids=ids_BT).logits
    same = len(given) == 1 and logits_BTV.shape == given[0].shape and logits_BTV.shape[:2] == ids_BT.shape
    if not (same and torch.allclose(logits_BTV.float(), given[0].float(), rtol=1e-3, atol=1e-3)):
        raise InputError(
            f"{type(model).__name__} changes its logits after the output head (scaling or capping), which "
            "this trainer does not do; it cannot be trained here"
        )


def check_packing(model: torch.nn.Module, input_ids_T: Tensor) -> None:
    """Makes sure that two examples in one row do not see each other.

    Raises:
        InputError: The second example's logits change with the first.
    """
    length = len(input_ids_T)
    packed = torch.cat([input_ids_T.flip(0), input_ids_T])[None]
    positions = torch.arange(length, device=packed.device).repeat(2)[None]
    with evaluating(model):
        # Without a cache, as in training: transformers (5.16 to 5.19) finds the borders of packed examples in
        # `position_ids` only where there is none.
        alone = model(input_ids=input_ids_T[None], use_cache=False).logits[0].float()
        second = model(input_ids=packed, position_ids=positions, use_cache=False).logits[0, length:].float()
    if not torch.allclose(alone, second, rtol=1e-3, atol=1e-4):
        raise InputError(
            f"{type(model).__name__} lets packed examples see each other; set train.packing to false"
        )

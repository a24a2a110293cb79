"""LoRA adapters: do they fit their base, and a base with one merged into it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import harness.engines.canary as canary
import harness.models.architecture as architecture
import harness.models.vocabulary as vocabulary
from harness.models.architecture import said, skeleton, token_modules
from harness.models.locate import adapter_config
from harness.models.shards import AGAIN, PLAIN, Tensor, read_tensors
from tasks.errors import InputError

if TYPE_CHECKING:
    import torch
    from peft import PeftModel
    from torch import Tensor as Numbers
    from transformers import PreTrainedModel

_LORA = re.compile(r"(?P<module>.+)\.(?P<part>lora_[A-Za-z_]+)(?P<bias>\.bias)?(?:\.weight)?$")
_KINDS: dict[str, tuple[str, Any]] = {
    "r": ("a whole number from 1 on", lambda value: type(value) is int and value > 0),
    "lora_alpha": ("a number", lambda value: _is_number(value)),
    "target_modules": ("a text or a list of texts", lambda value: _is_text(value) or _is_texts(value)),
    "modules_to_save": ("a list of texts", lambda value: _is_texts(value)),
    "rank_pattern": (
        "whole numbers from 1 on by module",
        lambda value: isinstance(value, dict) and all(type(one) is int and one > 0 for one in value.values()),
    ),
    "alpha_pattern": (
        "numbers by module",
        lambda value: isinstance(value, dict) and all(map(_is_number, value.values())),
    ),
    "use_dora": ("true or false", lambda value: isinstance(value, bool)),
    "use_rslora": ("true or false", lambda value: isinstance(value, bool)),
    "bias": ("none, all or lora_only", lambda value: value in ("none", "all", "lora_only")),
    "task_type": ("CAUSAL_LM", lambda value: value == "CAUSAL_LM"),
    # peft imports the module that is named beside it.
    "megatron_config": ("left out", lambda value: False),
}
"""Key of adapter_config.json -> what it must be, in words and as a test; null is as if it were not there."""


def check_adapter_config(adapter_dir: Path) -> None:
    """Refuses (InputError) adapters of another kind than LoRA, and what says no such thing of itself."""
    config = adapter_config(adapter_dir)
    kind = config.get("peft_type")
    if kind != "LORA":
        raise InputError(
            f"{adapter_dir}: peft_type is {kind}; LoRA, DoRA and rsLoRA are taken; merge it into its base "
            "and evaluate that"
        )
    for key, (words, fits) in _KINDS.items():
        value = config.get(key)
        if not (fits(value) or (value is None and key not in ("r", "lora_alpha"))):
            raise InputError(
                f"{adapter_dir / 'adapter_config.json'}: {key} is {str(value)[:60]!r}, but must be {words}; "
                "mend it, or copy or download it again"
            )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and value != [] and all(map(_is_text, value))


def check_fits(base_dir: Path, adapter_dir: Path) -> None:
    """Refuses an adapter that is not whole, or not of this base; InputError names the first such module."""
    tensors = read_tensors(adapter_dir)
    named = adapter_config(adapter_dir).get("base_model_name_or_path")
    for tensor in tensors.values():
        if tensor.dtype not in PLAIN:
            raise InputError(
                f"{tensor.path}: {tensor.name} is of the type {tensor.dtype}, but an adapter's weights are "
                f"{', '.join(PLAIN)}; save it in one of these"
            )
    # Where transformers does more than rename, the base's modules are not those that the adapter names.
    if architecture.named_tensors(base_dir) is not None:
        modules = dict(skeleton(base_dir).named_modules())
        for tensor in tensors.values():
            fault = _fault(tensor, modules)
            if fault:
                raise InputError(
                    f"{adapter_dir}: the adapter does not fit {base_dir}: {fault}; it was trained on "
                    f"{named or 'another base'}, so name that with --base"
                )
        _check_whole(base_dir, adapter_dir, tensors)
    if vocabulary.has_tokenizer(adapter_dir):
        rows = saved_rows(tensors, base_dir) or architecture.num_embeddings(base_dir)
        vocabulary.check_fits(vocabulary.usable_tokenizer(adapter_dir), rows, adapter_dir)


def _check_whole(base_dir: Path, adapter_dir: Path, tensors: Mapping[str, Tensor]) -> None:
    """Holds an adapter against what peft makes of its configuration: what is missing would do nothing."""
    import torch
    from peft import PeftConfig, PeftModel, get_peft_model_state_dict

    path = adapter_dir / "adapter_config.json"
    try:
        config = PeftConfig.from_pretrained(str(adapter_dir))
        config.init_lora_weights = False  # some ways to begin need the base's weights, which are not here
        with torch.device("meta"):
            model = PeftModel(deepcopy(skeleton(base_dir)), config, low_cpu_mem_usage=True)
        wanted = get_peft_model_state_dict(model, save_embedding_layers=False)
    except Exception as error:  # a faulty configuration fails wherever its values are used
        raise InputError(
            f"{path}: peft cannot build this adapter on {base_dir} ({said(error)}); {AGAIN}"
        ) from error
    # An embedding may have grown, and the head with it.
    grown = {*(config.modules_to_save or ()), *(n.split(".")[-1] for n in token_modules(skeleton(base_dir)))}
    for name, parameter in wanted.items():
        tensor = tensors.get(name)
        if tensor is None:
            raise InputError(
                f"{adapter_dir}: its weights lack {name}, which adapter_config.json speaks of; copy or "
                "download the folder again"
            )
        if tensor.shape != tuple(parameter.shape) and not grown.intersection(name.split(".")):
            raise InputError(
                f"{tensor.path}: {name} has the shape {list(tensor.shape)}, but by adapter_config.json "
                f"{list(parameter.shape)}; copy or download the folder again"
            )
    spare = next((name for name in tensors if _LORA.match(name) and name not in wanted), None)
    if spare is not None:
        raise InputError(
            f"{adapter_dir}: holds {spare}, which adapter_config.json leaves out; copy or download it again"
        )


def saved_rows(tensors: Mapping[str, Tensor], base_dir: Path) -> int | None:
    """Rows of the embedding or head that an adapter carries in place of its base's; None where none.

    InputError where one of them has grown, and the other is not there: its new rows would be random.
    """
    names = [f"{name}.weight" for name in token_modules(skeleton(base_dir))]
    own = {_own_name(name): tensor.shape[0] for name, tensor in tensors.items() if tensor.shape}
    rows, base_rows = [own.get(name, 0) for name in names], architecture.num_embeddings(base_dir)
    if max(rows) > base_rows and len({*rows}) > 1:
        raise InputError(
            f"{next(iter(tensors.values())).path}: has {rows} rows of {names}, its base {base_rows}, so "
            "what was added to the other would be random; save it with save_embedding_layers=True"
        )
    return max(rows) or None


def _own_name(name: str) -> str:
    """A tensor's name without what PEFT puts around it."""
    return re.sub(
        r"\.(modules_to_save|original_module|base_layer|token_adapter)(?=\.)",
        "",
        name.removeprefix("base_model.model."),
    )


def _fault(tensor: Tensor, modules: Mapping[str, torch.nn.Module]) -> str | None:
    name = _own_name(tensor.name)
    match = _LORA.match(name)
    module = modules.get(match["module"] if match else name.rpartition(".")[0])
    if module is None:
        return f"it has no {match['module'] if match else name}"
    weight = getattr(module, "weight", None)
    if match is None or match["bias"] or weight is None or weight.dim() != 2:
        return None
    # A linear layer has inputs and outputs in the other order than an embedding or GPT-2's Conv1D.
    num_in, num_out = reversed(weight.shape) if hasattr(module, "in_features") else weight.shape
    sides = {"lora_A": (1, num_in), "lora_B": (0, num_out)}
    axis, size = sides.get(match["part"].replace("embedding_", ""), (0, None))
    if size is None:
        return None
    if len(tensor.shape) != 2:
        return f"{tensor.name} has {len(tensor.shape)} dimensions, not 2"
    if tensor.shape[axis] == size:
        return None
    return f"{match['module']} is {size} wide, where the adapter's is {tensor.shape[axis]}"


def joined(base_dir: Path, adapter_dir: Path) -> tuple[PreTrainedModel, tuple[Numbers, Numbers]]:
    """A base with an adapter merged into it, and what `canary.ask` has of it unmerged.

    InputError where that does not fit, changes nothing, or says something else when it is merged.
    """
    import torch
    from peft import PeftModel

    from sftkey_train.model import load_base

    base = load_base(str(base_dir))
    before = {name: tensor.clone() for name, tensor in base.state_dict().items()}
    rows = saved_rows(read_tensors(adapter_dir), base_dir)
    try:
        # peft loads embeddings that were saved whole only into a base of as many rows.
        if rows and rows != base.get_input_embeddings().weight.shape[0]:
            base.resize_token_embeddings(rows)  # for tokens that were added in training
        tied, shared = architecture.is_tied(base), base.get_input_embeddings().weight
        # On a GPU peft would load there, which no fork of a process that has used CUDA can.
        adapted = PeftModel.from_pretrained(base, str(adapter_dir), torch_device="cpu").eval()
        known = canary.ask(adapted)
        model = _merged(adapted, shared) if tied else adapted.merge_and_unload()
        wrong = canary.difference(known, model)
    except Exception as error:  # peft raises whatever it met in the files
        raise InputError(f"{adapter_dir}: the adapter does not fit {base_dir} ({said(error)})") from error
    if wrong:
        raise InputError(f"{adapter_dir}: merged, it differs from PEFT's own unmerged: {wrong}; use another")
    after = model.state_dict()
    if all(name in before and torch.equal(tensor, before[name]) for name, tensor in after.items()):
        raise InputError(f"{adapter_dir}: the adapter changes nothing in {base_dir}; is it trained?")
    model.config.use_cache = True  # off while training, with gradient checkpointing; here it is to generate
    return model, known


def _merged(adapted: PeftModel, shared: torch.nn.Parameter) -> PreTrainedModel:
    """Merges where head and embedding share a parameter; after that they do where they are still the same.

    What is merged into the head would else be merged into the embedding too, or twice (peft issue 2018).
    """
    import torch

    names = [name for name, one in adapted.named_parameters(remove_duplicate=False) if one is shared]
    for owner, _, leaf in (name.rpartition(".") for name in names[1:]):
        setattr(adapted.get_submodule(owner), leaf, torch.nn.Parameter(shared.detach().clone(), False))
    model = adapted.merge_and_unload()
    same = torch.equal(model.get_input_embeddings().weight, model.get_output_embeddings().weight)
    for config in (model.config, model.config.get_text_config()):
        config.tie_word_embeddings = same
    if same:
        model.tie_weights()
    else:
        model.all_tied_weights_keys = {}  # by which transformers would leave the head out of the files
    return model

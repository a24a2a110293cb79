"""Does transformers know the architecture, and do the weights have the shapes that it wants?"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.models.shards import Tensor, read_tensors
from tasks.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file that holds keys and values.

    Raises:
        InputError: It cannot be read.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path.parent}: no {path.name}; copy or download the folder again") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({' '.join(str(error).split())})") from error
    if not isinstance(data, dict):
        raise InputError(f"{path}: expected keys and values")
    return data


def check_architecture(folder: Path) -> None:
    """Refuses what transformers has no causal language model for, or only with code from the folder.

    Raises:
        InputError: One line that says which, with the nearest name where there is one.
    """
    import transformers
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    path = folder / "config.json"
    config = read_json(path)
    kind, classes = str(config.get("model_type", "")), config.get("architectures") or []
    # The names alone: the classes themselves would import every model there is.
    causal = {name for item in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values() for name in _names(item)}
    foreign = kind not in CONFIG_MAPPING_NAMES or (classes and not causal & set(classes))
    if foreign and config.get("auto_map"):
        raise InputError(
            f"{path}: '{kind or classes}' needs code of its own (auto_map), and code from a checkpoint is "
            "never run; use a version of it that transformers has built in"
        )
    if kind not in CONFIG_MAPPING_NAMES:
        raise InputError(
            f"{path}: model_type '{kind}' is unknown to transformers {transformers.__version__}; "
            f"{_nearest(kind, MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)}"
        )
    if kind not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES or (classes and not causal & set(classes)):
        raise InputError(
            f"{path}: {classes[0] if classes else kind} is no causal language model, which a response needs; "
            f"{_nearest(str(classes[0]) if classes else kind, causal)}"
        )


def _nearest(name: str, known: Iterable[str]) -> str:
    """A suggestion; hundreds of names help nobody."""
    suggestion = did_you_mean(name, known)
    if suggestion.startswith("did you mean"):
        return suggestion
    return "a newer transformers may know it" if name else "its config.json lacks the key"


def _names(item: str | tuple[str, ...]) -> tuple[str, ...]:
    return (item,) if isinstance(item, str) else item


def skeleton(folder: Path) -> PreTrainedModel:
    """The model without weights, as its config.json describes it.

    Raises:
        InputError: transformers cannot build it.
    """
    return _skeleton(folder, (folder / "config.json").read_text(encoding="utf-8"))


@lru_cache(maxsize=4)
def _skeleton(folder: Path, config_text: str) -> PreTrainedModel:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        with torch.device("meta"):
            return AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    except Exception as error:  # a faulty config.json fails wherever its values are used
        detail = " ".join(str(error).split())[:200]
        raise InputError(
            f"{folder / 'config.json'}: transformers cannot build this model ({detail})"
        ) from error


def check_shapes(folder: Path) -> None:
    """Holds the weights against the architecture: what is missing would be filled with random numbers.

    Raises:
        InputError: A tensor is missing, or of another shape.
    """
    read_json(folder / "config.json")
    tensors = named_tensors(folder)
    if tensors is None:
        return
    model = skeleton(folder)
    missing = []
    for name, parameter in model.state_dict().items():
        tensor = find_tensor(tensors, name, model.base_model_prefix)
        if tensor is None:
            missing.append(name)
        elif tensor.shape != tuple(parameter.shape):
            raise InputError(
                f"{tensor.path}: {tensor.name} has the shape {list(tensor.shape)}, but by config.json "
                f"{list(parameter.shape)}; weights and config.json are not of one model"
            )
    missing = [name for name in missing if not _may_be_missing(name, model)]
    if missing:
        raise InputError(
            f"{folder}: its weights lack {len(missing)} tensors of {type(model).__name__}, such as "
            f"{missing[0]}, which would be random; copy or download the folder again"
        )


def named_tensors(folder: Path) -> dict[str, Tensor] | None:
    """The tensors on disk by the names that they have in the model.

    None where transformers does more on loading than give them other names, as with quantised weights and
    some mixtures of experts.
    """
    from transformers.conversion_mapping import WeightRenaming, get_model_conversion_mapping

    tensors = read_tensors(folder)
    model = skeleton(folder)
    changes = get_model_conversion_mapping(model)
    if getattr(model.config, "quantization_config", None) or any(
        type(change) is not WeightRenaming or change.scope_prefix for change in changes
    ):
        return None  # transformers splits, joins or unpacks tensors: names alone tell nothing
    renamings = [
        pair
        for change in changes
        for pair in zip(change.source_patterns, change.target_patterns, strict=True)
    ]
    named = {}
    for name, tensor in tensors.items():
        for pattern, replacement in renamings:
            name = re.sub(pattern, replacement, name)
        named[name] = tensor
    return named


def find_tensor(tensors: Mapping[str, Tensor], name: str, prefix: str) -> Tensor | None:
    """A tensor by its name in the model; on disk it may stand with or without the model's prefix."""
    for candidate in (name, name.removeprefix(f"{prefix}."), f"{prefix}.{name}"):
        if candidate in tensors:
            return tensors[candidate]
    return None


def is_tied(model: PreTrainedModel) -> bool:
    """Whether the output head is the embedding."""
    return bool(model.config.get_text_config().tie_word_embeddings)


def _may_be_missing(name: str, model: PreTrainedModel) -> bool:
    # What transformers itself does not miss: its own lists, which have no public name.
    patterns = [*(model._keys_to_ignore_on_load_missing or ())]
    if is_tied(model):
        patterns += [*(model._tied_weights_keys or ())]
    return any(re.search(pattern, name) for pattern in patterns)


def num_embeddings(folder: Path) -> int:
    """Rows of the input embedding: on disk where it can be found there, else by config.json."""
    model = skeleton(folder)
    name = embedding_name(model)
    tensor = find_tensor(named_tensors(folder) or {}, f"{name}.weight", model.base_model_prefix)
    return tensor.shape[0] if tensor else int(model.get_input_embeddings().weight.shape[0])


def embedding_name(model: PreTrainedModel) -> str:
    """Name of the input embedding's module."""
    embedding = model.get_input_embeddings()
    return next(name for name, module in model.named_modules() if module is embedding)

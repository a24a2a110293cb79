"""Does transformers know the architecture, and do the weights have the shapes that it wants?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.models.shards import Tensor, read_json, read_tensors
from tasks.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def check_architecture(folder: Path) -> None:
    """Refuses what transformers has no causal language model for, or only with code from the folder.

    InputError says which in one line, with the nearest name where there is one.
    """
    import transformers
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    path = folder / "config.json"
    config = read_json(path)
    kind, classes = str(config.get("model_type", "")), config.get("architectures") or []
    # The names alone: the classes themselves would import every model there is.
    causal = {
        name
        for item in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values()
        for name in ([item] if isinstance(item, str) else item)
    }
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


def skeleton(folder: Path) -> PreTrainedModel:
    """The model without weights, by its config.json; InputError where transformers cannot build it."""
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

    InputError where a tensor is missing, or of another shape.
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
    # What transformers itself does not miss: its own lists, which have no public name.
    unmissed = [*(model._keys_to_ignore_on_load_missing or ())]
    unmissed += (model._tied_weights_keys or ()) if is_tied(model) else ()
    missing = [name for name in missing if not any(re.search(pattern, name) for pattern in unmissed)]
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
    renamings = [pair for c in changes for pair in zip(c.source_patterns, c.target_patterns, strict=True)]
    named = {}
    for name, tensor in tensors.items():
        for pattern, replacement in renamings:
            name = re.sub(pattern, replacement, name)
        named[name] = tensor
    return named


def find_tensor(tensors: Mapping[str, Tensor], name: str, prefix: str) -> Tensor | None:
    """A tensor by its name in the model; on disk it may stand with or without the model's prefix."""
    names = (name, name.removeprefix(f"{prefix}."), f"{prefix}.{name}")
    return next((tensors[each] for each in names if each in tensors), None)


def is_tied(model: PreTrainedModel) -> bool:
    """Whether the output head is the embedding."""
    return bool(model.config.get_text_config().tie_word_embeddings)


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


_TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "vocab.json", "vocab.txt",
    "tekken.json",
)  # fmt: skip
_CONTEXT_KEYS = (
    "max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "model_max_length", "n_ctx",
)  # fmt: skip
_ALREADY_SCALED = ("default", "su", "longrope", "llama3", "yarn", "proportional")
"""Kinds of RoPE scaling whose limit in config.json is the one after scaling, as vLLM reads it."""


def has_tokenizer(folder: Path) -> bool:
    """Whether a folder holds the files of a tokenizer."""
    return any((folder / name).is_file() for name in _TOKENIZER_FILES)


def usable_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The folder's tokenizer.

    InputError where there is none, or it needs code of its own, has no fast form, or does not know an end.
    """
    from sftkey_train.model import load_tokenizer
    from sftkey_train.text import TextPath

    config = folder / "tokenizer_config.json"
    if not has_tokenizer(folder) and not config.is_file():
        raise InputError(f"{folder}: no tokenizer (tokenizer.json); save the one it was trained with there")
    try:
        tokenizer = load_tokenizer(str(folder))
    except InputError as error:
        if config.is_file() and "AutoTokenizer" in (read_json(config).get("auto_map") or {}):
            raise InputError(
                f"{config}: the tokenizer needs code of its own (auto_map), which is never run; "
                "save it as a tokenizer.json"
            ) from error
        raise
    except Exception as error:  # transformers raises whatever its converters met
        detail = " ".join(str(error).split())[:200]
        raise InputError(f"{folder}: its tokenizer cannot be loaded ({detail})") from error
    TextPath.of(tokenizer, "plain")  # refuses one that knows no end
    return tokenizer


def check_vocabulary(folder: Path) -> None:
    """Refuses (InputError) a tokenizer with tokens that the embedding lacks; a padded one is fine."""
    check_fits(usable_tokenizer(folder), num_embeddings(folder), folder)


def check_fits(tokenizer: PreTrainedTokenizerBase, num_rows: int, folder: Path) -> None:
    """Refuses (InputError) a tokenizer with tokens beyond an embedding's rows."""
    token, largest = max(tokenizer.get_vocab().items(), key=lambda item: item[1])
    if largest >= num_rows:
        raise InputError(
            f"{folder}: the tokenizer has token ids up to {largest} ({token!r}), but the embedding only "
            f"{num_rows} rows; resize the embedding, or take the tokenizer it was trained with"
        )


def context_length(config: Mapping[str, Any]) -> int | None:
    """The longest prompt and response together, in tokens, by config.json; None where it names no limit.

    A sliding window is no limit: it bounds what a token sees, not where it may stand.
    """
    inner = config.get("text_config") or config  # a model that also sees has its language model within
    limits = [int(inner[key]) for key in _CONTEXT_KEYS if inner.get(key)]
    if not limits:
        return None
    factors = []
    for key in ("rope_parameters", "rope_scaling"):  # the new name and the old
        settings = inner.get(key) or {}  # of the whole model, or by kind of layer
        for rope in [value for value in settings.values() if isinstance(value, Mapping)] or [settings]:
            scaled = rope.get("rope_type", rope.get("type", "default")) in _ALREADY_SCALED
            factors.append(1.0 if scaled else float(rope.get("factor") or 1.0))
    return int(min(limits) * max(factors))


def check_context(model_dir: Path, longest: int, max_model_len: int | None = None) -> None:
    """Refuses (InputError) more tokens than the model, or the engine as it is set, has room for."""
    own = context_length(read_json(model_dir / "config.json"))
    limit = min(filter(None, (own, max_model_len)), default=None)
    if limit is not None and longest > limit:
        whose = (
            f"{model_dir}: its context" if limit == own else "eval.engine_settings.max_model_len: a context"
        )
        raise InputError(
            f"{whose} of {limit} tokens is too short for a prompt and response of {longest}; lower "
            "eval.max_new_tokens or leave the benchmark out"
        )

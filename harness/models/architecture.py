"""Does transformers know the architecture, and do the weights have the shapes that it wants?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.models.shards import AGAIN, NOT_GATHERED, PLAIN, Tensor, read_tensors, same_numbers
from tasks.errors import InputError, did_you_mean
from tasks.reading import read_json, read_text

if TYPE_CHECKING:
    from torch.utils.hooks import RemovableHandle
    from transformers import PreTrainedModel

_MOST_PARAMETERS = 8
"""Times the tensors on disk: some are shared there, or packed together."""
_NAN = re.compile(r"[:,\[]\s*NaN\b")
_LAYER = re.compile(r"\.\d+\.")


def check_architecture(folder: Path) -> None:
    """Refuses what transformers has no causal language model for, or only with code from the folder.

    InputError says which in one line, with the nearest name where there is one.
    """
    import transformers
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    path = folder / "config.json"
    config = read_config(folder)
    kind, classes = config.get("model_type", ""), config.get("architectures") or []
    if not isinstance(kind, str) or not isinstance(classes, list) or not {*map(type, classes)} <= {str}:
        raise InputError(f"{path}: model_type must be a text and architectures a list of texts; {AGAIN}")
    if config.get("is_encoder_decoder"):
        raise InputError(
            f"{path}: is_encoder_decoder: a response needs a causal language model; use a model that is one"
        )
    context_length(config, str(path))
    ends(folder)
    _check_quantised(folder, config)
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


def read_config(folder: Path) -> dict[str, Any]:
    """A folder's config.json; InputError where it cannot be read."""
    path = folder / "config.json"
    config: dict[str, Any] = read_json(path, f"cannot be read ({{error}}); {AGAIN}")
    if _NAN.search(read_text(path)):
        raise InputError(f"{path}: holds NaN, which is no number; {AGAIN}")
    return config


def ends(folder: Path) -> list[int]:
    """Tokens at which engines end a response, beside the tokenizer's own; InputError where they are none."""
    path = folder / "generation_config.json"
    settings = read_json(path, f"cannot be read ({{error}}); {AGAIN}") if path.is_file() else None
    found = (read_config(folder) if settings is None else settings).get("eos_token_id")
    found = [end for end in (found if isinstance(found, list) else [found]) if end is not None]
    if settings is not None and not all(type(end) is int for end in found):
        raise InputError(f"{path}: eos_token_id must be whole numbers; mend it, or remove the file")
    return found


def _check_quantised(folder: Path, config: Mapping[str, Any]) -> None:
    """Refuses (InputError) quantised weights of a kind that no engine knows, or that are not quantised."""
    quantised = config.get("quantization_config")
    if not quantised:
        return
    from transformers.quantizers.auto import AUTO_QUANTIZATION_CONFIG_MAPPING

    method = quantised.get("quant_method") if isinstance(quantised, dict) else None
    path = folder / "config.json"
    if not any(str(name).startswith(str(method)) for name in AUTO_QUANTIZATION_CONFIG_MAPPING):
        raise InputError(f"{path}: quantization_config: no method {method!r} is known; use other weights")
    if method != "bitnet" and all(tensor.dtype in PLAIN for tensor in read_tensors(folder).values()):
        raise InputError(
            f"{path}: quantization_config, but the weights are plain numbers; remove it from the file, so "
            "that they are taken as they are"
        )


def _nearest(name: str, known: Iterable[str]) -> str:
    """A suggestion; hundreds of names help nobody."""
    suggestion = did_you_mean(name, known)
    if suggestion.startswith("did you mean"):
        return suggestion
    return "a newer transformers may know it" if name else "its config.json lacks the key"


def skeleton(folder: Path) -> PreTrainedModel:
    """The model without weights, by its config.json; InputError where transformers cannot build it.

    It is shared: whoever changes it takes a copy.
    """
    read_config(folder)
    return _skeleton(folder, read_text(folder / "config.json"))


@lru_cache(maxsize=4)
def _skeleton(folder: Path, config_text: str) -> PreTrainedModel:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    path, num_tensors = folder / "config.json", len(read_tensors(folder))
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        with torch.device("meta"), _no_more_than(_MOST_PARAMETERS * num_tensors + 1000):
            return AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    except _TooMany as error:
        raise InputError(
            f"{path}: speaks of more than {error} tensors, but the weights hold {num_tensors}; weights and "
            "config.json are not of one model, copy or download the folder again"
        ) from error
    except Exception as error:  # a faulty config.json fails wherever its values are used
        raise InputError(f"{path}: transformers cannot build this model ({said(error)}); {AGAIN}") from error


class _TooMany(Exception):
    """More parameters than a model may have."""


def _no_more_than(most: int) -> RemovableHandle:
    """While it is entered, no model can be built that has more parameters: a million layers take hours."""
    from torch.nn.modules.module import register_module_parameter_registration_hook

    numbers = count(1)

    def note(module: object, name: str, parameter: object) -> None:
        if next(numbers) > most:
            raise _TooMany(f"{most:,}")

    return register_module_parameter_registration_hook(note)


def said(error: BaseException) -> str:
    """What a library says is wrong, on one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def check_shapes(folder: Path) -> None:
    """Holds the weights against the architecture: what is missing would be filled with random numbers.

    InputError where a tensor is missing, of another shape or no floating-point numbers, or left over.
    """
    tensors = named_tensors(folder)
    if tensors is None:
        return
    model = skeleton(folder)
    missing, known, parameters = [], set[str](), dict(model.named_parameters())
    for name, wanted in model.state_dict().items():
        tensor = find_tensor(tensors, name, model.base_model_prefix)
        if tensor is None:
            missing.append(name)
            continue
        known.add(tensor.name)
        if tensor.shape != tuple(wanted.shape):
            why = NOT_GATHERED if tensor.size < 2 else "; weights and config.json are not of one model"
            raise InputError(
                f"{tensor.path}: {tensor.name} has the shape {list(tensor.shape)}, but by config.json "
                f"{list(wanted.shape)}{why}"
            )
        if name in parameters and tensor.dtype not in PLAIN:
            raise InputError(
                f"{tensor.path}: {tensor.name} is of the type {tensor.dtype}, but without a "
                f"quantization_config weights are {', '.join(PLAIN)}; save it in one of these"
            )
    _check_tied(model, tensors)
    _check_used(folder, model, [tensor for tensor in tensors.values() if tensor.name not in known])
    # What transformers itself does not miss: its own lists, which have no public name.
    unmissed = [*(model._keys_to_ignore_on_load_missing or ())]
    unmissed += (model._tied_weights_keys or ()) if is_tied(model) else ()
    missing = [name for name in missing if not any(re.search(pattern, name) for pattern in unmissed)]
    if missing:
        raise InputError(
            f"{folder}: its weights lack {len(missing)} tensors of {type(model).__name__}, such as "
            f"{missing[0]}, which would be random; copy or download the folder again"
        )


def _check_tied(model: PreTrainedModel, tensors: Mapping[str, Tensor]) -> None:
    """Refuses a head that is tied, but not the embedding on disk: engines differ in which they take."""
    names = [f"{name}.weight" for name in token_modules(model)]
    other, one = [find_tensor(tensors, name, model.base_model_prefix) for name in (names[0], names[-1])]
    if is_tied(model) and one and other and not same_numbers(one, other):
        raise InputError(
            f"{one.path}: {one.name} is another than {other.name}, but by config.json they are one "
            "(tie_word_embeddings); mend config.json, or copy or download the folder again"
        )


def _check_used(folder: Path, model: PreTrainedModel, unused: Iterable[Tensor]) -> None:
    """Refuses weights of layers that config.json leaves out: with them it would be another model."""
    layers = {_LAYER.sub(".N.", name) for name in model.state_dict() if _LAYER.search(name)}
    ignored = model._keys_to_ignore_on_load_unexpected or ()
    for tensor in unused:
        layer = _LAYER.sub(".N.", f".{tensor.name}")
        alike = not layers or any(f".{name}".endswith(layer) or layer.endswith(name) for name in layers)
        if (
            layer.count(".N.") and alike and len(tensor.shape) == 2
            and not any(re.search(pattern, tensor.name) for pattern in ignored)
        ):  # fmt: skip
            raise InputError(
                f"{tensor.path}: {tensor.name} has no place in the model of config.json, which has fewer "
                "layers; weights and config.json are not of one model"
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
    name = token_modules(model)[0]
    tensor = find_tensor(named_tensors(folder) or {}, f"{name}.weight", model.base_model_prefix)
    return tensor.shape[0] if tensor else int(model.get_input_embeddings().weight.shape[0])


def token_modules(model: PreTrainedModel) -> list[str]:
    """Names of the input embedding's module, and of the output head's where there is one."""
    wanted = model.get_input_embeddings(), model.get_output_embeddings()
    names = {id(module): name for name, module in model.named_modules()}
    return [names[id(module)] for module in wanted if module is not None]


_CONTEXT_KEYS = (
    "max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "model_max_length", "n_ctx",
)  # fmt: skip
_ALREADY_SCALED = ("default", "su", "longrope", "llama3", "yarn", "proportional")
"""Kinds of RoPE scaling whose limit in config.json is the one after scaling, as vLLM reads it."""


def context_length(config: Mapping[str, Any], where: str = "config.json") -> int | None:
    """The longest prompt and response together, in tokens, by config.json; None where it names no limit.

    A sliding window is no limit: it bounds what a token sees, not where it may stand. InputError, which
    begins with `where`, if what it says is no number of tokens.
    """
    try:
        inner = config.get("text_config") or config  # a model that also sees has its language model within
        limits = [int(inner[key]) for key in _CONTEXT_KEYS if inner.get(key) is not None]
        if not limits:
            return None
        factors = []
        for key in ("rope_parameters", "rope_scaling"):  # the new name and the old
            settings = inner.get(key) or {}  # of the whole model, or by kind of layer
            for rope in [value for value in settings.values() if isinstance(value, Mapping)] or [settings]:
                scaled = rope.get("rope_type", rope.get("type", "default")) in _ALREADY_SCALED
                factors.append(1.0 if scaled else float(rope.get("factor") or 1.0))
        longest = int(min(limits) * max(factors))
        if longest < 1:
            raise ValueError(f"a context of {longest} tokens")
        return longest
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        raise InputError(f"{where}: no context length can be read of it ({said(error)}); {AGAIN}") from error


def check_context(model_dir: Path, longest: int, max_model_len: int | None = None) -> None:
    """Refuses (InputError) more tokens than the model, or the engine as it is set, has room for."""
    own = context_length(read_config(model_dir), str(model_dir / "config.json"))
    limit = min(filter(None, (own, max_model_len)), default=None)
    if limit is not None and longest > limit:
        whose = (
            f"{model_dir}: its context" if limit == own else "eval.engine_settings.max_model_len: a context"
        )
        raise InputError(
            f"{whose} of {limit} tokens is too short for a prompt and response of {longest}; lower "
            "eval.max_new_tokens or leave the benchmark out"
        )

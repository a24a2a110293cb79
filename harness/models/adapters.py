"""PEFT adapters made elsewhere: their base, and whether they fit it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.models.architecture import embedding_name, named_tensors, num_embeddings, read_json, skeleton
from harness.models.limits import check_fits, has_tokenizer, usable_tokenizer
from harness.models.locate import locate_model, model_name
from harness.models.shards import Tensor, read_tensors
from tasks.errors import InputError

if TYPE_CHECKING:
    import torch

_LORA = re.compile(r"(?P<module>.+)\.(?P<part>lora_[A-Za-z_]+)(?P<bias>\.bias)?(?:\.weight)?$")
_PREFIX = "base_model.model."


def adapter_config(adapter_dir: Path) -> dict[str, Any]:
    """What an adapter says of itself.

    Raises:
        InputError: It cannot be read.
    """
    return read_json(adapter_dir / "adapter_config.json")


def base_of(adapter_dir: Path) -> str:
    """Name of the base that an adapter was trained on: a folder that is here, or a Hub id.

    A relative folder counts from where the command runs, from the adapter, or from what holds the adapter.

    Raises:
        InputError: The adapter names none.
    """
    config = adapter_config(adapter_dir)
    name = config.get("base_model_name_or_path")
    if not name:
        raise InputError(f"{adapter_dir}: its adapter_config.json names no base; name it with --base ID|PATH")
    for start in (Path(), adapter_dir, adapter_dir.parent):
        if (start / name).is_dir():
            return str(start / name)
    revision = config.get("revision")
    return f"{name}@{revision}" if revision and "@" not in name else str(name)


def locate_base(adapter_dir: Path, given: str | None) -> tuple[Path, str]:
    """Folder of an adapter's base and its name: the one given, else the one it was trained on.

    Raises:
        InputError: It cannot be found.
    """
    name = given or base_of(adapter_dir)
    try:
        path = locate_model(name)
    except InputError as error:
        if given:
            raise
        raise InputError(f"{adapter_dir}: its base {error}; name it with --base ID|PATH") from error
    return path, model_name(name, path)


def check_adapter_config(adapter_dir: Path) -> None:
    """Refuses adapters of another kind than LoRA.

    Raises:
        InputError: It is one.
    """
    kind = adapter_config(adapter_dir).get("peft_type")
    if kind != "LORA":
        raise InputError(
            f"{adapter_dir}: peft_type is {kind}; LoRA, DoRA and rsLoRA are taken; merge it into its base "
            "and evaluate that"
        )


def check_adapter(base_dir: Path, adapter_dir: Path) -> None:
    """Refuses an adapter whose weights are not whole or do not fit the base.

    Raises:
        InputError: One line that names the first module that does not fit.
    """
    tensors = read_tensors(adapter_dir)
    named = adapter_config(adapter_dir).get("base_model_name_or_path")
    # Where transformers does more than rename, the base's modules are not those that the adapter names.
    if named_tensors(base_dir) is not None:
        modules = dict(skeleton(base_dir).named_modules())
        for tensor in tensors.values():
            fault = _fault(tensor, modules)
            if fault:
                raise InputError(
                    f"{adapter_dir}: the adapter does not fit {base_dir}: {fault}; it was trained on "
                    f"{named or 'another base'}, so name that with --base"
                )
    if has_tokenizer(adapter_dir):
        rows = saved_rows(tensors, base_dir) or num_embeddings(base_dir)
        check_fits(usable_tokenizer(adapter_dir), rows, adapter_dir)


def saved_rows(tensors: Mapping[str, Tensor], base_dir: Path) -> int | None:
    """Rows of the embedding that an adapter carries in place of its base's; None where it carries none."""
    wanted = f"{embedding_name(skeleton(base_dir))}.weight"
    return next((tensor.shape[0] for name, tensor in tensors.items() if _own_name(name) == wanted), None)


def _own_name(name: str) -> str:
    """A tensor's name without what PEFT puts around it."""
    return re.sub(r"\.(modules_to_save|original_module|base_layer)(?=\.)", "", name.removeprefix(_PREFIX))


def _fault(tensor: Tensor, modules: Mapping[str, torch.nn.Module]) -> str | None:
    name = _own_name(tensor.name)
    match = _LORA.match(name)
    module = modules.get(match["module"] if match else name.rpartition(".")[0])
    if module is None:
        return f"it has no {match['module'] if match else name}"
    weight = getattr(module, "weight", None)
    if match is None or match["bias"] or weight is None or weight.dim() != 2:
        return None
    expected = _expected(match["part"], module)
    if expected is None or expected[1] == tensor.shape[expected[0]]:
        return None
    axis, size = expected
    return f"{match['module']} is {size} wide, where the adapter's is {tensor.shape[axis]}"


def _expected(part: str, module: torch.nn.Module) -> tuple[int, int] | None:
    """Which axis of a LoRA matrix belongs to the module, and how long it must be."""
    num_in, num_out = _widths(module)
    expected = {
        "lora_A": (1, num_in),
        "lora_B": (0, num_out),
        "lora_embedding_A": (1, num_in),
        "lora_embedding_B": (0, num_out),
    }
    return expected.get(part)


def _widths(module: torch.nn.Module) -> tuple[int, int]:
    """Inputs and outputs; a linear layer has them in the other order than an embedding or GPT-2's Conv1D."""
    first, second = module.weight.shape
    return (second, first) if hasattr(module, "in_features") else (first, second)

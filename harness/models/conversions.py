"""Weights in a form that engines do not read, made into one that they do, once for each content.

GGUF is de-quantised by transformers; names that a wrapper has put before a model's own lose it. What was done
is written beside the result, for `harness inspect` and the leaderboard.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.models.shards import AGAIN, INDEX, read_tensors, weight_files
from sftkey_train.stored import weights_digest
from tasks.errors import InputError
from tasks.files import cache_dir
from tasks.leases import say
from tasks.limits import MOST_BYTES, Failed, Limited
from tasks.reading import read_json, read_text
from tasks.seals import content_digest, kept, sha256_of, whole_folder

_ORIGIN = "origin.txt"
_INNER = "_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module|_forward_module"
_WRAPPERS = re.compile(rf"^(?:(?:module|{_INNER})\.)+|(?<=\.)(?:(?:{_INNER})\.)+")
"""What torch.compile, FSDP and checkpointing put anywhere, and data parallelism at the front."""
_SECONDS, _BYTES_A_SECOND, _GROWTH = 30, 4 << 20, 24
"""For de-quantising: at least, then by the file's size, as memory is."""


def origin(folder: Path) -> str | None:
    """What was done to the weights of a folder; None where nothing was."""
    return read_text(folder / _ORIGIN) if (folder / _ORIGIN).is_file() else None


def _made(digest: str, name: str, make: Callable[[Path], str]) -> Path:
    """A folder of the cache that `make` fills, and of which it says what was done."""
    place = cache_dir() / "views" / digest[:32] / name

    def fill() -> None:
        with whole_folder(place) as partial:
            (partial / _ORIGIN).write_text(done := make(partial), encoding="utf-8")
            say("%s: %s", name, done)

    return kept(place, fill, f"a conversion of {name}")


def unwrapped(folder: Path) -> Path:
    """The folder, or a copy whose weights have their own names; InputError where two would get the same."""
    try:
        names = {name: _WRAPPERS.sub("", name) for name in read_tensors(folder)}
    except InputError:
        return folder  # the checks say it better
    wrapped = [name for name, own in names.items() if name != own]
    if not wrapped:
        return folder
    if len(set(names.values())) < len(names):
        twice = next(name for name in wrapped if names[name] in names)
        raise InputError(f"{folder}: holds {twice} and {names[twice]}; save the one that is meant alone")

    def rename(partial: Path) -> str:
        from safetensors.torch import load_file, save_file

        for path in folder.iterdir():
            if path.is_file() and path.suffix in (".json", ".txt", ".model", ".jinja", ".md"):
                shutil.copy(path, partial)
        for path in weight_files(folder):
            renamed = {names[name]: tensor for name, tensor in load_file(path).items()}
            save_file(renamed, partial / path.name, {"format": "pt"})
        if (folder / INDEX).is_file():
            index = read_json(folder / INDEX)
            index["weight_map"] = {names[name]: file for name, file in index["weight_map"].items()}
            (partial / INDEX).write_text(json.dumps(index), encoding="utf-8")
        return f"taken without what a wrapper put before weights' names, as in {wrapped[0]}"

    return _made(weights_digest(folder), folder.resolve().name, rename)


def gguf_in(folder: Path) -> Path | None:
    """The one GGUF file of a folder without other weights; InputError where there are several."""
    files = [] if any(folder.glob("*.safetensors*")) else sorted(filter(Path.is_file, folder.glob("*.gguf")))
    if len(files) > 1:
        raise InputError(f"{folder}: holds {len(files)} GGUF files; name one, such as {files[0]}")
    return files[0] if files else None


def dequantised(file: Path) -> Path:
    """A folder with a GGUF file's model in float32, its tokenizer and configuration.

    InputError where it is damaged, needs too much, or transformers does not read it.
    """
    import torch  # noqa: F401 - loaded before the fork
    import transformers
    from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: F401

    if not transformers.utils.is_gguf_available():
        raise InputError(f"{file}: GGUF is read with the package gguf; pip install gguf")
    size = file.stat().st_size

    def convert(partial: Path) -> str:
        apart = Limited(
            lambda target: _dequantise(file, Path(target)),
            _SECONDS + size // _BYTES_A_SECOND,
            most_bytes=MOST_BYTES + _GROWTH * size,
        )
        try:
            return str(apart.ask(str(partial)))
        except Failed as error:
            raise InputError(
                f"{file}: this GGUF cannot be de-quantised ({error}); {AGAIN}, or use the safetensors it was "
                "made of"
            ) from error
        finally:
            apart.close()

    return _made(content_digest([sha256_of(file), transformers.__version__]), file.resolve().stem, convert)


def _dequantise(file: Path, target: Path) -> str:
    import torch
    from gguf import GGUFReader, LlamaFileType
    from transformers import AutoModelForCausalLM, AutoTokenizer

    reader = GGUFReader(file)
    field: Any = reader.fields.get("general.file_type")
    kinds = {tensor.tensor_type.name for tensor in reader.tensors}
    name = LlamaFileType(int(field.contents())).name.removeprefix("MOSTLY_") if field else "/".join(kinds)
    given: dict[str, Any] = {"gguf_file": file.name, "trust_remote_code": False}
    model, said = AutoModelForCausalLM.from_pretrained(
        file.parent, dtype=torch.float32, output_loading_info=True, **given
    )
    if lacking := sorted(said["missing_keys"]):
        raise InputError(f"{file}: lacks {len(lacking)} tensors, such as {lacking[0]}; {AGAIN}")
    model.hf_quantizer = None  # the numbers are plain ones now
    del model.config.quantization_config
    model.save_pretrained(target)
    AutoTokenizer.from_pretrained(file.parent, **given).save_pretrained(target)
    # transformers adds GPT-2's <|endoftext|> where it is not
    tokenizer = read_json(target / "tokenizer.json")
    rows = model.get_input_embeddings().weight.shape[0]
    tokenizer["added_tokens"] = [token for token in tokenizer["added_tokens"] if token["id"] < rows]
    (target / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False), encoding="utf-8")
    return f"de-quantised from {name}"

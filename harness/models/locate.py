"""From a name to a folder: a path, or a Hub id with `@revision` where one is pinned."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import harness.models.conversions as conversions
from harness.models.shards import INDEX, SINGLE, weight_files
from sftkey_train.embedded import EMBEDDED, embedded_folder
from tasks.errors import InputError
from tasks.files import cache_dir, remove
from tasks.leases import lease
from tasks.reading import parse_yaml, read_json, read_text
from tasks.seals import lock_of, whole_folder

HUB_FILES = ["*.safetensors", "*.json", "*.txt", "*.model", "*.jinja", "README.md"]
_NOT_FROM_HUB = ["*/*", "consolidated*"]
"""Other forms of the same weights."""
_ADAPTER_CONFIG = "adapter_config.json"
_MOST_NAME_CHARS = 500


def split_revision(name: str) -> tuple[str, str | None]:
    """`org/model@revision` as Hub id and revision; a folder's name is left alone."""
    if _folder(name):
        return name, None
    repository, _, revision = name.partition("@")
    return repository, revision or None


def _folder(name: str | Path, is_there: Callable[[Path], bool] = Path.is_dir) -> Path | None:
    """The folder (or what else is to be there) of a name; None where there is none, or it could be none's."""
    try:
        path = Path(name).expanduser()
        return path if is_there(path) else None
    except (OSError, ValueError, RuntimeError):  # too long, with a NUL, of an unknown user
        return None


def locate(name: str) -> Path:
    """Folder of a model or adapter; one from the Hub is downloaded (data only, no code), GGUF is converted.

    InputError where there is no such folder, or one with something else in the place of a file, and the Hub
    has or gives none.
    """
    if name.endswith(".gguf") and (file := _folder(name, Path.is_file)):
        return conversions.dequantised(file)
    path = embedded_folder(name) or _folder(name)
    if path is not None:
        _check_files(path)
        file = conversions.gguf_in(path)
        return conversions.dequantised(file) if file else path
    hub_name, _, gguf = name.partition(":") if name.endswith(".gguf") else (name, "", "")
    repository, revision = split_revision(hub_name)
    if name.startswith((".", "/", "~")) or repository.count("/") > 1:
        raise InputError(f"{name}: no such folder")
    from huggingface_hub import hf_hub_download, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        if gguf:
            return conversions.dequantised(Path(hf_hub_download(repository, gguf, revision=revision)))
        return Path(
            snapshot_download(
                repository, revision=revision, allow_patterns=HUB_FILES, ignore_patterns=_NOT_FROM_HUB
            )
        )
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise InputError(
            f"{name}: neither a folder here nor to be had from the Hub ({type(error).__name__}); "
            f"check the name and the network, or use a local folder or '{EMBEDDED[0]}'"
        ) from error


def _check_files(folder: Path) -> None:
    """Refuses what is no file under the name of one that is read: whoever opens a pipe waits for ever."""
    try:
        for path in folder.iterdir():
            if not path.is_file() and any(path.match(pattern) for pattern in HUB_FILES):
                raise InputError(
                    f"{path}: no file, but a link to nothing, a folder or a device; put the file there"
                )
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror})") from error


def locate_model(name: str) -> Path:
    """Folder of a whole model: of nothing else, where the named one also holds other weights.

    InputError where it cannot be found, or holds an adapter alone.
    """
    path = locate(name)
    if is_adapter(path) and not is_whole(path):
        raise InputError(
            f"{path}: an adapter, not a whole model; name its base with --model and it with --adapter"
        )
    if not (path / "config.json").is_file():
        raise InputError(
            f"{path}: no config.json, so not a model folder; copy or download it again, or name the file "
            "of a GGUF (ID:FILE)"
        )
    return conversions.unwrapped(_tidy(path))


def locate_adapter(name: str) -> Path:
    """Folder of an adapter; InputError where it cannot be found, or is none."""
    path = locate(name)
    if not is_adapter(path):
        raise InputError(f"{path}: no {_ADAPTER_CONFIG}, so not a PEFT adapter")
    return path


def adapter_config(adapter_dir: Path) -> dict[str, Any]:
    """What an adapter says of itself; InputError where that cannot be read."""
    return read_json(adapter_dir / _ADAPTER_CONFIG, "cannot be read ({error}); copy or download it again")


def base_of(adapter_dir: Path) -> str:
    """Name of the base that an adapter was trained on: a folder that is here, or a Hub id.

    A relative folder counts from where the command runs, from the adapter, or from what holds the adapter.
    InputError where the adapter names none.
    """
    config = adapter_config(adapter_dir)
    name = config.get("base_model_name_or_path")
    if not isinstance(name, str) or not 0 < len(name) <= _MOST_NAME_CHARS or not name.isprintable():
        raise InputError(f"{adapter_dir}: its adapter_config.json names no base; name it with --base ID|PATH")
    for start in (Path(), adapter_dir, adapter_dir.parent):
        if _folder(start / name):
            return str(start / name)
    revision = config.get("revision")
    return f"{name}@{revision}" if revision and "@" not in name else str(name)


def locate_base(adapter_dir: Path, given: str | None) -> tuple[Path, str]:
    """Folder and name of the base that is given, else of the one trained on; InputError if there is none."""
    name = given or base_of(adapter_dir)
    try:
        path = locate_model(name)
    except InputError as error:
        if given:
            raise
        raise InputError(f"{adapter_dir}: its base {error}; name it with --base ID|PATH") from error
    return path, model_name(name, path)


def model_name(name: str, path: Path) -> str:
    """What a leaderboard calls a model: its Hub id, or the last part of its folder."""
    return path.resolve().name if _folder(name, Path.exists) and not embedded_folder(name) else name


def is_adapter(path: Path) -> bool:
    """Whether a folder holds an adapter, whatever else it holds."""
    return (path / _ADAPTER_CONFIG).is_file()


def adapter_is_meant(path: Path, base: str | None) -> bool:
    """Whether a folder stands for its adapter, as it holds nothing else.

    InputError where a base is given, but the folder holds a whole model.
    """
    if is_adapter(path) and not is_whole(path):
        return True
    if base:
        raise InputError(f"{path}: a whole model, no adapter; leave --base out")
    return False


def is_whole(path: Path) -> bool:
    """Whether a folder holds a whole model's weights, whatever else it holds."""
    return (path / "config.json").is_file() and any((path / name).is_file() for name in (SINGLE, INDEX))


def _tidy(path: Path) -> Path:
    """The folder, or a view of it with the whole model alone.

    transformers loads an adapter that lies beside whole weights onto another base, and vLLM reads every
    safetensors file there is: neither is what was asked for.
    """
    if not is_whole(path):
        return path
    stray = set(path.glob("*.safetensors")) - set(weight_files(path))
    if not stray and not is_adapter(path):
        return path
    kept = [
        file for file in sorted(path.iterdir())
        if file.is_file() and file not in stray and file.name != _ADAPTER_CONFIG
    ]  # fmt: skip
    where = hashlib.sha256("\0".join(map(str, [path.resolve(), *kept])).encode()).hexdigest()[:16]
    view = cache_dir() / "views" / where / path.resolve().name
    links = {file.name: str(file.resolve()) for file in kept}
    if _links(view) != links:
        with lease(lock_of(view.parent), f"a view of {path}"):
            if _links(view) != links:  # not made, or damaged
                remove(view.parent)
                with whole_folder(view.parent, sealed=False) as partial:
                    (partial / view.name).mkdir()
                    for name, target in links.items():
                        (partial / view.name / name).symlink_to(target)
    return view


def _links(folder: Path) -> dict[str, str]:
    """Names and targets of the links in a folder; a file that is no link has itself for a target."""
    return {path.name: str(path.readlink() if path.is_symlink() else path) for path in folder.glob("*")}


def card_licence(folder: Path) -> str | None:
    """The licence that a checkpoint's card names; None where there is no card, or none in it."""
    try:
        text = read_text(folder / "README.md")
        front = parse_yaml(text[4:].partition("\n---")[0], "README.md") if text.startswith("---\n") else {}
    except InputError:
        return None  # a card that cannot be read is no reason to refuse the weights
    front = front if isinstance(front, dict) else {}
    licence = front.get("license")
    if licence == "other":
        licence = front.get("license_name") or licence
    return ", ".join(map(str, licence)) if isinstance(licence, list) else str(licence) if licence else None

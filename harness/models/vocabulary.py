"""The tokenizer of a checkpoint: can it be used, and does the embedding have a row for each token?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.models.architecture import num_embeddings, read_json
from tasks.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "vocab.json", "vocab.txt",
    "tekken.json",
)  # fmt: skip


def has_tokenizer(folder: Path) -> bool:
    """Whether a folder holds the files of a tokenizer."""
    return any((folder / name).is_file() for name in _TOKENIZER_FILES)


def usable_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The folder's tokenizer.

    Raises:
        InputError: There is none, or it needs code of its own, has no fast form, or does not know an end.
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
    TextPath.of(tokenizer, "plain")
    return tokenizer


def check_tokenizer(folder: Path) -> None:
    """Refuses a folder whose tokenizer cannot be used; see `usable_tokenizer`."""
    usable_tokenizer(folder)


def check_vocabulary(folder: Path) -> None:
    """Refuses a tokenizer with tokens that the embedding lacks; a padded embedding is fine.

    Raises:
        InputError: It is so.
    """
    check_fits(usable_tokenizer(folder), num_embeddings(folder), folder)


def check_fits(tokenizer: PreTrainedTokenizerBase, num_rows: int, folder: Path) -> None:
    """Refuses a tokenizer with tokens beyond an embedding's rows.

    Raises:
        InputError: It is so.
    """
    token, largest = max(tokenizer.get_vocab().items(), key=lambda item: item[1])
    if largest >= num_rows:
        raise InputError(
            f"{folder}: the tokenizer has token ids up to {largest} ({token!r}), but the embedding only "
            f"{num_rows} rows; resize the embedding, or take the tokenizer it was trained with"
        )

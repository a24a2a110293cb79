"""Is there a tokenizer that can be used, and does the embedding have a row for each of its tokens?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.models.architecture import num_embeddings
from harness.models.shards import AGAIN
from sftkey_train.text import TextPath, load_tokenizer
from tasks.errors import InputError
from tasks.reading import read_json

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "vocab.json", "vocab.txt",
    "tekken.json",
)  # fmt: skip
_PROBES = (
    "Question: Sam has 1,234 apples (3/4 red).\n\n  He'd sell π² at the café: how many?\tAnswer: ",
    # What makes a pattern that can match in many ways try them all.
    *(character * 60 + end for character in "a0 .-\n" for end in ("!", "\u00e9", "")),
)
_MOST_TOKENS = 4
"""For each byte: even one that knows single bytes alone has 1."""


def has_tokenizer(folder: Path) -> bool:
    """Whether a folder holds the files of a tokenizer."""
    return any((folder / name).is_file() for name in _TOKENIZER_FILES)


def usable_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The folder's tokenizer.

    InputError where there is none, or it needs code of its own, has no fast form, or does not know an end.
    """
    config = folder / "tokenizer_config.json"
    if not has_tokenizer(folder) and not config.is_file():
        raise InputError(f"{folder}: no tokenizer (tokenizer.json); save the one it was trained with there")
    try:
        tokenizer = load_tokenizer(str(folder))
    except InputError as error:
        settings = read_json(config, f"cannot be read ({{error}}); {AGAIN}") if config.is_file() else {}
        own = settings.get("auto_map")
        if isinstance(own, dict) and "AutoTokenizer" in own:
            raise InputError(
                f"{config}: the tokenizer needs code of its own (auto_map), which is never run; "
                "save it as a tokenizer.json"
            ) from error
        raise
    TextPath.of(tokenizer, "plain")  # refuses one that knows no end
    return tokenizer


def check_tokenizer(folder: Path) -> None:
    """Refuses (InputError) a tokenizer that cannot be used, or makes nothing or too much of a text.

    Or has tokens that the embedding lacks; a padded embedding is fine.
    """
    path = TextPath.of(usable_tokenizer(folder), "plain")
    check_fits(path.tokenizer, num_embeddings(folder), folder)
    for probe in _PROBES:
        ids = path.encodings([probe], offsets=True)[0].ids
        if not 0 < len(ids) <= _MOST_TOKENS * len(probe.encode()):
            raise InputError(
                f"{folder}: its tokenizer makes {len(ids):,} tokens of a text of {len(probe):,} characters; "
                "take the one it was trained with"
            )
        path.tokenizer.decode(ids, skip_special_tokens=True)


def check_fits(tokenizer: PreTrainedTokenizerBase, num_rows: int, folder: Path) -> None:
    """Refuses (InputError) a tokenizer with tokens beyond an embedding's rows."""
    token, largest = max(tokenizer.get_vocab().items(), key=lambda item: item[1], default=("", 0))
    if largest >= num_rows:
        raise InputError(
            f"{folder}: the tokenizer has token ids up to {largest} ({token!r}), but the embedding only "
            f"{num_rows} rows; resize the embedding, or take the tokenizer it was trained with"
        )

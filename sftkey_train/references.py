"""What a reference model says of the training data: computed once, kept by content, shared by all stages.

Rho-1 and iw-SFT want its log-probabilities of the targets, Token Cleaning those of two models, ASFT its whole
distribution: of that the last hidden states are kept, from which the frozen head gives it exactly.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils.data import Dataset

from sftkey_train.batches import Collator
from sftkey_train.checkpoint import move_whole
from sftkey_train.model import head_replaced, output_head
from sftkey_train.spans import Corpus
from sftkey_train.sparse_head import log_probs
from sftkey_train.telemetry import response_mask
from sftkey_train.variants import SEGMENTS

if TYPE_CHECKING:
    from numpy.typing import NDArray

REFERENCES_VERSION = 1
"""Raised whenever the same inputs would give other arrays."""
TOKENS_PER_BATCH = 8192
MANIFEST = "reference.json"


@dataclass(frozen=True)
class ReferenceData:
    """What a stage needs of its reference model.

    Attributes:
        arrays: Name of a field of the batch -> a value for each token of the corpus.
        head: The reference's output head, where the objective needs its whole distribution.
    """

    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    head: torch.nn.Module | None = None


NO_REFERENCE = ReferenceData()


class StageData(Dataset[dict[str, Any]]):
    """A corpus with further values for each token."""

    def __init__(self, corpus: Corpus, arrays: Mapping[str, NDArray[Any]]) -> None:
        self._corpus, self._arrays = corpus, arrays

    def __len__(self) -> int:
        return len(self._corpus)

    def __getitem__(self, index: int) -> dict[str, Any]:
        part = slice(self._corpus.starts_E[index], self._corpus.starts_E[index + 1])
        extra = {name: np.asarray(values[part]) for name, values in self._arrays.items()}
        return {**self._corpus[index], **extra}


def reference_key(weights: str, corpus: Corpus, *, hidden: bool) -> str:
    """Content address of a reference model's arrays.

    Args:
        weights: Stage key, or digest of the base model.
        corpus: What it is asked about.
        hidden: Whether the hidden states are kept too.
    """
    content = f"{REFERENCES_VERSION} {weights} {corpus.digest()} {hidden}"
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def score_corpus(model: torch.nn.Module, corpus: Corpus, directory: Path, *, hidden: bool) -> None:
    """Writes a reference model's view of a corpus, whole or not at all.

    `log_probs.npy` [tokens of the corpus], float32, holds log p of each token of a response given what stands
    before it, and 0 for prompts. `hidden.npy` [tokens, H], float32, holds the last hidden state that predicts
    the token: H × 4 bytes a token on disk (prompts are holes in the file).

    Args:
        model: The reference model, on the device where it shall run.
        corpus: The encoded examples.
        directory: Where the files go.
        hidden: Whether to keep hidden states too.
    """
    started = time.perf_counter()
    partial = directory.with_name(f".{directory.name}.{os.getpid()}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    size = len(corpus.ids_N)
    log_probs_N = _new_array(partial / "log_probs.npy", (size,))
    width = output_head(model).in_features
    hidden_NH = _new_array(partial / "hidden.npy", (size, width)) if hidden else None
    model.eval()
    for indices in _batches(corpus):
        _score_batch(model, corpus, indices, log_probs_N, hidden_NH)
    log_probs_N.flush()
    if hidden_NH is not None:
        hidden_NH.flush()
    num_weights = sum(parameter.numel() for parameter in model.parameters())
    manifest = {
        "tokens_forward": size,
        "flops": 2.0 * num_weights * size,
        "wall_seconds": time.perf_counter() - started,
    }
    (partial / MANIFEST).write_text(json.dumps(manifest) + "\n", encoding="utf-8")
    move_whole(partial, directory)


def read_log_probs(directory: Path) -> NDArray[np.float32]:
    """log p of each token of the corpus, memory-mapped."""
    return np.load(directory / "log_probs.npy", mmap_mode="r")


def read_hidden(directory: Path) -> NDArray[np.float32]:
    """The hidden state that predicts each token of the corpus, memory-mapped."""
    return np.load(directory / "hidden.npy", mmap_mode="r")


def read_cost(directory: Path) -> dict[str, float]:
    """What the scoring pass took: `tokens_forward`, `flops`, `wall_seconds`."""
    cost: dict[str, float] = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
    return cost


def cleaning_rank(
    base_N: NDArray[np.float32],
    reference_N: NDArray[np.float32],
    corpus: Corpus,
    weights: tuple[float, ...],
) -> NDArray[np.float32]:
    """Rank of ℓ_base − ℓ_reference among the corpus' tokens with weight (arXiv 2502.01968).

    Args:
        base_N: log p of each token under the base model.
        reference_N: Likewise under the reference model.
        corpus: Whose tokens they are.
        weights: Weight by segment.

    Returns:
        For each token its rank from 0 (largest) to below 1; 1 for a token without weight.
    """
    has_weight_N = (np.array(weights) > 0)[corpus.segments_N]
    has_weight_N[corpus.starts_E[:-1]] = False  # an example's first token is never predicted
    score_M = np.asarray(reference_N)[has_weight_N] - np.asarray(base_N)[has_weight_N]
    rank_M = np.empty(len(score_M), np.float32)
    rank_M[np.argsort(-score_M, kind="stable")] = np.arange(len(score_M)) / max(1, len(score_M))
    rank_N = np.ones(len(has_weight_N), np.float32)
    rank_N[has_weight_N] = rank_M
    return rank_N


def _new_array(path: Path, shape: tuple[int, ...]) -> Any:
    new: Any = np.lib.format.open_memmap
    return new(path, mode="w+", dtype=np.float32, shape=shape)


def _batches(corpus: Corpus) -> Iterator[list[int]]:
    """Examples of about equal length, at most so many tokens together."""
    batch: list[int] = []
    for index in np.argsort(corpus.lengths_E, kind="stable").tolist():
        if batch and (len(batch) + 1) * int(corpus.lengths_E[index]) > TOKENS_PER_BATCH:
            yield batch
            batch = []
        batch.append(index)
    yield batch


@torch.no_grad()
def _score_batch(
    model: torch.nn.Module, corpus: Corpus, indices: list[int], log_probs_N: Any, hidden_NH: Any
) -> None:
    device = next(model.parameters()).device
    batch = Collator([1.0] * len(SEGMENTS))([corpus[index] for index in indices])
    batch = {name: values.to(device) for name, values in batch.items()}
    rows_BT = response_mask(batch["segments"])
    found: list[torch.Tensor] = []

    def keep(hidden_BTH: torch.Tensor, head: torch.nn.Linear) -> torch.Tensor:
        rows_NH = hidden_BTH[rows_BT]
        found.extend((rows_NH, log_probs(rows_NH, head, batch["targets"][rows_BT])))
        return hidden_BTH.new_zeros(())

    with head_replaced(model, keep):
        model(input_ids=batch["input_ids"])
    places_BT = torch.tensor([int(corpus.starts_E[index]) for index in indices], device=device)[:, None]
    places_BT = places_BT + 1 + torch.arange(rows_BT.shape[1], device=device)
    places_N = places_BT[rows_BT].cpu().numpy()
    log_probs_N[places_N] = found[1].cpu().numpy()
    if hidden_NH is not None:
        hidden_NH[places_N] = found[0].float().cpu().numpy()

"""The other models that an objective compares the trained one with: a reference, or its own past.

What a reference model says of the training data is computed once, kept by content, and shared by all stages.
Rho-1 and iw-SFT want its log-probabilities of the targets, Token Cleaning those of two models, ASFT its whole
distribution: of that the last hidden states are kept, from which the frozen head gives it exactly.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.distributed.fsdp import FSDPModule
from torch.utils.data import Dataset

from sftkey_train.batches import Collator
from sftkey_train.corpus import Corpus
from sftkey_train.loss import log_probs, mask_of
from sftkey_train.model import evaluating, head_replaced, model_inputs, output_head
from sftkey_train.segments import RESPONSE, SEGMENTS
from sftkey_train.stages import StageNode
from sftkey_train.stored import StageCost
from tasks.reading import read_json
from tasks.seals import whole_folder

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
    size, width = len(corpus.ids_N), output_head(model).in_features
    new_array: Any = partial(np.lib.format.open_memmap, mode="w+", dtype=np.float32)
    model.eval()
    with whole_folder(directory) as folder:
        log_probs_N = new_array(folder / "log_probs.npy", shape=(size,))
        hidden_NH = new_array(folder / "hidden.npy", shape=(size, width)) if hidden else None
        for indices in _batches(corpus):
            _score_batch(model, corpus, indices, log_probs_N, hidden_NH)
        log_probs_N.flush()
        if hidden_NH is not None:
            hidden_NH.flush()
        flops = 2.0 * sum(parameter.numel() for parameter in model.parameters()) * size
        seconds = time.perf_counter() - started
        manifest = {"tokens_forward": size, "flops": flops, "wall_seconds": seconds}
        (folder / MANIFEST).write_text(json.dumps(manifest) + "\n", encoding="utf-8")


def read_log_probs(directory: Path) -> NDArray[np.float32]:
    """log p of each token of the corpus, memory-mapped."""
    return np.load(directory / "log_probs.npy", mmap_mode="r")


def read_hidden(directory: Path) -> NDArray[np.float32]:
    """The hidden state that predicts each token of the corpus, memory-mapped."""
    return np.load(directory / "hidden.npy", mmap_mode="r")


def read_scoring_cost(directory: Path) -> StageCost:
    """What the scoring pass took: forward alone, no step and no loss."""
    cost = read_json(directory / MANIFEST)
    return StageCost(steps=0, tokens_loss=0, **cost)


def cleaning_rank(
    base_N: NDArray[np.float32], reference_N: NDArray[np.float32], corpus: Corpus, weights: tuple[float, ...]
) -> NDArray[np.float32]:
    """Rank of ℓ_base − ℓ_reference among the corpus' tokens with weight (arXiv 2502.01968).

    Args:
        base_N: log p of each token under the base model.
        reference_N: log p of each token under the reference model.
        corpus: Whose tokens they are.
        weights: Weight by segment.

    Returns:
        For each token its rank from 0 (largest) to below 1; 1 for a token without weight.
    """
    has_weight_N = (np.array(weights) > 0)[corpus.segments_N]
    has_weight_N[corpus.starts_E[:-1]] = False  # an example's first token is never predicted
    score_M = np.asarray(reference_N)[has_weight_N] - np.asarray(base_N)[has_weight_N]
    rank_M = np.empty(len(score_M), np.float32)  # stable: of equal scores the earlier token comes first
    rank_M[np.argsort(-score_M, kind="stable")] = np.arange(len(score_M)) / max(1, len(score_M))
    rank_N = np.ones(len(has_weight_N), np.float32)
    rank_N[has_weight_N] = rank_M
    return rank_N


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
    rows_BT = mask_of(batch["segments"], RESPONSE)
    rows_NH, found_N = _rows_of(model, batch, rows_BT)
    # Position t of a batch holds what belongs to token t + 1, so values go one place further in the corpus.
    starts_B1 = torch.tensor([int(corpus.starts_E[index]) for index in indices], device=device)[:, None]
    positions_BT = starts_B1 + 1 + torch.arange(rows_BT.shape[1], device=device)
    positions_N = positions_BT[rows_BT].cpu().numpy()
    log_probs_N[positions_N] = found_N.cpu().numpy()
    if hidden_NH is not None:
        hidden_NH[positions_N] = rows_NH.float().cpu().numpy()


def _rows_of(model: torch.nn.Module, batch: Mapping[str, Tensor], rows_BT: Tensor) -> tuple[Tensor, Tensor]:
    """(last hidden states [N, H], log p of the targets [N]) of some positions, in one pass."""
    found: list[tuple[Tensor, Tensor]] = []

    def keep(hidden_BTH: Tensor, head: torch.nn.Linear) -> Tensor:
        rows_NH = hidden_BTH[rows_BT]
        found.append((rows_NH, log_probs(rows_NH, head, batch["targets"][rows_BT])))
        return hidden_BTH.new_zeros(())

    with head_replaced(model, keep):
        model(**model_inputs(batch))
    return found[0]


class Lagging:
    """The model as it was a few steps ago: πₒₗ𝒹 of a proximal objective, renewed every `refresh` steps."""

    def __init__(self, node: StageNode) -> None:
        self._refresh = max(1, int(dict(node.stage.options)["refresh"]))
        self._weights: list[Tensor] = []
        self._renewed_at = -1

    def is_due(self, step: int) -> bool:
        """Whether the model of this step becomes the old one."""
        return step % self._refresh == 0

    @torch.no_grad()
    def log_probs(self, model: torch.nn.Module, batch: Mapping[str, Tensor], step: int) -> Tensor | None:
        """log p [B, T] under the old weights; None while they are the present ones."""
        _reshard(model)
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        if self.is_due(step):
            if self._renewed_at != step:
                self._weights = [parameter.detach().clone() for parameter in trained]
                self._renewed_at = step
            return None
        rows_BT = batch["weights"] > 0
        _swap(trained, self._weights)
        try:
            with evaluating(model):
                _, found_N = _rows_of(model, batch, rows_BT)
            _reshard(model)
        finally:
            _swap(trained, self._weights)
        return torch.zeros(rows_BT.shape, device=rows_BT.device).masked_scatter_(rows_BT, found_N)


def _reshard(model: torch.nn.Module) -> None:
    """Drops weights that FSDP has gathered for one forward pass and would use again in the next."""
    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()


@torch.no_grad()
def _swap(parameters: Sequence[torch.nn.Parameter], weights: Sequence[Tensor]) -> None:
    """In place: FSDP gathers from memory that it knows, not from what a parameter points at."""
    for parameter, weight in zip(parameters, weights, strict=True):
        own = parameter.detach().clone()
        parameter.copy_(weight)
        weight.copy_(own)

"""A few fixed tokens, of which each engine must make of merged weights what PEFT makes of the unmerged.

Merging goes wrong without a word, as where the head is the embedding (peft issue 2018), and an engine may
have no place for what was merged. PEFT's own model answers while it is in memory anyway, in float32.
"""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.engines.api import Engine, Request, Sampling
from tasks.errors import InputError
from tasks.reading import read_json

if TYPE_CHECKING:
    from torch import Tensor

_FILE, _PROMPTS, _TOKENS, _ANSWER_TOKENS = "canary.json", 4, 8, 4
_LEAST = {"float32": 1e-3, "bfloat16": 0.05, "float16": 0.02}
"""Of the largest logit: what is no rounding."""


def prompts(size: int) -> list[list[int]]:
    """Token ids of a vocabulary of this size."""
    return [[(1 + 37 * i + 101 * k) % size for i in range(_TOKENS)] for k in range(_PROMPTS)]


def ask(model: Any) -> tuple[Tensor, Tensor]:
    """Prompts and greedy answers of a model of transformers or PEFT [B, T], and its logits [B, T, V]."""
    import torch

    ids_BT = torch.tensor(prompts(model.get_input_embeddings().weight.shape[0]))
    for _ in range(_ANSWER_TOKENS):
        with torch.no_grad():
            logits_BTV = model(input_ids=ids_BT, use_cache=False).logits
        ids_BT = torch.cat([ids_BT, logits_BTV[:, -1:].argmax(-1)], dim=1)
    return ids_BT[:, :-1], logits_BTV


def difference(known: tuple[Tensor, Tensor], model: Any) -> str | None:
    """How a merged model differs from the unmerged one, as a clause; None where only by rounding."""
    import torch

    with torch.no_grad():
        logits_BTV = model(input_ids=known[0], use_cache=False).logits
    error, largest = (logits_BTV - known[1]).abs().max(), known[1].abs().max()
    same = (logits_BTV.argmax(-1) == known[1].argmax(-1)).float().mean()
    said = f"logits by up to {error:.3g} of {largest:.3g}; {same:.0%} of the likeliest tokens are the same"
    return None if error <= _LEAST["float32"] * largest else said


def write(folder: Path, known: tuple[Tensor, Tensor]) -> None:
    """Lays beside merged weights what follows each beginning, and how far ahead of the next that was."""
    best_BT2, largest = known[1].topk(2), known[1].abs().max()
    leads_BT = (best_BT2.values[..., 0] - best_BT2.values[..., 1]) / largest
    content = [
        [known[0][row, : end + 1].tolist(), int(best_BT2.indices[row, end, 0]), float(leads_BT[row, end])]
        for row, end in product(*map(range, known[0].shape))
    ]
    (folder / _FILE).write_text(json.dumps({"canary": content}))


def check(engine: Engine, folder: Path, tokenizer: Any) -> None:
    """Holds an engine against what lies beside the weights it has loaded; InputError where they differ."""
    known = read_json(folder / _FILE)["canary"] if (folder / _FILE).is_file() else []
    sure = [(tuple(ids), token) for ids, token, lead in known if lead > _LEAST[engine.dtype]]
    for index, (said, *_) in engine.generate([Request(ids, Sampling(1)) for ids, _ in sure]):
        expected = tokenizer.decode([sure[index][1]], skip_special_tokens=True).rstrip("\ufffd")
        if not said.text.startswith(expected):
            raise InputError(
                f"{folder}: {engine.name} goes on with {said.text!r} where PEFT, before the adapter "
                f"is merged, does with {expected!r}; try another --engine"
            )

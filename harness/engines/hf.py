"""transformers' generate behind the engine interface: the reference that vLLM is checked against."""

from __future__ import annotations

import gc
import inspect
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import harness.engines.canary as canary
from harness.engines.api import Completion, EngineSettings, Request, Sampling, decode, measured
from sftkey_train.text import load_tokenizer
from tasks.errors import InputError
from tasks.secrets import one_line

if TYPE_CHECKING:
    from torch import Tensor

LARGEST_BATCH = 64


class HfEngine:
    """transformers' generate. Batches hold prompts of one length, so that padding cannot change a result."""

    name = "hf"
    wants_text = False
    measures = True

    def __init__(self, settings: EngineSettings) -> None:
        import torch
        import transformers

        self._settings = settings
        self._device: Any = "cuda" if torch.cuda.is_available() else "cpu"
        self.dtype = settings.dtype_on(self._device)
        self.version = f"transformers {transformers.__version__}"
        self._model: Any = None
        self._eos_ids: tuple[int, ...] = ()
        self._tokenizer: Any = None

    def refusal(self, adapter_dir: Path) -> str | None:
        """Adapters are merged into their base: one model at a time is all that is held here."""
        return "the hf engine holds one model at a time"

    def load(self, model_dir: Path, adapters: Sequence[Path] = ()) -> None:
        """Loads a model in place of the last one; InputError where transformers cannot."""
        import torch

        from sftkey_train.model import load_base

        self.close()
        try:
            model = load_base(str(model_dir), getattr(torch, self.dtype)).to(self._device).eval()
        except RuntimeError as error:  # too large for the device
            raise InputError(f"{model_dir}: the model cannot be loaded ({one_line(error)})") from error
        self.adopt(model, load_tokenizer(str(model_dir)))
        self.try_out(model_dir)
        canary.check(self, model_dir, self._tokenizer)

    def adopt(self, model: Any, tokenizer: Any) -> None:
        """Takes a model that is in memory already, in evaluation mode; it stays its owner's."""
        self._model, self._tokenizer, self._device = model, tokenizer, model.device
        eos = model.generation_config.eos_token_id
        self._eos_ids = tuple(eos if isinstance(eos, list) else [eos] if eos is not None else [])

    def try_out(self, model_dir: Path) -> None:
        """Asks the model that is held for two tokens; InputError where it cannot answer, or not in numbers.

        Some models can be loaded, but fail with their first token, or the first after a cached one.
        """
        import torch

        end = self._tokenizer.eos_token_id
        try:
            with torch.no_grad():
                logits = self._model(torch.tensor([[end, end]], device=self._device)).logits
            self._batch([(end, end)], Sampling(2))
        except Exception as error:  # transformers raises whatever it met
            raise InputError(
                f"{model_dir}: transformers cannot run this model ({one_line(error)}); save it anew"
            ) from error
        # The largest shows NaN, and an overflow to either side; a masked token may well have -inf.
        if not logits.amax(dim=-1).isfinite().all():
            raise InputError(
                f"{model_dir}: what this model gives is no number (NaN or infinity); take another checkpoint"
            )

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, tuple[Completion, ...]]]:
        """Yields completions batch by batch; drawn ones alone, since they must not depend on a neighbour."""
        drawn = [index for index, request in enumerate(requests) if request.sampling.temperature]
        for index in drawn:
            how = requests[index].sampling
            draws = [replace(how, seed=how.seed + i, n=1) for i in range(how.n)]
            yield index, tuple(self._batch([requests[index].prompt], draw)[0] for draw in draws)
        size = min(LARGEST_BATCH, self._settings.max_num_seqs)
        for batch in _alike([i for i in range(len(requests)) if i not in set(drawn)], requests, size):
            some, how = [requests[i] for i in batch], requests[batch[0]].sampling
            measures = bool(some[0].continuation)
            made = self._measure(some) if measures else self._batch([one.prompt for one in some], how)
            for index, completion in zip(batch, made, strict=True):
                yield index, (completion,) * how.n

    def _batch(self, prompts: list[Any], sampling: Sampling) -> list[Completion]:
        import torch
        from transformers import GenerationConfig

        ids_BT = torch.tensor([list(ids) for ids in prompts], device=self._device)
        if sampling.temperature:
            torch.manual_seed(sampling.seed)
        # Without the 0 transformers would keep its own top_k of 50.
        drawn = {"do_sample": True, "temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0}
        how = GenerationConfig(
            max_new_tokens=sampling.max_new_tokens,
            eos_token_id=list(self._ends(sampling)),
            # Rows that end early are filled up with it: as an end it cuts itself off again.
            pad_token_id=self._tokenizer.eos_token_id,
            use_cache=True,
            stop_strings=list(sampling.stop) or None,
            **(drawn if sampling.temperature else {}),
        )
        with torch.no_grad(), _without_own_decoding(self._model):
            output_BT = self._model.generate(
                ids_BT,
                generation_config=how,
                attention_mask=torch.ones_like(ids_BT),
                tokenizer=self._tokenizer if sampling.stop else None,
            )
        return [self._completion(row, ids_BT.shape[1], sampling) for row in output_BT]

    def _measure(self, requests: Sequence[Request]) -> list[Completion]:
        """Bits of the continuations, which are equally long, after prompts that are too."""
        import torch

        ids_BT = torch.tensor([[*one.prompt, *one.continuation] for one in requests], device=self._device)
        count = len(requests[0].continuation)
        # Of a large vocabulary not the whole prompt's, where the model knows how to leave them out.
        fewer = "logits_to_keep" in inspect.signature(self._model.forward).parameters
        with torch.no_grad():
            logits_BTV = self._model(
                ids_BT, use_cache=False, **({"logits_to_keep": count + 1} if fewer else {})
            ).logits
        log_probs_BKV = logits_BTV[:, -count - 1 : -1].float().log_softmax(-1)
        found_BK = log_probs_BKV.gather(-1, ids_BT[:, -count:, None])[..., 0]
        bits_B = (-found_BK.double().sum(-1) / math.log(2)).tolist()
        return [measured(bits, one) for bits, one in zip(bits_B, requests, strict=True)]

    def _completion(self, row_T: Tensor, num_prompt_tokens: int, sampling: Sampling) -> Completion:
        ends = self._ends(sampling)
        ids = row_T[num_prompt_tokens:].tolist()
        end = next((i for i, token in enumerate(ids) if token in ends), None)
        ids = ids if end is None else ids[: end + 1]
        text = decode(self._tokenizer, ids, sampling.stop)
        stopped_by_text = text != decode(self._tokenizer, ids, ())
        padded = stopped_by_text and end is not None  # the end there is padding, while other rows went on
        return Completion(
            text=text,
            finish_reason="stop" if stopped_by_text or end is not None else "length",
            num_prompt_tokens=num_prompt_tokens,
            num_output_tokens=len(ids) - padded,
        )

    def _ends(self, sampling: Sampling) -> set[int]:
        return {*self._eos_ids, *sampling.stop_ids, self._tokenizer.eos_token_id}

    def close(self) -> None:
        """Frees the model."""
        if self._model is not None:
            self._model = self._tokenizer = None
            gc.collect()


def _alike(indices: Sequence[int], requests: Sequence[Request], size: int) -> Iterator[list[int]]:
    """Batches of requests of the same lengths and sampling, in the order of their first."""
    kinds: dict[tuple[int, int, Sampling], list[int]] = {}
    for index in indices:
        one = requests[index]
        kinds.setdefault((len(one.prompt), len(one.continuation), one.sampling), []).append(index)
    for group in kinds.values():
        yield from (group[start : start + size] for start in range(0, len(group), size))


@contextmanager
def _without_own_decoding(model: Any) -> Iterator[None]:
    """The sampling parameters say it all: transformers would fill what they leave open, such as a penalty."""
    from transformers import GenerationConfig

    own = model.generation_config
    model.generation_config = GenerationConfig()
    try:
        yield
    finally:
        model.generation_config = own

"""LoRA adapters served beside their base by vLLM, with a guard for each thing that goes wrong there.

vLLM 0.32 on a CPU, as measured: base and adapter in one batch give wrong base outputs unless there is a slot
for each of them; an adapter that is refused while requests wait makes the next call hang. So slots are
counted, adapters are loaded before anything is asked, and each must change what the model says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import harness.engines.canary as canary
from tasks.errors import InputError
from tasks.reading import read_json
from tasks.secrets import one_line

RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""The maximal ranks that vLLM can be started with."""


class AdapterRefused(Exception):
    """vLLM does not serve `adapter` (all, where None) beside its base; merged into it, it may still run."""

    def __init__(self, adapter: Path | None, reason: str) -> None:
        super().__init__(reason)
        self.adapter = adapter

    def __reduce__(self) -> tuple[type, tuple[Path | None, str]]:
        """So that it reaches another process whole."""
        return type(self), (self.adapter, str(self))


def serving_refusal(adapter_dir: Path) -> str | None:
    """What of an adapter vLLM does not serve beside its base, for which it is merged; None if not known."""
    config = read_json(adapter_dir / "adapter_config.json")
    initial = config.get("init_lora_weights", True)
    reasons = {
        f"it is {config.get('peft_type')}, not LoRA": config.get("peft_type", "LORA") != "LORA",
        "DoRA": config.get("use_dora"),
        "modules_to_save": config.get("modules_to_save"),
        "a bias": config.get("bias", "none") != "none" or config.get("lora_bias"),
        "trained tokens (trainable_token_indices)": config.get("trainable_token_indices"),
        "target_parameters": config.get("target_parameters"),
        "aLoRA": config.get("alora_invocation_tokens"),
        "QALoRA": config.get("use_qalora"),
        "block-diagonal LoRA": config.get("use_bdlora"),
        "repeated layers (layer_replication)": config.get("layer_replication"),
        f"a rank over {RANKS[-1]}": largest_rank(config) > RANKS[-1],
        "a base that PEFT changes on loading (init_lora_weights)": isinstance(initial, str)
        and initial.lower() not in ("gaussian", "eva", "orthogonal", "lora_ga"),
        "a target that is a whole embedding or head": any(  # of a list, or of a pattern
            name in str(config.get("target_modules")) for name in ("embed_tokens", "lm_head", "wte")
        ),
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def largest_rank(adapter_config: dict[str, Any]) -> int:
    """The largest rank of any of an adapter's matrices."""
    return max([int(adapter_config.get("r", 0)), *(adapter_config.get("rank_pattern") or {}).values()])


@dataclass
class Rack:
    """The adapters that one vLLM engine holds beside its base."""

    model_dir: Path  # folder of the base
    slots: int  # how many adapters and bases one batch may hold
    rank: int  # largest rank
    _served: dict[Path, Any] = field(default_factory=dict)
    _ids: Any = field(default_factory=lambda: count(1))

    @classmethod
    def of(cls, model_dir: Path, adapters: Sequence[Path]) -> Rack:
        """A rack in which these adapters fit, with a slot more for the base."""
        ranks = [largest_rank(read_json(adapter / "adapter_config.json")) for adapter in adapters]
        rank = max(ranks)
        fitting = next((allowed for allowed in RANKS if allowed >= rank), None)
        if fitting is None:
            raise AdapterRefused(adapters[ranks.index(rank)], f"rank {rank}")
        return cls(model_dir, len(adapters) + 1, fitting)

    def holds(self, other: Rack) -> bool:
        """Whether another rack's adapters fit in this one."""
        return self.model_dir == other.model_dir and self.slots >= other.slots and self.rank >= other.rank

    def options(self) -> dict[str, Any]:
        """What vLLM is started with."""
        return {
            "enable_lora": True,
            # As many as are in a batch, and the base: with fewer the CPU engine answers for the base wrongly.
            "max_loras": self.slots,
            "max_cpu_loras": self.slots,
            "max_lora_rank": self.rank,
        }

    def fill(self, llm: Any, adapters: Sequence[Path]) -> None:
        """Loads adapters in place of those that are there, and tries each of them.

        AdapterRefused where vLLM does not take one, after which the engine can be used on; InputError where
        one changes nothing.
        """
        for request in self._served.values():
            llm.llm_engine.remove_lora(request.lora_int_id)
        self._served = {}
        for path in adapters:
            self._served[path] = self._add(llm, path)
        base = _canary(llm, None)
        for path, request in self._served.items():
            if _canary(llm, request) == base:
                raise InputError(
                    f"{path}: the adapter changes nothing in {self.model_dir}; is it trained, on this base?"
                )

    def served(self, adapter: Path | None) -> Any:
        """What vLLM calls a loaded adapter; None for the base."""
        return self._served[adapter] if adapter else None

    def _add(self, llm: Any, path: Path) -> Any:
        from vllm.lora.request import LoRARequest

        number = next(self._ids)  # never used twice: vLLM caches prefixes by it
        request = LoRARequest(f"adapter-{number}", number, str(path))
        # Before anything is asked: one that is refused within `generate` makes the next call hang for ever.
        try:
            llm.llm_engine.add_lora(request)
        except Exception as error:  # vLLM raises whatever its loader met
            raise AdapterRefused(path, one_line(error)) from error
        return request


def _canary(llm: Any, adapter: Any) -> list[dict[int, float]]:
    """Log-probs of the likeliest first tokens after a few fixed prompts: always in one batch of one shape."""
    from vllm import SamplingParams, TokensPrompt

    size = llm.llm_engine.model_config.get_vocab_size()
    prompts = [TokensPrompt(prompt_token_ids=ids) for ids in canary.prompts(size)]
    # Log-probs of what is generated: those of the prompt crash vLLM where adapters are enabled.
    how = SamplingParams(max_tokens=1, temperature=0.0, logprobs=5)
    outputs = llm.generate(prompts, how, use_tqdm=False, lora_request=adapter)
    return [
        {token: entry.logprob for token, entry in output.outputs[0].logprobs[0].items()} for output in outputs
    ]

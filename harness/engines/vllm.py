"""vLLM in this process: one engine for all checkpoints of a base model, their weights swapped in place."""

from __future__ import annotations

import gc
import json
import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from harness.engines.engine import Completion, EngineSettings, Sampling, _distribution, decode
from tasks.errors import InputError


class VllmEngine:
    """See `Engine`; started by the first `load`."""

    name = "vllm"

    def __init__(self, settings: EngineSettings) -> None:
        import torch

        self._settings = settings
        self._cpu = not torch.cuda.is_available()
        self.dtype: str = (
            settings.dtype if settings.dtype != "auto" else "float32" if self._cpu else "bfloat16"
        )
        self.version = _distribution() or "vllm"
        self._llm: Any = None
        self._shape = ""

    def load(self, model_dir: Path) -> None:
        """Loads a model: by swapping weights where that is safe, else in a new engine.

        Safe means the same shape and an output head of its own: after a swap vLLM's CPU engine goes on with
        the old head where it shares the embedding's weights.

        Raises:
            InputError: vLLM cannot load the model.
        """
        shape = _shape(model_dir)
        if self._llm is not None and shape == self._shape and not _head_is_tied(model_dir):
            self._llm.collective_rpc("reload_weights", kwargs={"weights_path": str(model_dir)})
            self._llm.reset_prefix_cache()
            return
        self.close()
        try:
            with warnings.catch_warnings(action="ignore"):
                self._llm = self._start(model_dir)
            self._try_out()
        except (ValueError, RuntimeError, OSError) as error:
            self.close()
            detail = " ".join(str(error).split())[-200:]
            raise InputError(
                f"{model_dir}: vLLM cannot run this model ({detail}); try --engine hf"
            ) from error
        self._shape = shape

    def _try_out(self) -> None:
        """One token: some models load but have no kernel on this machine, which is better known now."""
        from vllm import SamplingParams, TokensPrompt

        self._llm.generate([TokensPrompt(prompt_token_ids=[1])], SamplingParams(max_tokens=1), use_tqdm=False)

    def _start(self, model_dir: Path) -> Any:
        import torch

        os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
        from vllm import LLM

        settings = self._settings
        options: dict[str, Any] = {}
        if self._cpu:
            # vLLM would ask for most of the memory, and compiling takes longer than a small run.
            options["kv_cache_memory_bytes"] = int(settings.kv_cache_gib * 2**30)
            options["enforce_eager"] = True
        else:
            torch.cuda.empty_cache()  # what training has freed, vLLM may take
        return LLM(
            model=str(model_dir),
            dtype=self.dtype,
            max_model_len=settings.max_model_len,
            max_num_seqs=settings.max_num_seqs,
            trust_remote_code=False,
            load_format="safetensors",
            use_tqdm_on_load=False,
            disable_log_stats=True,
            generation_config="vllm",
            seed=0,
            **options,
        )

    def generate(
        self, prompts: Sequence[Sequence[int]], sampling: Sequence[Sampling]
    ) -> Iterator[tuple[int, Completion]]:
        """Yields each completion as it is finished."""
        from vllm import SamplingParams, TokensPrompt

        engine, tokenizer = self._llm.llm_engine, self._llm.get_tokenizer()
        for index, (ids, how) in enumerate(zip(prompts, sampling, strict=True)):
            params = SamplingParams(
                max_tokens=how.max_new_tokens,
                stop=list(how.stop),
                stop_token_ids=list(how.stop_ids),
                temperature=how.temperature,
                top_p=how.top_p,
                seed=how.seed if how.temperature else None,
                output_kind=_final_only(),
            )
            engine.add_request(str(index), TokensPrompt(prompt_token_ids=list(ids)), params)
        try:
            while engine.has_unfinished_requests():
                for output in engine.step():
                    if output.finished:
                        index = int(output.request_id)
                        yield index, _completion(output, tokenizer, sampling[index])
        finally:
            if engine.has_unfinished_requests():  # the caller stopped early: leave nothing behind
                engine.abort_request([str(index) for index in range(len(prompts))])

    def close(self) -> None:
        """Ends the engine; the next one may only start when this one's memory is free."""
        self._llm = None
        self._shape = ""
        gc.collect()


def _completion(output: Any, tokenizer: Any, sampling: Sampling) -> Completion:
    best = output.outputs[0]
    return Completion(
        text=decode(tokenizer, best.token_ids, sampling.stop),
        finish_reason=best.finish_reason or "stop",
        num_prompt_tokens=len(output.prompt_token_ids),
        num_output_tokens=len(best.token_ids),
    )


def _final_only() -> Any:
    from vllm.sampling_params import RequestOutputKind

    return RequestOutputKind.FINAL_ONLY


def _head_is_tied(model_dir: Path) -> bool:
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(model_dir, trust_remote_code=False)
    return bool(config.get_text_config().tie_word_embeddings)


def _shape(model_dir: Path) -> str:
    """What two models must share for their weights to be swapped: configuration and tokenizer."""
    config = json.loads((model_dir / "config.json").read_text(encoding="utf-8"))
    for name in ("_name_or_path", "use_cache", "dtype", "torch_dtype", "transformers_version"):
        config.pop(name, None)
    tokenizer = model_dir / "tokenizer.json"
    others = [model_dir / "generation_config.json", tokenizer]
    return json.dumps(config, sort_keys=True) + "".join(p.read_text("utf-8") for p in others if p.is_file())

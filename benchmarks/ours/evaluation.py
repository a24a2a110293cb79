"""Our side of `evaluation_speed`, and vLLM by itself in the same conditions: who is to be timed is told."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from benchmarks.measure.children import answer
from harness.config import Config, load_config
from harness.engines.vllm import VllmEngine, _parameters
from harness.evaluation.ask import Asked, Questionnaire
from harness.evaluation.evaluate import Evaluator
from harness.evaluation.generations import GenerationStore, Queue
from harness.models.checkpoint import Checkpoint, whole_model
from harness.progress import Reporter
from tasks.benchmarks import Benchmark, load_benchmark

_WARM_UP_PROMPTS = 8


class Answered(NamedTuple):
    """Seconds from asking to the last completion, and in the order in which they were asked the answers."""

    seconds: float
    texts: list[str]
    num_tokens: int


class LoadedEngine(VllmEngine):
    """Loads a model once: the time of a second `load` of the same one is no part of the measurement."""

    def load(self, model_dir: Path, adapters: Sequence[Path] = ()) -> None:
        """Loads the first model; does nothing from then on."""
        if self._llm is None:
            super().load(model_dir, adapters)

    @property
    def llm(self) -> Any:
        """The `vllm.LLM` itself."""
        return self._llm


def configuration(told: dict[str, Any], out: Path) -> Config:
    """What is evaluated, and how."""
    flags = {
        "model": told["model"],
        "benchmarks": ",".join(told["benchmarks"]),
        "data_dir": told["data_dir"],
        "limit": told["limit"],
        "out": out,
        "tags": "thinking-answer",
        "eval.engine": "vllm",
        "eval.max_new_tokens": told["max_new_tokens"],
    }
    return load_config(None, flags, [])


def checkpoint(told: dict[str, Any]) -> Checkpoint:
    """The model as what is evaluated."""
    weights = whole_model(Path(told["model"]))
    return Checkpoint("model", "external", "model", None, "thinking-answer", None, told["model"], weights)


def warm_up(engine: LoadedEngine, asked: Sequence[Asked]) -> None:
    """A few prompts backwards, so that what is timed finds none of them in vLLM's cache of prefixes."""
    from vllm import TokensPrompt

    requests = [request for one in asked for request in one.requests][:_WARM_UP_PROMPTS]
    prompts = [TokensPrompt(prompt_token_ids=list(request.prompt)[::-1]) for request in requests]
    engine.llm.generate(prompts, _parameters(requests[0].sampling), use_tqdm=False)


def by_vllm(engine: LoadedEngine, asked: Sequence[Asked]) -> Answered:
    """`vllm.LLM.generate` on all prompts."""
    from vllm import TokensPrompt

    requests = [request for one in asked for request in one.requests]
    start = time.perf_counter()
    outputs = engine.llm.generate(
        [TokensPrompt(prompt_token_ids=list(request.prompt)) for request in requests],
        [_parameters(request.sampling) for request in requests],
        use_tqdm=False,
    )
    seconds = time.perf_counter() - start
    drawn = [output.outputs[0] for output in outputs]
    return Answered(seconds, [one.text for one in drawn], sum(len(one.token_ids) for one in drawn))


def by_us(engine: LoadedEngine, asked: Sequence[Asked], store: GenerationStore, scratch: Path) -> Answered:
    """Our queue, which writes every completion to the store."""
    queue = Queue(engine, store, Reporter(Console(quiet=True)), scratch)
    start = time.perf_counter()
    queue.answer(asked)
    seconds = time.perf_counter() - start
    found = [drawn[0][0] for one in asked for drawn in queue.completions(one.checkpoint, one.requests)]
    return Answered(seconds, [one.text for one in found], sum(one.num_output_tokens for one in found))


def scoring_seconds(
    config: Config, benchmarks: Sequence[Benchmark], who: Checkpoint, store: GenerationStore
) -> float:
    """What the rest of the evaluation takes, from finished completions to scored samples, after imports."""
    import lm_eval.evaluator  # noqa: F401
    import pandas as pd  # noqa: F401

    import leaderboards.results.tables  # noqa: F401

    start = time.perf_counter()
    Evaluator(config, benchmarks, store, Reporter(Console(quiet=True))).evaluate([who])
    return time.perf_counter() - start


def evaluate(told: dict[str, Any]) -> dict[str, Any]:
    """Answers the prompts; gives seconds, texts and number of tokens."""
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    work = Path(told["result"]).parent
    config, who = configuration(told, work), checkpoint(told)
    benchmarks = [load_benchmark(name) for name in told["benchmarks"]]
    asked = Questionnaire(config, benchmarks).ask(who, benchmarks)
    engine = LoadedEngine(config.eval.engine_settings)
    engine.load(who.weights.model_dir)
    warm_up(engine, asked)
    result: dict[str, Any] = {}
    if told["side"] == "vllm":
        answered = by_vllm(engine, asked)
    else:
        with GenerationStore(config.store_dir / "generations.sqlite") as store:
            answered = by_us(engine, asked, store, work)
            engine.close()
            result["scoring_seconds"] = scoring_seconds(config, benchmarks, who, store)
    return result | answered._asdict()


if __name__ == "__main__":
    answer(evaluate)

"""What `rerun_speed` has done in fresh processes: completions put into a store, and a run over that store."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.measure.children import answer
from harness import run
from harness.config import Config, load_config
from harness.engines.api import Completion, Request
from harness.engines.vllm import VllmEngine
from harness.evaluation.ask import Asked, Questionnaire
from harness.evaluation.generations import GenerationStore, Queue
from harness.external import External, external_checkpoints
from harness.models.checkpoint import Checkpoint
from harness.progress import Reporter
from tasks.benchmarks import Benchmark, load_benchmark
from tasks.errors import InputError
from tasks.records import Record
from tasks.tags import get_tag_format, render_response

TAGS = "thinking-answer"
_RIGHT, _WRONG, _UNTAGGED = 0.6, 0.85, 0.95
"""Shares of the outputs, added up: right, wrong, right without tags; the rest are cut off."""
_CUT = 40


class Scribe(VllmEngine):
    """Writes outputs as a model might, some right and some not, so that a store is filled without a model.

    The store cannot tell: it goes by the engine's name, version and dtype, which are vLLM's.

    Args:
        config: Of the run.
        responses: What may be said to each prompt: the right response, and a wrong one.
    """

    def __init__(self, config: Config, responses: dict[tuple[int, ...], tuple[str, str]]) -> None:
        super().__init__(config.eval.engine_settings)
        self._responses = responses
        self._num_loads = 0

    def load(self, model_dir: Path, adapters: Sequence[Path] = ()) -> None:
        """Nothing to load; but the next model writes otherwise."""
        self._num_loads += 1

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, tuple[Completion, ...]]]:
        """Answers in order; each checkpoint in its own way."""
        for index, request in enumerate(requests):
            assert not isinstance(request.prompt, str)
            seed = f"{self._num_loads} {request.adapter} {request.prompt}"
            yield index, (self._completion(request.prompt, seed),)

    def _completion(self, prompt: tuple[int, ...], seed: str) -> Completion:
        right, wrong = self._responses[prompt]
        at, text, reason = random.Random(seed).random(), right, "stop"
        if _RIGHT <= at < _WRONG:
            text = wrong
        elif _WRONG <= at < _UNTAGGED:
            text = right.partition("<Answer>")[2].removesuffix("</Answer>")
        elif at >= _UNTAGGED:
            text, reason = right[:_CUT], "length"
        return Completion(text, reason, len(prompt), max(1, len(text) // 4))


def responses(
    asked: Sequence[Asked], records: dict[str, list[Record]]
) -> dict[tuple[int, ...], tuple[str, str]]:
    """To each prompt the reference response, and the same with another question's answer."""
    found: dict[tuple[int, ...], tuple[str, str]] = {}
    for one in asked:
        own = records[one.benchmark.name]
        for place, (record, request) in enumerate(zip(own, one.requests, strict=True)):
            assert not isinstance(request.prompt, str)
            other = own[(place + 1) % len(own)].answer
            found[request.prompt] = (_response(record, record.answer), _response(record, other))
    return found


def _response(record: Record, answer: str) -> str:
    told = replace(record, answer=answer, rationale=record.rationale or record.question)
    return render_response(told, get_tag_format(TAGS)).text


def fill(config: Config, benchmarks: Sequence[Benchmark], wanted: Sequence[Checkpoint]) -> int:
    """Puts a completion into the store for every checkpoint and question; gives their number."""
    questions = Questionnaire(config, benchmarks)
    asked = [one for checkpoint in wanted for one in questions.ask(checkpoint, benchmarks)]
    records = {
        benchmark.name: benchmark.records("test", config.data_dir)[: config.limit] for benchmark in benchmarks
    }
    with GenerationStore(config.store_dir / "generations.sqlite") as store:
        engine = Scribe(config, responses(asked, records))
        Queue(engine, store, Reporter(Console(quiet=True)), config.out).answer(asked)
    return sum(len(one.requests) for one in asked)


def _import_the_rest() -> None:
    """What an evaluation imports on its way, all of it, also where nothing is left to be scored."""
    import datasets  # noqa: F401
    import lm_eval.evaluator  # noqa: F401
    import pandas  # noqa: F401
    import pyarrow.parquet  # noqa: F401
    import torch  # noqa: F401
    from transformers import AutoConfig, AutoTokenizer  # noqa: F401


def _refuse_engines() -> None:
    """A run that generates is none that is measured here."""

    def refuse(engine: VllmEngine, model_dir: Path, adapters: Sequence[Path] = ()) -> None:
        raise InputError(f"{model_dir}: the engine was started: the store lacks a completion")

    VllmEngine.load = refuse  # type: ignore[method-assign]


def configuration(told: dict[str, Any]) -> Config:
    """Configuration of the run."""
    flags = {
        "model": told["model"],
        "benchmarks": ",".join(told["benchmarks"]),
        "data_dir": told["data_dir"],
        "limit": told["limit"],
        "out": told["out"],
        "tags": TAGS,
        "eval.engine": "vllm",
    }
    return load_config(None, flags, [])


def rerun(told: dict[str, Any]) -> dict[str, Any]:
    """Fills the store or runs over it, as is told; gives the seconds of each part."""
    _import_the_rest()
    start = time.perf_counter()
    config = configuration(told)
    wanted = external_checkpoints(config, External(tuple(told["adapters"])))
    benchmarks = [load_benchmark(name) for name in told["benchmarks"]]
    looked = time.perf_counter()
    result: dict[str, Any] = {"intake": looked - start}
    if told["fill"]:
        result["num_samples"] = fill(config, benchmarks, wanted)
    else:
        _refuse_engines()
        run.evaluate_checkpoints(config, wanted, Reporter(Console(stderr=True)))
        result["seconds"] = time.perf_counter() - looked
    return result


if __name__ == "__main__":
    answer(rerun)

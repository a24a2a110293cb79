"""The `lm_eval` command on a model or one LoRA adapter, and what it leaves behind."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from benchmarks import ROOT
from benchmarks.lm_eval.environment import command
from benchmarks.measure.children import run_command
from benchmarks.measure.environments import has_cuda
from harness.engines.api import EngineSettings
from tasks.benchmarks import load_benchmark
from tasks.errors import InputError


class Key(NamedTuple):
    """Names a sample; the same question may stand in several benchmarks."""

    benchmark: str
    id: str


class Sample(NamedTuple):
    """What was asked, and what was answered."""

    prompt: str
    output: str


@dataclass(frozen=True)
class Question:
    """What both sides evaluate.

    Attributes:
        base: Folder of the base model.
        rank: Largest rank of the adapters.
        benchmarks: Names.
        limit: Samples of each benchmark.
        max_new_tokens: Token budget of a response; each benchmark's own where None.
        data_dir: Folder of benchmark data.
        tags: Tag format of the responses; that of the tasks where None.
    """

    base: Path
    rank: int
    benchmarks: tuple[str, ...]
    limit: int
    max_new_tokens: int | None
    data_dir: Path | None
    tags: str | None = None


@dataclass(frozen=True)
class Rival:
    """How lm-eval's command is run.

    Attributes:
        engine_process: vLLM's engine in a process of its own, as it is by default, rather than in lm-eval's.
    """

    engine_process: bool

    @property
    def name(self) -> str:
        """What the tables call it."""
        return f"lm_eval, engine in {'a process of its own' if self.engine_process else 'its process'}"

    def run(self, question: Question, adapter: Path | None, out: Path) -> float:
        """Evaluates one adapter, or the base where there is none; gives the seconds of the whole command.

        Raises:
            InputError: It failed.
        """
        environment = {
            "PYTHONPATH": str(ROOT),  # the benchmarks' YAMLs name functions in `tasks`
            "VLLM_ENABLE_V1_MULTIPROCESSING": str(int(self.engine_process)),
            "VLLM_NO_USAGE_STATS": "1",
        }
        return run_command(arguments(question, adapter, out), environment)


def arguments(question: Question, adapter: Path | None, out: Path) -> list[str]:
    """The command; the engine's options are those of our own engine."""
    names = [load_benchmark(name).task for name in question.benchmarks]
    known = {"data_dir": question.data_dir, "tags": question.tags}
    metadata = {name: str(value) for name, value in known.items() if value}
    budget = question.max_new_tokens
    return [
        *(command(), "run", "--model", "vllm", "--batch_size", "auto"),
        *("--model_args", ",".join(f"{key}={value}" for key, value in _model(question, adapter).items())),
        *("--include_path", str(ROOT / "tasks"), "--tasks", ",".join(names)),
        *("--limit", str(question.limit)),
        *(("--gen_kwargs", f"max_gen_toks={budget}") if budget else ()),
        *(("--metadata", json.dumps(metadata)) if metadata else ()),
        *("--output_path", str(out), "--log_samples"),
    ]


def _model(question: Question, adapter: Path | None) -> dict[str, object]:
    settings = EngineSettings()
    found: dict[str, object] = {
        "pretrained": question.base,
        **({"lora_local_path": adapter, "max_lora_rank": question.rank} if adapter else {}),
        "max_num_seqs": settings.max_num_seqs,
        "dtype": "bfloat16" if has_cuda() else "float32",
    }
    if not has_cuda():
        found["enforce_eager"] = True
        found["kv_cache_memory_bytes"] = int(settings.kv_cache_gib * 2**30)
    return found


def samples(out: Path) -> dict[Key, Sample]:
    """What lm-eval has written of its samples."""
    found = {}
    for path in out.glob("*/samples_*.jsonl"):
        for line in path.read_text(encoding="utf-8").splitlines():
            sample = json.loads(line)
            (asked,) = sample["arguments"].values()
            benchmark = path.name.removeprefix("samples_sftkey_").rpartition("_")[0]
            found[Key(benchmark, sample["doc"]["id"])] = Sample(asked["arg_0"], sample["resps"][0][0])
    return found


def fastest(question: Question, adapter: Path, work: Path, limit: int) -> tuple[Rival, dict[str, float]]:
    """Which way of running lm-eval does a few samples in the least time, and the seconds of each."""
    few = replace(question, limit=min(limit, question.limit))
    seconds = {
        rival: rival.run(few, adapter, work / f"trial-{rival.engine_process}")
        for rival in (Rival(False), Rival(True))
    }
    return min(seconds, key=lambda rival: seconds[rival]), {r.name: value for r, value in seconds.items()}


def check_same_questions(ours: dict[Key, Sample], theirs: dict[Key, Sample]) -> None:
    """Refuses to compare two sides that were not asked the same.

    Raises:
        InputError: A question or a prompt is another one.
    """
    if ours.keys() != theirs.keys():
        raise InputError(f"the sides were asked {len(ours)} and {len(theirs)} questions, not the same ones")
    other = next((key for key in ours if ours[key].prompt != theirs[key].prompt), None)
    if other is not None:
        raise InputError(f"{other.benchmark} {other.id}: the sides were not asked the same prompt")

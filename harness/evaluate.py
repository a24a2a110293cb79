"""Checkpoints through lm-eval: our LM answers from the generation store, an engine makes what is missing."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.config import Config
from harness.engines import Completion, Engine, Sampling, choose_engine, create_engine
from harness.generations import GenerationStore, generation_key
from harness.intake import Checkpoint, merged
from harness.progress import Reporter
from leaderboards.results import Entry, Evaluation, Role, SampleRow, TrainingCost
from sftkey_train.text import TextPath
from tasks.benchmarks import TASKS_DIR, Benchmark
from tasks.errors import InputError
from tasks.records import Record, records_digest
from tasks.scoring import Output, SampleScore
from tasks.tags import get_tag_format

if TYPE_CHECKING:
    from lm_eval.api.instance import Instance


@dataclass(frozen=True)
class Candidate:
    """A checkpoint to evaluate, and what the leaderboard says of it."""

    name: str
    role: Role
    model: str
    seed: int | None
    tags: str
    method: str | None
    shown_path: str
    checkpoint: Checkpoint
    training: TrainingCost | None = None


class Evaluator:
    """Evaluates candidates one after another with one engine, which starts only when something is missing.

    Args:
        config: What to evaluate on, and how.
        benchmarks: Resolved from the configuration.
        store: Where completions are kept.
        reporter: Shows progress.
    """

    def __init__(
        self, config: Config, benchmarks: Sequence[Benchmark], store: GenerationStore, reporter: Reporter
    ) -> None:
        self._config = config
        self._benchmarks = benchmarks
        self._store = store
        self._reporter = reporter
        self._tasks: dict[str, Any] = {}
        self.max_model_len = config.eval.engine_settings.max_model_len
        self.engine: Engine = create_engine(choose_engine(config.eval.engine), config.eval.engine_settings)

    def evaluate(self, candidate: Candidate) -> tuple[Entry, list[SampleRow]]:
        """Generates what the store lacks and scores everything with lm-eval.

        Raises:
            InputError: The checkpoint cannot be loaded, or a prompt does not fit its context.
        """
        _quiet()
        from lm_eval.evaluator import evaluate

        from sftkey_train.model import load_tokenizer

        path = TextPath.of(load_tokenizer(str(candidate.checkpoint.model_dir)), self._config.prompt_style)
        tasks = self._load_tasks(candidate.tags)
        scratch = self._config.store_dir / "merged"
        with merged(candidate.checkpoint, scratch) as model_dir:
            lm = _make_lm(_Generator(self, candidate, path, model_dir))
            results = evaluate(
                lm,
                tasks,
                limit=self._config.limit,
                bootstrap_iters=0,
                apply_chat_template=path.style == "chat",
                fewshot_as_multiturn=True,
            )
        evaluations, rows = [], []
        for benchmark in self._benchmarks:
            samples = sorted(results["samples"][benchmark.task], key=lambda sample: sample["doc_id"])
            rows += [self._row(candidate, benchmark, sample) for sample in samples]
            evaluations.append(self._evaluation(benchmark, samples))
        return _entry(candidate, tuple(evaluations)), rows

    def _load_tasks(self, tags: str) -> Any:
        """lm-eval's tasks for a tag format; the heavy part is done once."""
        if tags not in self._tasks:
            from lm_eval.tasks import TaskManager

            config = self._config
            metadata = {
                "tags": tags,
                "data_dir": str(config.data_dir) if config.data_dir else None,
                "alpha": config.alpha,
                "instruct": config.eval.instruct,
                "split": config.eval.split,
            }
            manager = TaskManager(include_path=str(TASKS_DIR), include_defaults=False, metadata=metadata)
            self._tasks[tags] = manager.load([benchmark.task for benchmark in self._benchmarks])
        return self._tasks[tags]

    def sampling(self, kwargs: dict[str, Any], path: TextPath) -> Sampling:
        """A task's generation_kwargs as sampling parameters, the configuration's own values first."""
        own = self._config.eval
        return Sampling(
            max_new_tokens=own.max_new_tokens or int(kwargs["max_gen_toks"]),
            stop=(*kwargs.get("until", ()), *path.stop_strings),
            stop_ids=path.stop_ids,
            temperature=own.temperature,
            top_p=own.top_p,
        )

    def _row(self, candidate: Candidate, benchmark: Benchmark, sample: dict[str, Any]) -> SampleRow:
        doc, output = sample["doc"], sample["resps"][0][0]
        score: SampleScore = output.score
        completion: Completion = output.completion
        return SampleRow(
            entry=candidate.name,
            model=candidate.model,
            seed=candidate.seed,
            benchmark=benchmark.name,
            sample_id=str(doc["id"]),
            prompt=str(sample["arguments"][0][0]),
            output=str(output),
            gold=str(doc["answer"]),
            extracted=score.extracted,
            accuracy=score.accuracy,
            accuracy_strict=score.accuracy_strict,
            format_valid=score.format_valid,
            score=score.score,
            truncated=score.truncated,
            defects=score.defects,
            finish_reason=completion.finish_reason,
            prompt_tokens=completion.num_prompt_tokens,
            output_tokens=completion.num_output_tokens,
        )

    def _evaluation(self, benchmark: Benchmark, samples: list[dict[str, Any]]) -> Evaluation:
        outputs = [sample["resps"][0][0] for sample in samples]
        records = [
            Record(doc["id"], doc["question"], tuple(doc["choices"] or ()), None, doc["answer"], doc["kind"])
            for doc in (sample["doc"] for sample in samples)
        ]
        sampling: Sampling = outputs[0].sampling
        return Evaluation(
            benchmark=benchmark.name,
            n=len(samples),
            data_digest=records_digest(records),
            engine=f"{self.engine.name} ({self.engine.version})",
            dtype=self.engine.dtype,
            prompt_tokens=sum(output.completion.num_prompt_tokens for output in outputs),
            output_tokens=sum(output.completion.num_output_tokens for output in outputs),
            wall_seconds=round(sum(output.wall_seconds for output in outputs), 3),
            generation={
                "max_new_tokens": sampling.max_new_tokens,
                "stop": sampling.stop,
                "temperature": sampling.temperature,
                "top_p": sampling.top_p,
                "instruct": self._config.eval.instruct,
                "split": self._config.eval.split,
            },
        )

    def complete(
        self,
        candidate: Candidate,
        model_dir: Callable[[], Path],
        wanted: Sequence[tuple[list[int], Sampling]],
    ) -> list[tuple[Completion, float]]:
        """Completions in the order asked for, each with the wall seconds that it took when it was made.

        What takes time between two completions counts to the later one, so that their sum is the time spent.
        """
        keys = [
            generation_key(
                candidate.checkpoint.digest,
                ids,
                sampling,
                0,
                self.engine.name,
                self.engine.version,
                self.engine.dtype,
            )
            for ids, sampling in wanted
        ]
        found = self._store.get(keys)
        missing = list({key: i for i, key in enumerate(keys) if key not in found}.items())
        label = candidate.name if candidate.seed is None else f"{candidate.name} · seed {candidate.seed}"
        with self._reporter.evaluation(label, len(set(keys)), len(set(keys)) - len(missing)) as progress:
            if missing:
                self.engine.load(model_dir())
                last = time.perf_counter()
                prompts, how = [wanted[i][0] for _, i in missing], [wanted[i][1] for _, i in missing]
                for index, completion in self.engine.generate(prompts, how):
                    now = time.perf_counter()
                    key = missing[index][0]
                    self._store.put(key, completion, now - last)
                    found[key] = completion, now - last
                    last = now
                    progress.advance(completion.num_output_tokens)
        return [found[key] for key in keys]


class _Answer(Output):
    """An output with everything the engine said about it, which lm-eval hands back untouched."""

    completion: Completion
    sampling: Sampling
    wall_seconds: float

    @classmethod
    def of(cls, completion: Completion, sampling: Sampling, wall_seconds: float) -> _Answer:
        answer = cls(completion.text, completion.finish_reason)
        answer.completion, answer.sampling, answer.wall_seconds = completion, sampling, wall_seconds
        return answer


@dataclass(frozen=True)
class _Generator:
    """What lm-eval's LM needs of us; apart from it, so that lm-eval is imported only where it is used."""

    evaluator: Evaluator
    candidate: Candidate
    path: TextPath
    model_dir: Callable[[], Path]

    def generate_until(self, requests: Sequence[Instance]) -> list[str]:
        samplings = [self.evaluator.sampling(request.args[1], self.path) for request in requests]
        prompts = self.path.ids([request.args[0] for request in requests])
        self._check_length(prompts, samplings)
        wanted = list(zip(prompts, samplings, strict=True))
        completions = self.evaluator.complete(self.candidate, self.model_dir, wanted)
        return [
            _Answer.of(completion, how, seconds)
            for (completion, seconds), how in zip(completions, samplings, strict=True)
        ]

    def _check_length(self, prompts: Sequence[list[int]], samplings: Sequence[Sampling]) -> None:
        import json

        config = json.loads((self.candidate.checkpoint.model_dir / "config.json").read_text("utf-8"))
        limit = config.get("max_position_embeddings") or config.get("n_positions")
        limit = min(filter(None, (limit, self.evaluator.max_model_len)), default=None)
        longest = max(len(ids) + how.max_new_tokens for ids, how in zip(prompts, samplings, strict=True))
        if limit and longest > limit:
            raise InputError(
                f"{self.candidate.shown_path}: its context of {limit} tokens is too short for a prompt and "
                f"response of {longest}; lower eval.max_new_tokens or leave the benchmark out"
            )


def _make_lm(generator: _Generator) -> Any:
    from lm_eval.api.model import LM

    class StoreLM(LM):
        """Answers `generate_until`; the tagged benchmarks ask for nothing else."""

        tokenizer_name = generator.candidate.shown_path

        def generate_until(self, requests: list[Instance]) -> list[str]:
            return generator.generate_until(requests)

        def apply_chat_template(
            self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True
        ) -> str:
            return generator.path.render(chat_history, add_generation_prompt)

        def loglikelihood(self, requests: list[Instance]) -> list[tuple[float, bool]]:
            raise InputError(
                "this harness evaluates generated responses; a benchmark asks for log-likelihoods"
            )

        def loglikelihood_rolling(self, requests: list[Instance]) -> list[float]:
            raise InputError(
                "this harness evaluates generated responses; a benchmark asks for log-likelihoods"
            )

    return StoreLM()


def _entry(candidate: Candidate, evaluations: tuple[Evaluation, ...]) -> Entry:
    return Entry(
        name=candidate.name,
        model=candidate.model,
        role=candidate.role,
        seed=candidate.seed,
        tags=candidate.tags,
        tagged=get_tag_format(candidate.tags).tagged,
        method=candidate.method,
        checkpoint=candidate.shown_path,
        digest=candidate.checkpoint.digest,
        training=candidate.training,
        evaluations=evaluations,
    )


def _quiet() -> None:
    """lm-eval and datasets speak of every step; the reporter does that here."""
    import logging

    for name in ("lm_eval", "lm-eval", "datasets"):
        logging.getLogger(name).setLevel(logging.ERROR)

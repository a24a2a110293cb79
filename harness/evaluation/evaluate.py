"""Checkpoints through lm-eval: one engine answers everything first, then lm-eval scores from the store."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from harness.config import Config
from harness.engines import Completion, Engine, choose_engine, create_engine
from harness.evaluation.ask import Asked, Prompts, Questionnaire, check_prompt_parity
from harness.evaluation.evaluations import EvaluationStore, evaluation_key
from harness.evaluation.generations import GenerationStore
from harness.evaluation.lm import Answer, store_lm
from harness.evaluation.queue import Queue
from harness.models import Checkpoint, check_context
from harness.progress import Reporter
from leaderboards.results.schema import Entry, Evaluation, Sample
from sftkey_train.text import TextPath
from tasks.benchmarks import Benchmark
from tasks.errors import InputError
from tasks.records import Record, records_digest
from tasks.scoring import Score, reference_answer, scorer_digest
from tasks.tags import get_tag_format, opens_reasoning

if TYPE_CHECKING:
    import pandas as pd
    from lm_eval.api.instance import Instance


class Evaluator:
    """Evaluates checkpoints on benchmarks with one engine, which starts only when something is missing.

    Args:
        config: What to evaluate on, and how.
        benchmarks: Resolved from the configuration.
        generations: Where completions are kept.
        reporter: Shows progress.
    """

    def __init__(
        self,
        config: Config,
        benchmarks: Sequence[Benchmark],
        generations: GenerationStore,
        reporter: Reporter,
    ) -> None:
        self._config = config
        self._benchmarks = benchmarks
        self._reporter = reporter
        self.questions = Questionnaire(config, benchmarks)
        self._records: dict[str, list[Record]] = {}
        self._digests: dict[str, str] = {}
        self._prompts: dict[str, Prompts] = {}
        self._checked: set[tuple[str, str]] = set()
        self._evaluations = EvaluationStore(config.store_dir / "evaluations")
        self.engine: Engine = create_engine(
            choose_engine(config.eval.engine), config.eval.engine_settings, config.eval.server
        )
        self._queue = Queue(self.engine, generations, reporter, config.store_dir / "merged")

    def evaluate(self, checkpoints: Sequence[Checkpoint]) -> list[tuple[Entry, pd.DataFrame]]:
        """Evaluates all checkpoints; what an earlier run has evaluated is read back.

        Raises:
            InputError: A checkpoint cannot be loaded, or a prompt does not fit its context.
        """
        import pandas as pd

        cells = [
            self._cell(checkpoint, benchmark) for checkpoint in checkpoints for benchmark in self._benchmarks
        ]
        todo = [cell for cell in cells if cell.evaluation is None]
        if len(todo) < len(cells):
            self._reporter.line(f"  {len(cells) - len(todo)} of {len(cells)} evaluations are in the store")
        if todo:
            self._make(todo)
        found = []
        for checkpoint in checkpoints:
            own = [cell for cell in cells if cell.checkpoint is checkpoint]
            entry = checkpoint.entry(tuple(cell.evaluation for cell in own if cell.evaluation))
            found.append((entry, pd.concat([cell.samples for cell in own], ignore_index=True)))
        return found

    def records(self, benchmark: Benchmark) -> list[Record]:
        """The questions of a benchmark that are asked.

        Raises:
            InputError: There are none.
        """
        if benchmark.name not in self._records:
            config = self._config
            records = benchmark.iter_records(config.eval.split, config.data_dir)
            self._records[benchmark.name] = list(islice(records, config.limit))
        if not self._records[benchmark.name]:
            raise InputError(f"benchmark '{benchmark.name}': its {self._config.eval.split} split is empty")
        return self._records[benchmark.name]

    def _digest(self, benchmark: Benchmark) -> str:
        if benchmark.name not in self._digests:
            self._digests[benchmark.name] = records_digest(self.records(benchmark))
        return self._digests[benchmark.name]

    def _cell(self, checkpoint: Checkpoint, benchmark: Benchmark) -> _Cell:
        """A checkpoint on a benchmark, with what an earlier run has found."""
        prompts = self._prompts_of(checkpoint)
        kwargs = {"max_gen_toks": benchmark.max_new_tokens, "until": benchmark.stop}
        sampling = self.questions.sampling(kwargs, prompts)
        data = (self._digest(benchmark), self.records(benchmark)[0])
        key = evaluation_key(checkpoint, benchmark, data, prompts, sampling, self.engine, self._config)
        evaluation, samples = self._evaluations.get(key, checkpoint) or (None, None)
        return _Cell(checkpoint, benchmark, key, evaluation, samples)

    def _prompts_of(self, checkpoint: Checkpoint) -> Prompts:
        digest = checkpoint.weights.digest
        if digest not in self._prompts:
            self._prompts[digest] = self.questions.prompts(checkpoint)
        return self._prompts[digest]

    def _make(self, cells: Sequence[_Cell]) -> None:
        """Answers and scores what no earlier run has."""
        _quiet()
        of_checkpoint: dict[int, list[_Cell]] = {}
        for cell in cells:
            of_checkpoint.setdefault(id(cell.checkpoint), []).append(cell)
        asked = []
        for own in of_checkpoint.values():
            checkpoint = own[0].checkpoint
            self._check_parity(checkpoint)
            some = self.questions.ask(checkpoint, [cell.benchmark for cell in own])
            self._check_context(checkpoint, some)
            asked += some
        self._queue.answer(asked)
        self.engine.close()
        for own in of_checkpoint.values():
            self._score(own)

    def _check_parity(self, checkpoint: Checkpoint) -> None:
        """What was trained here is asked in the tokens that it was trained on."""
        own, path = self._config.eval, self._prompts_of(checkpoint)
        if checkpoint.role != "trained" or own.num_fewshot or own.instruct or not isinstance(path, TextPath):
            return
        way = (checkpoint.tags, path.digest())
        if way not in self._checked:
            tasks, tag_format = self.questions.tasks(checkpoint.tags), get_tag_format(checkpoint.tags)
            for benchmark in self._benchmarks:
                check_prompt_parity(benchmark, tasks[benchmark.task], path, tag_format, self._config.data_dir)
            self._checked.add(way)

    def _check_context(self, checkpoint: Checkpoint, asked: Sequence[Asked]) -> None:
        """Prompt and response must have room; a server looks after that itself."""
        if checkpoint.served:
            return
        longest = max(
            len(request.prompt) + request.sampling.max_new_tokens for one in asked for request in one.requests
        )
        limit = self._config.eval.engine_settings.max_model_len
        check_context(checkpoint.weights.model_dir, longest, limit)

    def _score(self, cells: Sequence[_Cell]) -> None:
        """Has lm-eval score a checkpoint's answers, and keeps what it finds."""
        from lm_eval.evaluator import evaluate

        from leaderboards.results.sample_table import SAMPLES

        checkpoint = cells[0].checkpoint
        prompts = self._prompts_of(checkpoint)
        tasks = self.questions.tasks(checkpoint.tags)
        results = evaluate(
            store_lm(checkpoint.shown_path, prompts, lambda asked: self._answers(checkpoint, prompts, asked)),
            {"tasks": {cell.benchmark.task: tasks[cell.benchmark.task] for cell in cells}},
            limit=self._config.limit,
            bootstrap_iters=0,
            apply_chat_template=prompts.style == "chat",
            fewshot_as_multiturn=True,
        )
        for cell in cells:
            samples = sorted(results["samples"][cell.benchmark.task], key=lambda sample: sample["doc_id"])
            rows = [row for sample in samples for row in _rows(checkpoint, cell.benchmark, sample)]
            cell.evaluation, cell.samples = self._evaluation(cell.benchmark, samples), SAMPLES.to_frame(rows)
            self._evaluations.put(cell.key, checkpoint, cell.evaluation, cell.samples)

    def _answers(
        self, checkpoint: Checkpoint, prompts: Prompts, instances: Sequence[Instance]
    ) -> list[list[Answer]]:
        requests = self.questions.requests(instances, prompts)
        completions = self._queue.completions(checkpoint, requests)
        tag_format = get_tag_format(checkpoint.tags)
        answers = []
        for instance, request, drawn in zip(instances, requests, completions, strict=True):
            opened = opens_reasoning(instance.args[0], tag_format)
            answers.append([Answer.of(one, request.sampling, seconds, opened) for one, seconds in drawn])
        return answers

    def _evaluation(self, benchmark: Benchmark, samples: list[dict[str, Any]]) -> Evaluation:
        answers = [sample["resps"][0] for sample in samples]
        drawn = [answer for some in answers for answer in some]
        own, sampling = self._config.eval, drawn[0].sampling
        return Evaluation(
            benchmark=benchmark.name,
            n=len(samples),
            data_digest=self._digest(benchmark),
            engine=f"{self.engine.name} ({self.engine.version})",
            dtype=self.engine.dtype,
            prompt_tokens=sum(some[0].completion.num_prompt_tokens for some in answers),
            output_tokens=sum(answer.completion.num_output_tokens for answer in drawn),
            wall_seconds=round(sum(answer.wall_seconds for answer in drawn), 3),
            generation={
                "max_new_tokens": sampling.max_new_tokens,
                "stop": sampling.stop,
                "temperature": sampling.temperature,
                "top_p": sampling.top_p,
                "seed": sampling.seed if sampling.temperature else None,
                "num_fewshot": own.num_fewshot,
                "instruct": own.instruct,
                "split": own.split,
            },
            kind=benchmark.kind,
            num_samples=sampling.n,
            scorer=scorer_digest(),
            prompts=_texts_digest(str(sample["arguments"][0][0]) for sample in samples),
        )


@dataclass(eq=False)
class _Cell:
    """A checkpoint on a benchmark: to be evaluated, or evaluated."""

    checkpoint: Checkpoint
    benchmark: Benchmark
    key: str
    evaluation: Evaluation | None
    samples: pd.DataFrame | None


def _rows(checkpoint: Checkpoint, benchmark: Benchmark, sample: dict[str, Any]) -> Iterator[Sample]:
    doc = sample["doc"]
    for index, answer in enumerate(sample["resps"][0]):
        score: Score = answer.score
        completion: Completion = answer.completion
        yield Sample(
            entry=checkpoint.name,
            model=checkpoint.model,
            seed=checkpoint.seed,
            benchmark=benchmark.name,
            sample_id=str(doc["id"]),
            sample_index=index,
            prompt=str(sample["arguments"][0][0]),
            output=str(answer),
            gold=str(doc["answer"]),
            choices=tuple(doc["choices"]) if doc["choices"] else None,
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
            thinking_chars=score.thinking_chars,
            gold_chars=len(reference_answer(str(doc["answer"]))),
        )


def _texts_digest(texts: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()[:12]


def _quiet() -> None:
    """lm-eval and datasets speak of every step; the reporter does that here."""
    import logging

    for name in ("lm_eval", "lm-eval", "datasets"):
        logging.getLogger(name).setLevel(logging.ERROR)

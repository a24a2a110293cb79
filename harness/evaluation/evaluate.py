"""Checkpoints on benchmarks: one engine answers everything first, then all is judged and stored."""

from __future__ import annotations

import hashlib
import logging
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from harness.config import Config, dump_config
from harness.engines.api import Completion, Engine, Sampling
from harness.engines.registry import choose_engine, create_engine
from harness.evaluation.ask import Asked, Prompts, Questionnaire, check_prompt_parity
from harness.evaluation.evaluations import EvaluationStore, evaluation_key, sample_of
from harness.evaluation.generations import GenerationStore, Queue
from harness.evaluation.key import NOT_MEASURED, Key, Keys
from harness.evaluation.lm import about_the_run, evaluate_task, save_report, write_lm_eval_files
from harness.files import EVALUATIONS
from harness.models.architecture import check_context
from harness.models.checkpoint import Checkpoint
from harness.progress import Reporter
from harness.provenance import provenance
from leaderboards.results.schema import Entry, Evaluation
from sftkey_train.text import TextPath
from tasks.benchmarks import Benchmark
from tasks.errors import InputError
from tasks.lm_eval_task import LazySplits
from tasks.records import Record, records_digest
from tasks.scoring import Item, Score, metrics, score_many, scorer_digest
from tasks.tags import get_tag_format

if TYPE_CHECKING:
    import pandas as pd
    from lm_eval.api.instance import Instance


class Evaluator:
    """Evaluates checkpoints on benchmarks with one engine, which starts only when something is missing."""

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
        self._digests: dict[tuple[str, str], str] = {}
        self._prompts: dict[str, Prompts] = {}
        self._checked: set[tuple[str, str]] = set()
        self._cells: list[_Cell] = []
        self._evaluations = EvaluationStore(config.store_dir / EVALUATIONS)
        self.engine: Engine = create_engine(
            choose_engine(config.eval.engine), config.eval.engine_settings, config.eval.server
        )
        self._queue = Queue(self.engine, generations, reporter, config.store_dir / "merged")
        self._keys = Keys(self._queue, self.records, self._prompts_of) if config.eval.key else None

    def evaluate(self, checkpoints: Sequence[Checkpoint]) -> list[tuple[Entry, pd.DataFrame]]:
        """Evaluates all checkpoints; what an earlier run has evaluated is read back.

        InputError where a checkpoint cannot be loaded, or a prompt does not fit its context.
        """
        import pandas as pd

        cells = [self._cell(one, benchmark) for one in checkpoints for benchmark in self._benchmarks]
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
        self._cells = cells
        return found

    def write_lm_eval_files(self, run_dir: Path) -> list[Path]:
        """Puts lm-eval's own files of what `evaluate` has evaluated under `RUN/lm-eval`.

        Returns the results file of each checkpoint; InputError where they cannot be written.
        """
        several = len({cell.checkpoint.model for cell in self._cells}) > 1
        folders: dict[str, list[Path]] = {}
        named: dict[str, Checkpoint] = {}
        for cell in self._cells:
            own = cell.checkpoint
            name = own.name if own.seed is None else f"{own.name}-seed{own.seed}"
            name = f"{own.model}/{name}" if several else name
            if named.setdefault(name, own) is not own:  # "a" of seed 1 beside one that is called "a-seed1"
                named[name := f"{name} ({own.weights.digest[:8]})"] = own
            folders.setdefault(name, []).append(self._evaluations.lm_eval_folder(cell.key))
        return write_lm_eval_files(run_dir, folders)

    def records(self, benchmark: Benchmark) -> list[Record]:
        """The questions of a benchmark that are asked; InputError where there are none."""
        if benchmark.name not in self._records:
            config = self._config
            records = benchmark.iter_records(config.eval.split, config.data_dir)
            self._records[benchmark.name] = list(islice(records, config.limit))
        if not self._records[benchmark.name]:
            raise InputError(f"benchmark '{benchmark.name}': its {self._config.eval.split} split is empty")
        return self._records[benchmark.name]

    @cached_property
    def _provenance(self) -> Mapping[str, str]:
        return provenance(dump_config(self._config))

    def _digest(self, benchmark: Benchmark) -> str:
        key = benchmark.name, ""
        if key not in self._digests:
            self._digests[key] = records_digest(self.records(benchmark))
        return self._digests[key]

    def _digest_of_examples(self, benchmark: Benchmark, tags: str) -> str:
        own, data_dir, key = self._config.eval, self._config.data_dir, (benchmark.name, tags)
        if own.num_fewshot and key not in self._digests:
            tag_format = get_tag_format(tags)
            splits = LazySplits(benchmark.data, benchmark.kind, data_dir, tag_format, {}, own.split)
            asked = (record.question for record in benchmark.iter_records(own.split, data_dir))
            self._digests[key] = records_digest(splits.examples(asked))
        return self._digests[key] if own.num_fewshot else ""

    def _cell(self, checkpoint: Checkpoint, benchmark: Benchmark) -> _Cell:
        """A checkpoint on a benchmark, with what an earlier run has found."""
        prompts = self._prompts_of(checkpoint)
        kwargs = {"max_gen_toks": benchmark.max_new_tokens, "until": benchmark.stop}
        sampling = self.questions.sampling(kwargs, prompts)
        data = (self._digest(benchmark), self._digest_of_examples(benchmark, checkpoint.tags))
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
        for name in ("lm_eval", "lm-eval", "datasets"):  # of what these say, the reporter says enough
            logging.getLogger(name).setLevel(logging.ERROR)
        asked = []
        for checkpoint, own in groupby(cells, key=lambda cell: cell.checkpoint):
            self._check_parity(checkpoint)
            some = self.questions.ask(checkpoint, [cell.benchmark for cell in own])
            asked += some
            if not checkpoint.served:  # a server looks after its context itself
                requests = [request for one in some for request in one.requests]
                longest = max(len(one.prompt) + one.sampling.max_new_tokens for one in requests)
                limit = self._config.eval.engine_settings.max_model_len
                check_context(checkpoint.weights.model_dir, longest, limit)
        self._queue.answer([*asked, *map(self._keys.gold, asked)] if self._keys else asked)
        if self._keys:
            self._queue.answer([*map(self._keys.own, asked)])
        self.engine.close()  # its memory is the scorers' now
        for cell, answered in zip(cells, self._judged(asked), strict=True):
            self._keep(cell, answered)

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

    def _judged(self, asked: Sequence[Asked]) -> Iterator[list[_Answered]]:
        """All that was asked with its completions and verdicts; one crew of processes judges ahead."""
        waiting: deque[list[list[tuple[Completion, float]]]] = deque()
        alpha = self._config.alpha

        def items() -> Iterator[Item]:
            for one in asked:
                drawn = self._queue.completions(one.checkpoint, one.requests)
                waiting.append(drawn)
                tag_format, records = get_tag_format(one.checkpoint.tags), self.records(one.benchmark)
                for record, prompt, some in zip(records, one.prompts, drawn, strict=True):
                    for completion, _ in some:
                        cut = completion.finish_reason == "length"
                        yield Item.of(
                            record, completion.text, tag_format, truncated=cut, alpha=alpha, prompt=prompt
                        )
                if self._keys:
                    yield from self._keys.items(one, alpha)

        scores = score_many(items())
        for one in asked:
            found = list(islice(scores, sum(request.sampling.n for request in one.requests)))
            verdicts, records = iter(found), self.records(one.benchmark)
            keys = self._keys.found(one, scores) if self._keys else [NOT_MEASURED] * len(records)
            answered = zip(records, one.prompts, one.requests, waiting.popleft(), keys, strict=True)
            yield [
                _Answered(
                    record, prompt, request.sampling, tuple((*drawn, next(verdicts)) for drawn in some), key
                )
                for record, prompt, request, some, key in answered
            ]

    def _keep(self, cell: _Cell, answered: Sequence[_Answered]) -> None:
        """Has lm-eval aggregate a checkpoint's judged answers on a benchmark, and keeps all of it."""
        from leaderboards.results.tables import SAMPLES

        checkpoint, benchmark, limit = cell.checkpoint, cell.benchmark, self._config.limit
        prompts = self._prompts_of(checkpoint)

        def answer(instances: Sequence[Instance]) -> tuple[list[list[str]], dict[str, dict[str, float]]]:
            asked = [(instance, answered[instance.doc_id]) for instance in instances]
            if any(instance.args[0] != one.prompt for instance, one in asked):
                raise LookupError(f"{checkpoint.label}: lm-eval asks other prompts than were answered")
            texts = [[completion.text for completion, _, _ in one.drawn] for _, one in asked]
            return texts, {one.record.id: metrics(*(score for *_, score in one.drawn)) for one in answered}

        task = self.questions.tasks(checkpoint.tags)[benchmark.task]
        report = evaluate_task(task, prompts, limit, answer)
        evaluation = cell.evaluation = self._evaluation(benchmark, answered, prompts)
        cell.samples = SAMPLES.to_frame(
            sample_of(checkpoint, benchmark, one.record, one.prompt, index, completion, score, one.key)
            for one in answered
            for index, (completion, _, score) in enumerate(one.drawn)
        )
        about = about_the_run(checkpoint, evaluation, limit, self._provenance)
        self._evaluations.put(
            cell.key, checkpoint, evaluation, cell.samples,
            lambda folder: save_report(folder, report, about, prompts, evaluation.wall_seconds),
        )  # fmt: skip

    def _evaluation(
        self, benchmark: Benchmark, answered: Sequence[_Answered], prompts: Prompts
    ) -> Evaluation:
        drawn = [one for some in answered for one in some.drawn]
        own, sampling = self._config.eval, answered[0].sampling
        dated = prompts.dated if isinstance(prompts, TextPath) else None
        digest = hashlib.sha256()
        for some in answered:
            digest.update(some.prompt.encode("utf-8", "surrogatepass") + b"\0")
        return Evaluation(
            benchmark=benchmark.name,
            n=len(answered),
            data_digest=self._digest(benchmark),
            engine=f"{self.engine.name} ({self.engine.version})",
            dtype=self.engine.dtype,
            prompt_tokens=sum(some.drawn[0][0].num_prompt_tokens for some in answered),
            output_tokens=sum(completion.num_output_tokens for completion, _, _ in drawn),
            wall_seconds=round(sum(seconds for _, seconds, _ in drawn), 3),
            generation={
                "max_new_tokens": sampling.max_new_tokens,
                "stop": sampling.stop,
                "temperature": sampling.temperature,
                "top_p": sampling.top_p,
                "seed": sampling.seed if sampling.temperature else None,
                "num_fewshot": own.num_fewshot,
                "instruct": own.instruct,
                "split": own.split,
                **({"prompt_date": dated} if dated else {}),
            },
            kind=benchmark.kind,
            num_samples=sampling.n,
            scorer=scorer_digest(),
            prompts=digest.hexdigest()[:12],
        )


@dataclass(eq=False)
class _Cell:
    """A checkpoint on a benchmark: to be evaluated, or evaluated."""

    checkpoint: Checkpoint
    benchmark: Benchmark
    key: str
    evaluation: Evaluation | None
    samples: pd.DataFrame | None


class _Answered(NamedTuple):
    """A question with all that was drawn for it: completion, wall seconds, verdict."""

    record: Record
    prompt: str
    sampling: Sampling
    drawn: tuple[tuple[Completion, float, Score], ...]
    key: Key

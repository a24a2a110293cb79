"""Finished evaluations: how a judged output becomes the one `Sample`, and where evaluations are kept.

The store holds one checkpoint on one benchmark under the key of all that decides it. With it a rerun of a
finished run reads tables and nothing else: no engine, no lm-eval, no scoring. Samples are made here alone,
for judging a stored run again gives the same fields new values.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.config import Config
from harness.engines.api import Completion, Engine, Sampling
from harness.evaluation.ask import Prompts
from harness.evaluation.key import Key
from harness.evaluation.lm import FOLDER as LM_EVAL_FOLDER
from harness.models.checkpoint import Checkpoint
from harness.provenance import package_versions
from leaderboards.results.schema import Evaluation, Sample
from leaderboards.results.store import read_results, write_results
from tasks.benchmarks import Benchmark
from tasks.files import remove
from tasks.leases import lease
from tasks.records import Kind, Record
from tasks.scoring import DEFAULT_ALPHA, Item, Score, reference_answer, scorer_digest
from tasks.seals import content_digest, is_whole, kept, lock_of, whole_folder
from tasks.tags import TagFormat, get_tag_format, opens_reasoning

if TYPE_CHECKING:
    import pandas as pd

_STEP = re.compile(r"\d+(?: [+-] \d+)? [<=>] \d+(?:, so \w)?")
"""A calculation in the reasoning of a generated benchmark: `12 + 7 = 19`, `3 < 5, so B`."""


def evaluation_key(
    checkpoint: Checkpoint,
    benchmark: Benchmark,
    data: tuple[str, str],  # digests of the questions, and of the examples that may stand before them
    prompts: Prompts,
    sampling: Sampling,
    engine: Engine,
    config: Config,
) -> str:
    """Content address of a checkpoint's scored samples on a benchmark.

    Prompts are in it by all that is read to write them, since to write them takes longer than a whole rerun:
    records, examples, the task's YAML, the code that words them, tokenizer and chat template.
    """
    turns = [{"role": role, "content": role} for role in ("user", "assistant", "user")]
    multiturn = prompts.style == "chat" and config.eval.num_fewshot
    content = [
        checkpoint.weights.digest,
        benchmark.task,
        benchmark.kind,
        data,
        benchmark.wording_digest(),
        get_tag_format(checkpoint.tags).digest(),
        config.eval.instruct,
        prompts.digest(),
        prompts.render(turns, True) if multiturn else None,
        asdict(sampling),
        config.eval.num_fewshot,
        config.eval.split,
        config.eval.key,
        config.alpha,
        [engine.name, engine.version, engine.dtype],
        scorer_digest(),  # and of the wording of questions and responses
        package_versions().get("lm-eval"),
        _STEP.pattern,
    ]
    return content_digest(content)


class EvaluationStore:
    """Finished evaluations on disk, a folder each: samples, figures, and lm-eval's own files of it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def get(self, key: str, checkpoint: Checkpoint) -> tuple[Evaluation, pd.DataFrame] | None:
        """An evaluation and its samples under a checkpoint's name; None unless it is whole and decided."""
        import pandas as pd

        if not is_whole(self._directory / key):
            return None
        stored = read_results(self._directory / key, checked=False)  # by this very class
        if stored.samples["undecided"].any():
            return None
        samples = stored.samples.assign(
            entry=checkpoint.name,
            model=checkpoint.model,
            seed=pd.array([checkpoint.seed] * len(stored.samples), dtype="Int64"),
        )
        return stored.entries[0].evaluations[0], samples

    def put(
        self,
        key: str,
        checkpoint: Checkpoint,
        evaluation: Evaluation,
        samples: pd.DataFrame,
        save_report: Callable[[Path], None],
    ) -> None:
        """Keeps an evaluation; `save_report` writes lm-eval's files of it to the folder it is given."""
        entry = replace(checkpoint.entry((evaluation,)), training=None)
        folder = self._directory / key

        def make() -> None:
            with whole_folder(folder) as partial:
                write_results(partial, {"key": key}, [entry], samples)
                (partial / LM_EVAL_FOLDER).mkdir()
                save_report(partial / LM_EVAL_FOLDER)

        what = f"the evaluation of {checkpoint.label} on {evaluation.benchmark}"
        if is_whole(folder):  # verdicts that a limit of time decided give place
            with lease(lock_of(folder), what):
                if self.get(key, checkpoint) is None:
                    remove(folder)
        kept(folder, make, what)

    def lm_eval_folder(self, key: str) -> Path:
        """Where lm-eval's files of an evaluation are."""
        return self._directory / key / LM_EVAL_FOLDER


def sample_of(
    checkpoint: Checkpoint,
    benchmark: Benchmark,
    record: Record,
    prompt: str,
    index: int,
    completion: Completion,
    score: Score,
    key: Key,
) -> Sample:
    """A judged output as it is stored."""
    return Sample(
        entry=checkpoint.name,
        model=checkpoint.model,
        seed=checkpoint.seed,
        benchmark=benchmark.name,
        sample_id=record.id,
        sample_index=index,
        prompt=prompt,
        output=completion.text,
        gold=record.answer,
        choices=record.choices,
        finish_reason=completion.finish_reason,
        prompt_tokens=completion.num_prompt_tokens,
        output_tokens=completion.num_output_tokens,
        content=record.content(),
        key=key.right,
        bits_gold=key.bits_gold,
        bits_own=key.bits_own[index] if key.bits_own else None,
        reasoning=reasoned(record.rationale, _thinking(completion, score))
        if benchmark.data.generator
        else None,
        **judged_fields(score, record.answer),
    )


def _thinking(completion: Completion, score: Score) -> str:
    start, end = score.thinking or (0, 0)
    return completion.text[start:end]


def reasoned(rationale: str | None, thinking: str) -> bool:
    """Whether a reasoning makes the reference's calculations, all of them and in their order.

    Names and verbs between them may be wrong: what the answer needs are the numbers.
    """
    return _STEP.findall(thinking) == _STEP.findall(rationale or "")


def item_of(row: Any, kind: Kind, tag_format: TagFormat, alpha: float = DEFAULT_ALPHA) -> Item:
    """A stored sample, a row of the table's `itertuples`, as the scorer takes it."""
    return Item(
        output=row.output,
        gold=row.gold,
        kind=kind,
        choices=None if row.choices is None else tuple(row.choices),
        tag_format=tag_format,
        truncated=bool(row.truncated),
        alpha=alpha,
        reasoning_open=opens_reasoning(row.prompt, tag_format),
    )


def judged_fields(score: Score, gold: str) -> dict[str, Any]:
    """The fields of a sample that the scorer decides."""
    thinking, answer = score.thinking or (None, None), score.answer or (None, None)
    return {
        "extracted": score.extracted,
        "accuracy": score.accuracy,
        "accuracy_strict": score.accuracy_strict,
        "format_valid": score.format_valid,
        "score": score.score,
        "truncated": score.truncated,
        "defects": score.defects,
        "thinking_chars": score.thinking_chars,
        "gold_chars": len(reference_answer(gold)),
        "thinking_start": thinking[0],
        "thinking_end": thinking[1],
        "answer_start": answer[0],
        "answer_end": answer[1],
        "undecided": score.undecided,
    }

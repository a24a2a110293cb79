"""`--exact`: a sample of the outputs made again by transformers, which fast engines approximate."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.config import Config
from harness.engines.api import Completion, Engine
from harness.engines.registry import new_engine
from harness.evaluation.ask import Asked, Questionnaire
from harness.evaluation.evaluations import item_of
from harness.evaluation.generations import GenerationStore, Queue
from harness.models.checkpoint import Checkpoint
from harness.progress import Reporter
from leaderboards.results.schema import Entry, Evaluation, ExactCheck
from tasks.scoring import score
from tasks.tags import get_tag_format

if TYPE_CHECKING:
    import pandas as pd

REFERENCE = "hf"


def check_exactness(
    config: Config,
    questions: Questionnaire,
    checkpoints: Sequence[Checkpoint],
    found: Sequence[tuple[Entry, pd.DataFrame]],
    store: GenerationStore,
    reporter: Reporter,
) -> list[tuple[Entry, pd.DataFrame]]:
    """Fills in `Evaluation.exact` from `eval.exact` outputs of each benchmark, the same questions for all."""
    dtype = found[0][0].evaluations[0].dtype
    engine = new_engine(REFERENCE, replace(config.eval.engine_settings, dtype=dtype))  # type: ignore[arg-type]
    queue = Queue(engine, store, reporter, config.store_dir / "merged")
    asked = [
        _some(one, config.eval.exact) for c in checkpoints for one in questions.ask(c, questions.benchmarks)
    ]
    reporter.line(f"the same from {engine.version}: {sum(len(one.requests) for one in asked)} outputs")
    try:
        queue.answer(asked)
    finally:
        engine.close()
    return [
        _checked(entry, samples, [one for one in asked if one.checkpoint is checkpoint], queue, reporter)
        for checkpoint, (entry, samples) in zip(checkpoints, found, strict=True)
    ]


def _some(asked: Asked, number: int) -> Asked:
    chosen = _chosen(asked.benchmark.name, len(asked.requests), number)
    requests = tuple(asked.requests[i] for i in chosen)
    return replace(asked, requests=requests, prompts=tuple(asked.prompts[i] for i in chosen))


def _chosen(benchmark: str, n: int, number: int) -> list[int]:
    """Positions of the questions: the same for every checkpoint, in this run and in any other."""
    # Seeded by a text, which Python hashes by SHA-512: the same in every process.
    return sorted(random.Random(benchmark).sample(range(n), min(number, n)))


def _checked(
    entry: Entry, samples: pd.DataFrame, asked: Sequence[Asked], queue: Queue, reporter: Reporter
) -> tuple[Entry, pd.DataFrame]:
    """The entry with what was found."""
    evaluations = []
    for one, evaluation in zip(asked, entry.evaluations, strict=True):
        rows = samples[samples["benchmark"] == evaluation.benchmark]
        rows = rows.iloc[_chosen(evaluation.benchmark, len(rows), len(one.requests))]
        made = [drawn[0][0] for drawn in queue.completions(one.checkpoint, one.requests)]
        check = _compare(evaluation, one.checkpoint.tags, rows, made, queue.engine)
        found = f"{check.n - check.texts_differ} of {check.n} texts are the same"
        found += f", {check.verdicts_differ} verdicts differ"
        reporter.line(f"  {one.checkpoint.label}, {evaluation.benchmark}: {found}")
        evaluations.append(replace(evaluation, exact=check))
    return replace(entry, evaluations=tuple(evaluations)), samples


def _compare(
    evaluation: Evaluation, tags: str, rows: pd.DataFrame, made: Sequence[Completion], engine: Engine
) -> ExactCheck:
    texts, verdicts, tag_format = 0, 0, get_tag_format(tags)
    for row, completion in zip(rows.itertuples(index=False), made, strict=True):
        texts += completion.text != row.output
        stored, cut = item_of(row, evaluation.kind, tag_format), completion.finish_reason == "length"
        verdicts += score(replace(stored, output=completion.text, truncated=cut)).accuracy != row.accuracy
    name = f"{engine.name} ({engine.version})"
    return ExactCheck(len(made), name, engine.dtype, int(texts), int(verdicts))

"""The store of finished evaluations: one checkpoint on one benchmark, scored, keyed by all that decides it.

With it a rerun of a finished run reads tables and nothing else: no engine, no lm-eval, no scoring.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.config import Config
from harness.engines import Engine, Sampling
from harness.evaluation.ask import Prompts
from harness.evaluation.lm import FOLDER as LM_EVAL_FOLDER
from harness.models import Checkpoint
from harness.provenance import package_versions
from leaderboards.results.schema import Evaluation
from leaderboards.results.store import read_results, write_results
from tasks.benchmarks import Benchmark
from tasks.errors import InputError
from tasks.files import whole_folder
from tasks.prompts import render_prompt
from tasks.records import Record
from tasks.scoring import scorer_digest
from tasks.tags import get_tag_format

if TYPE_CHECKING:
    import pandas as pd


def evaluation_key(
    checkpoint: Checkpoint,
    benchmark: Benchmark,
    data: tuple[str, Record],
    prompts: Prompts,
    sampling: Sampling,
    engine: Engine,
    config: Config,
) -> str:
    """Content address of a checkpoint's scored samples on a benchmark.

    Args:
        checkpoint: The checkpoint.
        benchmark: What it is asked.
        data: Digest of the questions, and the first of them, which shows how prompts are worded.
        prompts: How they are written for the checkpoint.
        sampling: How answers are drawn.
        engine: What generates.
        config: Of the run.
    """
    tag_format = get_tag_format(checkpoint.tags)
    instruction = tag_format.instruction if config.eval.instruct else None
    content = [
        checkpoint.weights.digest,
        benchmark.task,
        benchmark.kind,
        data[0],
        render_prompt(data[1], instruction=instruction),
        tag_format.digest(),
        prompts.digest(),
        asdict(sampling),
        config.eval.num_fewshot,
        config.eval.split,
        config.alpha,
        [engine.name, engine.version, engine.dtype],
        scorer_digest(),
        package_versions().get("lm-eval"),
    ]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


class EvaluationStore:
    """Finished evaluations on disk, a folder each: its samples, its figures, and lm-eval's own files of it.

    Args:
        directory: Where they are.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def get(self, key: str, checkpoint: Checkpoint) -> tuple[Evaluation, pd.DataFrame] | None:
        """An evaluation and its samples under a checkpoint's name; None where it is not (whole) there."""
        import pandas as pd

        if not any(self.lm_eval_folder(key).glob("results_*.json")):
            return None
        try:
            stored = read_results(self._directory / key, checked=False)  # by this very class
        except InputError:
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
        shutil.rmtree(folder, ignore_errors=True)  # one that is not whole would else stay
        with whole_folder(folder) as partial:
            write_results(partial, {"key": key}, [entry], samples)
            (partial / LM_EVAL_FOLDER).mkdir()
            save_report(partial / LM_EVAL_FOLDER)

    def lm_eval_folder(self, key: str) -> Path:
        """Where lm-eval's files of an evaluation are."""
        return self._directory / key / LM_EVAL_FOLDER

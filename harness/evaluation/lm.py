"""lm-eval does lm-eval's part, once: documents, prompts, aggregates, and its own files.

`evaluate()` is called for one checkpoint and one task at a time. That is what the evaluation store keeps and
finds again under one key, so what the call returns stays as it is: a run that finds some of its evaluations
in the store and makes the others takes no file apart, and a run that finds them all never imports lm-eval.
What the call needs is there beforehand: completions in the generation store, verdicts by `score_many`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from harness.evaluation.ask import FEWSHOT_SEED, Prompts
from harness.models.checkpoint import Checkpoint
from leaderboards.results.schema import Evaluation
from tasks.errors import InputError
from tasks.files import whole_file, write_whole
from tasks.names import file_name
from tasks.reading import read_json

if TYPE_CHECKING:
    from lm_eval.api.instance import Instance

FOLDER = "lm-eval"
"""In a run's folder, and in that of a stored evaluation."""
Report = dict[str, Any]
"""What `evaluate()` returns: results by task, configurations, samples."""
Verdicts = Mapping[str, dict[str, float]]
"""Id of a document -> lm-eval's metrics."""
Answer = Callable[[Sequence["Instance"]], tuple[Sequence[Sequence[str]], Verdicts]]
_BY_TASK = (
    *("results", "group_subtasks", "configs", "versions", "n-shot", "higher_is_better", "n-samples"),
    "task_hashes",
)
_SECONDS = "total_evaluation_time_seconds"
_BOOTSTRAP = 100_000
"""lm-eval's default; at 0 it gives no standard errors. For means, all there is here, nothing is drawn."""


def evaluate_task(task: Any, prompts: Prompts, limit: int | None, answer: Answer) -> Report:
    """Runs lm-eval's `evaluate()` on one task whose questions have all been answered and judged."""
    from lm_eval.evaluator import evaluate

    report: Report = evaluate(
        _store_lm(task, prompts, answer),
        {"tasks": {task.config.task: task}},
        limit=limit,
        bootstrap_iters=_BOOTSTRAP,
        apply_chat_template=prompts.style == "chat",
        fewshot_as_multiturn=True,
    )
    return report


def _store_lm(task: Any, prompts: Prompts, answer: Answer) -> Any:
    """An LM that answers `generate_until`, all that is asked; a function, so that lm-eval loads only here."""
    from lm_eval.api.model import LM

    class StoreLM(LM):
        tokenizer_name = "the checkpoint's own"

        def generate_until(self, requests: list[Instance]) -> list[str]:
            # lm-eval repeats an instance n times, one after the other, for n draws.
            once = list({id(request): request for request in requests}.values())
            outputs, verdicts = answer(once)
            task.set_config("process_results", _looked_up(verdicts))
            return [output for some in outputs for output in some]

        def apply_chat_template(
            self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True
        ) -> str:
            return prompts.render(chat_history, add_generation_prompt)

        def loglikelihood(self, requests: list[Instance]) -> Any:
            raise InputError(
                "this harness evaluates generated responses; a benchmark asks for log-likelihoods"
            )

        loglikelihood_rolling = loglikelihood

    return StoreLM()


def _looked_up(verdicts: Verdicts) -> Callable[[Mapping[str, Any], object], dict[str, float]]:
    # A plain function: lm-eval deep-copies its configuration, and with a method what the method belongs to.
    def process_results(doc: Mapping[str, Any], _results: object) -> dict[str, float]:
        """The metrics of `tasks.lm_eval_task.process_results`, made beforehand in many processes."""
        return verdicts[doc["id"]]

    return process_results


def about_the_run(
    checkpoint: Checkpoint, evaluation: Evaluation, limit: int | None, provenance: Mapping[str, str]
) -> Report:
    """What `lm_eval` adds to `evaluate()`'s report, but for the tokenizer; its own search takes seconds."""
    import time

    engine = evaluation.engine.partition(" (")[0]
    return {
        "config": {
            "model": engine,
            "model_args": {"pretrained": checkpoint.shown_path, "dtype": evaluation.dtype},
            "model_num_parameters": None,
            "model_dtype": evaluation.dtype,
            "model_revision": None,
            "model_sha": checkpoint.weights.digest,
            "batch_size": None,
            "batch_sizes": [],
            "device": None,
            "use_cache": None,
            "limit": limit,
            "bootstrap_iters": _BOOTSTRAP,
            "gen_kwargs": None,
            **dict.fromkeys(
                ("random_seed", "numpy_seed", "torch_seed"), evaluation.generation.get("seed") or 0
            ),
            "fewshot_seed": FEWSHOT_SEED,
        },
        "git_hash": provenance.get("git_commit"),
        "date": time.time(),
        "pretty_env_info": "\n".join(f"{name}: {value}" for name, value in provenance.items()),
        "transformers_version": provenance.get("transformers"),
        "lm_eval_version": provenance.get("lm-eval"),
        "upper_git_hash": None,
    }


def save_report(folder: Path, report: Report, about: Report, prompts: Prompts, seconds: float) -> None:
    """Has lm-eval write what `evaluate()` returned: `results_<time>.json` and `samples_<task>_<time>.jsonl`.

    Args:
        folder: Where to; InputError where that fails.
        report: As it was returned; lm-eval changes it on writing.
        about: What `about_the_run` says.
        prompts: Have the tokenizer and its template; a server's are not known.
        seconds: That generating took.
    """
    from lm_eval.loggers import EvaluationTracker
    from lm_eval.loggers.utils import add_tokenizer_info

    # With this name it writes to the folder itself, and not to one named after the model.
    tracker = EvaluationTracker(output_path=str(folder / "results.json"))
    general, config = tracker.general_config_tracker, about["config"]
    tokenizer = getattr(prompts, "tokenizer", None)
    template = getattr(tokenizer, "chat_template", None) or "the server's own"
    template = str(template) if prompts.style == "chat" else None
    general.log_experiment_args(config["model"], config["model_args"], None, template, True)
    general.start_time -= seconds
    samples, whole = report.pop("samples"), report | about
    ends = {"eot_token_id": getattr(tokenizer, "eos_token_id", None), "max_length": None}
    add_tokenizer_info(whole, SimpleNamespace(tokenizer=tokenizer, **ends))
    tracker.save_results_aggregated(whole, samples)
    for task, some in samples.items():
        tracker.save_results_samples(task, some)
    # The tracker logs what went wrong and goes on.
    if not any(folder.glob("results_*.json")) or len([*folder.glob("samples_*.jsonl")]) < len(samples):
        raise InputError(f"{folder}: lm-eval's files cannot be written; is the disk full?")


def write_lm_eval_files(run_dir: Path, evaluations: Mapping[str, Sequence[Path]]) -> list[Path]:
    """Puts the files of a run's entries under `RUN/lm-eval/<entry>`, as `lm_eval --output_path` would.

    Samples are those of the stored evaluations, whose folders `evaluations` has by the entry's name; their
    results are joined in one file an entry, which is returned. InputError where they cannot be written.
    """
    try:
        written: list[Path] = []
        for name, folders in evaluations.items():
            own = sanitized(name)
            if own in (path.parent.name for path in written):
                own = file_name(name, [name])
            written.append(_write_entry(run_dir / FOLDER / own, name, folders))
        return written
    except OSError as error:
        raise InputError(
            f"{run_dir / FOLDER}: cannot be written ({error.strerror}); use another --out"
        ) from error


def _write_entry(folder: Path, name: str, folders: Sequence[Path]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    paths = [path for own in folders for path in own.glob("results_*.json")]
    reports = [read_json(path) for path in paths]
    time = max(path.stem.removeprefix("results_") for path in paths)
    joined = dict(reports[0])
    for key in _BY_TASK:
        joined[key] = {task: found for report in reports for task, found in report[key].items()}
    joined[_SECONDS] = str(sum(float(report[_SECONDS]) for report in reports))
    joined |= {"model_name": name, "model_name_sanitized": sanitized(name)}
    written = [folder / f"results_{time}.json"]
    write_whole(written[0], json.dumps(joined, indent=2, ensure_ascii=False))
    for source in (path for own in folders for path in own.glob("samples_*.jsonl")):
        written.append(folder / f"{re.sub('_[^_]+$', '', source.stem)}_{time}.jsonl")
        with whole_file(written[-1]) as part:
            _link(source, part)
    for path in {*folder.glob("results_*.json"), *folder.glob("samples_*.jsonl")} - {*written}:
        path.unlink()
    return written[0]


def _link(source: Path, target: Path) -> None:
    """The same file under another name where the file system can, since samples are large; else a copy."""
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def sanitized(name: str) -> str:
    """A model's name as lm-eval names its folder; here too, since a rerun does not import lm-eval."""
    return re.sub(r"[\"<>:/|\\?*\[\]]+", "__", name)

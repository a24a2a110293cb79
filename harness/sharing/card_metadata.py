"""A checkpoint's results as the Hub's metadata: `model-index` in the card, and `.eval_results/*.yaml`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.config import EMBEDDED, Config
from leaderboards.board.rows import Row
from leaderboards.report.wording import METRIC_NAMES
from leaderboards.results.schema import METRICS, Entry, Evaluation, Metric
from tasks.benchmarks import Benchmark, load_benchmark
from tasks.errors import InputError
from tasks.sources import HubSource

if TYPE_CHECKING:
    from huggingface_hub import EvalResult, ModelCardData

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_ADAPTER_METHODS = ("lora", "dora", "rslora", "qlora")


def card_data(entry: Entry, own: Row, config: Config) -> ModelCardData:
    """The metadata of a checkpoint's card; what is not known is left out.

    Args:
        entry: The checkpoint.
        own: The row of a board of this checkpoint alone.
        config: The run's configuration.
    """
    from huggingface_hub import ModelCardData

    trained = entry.role == "trained"
    return ModelCardData(
        model_name=entry.name,
        base_model=_base_model(entry, config),
        datasets=_training_sets(config) if trained else None,
        library_name="peft" if _is_adapter(entry) else "transformers",
        license=entry.licence.lower() if entry.licence else None,
        pipeline_tag="text-generation",
        tags=["sft", entry.name, *([entry.method] if entry.method else [])] if trained else None,
        metrics=["accuracy"],
        eval_results=[
            result for evaluation in entry.evaluations for result in _model_index(evaluation, own, config)
        ],
    )


def evaluation_files(entry: Entry, own: Row, config: Config, created: str | None) -> dict[str, str]:
    """`.eval_results/*.yaml`: accuracy on benchmarks that are on the Hub, where the whole test was asked.

    The Hub shows one on the data set's own leaderboard where that has a task of this id: the configuration's
    name, or `default`.
    """
    import yaml
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

    files = {}
    for evaluation in entry.evaluations:
        benchmark = _benchmark(evaluation)
        hub = benchmark.data.hub if benchmark else None
        if hub is None or config.limit is not None or evaluation.generation.get("split", "test") != "test":
            continue
        result = EvalResultEntry(
            dataset_id=hub.path,
            task_id=hub.name or "default",
            value=_percent(own, evaluation, "accuracy"),
            dataset_revision=hub.revision,
            date=created,
            notes=_notes(entry, evaluation),
        )
        files[f"{evaluation.benchmark}.yaml"] = yaml.safe_dump(
            eval_result_entries_to_yaml([result]), sort_keys=False, allow_unicode=True
        )
    return files


def _model_index(evaluation: Evaluation, own: Row, config: Config) -> list[EvalResult]:
    from huggingface_hub import EvalResult

    benchmark = _benchmark(evaluation)
    hub = benchmark.data.hub if benchmark else None
    where: dict[str, Any] = {
        "task_type": "text-generation",
        "task_name": "Text Generation",
        "dataset_name": evaluation.benchmark,
        "dataset_type": hub.path if hub else evaluation.benchmark,
        "dataset_config": hub.name if hub else None,
        "dataset_split": _split(benchmark, hub, str(evaluation.generation.get("split", "test"))),
        "dataset_revision": hub.revision if hub else None,
        "dataset_args": {
            "num_questions": evaluation.n,
            "num_few_shot": evaluation.generation.get("num_fewshot") or 0,
        },
    }
    return [
        EvalResult(
            metric_type=metric,
            metric_name=f"{METRIC_NAMES[metric]} (%)",
            metric_value=_percent(own, evaluation, metric),
            verified=False,
            **where,
        )
        for metric in METRICS
    ]


def _percent(own: Row, evaluation: Evaluation, metric: Metric) -> float:
    cell = own.cell(evaluation.benchmark)
    assert cell is not None
    return round(100 * cell.metric(metric).estimate.mean, 2)


def _notes(entry: Entry, evaluation: Evaluation) -> str:
    shots = evaluation.generation.get("num_fewshot") or 0
    form = f"tag format {entry.tags}" if entry.tagged else "no tags"
    return f"generated answers in %, {shots}-shot, {form}, n = {evaluation.n}, {evaluation.engine}"


def _split(benchmark: Benchmark | None, hub: HubSource | None, split: str) -> str:
    """The source's name of a split of ours."""
    known: Any = split
    own = benchmark.data.splits.get(known, split) if benchmark else split
    return str(hub.splits.get(known, own) if hub else own)


def _benchmark(evaluation: Evaluation) -> Benchmark | None:
    try:
        return load_benchmark(evaluation.benchmark)
    except InputError:  # one of a folder that this machine does not have
        return None


def _training_sets(config: Config) -> list[str] | None:
    """Data sets on the Hub whose training split the run used."""
    found = []
    for name in config.benchmarks:
        benchmark = load_benchmark(name)
        if benchmark.train_split is not None and benchmark.data.hub is not None:
            found.append(benchmark.data.hub.path)
    return list(dict.fromkeys(found)) or None


def _base_model(entry: Entry, config: Config) -> str | None:
    """The Hub id of what it was trained from; a folder of this machine says nothing to others."""
    if entry.role != "trained" and not _is_adapter(entry):
        return None
    known = config.model != EMBEDDED and _HUB_ID.fullmatch(config.model) and not Path(config.model).exists()
    return config.model if known else None


def _is_adapter(entry: Entry) -> bool:
    return entry.method in _ADAPTER_METHODS or (Path(entry.checkpoint) / "adapter_config.json").is_file()

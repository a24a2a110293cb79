"""What the Hugging Face Hub gets of a checkpoint: its card, results as metadata, and weights if asked for.

Results stand in the card (`model-index`) and beside it (`.eval_results/*.yaml`), the Hub's newer form of the
same; what cannot be said for certain of a checkpoint is left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.config import Config
from leaderboards.board.rows import Row
from leaderboards.report.wording import METRIC_NAMES
from leaderboards.results.schema import METRICS, Entry, Evaluation, Metric
from tasks.benchmarks import Benchmark, load_benchmark
from tasks.errors import InputError
from tasks.files import write_whole
from tasks.secrets import note_secret, one_line
from tasks.shown import printable
from tasks.sources import HubSource

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd, EvalResult, ModelCardData

_LEFT_OUT = ("README.md", "sftkey_manifest.json", "metrics.jsonl")
"""The card takes the place of peft's own; the others name folders of the machine that trained."""
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_ADAPTER_METHODS = ("lora", "dora", "rslora", "qlora")


@dataclass(frozen=True)
class Card:
    """A card, ready to be written."""

    readme: str  # content of `README.md`
    # Name in `.eval_results/` -> content; none where only a part of a benchmark was asked.
    evaluations: Mapping[str, str]
    checkpoint: str  # where the weights are

    def write(self, path: Path) -> None:
        """Writes the card, and what the Hub reads beside it; InputError where that cannot be written."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, self.readme)
            for name, text in self.evaluations.items():
                (path.parent / ".eval_results").mkdir(exist_ok=True)
                write_whole(path.parent / ".eval_results" / name, text)
        except OSError as error:
            raise InputError(f"{path}: cannot be written ({error.strerror}); use another --out") from error


def check_repo(repo: str) -> None:
    """Refuses (InputError) what is no name of a repository."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise InputError(
            f"--push-to-hub {repo[:200]}: {' '.join(str(error).split())[:200]}; expected user/name"
        ) from error


def push(card: Card, repo: str, *, weights: bool) -> str:
    """Uploads a card to `user/name`, which is made where missing; with `weights` the checkpoint's folder too.

    Returns the address of the commit. InputError, in one line, where there is no token, no right to write
    there, no network, or no weights.
    """
    from huggingface_hub import CommitOperationAdd, HfApi, get_token

    note_secret(token := get_token())  # may stand in a file
    if token is None:
        raise InputError(f"--push-to-hub {repo}: no token; log in with 'hf auth login' or set HF_TOKEN")
    texts = {"README.md": card.readme}
    texts |= {f".eval_results/{name}": text for name, text in card.evaluations.items()}
    operations = [CommitOperationAdd(name, text.encode("utf-8")) for name, text in texts.items()]
    operations += _weight_files(card) if weights else ()
    api = HfApi()
    try:
        api.create_repo(repo, exist_ok=True)
        commit = api.create_commit(
            repo, operations, commit_message="Card and weights" if weights else "Card with results"
        )
    except Exception as error:
        raise InputError(f"--push-to-hub {repo}: {_problem(error, api.endpoint)}") from error
    return str(commit.commit_url)


def _weight_files(card: Card) -> list[CommitOperationAdd]:
    from huggingface_hub import CommitOperationAdd

    folder = Path(card.checkpoint)
    if not any(folder.glob("*.safetensors")):
        raise InputError(f"{folder}: no weights (*.safetensors) here; leave --weights out or put them back")
    named = {path.relative_to(folder): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return [
        CommitOperationAdd(name.as_posix(), path)
        for name, path in named.items()
        if name.as_posix() not in _LEFT_OUT and not any(part.startswith(".") for part in name.parts)
    ]


def _problem(error: Exception, endpoint: str) -> str:
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    line = one_line(error)
    if isinstance(error, HFValidationError):
        return f"{line}; expected user/name"
    if isinstance(error, OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE is set; unset it to upload"
    # The client's transport is its own affair, and so are its errors.
    if not isinstance(error, HfHubHTTPError):
        kind = type(error).__name__
        later = "the card is written, push it when there is a network"
        return f"{endpoint} cannot be reached ({kind}: {line}); {later}"
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status == 401:
        return "the Hub does not know this token (401); log in with 'hf auth login'"
    if status == 403:
        return "this token may not write there (403); use one with write access, or another name"
    return f"the Hub refused it ({status}): {line}"


def card_data(entry: Entry, own: Row, config: Config) -> ModelCardData:
    """The metadata of a checkpoint's card; what is not known is left out."""
    from huggingface_hub import ModelCardData

    trained = entry.role == "trained"
    return ModelCardData(
        model_name=entry.name,
        base_model=_base_model(entry, config),
        datasets=_training_sets(config) if trained else None,
        library_name="peft" if _is_adapter(entry) else "transformers",
        license=printable(entry.licence).lower() if entry.licence else None,
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

    files, form = {}, f"tag format {entry.tags}" if entry.tagged else "no tags"
    for evaluation in entry.evaluations:
        benchmark = _benchmark(evaluation.benchmark)
        hub = benchmark.data.hub if benchmark else None
        if hub is None or config.limit is not None or evaluation.generation.get("split", "test") != "test":
            continue
        shots = evaluation.generation.get("num_fewshot") or 0
        result = EvalResultEntry(
            dataset_id=hub.path,
            task_id=hub.name or "default",
            value=_percent(own, evaluation, "accuracy"),
            dataset_revision=hub.revision,
            date=printable(created) if created else None,
            notes=printable(
                f"generated answers in %, {shots}-shot, {form}, n = {evaluation.n}, {evaluation.engine}"
            ),
        )
        files[f"{evaluation.benchmark}.yaml"] = yaml.safe_dump(
            eval_result_entries_to_yaml([result]), sort_keys=False, allow_unicode=True
        )
    return files


def _model_index(evaluation: Evaluation, own: Row, config: Config) -> list[EvalResult]:
    from huggingface_hub import EvalResult

    benchmark = _benchmark(evaluation.benchmark)
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


def _split(benchmark: Benchmark | None, hub: HubSource | None, split: str) -> str:
    """The source's name of a split of ours."""
    known: Any = split
    own = benchmark.data.splits.get(known, split) if benchmark else split
    return str(hub.splits.get(known, own) if hub else own)


def _benchmark(name: str) -> Benchmark | None:
    try:
        return load_benchmark(name)
    except InputError:  # one of a folder that this machine does not have
        return None


def _training_sets(config: Config) -> list[str] | None:
    """Data sets on the Hub whose training split the run used."""
    found = [one for one in map(_benchmark, config.benchmarks) if one]
    sets = [one.data.hub.path for one in found if one.train_split is not None and one.data.hub is not None]
    return list(dict.fromkeys(sets)) or None


def _base_model(entry: Entry, config: Config) -> str | None:
    """The Hub id of what it was trained from; a folder of this machine says nothing to others."""
    if entry.role != "trained" and not _is_adapter(entry):
        return None
    known = _HUB_ID.fullmatch(config.model) and not Path(config.model).exists()
    return config.model if known else None


def _is_adapter(entry: Entry) -> bool:
    return entry.method in _ADAPTER_METHODS or (Path(entry.checkpoint) / "adapter_config.json").is_file()

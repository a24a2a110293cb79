"""Our runs in lm-eval's own files: the same that lm-eval writes, and readable by what reads those."""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness.config import Config, load_config
from harness.engines.api import Completion, Request
from harness.engines.hf import HfEngine
from harness.evaluation.evaluate import Evaluator
from harness.evaluation.generations import GenerationStore
from harness.evaluation.lm import sanitized
from harness.models.checkpoint import Checkpoint, whole_model
from harness.progress import Reporter
from sftkey_train.text import TextPath, load_tokenizer
from tasks.benchmarks import TASKS_DIR, load_benchmark
from tasks.tags import get_tag_format

BENCHMARKS = ("world_number", "world_choice")
TASKS = tuple(load_benchmark(name).task for name in BENCHMARKS)
LIMIT, BUDGET = 5, 24
DRAWN = ("eval.temperature=0.5", "eval.num_samples=3")


@pytest.fixture(scope="module", params=["thinking-answer", "none"])
def theirs(request: pytest.FixtureRequest, tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `lm_eval run --model hf --output_path … --log_samples` does on a tiny model."""
    from lm_eval import simple_evaluate
    from lm_eval.loggers import EvaluationTracker
    from lm_eval.tasks import TaskManager

    out = tmp_path_factory.mktemp("theirs")
    tracker = EvaluationTracker(output_path=str(out))
    results = simple_evaluate(
        model="hf",
        model_args={"pretrained": str(tiny_base), "dtype": "float32"},
        tasks=list(TASKS),
        task_manager=TaskManager(
            include_path=str(TASKS_DIR), include_defaults=False, metadata={"tags": request.param}
        ),
        device="cpu",
        batch_size=4,
        limit=LIMIT,
        gen_kwargs={"max_gen_toks": BUDGET},
        evaluation_tracker=tracker,
    )
    samples = results.pop("samples")
    tracker.save_results_aggregated(results=results, samples=samples)
    for task in results["configs"]:
        tracker.save_results_samples(task_name=task, samples=samples[task])
    return next(out.iterdir())


def read_results_file(folder: Path) -> dict[str, Any]:
    (path,) = folder.glob("results_*.json")
    return json.loads(path.read_text(encoding="utf-8"))


def read_samples_file(folder: Path, task: str) -> list[dict[str, Any]]:
    (path,) = folder.glob(f"samples_{task}_*.jsonl")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def tags_of(theirs: Path) -> str:
    return str(read_samples_file(theirs, TASKS[0])[0]["doc"]["tags"])


def config_of(out: Path, theirs: Path, *settings: str) -> Config:
    flags = {
        "model": "tiny",
        "benchmarks": ",".join(BENCHMARKS),
        "out": out,
        "eval.engine": "hf",
        "limit": LIMIT,
    }
    return load_config(None, flags, [f"eval.max_new_tokens={BUDGET}", f"tags={tags_of(theirs)}", *settings])


def checkpoint(
    base: Path, tags: str, name: str = "mine", model: str = "tiny", seed: int | None = 1
) -> Checkpoint:
    return Checkpoint(name, "external", model, seed, tags, None, "there", whole_model(base))


def run(config: Config, *checkpoints: Checkpoint) -> list[Path]:
    """Evaluates, and writes lm-eval's files; gives the results files."""
    benchmarks = [load_benchmark(name) for name in config.benchmarks]
    with GenerationStore(config.store_dir / "generations.sqlite") as store:
        evaluator = Evaluator(config, benchmarks, store, Reporter(Console(quiet=True)))
        evaluator.evaluate(checkpoints)
        return evaluator.write_lm_eval_files(config.out)


@pytest.fixture
def same_outputs(theirs: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Our engine says what lm-eval's model has said; drawn outputs go on with one 7 more each."""
    path = TextPath.of(load_tokenizer(str(tiny_base)), "auto")
    said = {
        tuple(path.ids([sample["arguments"]["gen_args_0"]["arg_0"]])[0]): sample["resps"][0][0]
        for task in TASKS
        for sample in read_samples_file(theirs, task)
    }

    def generate(
        _engine: HfEngine, requests: Sequence[Request]
    ) -> Iterator[tuple[int, tuple[Completion, ...]]]:
        for index, request in enumerate(requests):
            text = said.get(request.prompt, "an answer to another prompt")  # type: ignore[arg-type]
            draws = range(request.sampling.n)
            yield index, tuple(Completion(text + " 7" * draw, "stop", 9, 9) for draw in draws)

    monkeypatch.setattr(HfEngine, "load", lambda *_: None)
    monkeypatch.setattr(HfEngine, "generate", generate)


@pytest.fixture
def ours(same_outputs: None, theirs: Path, tiny_base: Path, tmp_path: Path) -> Path:
    run(config_of(tmp_path, theirs), checkpoint(tiny_base, tags_of(theirs)))
    return tmp_path / "lm-eval" / "mine-seed1"


def test_each_sample_is_that_of_lm_eval_to_the_last_hash(theirs: Path, ours: Path) -> None:
    for task in TASKS:
        assert read_samples_file(ours, task) == read_samples_file(theirs, task)


def test_every_figure_is_that_of_lm_eval(theirs: Path, ours: Path) -> None:
    mine, other = read_results_file(ours), read_results_file(theirs)
    for part in ("results", "n-samples", "n-shot", "versions", "higher_is_better", "task_hashes"):
        assert mine[part] == other[part], part


def test_a_results_file_has_every_key_that_lm_eval_writes(theirs: Path, ours: Path) -> None:
    mine, other = read_results_file(ours), read_results_file(theirs)
    assert set(mine) == set(other)
    assert set(mine["config"]) == set(other["config"])
    for task in TASKS:
        configs = mine["configs"][task], other["configs"][task]
        assert set(configs[0]) == set(configs[1])
        assert set(configs[0]["fewshot_config"]) == set(configs[1]["fewshot_config"])
        same = set(configs[0]) - {"process_results"}  # ours says that it looks the verdict up
        for key in same - {"fewshot_config", "metadata"}:
            assert configs[0][key] == configs[1][key], key
        assert configs[1]["metadata"].items() <= configs[0]["metadata"].items()
        assert "tasks.lm_eval_task.process_results" in configs[0]["process_results"]


def test_lm_evals_own_readers_find_and_show_them(ours: Path) -> None:
    from lm_eval.utils import (
        get_file_datetime,
        get_file_task_name,
        get_latest_filename,
        get_results_filenames,
        get_sample_results_filenames,
        make_table,
        sanitize_model_name,
    )

    files = [str(path) for path in ours.glob("[!.]*")]
    (results_file,) = get_results_filenames(files)
    sample_files = get_sample_results_filenames(files)
    assert {get_file_task_name(Path(name).name) for name in sample_files} == set(TASKS)
    assert get_latest_filename(sample_files) in sample_files
    times = {
        get_file_datetime(Path(name).name).removesuffix(".json") for name in (results_file, *sample_files)
    }
    assert len(times) == 1
    table = make_table(json.loads(Path(results_file).read_text()))
    assert "|sftkey_world_choice|" in table.replace(" ", "")
    assert "accuracy_strict" in table
    assert sanitized('a/b:c<d>"e') == sanitize_model_name('a/b:c<d>"e')


def test_the_hubs_loader_reads_the_samples_as_lm_eval_uploads_them(ours: Path, tmp_path: Path) -> None:
    import datasets

    files = [str(path) for path in sorted(ours.glob("samples_*.jsonl"))]
    loaded = datasets.load_dataset("json", data_files=files[:1], split="train", cache_dir=str(tmp_path / "c"))
    assert len(loaded) == LIMIT
    assert loaded[0]["doc"]["id"] == "world-choice-gap0-test-0"


def test_what_the_wandb_and_zeno_scripts_take_from_samples_is_there(ours: Path) -> None:
    """lm_eval.loggers.wandb_logger._generate_dataset and scripts/zeno_visualize.py of 0.4.13."""
    for sample in read_samples_file(ours, TASKS[1]):
        assert isinstance(sample["arguments"]["gen_args_0"]["arg_0"], str)
        assert isinstance(sample["resps"][0][0], str)
        assert isinstance(sample["filtered_resps"][0], str)
        assert all(isinstance(sample[metric], float) for metric in sample["metrics"])
    config = read_results_file(ours)["configs"][TASKS[1]]
    assert config["output_type"] == "generate_until"
    assert {one["metric"] for one in config["metric_list"]} == set(sample["metrics"])


def test_several_draws_are_one_sample_with_their_mean(
    same_outputs: None, theirs: Path, tiny_base: Path, tmp_path: Path
) -> None:
    from leaderboards import read_results

    config = config_of(tmp_path, theirs, *DRAWN)
    (path,) = run(config, checkpoint(tiny_base, tags_of(theirs)))
    samples = read_samples_file(path.parent, TASKS[0])
    assert len(samples) == LIMIT
    assert [len(sample["resps"][0]) for sample in samples] == [3] * LIMIT
    assert samples[0]["resps"] == samples[0]["filtered_resps"]
    assert samples[0]["arguments"]["gen_args_0"]["arg_1"]["do_sample"] is True
    figures = read_results_file(path.parent)
    stored = [read_results(folder) for folder in (config.store_dir / "evaluations").iterdir()]
    (rows,) = (one.samples for one in stored if set(one.samples["benchmark"]) == {"world_number"})
    assert len(rows) == 3 * LIMIT
    mean = figures["results"][TASKS[0]]["format_valid,all"]
    assert mean == pytest.approx(rows["format_valid"].mean())
    assert figures["results"][TASKS[0]]["sample_len"] == LIMIT
    assert figures["configs"][TASKS[0]]["repeats"] == 3


def test_writing_again_replaces_what_was_there(
    ours: Path, theirs: Path, tiny_base: Path, tmp_path: Path
) -> None:
    before = {path.name for path in ours.iterdir()}
    run(config_of(tmp_path, theirs, "alpha=0.5"), checkpoint(tiny_base, tags_of(theirs)))
    after = {path.name for path in ours.iterdir()}
    assert len(after) == 1 + len(TASKS)
    assert not before & after


def test_a_rerun_writes_the_same_without_lm_eval(
    ours: Path, theirs: Path, tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path.name: path.read_bytes() for path in ours.iterdir()}
    next(ours.glob("samples_*")).unlink()
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    run(config_of(tmp_path, theirs), checkpoint(tiny_base, tags_of(theirs)))
    assert {path.name: path.read_bytes() for path in ours.iterdir()} == before


def test_an_evaluation_without_its_lm_eval_files_is_made_again(
    ours: Path, theirs: Path, tiny_base: Path, tmp_path: Path
) -> None:
    """As in a store of an earlier version; completions are still there."""
    stored = [*(tmp_path / "store" / "evaluations").glob("*/lm-eval/results_*.json")]
    assert len(stored) == len(TASKS)
    stored[0].unlink()
    (path,) = run(config_of(tmp_path, theirs), checkpoint(tiny_base, tags_of(theirs)))
    assert set(read_results_file(path.parent)["results"]) == set(TASKS)
    assert len([*path.parent.iterdir()]) == 1 + len(TASKS)


def test_a_folder_for_each_entry_and_seed_of_each_model(
    same_outputs: None, theirs: Path, tiny_base: Path, tmp_path: Path
) -> None:
    tags = tags_of(theirs)
    wanted = [
        checkpoint(tiny_base, tags),
        checkpoint(tiny_base, tags, seed=2),
        checkpoint(tiny_base, tags, "base", "org/other", None),
    ]
    paths = run(config_of(tmp_path, theirs), *wanted)
    assert [path.parent.name for path in paths] == [
        "tiny__mine-seed1",
        "tiny__mine-seed2",
        "org__other__base",
    ]


def test_the_instruction_of_the_prompt_is_told(
    same_outputs: None, theirs: Path, tiny_base: Path, tmp_path: Path
) -> None:
    tags = tags_of(theirs)
    (path,) = run(config_of(tmp_path, theirs, "eval.instruct=true"), checkpoint(tiny_base, tags))
    doc = read_samples_file(path.parent, TASKS[0])[0]["doc"]
    assert doc["instruction"] == get_tag_format(tags).instruction

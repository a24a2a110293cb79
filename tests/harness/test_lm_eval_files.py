"""Our runs in lm-eval's own files: the same that lm-eval writes, and readable by what reads those."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from harness.config import Config, EvalSettings
from harness.sharing.lm_eval_files import sanitized, write_lm_eval_files
from leaderboards.results.sample_table import SAMPLES
from leaderboards.results.schema import Entry, Evaluation, RunResults, Sample
from tasks.benchmarks import TASKS_DIR, load_benchmark
from tasks.scoring import Item, score
from tasks.tags import get_tag_format

BENCHMARKS = ("world_number", "world_choice")
TASKS = tuple(load_benchmark(name).task for name in BENCHMARKS)
LIMIT, BUDGET = 5, 24
CONFIG = Config(tags="thinking-answer", limit=LIMIT)
PROVENANCE = {"created": "2026-01-02T03:04:05+00:00", "git_commit": "0123abcd", "lm-eval": "0.4.13"}


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


def row_of(benchmark: str, sample: dict[str, Any], tags: str, output: str, index: int = 0) -> Sample:
    """A sample as a run of ours stores it, judged by our scorer."""
    doc = sample["doc"]
    verdict = score(Item(output, doc["answer"], doc["kind"], doc["choices"], get_tag_format(tags)))
    return Sample(
        entry="mine",
        model="tiny",
        seed=1,
        benchmark=benchmark,
        sample_id=doc["id"],
        sample_index=index,
        prompt=sample["arguments"]["gen_args_0"]["arg_0"],
        output=output,
        gold=doc["answer"],
        choices=tuple(doc["choices"]) if doc["choices"] else None,
        extracted=verdict.extracted,
        accuracy=verdict.accuracy,
        accuracy_strict=verdict.accuracy_strict,
        format_valid=verdict.format_valid,
        score=verdict.score,
        truncated=verdict.truncated,
        defects=verdict.defects,
        finish_reason="stop",
        prompt_tokens=9,
        output_tokens=9,
    )


def run_of(folder: Path, draws: int = 1) -> tuple[RunResults, Config]:
    """The same outputs as a stored run of ours; in another order, which must not matter."""
    tags = read_samples_file(folder, TASKS[0])[0]["doc"]["tags"]
    rows = [
        row_of(benchmark, sample, tags, sample["resps"][0][0] + " 7" * index, index)
        for benchmark, task in zip(BENCHMARKS, TASKS, strict=True)
        for sample in reversed(read_samples_file(folder, task))
        for index in range(draws)
    ]
    generation = {
        "max_new_tokens": BUDGET,
        "stop": ("\nQuestion:",),
        "temperature": 0.5 if draws > 1 else 0.0,
    }
    evaluations = tuple(
        Evaluation(
            name, LIMIT, "d", "hf (transformers 5.19)", "float32", 9, 9, 1.5, generation,
            kind=load_benchmark(name).kind, num_samples=draws,
        )
        for name in BENCHMARKS
    )  # fmt: skip
    entry = Entry(
        "mine", "tiny", "external", 1, tags, tags != "none", None, "there", "digest", None, evaluations
    )
    return RunResults(PROVENANCE, (entry,), SAMPLES.to_frame(rows)), replace(CONFIG, tags=tags)


@pytest.fixture
def ours(theirs: Path, tmp_path: Path) -> Path:
    write_lm_eval_files(tmp_path, *run_of(theirs))
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
        same = set(configs[0]) - {"custom_dataset", "doc_to_text", "doc_to_target", "process_results"}
        for key in same - {"fewshot_config", "metadata"}:
            assert configs[0][key] == configs[1][key], key
        assert configs[0]["metadata"].items() <= configs[1]["metadata"].items()
        assert configs[0]["doc_to_text"] == "tasks.lm_eval_task.doc_to_text"


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
    assert times == {"2026-01-02T03-04-05.000000"}
    table = make_table(json.loads(Path(results_file).read_text()))
    assert "|sftkey_world_choice|" in table.replace(" ", "")
    assert "accuracy_strict" in table
    assert sanitized('a/b:c<d>"e') == sanitize_model_name('a/b:c<d>"e')


def test_the_hubs_loader_reads_the_samples_as_lm_eval_uploads_them(ours: Path, tmp_path: Path) -> None:
    import datasets

    files = [str(path) for path in sorted(ours.glob("samples_*.jsonl"))]
    loaded = datasets.load_dataset("json", data_files=files[:1], split="train", cache_dir=str(tmp_path / "c"))
    assert len(loaded) == LIMIT
    assert loaded[0]["doc"]["id"] == "world-choice-test-0"


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


def test_several_draws_are_one_sample_with_their_mean(theirs: Path, tmp_path: Path) -> None:
    results, config = run_of(theirs, draws=3)
    write_lm_eval_files(tmp_path, results, config)
    folder = tmp_path / "lm-eval" / "mine-seed1"
    samples = read_samples_file(folder, TASKS[0])
    assert len(samples) == LIMIT
    assert [len(sample["resps"][0]) for sample in samples] == [3] * LIMIT
    assert samples[0]["resps"] == samples[0]["filtered_resps"]
    assert samples[0]["arguments"]["gen_args_0"]["arg_1"]["do_sample"] is True
    figures = read_results_file(folder)
    rows = results.samples[results.samples["benchmark"] == "world_number"]
    mean = figures["results"][TASKS[0]]["format_valid,all"]
    assert mean == pytest.approx(rows["format_valid"].mean())
    assert figures["results"][TASKS[0]]["sample_len"] == LIMIT
    assert figures["configs"][TASKS[0]]["repeats"] == 3


def test_writing_again_replaces_what_was_there(theirs: Path, tmp_path: Path) -> None:
    results, config = run_of(theirs)
    write_lm_eval_files(tmp_path, results, config)
    created = {"created": "2027-01-01T00:00:00+00:00"}
    later = replace(results, provenance=created, samples=results.samples.assign(score=1.0))
    (path,) = write_lm_eval_files(tmp_path, later, config)
    assert path.name == "results_2027-01-01T00-00-00.000000.json"
    assert len(list(path.parent.glob("[!.]*"))) == 1 + len(TASKS)


def test_what_is_up_to_date_is_left_as_it_is(theirs: Path, tmp_path: Path) -> None:
    """A rerun costs a digest; a verdict that changed, as after a new scoring, is written."""
    results, config = run_of(theirs)
    (path,) = write_lm_eval_files(tmp_path, results, config)
    later = replace(results, provenance=PROVENANCE | {"created": "2027-01-01T00:00:00+00:00"})
    assert write_lm_eval_files(tmp_path, later, config) == [path]
    rescored = replace(later, samples=results.samples.assign(accuracy=True))
    (new,) = write_lm_eval_files(tmp_path, rescored, config)
    assert new != path
    assert read_results_file(new.parent)["results"][TASKS[0]]["accuracy,none"] == 1.0


def test_files_of_which_one_is_gone_are_written_again(theirs: Path, tmp_path: Path) -> None:
    results, config = run_of(theirs)
    (path,) = write_lm_eval_files(tmp_path, results, config)
    next(path.parent.glob("samples_*")).unlink()
    write_lm_eval_files(tmp_path, results, config)
    assert len(list(path.parent.glob("samples_*"))) == len(TASKS)


def test_a_run_whose_data_are_gone_still_has_its_files(theirs: Path, tmp_path: Path) -> None:
    """An unknown question keeps what was stored of it."""
    results, config = run_of(theirs)
    gone = replace(config, data_dir=tmp_path / "nowhere")
    (path,) = write_lm_eval_files(tmp_path, results, gone)
    samples = read_samples_file(path.parent, TASKS[1])
    assert len(samples) == LIMIT
    assert samples[0]["doc"]["choices"] == ["1 to 5", "6 to 10", "11 to 15", "16 to 20"]
    assert samples[0]["doc"]["question"] == samples[0]["arguments"]["gen_args_0"]["arg_0"]
    assert read_results_file(path.parent)["results"] == read_results_file(theirs)["results"]


def test_a_folder_for_each_entry_and_seed_of_each_model(theirs: Path, tmp_path: Path) -> None:
    results, config = run_of(theirs)
    (one,) = results.entries
    entries = (one, replace(one, seed=2), replace(one, name="base", seed=None, model="org/other"))
    frames = [
        results.samples.assign(
            entry=e.name, model=e.model, seed=pd.array([e.seed] * 2 * LIMIT, dtype="Int64")
        )
        for e in entries
    ]
    many = replace(results, entries=entries, samples=pd.concat(frames, ignore_index=True))
    paths = write_lm_eval_files(tmp_path, many, config)
    assert [path.parent.name for path in paths] == [
        "tiny__mine-seed1",
        "tiny__mine-seed2",
        "org__other__base",
    ]


def test_the_instruction_of_the_prompt_is_told(theirs: Path, tmp_path: Path) -> None:
    results, config = run_of(theirs)
    (path,) = write_lm_eval_files(tmp_path, results, replace(config, eval=EvalSettings(instruct=True)))
    doc = read_samples_file(path.parent, TASKS[0])[0]["doc"]
    assert doc["instruction"] == get_tag_format(config.tags).instruction

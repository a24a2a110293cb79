"""One queue: whatever shares an engine, every answer is the one that would be given alone."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from mini import adapter, needs_vllm, random_llama
from rich.console import Console

from harness.config import Config, load_config
from harness.engines.api import Request
from harness.engines.hf import HfEngine
from harness.evaluation.evaluate import Evaluator
from harness.evaluation.generations import GenerationStore
from harness.models.checkpoint import Checkpoint, Weights, whole_model, with_adapter
from harness.progress import Reporter
from tasks.benchmarks import load_benchmark
from tasks.errors import InputError
from tasks.scoring import Item, score
from tasks.tags import get_tag_format

FEW = "limit=2"
BESIDE = "eval.engine_settings.adapters=beside"
BENCHMARKS = ("world_number", "world_choice")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_llama(tmp_path_factory.mktemp("models") / "base", tied=False)


@pytest.fixture(scope="module")
def checkpoints(tiny_base: Path, base: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Checkpoint]:
    """Two full checkpoints, and adapters of which vLLM serves two and cannot serve the third."""
    folder = tmp_path_factory.mktemp("adapters")
    whole = whole_model(base)
    adapters = [
        adapter(base, folder / "one"),
        adapter(base, folder / "second", rank=8),
        adapter(base, folder / "dora", use_dora=True),
    ]
    return [
        checkpoint("other", whole_model(tiny_base)),
        checkpoint("base", whole),
        *(checkpoint(path.name, with_adapter(whole, path)) for path in adapters),
    ]


def checkpoint(name: str, weights: Weights, tags: str = "think-answer") -> Checkpoint:
    return Checkpoint(name, "external", "model", None, tags, None, name, weights)


def config_of(out: Path, engine: str, *settings: str) -> Config:
    flags = {"model": str(out), "benchmarks": ",".join(BENCHMARKS), "out": out, "eval.engine": engine}
    common = ("eval.max_new_tokens=16", "limit=8", "eval.engine_settings.kv_cache_gib=0.25", BESIDE)
    return load_config(None, flags, [*common, *settings])


def evaluate(
    config: Config, checkpoints: Sequence[Checkpoint], said: list[str] | None = None
) -> pd.DataFrame:
    """All samples of one evaluation."""
    benchmarks = [load_benchmark(name) for name in BENCHMARKS]
    reporter = Reporter(Console(quiet=True))
    if said is not None:
        reporter.line = said.append  # type: ignore[method-assign]
    with GenerationStore(config.store_dir / "generations.sqlite") as store:
        evaluator = Evaluator(config, benchmarks, store, reporter)
        try:
            return pd.concat([frame for _, frame in evaluator.evaluate(checkpoints)], ignore_index=True)
        finally:
            evaluator.engine.close()


@pytest.mark.heavy
@needs_vllm
def test_all_in_one_queue_answer_as_one_by_one_on_the_reference_engine(
    checkpoints: list[Checkpoint], tmp_path: Path
) -> None:
    said: list[str] = []
    together = evaluate(config_of(tmp_path / "all", "vllm"), checkpoints, said)
    for one in checkpoints:
        alone = evaluate(config_of(tmp_path / one.name, "hf"), [one])
        mine = together[together["entry"] == one.name].reset_index(drop=True)
        pd.testing.assert_frame_equal(mine, alone)
    assert together.groupby("entry")["output"].apply(tuple).nunique() == len(checkpoints)
    assert any(line.startswith("  3 checkpoints in one queue: 48 samples") for line in said), said
    assert any(line.startswith("  dora: 16 samples") for line in said), "merged, and by itself"


@pytest.mark.heavy
@needs_vllm
def test_adapters_that_only_the_engine_finds_unfit_are_merged_and_it_is_said(
    foreign_gpt2: Path, foreign_adapter: Path, tmp_path: Path
) -> None:
    """vLLM has no adapters for this model, which nothing in their configuration tells."""
    whole = whole_model(foreign_gpt2)
    wanted = [checkpoint("gpt2", whole), checkpoint("adapted", with_adapter(whole, foreign_adapter))]
    said: list[str] = []
    with_vllm = evaluate(config_of(tmp_path / "v", "vllm"), wanted, said)
    pd.testing.assert_frame_equal(with_vllm, evaluate(config_of(tmp_path / "h", "hf"), wanted))
    assert any("adapters: merged, as vllm does not serve it" in line for line in said), said


def test_the_longest_come_first_and_each_is_stored_as_it_is_finished(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths: list[int] = []
    generate = HfEngine.generate

    def interrupted(engine: HfEngine, requests: Sequence[Request]) -> Iterator[object]:
        lengths.extend(len(request.prompt) for request in requests)
        for number, answer in enumerate(generate(engine, requests)):
            if number == 5:
                raise KeyboardInterrupt
            yield answer

    config = config_of(tmp_path, "hf")
    with monkeypatch.context() as patch:
        patch.setattr(HfEngine, "generate", interrupted)
        with pytest.raises(KeyboardInterrupt):
            evaluate(config, [checkpoint("base", whole_model(base))])
    assert lengths == sorted(lengths, reverse=True)
    said: list[str] = []
    evaluate(config, [checkpoint("base", whole_model(base))], said)
    assert any("11 samples generated, 5 from the store" in line for line in said), said


def test_a_finished_evaluation_asks_no_engine_again(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_of(tmp_path, "hf", FEW)
    first = evaluate(config, [checkpoint("first", whole_model(base))])
    (tmp_path / "store" / "generations.sqlite").unlink()
    monkeypatch.setattr(HfEngine, "load", lambda *_: pytest.fail("an engine was started"))
    again = evaluate(config, [checkpoint("renamed", whole_model(base))])
    assert set(again["entry"]) == {"renamed"}
    pd.testing.assert_frame_equal(again.assign(entry="first"), first)


@pytest.mark.parametrize("change", ["alpha=0.5", "eval.max_new_tokens=15", "limit=1", "eval.num_fewshot=1"])
def test_whatever_decides_an_evaluation_makes_another_one(change: str, base: Path, tmp_path: Path) -> None:
    evaluate(config_of(tmp_path, "hf", FEW), [checkpoint("base", whole_model(base))])
    said: list[str] = []
    evaluate(config_of(tmp_path, "hf", FEW, change), [checkpoint("base", whole_model(base))], said)
    assert not any("evaluations are in the store" in line for line in said), said


def test_another_tag_format_is_another_evaluation_of_the_same_generations(base: Path, tmp_path: Path) -> None:
    config, weights = config_of(tmp_path, "hf", FEW), whole_model(base)
    evaluate(config, [checkpoint("base", weights)])
    said: list[str] = []
    evaluate(config, [checkpoint("base", weights, "thinking-answer")], said)
    assert any("base: 4 samples, all in the store" in line for line in said), said


SAMPLING = ("eval.temperature=1.0", "eval.top_p=0.9", "eval.seed=7")


@pytest.mark.parametrize("engine", ["hf", pytest.param("vllm", marks=[needs_vllm, pytest.mark.heavy])])
def test_samples_are_drawn_with_seeds_of_their_own_and_scored_one_by_one(
    engine: str, base: Path, tmp_path: Path
) -> None:
    """Sample i is the same, however many are drawn, in whatever run; more than one batch takes is asked."""
    mine = [checkpoint("base", whole_model(base))]
    common = (*SAMPLING, f"limit={20 if engine == 'vllm' else 8}")
    four = evaluate(config_of(tmp_path / "four", engine, "eval.num_samples=4", *common), mine)
    two = evaluate(config_of(tmp_path / "two", engine, "eval.num_samples=2", *common), mine)
    assert len(four) == 2 * 4 * (20 if engine == "vllm" else 8)
    assert list(four["sample_index"][:4]) == [0, 1, 2, 3]
    assert four.groupby("sample_id")["output"].nunique().min() > 1, "other seeds draw other texts"
    pd.testing.assert_frame_equal(four[four["sample_index"] < 2].reset_index(drop=True), two)
    row = four.iloc[3]
    tag_format = get_tag_format("think-answer")
    verdict = score(Item(row["output"], row["gold"], "number", None, tag_format, truncated=row["truncated"]))
    assert bool(row["accuracy"]) == verdict.accuracy
    assert (row["extracted"] if isinstance(row["extracted"], str) else None) == verdict.extracted


def test_more_samples_of_a_question_than_are_stored_draw_only_what_is_missing(
    base: Path, tmp_path: Path
) -> None:
    mine, said = [checkpoint("base", whole_model(base))], list[str]()
    evaluate(config_of(tmp_path, "hf", FEW, "eval.num_samples=1", *SAMPLING), mine)
    evaluate(config_of(tmp_path, "hf", FEW, "eval.num_samples=3", *SAMPLING), mine, said)
    assert any("8 samples generated, 4 from the store" in line for line in said), said


@pytest.mark.heavy
@pytest.mark.parametrize("engine", ["hf", pytest.param("vllm", marks=needs_vllm)])
def test_several_processes_answer_as_one(engine: str, base: Path, tiny_base: Path, tmp_path: Path) -> None:
    """As on a machine with several GPUs."""
    both = [checkpoint("base", whole_model(base)), checkpoint("other", whole_model(tiny_base))]
    both = both[:1] if engine == "vllm" else both  # two engines that start at once are slow enough
    config = config_of(tmp_path / "one", engine, FEW)
    settings = replace(config.eval.engine_settings, data_parallel=2)
    parallel = replace(config, eval=replace(config.eval, engine_settings=settings), out=tmp_path / "two")
    alone = config if engine == "hf" else config_of(tmp_path / "one", "hf", FEW)
    pd.testing.assert_frame_equal(evaluate(parallel, both), evaluate(alone, both))


@pytest.mark.heavy
def test_an_error_in_one_of_several_processes_is_one_line(base: Path, tmp_path: Path) -> None:
    from harness.engines.api import EngineSettings
    from harness.engines.registry import create_engine

    engine = create_engine("hf", EngineSettings(data_parallel=2))
    try:
        with pytest.raises(InputError, match="nothing-here"):
            engine.load(tmp_path / "nothing-here")
    finally:
        engine.close()


def test_completions_that_were_never_asked_for_are_missed(base: Path, tmp_path: Path) -> None:
    from harness.engines.api import Sampling
    from harness.engines.registry import create_engine
    from harness.evaluation.generations import Queue

    config = config_of(tmp_path, "hf")
    with GenerationStore(tmp_path / "generations.sqlite") as store:
        engine = create_engine("hf", config.eval.engine_settings)
        queue = Queue(engine, store, Reporter(Console(quiet=True)), tmp_path)
        with pytest.raises(LookupError, match="never answered"):
            queue.completions(checkpoint("base", whole_model(base)), [Request((1, 2), Sampling(4))])


@pytest.mark.heavy
@needs_vllm
def test_outputs_made_again_by_the_reference_engine_are_compared(
    base: Path, checkpoints: list[Checkpoint], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All the same here; and where vLLM would go wrong, texts and verdicts that differ are counted."""
    from harness.engines.vllm import VllmEngine
    from harness.run import evaluate_checkpoints
    from leaderboards.results.store import read_results

    def checks(out: Path) -> list[tuple[int, int, int]]:
        config = config_of(out, "vllm", "eval.exact=5")
        evaluate_checkpoints(config, checkpoints[1:3], Reporter(Console(quiet=True)))
        found = [one.exact for entry in read_results(out).entries for one in entry.evaluations]
        return [(check.n, check.texts_differ, check.verdicts_differ) for check in found if check]

    assert checks(tmp_path / "right") == [(5, 0, 0)] * 4
    generate = VllmEngine.generate

    def wrong(engine: VllmEngine, requests: Sequence[Request]) -> Iterator[object]:
        for index, completions in generate(engine, requests):
            yield index, tuple(replace(one, text=one.text + " or not") for one in completions)

    monkeypatch.setattr(VllmEngine, "generate", wrong)
    assert checks(tmp_path / "wrong") == [(5, 5, 0)] * 4


def test_more_examples_than_there_are_is_one_line(base: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="sftkey_world_number has 64 examples that can be shown, not 500"):
        evaluate(config_of(tmp_path, "hf", "eval.num_fewshot=500"), [checkpoint("base", whole_model(base))])


def test_a_context_too_short_for_a_prompt_is_said_before_anything_is_asked(
    base: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="too short"):
        evaluate(
            config_of(tmp_path, "hf", "eval.max_new_tokens=500"), [checkpoint("base", whole_model(base))]
        )

"""Engines: vLLM and transformers agree, and a swapped model answers as itself."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from mini import SETTINGS, needs_vllm, prompts, random_llama

from harness.config import Config
from harness.engines.api import Completion, Engine, Request, Sampling
from harness.engines.registry import ENGINES, choose_engine, create_engine
from harness.engines.vllm import VllmEngine
from harness.plan import text_path
from sftkey_train.embedded import embedded_folder
from tasks.errors import InputError

RUNNING: dict[str, Engine] = {}
"""One of each kind for all tests here: what one has loaded, the next swaps."""


@pytest.fixture(scope="module", autouse=True)
def _ended() -> Iterator[None]:
    yield
    while RUNNING:
        RUNNING.popitem()[1].close()


def generate(engine: str, models: list[Path], sampling: Sampling) -> list[list[Completion]]:
    """Each model's completions, all from one engine."""
    running, found = RUNNING.setdefault(engine, create_engine(engine, SETTINGS)), []
    for model in models:
        running.load(model)
        ids = prompts(model)
        completions = dict(running.generate([Request(tuple(prompt), sampling) for prompt in ids]))
        found.append([completions[i][0] for i in range(len(ids))])
    return found


@pytest.mark.heavy
@needs_vllm
def test_vllm_and_transformers_agree_and_swapped_weights_answer_as_their_own(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tied heads too: there vLLM would go on with the old head. One engine serves all of one shape."""
    sampling = Sampling(max_new_tokens=24, stop=("\nQuestion:", "3"))
    own = [random_llama(tmp_path / name, tied=False) for name in ("own", "own-too")]
    tied = [random_llama(tmp_path / name, tied=True) for name in ("tied", "tied-too")]
    models = [tiny_base, *own, own[0], *tied, tied[0]]
    RUNNING.setdefault("vllm", create_engine("vllm", SETTINGS)).close()
    started = []
    begin = VllmEngine._begin
    monkeypatch.setattr(VllmEngine, "_begin", lambda *of: (started.append(of[1]), begin(*of))[1])
    with_vllm, with_hf = generate("vllm", models, sampling), generate("hf", models, sampling)
    assert with_vllm == with_hf
    assert with_vllm[1] == with_vllm[3]
    assert with_vllm[1] != with_vllm[2]
    assert with_vllm[4] != with_vllm[5]
    assert with_vllm[4] == with_vllm[6]
    assert started == [tiny_base, own[0], tied[0]]
    assert {completion.finish_reason for model in with_vllm for completion in model} == {"stop", "length"}


@pytest.mark.parametrize("engine", ["hf", pytest.param("vllm", marks=needs_vllm)])
@pytest.mark.parametrize("asked", [True, False])
def test_a_stop_token_ends_a_response_though_no_text_shows_it(
    engine: str, asked: bool, tmp_path: Path
) -> None:
    """The end of a chat turn is often a special token other than the end of the sequence.

    It may be asked for, or stand in generation_config.json alone.
    """
    base = embedded_folder()
    free = generate(engine, [base], Sampling(max_new_tokens=12))[0]
    tokenizer = text_path(base, Config(), "none").tokenizer
    mark = " = "
    [end] = tokenizer(mark, add_special_tokens=False)["input_ids"]
    model = shutil.copytree(base, tmp_path / "model")
    if not asked:
        ends = {"eos_token_id": [tokenizer.eos_token_id, end]}
        (model / "generation_config.json").write_text(json.dumps(ends))
    sampling = Sampling(max_new_tokens=12, stop_ids=(end,) if asked else ())
    stopped = generate(engine, [model], sampling)[0]
    assert any(mark in completion.text for completion in free)
    for before, after in zip(free, stopped, strict=True):
        assert after.text.removesuffix(mark) == before.text.partition(mark)[0]
        assert after.finish_reason == ("stop" if mark in before.text else before.finish_reason)


def test_a_budget_that_runs_out_is_reported_as_length(tiny_base: Path) -> None:
    (completions,) = generate("hf", [tiny_base], Sampling(max_new_tokens=2))
    assert {completion.finish_reason for completion in completions} == {"length"}
    assert {completion.num_output_tokens for completion in completions} == {2}


def test_auto_takes_vllm_where_it_is_installed() -> None:
    assert choose_engine("auto") == ("vllm" if ENGINES["vllm"].installed else "hf")


def test_an_unknown_engine_is_refused() -> None:
    with pytest.raises(InputError, match="did you mean 'vllm'"):
        choose_engine("vlm")


def test_a_models_own_decoding_settings_change_nothing(tiny_base: Path, tmp_path: Path) -> None:
    """Many models on the Hub carry a penalty or a temperature; the run's settings decide alone."""
    own = tmp_path / "own"
    shutil.copytree(tiny_base, own)
    (own / "generation_config.json").write_text(
        json.dumps({"repetition_penalty": 5.0, "do_sample": True, "temperature": 2.0, "max_new_tokens": 3})
    )
    plain, with_own = generate("hf", [tiny_base, own], Sampling(max_new_tokens=12))
    assert with_own == plain

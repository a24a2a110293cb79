"""Engines: vLLM and transformers agree, and a swapped model answers as itself."""

from pathlib import Path

import pytest

from harness.config import Config
from harness.engines import ENGINES, Completion, EngineSettings, Sampling, choose_engine, create_engine
from harness.plan import text_path
from tasks.errors import InputError
from tasks.prompts import render_prompt
from tasks.world.generate import load

needs_vllm = pytest.mark.skipif(not ENGINES["vllm"].installed, reason="vLLM is not installed")
SETTINGS = EngineSettings(kv_cache_gib=0.25, max_num_seqs=32)


def prompts(model: Path) -> list[list[int]]:
    records = [*load("test", size=12), *load("test", benchmark="choice", hard=True, size=12)]
    return text_path(model, Config()).ids([render_prompt(record) for record in records])


def generate(engine: str, models: list[Path], sampling: Sampling) -> list[list[Completion]]:
    """Each model's completions, all from one engine."""
    running = create_engine(engine, SETTINGS)
    found = []
    try:
        for model in models:
            running.load(model)
            ids = prompts(model)
            completions = dict(running.generate(ids, [sampling] * len(ids)))
            found.append([completions[i] for i in range(len(ids))])
    finally:
        running.close()
    return found


def altered(base: Path, directory: Path, *, tied: bool) -> Path:
    """The same shape with other weights, its head tied to the embedding or not."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    config = AutoConfig.from_pretrained(base, tie_word_embeddings=tied)
    model = AutoModelForCausalLM.from_pretrained(base, config=config)
    torch.manual_seed(len(str(directory)))
    for parameter in model.parameters():
        parameter.data += 0.02 * torch.randn_like(parameter)
    model.save_pretrained(directory)
    AutoTokenizer.from_pretrained(base).save_pretrained(directory)
    return directory


@needs_vllm
def test_vllm_and_transformers_agree_and_swapped_weights_answer_as_their_own(
    tiny_base: Path, foreign_gpt2: Path, tmp_path: Path
) -> None:
    """Tied heads too: there vLLM would go on with the old head, so a new engine is due."""
    sampling = Sampling(max_new_tokens=16, stop=("\nQuestion:", "3"))
    other = altered(tiny_base, tmp_path / "other", tied=False)
    tied = [altered(tiny_base, tmp_path / name, tied=True) for name in ("tied", "tied-too")]
    models = [tiny_base, other, tiny_base, foreign_gpt2, *tied]
    with_vllm, with_hf = generate("vllm", models, sampling), generate("hf", models, sampling)
    assert with_vllm == with_hf
    assert with_vllm[0] == with_vllm[2]
    assert with_vllm[0] != with_vllm[1]
    assert with_vllm[4] != with_vllm[5]
    assert {completion.finish_reason for model in with_vllm for completion in model} == {"stop", "length"}


def test_a_budget_that_runs_out_is_reported_as_length(tiny_base: Path) -> None:
    (completions,) = generate("hf", [tiny_base], Sampling(max_new_tokens=2))
    assert {completion.finish_reason for completion in completions} == {"length"}
    assert {completion.num_output_tokens for completion in completions} == {2}


def test_auto_takes_vllm_where_it_is_installed() -> None:
    assert choose_engine("auto") == ("vllm" if ENGINES["vllm"].installed else "hf")


def test_an_unknown_engine_is_refused() -> None:
    with pytest.raises(InputError, match="did you mean 'vllm'"):
        choose_engine("vlm")

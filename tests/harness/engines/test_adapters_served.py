"""LoRA adapters beside their base in one vLLM engine: each answers as itself, and what goes wrong is said."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from mini import SETTINGS, adapter, needs_vllm, prompts, random_llama

from harness.engines.api import Completion, Engine, Request, Sampling
from harness.engines.lora_slots import AdapterRefused, serving_refusal
from harness.engines.registry import create_engine
from harness.models.checkpoint import merged, whole_model, with_adapter
from tasks.errors import InputError
from tasks.reading import read_json

HOW = Sampling(max_new_tokens=16)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_llama(tmp_path_factory.mktemp("models") / "base", tied=False)


@pytest.fixture(scope="module")
def adapters(base: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Of several ranks and kinds, so that they must share one engine's slots."""
    folder = tmp_path_factory.mktemp("adapters")
    return [
        adapter(base, folder / "a", rank=4),
        adapter(base, folder / "two", rank=12, use_rslora=True),
        adapter(base, folder / "three", rank=2, target_modules=["o_proj", "gate_proj"]),
    ]


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """One engine for all tests here: a refused adapter must leave it whole."""
    running = create_engine("vllm", SETTINGS)
    yield running
    running.close()


def answers(
    engine: Engine, ids: list[list[int]], who: list[Path | None]
) -> dict[Path | None, list[Completion]]:
    """What each of them says, all asked in one queue in which they alternate."""
    requests = [Request(tuple(prompt), HOW, one) for prompt in ids for one in who]
    found = dict(engine.generate(requests))
    return {one: [found[i * len(who) + k][0] for i in range(len(ids))] for k, one in enumerate(who)}


def of_merged(base: Path, adapter_dir: Path | None, ids: list[list[int]], scratch: Path) -> list[Completion]:
    """The same by the reference engine, from merged weights."""
    checkpoint = whole_model(base) if adapter_dir is None else with_adapter(whole_model(base), adapter_dir)
    hf = create_engine("hf", SETTINGS)
    with merged(checkpoint, scratch) as model_dir:
        hf.load(model_dir())
        found = dict(hf.generate([Request(tuple(prompt), HOW) for prompt in ids]))
    return [found[i][0] for i in range(len(ids))]


@pytest.mark.heavy
@needs_vllm
def test_base_and_adapters_in_one_batch_each_answer_as_when_merged(
    engine: Engine, base: Path, adapters: list[Path], tmp_path: Path
) -> None:
    """Without a slot for the base, vLLM's CPU engine lets an adapter answer for it, silently."""
    ids = prompts(base)
    engine.load(base, adapters)
    who: list[Path | None] = [None, *adapters]
    together = answers(engine, ids, who)
    for one in who:
        assert together[one] == of_merged(base, one, ids, tmp_path)
    assert len({tuple(completion.text for completion in said) for said in together.values()}) == len(who)


@pytest.mark.heavy
@needs_vllm
def test_other_adapters_of_the_same_base_replace_those_that_are_loaded(
    engine: Engine, base: Path, adapters: list[Path]
) -> None:
    ids = prompts(base)[:6]
    engine.load(base, adapters[:2])
    first = answers(engine, ids, [None, *adapters[:2]])
    engine.load(base, adapters[2:])
    other = answers(engine, ids, [None, adapters[2]])
    engine.load(base, adapters[:2])
    assert answers(engine, ids, [None, *adapters[:2]]) == first
    assert other[None] == first[None]
    assert other[adapters[2]] not in first.values()


@pytest.mark.heavy
@needs_vllm
@pytest.mark.parametrize("fault", ["modules_to_save", "rank", "truncated", "missing"])
def test_a_bad_adapter_is_refused_before_anything_waits_for_it_and_the_engine_goes_on(
    fault: str, engine: Engine, base: Path, adapters: list[Path], tmp_path: Path
) -> None:
    """Refused while a request waits, it would make vLLM's next call hang for ever."""
    bad = tmp_path / fault
    if fault == "modules_to_save":
        adapter(base, bad, modules_to_save=["lm_head"])
    elif fault == "rank":
        adapter(base, bad, rank=600)
    else:
        shutil.copytree(adapters[0], bad)
        weights = bad / "adapter_model.safetensors"
        weights.unlink() if fault == "missing" else weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(AdapterRefused) as refused:
        engine.load(base, [adapters[0], bad])
    assert refused.value.adapter == bad
    engine.load(base, adapters[:1])
    assert len(answers(engine, prompts(base)[:3], [None, adapters[0]])[None]) == 3


@pytest.mark.heavy
@needs_vllm
def test_an_adapter_that_changes_nothing_is_an_error(
    engine: Engine, base: Path, adapters: list[Path], tmp_path: Path
) -> None:
    idle = adapter(base, tmp_path / "idle", std=0.0)
    with pytest.raises(InputError, match="idle: the adapter changes nothing"):
        engine.load(base, [adapters[0], idle])


@pytest.mark.parametrize("name", ["hf", pytest.param("vllm", marks=[needs_vllm, pytest.mark.heavy])])
def test_each_engine_says_of_a_merged_adapter_what_peft_says_of_it_unmerged(
    name: str, tiny_base: Path, tmp_path: Path
) -> None:
    """On a tied base, whose head the adapter changes; what an engine makes of it otherwise is refused."""
    tied = random_llama(tmp_path / "tied", tied=True)
    weights = with_adapter(whole_model(tied), adapter(tied, tmp_path / "head", target_modules=["lm_head"]))
    running = create_engine(name, SETTINGS)
    try:
        with merged(weights, tmp_path / "scratch") as model_dir:
            running.load(model_dir())
            known = read_json(model_dir() / "canary.json")
            assert len(known["canary"]) == 44
            known["canary"] = [[ids, token ^ 1, lead] for ids, token, lead in known["canary"]]
            (model_dir() / "canary.json").write_text(json.dumps(known))
            with pytest.raises(InputError, match=f"{name} goes on with .* where PEFT.* --engine"):
                running.load(model_dir())
    finally:
        running.close()


@pytest.mark.heavy
@needs_vllm
def test_a_model_that_takes_no_adapters_says_so(foreign_gpt2: Path, foreign_adapter: Path) -> None:
    running = create_engine("vllm", replace(SETTINGS, max_num_seqs=8))
    try:
        with pytest.raises(AdapterRefused, match="does not support LoRA") as refused:
            running.load(foreign_gpt2, [foreign_adapter])
        assert refused.value.adapter is None
    finally:
        running.close()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"use_dora": True}, "DoRA"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"bias": "all"}, "bias"),
        ({"rank": 600}, "rank"),
        ({"target_modules": ["q_proj", "lm_head"]}, "head"),
        ({"target_modules": ".*embed_tokens|.*q_proj"}, "embedding"),
        ({"trainable_token_indices": [1, 2]}, "trained tokens"),
        ({"init_lora_weights": "olora"}, "base that PEFT changes"),
    ],
)
def test_what_vllm_cannot_serve_is_known_from_the_configuration(
    options: dict[str, object], reason: str, base: Path, tmp_path: Path
) -> None:
    assert reason in (serving_refusal(adapter(base, tmp_path / "adapter", **options)) or "")


def test_plain_and_rank_stabilised_adapters_are_served(adapters: list[Path]) -> None:
    assert [serving_refusal(path) for path in adapters] == [None, None, None]

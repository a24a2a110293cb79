"""The answer by itself: what is asked after a given reasoning, and figures that a naive reader gets too."""

import io
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from mini import SETTINGS, needs_vllm, prompts, random_llama
from rich.console import Console

from harness.config import Config, load_config
from harness.engines.api import Completion, Request, Sampling, decode
from harness.engines.registry import create_engine
from harness.evaluation.evaluate import Evaluator
from harness.evaluation.evaluations import reasoned
from harness.evaluation.generations import GenerationStore, generation_key
from harness.evaluation.key import given, with_reasoning
from harness.models.checkpoint import Checkpoint, whole_model
from harness.plan import text_path
from harness.progress import Reporter
from sftkey_train.corpus import Corpus
from sftkey_train.spans import encode
from tasks.benchmarks import load_benchmark
from tasks.errors import InputError
from tasks.records import Record, render_prompt
from tasks.scoring import Item, score
from tasks.tags import get_tag_format, render_response
from tasks.world.generate import load

ODD = [
    Record("one", "1 + 1?", None, "1 + 1 = 2.", "2", "number"),
    Record("none", "2 + 2?", None, None, "4", "number"),
    Record("tagged", "3 + 3?", None, "It is <Answer>6</Answer>", "6", "number"),
    Record("long", "7 * 8?", None, "Seven by eight.\nThat is 56.", "56 apples", "text"),
]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[GenerationStore]:
    with GenerationStore(tmp_path / "generations.sqlite") as made:
        yield made


@pytest.mark.parametrize("tags", ["thinking-answer", "none", "think-answer", "boxed"])
def test_a_response_up_to_its_answer_in_the_tokens_of_training(tiny_base: Path, tags: str) -> None:
    path, tag_format = text_path(tiny_base, Config(), "none"), get_tag_format(tags)
    records = [*load("test", size=6), *load("test", kind="choice", size=6), *ODD]
    found = given(records, tag_format, path)
    left_out = [record.id for record, one in zip(records, found, strict=True) if one is None]
    assert left_out == ["none", "tagged"] if tags == "thinking-answer" else ["none"]
    for record, one in zip(records, found, strict=True):
        if one is None:
            continue
        response = render_response(record, tag_format)
        answer = next(span for span in response.spans if span.segment == "answer")
        assert one.text.rstrip() == response.text[: answer.start].rstrip()  # a token may begin with a space
        trained = encode([record], tag_format, path, 1000)[0]["input_ids"].tolist()
        [prompt] = path.ids([render_prompt(record)])
        until_end = [*prompt, *one.ids, *one.answer_ids]
        assert until_end == trained[: len(until_end)]
        said = decode(path.tokenizer, one.answer_ids[:-1], ())
        assert said.strip() == response.text[answer.start : answer.end].strip()


def test_one_that_changes_the_prompts_tokens_is_left_out_and_no_other(
    tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an output may that begins with what joins the prompt's end."""
    path, tag_format = text_path(tiny_base, Config(), "none"), get_tag_format("none")
    records = [*load("test", size=3), replace(ODD[0], rationale="joins")]

    def strict(some: list[Record], *more: Any) -> Corpus:
        if any(record.rationale == "joins" for record in some):
            raise InputError("its prompt is tokenised otherwise when the response follows")
        return encode(some, *more)

    monkeypatch.setattr("harness.evaluation.key.encode", strict)
    found = given(records, tag_format, path)
    assert [one is None for one in found] == [False, False, False, True]
    assert found[:3] == given(records[:3], tag_format, path)


@pytest.mark.parametrize(
    ("output", "reasoning"),
    [
        ("<Thinking>1 + 1 = 2.</Thinking>\n<Answer>2</Answer>", "1 + 1 = 2."),
        ("no form at all", "no form at all"),
        ("", None),
    ],
)
def test_the_reasoning_of_an_output(output: str, reasoning: str | None) -> None:
    said = Completion(output, "stop", 3, 4)
    assert with_reasoning(ODD[0], said, get_tag_format("thinking-answer")).rationale == reasoning


@pytest.mark.parametrize("name", ["hf", pytest.param("vllm", marks=[needs_vllm, pytest.mark.heavy])])
def test_bits_are_those_of_a_naive_computation(name: str, tiny_base: Path, tmp_path: Path) -> None:
    """In a queue with requests that generate, of continuations of several lengths; again from the same."""
    import torch
    from transformers import AutoModelForCausalLM

    folder = random_llama(tmp_path / "model", tied=False)
    ids = prompts(folder)
    asked = [
        Request(tuple(prompt[: -1 - i % 3]), Sampling(1), continuation=tuple(prompt[-1 - i % 3 :]))
        for i, prompt in enumerate(ids)
    ]
    mixed = [*asked, *(Request(tuple(prompt), Sampling(4)) for prompt in ids)]
    engine = create_engine(name, SETTINGS)
    engine.load(folder)
    said = dict(engine.generate(mixed))
    engine.close()
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    for index, one in enumerate(asked):
        whole = torch.tensor([[*one.prompt, *one.continuation]])
        with torch.no_grad():
            log_probs = model(whole).logits[0].log_softmax(-1)
        at = range(len(one.prompt) - 1, whole.shape[1] - 1)
        naive = -sum(log_probs[i, whole[0, i + 1]].item() for i in at) / math.log(2)
        [completion] = said[index]
        assert completion.finish_reason == "measured"
        assert float(completion.text) == pytest.approx(naive, abs=1e-3)
    assert all(completion.num_output_tokens for i in range(len(asked), len(mixed)) for completion in said[i])


def test_a_measured_continuation_has_a_key_of_its_own() -> None:
    keys = {generation_key("w", (1, 2), Sampling(1), 0, ("hf",), rest) for rest in ((), (3,), (4,), (3, 4))}
    assert len(keys) == 4


@pytest.mark.parametrize("tags", ["thinking-answer", "none"])
def test_an_evaluation_measures_the_answer_by_itself(
    tiny_base: Path, tmp_path: Path, store: GenerationStore, tags: str
) -> None:
    """Naively: the engine is asked by hand, question by question, and its own words are written anew."""
    flags = {"model": str(tiny_base), "out": tmp_path, "benchmarks": "world_number", "eval.engine": "hf"}
    config = load_config(None, flags, ["limit=5", "eval.max_new_tokens=160"])
    benchmark, tag_format = load_benchmark("world_number"), get_tag_format(tags)
    model = Checkpoint("x", "external", "model", None, tags, None, "x", whole_model(tiny_base))
    reporter = Reporter(Console(file=io.StringIO()))
    [(_, samples)] = Evaluator(config, [benchmark], store, reporter).evaluate([model])
    engine, path = create_engine("hf", SETTINGS), text_path(tiny_base, Config(), "none")
    engine.load(tiny_base)
    measured = 0
    for record, row in zip(load("test", size=5), samples.itertuples(), strict=True):
        [prompt] = path.ids([row.prompt])
        for given_by, bits in ((record, row.bits_gold), (replace(record, rationale=own(row)), row.bits_own)):
            [one] = given([given_by], tag_format, path)
            assert one is not None
            if pd.isna(bits):  # it would be longer than an output may be
                assert len(one.ids) > 120
                continue
            measured += 1
            asked = Request((*prompt, *one.ids), Sampling(1), continuation=one.answer_ids)
            [(_, [said])] = engine.generate([asked])
            assert float(said.text) == pytest.approx(bits, abs=1e-4)
        [one] = given([record], tag_format, path)
        assert one is not None
        [(_, [said])] = engine.generate([Request((*prompt, *one.ids), Sampling(30, benchmark.stop))])
        whole = Item.of(record, one.text + said.text, tag_format, truncated=said.finish_reason == "length")
        assert row.key == score(whole).accuracy
        numbers = [re.findall(r"\d+", text) for text in (own(row), record.rationale or "")]
        assert row.reasoning == (numbers[0] == numbers[1])
    assert measured >= 5


@pytest.mark.parametrize(
    ("thinking", "right"),
    [
        ("Tom has 3. 3 + 9 = 12. 12 - 4 = 8. 8 < 11, so B.", True),
        ("Ana buys them: 3 + 9 = 12. Then 12 - 4 = 8, and 8 < 11, so B.", True),
        ("3 + 9 = 12. 12 - 4 = 8. 8 < 11, so A.", False),
        ("3 + 9 = 12. 12 - 4 = 7. 7 < 11, so B.", False),
        ("12 - 4 = 8. 3 + 9 = 12. 8 < 11, so B.", False),
        ("3 + 9 = 12. 8 < 11, so B.", False),
        ("13 + 9 = 12. 12 - 4 = 8. 8 < 11, so B.", False),
        ("3 + 9 = 12. 12 - 4 = 8. 8 < 11, so B. 8 - 1 = 7.", False),
        ("", False),
    ],
)
def test_reasoning_is_right_where_its_calculations_are(thinking: str, right: bool) -> None:
    assert reasoned("3 + 9 = 12. 12 - 4 = 8. 8 < 11, so B.", thinking) == right


def own(row: Any) -> str:
    """The reasoning of a stored output, where its format has one, else what stands before its answer."""
    start = 0 if row.thinking_start is None or pd.isna(row.thinking_start) else int(row.thinking_start)
    end = row.thinking_end if not pd.isna(row.thinking_end) else row.answer_start
    return str(row.output[start : len(row.output) if pd.isna(end) else int(end)].strip())


def test_it_can_be_left_out(tiny_base: Path, tmp_path: Path, store: GenerationStore) -> None:
    flags = {"model": str(tiny_base), "out": tmp_path, "benchmarks": "world_number", "eval.engine": "hf"}
    config = load_config(None, flags, ["limit=2", "eval.max_new_tokens=80", "eval.key=false"])
    model = Checkpoint("x", "external", "model", None, "none", None, "x", whole_model(tiny_base))
    reporter = Reporter(Console(file=io.StringIO()))
    evaluator = Evaluator(config, [load_benchmark("world_number")], store, reporter)
    [(_, samples)] = evaluator.evaluate([model])
    assert samples[["key", "bits_gold", "bits_own"]].isna().all().all()

"""The tasks as lm-eval sees them: found, prompted, generated and scored by lm-eval itself."""

import json
from pathlib import Path
from typing import Any

import pytest

from tasks.benchmarks import benchmark_names, load_benchmark
from tasks.lm_eval_task import custom_dataset, doc_to_text, fewshot_target, process_results
from tasks.prompts import render_prompt
from tasks.records import read_records
from tasks.scoring import Output
from tasks.tags import DEFECTS

RECORDS = [
    {
        "id": f"r{i}",
        "question": f"What is {i} plus 1?",
        "answer": str(i + 1),
        "kind": "number",
        "rationale": "Add.",
    }
    for i in range(6)
]


@pytest.fixture
def small_data(tmp_path: Path) -> Path:
    for split in ("train", "test"):
        file = tmp_path / "data" / "gsm8k" / f"{split}.jsonl"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(json.dumps(record) + "\n" for record in RECORDS))
    return tmp_path / "data"


def splits(data: Path, **settings: Any) -> Any:
    spec = {"folder": "gsm8k", "kind": "number", "splits": {"train": "train", "test": "test"}}
    return custom_dataset(data_dir=str(data), **spec, **settings)


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama of two layers with a tokenizer trained on the prompts."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from tokenizers.decoders import ByteLevel
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("tiny")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<eos>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    tokenizer.train_from_iterator([str(record["question"]) for record in RECORDS], trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<eos>", pad_token="<eos>")
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(fast),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=1024,
        eos_token_id=fast.eos_token_id,
        pad_token_id=fast.pad_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


def test_lm_eval_finds_every_benchmark(repository: Path) -> None:
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=str(repository / "tasks"), include_defaults=False)
    assert set(manager.all_subtasks) == {load_benchmark(name).task for name in benchmark_names()}


def test_plain_lm_eval_scores_a_benchmark(repository: Path, tiny_model: Path, small_data: Path) -> None:
    """What `lm_eval --model hf --include_path tasks --tasks sftkey_gsm8k --metadata …` does."""
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    settings = {"tags": "none", "data_dir": str(small_data), "alpha": 0.5}
    results = simple_evaluate(
        model="hf",
        model_args={"pretrained": str(tiny_model), "dtype": "float32"},
        tasks=["sftkey_gsm8k"],
        task_manager=TaskManager(
            include_path=str(repository / "tasks"), include_defaults=False, metadata=settings
        ),
        device="cpu",
        batch_size=4,
        limit=4,
        gen_kwargs={"max_gen_toks": 8},
        bootstrap_iters=0,
    )
    figures = results["results"]["sftkey_gsm8k"]
    assert figures["accuracy,none"] == 0.0
    assert figures["defect_no_tags,none"] == 1.0  # no final-answer line
    assert results["configs"]["sftkey_gsm8k"]["metadata"]["alpha"] == 0.5
    samples = results["samples"]["sftkey_gsm8k"]
    assert len(samples) == 4
    assert samples[0]["doc"]["tags"] == "none"
    assert samples[0]["arguments"][0][0] == "Question: What is 0 plus 1?\nResponse:\n"


def test_few_shot_examples_are_written_in_the_format_of_the_run(repository: Path, small_data: Path) -> None:
    from lm_eval.tasks import TaskManager

    manager = TaskManager(
        include_path=str(repository / "tasks"),
        include_defaults=False,
        metadata={"data_dir": str(small_data), "tags": "think-answer"},
    )
    task = manager.load(["sftkey_gsm8k"])["tasks"]["sftkey_gsm8k"]
    task.set_fewshot_seed(1)
    prompt = task.fewshot_context(task.task_docs[0], num_fewshot=2)
    assert prompt.count("Response:\n<think>Add.</think>\n<answer>") == 2
    assert prompt.endswith("</answer>\n\nQuestion: What is 0 plus 1?\nResponse:\n")


def test_the_prompt_in_lm_eval_is_that_of_training(small_data: Path) -> None:
    records = read_records(small_data / "gsm8k" / "test.jsonl")
    docs = splits(small_data)["test"]
    assert [doc_to_text(doc) for doc in docs] == [render_prompt(record) for record in records]


def test_an_instruct_model_is_told_the_format(small_data: Path) -> None:
    doc = splits(small_data, instruct=True)["test"][0]
    assert "<Thinking>" in doc_to_text(doc)
    assert doc_to_text(doc).endswith("\nResponse:\n")


def test_a_document_carries_all_that_scoring_needs(small_data: Path) -> None:
    doc = splits(small_data, alpha=0.5)["test"][0]
    figures = process_results(doc, ["<Thinking>Add.</Thinking> so 1"])
    assert (figures["accuracy"], figures["format_valid"], figures["score"]) == (1.0, 0.0, 0.5)
    assert figures["defect_text_outside"] == 1.0
    assert {name for name in figures if name.startswith("defect_")} == {f"defect_{name}" for name in DEFECTS}


def test_every_metric_is_declared_in_the_yaml(repository: Path, small_data: Path) -> None:
    import yaml

    text = (repository / "tasks" / "_tagged.yaml").read_text().replace("!function ", "")
    declared = {metric["metric"] for metric in yaml.safe_load(text)["metric_list"]}
    assert declared == set(process_results(splits(small_data)["test"][0], [""]))


def test_a_finish_reason_of_length_is_truncation(small_data: Path) -> None:
    doc = splits(small_data, tags="none")["test"][0]
    assert process_results(doc, ["It is 1"])["accuracy"] == 1.0
    cut = process_results(doc, [Output("It is 1", "length")])
    assert (cut["accuracy"], cut["truncated"], cut["defect_truncated"]) == (0.0, 1.0, 1.0)


def test_without_training_data_there_are_no_few_shot_examples(small_data: Path) -> None:
    spec = {"folder": "gsm8k", "kind": "number", "splits": {"test": "test"}}
    loaded = custom_dataset(data_dir=str(small_data), **spec)
    assert len(loaded["fewshot"]) == 0
    assert len(loaded["test"]) == len(RECORDS)


def test_a_few_shot_example_is_a_whole_response(small_data: Path) -> None:
    doc = splits(small_data)["fewshot"][0]
    assert fewshot_target(doc) == "<Thinking>Add.</Thinking>\n<Answer>1</Answer>"

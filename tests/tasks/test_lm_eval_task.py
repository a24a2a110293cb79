"""The tasks as lm-eval sees them: found, prompted, generated and scored by lm-eval itself."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tasks.benchmarks import benchmark_names, load_benchmark
from tasks.lm_eval_task import custom_dataset, doc_to_text, fewshot_target, process_results
from tasks.records import Record, read_records, render_prompt
from tasks.scoring import Item, metrics, score
from tasks.tags import DEFECTS, TAG_FORMATS, get_tag_format, render_response

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
TRAINING = [
    record | {"id": f"t{i}", "question": f"What is {i + 1} times 1?"} for i, record in enumerate(RECORDS)
]
CHOICES = [
    record
    | {"kind": "choice", "choices": ["rain", "sun"], "answer": "B", "question": f"What dries shirt {i}?"}
    for i, record in enumerate(RECORDS)
]
CHOICE_TRAINING = [record | {"question": f"What dries sock {i}?"} for i, record in enumerate(CHOICES)]


@pytest.fixture
def small_data(tmp_path: Path) -> Path:
    content = {
        "gsm8k/train": TRAINING,
        "gsm8k/test": RECORDS,
        "openbookqa/train": CHOICE_TRAINING,
        "openbookqa/test": CHOICES,
    }
    for name, records in content.items():
        file = tmp_path / "data" / f"{name}.jsonl"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(json.dumps(record) + "\n" for record in records))
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

    text = (repository / "tasks" / "benchmarks" / "_tagged.yaml").read_text().replace("!function ", "")
    declared = {metric["metric"] for metric in yaml.safe_load(text)["metric_list"]}
    assert declared == set(process_results(splits(small_data)["test"][0], [""]))


def test_a_plain_run_knows_no_truncation(small_data: Path) -> None:
    doc = splits(small_data, tags="none")["test"][0]
    figures = process_results(doc, ["It is 1"])
    assert (figures["accuracy"], figures["truncated"], figures["defect_truncated"]) == (1.0, 0.0, 0.0)


def test_of_several_outputs_the_metrics_are_means(small_data: Path) -> None:
    doc = splits(small_data, tags="none")["test"][0]
    figures = process_results(doc, [["It is 1", "It is 2", "#### 1", "The answer is 3."]])
    assert (figures["accuracy"], figures["accuracy_strict"], figures["format_valid"]) == (0.5, 0.25, 0.25)


def test_without_training_data_there_are_no_few_shot_examples(small_data: Path) -> None:
    spec = {"folder": "gsm8k", "kind": "number", "splits": {"test": "test"}}
    loaded = custom_dataset(data_dir=str(small_data), **spec)
    assert len(loaded["fewshot"]) == 0
    assert len(loaded["test"]) == len(RECORDS)


def test_a_few_shot_example_is_a_whole_response(small_data: Path) -> None:
    doc = splits(small_data)["fewshot"][0]
    assert fewshot_target(doc) == "<Thinking>Add.</Thinking>\n<Answer>1</Answer>"


def _task(repository: Path, data: Path, name: str = "sftkey_gsm8k", **metadata: Any) -> Any:
    """A task of lm-eval's, ready to be asked with examples as `lm_eval` does."""
    from lm_eval.tasks import TaskManager

    manager = TaskManager(
        include_path=str(repository / "tasks"),
        include_defaults=False,
        metadata={"data_dir": str(data), **metadata},
    )
    task = manager.load([name])["tasks"][name]
    task.set_fewshot_seed(1234)
    return task


def _examples(task: Any, count: int = 2) -> list[list[str]]:
    """The questions of the examples before each question of the test."""
    prompts = [task.fewshot_context(doc, num_fewshot=count) for doc in task.task_docs]
    return [[part.split("\n")[0] for part in prompt.split("Question: ")[1:-1]] for prompt in prompts]


@pytest.mark.parametrize("tags", list(TAG_FORMATS))
def test_an_example_is_what_a_model_of_the_format_is_trained_to_write(
    repository: Path, small_data: Path, tags: str
) -> None:
    """Question, response, blank line; then the question, with nothing between it and its response."""
    task = _task(repository, small_data, tags=tags)
    test = task.task_docs[0]
    prompt = task.fewshot_context(test, num_fewshot=2)
    known = [Record(**{"choices": None, **record}) for record in TRAINING]
    shown = [record for record in known if record.question in prompt]
    assert len(shown) == 2
    for record in shown:
        response = render_response(record, get_tag_format(tags)).text
        assert f"{render_prompt(record)}{response}\n\n" in prompt
    assert prompt.endswith(f"\n\n{doc_to_text(test)}")


def test_examples_are_whole_turns_of_a_conversation(repository: Path, small_data: Path) -> None:
    seen: list[list[dict[str, str]]] = []

    def template(turns: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        assert add_generation_prompt
        seen.append(turns)
        return "rendered"

    task = _task(repository, small_data, tags="think-answer")
    task.fewshot_context(
        task.task_docs[0], num_fewshot=2, apply_chat_template=True, fewshot_as_multiturn=True,
        chat_template=template,
    )  # fmt: skip
    (turns,) = seen
    assert [turn["role"] for turn in turns] == ["user", "assistant", "user", "assistant", "user"]
    assert all(turn["content"].endswith("Response:\n") for turn in turns[::2])
    assert all(turn["content"].startswith("<think>Add.</think>\n<answer>") for turn in turns[1::2])
    assert turns[-1]["content"] == doc_to_text(task.task_docs[0])


def test_every_candidate_is_shown_the_same_examples(repository: Path, small_data: Path) -> None:
    shown = {tags: _examples(_task(repository, small_data, tags=tags)) for tags in TAG_FORMATS}
    first = next(iter(shown.values()))
    assert len(first) == len(RECORDS)
    assert {len(set(questions)) for questions in first} == {2}
    assert all(examples == first for examples in shown.values())
    task = _task(repository, small_data, tags="none")
    again = _examples(task)
    task.set_fewshot_seed(1234)
    assert _examples(task) == again == first


def test_what_one_format_cannot_write_is_an_example_in_none(repository: Path, small_data: Path) -> None:
    """Or candidates of two formats would be shown different ones."""
    awkward = TRAINING[0] | {"rationale": "A <think> about it.", "id": "awkward", "question": "Awkward?"}
    path = small_data / "gsm8k" / "train.jsonl"
    path.write_text(json.dumps(awkward) + "\n" + path.read_text())
    pools = [_task(repository, small_data, tags=tags).fewshot_docs()["id"] for tags in TAG_FORMATS]
    assert all(pool == pools[0] for pool in pools)
    assert "awkward" not in list(pools[0])


def test_no_question_of_the_test_is_an_example(small_data: Path) -> None:
    asked = RECORDS[2]
    copies = [
        asked | {"id": "copy"},
        asked | {"id": "shouted", "question": f"  {asked['question'].upper()} "},
    ]
    path = small_data / "gsm8k" / "train.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in [*copies, *TRAINING]))
    assert list(splits(small_data)["fewshot"]["id"]) == [record["id"] for record in TRAINING]


def test_no_question_that_is_lent_for_validation_is_an_example(tmp_path: Path) -> None:
    """Where the validation split is a part of the training split."""
    file = tmp_path / "gsm8k" / "train.jsonl"
    file.parent.mkdir(parents=True)
    records = [TRAINING[0] | {"id": f"t{i}", "question": f"What is {i} times 3?"} for i in range(60)]
    file.write_text("".join(json.dumps(record) + "\n" for record in records))
    loaded = splits(tmp_path, split="validation")
    asked, examples = set(loaded["test"]["question"]), set(loaded["fewshot"]["question"])
    assert asked
    assert len(examples) == len(records) - len(asked)
    assert not asked & examples


def test_real_benchmarks_have_examples_apart_from_their_test(repository: Path, data_dir: Path) -> None:
    for name in ("gsm8k", "commonsenseqa"):
        task = _task(repository, data_dir, f"sftkey_{name}", tags="none")
        asked = {" ".join(doc["question"].split()).casefold() for doc in task.task_docs}
        pool = task.fewshot_docs()
        assert len(pool) == 64
        assert not asked & {" ".join(question.split()).casefold() for question in pool["question"]}
        assert len(_examples(task, 3)[0]) == 3


def _plain_lm_eval(repository: Path, model: Path, data: Path, tags: str, **more: Any) -> dict[str, Any]:
    """`lm_eval run --model hf --include_path tasks --tasks sftkey_gsm8k,sftkey_openbookqa --metadata …`."""
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    results: dict[str, Any] = simple_evaluate(
        model="hf",
        model_args={"pretrained": str(model), "dtype": "float32"},
        tasks=["sftkey_gsm8k", "sftkey_openbookqa"],
        task_manager=TaskManager(
            include_path=str(repository / "tasks"),
            include_defaults=False,
            metadata={"tags": tags, "data_dir": str(data)},
        ),
        device="cpu",
        batch_size=4,
        limit=4,
        gen_kwargs={"max_gen_toks": 16},
        bootstrap_iters=0,
        **more,
    )
    return results


@pytest.mark.parametrize("more", [{}, {"num_fewshot": 2}], ids=["alone", "2 examples"])
@pytest.mark.parametrize("tags", ["thinking-answer", "none"])
def test_plain_lm_eval_gives_the_verdicts_of_our_scorer(
    repository: Path, tiny_model: Path, small_data: Path, tags: str, more: dict[str, Any]
) -> None:
    """For numbers and choices, sample by sample; a plain run knows no truncation, so nothing is truncated."""
    results = _plain_lm_eval(repository, tiny_model, small_data, tags, **more)
    for task, kind in (("sftkey_gsm8k", "number"), ("sftkey_openbookqa", "choice")):
        samples = results["samples"][task]
        assert len(samples) == 4
        for sample in samples:
            doc = sample["doc"]
            output, tag_format = sample["resps"][0][0], get_tag_format(tags)
            verdict = score(Item(output, doc["answer"], kind, doc["choices"], tag_format))
            assert {name: sample[name] for name in sample["metrics"]} == metrics(verdict)
            assert sample["truncated"] == 0.0
            assert sample["arguments"][0][0].count("Question:") == 1 + more.get("num_fewshot", 0)
        mean = sum(sample["score"] for sample in samples) / 4
        assert results["results"][task]["score,none"] == pytest.approx(mean)


def test_plain_lm_eval_applies_a_chat_template(
    repository: Path, tiny_model: Path, small_data: Path, tmp_path: Path
) -> None:
    """`--apply_chat_template --fewshot_as_multiturn true --num_fewshot 2`."""
    from transformers import AutoTokenizer

    shutil.copytree(tiny_model, tmp_path / "chat")
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    tokenizer.chat_template = (
        "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}"
        "{% if add_generation_prompt %}[assistant]{% endif %}"
    )
    tokenizer.save_pretrained(tmp_path / "chat")
    results = _plain_lm_eval(
        repository, tmp_path / "chat", small_data, "think-answer",
        num_fewshot=2, apply_chat_template=True, fewshot_as_multiturn=True,
    )  # fmt: skip
    prompt = results["samples"]["sftkey_gsm8k"][0]["arguments"][0][0]
    assert prompt.count("[user]Question: ") == 3
    assert prompt.count("Response:\n[assistant]<think>Add.</think>\n<answer>") == 2
    assert prompt.endswith("[user]Question: What is 0 plus 1?\nResponse:\n[assistant]")

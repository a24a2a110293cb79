"""The prompt that is trained is the prompt that is evaluated, or the run stops."""

from pathlib import Path
from typing import Any

import pytest

from harness.evaluation.ask import NUM_COMPARED, check_prompt_parity
from sftkey_train.text import TextPath, load_tokenizer
from tasks.benchmarks import TASKS_DIR, Benchmark, load_benchmark
from tasks.errors import InputError
from tasks.tags import TAG_FORMATS, get_tag_format


def task_of(name: str, tags: str, **metadata: Any) -> Any:
    from lm_eval.tasks import TaskManager

    manager = TaskManager(
        include_path=str(TASKS_DIR), include_defaults=False, metadata={"tags": tags, **metadata}
    )
    task = load_benchmark(name).task
    return manager.load([task])["tasks"][task]


def check(path: TextPath, name: str = "world_number", tags: str = "thinking-answer", task: Any = None) -> int:
    task = task or task_of(name, tags)
    return check_prompt_parity(load_benchmark(name), task, path, get_tag_format(tags), None)


def chat_path(folder: Path, template: str) -> TextPath:
    tokenizer = load_tokenizer(str(folder))
    tokenizer.chat_template = template
    return TextPath.of(tokenizer, "chat")


@pytest.mark.parametrize("tags", list(TAG_FORMATS))
@pytest.mark.parametrize("name", ["world_number", "world_choice"])
def test_plain_prompts_agree_in_every_format(tiny_base: Path, name: str, tags: str) -> None:
    assert check(TextPath.of(load_tokenizer(str(tiny_base))), name, tags) == NUM_COMPARED


def test_chat_prompts_agree(foreign_gpt2: Path) -> None:
    path = TextPath.of(load_tokenizer(str(foreign_gpt2)))
    assert path.style == "chat"
    assert check(path) == NUM_COMPARED


def test_a_benchmark_without_training_records_has_nothing_to_compare(
    tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = task_of("world_number", "none")
    path = TextPath.of(load_tokenizer(str(tiny_base)))
    assert check(path, "world_number", "none", task) > 0
    monkeypatch.setattr(Benchmark, "train_split", None)
    assert check(path, "world_number", "none", task) == 0


def test_a_template_that_writes_a_second_bos_is_refused(tiny_base: Path) -> None:
    twice = "{{ bos_token }}{{ bos_token }}{% for m in messages %}{{ m.content }}\n{% endfor %}"
    with pytest.raises(InputError, match=r"record 'world-number-gap0-train-0': its prompt has 2 BOS tokens"):
        check(chat_path(tiny_base, twice))


def test_a_template_that_counts_how_often_it_is_called_is_refused(tiny_base: Path) -> None:
    """As one would that writes the time: each call renders another prompt."""

    class Restless(TextPath):
        calls = 0

        def render(self, turns: list[dict[str, str]], add_generation_prompt: bool) -> str:
            type(self).calls += 1
            return f"[{self.calls}] " + super().render(turns, add_generation_prompt)

    quiet = chat_path(tiny_base, "{% for m in messages %}{{ m.content }}\n{% endfor %}")
    assert check(quiet) == NUM_COMPARED
    with pytest.raises(
        InputError, match=r"see different prompts from token \d+ on: '\d' in training, '\d' in"
    ):
        check(Restless(quiet.tokenizer, "chat"))


def test_a_task_that_writes_its_prompts_otherwise_is_refused(tiny_base: Path) -> None:
    task = task_of("world_number", "thinking-answer")
    task.config.doc_to_text = lambda doc: f"Question: {doc['question']}\nAnswer:"
    with pytest.raises(InputError) as error:
        check(TextPath.of(load_tokenizer(str(tiny_base))), task=task)
    assert "record 'world-number-gap0-train-0'" in str(error.value)
    assert "in training" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_prompt_that_is_merely_cut_off_is_refused(tiny_base: Path) -> None:
    task = task_of("world_number", "thinking-answer")
    written = task.config.doc_to_text
    task.config.doc_to_text = lambda doc: written(doc).removesuffix("\n")
    with pytest.raises(InputError, match=r"in training, the end in evaluation"):
        check(TextPath.of(load_tokenizer(str(tiny_base))), task=task)


def test_an_instruction_is_a_difference(tiny_base: Path) -> None:
    """Which is why a run with --instruct does not ask for this check."""
    task = task_of("world_number", "thinking-answer", instruct=True)
    with pytest.raises(InputError, match="see different prompts"):
        check(TextPath.of(load_tokenizer(str(tiny_base))), task=task)

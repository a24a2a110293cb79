"""What a checkpoint is asked: lm-eval's tasks, rendered and tokenised as the engine takes them.

Training writes its prompts through `sftkey_train.spans`, evaluation through lm-eval and its task. That both
end in the same ids is what makes a figure one of the training, and not of a prompt that the model never saw;
so it is checked before anything is asked. Examples before the question, or an instruction in it, are meant
to differ: nothing is to be compared then.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.config import Config
from harness.engines.api import Request, Sampling
from harness.engines.openai_wire import ServedPrompts
from harness.models.checkpoint import Checkpoint
from sftkey_train.text import TextPath, load_tokenizer
from tasks.benchmarks import SHARED, TASKS_DIR, Benchmark
from tasks.errors import InputError
from tasks.files import write_whole

if TYPE_CHECKING:
    from tasks.records import Record
    from tasks.tags import TagFormat

FEWSHOT_SEED = 1234
"""lm-eval's own default: the same examples stand before a question in `lm_eval --num_fewshot`."""
NUM_COMPARED = 8
"""Prompts that are written both ways before a checkpoint is asked."""
_SEARCHED = 2000
Prompts = TextPath | ServedPrompts
"""How prompts are written for a checkpoint on this machine, or on a server."""


@dataclass(frozen=True)
class Wanted:
    """Answers that a checkpoint is to give."""

    checkpoint: Checkpoint  # who is asked
    requests: tuple[Request, ...]  # as the engine takes them


@dataclass(frozen=True)
class Asked(Wanted):
    """What a checkpoint is asked on one benchmark, question by question."""

    benchmark: Benchmark  # what
    prompts: tuple[str, ...]  # the texts that they were tokenised from


class Questionnaire:
    """The run's benchmarks as requests."""

    def __init__(self, config: Config, benchmarks: Sequence[Benchmark]) -> None:
        self._config = config
        self.benchmarks = benchmarks
        self._tasks: dict[str, dict[str, Any]] = {}

    def prompts(self, checkpoint: Checkpoint) -> Prompts:
        """How prompts are written for a checkpoint."""
        if checkpoint.served:
            return ServedPrompts.of(self._config.prompt_style)
        tokenizer = load_tokenizer(str(checkpoint.weights.tokenizer_dir))
        return TextPath.of(tokenizer, self._config.prompt_style, self._config.prompt_date)

    def tasks(self, tags: str) -> dict[str, Any]:
        """lm-eval's tasks by name for a tag format, ready to be asked from the first question on."""
        if tags not in self._tasks:
            self._tasks[tags] = self._load(tags)
        for task in self._tasks[tags].values():
            task.set_fewshot_seed(FEWSHOT_SEED)
        return self._tasks[tags]

    def _load(self, tags: str) -> dict[str, Any]:
        from lm_eval.filters import build_filter_ensemble
        from lm_eval.tasks import TaskManager

        config, own = self._config, self._config.eval
        metadata = {
            "tags": tags,
            "data_dir": str(config.data_dir) if config.data_dir else None,
            "alpha": config.alpha,
            "instruct": own.instruct,
            "split": own.split,
            **({"columns": config.fields} if config.fields else {}),
        }
        # lm-eval's own tasks left out: looking through their thousands of files takes 5 to 7 seconds.
        manager = TaskManager(include_path=str(TASKS_DIR), include_defaults=False, metadata=metadata)
        tasks: dict[str, Any] = manager.load([self._spec(one) for one in self.benchmarks])["tasks"]
        # What the configuration says of generation, in lm-eval's words: its files tell how it was asked.
        drawn: dict[str, Any] = {"max_gen_toks": own.max_new_tokens} if own.max_new_tokens else {}
        if own.temperature:
            drawn |= {"do_sample": True, "temperature": own.temperature, "top_p": own.top_p}
        for task in tasks.values():
            _check_fewshot(task, own.num_fewshot)
            task.set_config("num_fewshot", own.num_fewshot)
            task.set_config("repeats", own.num_samples)
            # A new dict: tasks that include the same YAML share the one that was read.
            task.set_config("generation_kwargs", {**task.config.generation_kwargs, **drawn})
            if own.num_samples > 1:  # lm-eval's default filter hands on the first draw alone
                task._filters = [build_filter_ensemble("all", [["take_first_k", {"k": own.num_samples}]])]
        return tasks

    def _spec(self, benchmark: Benchmark) -> str:
        """What lm-eval knows a task by; of one that has no YAML, that is the file which is written here."""
        if benchmark.path != SHARED:
            return benchmark.task
        data, path = benchmark.data, self._config.out / "tasks" / f"{benchmark.name}.yaml"
        kwargs = {"kind": benchmark.kind, "folder": data.folder, "splits": dict(data.splits)}
        kwargs |= {} if self._config.fields else {"columns": ""}  # once: else the metadata has it
        path.parent.mkdir(parents=True, exist_ok=True)
        task = {"include": str(SHARED), "task": benchmark.task, "dataset_kwargs": kwargs}
        write_whole(path, json.dumps(task))  # which is YAML
        return str(path)

    def ask(self, checkpoint: Checkpoint, benchmarks: Iterable[Benchmark]) -> list[Asked]:
        """A checkpoint's requests on each benchmark."""
        prompts = self.prompts(checkpoint)
        asked = []
        for benchmark in benchmarks:
            task = self.tasks(checkpoint.tags)[benchmark.task]
            chat = prompts.style == "chat"
            task.build_all_requests(
                limit=self._config.limit,
                apply_chat_template=chat,
                fewshot_as_multiturn=True,  # as lm-eval does by default: examples are turns
                chat_template=prompts.render if chat else None,
            )
            texts = tuple(instance.args[0] for instance in task.instances)
            written: Sequence[str | list[int]] = prompts.ids(list(texts))
            requests = tuple(
                Request(ids if isinstance(ids, str) else tuple(ids), self.sampling(one.args[1], prompts))
                for ids, one in zip(written, task.instances, strict=True)
            )
            asked.append(Asked(checkpoint, requests, benchmark, texts))
        return asked

    def sampling(self, kwargs: dict[str, Any], prompts: Prompts) -> Sampling:
        """A task's generation_kwargs as sampling parameters, the configuration's own values first."""
        own = self._config.eval
        return Sampling(
            max_new_tokens=own.max_new_tokens or int(kwargs["max_gen_toks"]),
            stop=(*kwargs.get("until", ()), *prompts.stop_strings),
            stop_ids=prompts.stop_ids,
            temperature=own.temperature,
            top_p=own.top_p,
            seed=own.seed,
            n=own.num_samples,
        )


def _check_fewshot(task: Any, wanted: int) -> None:
    """lm-eval would fail with a bare assertion."""
    there = len(list(task.fewshot_docs() or ())) if wanted else 0
    if wanted > there:
        raise InputError(
            f"eval.num_fewshot: {task.config.task} has {there} examples that can be shown, not {wanted}; "
            "lower it or leave the benchmark out"
        )


def check_prompt_parity(
    benchmark: Benchmark, task: Any, path: TextPath, tag_format: TagFormat, data_dir: Path | None
) -> int:
    """Writes a few training records both ways and compares their ids.

    Returns how many were compared: none where the benchmark has no training records. InputError names the
    record, and the first position, where a prompt differs or has another number of BOS tokens than one.
    """
    compared = 0
    for record, doc in _pairs(benchmark, task, data_dir):
        trained, evaluated = _trained(record, path, tag_format), _evaluated(task, doc, path)
        _check_bos(record, evaluated, path)
        _check_same(record, trained, evaluated, path)
        compared += 1
    return compared


def _pairs(benchmark: Benchmark, task: Any, data_dir: Path | None) -> Iterator[tuple[Record, Any]]:
    """Training records, and lm-eval's documents of them: those it keeps for examples."""
    if benchmark.train_split is None:
        return
    docs = {doc["id"]: doc for doc in task.fewshot_docs()}
    records = islice(benchmark.iter_records("train", data_dir), _SEARCHED)
    known = ((record, docs[record.id]) for record in records if record.id in docs)
    yield from islice(known, NUM_COMPARED)


def _trained(record: Record, path: TextPath, tag_format: TagFormat) -> list[int]:
    """The prompt's ids in a training example."""
    from sftkey_train.segments import SEGMENT_ID
    from sftkey_train.spans import encode

    example = encode([record], tag_format, path, sys.maxsize)[0]  # of any length
    ids: list[int] = example["input_ids"][example["segments"] == SEGMENT_ID["prompt"]].tolist()
    return ids


def _evaluated(task: Any, doc: Any, path: TextPath) -> list[int]:
    """The ids that an engine gets for the document."""
    chat = path.style == "chat"
    text = task.fewshot_context(
        doc, num_fewshot=0, apply_chat_template=chat, fewshot_as_multiturn=True, chat_template=path.render
    )
    return path.ids([text])[0]


def _check_bos(record: Record, ids: Sequence[int], path: TextPath) -> None:
    bos = path.with_bos([])
    if bos and (number := list(ids).count(bos[0])) != 1:
        raise InputError(
            f"record {record.id!r}: its prompt has {number} BOS tokens; the chat template must write one at "
            "most, or use the prompt style plain"
        )


def _check_same(record: Record, trained: Sequence[int], evaluated: Sequence[int], path: TextPath) -> None:
    pairs = enumerate(zip_longest(trained, evaluated))
    position = next((i for i, (one, other) in pairs if one != other), None)
    if position is None:
        return
    raise InputError(
        f"record {record.id!r}: training and evaluation see different prompts from token {position} on: "
        f"{_token(trained, position, path)} in training, {_token(evaluated, position, path)} in evaluation; "
        "the chat template and the benchmark's doc_to_text must write both alike"
    )


def _token(ids: Sequence[int], position: int, path: TextPath) -> str:
    return repr(path.tokenizer.decode([ids[position]])) if position < len(ids) else "the end"

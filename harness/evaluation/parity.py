"""Whether a checkpoint is asked with the very tokens that it was trained on, checked before it is asked.

Training writes its prompts through `sftkey_train.spans`, evaluation through lm-eval and its task; that both
end in the same ids is what makes a figure one of the training and not of a prompt that the model never saw.
Examples before the question, or an instruction in it, are meant to differ: nothing is to be compared then.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.errors import InputError

if TYPE_CHECKING:
    from sftkey_train.text import TextPath
    from tasks.benchmarks import Benchmark
    from tasks.records import Record
    from tasks.tags import TagFormat

NUM_COMPARED = 8
_SEARCHED = 2000


def check_prompt_parity(
    benchmark: Benchmark, task: Any, path: TextPath, tag_format: TagFormat, data_dir: Path | None
) -> int:
    """Writes a few training records both ways and compares their ids.

    Args:
        benchmark: Whose training records are taken.
        task: lm-eval's task of it, as it will be asked, without examples and instruction.
        path: The checkpoint's text path.
        tag_format: The one it was trained with.
        data_dir: Folder of benchmark data in place of the Hub.

    Returns:
        How many prompts were compared; none where the benchmark has no training records.

    Raises:
        InputError: A prompt differs, or has another number of BOS tokens than one; names the record and the
            first position.
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
    from sftkey_train.spans import SEGMENT_ID, encode

    example = encode([record], tag_format, path, sys.maxsize)[0]
    ids: list[int] = example["input_ids"][example["segments"] == SEGMENT_ID["prompt"]].tolist()
    return ids


def _evaluated(task: Any, doc: Any, path: TextPath) -> list[int]:
    """The ids that an engine gets for the document."""
    chat = path.style == "chat"
    text = task.fewshot_context(
        doc,
        num_fewshot=0,
        apply_chat_template=chat,
        fewshot_as_multiturn=True,
        chat_template=(lambda turns, add_generation_prompt: path.render(turns, add_generation_prompt)),
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
    if list(trained) == list(evaluated):
        return
    pairs = zip(trained, evaluated, strict=False)
    position = next((i for i, (one, other) in enumerate(pairs) if one != other), None)
    if position is None:
        position = min(len(trained), len(evaluated))
    raise InputError(
        f"record {record.id!r}: training and evaluation see different prompts from token {position} on: "
        f"{_token(trained, position, path)} in training, {_token(evaluated, position, path)} in evaluation; "
        "the chat template and the benchmark's doc_to_text must write both alike"
    )


def _token(ids: Sequence[int], position: int, path: TextPath) -> str:
    return repr(path.tokenizer.decode([ids[position]])) if position < len(ids) else "the end"

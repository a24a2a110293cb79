"""GSM8K's training questions, or made-up text of the same lengths where they are not at hand."""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import ROOT
from tasks.benchmarks import load_benchmark
from tasks.records import Record, render_prompt
from tasks.tags import TagFormat, get_tag_format, render_response

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

END = "<|endoftext|>"
TAGGED = get_tag_format("thinking-answer")
SHARES = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0)
QUESTION_WORDS = (9, 19, 23, 27, 33, 42, 54, 69, 79, 100, 183)
"""Words of a GSM8K training question at those shares; measured over all 7473."""
RATIONALE_WORDS = (2, 9, 16, 21, 30, 45, 64, 85, 100, 134, 214)
"""Words of its solution without the calculator's annotations, likewise."""
_NUM_WORDS = 4000


def add_data_dir(parser: argparse.ArgumentParser) -> None:
    """The option that says where the data is."""
    parser.add_argument(
        "--data-dir", type=Path, default=ROOT.parent / "shared" / "data", help="folder with gsm8k/train.jsonl"
    )


def training_records(data_dir: Path, count: int) -> tuple[list[Record], str]:
    """Records, and where they come from; GSM8K is gone through again where more are wanted than it has."""
    if (data_dir / "gsm8k" / "train.jsonl").is_file():
        there, source = load_benchmark("gsm8k").records("train", data_dir), "GSM8K train"
    else:
        there, source = made_up_records(min(count, 7473)), "made-up text of GSM8K's lengths"
    return [replace(there[i % len(there)], id=f"r{i}") for i in range(count)], source


def made_up_records(count: int, seed: int = 0) -> list[Record]:
    """Records of invented words whose numbers of words are distributed as GSM8K's."""
    rng = random.Random(seed)
    syllables = [first + second for first in "bdfgklmnprstvw" for second in "aeiou"]
    words = ["".join(rng.choices(syllables, k=rng.randint(1, 4))) for _ in range(_NUM_WORDS)]
    weights = [1 / (rank + 5) for rank in range(_NUM_WORDS)]  # frequencies as in text (Zipf)

    def text(num_words: int) -> str:
        return " ".join(rng.choices(words, weights, k=num_words)) + "."

    return [
        Record(
            id=f"made-up-{i}",
            question=text(_quantile(QUESTION_WORDS, rng.random())),
            choices=None,
            rationale=text(_quantile(RATIONALE_WORDS, rng.random())),
            answer=str(rng.randint(1, 999)),
            kind="number",
        )
        for i in range(count)
    ]


def _quantile(values: Sequence[int], share: float) -> int:
    above = next(i for i, other in enumerate(SHARES) if other >= share and i)
    low, high = SHARES[above - 1], SHARES[above]
    return round(values[above - 1] + (values[above] - values[above - 1]) * (share - low) / (high - low))


@dataclass(frozen=True)
class Halves:
    """An example as TRL takes it.

    Attributes:
        prompt: Text without loss.
        completion: Text with loss; the end token is added by the trainer.
    """

    prompt: str
    completion: str


def halves(record: Record, tag_format: TagFormat, *, answer_only: bool) -> Halves:
    """The example cut where its loss begins: after the prompt, or before the answer and its tags."""
    response = render_response(record, tag_format)
    cut = next(span.start for span in response.spans if span.segment == "answer_tag") if answer_only else 0
    return Halves(render_prompt(record) + response.text[:cut], response.text[cut:])


def write_halves(
    path: Path, records: Iterable[Record], tag_format: TagFormat, *, answer_only: bool = False
) -> None:
    """Writes the examples as TRL takes them, a column of prompts and one of completions."""
    cut = [halves(record, tag_format, answer_only=answer_only) for record in records]
    texts = {"prompt": [half.prompt for half in cut], "completion": [half.completion for half in cut]}
    path.write_text(json.dumps(texts), encoding="utf-8")


def write_records(path: Path, records: Iterable[Record]) -> None:
    """Writes the examples as this project takes them."""
    path.write_text("".join(json.dumps(asdict(record)) + "\n" for record in records), encoding="utf-8")


def train_tokenizer(records: Iterable[Record], vocabulary_size: int) -> PreTrainedTokenizerBase:
    """Byte-level BPE with GPT-2's pre-tokenisation, trained on the records' prompts and tagged responses."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = (render_prompt(record) + render_response(record, TAGGED).text for record in records)
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=END, pad_token=END, clean_up_tokenization_spaces=False
    )

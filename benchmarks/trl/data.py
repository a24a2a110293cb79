"""TRL's side of `data_speed`: `python -m benchmarks.trl.data SPECIFICATION` in its own environment."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import datasets
from datasets import Dataset
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from trl import SFTTrainer

from benchmarks.measure.children import answer
from benchmarks.measure.steps import peak_bytes
from benchmarks.trl.configuration import configuration


def prepare(rows: dict[str, list[str]], tokenizer: PreTrainedTokenizerFast, settings: dict[str, Any]) -> int:
    """Lets a trainer make its training data of prompts and completions; gives the number of tokens."""
    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), **sizes))
    with tempfile.TemporaryDirectory() as folder:
        trainer = SFTTrainer(
            model=model,
            args=configuration(folder, completion_only_loss=True, **settings),
            train_dataset=Dataset.from_dict(rows),
            processing_class=tokenizer,
        )
    return sum(
        trainer.train_dataset.with_format("arrow")["input_ids"].combine_chunks().value_lengths().to_pylist()
    )


def prepare_all(told: dict[str, Any]) -> dict[str, Any]:
    """Times the preparation of the specification's examples."""
    datasets.disable_progress_bars()
    tokenizer = PreTrainedTokenizerFast.from_pretrained(told["tokenizer"])
    rows = json.loads(Path(told["halves"]).read_text(encoding="utf-8"))
    rows = {name: texts[: told["count"]] for name, texts in rows.items()}
    prepare({name: texts[:8] for name, texts in rows.items()}, tokenizer, {})  # what is done once
    start = time.perf_counter()
    num_tokens = prepare(rows, tokenizer, told["settings"])
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "num_tokens": num_tokens, "peak_bytes": peak_bytes()}


answer(prepare_all)

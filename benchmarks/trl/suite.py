"""TRL's side of `suite_speed`, one variant and seed: `python -m benchmarks.trl.suite SPECIFICATION`."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import datasets
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTTrainer

from benchmarks.measure.children import answer
from benchmarks.trl.configuration import configuration


def train_stages(told: dict[str, Any]) -> dict[str, Any]:
    """Trains the stages one after another on the same weights in memory, and saves the last."""
    start = time.perf_counter()
    datasets.disable_progress_bars()
    tokenizer = AutoTokenizer.from_pretrained(told["model"])
    model = AutoModelForCausalLM.from_pretrained(told["model"], dtype="float32")
    for stage in told["stages"]:
        trainer = SFTTrainer(
            model=model,
            args=configuration(
                told["out"],
                completion_only_loss=True,
                per_device_train_batch_size=told["batch_size"],
                max_steps=stage["num_steps"],
                learning_rate=stage["learning_rate"],
                warmup_steps=told["warmup_steps"],
                logging_steps=told["log_every"],
                seed=told["seed"],
                **told["settings"],
            ),
            train_dataset=Dataset.from_dict(json.loads(Path(stage["halves"]).read_text(encoding="utf-8"))),
            processing_class=tokenizer,
        )
        trainer.train()
    trainer.save_model(told["out"])
    return {"seconds": time.perf_counter() - start}


answer(train_stages)

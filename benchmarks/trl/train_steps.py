"""TRL's side of `training_speed`, in its own environment, which is told what to time by a file."""

from __future__ import annotations

import tempfile
from typing import Any

import torch
from datasets import Dataset
from transformers import PreTrainedTokenizerFast
from trl import SFTTrainer

from benchmarks.measure.children import answer
from benchmarks.measure.shapes import Shape, random_model
from benchmarks.measure.steps import matmul_peak, peak_bytes, time_steps
from benchmarks.trl.configuration import configuration


def train_steps(told: dict[str, Any]) -> dict[str, Any]:
    """Times optimiser steps on the examples of the specification."""
    shape = Shape(**told["shape"])
    with tempfile.TemporaryDirectory() as folder:
        trainer = SFTTrainer(
            model=random_model(shape, use_cache=False, attn_implementation="sdpa"),
            args=configuration(
                folder,
                completion_only_loss=True,
                per_device_train_batch_size=told["batch_size"],
                max_steps=told["num_steps"] + 1,
                learning_rate=told["learning_rate"],
                lr_scheduler_type="constant",
                logging_steps=told["log_every"],
                **told["settings"],
            ),
            train_dataset=Dataset.from_dict(
                {"input_ids": told["ids"], "completion_mask": told["completion_mask"]}
            ),
            processing_class=PreTrainedTokenizerFast.from_pretrained(told["tokenizer"]),
        )
        seconds = time_steps(trainer.train, told["num_steps"])
    peak = peak_bytes()
    dtype = torch.bfloat16 if trainer.args.bf16 else torch.float32
    return {"seconds": seconds, "peak_bytes": peak, "matmul_peak": matmul_peak(shape.matmuls, dtype)}


answer(train_steps)

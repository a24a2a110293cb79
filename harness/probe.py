"""Accuracy and format validity while a stage trains, on validation records, through the real scorer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from harness.engines.api import EngineSettings, Request, Sampling
from harness.plan import Plan
from sftkey_train.text import TextPath
from tasks.errors import InputError
from tasks.records import Record, render_prompt
from tasks.scoring import Item, score
from tasks.tags import TagFormat, get_tag_format

if TYPE_CHECKING:
    import torch

    from sftkey_train.stages import StageNode
    from sftkey_train.trainer import Probe


@dataclass(frozen=True)
class ValidationProbe:
    """Answers validation records with the model as it stands, by transformers' generate.

    Attributes:
        path: The model's text path.
        tag_format: How its outputs are parsed.
        records: What it is asked.
        sampling: How it answers each record.
    """

    path: TextPath
    tag_format: TagFormat
    records: tuple[Record, ...]
    sampling: tuple[Sampling, ...]

    def __call__(self, model: torch.nn.Module) -> Mapping[str, float]:
        """Share of the records answered right, and in the tag format."""
        from harness.engines.hf import HfEngine

        engine = HfEngine(EngineSettings())
        engine.adopt(model, self.path.tokenizer)
        prompts = [self.path.wrap(render_prompt(record)) for record in self.records]
        ids = self.path.ids(prompts)
        requests = [Request(tuple(one), how) for one, how in zip(ids, self.sampling, strict=True)]
        scores = []
        for index, (completion,) in engine.generate(requests):
            # As evaluation does: a prompt that ends in the opening tag has begun the reasoning.
            text, truncated = completion.text, completion.finish_reason == "length"
            record, prompt = self.records[index], prompts[index]
            scores.append(score(Item.of(record, text, self.tag_format, truncated=truncated, prompt=prompt)))
        return {
            "accuracy": sum(score.accuracy for score in scores) / len(scores),
            "format_valid": sum(score.format_valid for score in scores) / len(scores),
        }


def validation_probe(plan: Plan, node: StageNode) -> Probe | None:
    """The probe of a stage, where the settings ask for one.

    Raises:
        InputError: No benchmark has validation records; test questions are never looked at here.
    """
    if node.settings.validate_every is None:
        return None
    path, config = plan.paths[node.tags], plan.config
    records: list[Record] = []
    sampling: list[Sampling] = []
    for benchmark in filter(lambda one: one.has_validation, plan.benchmarks):
        available = benchmark.iter_records("validation", config.data_dir)
        found = list(islice(available, node.settings.validation_records))
        budget, stop = config.eval.max_new_tokens or benchmark.max_new_tokens, benchmark.stop
        how = Sampling(budget, stop=(*stop, *path.stop_strings), stop_ids=path.stop_ids)
        records, sampling = records + found, sampling + [how] * len(found)
    if not records:
        raise InputError(
            "train.validate_every needs a benchmark with validation or training records; leave it out"
        )
    return ValidationProbe(path, get_tag_format(node.tags), tuple(records), tuple(sampling))

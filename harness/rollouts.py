"""What TRL's stages learn from: training questions, what a response to one is worth, and pairs of samples.

Responses are judged as samples are (`harness.sampling`). They are drawn by transformers from the model in
training; where vLLM evaluates on a GPU, by vLLM, which then holds a share of that GPU's memory and is given
the weights anew before each step.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.engines.api import Completion, EngineSettings, Request, Sampling, decode
from harness.evaluation.key import given, how_likely, with_reasoning
from harness.plan import Plan
from harness.sampling import Drawn, by_question, how_drawn, questions, read_samples, verdicts
from sftkey_train.by_trl import Pair, Questions
from sftkey_train.model import evaluating
from sftkey_train.stages import StageNode
from tasks.errors import InputError
from tasks.records import Record, render_prompt
from tasks.rewards import RewardSum
from tasks.tags import get_tag_format

if TYPE_CHECKING:
    import torch

    from harness.engines.vllm import VllmEngine

SHARE_OF_MEMORY = 0.3
"""Of a GPU, for the engine that draws beside the training: TRL's own for an engine in its process."""


def asked_of(plan: Plan, node: StageNode) -> Questions:
    """What a stage that learns from rewards is asked."""
    import torch

    how = how_drawn(plan, node)
    judge = _Judge(plan, node, questions(plan, [node])[node.key], how)
    asked = Questions(judge.prompt_ids, how.max_new_tokens, how.stop_ids, judge)
    if not (plan.engine == "vllm" and torch.cuda.is_available()):
        return asked
    draw = _VllmDraws(plan, node, judge.requests)
    return replace(asked, draw=draw, close=draw.close)


class _Judge:
    """Says what responses are worth: each part of the reward by its name."""

    def __init__(self, plan: Plan, node: StageNode, records: Sequence[Record], how: Sampling) -> None:
        self._path, self._tags, self._alpha = plan.paths[node.tags], node.tags, plan.config.alpha
        self._records, self._how = records, how
        self._rewards = RewardSum(dict(node.stage.rewards))
        self._prompts = [self._path.wrap(render_prompt(record)) for record in records]
        self.prompt_ids = self._path.ids(self._prompts)
        self.requests = [Request(tuple(ids), how) for ids in self.prompt_ids]

    def __call__(
        self, model: torch.nn.Module, numbers: Sequence[int], responses: Sequence[Sequence[int]]
    ) -> list[dict[str, float]]:
        ends = {*self._how.stop_ids, self._path.tokenizer.eos_token_id}
        said = [self._completion(ids, ends) for ids in responses]
        records = [self._records[number] for number in numbers]
        prompts = [self._prompts[number] for number in numbers]
        likely: Sequence[float | None] = [None] * len(said)
        if self._rewards.measured:
            likely = self._log_probs(model, numbers, said)
        judged = verdicts(records, prompts, said, self._tags, self._alpha, self._how.max_new_tokens, likely)
        return [self._rewards.parts(one) for one in judged]

    def _completion(self, ids: Sequence[int], ends: set[int]) -> Completion:
        text = decode(self._path.tokenizer, ids, self._how.stop)
        cut = text != decode(self._path.tokenizer, ids, ())
        ended = bool(ids) and ids[-1] in ends
        return Completion(text, "stop" if cut or ended else "length", 0, len(ids))

    def _log_probs(
        self, model: torch.nn.Module, numbers: Sequence[int], said: Sequence[Completion]
    ) -> list[float | None]:
        """log p of the right answer after each response's reasoning, in nats, by the model as it stands."""
        from harness.engines.hf import HfEngine

        tag_format = get_tag_format(self._tags)
        reasoned = [
            with_reasoning(self._records[i], text, tag_format) for i, text in zip(numbers, said, strict=True)
        ]
        found: list[float | None] = [None] * len(said)
        known = {at: one for at, one in enumerate(given(reasoned, tag_format, self._path)) if one}
        engine = HfEngine(EngineSettings())
        with evaluating(model):
            engine.adopt(model, self._path.tokenizer)
            asked = [how_likely(self.requests[numbers[at]], one) for at, one in known.items()]
            for index, (bits, *_) in engine.generate(asked):
                found[[*known][index]] = -math.log(2) * float(bits.text)
        return found


class _VllmDraws:
    """Draws by vLLM, with a seed of its own for each response of each step."""

    def __init__(self, plan: Plan, node: StageNode, requests: Sequence[Request]) -> None:
        self._base, self._node, self._requests = plan.base.path, node, requests
        self._tokenizer = plan.paths[node.tags].tokenizer
        self._settings = replace(
            plan.config.eval.engine_settings, gpu_memory_utilization=SHARE_OF_MEMORY, adapters="beside"
        )
        self._engine: VllmEngine | None = None

    def __call__(self, model: torch.nn.Module, numbers: Sequence[int], step: int) -> list[list[int]]:
        import torch

        with torch.random.fork_rng():  # which vLLM seeds anew as it starts
            return self._drawn(model, numbers, step)

    def close(self) -> None:
        """Frees the engine's memory."""
        if self._engine is not None:
            self._engine.close()
        self._engine = None

    def _drawn(self, model: torch.nn.Module, numbers: Sequence[int], step: int) -> list[list[int]]:
        from harness.engines.vllm import VllmEngine

        self._engine = self._engine or VllmEngine(self._settings)
        adapter = self._node.settings.method != "full"
        with tempfile.TemporaryDirectory() as folder:
            here = Path(folder)
            named = {"selected_adapters": ["default"]} if adapter else {}
            model.save_pretrained(here, safe_serialization=True, **named)
            self._tokenizer.save_pretrained(here)
            self._engine.load(self._base if adapter else here, [here] if adapter else [])
            first = self._node.seed * 1_000_003 + step * len(numbers)
            asked = [
                replace(
                    self._requests[number],
                    sampling=replace(self._requests[number].sampling, seed=(first + place) % 2**31),
                    adapter=here if adapter else None,
                )
                for place, number in enumerate(numbers)
            ]
            made = dict(self._engine.generate(asked))
        return [list(made[index][0].ids) for index in range(len(asked))]


def pairs_of(plan: Plan, node: StageNode) -> list[Pair]:
    """Right and wrong samples of one question, in pairs; InputError where there are none."""
    drawn = read_samples(plan.stage_dir / str(node.data))
    path = plan.paths[node.tags]
    found = [pair for some in by_question(drawn) for pair in _pairs(some)]
    if not found:
        raise InputError(
            f"{node.label}: no question of {len(drawn)} samples has a right and a wrong one; train longer "
            "before, or draw more"
        )
    prompts = path.ids([path.wrap(render_prompt(right.record)) for right, _ in found])
    end = list(path.stop_ids[:1])

    def ids(one: Drawn) -> list[int]:
        written: list[int] = path.tokenizer(one.output, add_special_tokens=False)["input_ids"]
        return written if one.truncated else written + end

    return [
        Pair(prompt, ids(right), ids(wrong)) for prompt, (right, wrong) in zip(prompts, found, strict=True)
    ]


def _pairs(drawn: Sequence[Drawn]) -> list[tuple[Drawn, Drawn]]:
    """Each right sample with a wrong one; where samples have a reward, the best with the worst."""
    if drawn[0].rewards:
        best, worst = (pick(drawn, key=lambda one: one.reward) for pick in (max, min))
        return [(best, worst)] if best.reward > worst.reward else []
    told_apart: Mapping[bool, dict[str, Drawn]] = {True: {}, False: {}}
    for one in drawn:
        told_apart[one.right].setdefault(one.output, one)
    return list(zip(told_apart[True].values(), told_apart[False].values(), strict=False))

"""Samples: what trained stages answer to training questions, for the stages that learn from it.

They are drawn by the evaluator's own engine into its store, judged by the one scorer, and kept as a stage of
the graph. Which questions are asked depends on the seed alone, so that variants are asked the same.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from harness.engines.api import Completion, Request, Sampling
from harness.engines.registry import create_engine
from harness.evaluation.ask import Wanted
from harness.evaluation.generations import GenerationStore, Queue
from harness.evaluation.key import given, how_likely, with_reasoning
from harness.models.architecture import check_context
from harness.models.checkpoint import Checkpoint
from harness.plan import Plan, sampling_of
from harness.progress import Reporter
from harness.provenance import package_versions
from sftkey_train.stages import StageNode
from sftkey_train.stored import MANIFEST, StageCost
from sftkey_train.variants import MOST_SAMPLES, Kind
from tasks.errors import InputError
from tasks.reading import parse_json, read_text
from tasks.records import Record, parse_record, render_prompt
from tasks.rewards import Judged, RewardSum
from tasks.scoring import Item, score_many
from tasks.seals import kept, whole_folder
from tasks.tags import get_tag_format

SAMPLES = "samples.jsonl"
"""In the folder of a stage that draws: a line for each response, question after question."""


@dataclass(frozen=True)
class Drawn:
    """One response to a training question, judged.

    Attributes:
        record: The question.
        output: What the model wrote.
        truncated: Whether it reached the token limit.
        right: Whether its answer is right, and stands where the format wants it.
        thinking: Its reasoning; None where there is none to be found.
        answer: Its answer span, likewise.
        rewards: Each reward by name.
        reward: Their sum; 0 without any.
    """

    record: Record
    output: str
    truncated: bool
    right: bool
    thinking: str | None
    answer: str | None
    rewards: Mapping[str, float]
    reward: float

    @property
    def whole(self) -> bool:
        """Whether it has all that a training example has."""
        return bool(self.thinking and self.answer and not self.truncated)


@dataclass(frozen=True)
class _Drawing:
    """A stage that draws: of which checkpoint, and what that is asked."""

    node: StageNode
    records: Sequence[Record]
    prompts: Sequence[str]
    wanted: Wanted


def draw_all(plan: Plan, todo: Sequence[tuple[StageNode, Checkpoint]], reporter: Reporter) -> None:
    """Draws what these stages are to draw, of these checkpoints, and puts it into the store.

    InputError where a reward cannot be measured here, or a checkpoint cannot be loaded.
    """
    if not todo:
        return
    config = plan.config
    asked = questions(plan, [node for node, _ in todo])
    engine = create_engine(plan.engine, config.eval.engine_settings, config.eval.server)
    with GenerationStore(config.store_dir / "generations.sqlite") as store:
        queue = Queue(engine, store, reporter, config.store_dir / "merged")
        try:
            drawings = [_drawing(plan, node, of, asked[node.key]) for node, of in todo]
            queue.answer([one.wanted for one in drawings])
            measured = [_measuring(plan, one, queue) if _rewards(one).measured else None for one in drawings]
            queue.answer([_wanted(one, some) for one, some in zip(drawings, measured, strict=True) if some])
        finally:
            engine.close()
        for one, some in zip(drawings, measured, strict=True):
            kept(plan.stage_dir / one.node.key, partial(_write, plan, one, queue, some), one.node.label)


def questions(plan: Plan, nodes: Sequence[StageNode]) -> dict[str, list[Record]]:
    """The training questions of each stage by its key, in the seed's order; fewer are the first of more."""
    total = sum(plan.records.counts.values())
    orders = {node.seed: np.random.default_rng((node.seed, total)).permutation(total) for node in nodes}
    places = {node.key: orders[node.seed][: node.num_questions].tolist() for node in nodes}
    wanted = {place for some in places.values() for place in some}
    found = {place: record for place, record in enumerate(plan.records) if place in wanted}
    return {key: [found[place] for place in some] for key, some in places.items()}


def how_drawn(plan: Plan, node: StageNode) -> Sampling:
    """How a stage draws: as in evaluation, but for its own temperature and nucleus."""
    plain, path = sampling_of(plan.config, plan.benchmarks), plan.paths[node.tags]
    options = dict(node.stage.options)
    return replace(
        plain,
        stop=(*plain.stop, *path.stop_strings),
        stop_ids=path.stop_ids,
        temperature=options["temperature"],
        top_p=options["top_p"],
    )


def _drawing(plan: Plan, node: StageNode, of: Checkpoint, records: Sequence[Record]) -> _Drawing:
    path, count = plan.paths[node.tags], int(dict(node.stage.options)["samples"])
    # Response i is drawn with this seed + i.
    how = replace(how_drawn(plan, node), seed=node.seed * MOST_SAMPLES, n=count)
    prompts = [path.wrap(render_prompt(record)) for record in records]
    requests = tuple(Request(tuple(ids), how) for ids in path.ids(prompts))
    longest = max(len(request.prompt) for request in requests) + how.max_new_tokens
    check_context(of.weights.model_dir, longest, plan.config.eval.engine_settings.max_model_len)
    return _Drawing(node, records, prompts, Wanted(of, requests))


def _rewards(one: _Drawing) -> RewardSum:
    return RewardSum(dict(one.node.stage.rewards))


def _measuring(plan: Plan, one: _Drawing, queue: Queue) -> list[Request | None]:
    """How likely the right answer is after the reasoning of each response; None where it has none."""
    of, requests = one.wanted.checkpoint, one.wanted.requests
    if not queue.measures(of):
        raise InputError(
            f"{one.node.label}: the reward log-prob asks for log-probabilities, which {queue.engine.name} "
            "does not give of this checkpoint; leave the reward out"
        )
    tag_format, drawn = get_tag_format(one.node.tags), queue.completions(of, requests)
    pairs = [(i, said) for i, some in enumerate(drawn) for said, _ in some]
    reasoned = [with_reasoning(one.records[i], said, tag_format) for i, said in pairs]
    made = zip(pairs, given(reasoned, tag_format, plan.paths[one.node.tags]), strict=True)
    return [how_likely(requests[i], known) if known else None for (i, _), known in made]


def _wanted(one: _Drawing, measured: Sequence[Request | None]) -> Wanted:
    return Wanted(one.wanted.checkpoint, tuple(request for request in measured if request))


def _write(plan: Plan, one: _Drawing, queue: Queue, measured: Sequence[Request | None] | None) -> None:
    """Judges the responses and writes the stage's folder, whole or not at all."""
    node, of = one.node, one.wanted.checkpoint
    drawn = queue.completions(of, one.wanted.requests)
    flat = [(i, said, seconds) for i, some in enumerate(drawn) for said, seconds in some]
    likely = _log_probs(one, queue, measured) if measured else [None] * len(flat)
    rows = list(_judged(plan, one, [(i, said) for i, said, _ in flat], likely))
    prompt = sum(said.num_prompt_tokens for _, said, _ in flat)
    output = sum(said.num_output_tokens for _, said, _ in flat)
    cost = StageCost(
        steps=0,
        tokens_forward=0,
        tokens_loss=0,
        flops=0.0,
        wall_seconds=sum(took for *_, took in flat),
        sampled_tokens=prompt + output,
        sampled_flops=_flops(of, prompt, output),
    )
    manifest = {
        "base": plan.base.name,
        "base_digest": plan.base.digest,
        "stage": asdict(node),
        "data": {"records": plan.records.counts, "questions": len(one.records)},
        "samples": {"drawn": len(rows), "right": sum(row.right for row in rows)},
        "packages": package_versions(),
        "cost": asdict(cost),
    }
    with whole_folder(plan.stage_dir / node.key) as folder:
        lines = [json.dumps(asdict(row)) + "\n" for row in rows]  # in ASCII: texts may hold any line end
        (folder / SAMPLES).write_text("".join(lines), encoding="utf-8")
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def _flops(of: Checkpoint, num_prompt_tokens: int, num_output_tokens: int) -> float:
    from sftkey_train.model import generation_flops

    return generation_flops(str(of.weights.model_dir), num_prompt_tokens, num_output_tokens)


def _judged(
    plan: Plan,
    one: _Drawing,
    said: Sequence[tuple[int, Completion]],
    log_probs: Sequence[float | None],
) -> Iterator[Drawn]:
    """The verdict and the rewards of each response."""
    rewards, sampling = _rewards(one), one.wanted.requests[0].sampling
    records, prompts = [one.records[i] for i, _ in said], [one.prompts[i] for i, _ in said]
    texts, alpha, n = [text for _, text in said], plan.config.alpha, sampling.n
    judged = verdicts(records, prompts, texts, one.node.tags, alpha, sampling.max_new_tokens, log_probs)
    for start in range(0, len(judged), n):
        group, parts = said[start : start + n], [rewards.parts(each) for each in judged[start : start + n]]
        totals = rewards.totals(parts)
        for (i, text), each, own, total in zip(group, judged[start:], parts, totals, strict=False):
            thinking, answer = each.score.thinking, each.score.answer
            yield Drawn(
                record=one.records[i],
                output=text.text,
                truncated=each.item.truncated,
                right=each.score.accuracy_strict,
                thinking=text.text[slice(*thinking)] if thinking else None,
                answer=text.text[slice(*answer)] if answer else None,
                rewards=own,
                reward=total,
            )


def verdicts(
    records: Sequence[Record],
    prompts: Sequence[str],
    said: Sequence[Completion],
    tags: str,
    alpha: float,
    max_new_tokens: int,
    log_probs: Sequence[float | None],
) -> list[Judged]:
    """What rewards look at of each response, in the order of the records."""
    tag_format = get_tag_format(tags)
    items = [
        Item.of(
            record, text.text, tag_format, truncated=text.finish_reason == "length", alpha=alpha, prompt=own
        )
        for record, text, own in zip(records, said, prompts, strict=True)
    ]
    return [
        Judged(item, score, text.num_output_tokens, max_new_tokens, likely)
        for item, score, text, likely in zip(items, score_many(items), said, log_probs, strict=True)
    ]


def _log_probs(one: _Drawing, queue: Queue, measured: Sequence[Request | None]) -> list[float | None]:
    """log p of the right answer in nats, for each response."""
    made = iter(queue.completions(one.wanted.checkpoint, _wanted(one, measured).requests))
    return [-math.log(2) * float(next(made)[0][0].text) if request else None for request in measured]


def examples(directory: Path, kind: Kind, label: str) -> list[Record]:
    """What a stage learns from samples, as training records.

    Args:
        directory: Folder of the stage that drew.
        kind: Of the stage that learns.
        label: Its name, in errors.

    Raises:
        InputError: There is nothing to learn from.
    """
    drawn = read_samples(directory)
    if kind == "on-policy-key":
        own = [
            replace(one.record, rationale=one.thinking) for one in drawn if one.thinking and not one.truncated
        ]
        none = f"{label}: none of {len(drawn)} samples reasons to an end; train longer before"
        return _told_apart(own, none)
    if drawn and drawn[0].rewards:
        if len({one.reward for one in drawn}) == 1:
            raise InputError(
                f"{label}: the reward is {drawn[0].reward:g} for all {len(drawn)} samples, so that none is "
                "better than another; take another reward, or draw more"
            )
        whole = [one for one in drawn if one.whole]
        drawn = [max(some, key=lambda one: one.reward) for some in by_question(whole)]
    else:
        drawn = [one for one in drawn if one.right]
    own = [replace(one.record, rationale=one.thinking, answer=str(one.answer)) for one in drawn if one.whole]
    none = f"{label}: none of the samples is right and in the tag format; train longer before, or draw more"
    return _told_apart(own, none)


def by_question(drawn: Sequence[Drawn]) -> list[list[Drawn]]:
    """The samples of each question."""
    groups: dict[str, list[Drawn]] = {}
    for one in drawn:
        groups.setdefault(one.record.id, []).append(one)
    return list(groups.values())


def _told_apart(records: Sequence[Record], none: str) -> list[Record]:
    """Equal ones once, each with an id of its own; InputError where there are `none`."""
    different = list(dict.fromkeys(records))
    if not different:
        raise InputError(none)
    return [replace(record, id=f"{record.id} sample {i}") for i, record in enumerate(different)]


def read_samples(directory: Path) -> list[Drawn]:
    """The samples of a stage that draws; InputError where its file is damaged."""
    path, found = directory / SAMPLES, []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        row: dict[str, Any] = parse_json(line, f"{path}, line {number}")
        found.append(Drawn(**{**row, "record": parse_record(row["record"], f"{path}, line {number}")}))
    return found

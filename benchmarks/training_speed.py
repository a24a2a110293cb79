"""Step time and peak memory of both stages on GSM8K's lengths, against TRL's SFTTrainer.

    python -m benchmarks training_speed [--shape qwen2.5-0.5b] [--layers 24]

A model of Qwen2.5-0.5B's or SmolLM2-135M's shape with random weights, random tokens in examples of GSM8K's
lengths, the same examples with the same loss on both sides. The examples are one for each quantile of the
length, so that a pass over them stands for a pass over the data; both sides sort them into batches of like
length. The first pass warms up and holds the step that logs; the second is timed, batch for batch the same on
both sides.

TRL goes in with every version and setting that may suit it, ours with its default and packed; all are tried
once and printed, and the fastest of each side then take turns. A step's share of the matmul peak counts
useful work alone (`shapes.training_flops`).
"""

from __future__ import annotations

import argparse
import pickle
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure.children import Side, in_turns, run_child
from benchmarks.measure.gsm8k import TAGGED, add_data_dir, train_tokenizer, training_records
from benchmarks.measure.shapes import QWEN, SMOLLM2, Flops, Shape, cut, training_flops
from benchmarks.measure.tables import GIB, against, machine, ratio, spread, table
from benchmarks.trl.environment import NEWEST, Rival, ensure_environment
from sftkey_train.corpus import Corpus
from sftkey_train.segments import LOSS_PRESETS, SEGMENTS
from sftkey_train.spans import encode
from sftkey_train.text import TextPath

OURS: Mapping[str, Mapping[str, Any]] = {"ours": {}, "ours, packed": {"packing": True}}
RIVALS = (
    Rival(NEWEST, ""),
    Rival("1.14.2", "chunked_nll", {"loss_type": "chunked_nll"}),
    Rival("1.14.2", "chunked_nll, padding-free", {"loss_type": "chunked_nll", "padding_free": True}),
    Rival("1.14.2", "nll", {"loss_type": "nll"}),
)
BF16_ON_A_CPU = Rival("1.14.2", "chunked_nll, bf16", {"loss_type": "chunked_nll", "bf16": True})
LOSS_OF_STAGE = {1: "response", 2: "key"}
SHAPES = {"qwen2.5-0.5b": QWEN, "smollm2-135m": SMOLLM2}
GOALS = {QWEN: ({1: 1.0, 2: 0.75}, {1: 1.0, 2: 0.5}), SMOLLM2: ({1: 0.75, 2: 0.75}, {1: 0.8, 2: 0.8})}
"""Of time and of memory, for each stage."""
LAYERS_ON_A_CPU = {QWEN: 4}
_VOCABULARY_OF_LENGTHS = 8192


@dataclass(frozen=True)
class Case:
    """What is trained.

    Attributes:
        corpus: The examples, with random tokens.
        shape: Of the model.
        goals: Of its time and memory, by stage.
        batch_size: Examples a step.
        num_batches: Steps a pass.
    """

    corpus: Corpus
    shape: Shape
    goals: tuple[Mapping[int, float], Mapping[int, float]]
    batch_size: int
    num_batches: int

    def loss_mask(self, stage: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Which tokens carry loss."""
        weights = LOSS_PRESETS[LOSS_OF_STAGE[stage]]
        return np.array([weights.get(name, 0.0) > 0 for name in SEGMENTS])[self.corpus.segments_N]

    def flops(self, stage: int) -> Flops:
        """Useful work of a pass."""
        lengths = [int(length) for length in self.corpus.lengths_E]
        return training_flops(self.shape, lengths, int(self.loss_mask(stage).sum()))


def make_case(arguments: argparse.Namespace) -> tuple[Case, str]:
    """The examples, and where their lengths come from."""
    records, source = training_records(arguments.data_dir, 7473)
    path = TextPath.of(train_tokenizer(records, _VOCABULARY_OF_LENGTHS), "plain")
    everything = encode(records, TAGGED, path, 1024)
    count = arguments.batch_size * arguments.batches
    quantiles = (np.arange(count) + 0.5) / count * len(everything)
    chosen = np.argsort(everything.lengths_E, kind="stable")[quantiles.astype(int)]
    corpus = encode([records[i] for i in chosen], TAGGED, path, 1024)
    whole = SHAPES[arguments.shape]
    shape = cut(whole, arguments.layers or whole.num_layers)
    ids = np.random.default_rng(0).integers(0, shape.vocabulary, len(corpus.ids_N), dtype=np.int32)
    case = Case(replace(corpus, ids_N=ids), shape, GOALS[whole], arguments.batch_size, arguments.batches)
    return case, source


def specification(case: Case, stage: int, work: Path) -> dict[str, Any]:
    """What both sides are told of a stage."""
    pickled, tokenizer = work / "corpus.pickle", work / "tokenizer"
    if not pickled.exists():
        pickled.write_bytes(pickle.dumps(case.corpus))
        train_tokenizer(training_records(Path("nowhere"), 10)[0], 300).save_pretrained(tokenizer)
    borders = case.corpus.starts_E[1:-1]
    return {
        "stage": stage,
        "corpus": str(pickled),
        "ids": [part.tolist() for part in np.split(case.corpus.ids_N, borders)],
        "completion_mask": [part.astype(int).tolist() for part in np.split(case.loss_mask(stage), borders)],
        "tokenizer": str(tokenizer),
        "shape": asdict(case.shape),
        "batch_size": case.batch_size,
        "num_steps": 2 * case.num_batches - 1,
        "log_every": case.num_batches,
        "learning_rate": 1e-5,
    }


@dataclass(frozen=True)
class Measured:
    """One process."""

    step_seconds: float
    peak_gib: float
    share_of_peak: float


Results = Mapping[str, Sequence[Measured]]


def race(
    case: Case, stage: int, rivals: Sequence[Rival], repeats: int, work: Path
) -> tuple[Results, str, str]:
    """All sides once, then the fastest of ours and of the rivals in turns; says which these were."""
    told = specification(case, stage, work)
    results: dict[str, list[Measured]] = {}

    ours = [(Side(name, Path(sys.executable), "benchmarks.ours.train_steps"), OURS[name]) for name in OURS]
    theirs = [(rival.side("benchmarks.trl.train_steps"), rival.settings) for rival in rivals]

    def run(side: Side, settings: Mapping[str, Any]) -> None:
        print(f"stage {stage}: {side.name}", file=sys.stderr)
        result = run_child(side, {**told, "settings": dict(settings)}, work)
        timed = result["seconds"][-case.num_batches :]
        share = case.flops(stage).total / sum(timed) / result["matmul_peak"]
        measured = Measured(statistics.mean(timed), result["peak_bytes"] / GIB, share)
        results.setdefault(side.name, []).append(measured)

    for side, settings in (*ours, *theirs):
        run(side, settings)

    def fastest(sides: Sequence[tuple[Side, Mapping[str, Any]]]) -> tuple[Side, Mapping[str, Any]]:
        equals = [one for one in sides if one[0].name != BF16_ON_A_CPU.name]
        return min(equals, key=lambda one: results[one[0].name][0].step_seconds)

    pair = [fastest(theirs), fastest(ours)]
    for side, settings in in_turns(pair, repeats - 1):
        run(side, settings)
    return results, pair[1][0].name, pair[0][0].name


def report(case: Case, stage: int, results: Results, best: str, fastest: str) -> str:
    """A table of all sides, and the best of ours against the fastest rival."""
    flops = case.flops(stage)
    ours, theirs = results[best], results[fastest]
    rows = [
        [
            name,
            spread(_all(runs, "step_seconds")),
            ratio(_all(ours, "step_seconds"), _all(runs, "step_seconds")),
            spread(_all(runs, "peak_gib")),
            ratio(_all(ours, "peak_gib"), _all(runs, "peak_gib")),
            spread([100 * share for share in _all(runs, "share_of_peak")], 0),
        ]
        for name, runs in results.items()
    ]
    head = ["side", "s a step", "ours / it", "peak GiB", "ours / it", "% of matmul peak"]
    state_gib = case.shape.state_bytes / GIB
    floor = state_gib / statistics.median(_all(theirs, "peak_gib"))
    lines = [
        f"### Stage {stage}: loss on {case.loss_mask(stage).mean():.0%} of the tokens, "
        f"the head is {flops.head / flops.total:.0%} of the useful FLOPs",
        table(head, rows),
        f"{best.capitalize()}, against {fastest}, the fastest rival: "
        f"time {against(_all(ours, 'step_seconds'), _all(theirs, 'step_seconds'), case.goals[0][stage])}, "
        f"peak memory {against(_all(ours, 'peak_gib'), _all(theirs, 'peak_gib'), case.goals[1][stage])}. "
        f"Weights, gradients and AdamW alone are {state_gib:.2f} GiB on either side, "
        f"so that no ratio of memory could be below {floor:.2f}.",
    ]
    return "\n\n".join(lines)


def _all(runs: Sequence[Measured], name: str) -> list[float]:
    return [getattr(run, name) for run in runs]


def main(arguments: Sequence[str]) -> None:
    """Prints a table for each stage, in Markdown."""
    import torch

    on_gpu = torch.cuda.is_available()
    parser = argparse.ArgumentParser(prog="python -m benchmarks training_speed", description=__doc__)
    parser.add_argument("--shape", choices=SHAPES, default="qwen2.5-0.5b")
    parser.add_argument("--layers", type=int, help="of all; of Qwen's 24, on a CPU, 4 where it is not said")
    parser.add_argument("--batch-size", type=int, default=32 if on_gpu else 4, help="examples a step")
    parser.add_argument("--batches", type=int, default=20 if on_gpu else 2, help="steps that are timed")
    parser.add_argument("--repeats", type=int, default=3, help="processes of a side")
    parser.add_argument("--bf16", action="store_true", help="also TRL in bfloat16, its default, on a CPU")
    add_data_dir(parser)
    told = parser.parse_args(arguments)
    if not on_gpu:
        told.layers = told.layers or LAYERS_ON_A_CPU.get(SHAPES[told.shape])
    ensure_environment()
    rivals = RIVALS if on_gpu or not told.bf16 else (*RIVALS, BF16_ON_A_CPU)
    with tempfile.TemporaryDirectory() as folder:
        case, source = make_case(told)
        print(f"{machine()}\n")
        print(
            f"{case.shape.name}, {'bfloat16' if on_gpu else 'float32'}, "
            f"{case.batch_size} examples a step, {case.num_batches} steps of a pass timed, "
            f"{len(case.corpus.ids_N)} tokens in {len(case.corpus)} examples, lengths from {source}; "
            f"median (range) of {told.repeats} processes, one for the rivals that were slower\n"
        )
        for stage in LOSS_OF_STAGE:
            print(
                report(case, stage, *race(case, stage, rivals, told.repeats, Path(folder))), "\n", flush=True
            )


if __name__ == "__main__":
    main(sys.argv[1:])

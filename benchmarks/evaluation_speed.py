"""Tokens a second of our evaluation, against `vllm.LLM.generate` on the same prompts.

    python -m benchmarks evaluation_speed

Both sides have the same model, prompts, sampling (stop strings and stop tokens among it) and engine options,
each in a process of its own. The engine is loaded and warm when the clock starts; it stops with the last
completion. Ours looks into the store first, asks for the longest prompts first, decodes each completion once
more as a whole and writes it to the store. What comes after that, up to scored samples, is reported apart.

Three models with random weights: the embedded one's shape, where Python weighs most, SmolLM2-135M's, and 4
layers of Qwen2.5-0.5B's, where the engine does.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.measure.children import Side, in_turns, run_child
from benchmarks.measure.gsm8k import add_data_dir, train_tokenizer, training_records
from benchmarks.measure.models import EMBEDDED, embedded_tokenizer, write_model
from benchmarks.measure.shapes import QWEN, SMOLLM2, Shape, cut
from benchmarks.measure.tables import at_least, machine, ratio, spread, table

GOAL = 0.95
QWEN_4_LAYERS = replace(cut(QWEN, 4), vocabulary=0, tied=False, biased=False)
"""As a Llama, since a tokenizer of ours is taken for another in a Qwen2."""
WORLDS = ("world_number", "world_choice")
_VOCABULARY = 8192
_SIDES = ("ours", "vllm")
_NAMES = {"ours": "our evaluation", "vllm": "vllm.LLM.generate"}


@dataclass(frozen=True)
class Case:
    """A model and what it is asked.

    Attributes:
        shape: Of the model.
        benchmarks: Names.
        limit: Prompts of each benchmark.
        max_new_tokens: Token budget of a response, which random weights use up.
        data_dir: Folder of benchmark data.
    """

    shape: Shape
    benchmarks: tuple[str, ...]
    limit: int
    max_new_tokens: int
    data_dir: Path | None

    def told(self, model: Path, side: str) -> dict[str, Any]:
        """What a process is told."""
        return {
            "side": side,
            "model": str(model),
            "benchmarks": self.benchmarks,
            "limit": self.limit,
            "max_new_tokens": self.max_new_tokens,
            "data_dir": str(self.data_dir) if self.data_dir else None,
        }


def cases(data_dir: Path, limit: int, large_limit: int, max_new_tokens: int) -> list[Case]:
    """The small model on made-up worlds, and the large ones on GSM8K where it is at hand."""
    there = (data_dir / "gsm8k" / "test.jsonl").is_file()
    large = (("gsm8k",), data_dir) if there else (WORLDS, None)
    return [
        Case(EMBEDDED, WORLDS, limit, max_new_tokens, None),
        Case(SMOLLM2, large[0], large_limit, max_new_tokens, large[1]),
        Case(QWEN_4_LAYERS, large[0], large_limit, max_new_tokens, large[1]),
    ]


def prepare(case: Case, data_dir: Path, folder: Path) -> int:
    """Writes the model; gives the number of its weights."""
    if case.shape is EMBEDDED:
        return write_model(folder, embedded_tokenizer(), case.shape)
    tokenizer = train_tokenizer(training_records(data_dir, 7473)[0], _VOCABULARY)
    return write_model(folder, tokenizer, case.shape)


def measure(case: Case, model: Path, repeats: int, work: Path) -> dict[str, list[dict[str, Any]]]:
    """Both sides in turns, each in a fresh process."""
    results: dict[str, list[dict[str, Any]]] = {side: [] for side in _SIDES}
    for side in in_turns(_SIDES, repeats):
        found = run_child(
            Side(side, Path(sys.executable), "benchmarks.ours.evaluation"), case.told(model, side), work
        )
        rate = found["num_tokens"] / found["seconds"]
        print(f"{case.shape.name}: {_NAMES[side]} {rate:.0f} tokens/s", file=sys.stderr)
        results[side].append(found)
    return results


def report(case: Case, num_weights: int, results: dict[str, list[dict[str, Any]]]) -> None:
    """Prints a table in Markdown."""
    ours = results["ours"]
    texts = [results[side][0]["texts"] for side in _SIDES]
    other = sum(_characters(mine) != _characters(its) for mine, its in zip(*texts, strict=True))
    print(f"\n#### {case.shape.name}, {num_weights / 1e6:.1f}M weights\n")
    names = ", ".join(case.benchmarks)
    print(f"{len(texts[0])} prompts of {names}, at most {case.max_new_tokens} tokens each\n")
    rates = {side: [one["num_tokens"] / one["seconds"] for one in runs] for side, runs in results.items()}
    rows = [
        [_NAMES[side], spread([one["seconds"] for one in results[side]]), spread(rates[side], 0)]
        for side in _SIDES
    ]
    print(table(["side", "s", "tokens/s"], rows))
    print(f"\nTokens/s of ours over vLLM's: {at_least(rates['ours'], rates['vllm'], GOAL)}")
    print(f"Outputs that differ: {other} of {len(texts[0])}")
    scoring = [one["scoring_seconds"] for one in ours]
    whole = [one["num_tokens"] / (one["seconds"] + one["scoring_seconds"]) for one in ours]
    print(f"From completions to scored samples: {spread(scoring)} s more, after imports;")
    print(f"with it, tokens/s over vLLM's: {ratio(whole, rates['vllm'])}")


def _characters(text: str) -> str:
    """Bytes that form no character are written otherwise by a decoder that reads one token at a time."""
    return text.replace("\N{REPLACEMENT CHARACTER}", "")


def main(arguments: Sequence[str]) -> None:
    """Prints tables in Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks evaluation_speed", description=__doc__)
    parser.add_argument("--limit", type=int, default=500, help="prompts of a benchmark for the small model")
    parser.add_argument("--large-limit", type=int, default=256, help="likewise for each large one")
    parser.add_argument("--max-new-tokens", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3, help="processes of a side")
    parser.add_argument("--quick", action="store_true", help="the small model alone, 16 prompts, once")
    add_data_dir(parser)
    told = parser.parse_args(arguments)
    if told.quick:
        told.limit, told.repeats, told.max_new_tokens = 8, 1, 8
    asked = cases(told.data_dir, told.limit, told.large_limit, told.max_new_tokens)
    print(f"{machine()}\n\nmedian (range) of {told.repeats} processes")
    for case in asked[:1] if told.quick else asked:
        with tempfile.TemporaryDirectory() as folder:
            model, work = Path(folder) / "model", Path(folder)
            num_weights = prepare(case, told.data_dir, model)
            report(case, num_weights, measure(case, model, told.repeats, work))


if __name__ == "__main__":
    main(sys.argv[1:])

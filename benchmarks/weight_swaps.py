"""What one vLLM engine for many checkpoints saves, and whether each answers as in an engine of its own.

    python -m benchmarks weight_swaps

Models of one layer with random weights, their heads tied or not: a second one's weights go into the living
engine, and what it then says is held against a fresh engine. Adapters are served beside their base in one
batch and held against their merged weights, each in a fresh engine. The dtype is the engine's default on this
machine; in bfloat16 a merged adapter may say otherwise, since merging rounds.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.measure.models import EMBEDDED, embedded_tokenizer, write_adapters, write_model
from benchmarks.measure.tables import machine, table, table_line
from harness.engines.api import EngineSettings, Request, Sampling
from harness.engines.vllm import VllmEngine
from harness.models.checkpoint import merged, whole_model, with_adapter
from tasks.records import render_prompt
from tasks.world.generate import load

SHARP = 0.3
"""Standard deviation of the weights: large enough that few of the likeliest tokens are nearly equal."""
_ADAPTERS = 3


def main(_: Sequence[str]) -> None:
    """Prints two tables in Markdown."""
    with tempfile.TemporaryDirectory() as folder:
        print(f"{machine()}\n")
        head = ["head", "start of an engine, s", "swap, s", "as in a fresh engine", "first model again"]
        print(table(head, []))
        for tied in (True, False):
            print(table_line(_swapped(Path(folder), tied=tied)), flush=True)
        print("\n" + table(["who", "start, s", "as merged, in an engine of its own", "as the base"], []))
        for row in _served(Path(folder)):
            print(table_line(row), flush=True)


def _swapped(folder: Path, *, tied: bool) -> list[str]:
    models = [_model(folder / f"tied-{tied}-{seed}", seed, tied=tied) for seed in (0, 1)]
    engine = _engine()
    started = _load(engine, models[0])
    first = _answers(engine, models[0])
    swapped = _load(engine, models[1])
    second = _answers(engine, models[1])
    _load(engine, models[0])
    again = _answers(engine, models[0])
    engine.close()
    own = _alone(models[1])
    name = "tied" if tied else "of its own"
    return [name, f"{started:.1f}", f"{swapped:.2f}", _same(second, own), _same(again, first)]


def _served(folder: Path) -> Iterator[list[str]]:
    base = _model(folder / "base", 0, tied=False)
    adapters = write_adapters(base, folder, _ADAPTERS)
    engine = _engine()
    if refusal := engine.refusal(adapters[0]):
        yield ["adapters", "", refusal, ""]
        return
    started = _load(engine, base, adapters)
    found = {who: _answers(engine, base, who) for who in (None, *adapters)}
    engine.close()
    for who, answers in found.items():
        weights = with_adapter(whole_model(base), who) if who else whole_model(base)
        with merged(weights, folder) as model:
            own = _alone(model())
        name = who.name if who else "the base"
        yield [name, f"{started:.1f}", _same(answers, own), _same(answers, found[None])]


def _model(folder: Path, seed: int, *, tied: bool) -> Path:
    shape = replace(EMBEDDED, num_layers=1, tied=tied)
    write_model(folder, embedded_tokenizer(), shape, seed=seed, initializer_range=SHARP)
    return folder


def _engine() -> VllmEngine:
    return VllmEngine(
        EngineSettings(kv_cache_gib=0.25, gpu_memory_utilization=0.1, max_num_seqs=32, adapters="beside")
    )


def _load(engine: VllmEngine, model: Path, adapters: Sequence[Path] = ()) -> float:
    begun = time.perf_counter()
    engine.load(model, adapters)
    return time.perf_counter() - begun


def _answers(engine: VllmEngine, model: Path, adapter: Path | None = None) -> list[str]:
    from sftkey_train.text import TextPath, load_tokenizer

    path = TextPath.of(load_tokenizer(str(model)), "plain")
    prompts = path.ids([render_prompt(record) for record in load("test", size=32)])
    asked = [Request(tuple(ids), Sampling(max_new_tokens=32), adapter) for ids in prompts]
    found = dict(engine.generate(asked))
    return [found[index][0].text for index in range(len(asked))]


def _alone(model: Path) -> list[str]:
    engine = _engine()
    engine.load(model)
    answers = _answers(engine, model)
    engine.close()
    return answers


def _same(ours: Sequence[str], theirs: Sequence[str]) -> str:
    return f"{sum(one == other for one, other in zip(ours, theirs, strict=True))} of {len(ours)}"

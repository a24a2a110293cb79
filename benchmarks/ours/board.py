"""One process of `board_speed`: makes a run, builds its board, or takes the same bootstrap naively."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure.children import answer

NUM_RESAMPLES = 2000
_NAIVE_SECONDS = 30.0
_NUMBERS = 40
"""Numbers in the reasoning of an output."""


def make(told: dict[str, Any]) -> dict[str, float]:
    """Stores a run: outputs are right by the entry's skill and the question's ease, and reason in numbers."""
    import pandas as pd

    from leaderboards import write_results
    from leaderboards.results.schema import Entry, Evaluation

    rng = np.random.default_rng(0)
    benchmarks = [f"benchmark_{i}" for i in range(told["benchmarks"])]
    size = told["questions"]
    ease = {name: rng.standard_normal(size) for name in benchmarks}
    entries, frames = [], []
    for number in range(told["entries"]):
        name = "sft-tag-x2" if number == 0 else f"variant-{number}"
        evaluations = []
        for benchmark in benchmarks:
            frames.append(_samples(name, benchmark, ease[benchmark] + 0.1 * number, rng, pd))
            evaluations.append(
                Evaluation(benchmark, size, benchmark, "hf", "float32", 50 * size, 60 * size, 1.0, {})
            )
        entries.append(
            Entry(
                name,
                "model",
                "trained",
                0,
                "thinking-answer",
                True,
                "full",
                name,
                name,
                None,
                tuple(evaluations),
            )
        )
    write_results(
        Path(told["run"]), {"made by": "board_speed"}, entries, pd.concat(frames, ignore_index=True)
    )
    return {}


def _samples(name: str, benchmark: str, ease_Q: Any, rng: np.random.Generator, pd: Any) -> Any:
    size = len(ease_Q)
    right = ease_Q + rng.standard_normal(size) > 0
    valid = rng.random(size) < 0.95
    numbers = rng.integers(0, 10_000, (size, _NUMBERS))
    texts = [" + ".join(map(str, row)) for row in numbers.tolist()]
    answers = rng.integers(0, 1000, size).astype(str)
    outputs = [f"<Thinking>{t}</Thinking>\n<Answer>{a}</Answer>" for t, a in zip(texts, answers, strict=True)]
    thinking_end = len("<Thinking>") + np.array([len(text) for text in texts])
    answer_start = thinking_end + len("</Thinking>\n<Answer>")
    return pd.DataFrame(
        {
            "entry": name,
            "model": "model",
            "seed": pd.array([0] * size, dtype="Int64"),
            "benchmark": benchmark,
            "sample_id": [f"{benchmark}-{i}" for i in range(size)],
            "sample_index": 0,
            "prompt": [f"Question: number {i} of {benchmark}?\n" for i in range(size)],
            "output": outputs,
            "gold": answers,
            "choices": None,
            "extracted": answers,
            "accuracy": right,
            "accuracy_strict": right & valid,
            "format_valid": valid,
            "score": 0.7 * right + 0.3 * valid,
            "truncated": False,
            "defects": [[] if ok else ["text_outside"] for ok in valid],
            "finish_reason": "stop",
            "prompt_tokens": 50,
            "output_tokens": 60,
            "judge": pd.array([None] * size, dtype="boolean"),
            "thinking_chars": pd.array([len(text) for text in texts], dtype="Int64"),
            "gold_chars": pd.array([len(answer) for answer in answers], dtype="Int64"),
            "thinking_start": pd.array([len("<Thinking>")] * size, dtype="Int64"),
            "thinking_end": pd.array(thinking_end, dtype="Int64"),
            "answer_start": pd.array(answer_start, dtype="Int64"),
            "answer_end": pd.array(answer_start + [len(answer) for answer in answers], dtype="Int64"),
        }
    )


def board(told: dict[str, Any]) -> dict[str, float]:
    """The board from the stored run."""
    from leaderboards import build_board, read_outcomes

    return _timed(lambda: build_board([read_outcomes(Path(told["run"]))]))


def report(told: dict[str, Any]) -> dict[str, float]:
    """The board and every form of the report."""
    from leaderboards import build_board, read_outcomes, write_report

    def run() -> None:
        runs = [read_outcomes(Path(told["run"]))]
        write_report(build_board(runs), Path(told["run"]) / "leaderboard", runs)

    found = _timed(run)
    page = Path(told["run"]) / "leaderboard" / "leaderboard.html"
    return {**found, "page_bytes": page.stat().st_size}


def naive(told: dict[str, Any]) -> dict[str, float]:
    """SciPy's bootstrap of every mean, and of every difference to the reference, one after another."""
    import pandas as pd
    from scipy.stats import bootstrap

    metrics = ["accuracy", "accuracy_strict", "format_valid", "score"]
    done = {"figures": 0, "all": 0}

    def run() -> None:
        columns = ["entry", "benchmark", "sample_id", *metrics]
        samples = pd.read_parquet(Path(told["run"]) / "samples.parquet", columns=columns)
        values = [
            (name, metric, group.pivot(index="sample_id", columns="entry", values=metric).astype(float))
            for name, group in samples.groupby("benchmark")
            for metric in metrics
        ]
        arrays = [array for _, _, table in values for array in _means_and_differences(table)]
        done["all"] = len(arrays)
        start = time.perf_counter()
        for array in arrays:
            if time.perf_counter() - start > _NAIVE_SECONDS:
                break
            bootstrap((array,), np.mean, n_resamples=NUM_RESAMPLES, method="percentile", batch=100)
            done["figures"] += 1

    found = _timed(run)
    return {**found, "share": done["figures"] / done["all"]}


def _means_and_differences(table: Any) -> list[Any]:
    reference = table["sft-tag-x2"].to_numpy()
    own = [table[name].to_numpy() for name in table]
    others = [table[name].to_numpy() - reference for name in table if name != "sft-tag-x2"]
    return [*own, *others]


def _timed(run: Callable[[], object]) -> dict[str, float]:
    import leaderboards.board.build
    import leaderboards.report.write  # noqa: F401  imports are not what is measured

    start = time.perf_counter()
    run()
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "peak_bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}


if __name__ == "__main__":
    does = {"make": make, "board": board, "report": report, "naive": naive}
    answer(lambda told: does[told["do"]](told))

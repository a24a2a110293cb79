"""Choose the embedded default's second-stage learning rate on the validation split.

    python -m studies second_stage

The rate is chosen for sftkey-tag, the method under test: what accuracy it reaches on the validation questions
of the training difficulty. The compute-matched control then uses the same rate, so the choice favours the
method, if anything. No test question is looked at.
"""

from __future__ import annotations

import sys
from pathlib import Path

from harness.config import load_config
from harness.files import run_folder
from harness.plan import make_plan
from harness.progress import Reporter
from harness.run import evaluate, train
from leaderboards import read_results

RATES = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3)
VARIANTS = ("sft-tag", "sftkey-tag", "sft-tag-x2")


def measure(rate: float, out: Path) -> dict[tuple[str, str], tuple[float, float]]:
    """(variant, benchmark) -> (accuracy, format validity) on the validation split at this rate."""
    config = load_config(
        None,
        {
            "out": out / f"{rate:g}",
            "store": out / "store",
            "variants": ",".join(VARIANTS),
            "seeds": 2,
            "eval.split": "validation",
            "train.second_learning_rate": rate,
        },
        [],
    )
    plan = make_plan(config)
    from rich.console import Console

    reporter = Reporter(Console(stderr=True))
    with run_folder(config):
        train(plan, reporter)
        evaluate(plan, reporter)
    means = (
        read_results(config.out).samples.groupby(["entry", "benchmark"])[["accuracy", "format_valid"]].mean()
    )
    return {
        (str(entry), str(benchmark)): (float(row["accuracy"]), float(row["format_valid"]))
        for (entry, benchmark), row in means.iterrows()
        if entry in VARIANTS
    }


def main(arguments: list[str]) -> None:
    """Prints a Markdown table, a row for each rate, variant and benchmark."""
    out = Path(arguments[0]) if arguments else Path("runs/second_stage")
    print("| rate | variant | benchmark | accuracy | format |\n|---|---|---|---|---|")
    for rate in RATES:
        for (variant, benchmark), (accuracy, format_valid) in measure(rate, out).items():
            print(f"| {rate:g} | {variant} | {benchmark} | {accuracy:.3f} | {format_valid:.3f} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])

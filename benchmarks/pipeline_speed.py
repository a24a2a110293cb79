"""From data to a comparison: one `harness train-and-eval`, against TRL and `lm_eval` for each variant.

    python -m benchmarks pipeline_speed [--seeds 1] [--all-variants] [--quick]

Four variants, or six, of a small Llama with a tied head, 1,000 GSM8K examples, one pass for each stage; then
200 test questions × 128 tokens through vLLM. Ours is one command, the base model's evaluation and the
leaderboard included. Theirs are a process of TRL and one of `lm_eval` for each variant, one after another, as
a script of their user would start them, without any comparison; further seeds take them as long as the
first, which is measured. Environments and trials are those of `suite_speed` and `lm_eval_suite`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import benchmarks.lm_eval.environment as of_lm_eval
import benchmarks.trl.environment as of_trl
from benchmarks import suite_speed
from benchmarks.lm_eval.command import Question, Rival, fastest
from benchmarks.measure.children import run_child, run_command
from benchmarks.measure.gsm8k import add_data_dir, made_up_records, training_records, write_records
from benchmarks.measure.tables import against, machine, spread, table
from tasks.benchmarks import load_benchmark
from tasks.records import Record

FOUR = ("sft", "sft-tag", "sftkey-tag", "sft-tag-x2")
NEW_TOKENS, GOAL = 128, 1 / 4


@dataclass(frozen=True)
class Case(suite_speed.Case):
    """What is trained and asked.

    Attributes:
        limit: Test questions.
        seeds: Of each variant.
        variants: Their names.
    """

    limit: int = 200
    seeds: int = 1
    variants: Sequence[str] = FOUR

    def ours(self, repeat: int) -> list[str]:
        """The command that does all of it."""
        command = super().ours(repeat)
        command[command.index("train")] = "train-and-eval"
        for option, value in (("--variants", ",".join(self.variants)), ("--seeds", str(self.seeds))):
            command[command.index(option) + 1] = value
        asked = ("--limit", str(self.limit), "--engine", "vllm", "--set", f"eval.max_new_tokens={NEW_TOKENS}")
        return [*command, *asked, "--set", "train.budget_of=stage"]

    def stages(self, variant: str) -> int:
        """How many a variant has, each a pass of the data."""
        return len(suite_speed.VARIANTS[variant][1])


def theirs(case: Case, variant: str, trl: of_trl.Rival, lm_eval: Rival, repeat: int) -> tuple[float, float]:
    """Seconds of TRL's process, and of lm-eval's on the weights that it leaves."""
    told = case.theirs(variant, trl, case.stages(variant) * case.num_steps)
    trained = run_child(trl.side("benchmarks.trl.suite"), told, case.work)["process_seconds"]
    out = case.work / f"lm-eval-{variant}-{repeat}"
    return trained, lm_eval.run(_question(case, variant), None, out)


def _question(case: Case, variant: str) -> Question:
    tags = suite_speed.VARIANTS[variant][0].name
    model = case.work / f"theirs-{variant}"
    return Question(model, 0, ("gsm8k",), case.limit, NEW_TOKENS, case.work / "data", tags)


def test_records(data_dir: Path, count: int) -> list[Record]:
    """Questions of GSM8K's test, or made-up ones."""
    if (data_dir / "gsm8k" / "test.jsonl").is_file():
        return load_benchmark("gsm8k").records("test", data_dir)[:count]
    return made_up_records(count, seed=1)


def main(arguments: Sequence[str]) -> None:
    """Prints a table in Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks pipeline_speed", description=__doc__)
    parser.add_argument("--examples", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--all-variants", action="store_true", help="six, not four")
    parser.add_argument("--repeats", type=int, default=1, help="of both sides")
    parser.add_argument("--quick", action="store_true", help="16 examples, 4 questions")
    add_data_dir(parser)
    told = parser.parse_args(arguments)
    examples, limit = (16, 4) if told.quick else (told.examples, 200)
    of_trl.ensure_environment()
    of_lm_eval.ensure_environment()
    records, source = training_records(told.data_dir, examples)
    with tempfile.TemporaryDirectory() as folder:
        variants = tuple(suite_speed.VARIANTS) if told.all_variants else FOUR
        case = Case(records, Path(folder), limit, told.seeds, variants)
        case.prepare()
        write_records(case.work / "data" / "gsm8k" / "test.jsonl", test_records(told.data_dir, limit))
        trl = suite_speed.best_rival(case)
        theirs(case, "sft-tag", trl, Rival(False), -1)  # leaves the weights for lm-eval's trial
        lm_eval, _ = fastest(_question(case, "sft-tag"), None, case.work / "trial", 8)
        ours, sums, parts = [], [], []
        for repeat in range(told.repeats):
            ours.append(run_command(case.ours(repeat), {"HARNESS_CACHE": str(case.work / f"cache-{repeat}")}))
            print(f"ours: {ours[-1]:.1f} s", file=sys.stderr)
            parts = [theirs(case, variant, trl, lm_eval, repeat) for variant in variants]
            sums.append(told.seeds * sum(map(sum, parts)))
            print(f"theirs: {sums[-1]:.1f} s", file=sys.stderr)
    print(f"{machine()}\n\n{examples} examples of {source}, {limit} questions, seeds: {told.seeds}\n")
    rows = [
        ["ours: all of it in one command", spread(ours, 1)],
        *(
            [f"{trl.name} and {lm_eval.name}: {variant}", f"{trained:.1f} + {evaluated:.1f}"]
            for variant, (trained, evaluated) in zip(variants, parts, strict=True)
        ),
        [f"theirs: {told.seeds * len(variants)} runs of each, one after another", spread(sums, 1)],
    ]
    print(table(["side", "s"], rows))
    print(f"\nOurs against theirs: {against(ours, sums, GOAL)}")

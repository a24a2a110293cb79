"""6 LoRA adapters × 4 benchmarks: one command here, against six runs of `lm_eval` with its vLLM model.

    python -m benchmarks lm_eval_suite

The whole time of the commands, imports, start of the engine, scoring and report included. Both sides see the
same prompts, samples, token budgets and engine options, and their outputs are compared. The base is the
embedded model, built where the cache lacks it; the adapters are random, of rank 16 on all linear layers.

lm-eval runs in an environment of its own, see `benchmarks/lm_eval/environment.py`. Its engine may live in a
process of its own or not: whichever is faster in a trial.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.lm_eval.command import (
    Key,
    Question,
    Rival,
    Sample,
    check_same_questions,
    fastest,
    samples,
)
from benchmarks.lm_eval.environment import ensure_environment
from benchmarks.measure.children import in_turns, run_command
from benchmarks.measure.models import ADAPTER_RANK, write_adapters
from benchmarks.measure.tables import against, machine, spread, table
from sftkey_train.embedded import embedded_folder

WORLDS = ("world_number", "world_choice", "world_number_gap1", "world_choice_gap1")
DATA = ("gsm8k", "openbookqa", "commonsenseqa", "svamp")
GOAL = 1 / 4
TRIAL_SAMPLES = 8
_OURS, _THEIRS = "ours", "lm_eval"


@dataclass
class Measured:
    """What the sides took and said.

    Attributes:
        ours: Seconds of our command, one for each repetition.
        theirs: Seconds of lm-eval's command by adapter, likewise.
        outputs: Our samples and lm-eval's of the last repetition, by adapter.
    """

    ours: list[float] = field(default_factory=list)
    theirs: dict[str, list[float]] = field(default_factory=dict)
    outputs: dict[str, dict[str, dict[Key, Sample]]] = field(default_factory=lambda: {_OURS: {}, _THEIRS: {}})

    @property
    def all_runs(self) -> list[float]:
        """lm-eval's runs, one after another."""
        return [sum(runs) for runs in zip(*self.theirs.values(), strict=True)]

    def num_other_outputs(self) -> int:
        """Outputs on which the sides differ.

        Raises:
            InputError: They were not asked the same.
        """
        ours, theirs = self.outputs[_OURS], self.outputs[_THEIRS]
        for adapter in theirs:
            check_same_questions(ours[adapter], theirs[adapter])
        return sum(
            ours[name][key].output != theirs[name][key].output for name in theirs for key in ours[name]
        )


def our_command(question: Question, adapters: Sequence[Path], out: Path) -> list[str]:
    """One command for all adapters."""
    budget, data_dir = question.max_new_tokens, question.data_dir
    return [
        *(sys.executable, "-m", "harness", "eval", "--model", str(question.base)),
        *(part for adapter in adapters for part in ("--adapter", str(adapter))),
        *("--benchmarks", ",".join(question.benchmarks), "--limit", str(question.limit)),
        *("--tags", "thinking-answer", "--engine", "vllm", "--out", str(out)),
        *(("--set", f"eval.max_new_tokens={budget}") if budget else ()),
        *(("--data-dir", str(data_dir)) if data_dir else ()),
    ]


def our_samples(out: Path) -> dict[str, dict[Key, Sample]]:
    """What our command has stored, by adapter."""
    from leaderboards.results.store import read_results

    found: dict[str, dict[Key, Sample]] = {}
    for row in read_results(out).samples.itertuples():
        key = Key(str(row.benchmark), str(row.sample_id))
        found.setdefault(str(row.entry), {})[key] = Sample(str(row.prompt), str(row.output))
    return found


def measure(question: Question, adapters: Sequence[Path], rival: Rival, repeats: int, work: Path) -> Measured:
    """Runs all of it in turns; each repetition finds no cache and no store."""
    measured = Measured(theirs={adapter.name: [] for adapter in adapters})
    for number, side in enumerate(in_turns((_OURS, _THEIRS), repeats)):
        out = work / f"{side}-{number}"
        if side == _OURS:
            cache = {"HARNESS_CACHE": str(out / "cache")}
            measured.ours.append(run_command(our_command(question, adapters, out), cache))
            print(f"ours: {measured.ours[-1]:.1f} s", file=sys.stderr)
            measured.outputs[_OURS] = our_samples(out)
            continue
        for adapter in adapters:
            seconds = rival.run(question, adapter, out / adapter.name)
            print(f"lm_eval {adapter.name}: {seconds:.1f} s", file=sys.stderr)
            measured.theirs[adapter.name].append(seconds)
            measured.outputs[_THEIRS][adapter.name] = samples(out / adapter.name)
    return measured


def report(question: Question, rival: Rival, measured: Measured) -> None:
    """Prints the tables in Markdown."""
    names, total = ", ".join(question.benchmarks), len(measured.theirs) * len(question.benchmarks)
    print(f"{machine()}\n\n{len(measured.theirs)} adapters × {len(question.benchmarks)} benchmarks ({names})")
    print(f"× {question.limit} samples; median (range) of {len(measured.ours)}\n")
    rows = [
        ("ours: all of it in one command", measured.ours),
        *((f"{rival.name}: {name}", seconds) for name, seconds in measured.theirs.items()),
        (f"lm_eval: {len(measured.theirs)} runs, one after another", measured.all_runs),
    ]
    print(table(["side", "s"], [[name, spread(seconds, 1)] for name, seconds in rows]))
    print(
        f"\nOurs against lm_eval's runs, one after another: {against(measured.ours, measured.all_runs, GOAL)}"
    )
    print(f"Outputs that differ: {measured.num_other_outputs()} of {total * question.limit}")


def main(arguments: Sequence[str]) -> None:
    """Prints a table in Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks lm_eval_suite", description=__doc__)
    parser.add_argument("--adapters", type=int, default=6)
    parser.add_argument("--limit", type=int, default=200, help="samples of each benchmark")
    parser.add_argument("--max-new-tokens", type=int, help="in place of each benchmark's own budget")
    parser.add_argument("--repeats", type=int, default=2, help="of our command and of lm_eval's runs")
    parser.add_argument("--data-dir", type=Path, help=f"ask {', '.join(DATA)} from it, not made-up worlds")
    parser.add_argument("--quick", action="store_true", help="1 adapter, 4 samples, once, no trial")
    told = parser.parse_args(arguments)
    if told.quick:
        told.adapters, told.limit, told.repeats = 1, 4, 1
    ensure_environment()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        base = embedded_folder()
        adapters = write_adapters(base, work, told.adapters)
        names = DATA if told.data_dir else WORLDS
        question = Question(base, ADAPTER_RANK, names, told.limit, told.max_new_tokens, told.data_dir)
        rival = Rival(engine_process=False)
        if not told.quick:
            rival, trial = fastest(question, adapters[0], work, TRIAL_SAMPLES)
            for name, seconds in trial.items():
                print(f"trial of {TRIAL_SAMPLES} samples: {name} {seconds:.1f} s", file=sys.stderr)
        measured = measure(question, adapters, rival, told.repeats, work)
    report(question, rival, measured)


if __name__ == "__main__":
    main(sys.argv[1:])

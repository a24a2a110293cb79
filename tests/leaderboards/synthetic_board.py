"""A synthetic run: six variants, three seeds, four benchmarks and a base, some of them nearly tied."""

from dataclasses import dataclass

import numpy as np

from leaderboards.results.schema import Entry, Evaluation, RunResults, Sample, TrainingCost
from leaderboards.results.tables import SAMPLES

BENCHMARKS = ("world_number", "world_number_gap1", "world_choice", "world_choice_gap1")
DIFFICULTY = {"world_number": 0.0, "world_number_gap1": 1.1, "world_choice": -0.2, "world_choice_gap1": 0.8}


@dataclass(frozen=True)
class Variant:
    name: str
    tagged: bool
    skill: float
    format_rate: float
    stages: tuple[str, ...]
    seeds: tuple[int | None, ...] = (0, 1, 2)


VARIANTS = (
    Variant("base", False, -0.6, 0.35, (), seeds=(None,)),
    Variant("sft", False, 0.62, 0.99, ("full",)),
    Variant("sft-tag", True, 0.60, 0.97, ("full",)),
    Variant("key-tag", True, -0.9, 0.08, ("key",)),
    Variant("sftkey", False, 0.70, 0.985, ("full", "key")),
    Variant("sftkey-tag", True, 0.78, 0.99, ("full", "key")),
    Variant("sft-tag-x2", True, 0.80, 0.985, ("full", "full")),
)


def training_cost(variant: Variant) -> TrainingCost | None:
    if not variant.stages:
        return None
    steps = 92 * len(variant.stages)
    loss = sum(18_000 if stage == "key" else 150_000 for stage in variant.stages)
    forward = 210_000 * len(variant.stages)
    return TrainingCost(
        steps,
        forward,
        loss,
        2.7e6 * forward,
        11.5 * len(variant.stages),
        variant.stages,
        budget=f"{len(variant.stages)} epochs in all" if len(variant.stages) > 1 else "1 epoch",
    )


def sample_rows(
    variant: Variant, seed: int | None, benchmark: str, difficulty_Q: np.ndarray, rng: np.random.Generator
) -> list[Sample]:
    """Right where skill plus luck beats the question's difficulty; questions are shared by all entries."""
    seed_effect = 0.0 if seed is None else 0.08 * rng.standard_normal()
    right = variant.skill + seed_effect + 0.7 * rng.standard_normal(len(difficulty_Q)) > difficulty_Q
    valid = rng.random(len(difficulty_Q)) < variant.format_rate
    rows = []
    for i, (is_right, is_valid) in enumerate(zip(right.tolist(), valid.tolist(), strict=True)):
        defect = ("truncated", "unclosed_answer") if i % 9 == 0 else ("no_tags",)
        rows.append(
            Sample(
                entry=variant.name,
                model="tiny-world",
                seed=seed,
                benchmark=benchmark,
                sample_id=f"{benchmark}-{i:04d}",
                sample_index=0,
                prompt=f"Question {i}",
                output="2 + 2 = 4. The answer is 4.",
                gold="4",
                choices=None,
                extracted="4" if is_right else None,
                accuracy=is_right,
                accuracy_strict=is_right and is_valid,
                format_valid=is_valid,
                score=0.7 * is_right + 0.3 * is_valid,
                truncated=not is_valid and i % 9 == 0,
                defects=() if is_valid else defect,
                finish_reason="stop",
                prompt_tokens=30,
                output_tokens=40 + i % 7,
            )
        )
    return rows


def entry_of(
    variant: Variant,
    seed: int | None,
    n: int,
    benchmarks: tuple[str, ...] = BENCHMARKS,
    model: str = "tiny-world",
) -> Entry:
    evaluations = tuple(
        Evaluation(
            benchmark=benchmark,
            n=n,
            data_digest=f"data-of-{benchmark}",
            engine="hf",
            dtype="float32",
            prompt_tokens=30 * n,
            output_tokens=43 * n,
            wall_seconds=2.5,
            generation={"temperature": 0.0, "max_tokens": 128, "stop": ("\n\n",)},
        )
        for benchmark in benchmarks
    )
    return Entry(
        name=variant.name,
        model=model,
        role="trained" if variant.stages else "base",
        seed=seed,
        tags="paper" if variant.tagged else "none",
        tagged=variant.tagged,
        method="full" if variant.stages else None,
        checkpoint=f"checkpoints/{variant.name}-{seed}",
        digest=f"weights-of-{variant.name}-{seed}",
        training=training_cost(variant),
        evaluations=evaluations,
    )


def synthetic_run(
    variants: tuple[Variant, ...] = VARIANTS, n: int = 200, seed: int = 7, source: str = "runs/default"
) -> RunResults:
    rng = np.random.default_rng(seed)
    difficulty = {name: DIFFICULTY[name] + rng.standard_normal(n) for name in BENCHMARKS}
    entries, rows = [], []
    for variant in variants:
        for variant_seed in variant.seeds:
            entries.append(entry_of(variant, variant_seed, n))
            for benchmark in BENCHMARKS:
                rows += sample_rows(variant, variant_seed, benchmark, difficulty[benchmark], rng)
    provenance = {
        "git": "0123abcd",
        "created": "2026-01-02T03:04:05Z",
        "hardware": "2 CPU cores",
        "torch": "2.13.0",
    }
    return RunResults(provenance, tuple(entries), SAMPLES.to_frame(rows), source)

"""The schema of a stored run: what a checkpoint cost, how it was asked, what each output was judged to be.

Apart from `results`, which stores it, so that whoever only speaks of it needs no file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Literal

from tasks.records import Kind

if TYPE_CHECKING:
    import pandas as pd

SCHEMA_VERSION = 3
READABLE_VERSIONS = (2, 3)
"""Version 2 lacks the lengths of reasoning and answers, and the prompts' digest."""
RESULTS_FILE = "results.json"
SAMPLES_FILE = "samples.parquet"
TRAINING_FILE = "training.parquet"

Role = Literal["base", "trained", "external"]
GenerationValue = str | int | float | bool | None | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TrainingCost:
    """The full compute charged to a variant, also where a stage was shared with another variant.

    Attributes:
        steps: Optimiser steps of the variant's own stages; so are tokens, FLOPs and seconds.
        tokens_forward: Tokens that went through the model, with or without loss.
        tokens_loss: Those of them that carried loss.
        flops: Floating-point operations.
        wall_seconds: Time.
        stages: Their names.
        reference_tokens: Tokens forward spent on preparing a reference model: its training and scoring.
        reference_flops: Floating-point operations of the same.
        budget: What the variant was given, in words, such as `2 epochs in all` or `300 steps`.
        peak_memory_bytes: The most that any of its stages held; None where not measured.
    """

    steps: int
    tokens_forward: int
    tokens_loss: int
    flops: float
    wall_seconds: float
    stages: tuple[str, ...]
    reference_tokens: int = 0
    reference_flops: float = 0.0
    budget: str = ""
    peak_memory_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Overlap:
    """Test questions that also stand in what a checkpoint was trained on (see `harness.evaluation.overlap`).

    Attributes:
        n: Test questions looked at.
        num_train: Training records they were sought in.
        exact: How many stand there word for word, after normalisation.
        ngram: How many share a run of `ngram_size` words with a training record, the exact ones among them.
        ngram_size: Words in a run.
        examples: Ids of the first of them, as (test id, training id).
    """

    n: int
    num_train: int
    exact: int
    ngram: int
    ngram_size: int
    examples: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ExactCheck:
    """A sample of the outputs made again by the reference engine (transformers), greedily.

    Attributes:
        n: Outputs made again.
        engine: What made them, with its version.
        dtype: In which numbers.
        texts_differ: How many texts are not the same.
        verdicts_differ: How many were judged otherwise.
    """

    n: int
    engine: str
    dtype: str
    texts_differ: int
    verdicts_differ: int


@dataclass(frozen=True, slots=True)
class JudgeCheck:
    """What a judge model said, beside the rule.

    Attributes:
        model: Which model judged, and where it was served.
        prompt_version: Of the judge's prompt.
        n: Outputs judged.
        unreadable: Of them, those whose verdict could not be read; they count in nothing that follows.
        accuracy: Share that the judge holds right.
        agreement: Share on which judge and rule agree.
        kappa: Cohen's κ between them; None where it is not defined (both constant).
    """

    model: str
    prompt_version: str
    n: int
    unreadable: int
    accuracy: float
    agreement: float
    kappa: float | None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One checkpoint on one benchmark: how many samples, on what data, generated how, at what cost.

    Attributes:
        benchmark: Its name.
        n: Questions.
        data_digest: Of the questions and their answers.
        engine: What generated, with its version.
        dtype: In which numbers.
        prompt_tokens: Of all prompts; each question's counts once.
        output_tokens: Of all outputs.
        wall_seconds: Time spent generating.
        generation: Everything that decides what is generated but the weights.
        kind: How answers are compared.
        num_samples: Outputs drawn for each question; there are n × num_samples rows.
        scorer: Digest of the scorer; empty where it is not known.
        prompts: Digest of the texts of all prompts; empty where it is not known.
        overlap: With the training data, where that is known.
        exact: Comparison with the reference engine, where asked for.
        judge: What a judge model said, where asked for.
    """

    benchmark: str
    n: int
    data_digest: str
    engine: str
    dtype: str
    prompt_tokens: int
    output_tokens: int
    wall_seconds: float
    generation: dict[str, GenerationValue]
    kind: Kind = "text"
    num_samples: int = 1
    scorer: str = ""
    prompts: str = ""
    overlap: Overlap | None = None
    exact: ExactCheck | None = None
    judge: JudgeCheck | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One checkpoint: a variant at one seed, the untrained base, or an external checkpoint.

    `licence` and `link` are those of an external checkpoint's weights.
    """

    name: str
    model: str
    role: Role
    seed: int | None
    tags: str
    tagged: bool
    method: str | None
    checkpoint: str
    digest: str
    training: TrainingCost | None
    evaluations: tuple[Evaluation, ...]
    licence: str | None = None
    link: str | None = None


@dataclass(frozen=True, slots=True)
class SampleRow:
    """One scored sample; the fields are the columns of `samples.parquet`, in this order.

    `sample_index` counts the outputs drawn for one question from 0; `choices` are the texts of a choice
    question; `judge` is a judge model's verdict, None where there is none. `thinking_chars` is the length of
    the output's own reasoning, None where none was found, `gold_chars` that of the reference answer.
    """

    entry: str
    model: str
    seed: int | None
    benchmark: str
    sample_id: str
    sample_index: int
    prompt: str
    output: str
    gold: str
    choices: tuple[str, ...] | None
    extracted: str | None
    accuracy: bool
    accuracy_strict: bool
    format_valid: bool
    score: float
    truncated: bool
    defects: tuple[str, ...]
    finish_reason: str
    prompt_tokens: int
    output_tokens: int
    judge: bool | None = None
    thinking_chars: int | None = None
    gold_chars: int | None = None


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One logged step of one checkpoint's training; the fields are the columns of `training.parquet`.

    Attributes:
        entry: The variant's name.
        model: The base model.
        seed: Of the training.
        stage: 1 for the variant's first.
        stage_name: As the variant names it.
        step: Optimiser steps done since the variant's first stage began.
        tokens: Tokens forward since then.
        loss: The stage's objective; like all that follows, NaN where not measured at this step.
        loss_thinking: Mean cross-entropy of the reasoning tokens, also where they carry no loss.
        loss_answer: Of the answer tokens.
        loss_tags: Of the tags' tokens.
        learning_rate: Of this step.
        accuracy: Of the validation sample, a share of 1.
        format_valid: Of the validation sample, a share of 1.
        gradient_norm: Of the whole loss; NaN unless asked for, like its parts.
        gradient_norm_thinking: Of the reasoning tokens' part.
        gradient_norm_answer: Of the answer tokens' part.
        gradient_norm_tags: Of the tags' part.
        wall_seconds: Since the variant's first stage began; never NaN.
    """

    entry: str
    model: str
    seed: int
    stage: int
    stage_name: str
    step: int
    tokens: int
    loss: float
    loss_thinking: float
    loss_answer: float
    loss_tags: float
    learning_rate: float
    accuracy: float
    format_valid: float
    gradient_norm: float
    gradient_norm_thinking: float
    gradient_norm_answer: float
    gradient_norm_tags: float
    wall_seconds: float


@cache
def no_curves() -> pd.DataFrame:
    """The table of a run that trained nothing."""
    from leaderboards.results.curve_table import CURVES

    return CURVES.to_frame(())


@dataclass(frozen=True, slots=True, eq=False)
class RunResults:
    """A stored run as read back; `source` is the directory it came from, `curves` may be empty."""

    provenance: Mapping[str, str]
    entries: tuple[Entry, ...]
    samples: pd.DataFrame
    source: str = "this run"
    curves: pd.DataFrame = field(default_factory=no_curves)


def describe(name: str, seed: int | None) -> str:
    """How an error names one checkpoint: `sft (seed 0)`, or `base`."""
    return name if seed is None else f"{name} (seed {seed})"

"""The schema of a stored run: what a checkpoint cost, how it was asked, what each output was judged to be.

Apart from `results`, which stores it, so that whoever only speaks of it needs no file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

from tasks.records import Kind

if TYPE_CHECKING:
    import pandas as pd

SCHEMA_VERSION = 6
READABLE_VERSIONS = (2, 3, 4, 5, 6)
"""Version 2 lacks the lengths of reasoning and answers and the prompts' digest, version 3 where they are."""
RESULTS_FILE = "results.json"
SAMPLES_FILE = "samples.parquet"
TRAINING_FILE = "training.parquet"
BUDGETS = "budgets"
"""Folder in a run's: runs at smaller shares of its budget, each in a folder that is called by its share."""

Role = Literal["base", "trained", "external"]
Metric = Literal["accuracy", "accuracy_strict", "format_valid", "score"]
METRICS: tuple[Metric, ...] = get_args(Metric)
"""What is averaged over the samples: fields of `Sample`."""
GenerationValue = str | int | float | bool | None | tuple[str, ...]
Count = int | float
"""A count, which as a mean over seeds need not be whole."""
BucketBy = Literal["reasoning", "answer"]
"""Whose length outputs are put into buckets by: the output's own reasoning, or the reference answer."""
PagePart = Literal["question", "prompt", "output", "verdict"]
"""The parts of a report's page that show samples: each is packed by itself."""


@dataclass(frozen=True, slots=True)
class TrainingCost:
    """The full compute charged to a variant, also where a stage was shared with another variant.

    That of one seed, or the mean over several (a row of the board).

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
        sampled_tokens: Tokens that went through the model to draw samples that it learns from.
        sampled_flops: Floating-point operations of the same; they are part of the budget.
    """

    steps: Count
    tokens_forward: Count
    tokens_loss: Count
    flops: float
    wall_seconds: float
    stages: tuple[str, ...]
    reference_tokens: Count = 0
    reference_flops: float = 0.0
    budget: str = ""
    sampled_tokens: Count = 0
    sampled_flops: float = 0.0

    @property
    def total_flops(self) -> float:
        """The variant's own stages, its samples and its reference model."""
        return self.flops + self.sampled_flops + self.reference_flops


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
    """A sample of n outputs made again by the reference engine (transformers), greedily.

    How many of them have another text, and how many were judged otherwise.
    """

    n: int
    engine: str
    dtype: str
    texts_differ: int
    verdicts_differ: int


@dataclass(frozen=True, slots=True)
class JudgeCheck:
    """What a judge model (and where it was served) said of n outputs, beside the rule.

    Those whose verdict could not be read (`unreadable`) count in no agreement with the rule.
    """

    model: str
    prompt_version: str
    n: int
    unreadable: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One checkpoint on one benchmark: how many samples, on what data, generated how, at what cost.

    Attributes:
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
class Tuning:
    """How an entry's settings were chosen on validation questions, before its test.

    Attributes:
        trials: Points of its grid.
        seeds: Trained at each of them.
        gain: The chosen point's mean of the ranking metric above that of all of them, a share of 1.
        edges: Settings of which the least or the greatest of three or more values was chosen.
    """

    trials: int
    seeds: int
    gain: float
    edges: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """One checkpoint: a variant at one seed, the untrained base, or an external checkpoint.

    `licence` and `link` are those of an external checkpoint's weights; `tuning` is None where none is known.
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
    tuning: Tuning | None = None


@dataclass(frozen=True, slots=True)
class Declared:
    """A claim as a run has it on record.

    Attributes:
        claim: As it is written.
        digest: Of the claim, the trainings that it is about, and how they are evaluated.
        at: When it was put on record, in UTC.
        before: Whether neither results nor trainings of its entries were there by then.
        seeds: Of each entry, at first where more are added.
        most_seeds: Where seeds are added until it is decided, at most so many; else None.
    """

    claim: str
    digest: str
    at: str
    before: bool
    seeds: int
    most_seeds: int | None = None


def column(page: PagePart | None = None, since: int = 2) -> dict[str, Any]:
    """What the metadata of a field of `Sample` says of its column; its type says how it is stored.

    Args:
        page: The part of the page that shows it; None where none does.
        since: The schema version that brought it; files of earlier ones are read with nulls in its place.
    """
    return {"page": page, "since": since}


@dataclass(frozen=True, slots=True)
class Sample:
    """One judged output; the fields are the columns of `samples.parquet`, in this order.

    Entry, model and seed (None where the entry has none) say whose it is, benchmark and sample id to which
    question. Offsets are in characters of the output, None where nothing was found.

    Attributes:
        sample_index: Counts the outputs drawn for one question from 0.
        prompt: As it was asked.
        gold: The reference answer, as the benchmark has it.
        choices: The texts of a choice question.
        extracted: The answer found in the output; None where none was.
        accuracy: Whether it is right, wherever it stands.
        accuracy_strict: Whether it is right where the tag format wants it.
        format_valid: Whether the output keeps to the tag format.
        score: α·accuracy + (1 - α)·format_valid.
        truncated: Whether the output was cut at the token limit.
        defects: In what it does not keep to the tag format.
        finish_reason: Why the engine stopped.
        judge: A judge model's verdict; None where there is none.
        thinking_chars: Length of the output's own reasoning; None where none was found.
        gold_chars: Length of the reference answer.
        thinking_start: Where the reasoning begins, up to `thinking_end`.
        answer_start: Where the answer begins, up to `answer_end`.
        content: A number of the question's content, the same where question and choices are.
        undecided: Whether it counts as wrong only because its comparison reached a limit of time or memory.
        key: Whether the answer is right that the model gives after the reference's reasoning.
        bits_gold: -log2 p of the reference answer after the reference's reasoning.
        bits_own: The same after the output's own reasoning.
        reasoning: Whether the output's reasoning is the reference's, in generated benchmarks.
    """

    entry: str = field(metadata=column())
    model: str = field(metadata=column())
    seed: int | None = field(metadata=column())
    benchmark: str = field(metadata=column())
    sample_id: str = field(metadata=column("question"))
    sample_index: int = field(metadata=column("verdict"))
    prompt: str = field(metadata=column("prompt"))
    output: str = field(metadata=column("output"))
    gold: str = field(metadata=column("question"))
    choices: tuple[str, ...] | None = field(metadata=column("question"))
    extracted: str | None = field(metadata=column("verdict"))
    accuracy: bool = field(metadata=column("verdict"))
    accuracy_strict: bool = field(metadata=column("verdict"))
    format_valid: bool = field(metadata=column("verdict"))
    score: float = field(metadata=column())
    truncated: bool = field(metadata=column("verdict"))
    defects: tuple[str, ...] = field(metadata=column("verdict"))
    finish_reason: str = field(metadata=column())
    prompt_tokens: int = field(metadata=column())
    output_tokens: int = field(metadata=column("verdict"))
    judge: bool | None = field(default=None, metadata=column("verdict"))
    thinking_chars: int | None = field(default=None, metadata=column(since=3))
    gold_chars: int | None = field(default=None, metadata=column(since=3))
    thinking_start: int | None = field(default=None, metadata=column("output", since=4))
    thinking_end: int | None = field(default=None, metadata=column("output", since=4))
    answer_start: int | None = field(default=None, metadata=column("output", since=4))
    answer_end: int | None = field(default=None, metadata=column("output", since=4))
    content: int | None = field(default=None, metadata=column(since=5))
    undecided: bool | None = field(default=None, metadata=column(since=5))
    key: bool | None = field(default=None, metadata=column(since=6))
    bits_gold: float | None = field(default=None, metadata=column(since=6))
    bits_own: float | None = field(default=None, metadata=column(since=6))
    reasoning: bool | None = field(default=None, metadata=column(since=6))

    @property
    def thinking(self) -> str:
        """The text of the reasoning; empty where none was found."""
        return "" if self.thinking_start is None else self.output[self.thinking_start : self.thinking_end]

    @property
    def answer(self) -> str:
        """The text of the answer's span, box or line; empty where none was found."""
        return "" if self.answer_start is None else self.output[self.answer_start : self.answer_end]


def _no_curves() -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame()


@dataclass(frozen=True, slots=True, eq=False)
class RunResults:
    """A stored run as read back.

    `source` is the directory it came from, `curves` may be empty, `config` is YAML, or None in older runs;
    `declared` are the claims on record; `smaller` are the runs at shares of its budget, by the share.
    """

    provenance: Mapping[str, str]
    entries: tuple[Entry, ...]
    samples: pd.DataFrame
    source: str = "this run"
    curves: pd.DataFrame = field(default_factory=_no_curves)
    config: str | None = None
    declared: tuple[Declared, ...] = ()
    smaller: Mapping[str, RunResults] = field(default_factory=dict)


def describe(name: str, seed: int | None) -> str:
    """How an error names one checkpoint: `sft (seed 0)`, or `base`."""
    return name if seed is None else f"{name} (seed {seed})"

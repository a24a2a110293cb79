"""From a completion and its verdict to the one `Sample`: the only place where one is made.

Apart from evaluation because judging a stored run again gives the same fields new values.
"""

from __future__ import annotations

from typing import Any

from harness.engines import Completion
from harness.models import Checkpoint
from leaderboards.results.schema import Sample
from tasks.benchmarks import Benchmark
from tasks.records import Record
from tasks.scoring import Score, reference_answer


def sample_of(
    checkpoint: Checkpoint,
    benchmark: Benchmark,
    record: Record,
    prompt: str,
    index: int,
    completion: Completion,
    score: Score,
) -> Sample:
    """A judged output as it is stored.

    Args:
        checkpoint: Whose it is.
        benchmark: Of the question.
        record: The question.
        prompt: As the model read it.
        index: Of the draw, from 0.
        completion: What the engine gave.
        score: The verdict on it.
    """
    return Sample(
        entry=checkpoint.name,
        model=checkpoint.model,
        seed=checkpoint.seed,
        benchmark=benchmark.name,
        sample_id=record.id,
        sample_index=index,
        prompt=prompt,
        output=completion.text,
        gold=record.answer,
        choices=record.choices,
        finish_reason=completion.finish_reason,
        prompt_tokens=completion.num_prompt_tokens,
        output_tokens=completion.num_output_tokens,
        **judged_fields(score, record.answer),
    )


def judged_fields(score: Score, gold: str) -> dict[str, Any]:
    """The fields of a sample that the scorer decides.

    Args:
        score: The verdict.
        gold: The reference that it was compared with.
    """
    thinking, answer = score.thinking or (None, None), score.answer or (None, None)
    return {
        "extracted": score.extracted,
        "accuracy": score.accuracy,
        "accuracy_strict": score.accuracy_strict,
        "format_valid": score.format_valid,
        "score": score.score,
        "truncated": score.truncated,
        "defects": score.defects,
        "thinking_chars": score.thinking_chars,
        "gold_chars": len(reference_answer(gold)),
        "thinking_start": thinking[0],
        "thinking_end": thinking[1],
        "answer_start": answer[0],
        "answer_end": answer[1],
    }

"""A stored run of one entry, small enough to be written for each test."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.evaluation.evaluations import judged_fields
from leaderboards.results.schema import Entry, Evaluation, JudgeCheck, Sample
from leaderboards.results.store import write_results
from tasks.scoring import Item, score
from tasks.tags import get_tag_format

OUTPUTS = ("<think>2+3</think><answer>5</answer>", "<think>so 5", "It is 6", "2+3</think><answer>5</answer>")
THINKING_PROMPT = "<|Assistant|><think>\n"


def sample(index: int, output: str, *, prompt: str = "2+3?", **more: Any) -> Sample:
    """A row as an evaluation writes it."""
    item = Item(
        output,
        gold="5",
        kind="number",
        choices=None,
        tag_format=get_tag_format("think-answer"),
        reasoning_open=prompt == THINKING_PROMPT,
        alpha=0.5,
    )
    row = Sample(
        entry="r1",
        model="tiny",
        seed=None,
        benchmark="sums",
        sample_id=f"q{index // 2}",
        sample_index=index % 2,
        prompt=prompt,
        output=output,
        gold="5",
        choices=None,
        finish_reason="stop",
        prompt_tokens=5,
        output_tokens=4,
        **judged_fields(score(item), "5"),
    )
    return replace(row, **more)


ROWS = [
    *(sample(index, output) for index, output in enumerate(OUTPUTS[:3])),
    sample(3, OUTPUTS[3], prompt=THINKING_PROMPT),
]


def store(folder: Path, rows: list[Sample], judge: JudgeCheck | None = None) -> Path:
    generation = {"temperature": 0.0}
    evaluation = Evaluation(
        *("sums", len(rows) // 2, "d1", "hf", "float32", 5, 4, 0.5, generation),
        kind="number",
        num_samples=2,
        scorer="an older one",
        judge=judge,
    )
    entry = Entry("r1", "tiny", "external", None, "think-answer", True, None, "r1", "w1", None, (evaluation,))
    write_results(folder, {"git": "abc"}, [entry], rows)
    (folder / "config.yaml").write_text("alpha: 0.5\n")
    return folder

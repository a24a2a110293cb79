"""The same checkpoint through plain lm-eval and through this harness: same prompts, outputs and verdicts.

One thing is ours alone: lm-eval's hf model does not say that an output was cut at the token limit, so a plain
run takes a cut output for a whole one. Where nothing was cut, all figures are the same.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from leaderboards import read_results
from tasks.benchmarks import TASKS_DIR, load_benchmark
from tasks.scoring import Item, Score, score
from tasks.tags import get_tag_format

BENCHMARKS = ("world_number", "world_choice")
LIMIT, BUDGET = 4, 24


def plain(model: Path, tags: str, **more: Any) -> dict[str, list[dict[str, Any]]]:
    """Samples by task of `lm_eval run --model hf --include_path tasks …`."""
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=str(TASKS_DIR), include_defaults=False, metadata={"tags": tags})
    results = simple_evaluate(
        model="hf",
        model_args={"pretrained": str(model), "dtype": "float32"},
        tasks=[load_benchmark(name).task for name in BENCHMARKS],
        task_manager=manager,
        device="cpu",
        batch_size=1,
        limit=LIMIT,
        gen_kwargs={"max_gen_toks": BUDGET},
        bootstrap_iters=0,
        **more,
    )
    samples: dict[str, list[dict[str, Any]]] = results["samples"]
    return samples


CASES: dict[str, tuple[str, str, dict[str, Any], int]] = {
    "tagged": ("tiny_base", "thinking-answer", {}, 0),
    "untagged with examples": ("tiny_base", "none", {}, 2),
    "in chat with an example": (
        "foreign_gpt2", "think-answer", {"apply_chat_template": True, "fewshot_as_multiturn": True}, 1,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", list(CASES))
def test_plain_lm_eval_and_the_harness_say_the_same(
    case: str, request: pytest.FixtureRequest, harness: Any, tmp_path: Path
) -> None:
    fixture, tags, more, shots = CASES[case]
    model = request.getfixturevalue(fixture)
    done = harness(
        "eval", "--model", model, "--benchmarks", ",".join(BENCHMARKS), "--tags", tags, "--engine", "hf",
        "--limit", LIMIT, "--out", tmp_path / "run",
        "--set", f"eval.max_new_tokens={BUDGET}", "--set", f"eval.num_fewshot={shots}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = {row.sample_id: row for row in read_results(tmp_path / "run").samples.itertuples()}
    assert len(rows) == LIMIT * len(BENCHMARKS)
    for samples in plain(model, tags, num_fewshot=shots, **more).values():
        assert len(samples) == LIMIT
        for sample in samples:
            ours, doc = rows[sample["doc"]["id"]], sample["doc"]
            assert sample["arguments"][0][0] == ours.prompt
            assert sample["resps"][0][0] == ours.output
            for metric in ("accuracy", "accuracy_strict", "format_valid", "score"):
                assert sample[metric] == float(getattr(judged(doc, ours, tags, truncated=False), metric))
                verdict = judged(doc, ours, tags, truncated=ours.truncated)
                assert getattr(ours, metric) == getattr(verdict, metric)


def judged(doc: dict[str, Any], ours: Any, tags: str, *, truncated: bool) -> Score:
    """The one scorer's verdict, with what each side knows."""
    tag_format = get_tag_format(tags)
    item = Item(ours.output, doc["answer"], doc["kind"], doc["choices"], tag_format, truncated=truncated)
    return score(item)


def test_a_run_leaves_lm_evals_files_for_plain_tools(harness: Any, tiny_base: Path, tmp_path: Path) -> None:
    done = harness(
        "eval", "--model", tiny_base, "--benchmarks", "world_number", "--engine", "hf", "--limit", 2,
        "--set", f"eval.max_new_tokens={BUDGET}", "--out", tmp_path / "run", "--name", "mine",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (path,) = (tmp_path / "run" / "lm-eval" / "mine").glob("results_*.json")
    figures = json.loads(path.read_text())["results"]["sftkey_world_number"]
    samples = read_results(tmp_path / "run").samples
    assert figures["accuracy,none"] == samples["accuracy"].mean()
    assert figures["sample_len"] == 2

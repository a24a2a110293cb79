"""lm-eval's own form of a result and of a sample, version 0.4.13: what its readers look for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from harness.evaluation.ask import FEWSHOT_SEED
from leaderboards.results.schema import Entry, Evaluation
from tasks.benchmarks import Benchmark, read_task_yaml
from tasks.errors import InputError
from tasks.lm_eval_task import document as task_document
from tasks.records import Record
from tasks.scoring import metrics
from tasks.tags import get_tag_format

Asked = tuple[Benchmark, Evaluation, Mapping[str, Any], int]
"""A benchmark, its evaluation, the task's metadata, and the questions in the whole split."""
Samples = Mapping[str, Sequence[Mapping[str, Any]]]
_PLAIN_START = "Question: "
_TOKENIZER_FACTS = (
    "tokenizer_pad_token",
    "tokenizer_eos_token",
    "tokenizer_bos_token",
    "eot_token_id",
    "max_length",
)
"""Which a stored run does not know."""
_TASK_DEFAULTS = {
    "unsafe_code": False,
    "description": "",
    "fewshot_delimiter": "\n\n",
    "should_decontaminate": False,
}
_FEWSHOT_DEFAULTS = {
    "sampler": "default",
    "process_docs": None,
    "fewshot_indices": None,
    "samples": None,
    "doc_to_choice": None,
    "gen_prefix": None,
}


def document(record: Record, settings: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """A question as the task hands it to lm-eval, and its hash."""
    own = {"tags": settings["tags"], "alpha": settings["alpha"], "instruction": _instruction(settings)}
    doc = task_document(record, own)
    return doc, _hash(json.dumps(doc, indent=2, ensure_ascii=False))


def sample(
    place: int, doc: Mapping[str, Any], doc_hash: str, rows: Sequence[Any], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """One line of a samples file.

    Args:
        place: Of the question in its split.
        doc: The question.
        doc_hash: Its hash.
        rows: The outputs drawn for it, as stored (the fields of a `Sample`).
        kwargs: How they were generated.
    """
    outputs = [row.output for row in rows]
    found = [metrics(row) for row in rows]
    means = found[0]
    if len(found) > 1:
        means = {name: sum(one[name] for one in found) / len(found) for name in means}
    return {
        "doc_id": place,
        "doc": doc,
        "target": rows[0].gold,
        "arguments": {"gen_args_0": {"arg_0": rows[0].prompt, "arg_1": kwargs}},
        "resps": [outputs],
        "filtered_resps": [outputs] if len(outputs) > 1 else outputs,
        "filter": filter_name(len(outputs)),
        "metrics": list(means),
        "doc_hash": doc_hash,
        "prompt_hash": _hash(rows[0].prompt),
        "target_hash": _hash(rows[0].gold),
        **means,
    }


def results(asked: Sequence[Asked], samples: Samples) -> dict[str, Any]:
    """The part of a results file that says what came out on each task, and how it was asked."""
    configs = {benchmark.task: _task_config(*one) for one in asked for benchmark in one[:1]}
    order = sorted(configs)
    return {
        "results": {
            benchmark.task: _figures(benchmark.task, samples[benchmark.task]) for benchmark, *_ in asked
        },
        "group_subtasks": {},
        "configs": {task: configs[task] for task in order},
        "versions": {task: configs[task]["metadata"].get("version") for task in order},
        "n-shot": {task: configs[task]["num_fewshot"] for task in order},
        "higher_is_better": {
            task: {one["metric"]: one["higher_is_better"] for one in configs[task]["metric_list"]}
            for task in order
        },
        "n-samples": {
            benchmark.task: {"original": whole, "effective": evaluation.n}
            for benchmark, evaluation, _, whole in asked
        },
        "task_hashes": {
            task: _hash("".join(one["doc_hash"] + one["prompt_hash"] + one["target_hash"] for one in rows))
            for task, rows in samples.items()
        },
    }


def about_the_run(
    entry: Entry, provenance: Mapping[str, str], time: datetime, limit: int | None
) -> dict[str, Any]:
    """The part of a results file that says what was evaluated, with what, when and where."""
    first = entry.evaluations[0]
    engine = first.engine.split(" (")[0]
    seconds = sum(evaluation.wall_seconds for evaluation in entry.evaluations)
    seed = first.generation.get("seed") or 0
    return {
        "config": {
            "model": engine,
            "model_args": {"pretrained": entry.checkpoint, "dtype": first.dtype},
            "model_num_parameters": None,
            "model_dtype": first.dtype,
            "model_revision": None,
            "model_sha": entry.digest,
            "batch_size": None,
            "batch_sizes": [],
            "device": None,
            "use_cache": None,
            "limit": limit,
            "bootstrap_iters": 0,
            "gen_kwargs": None,
            **dict.fromkeys(("random_seed", "numpy_seed", "torch_seed"), seed),
            "fewshot_seed": FEWSHOT_SEED,
        },
        "git_hash": provenance.get("git_commit"),
        "date": time.timestamp(),
        "pretty_env_info": "\n".join(f"{name}: {value}" for name, value in provenance.items()),
        "transformers_version": provenance.get("transformers"),
        "lm_eval_version": provenance.get("lm-eval"),
        "upper_git_hash": None,
        "model_source": engine,
        "system_instruction": None,
        "system_instruction_sha": None,
        "fewshot_as_multiturn": True,
        "total_evaluation_time_seconds": str(seconds),
        **dict.fromkeys(_TOKENIZER_FACTS),
    }


def about_the_template(checkpoint: str, prompts: Sequence[str]) -> dict[str, str | None]:
    """The chat template and its hash, as far as they are known; None where the prompts are plain."""
    template = None
    if any(not prompt.startswith(_PLAIN_START) for prompt in prompts):
        template = _chat_template(Path(checkpoint)) or "the tokenizer's own"
    return {"chat_template": template, "chat_template_sha": _hash(template) if template else None}


def generation_kwargs(evaluation: Evaluation) -> dict[str, Any]:
    """How an evaluation's outputs were drawn, in lm-eval's words."""
    how = evaluation.generation
    stop, temperature = how.get("stop"), how.get("temperature") or 0.0
    sampling = {"temperature": temperature, "top_p": how.get("top_p")} if temperature else {}
    return {
        "until": list(stop) if isinstance(stop, (tuple, list)) else [],
        "do_sample": bool(temperature),
        "max_gen_toks": how.get("max_new_tokens"),
        **sampling,
    }


def filter_name(num_samples: int) -> str:
    """lm-eval's filter that hands on one output, or all that were drawn."""
    return "none" if num_samples == 1 else "all"


def seed_of(value: Any) -> int | None:
    """A seed as a table holds it."""
    import pandas as pd

    return None if pd.isna(value) else int(value)


def _task_config(
    benchmark: Benchmark, evaluation: Evaluation, settings: Mapping[str, Any], whole: int
) -> dict[str, Any]:
    """The task's YAML as lm-eval resolves it; functions are named, where lm-eval prints their source."""
    config = read_task_yaml(benchmark.path)
    fewshot = {
        **_FEWSHOT_DEFAULTS,
        "split": config.get("fewshot_split"),
        "doc_to_text": config.get("doc_to_text"),
        "fewshot_delimiter": _TASK_DEFAULTS["fewshot_delimiter"],
        "target_delimiter": config.get("target_delimiter", " "),
        **(config.get("fewshot_config") or {}),
    }
    return {
        **_TASK_DEFAULTS,
        **config,
        "fewshot_config": fewshot,
        "num_fewshot": evaluation.generation.get("num_fewshot") or 0,
        "generation_kwargs": generation_kwargs(evaluation),
        "repeats": evaluation.num_samples,
        "metadata": {**config.get("metadata", {}), **settings, "config_source": str(benchmark.path)},
    }


def _figures(task: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    figures: dict[str, Any] = {"name": task, "alias": task, "sample_len": len(rows)}
    name = rows[0]["filter"]
    for metric in rows[0]["metrics"]:
        values = [row[metric] for row in rows]
        figures[f"{metric},{name}"] = sum(values) / len(values)
        figures[f"{metric}_stderr,{name}"] = _standard_error(values)
    return figures


def _standard_error(values: Sequence[float]) -> float | str:
    """Of the mean, as lm-eval estimates it: one question is one sample."""
    if len(values) < 2:
        return "N/A"
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values) / (len(values) - 1)
    return float((variance / len(values)) ** 0.5)


def _chat_template(folder: Path) -> str | None:
    try:
        return (folder / "chat_template.jinja").read_text(encoding="utf-8")
    except OSError:
        pass
    try:
        template = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))["chat_template"]
    except (OSError, ValueError, KeyError):
        return None
    return template if isinstance(template, str) else None


def _instruction(settings: Mapping[str, Any]) -> str:
    if not settings["instruct"]:
        return ""
    try:
        return get_tag_format(settings["tags"]).instruction
    except InputError:
        return ""


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()

"""What a configuration asks for that its machine, data or model cannot give, known before anything starts.

`load_config` has checked each value by itself; here are those that only a plan can judge. A server is not
asked: a dry run says nothing to anybody, so that one which is down is found when it is first needed.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from harness.config import Config
from harness.engines.api import server_url
from harness.engines.registry import choose_engine
from harness.evaluation.judge import JudgePrompt
from harness.models.architecture import check_context
from harness.outputs import check_folder, check_run_folder, refuse_overwriting
from sftkey_train.distributed import count
from sftkey_train.settings import check_settings
from tasks.benchmarks import Benchmark
from tasks.errors import InputError
from tasks.lm_eval_task import LazySplits
from tasks.records import render_prompt
from tasks.tags import get_tag_format

if TYPE_CHECKING:
    from sftkey_train.stages import StageGraph
    from sftkey_train.text import TextPath


def check_training(config: Config, benchmarks: Sequence[Benchmark]) -> None:
    """Refuses (InputError) what would stop a run that trains: its evaluation too, which comes last."""
    check_settings(config.train)
    check_places(config)
    check_evaluation(config, benchmarks)
    if config.smaller() and count() > 1:
        raise InputError("--budgets trains several runs, one after another: in one process, without torchrun")
    if choose_engine(config.eval.engine) == "openai":
        raise InputError(
            "eval.engine openai asks a server, which has not what is trained here; use vllm or hf"
        )
    if config.train.validate_every and not any(one.has_validation for one in benchmarks):
        raise InputError(
            "train.validate_every needs a benchmark with validation or training records; leave it out"
        )


def check_kinds(graph: StageGraph, num_processes: int) -> None:
    """Refuses (InputError) kinds of stage that cannot be trained here, or by several processes together."""
    nodes = graph.nodes.values()
    if num_processes > 1 and any(node.draws or node.is_by_trl or node.stage.method for node in nodes):
        raise InputError(
            "variants that draw samples, that TRL trains, or with a method of their own run in one process; "
            "leave them out, or torchrun"
        )
    by_trl = next((node for node in nodes if node.is_by_trl), None)
    if by_trl is None:
        return
    if by_trl.settings.carries_optimizer:
        raise InputError(
            f"train.optimizer_state carried: TRL, which trains {by_trl.stage.name}, begins anew; take fresh"
        )
    from sftkey_train.by_trl import check_trl

    check_trl()


def check_places(config: Config, read: Sequence[Path | None] = ()) -> None:
    """Refuses (InputError) folders that cannot be written, or that are what is read."""
    names = (config.model, config.tags, *config.variants)
    inputs = [*(Path(name) for name in names if "/" in name or "." in name), config.data_dir, *read]
    check_run_folder(config.out, [*inputs, config.store])
    if config.store:
        check_folder(config.store, "store")
        refuse_overwriting(config.store, inputs, "store")


def check_evaluation(config: Config, benchmarks: Sequence[Benchmark]) -> None:
    """Refuses (InputError) what would stop an evaluation, whatever is evaluated."""
    own, engine, data = config.eval, choose_engine(config.eval.engine), config.data_dir
    folders = dict.fromkeys(one.data.folder for one in benchmarks)
    if data and not any((data / name).is_dir() for name in folders):
        known = ", ".join(folders)
        raise InputError(f"--data-dir {data}: has no folder of the benchmarks' ({known}); check the path")
    get_tag_format(config.tags)
    JudgePrompt.load(own.judge.prompt)
    if own.judge.wanted:
        server_url(own.judge.server)
    if own.exact and engine == "openai":
        raise InputError("--exact: a served model's weights are not here; leave it out")
    if own.exact and engine == "hf":
        raise InputError("--exact compares with the hf engine, which made these outputs; leave it out")
    if engine != "openai" and (wanted := own.engine_settings.data_parallel):
        import torch

        if wanted > (there := torch.cuda.device_count() or os.cpu_count() or 1):
            raise InputError(f"eval.engine_settings.data_parallel: {wanted}, but there are {there} devices")


def check_questions(config: Config, benchmarks: Sequence[Benchmark], model_dir: Path, path: TextPath) -> None:
    """Refuses (InputError) benchmarks that cannot be read, or ask more than the model has room for."""
    own, tags = config.eval, get_tag_format(config.tags)
    for benchmark in benchmarks:
        records = list(islice(benchmark.iter_records(own.split, config.data_dir), config.limit))
        if not records:
            raise InputError(f"benchmark '{benchmark.name}': its {own.split} split is empty")
        # Only the longest by their letters are counted in tokens.
        texts = sorted(map(render_prompt, records), key=len)[-8:]
        longest = max(map(len, path.ids([path.wrap(text) for text in texts])))
        longest += own.max_new_tokens or benchmark.max_new_tokens
        most = own.engine_settings.max_model_len
        check_context(model_dir, longest, most)
        splits = LazySplits(benchmark.data, benchmark.kind, config.data_dir, tags, {}, own.split)
        if own.num_fewshot and (there := len(splits["fewshot"])) < own.num_fewshot:
            raise InputError(
                f"eval.num_fewshot: {benchmark.name} has {there} examples that can be shown, not "
                f"{own.num_fewshot}; lower it or leave the benchmark out"
            )

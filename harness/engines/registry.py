"""Which engine to take: each is known by the dotted name of its class, and loaded when it is wanted."""

from __future__ import annotations

import importlib.util
import pkgutil
from dataclasses import dataclass
from typing import Any

from harness.engines.api import Engine
from harness.engines.settings import EngineSettings, ServerSettings
from harness.engines.vllm import vllm_distribution
from tasks.errors import InputError, did_you_mean


@dataclass(frozen=True)
class EngineInfo:
    """An engine as `harness list engines` shows it.

    Attributes:
        name: As `--engine` takes it.
        description: What it is.
        source: The distribution that provides it, with its version where that matters.
        installed: Whether it is there.
        made_by: Its class, as `module:name`.
    """

    name: str
    description: str
    source: str
    installed: bool
    made_by: str


ENGINES: dict[str, EngineInfo] = {
    "vllm": EngineInfo(
        "vllm",
        "vLLM in this process; the default where it is installed.",
        vllm_distribution() or "vllm (not installed)",
        vllm_distribution() is not None and importlib.util.find_spec("vllm") is not None,
        "harness.engines.vllm:VllmEngine",
    ),
    "hf": EngineInfo(
        "hf",
        "transformers' generate: slower, runs whatever transformers loads.",
        "transformers",
        True,
        "harness.engines.hf:HfEngine",
    ),
    "openai": EngineInfo(
        "openai",
        "any server that speaks OpenAI's protocol, such as vllm serve: --set eval.server.url=…",
        "openai",
        importlib.util.find_spec("openai") is not None,
        "harness.engines.openai:OpenAIEngine",
    ),
}
_IN_PROCESSES = "harness.engines.parallel:ParallelEngine"


def choose_engine(name: str) -> str:
    """Resolves `auto` and checks that the engine is there.

    Raises:
        InputError: There is no such engine, or it is not installed.
    """
    if name == "auto":
        return "vllm" if ENGINES["vllm"].installed else "hf"
    if name not in ENGINES:
        raise InputError(f"no engine {name!r}: {did_you_mean(name, [*ENGINES, 'auto'])}")
    if not ENGINES[name].installed:
        raise InputError(
            f"the engine {name} is not installed; install the extra cpu or cuda, or use --engine hf"
        )
    return name


def create_engine(name: str, settings: EngineSettings, server: ServerSettings | None = None) -> Engine:
    """Makes an engine that `choose_engine` has named, on all GPUs; it starts when a model is loaded.

    Args:
        name: Of the engine.
        settings: For an engine on this machine.
        server: For one that asks a server.
    """
    if name == "openai":
        return _load(ENGINES[name].made_by, server or ServerSettings())
    import torch

    workers = settings.data_parallel or torch.cuda.device_count()
    return _load(_IN_PROCESSES, name, settings, workers) if workers > 1 else new_engine(name, settings)


def new_engine(name: str, settings: EngineSettings) -> Engine:
    """Makes an engine on this machine, in this process."""
    return _load(ENGINES[name].made_by, settings)


def _load(made_by: str, *arguments: Any) -> Engine:
    engine: Engine = pkgutil.resolve_name(made_by)(*arguments)
    return engine

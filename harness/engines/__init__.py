"""What turns prompts into text: one interface, several engines."""

from __future__ import annotations

from harness.engines.api import (
    Completion,
    Engine,
    EngineSettings,
    Request,
    Sampling,
    ServerSettings,
    api_key,
    server_url,
)
from harness.engines.registry import ENGINES, EngineInfo, choose_engine, create_engine, new_engine

__all__ = [
    "ENGINES",
    "Completion",
    "Engine",
    "EngineInfo",
    "EngineSettings",
    "Request",
    "Sampling",
    "ServerSettings",
    "api_key",
    "choose_engine",
    "create_engine",
    "new_engine",
    "server_url",
]

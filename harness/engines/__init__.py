"""What turns prompts into text: one interface, several engines."""

from __future__ import annotations

from harness.engines.api import Completion, Engine, Request, Sampling
from harness.engines.registry import ENGINES, EngineInfo, choose_engine, create_engine, new_engine
from harness.engines.settings import EngineSettings, ServerSettings, api_key, server_url

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

"""What turns prompts into text: one interface, several engines."""

from __future__ import annotations

from harness.engines.api import (
    ENGINES,
    Completion,
    Engine,
    EngineInfo,
    EngineSettings,
    Request,
    Sampling,
    ServerSettings,
    choose_engine,
    create_engine,
    new_engine,
)

__all__ = [
    "ENGINES",
    "Completion",
    "Engine",
    "EngineInfo",
    "EngineSettings",
    "Request",
    "Sampling",
    "ServerSettings",
    "choose_engine",
    "create_engine",
    "new_engine",
]

"""What turns prompts into text: one interface, several engines."""

from __future__ import annotations

from harness.engines.engine import (
    ENGINES,
    Completion,
    Engine,
    EngineInfo,
    EngineSettings,
    Sampling,
    choose_engine,
    create_engine,
)

__all__ = [
    "ENGINES",
    "Completion",
    "Engine",
    "EngineInfo",
    "EngineSettings",
    "Sampling",
    "choose_engine",
    "create_engine",
]

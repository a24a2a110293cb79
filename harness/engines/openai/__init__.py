"""Any server that speaks OpenAI's protocol, behind the engine interface."""

from __future__ import annotations

from harness.engines.openai.client import served_models
from harness.engines.openai.engine import OpenAIEngine
from harness.engines.openai.wire import ServedPrompts, served_digest
from harness.engines.settings import server_url

__all__ = ["OpenAIEngine", "ServedPrompts", "served_digest", "served_models", "server_url"]

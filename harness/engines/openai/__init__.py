"""Any server that speaks OpenAI's protocol, behind the engine interface."""

from __future__ import annotations

from harness.engines.openai.client import served_models, server_url
from harness.engines.openai.engine import OpenAIEngine
from harness.engines.openai.wire import ServedPrompts, served_digest

__all__ = ["OpenAIEngine", "ServedPrompts", "served_digest", "served_models", "server_url"]

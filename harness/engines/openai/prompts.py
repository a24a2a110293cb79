"""Prompts for a server: what `TextPath` is for a model on this machine, without a tokenizer."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from sftkey_train.text import PromptStyle
from tasks.errors import InputError


class ChatText(str):
    """The turns of a conversation as JSON: what a chat endpoint is sent, as one text that can be a key."""

    __slots__ = ()


@dataclass(frozen=True)
class ServedPrompts:
    """How prompts are written for a server, which applies its own template and tokenizer.

    Attributes:
        style: `chat` for the chat endpoint, `plain` for the one that completes text.
    """

    style: PromptStyle
    stop_strings: tuple[str, ...] = ()
    stop_ids: tuple[int, ...] = ()

    @classmethod
    def of(cls, style: str = "auto") -> ServedPrompts:
        """Makes it; `auto` is the chat endpoint, which every server has: a base model wants `plain`.

        Raises:
            InputError: There is no such style.
        """
        if style not in ("auto", "plain", "chat"):
            raise InputError(f"no prompt style {style!r}: there are auto, plain, chat")
        return cls("plain" if style == "plain" else "chat")

    def wrap(self, prompt: str) -> str:
        """A prompt as it is sent: the text itself, or one user turn."""
        return prompt if self.style == "plain" else self.render([{"role": "user", "content": prompt}], True)

    def render(self, turns: list[dict[str, str]], add_generation_prompt: bool) -> str:
        """Turns of a conversation as one text.

        Raises:
            InputError: The response is to go on from a given beginning, which no chat endpoint promises.
        """
        if not add_generation_prompt:
            raise InputError(
                "a served model cannot be given the beginning of its response; use prompt_style=plain"
            )
        return json.dumps(turns, ensure_ascii=False)

    def ids(self, wrapped: list[str]) -> list[str]:
        """The texts themselves, marked where they are conversations."""
        return [ChatText(text) if self.style == "chat" else text for text in wrapped]

    def digest(self) -> str:
        """Digest of what is known of how prompts become tokens; the rest is the server's."""
        return hashlib.sha256(f"served {self.style}".encode()).hexdigest()


def served_digest(url: str, model: str) -> str:
    """What stands for the digest of weights that only the server has seen: where it is, and the name there.

    A server that puts other weights behind the same name cannot be told from the one before.
    """
    return hashlib.sha256(json.dumps(["served", url, model]).encode()).hexdigest()

"""How a server is asked: its prompts, what it is sent, and what is read from its answer.

Prompts are what `TextPath` writes for a model on this machine, without a tokenizer. Apart from the engine
because servers differ here: in the fields they know, and in what they leave out.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from harness.engines.api import Completion, Request, cut
from sftkey_train.text import PromptStyle
from tasks.errors import InputError
from tasks.secrets import one_line, scrub

MAX_STOP = 4
"""OpenAI's limit; the text is cut at all of them here."""
OWN_DECODING_OFF = {"top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0}
"""For vLLM, which else takes these from the model's generation_config.json."""
_COUNTS = ("prompt_tokens", "completion_tokens")
_NO_TEXT = ()
"""Where one should stand: null may be an empty one."""


class ChatText(str):
    """The turns of a conversation as JSON: what a chat endpoint is sent, as one text that can be a key."""

    __slots__ = ()


@dataclass(frozen=True)
class ServedPrompts:
    """How prompts are written for a server, which applies its own template and tokenizer."""

    style: PromptStyle  # `chat` for the chat endpoint, `plain` for the one that completes text
    # None beside the benchmark's: what ends a turn is the server's to know.
    stop_strings: tuple[str, ...] = ()
    stop_ids: tuple[int, ...] = ()  # likewise none

    @classmethod
    def of(cls, style: str = "auto") -> ServedPrompts:
        """Makes it; `auto` is the chat endpoint, which every server has: a base model wants `plain`."""
        return cls("plain" if style == "plain" else "chat")

    def wrap(self, prompt: str) -> str:
        """A prompt as it is sent: the text itself, or one user turn."""
        return prompt if self.style == "plain" else self.render([{"role": "user", "content": prompt}], True)

    def render(self, turns: list[dict[str, str]], add_generation_prompt: bool) -> str:
        """Turns of a conversation as one text.

        InputError where a response is to go on from a given beginning, which no chat endpoint promises.
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


def endpoint(request: Request) -> str:
    """The endpoint that answers a request."""
    return "/chat/completions" if isinstance(request.prompt, ChatText) else "/completions"


def request_body(
    request: Request, model: str, first: int, *, is_vllm: bool, extra: Mapping[str, Any]
) -> dict[str, Any]:
    """What asks for the responses of a request from number `first` on.

    Greedy decoding asks for one: several would be the same, and vLLM refuses them.
    """
    how, prompt = request.sampling, request.prompt
    fields: dict[str, Any] = {"model": model}
    if isinstance(prompt, ChatText):
        fields["messages"] = json.loads(prompt)
    else:
        fields["prompt"] = prompt
    fields |= {"max_tokens": how.max_new_tokens, "temperature": how.temperature}
    if how.stop:
        fields["stop"] = list(how.stop[:MAX_STOP])
    if how.temperature:
        fields |= {"top_p": how.top_p, "seed": how.seed + first, "n": how.n - first}
    if is_vllm:
        fields |= OWN_DECODING_OFF
    fields |= extra
    return {key: value for key, value in fields.items() if value is not None}


class Choice(NamedTuple):
    """One response of an answer, as the server wrote it."""

    text: str
    finish_reason: str


def read_choices(answer: object, most: int) -> list[Choice]:
    """The responses in an answer, in order: at most as many as were asked for, fewer of some servers.

    ValueError if it is no completion, or one that was broken off.
    """
    found = answer.get("choices") if isinstance(answer, dict) else None
    if not isinstance(found, list) or not found or not all(isinstance(choice, dict) for choice in found):
        raise ValueError(f"no choices in {one_line(json.dumps(answer), 160)}")
    if len(found) > most:
        raise ValueError(f"{len(found)} choices where {most} were asked for")
    numbers = [choice.get("index") for choice in found]
    if any(number is not None for number in numbers):  # some servers number none
        if sorted(map(repr, numbers)) != sorted(map(repr, range(len(numbers)))):  # true is no 1
            raise ValueError(f"choices numbered {one_line(json.dumps(numbers), 160)}")
        found.sort(key=lambda choice: choice["index"])
    return [_read_choice(choice) for choice in found]


def _read_choice(choice: dict[str, Any]) -> Choice:
    finish_reason = choice.get("finish_reason")
    finish_reason = "stop" if finish_reason in (None, "") else finish_reason
    if not isinstance(finish_reason, str) or not re.fullmatch(r"[\w-]{1,40}", scrub(finish_reason)):
        raise ValueError(f"finish_reason {one_line(json.dumps(finish_reason), 160)}")
    if finish_reason in ("abort", "error"):
        raise ValueError(f"broken off by the server ({finish_reason})")
    text = _read_message(choice["message"]) if "message" in choice else choice.get("text", _NO_TEXT)
    if text is None and finish_reason in ("length", "content_filter"):
        text = ""  # the budget went into reasoning that is not shown, or nothing may be shown
    if not isinstance(text, str):
        raise ValueError(f"no text in {one_line(json.dumps(choice), 160)}")
    return Choice(scrub(text), finish_reason)  # what is stored goes onto pages


def _read_message(message: object) -> object:
    """What the model wrote, reasoning that the server took out put back: left open if nothing follows."""
    if not isinstance(message, dict):
        return _NO_TEXT
    content = message.get("content")
    reasoning = message.get("reasoning_content") or message.get("reasoning")
    if not isinstance(reasoning or "", str) or not isinstance(content or "", str):
        return _NO_TEXT
    if reasoning:
        return f"<think>{reasoning}" + (f"</think>{content}" if content else "")
    return message.get("refusal") if content is None else content


def read_completions(answer: tuple[list[Choice], object], request: Request) -> tuple[list[Completion], bool]:
    """The completions that choices are, with the usage beside them, and whether the server counted tokens.

    A server counts the tokens of its choices together: each gets its share by length of text, so that the
    sum is the server's. Where it counts none they are 0: not known, rather than guessed.
    """
    choices, usage = answer
    counts = [_count(usage.get(name)) if isinstance(usage, dict) else None for name in _COUNTS]
    num_prompt, num_output = (count or 0 for count in counts)
    shares = _shares(num_output, [len(choice.text) for choice in choices])
    completions = []
    for (written, finish_reason), share in zip(choices, shares, strict=True):
        text = cut(written, request.sampling.stop)  # some servers leave it in, or look for the first few only
        completions.append(Completion(text, finish_reason if text == written else "stop", num_prompt, share))
    return completions, None not in counts


def _count(counted: object) -> int | None:
    """What a server counted; None where that is no number of tokens, or more than any context has."""
    return counted if type(counted) is int and 0 <= counted <= 1 << 24 else None


def _shares(total: int, weights: Sequence[int]) -> list[int]:
    """Whole shares of a total in proportion to weights."""
    weights = weights if any(weights) else [1] * len(weights)
    ends = [total * sum(weights[: i + 1]) // sum(weights) for i in range(len(weights))]
    return [end - start for start, end in zip([0, *ends], ends, strict=False)]

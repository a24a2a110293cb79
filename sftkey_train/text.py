"""Where text becomes token ids: one tokenizer path for training and evaluation, so that they cannot differ.

A prompt is either plain text or one user turn of the model's chat template; both give exactly one BOS where
the tokenizer uses one.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from tasks.errors import InputError

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer
    from transformers import PreTrainedTokenizerBase

PromptStyle = Literal["plain", "chat"]
_SENTINEL = "RESPONSE"


@dataclass(frozen=True)
class TextPath:
    """How prompts are wrapped and tokenised for one model.

    Attributes:
        tokenizer: A fast Hugging Face tokenizer.
        style: `plain`, or `chat` for the tokenizer's chat template.
    """

    tokenizer: PreTrainedTokenizerBase
    style: PromptStyle

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase, style: str = "auto") -> TextPath:
        """Makes the path; `auto` takes the chat template where there is one.

        Raises:
            InputError: The tokenizer cannot give character offsets, has no end-of-sequence token, or lacks
                the chat template that was asked for.
        """
        name = tokenizer.name_or_path
        if not tokenizer.is_fast:
            raise InputError(f"{name}: a fast tokenizer (tokenizer.json) is needed for offsets")
        if tokenizer.eos_token_id is None:
            raise InputError(f"{name}: the tokenizer has no end-of-sequence token; set eos_token")
        if style == "chat" and not tokenizer.chat_template:
            raise InputError(f"{name}: no chat template; use the prompt style plain")
        if style == "auto":
            style = "chat" if tokenizer.chat_template else "plain"
        if style not in ("plain", "chat"):
            raise InputError(f"no prompt style {style!r}: there are auto, plain, chat")
        return cls(tokenizer, "chat" if style == "chat" else "plain")

    def wrap(self, prompt: str) -> str:
        """The text that stands before the response: the prompt itself, or the chat template around it."""
        return prompt if self.style == "plain" else self.render([{"role": "user", "content": prompt}], True)

    @cached_property
    def end_text(self) -> str:
        """What ends a response: the end-of-sequence token, or what the chat template puts there."""
        if self.style == "plain":
            return str(self.tokenizer.eos_token)
        turns = [{"role": "user", "content": "Q"}, {"role": "assistant", "content": _SENTINEL}]
        end = self.render(turns, False).rpartition(_SENTINEL)[2].rstrip()
        return end or str(self.tokenizer.eos_token)

    @cached_property
    def stop_ids(self) -> tuple[int, ...]:
        """Tokens that end a response; special ones, so no stop string would be seen in decoded text."""
        own = self._end_ids if len(self._end_ids) == 1 else ()
        return tuple(dict.fromkeys((*own, self.tokenizer.eos_token_id)))

    @cached_property
    def stop_strings(self) -> tuple[str, ...]:
        """Ends of a response that are no single token of their own."""
        return () if len(self._end_ids) == 1 else (self.end_text,)

    @cached_property
    def _end_ids(self) -> list[int]:
        return self.tokenizer(self.end_text, add_special_tokens=False)["input_ids"]

    def ids(self, wrapped: list[str]) -> list[list[int]]:
        """Token ids of wrapped prompts, with exactly one BOS where the tokenizer uses one."""
        return [self.with_bos(encoding.ids) for encoding in self.encodings(wrapped, offsets=False)]

    def encodings(self, texts: list[str], *, offsets: bool) -> list[Encoding]:
        """Encodings without BOS, made in parallel by the Rust tokenizer itself.

        Its Hugging Face wrapper gives the same ids, but takes longer to make a Python object of every offset
        than the tokenizer takes for all else.

        Args:
            texts: What to tokenise.
            offsets: Whether the encodings know which characters a token covers.
        """
        backend = self._backend()
        encode = backend.encode_batch if offsets else backend.encode_batch_fast
        return list(encode(texts, add_special_tokens=False))

    def digest(self) -> str:
        """Digest of all that decides the token ids of a text that is wrapped, answered and ended here."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        """Made once: a large tokenizer takes a good part of a second to write itself down."""
        content = [
            self.style,
            self.tokenizer.chat_template if self.style == "chat" else None,
            self.wrap("Question"),
            self.end_text,
            self._bos,
            self.tokenizer.split_special_tokens,
            self._backend().to_str(),
        ]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    def _backend(self) -> Tokenizer:
        """The Rust tokenizer, set to what its wrapper would set it to."""
        backend = self.tokenizer.backend_tokenizer
        backend.no_truncation()  # a wrapper that was called with other options leaves them set here
        backend.no_padding()
        backend.encode_special_tokens = self.tokenizer.split_special_tokens
        return backend

    def with_bos(self, ids: list[int]) -> list[int]:
        """The ids with the tokenizer's BOS in front, unless it uses none or it is there."""
        bos = self._bos
        return ids if bos is None or ids[:1] == [bos] else [bos, *ids]

    @cached_property
    def _bos(self) -> int | None:
        bos = self.tokenizer.bos_token_id
        return bos if bos is not None and self.tokenizer("a")["input_ids"][:1] == [bos] else None

    def render(self, turns: list[dict[str, str]], add_generation_prompt: bool) -> str:
        """Turns of a conversation as text, by the chat template."""
        template = self.tokenizer.apply_chat_template
        return str(template(turns, tokenize=False, add_generation_prompt=add_generation_prompt))

"""Where text becomes token ids: one tokenizer path for training and evaluation, so that they cannot differ.

A prompt is either plain text or one user turn of the model's chat template; both give exactly one BOS where
the tokenizer uses one.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sftkey_train.embedded import BASES
from tasks.errors import InputError
from tasks.limits import Failed, Limited
from tasks.reading import read_json
from tasks.secrets import one_line

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer
    from transformers import PreTrainedTokenizerBase

PromptStyle = Literal["plain", "chat"]
PROMPT_DATE = date(2024, 7, 26)
"""For chat templates that write today's: the date that Llama 3's write where they are told none. It is the
same on every day, since what was trained or asked yesterday would else be another prompt than today's."""
_SENTINEL, _QUESTION = "RESPONSE", "8431+5972?"
_TEMPLATE_SECONDS, _NEXT_SECONDS = 2.0, 0.02
"""For one text, and for each further one on top; the usual template takes 50 µs."""
_TEMPLATE_BYTES = 1 << 30
_MOST_ADDED_CHARS = 1 << 18
"""What a chat template may write around the turns."""
_TOKENIZER_SECONDS = 20.0
_TOKENIZER_CHARS = 20_000
"""Characters that the slowest tokenizer takes a second for; the usual ones take millions."""


def load_tokenizer(path: str) -> PreTrainedTokenizerBase:
    """Loads a tokenizer from a folder or the Hub.

    Raises:
        InputError: There is none, or it needs remote code.
    """
    try:
        if _is_plain(Path(path)):  # `AutoTokenizer` would import torch and more, which takes seconds
            from transformers import PreTrainedTokenizerFast

            return PreTrainedTokenizerFast.from_pretrained(path, local_files_only=True)
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(path, trust_remote_code=False)
    except Exception as error:  # transformers raises whatever its converters met
        raise InputError(
            f"{path}: no tokenizer could be loaded ({first_line(error)}); save it anew"
        ) from error


def first_line(error: BaseException) -> str:
    """What transformers says of a file that it cannot load, without what follows; else the error's kind."""
    return str(error).strip().split("\n")[0][:200] or type(error).__name__


def _is_plain(folder: Path) -> bool:
    """Whether no model beside a tokenizer may want another class than the one it names."""
    if folder.parent != BASES and any(
        (folder / name).exists() for name in ("config.json", "adapter_config.json")
    ):
        return False
    named = folder / "tokenizer_config.json"
    return named.is_file() and read_json(named).get("tokenizer_class") == "TokenizersBackend"


@dataclass(frozen=True)
class TextPath:
    """How prompts are wrapped and tokenised for one model."""

    tokenizer: PreTrainedTokenizerBase  # a fast one
    style: PromptStyle  # `plain`, or `chat` for the tokenizer's chat template
    today: date = PROMPT_DATE  # what a chat template takes for it

    @classmethod
    def of(
        cls, tokenizer: PreTrainedTokenizerBase, style: str = "auto", today: date = PROMPT_DATE
    ) -> TextPath:
        """Makes the path; `auto` takes the chat template where there is one.

        InputError where the tokenizer cannot give character offsets, has no end-of-sequence token, or lacks
        the chat template that was asked for; or that template gives no prompt.
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
        path = cls(tokenizer, "chat" if style == "chat" else "plain", today)
        path._check_template()
        return path

    def wrap(self, prompt: str) -> str:
        """The text that stands before the response: the prompt itself, or the chat template around it."""
        return prompt if self.style == "plain" else self.render([{"role": "user", "content": prompt}], True)

    @cached_property
    def dated(self) -> str | None:
        """The date that prompts tell, where they tell one."""
        others = (replace(self, today=day) for day in (date(2001, 2, 3), date(2012, 11, 25)))
        tell = any(other.wrap(_QUESTION) != self.wrap(_QUESTION) for other in others)
        return self.today.isoformat() if tell else None

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
        than the tokenizer takes for all else. With `offsets` they know which characters a token covers.
        """
        backend = self._backend()
        encode = backend.encode_batch if offsets else backend.encode_batch_fast
        return _in_time(
            lambda: list(encode(texts, add_special_tokens=False)),
            _TOKENIZER_SECONDS + sum(map(len, texts)) / _TOKENIZER_CHARS,
            f"{self.tokenizer.name_or_path}: its tokenizer",
        )

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
        """Turns of a conversation as text, by the chat template.

        It is a program that came with the weights, and what it does with one prompt says nothing of what it
        does with the next: so each is rendered in a process with limits. It gets from transformers what
        `apply_chat_template` would give it, so that the text is the same. To forbid loops and large texts in
        this process would not do: filters, formats and concatenations make them in a hundred ways. InputError
        where the template fails, takes too much, or gives no text.
        """
        try:
            template = self.tokenizer.get_chat_template()
            tokens, day = self.tokenizer.special_tokens_map, self.today.isoformat()
            text = _renderer.ask([template, turns, add_generation_prompt, tokens, day])
        except (Failed, ValueError) as error:
            raise self._no_template(one_line(error)) from error
        return str(text)

    def _check_template(self) -> None:
        """Refuses (InputError) a chat template that does not ask what it is given, or not always alike."""
        if self.style == "plain":
            return
        first, again = self.wrap(_QUESTION), self.wrap(_QUESTION)
        if _QUESTION not in first:
            raise self._no_template("it leaves the question out")
        if first != again:
            raise self._no_template("it writes the same question in another way each time")

    def _no_template(self, reason: str) -> InputError:
        return InputError(
            f"{self.tokenizer.name_or_path}: its chat template cannot be used ({reason}); mend it, or use "
            "the prompt style plain"
        )


def _rendered(question: list[Any]) -> str:
    from transformers.utils.chat_template_utils import render_jinja_template

    template, turns, add_generation_prompt, special_tokens, today = question
    now = datetime.combine(date.fromisoformat(today), time())
    [text], _ = render_jinja_template(
        [turns],
        chat_template=template,
        add_generation_prompt=add_generation_prompt,
        # Before its own of this name, which tells today's.
        **{"strftime_now": now.strftime, **special_tokens},
    )
    if len(text) > _MOST_ADDED_CHARS + sum(len(turn["content"]) for turn in turns):
        raise Failed(f"it adds more than {_MOST_ADDED_CHARS:,} characters")
    return text


_renderer = Limited(_rendered, _TEMPLATE_SECONDS, _NEXT_SECONDS, _TEMPLATE_BYTES)


def _in_time(call: Callable[[], Any], seconds: float, what: str) -> Any:
    """What a call returns that lets other threads run; InputError where it takes longer, or panics."""
    found: list[Any] = []  # the result, or None and what was raised

    def run() -> None:
        try:
            found.append(call())
        except BaseException as error:  # a panic in Rust is no Exception
            found.extend([None, error])

    thread = threading.Thread(target=run, daemon=True)  # one that hangs must not hold the process up
    thread.start()
    thread.join(seconds)
    if not found:
        raise InputError(f"{what} takes more than {seconds:.0f} s for a text; use another checkpoint's")
    if len(found) > 1:
        reason = " ".join(str(found[1]).split())[:200]
        raise InputError(f"{what} cannot read a text ({reason}); use another checkpoint's") from found[1]
    return found[0]

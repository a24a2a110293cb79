"""What is shown nowhere: keys and passwords are noted when they are read, and taken out of all that is said.

They are found by their value, in whatever form a server or a library repeats them: whole or in part, escaped,
encoded, or broken by white space. So they are taken out before a text is cut, never after.
"""

from __future__ import annotations

import base64
import html
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from urllib.parse import quote, unquote

from tasks.shown import printable

PART = 8
"""Characters of a secret that are taken out though it is cut after them; a shorter one goes as a word."""
_INNER = 12
"""So many are taken out wherever they stand: fewer may be a word."""
_PLACEHOLDERS = (
    *("empty", "none", "null", "dummy", "test", "token", "key", "ollama", "vllm", "local", "lm-studio"),
    *("not-needed", "no-key", "no-key-required", "sk-no-key-required"),
)
"""Servers that want no key are given these by their own instructions, and they may stand anywhere."""
_VARIABLES = (
    *("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "OPENAI_API_KEY", "WANDB_API_KEY", "COMET_API_KEY"),
    *("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN"),
)
_URLS = ("OPENAI_BASE_URL", "HF_ENDPOINT", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_URL_VARIABLES = (*_URLS, *(name.lower() for name in _URLS))
_IN_URL = re.compile(r"(?<=://)[^/\s?#]{0,200}@|(?<![\w.+-])[\w.+-]{1,80}:(?!//)[^\s@]{1,200}@(?=[\w.-])")
"""A user, and mostly a password, before a host."""
_CODED = re.compile(
    r"\\u([\da-fA-F]{4})|(?:%|\\x)([\da-fA-F]{2})|\\([^nrt])"
    r"|\\[nrt]|[\s\x00-\x1f\x7f-\x9f\xad\u200b-\u200f\u2028-\u202e\u2060\ufeff]"
)
"""A character as JSON, Python or an address writes it; and what breaks a text."""
_MOST_CODES = 3
"""Upon each other, as where an error's JSON stands in JSON."""
_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
_noted: set[str] = set()


def note_secret(value: str | None) -> None:
    """From now on this is shown nowhere."""
    _noted.add(value or "")


def note_url(url: str) -> None:
    """Notes what stands before the host of an address, which may have no scheme."""
    before, at, _ = re.sub(r"^[\w.+-]*://", "", url).rpartition("@")
    user, _, password = before.partition(":")
    if at:
        for value in (before, password or user):
            note_secret(value)
            note_secret(unquote(value))


def scrub(text: str) -> str:
    """A text with `…` in the place of each secret that is noted, or that the environment holds."""
    words, parts = _sought(_secrets())
    for word in words:
        text = word.sub("…", text)
    if not parts:
        return text
    decoded, places = _bare(text)
    bare = decoded.translate(_LOWER)
    begin = {part[:PART] for part in parts}
    likely = [i for i in range(len(bare) - PART + 1) if bare[i : i + PART] in begin]
    hits = [(i, n) for i in likely for n in range(PART, _INNER + 1) if bare[i : i + n] in parts]
    kept, end = list[str](), 0
    for first, length in hits:
        start, last = places[first][0], places[first : first + length][-1][1]
        if start >= end:
            kept += [text[end:start], "…"]
        end = max(end, last)
    return "".join([*kept, text[end:]])


def holds_secret(text: str) -> bool:
    """Whether one stands in a text whole, and is long enough to be no word."""
    return any(len(value) >= PART and value in text for value in _secrets())


def _secrets() -> frozenset[str]:
    """Those that are noted, and those in the environment."""
    for name in _URL_VARIABLES:
        note_url(os.environ.get(name, ""))
    found = _noted.union(os.environ.get(name, "") for name in _VARIABLES)
    return frozenset(one for one in found if len(one) > 2 and one.lower() not in _PLACEHOLDERS)


def one_line(text: object, most: int = 300) -> str:
    """A text for one line: without secrets, line breaks and control characters, and then cut."""
    shown = printable(_IN_URL.sub("…@", scrub(str(text)[: 1 << 17])))
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"


def scrub_streams() -> None:
    """From now on nobody in this process writes a secret to standard output or error."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.write = partial(_write, stream.write)  # type: ignore[method-assign]


def _write(write: Callable[[str], int], text: str) -> int:
    write(scrub(text))
    return len(text)


@lru_cache(maxsize=8)
def _sought(secrets: frozenset[str]) -> tuple[tuple[re.Pattern[str], ...], frozenset[str]]:
    """The short forms of secrets as words; beginnings of the longer ones, and parts of them."""
    forms = {form.translate(_LOWER) for value in secrets for form in _forms(value)}
    short = (form for form in forms if len(form) < PART)
    words = tuple(re.compile(rf"(?<!\w){re.escape(form)}(?!\w)", re.IGNORECASE) for form in short)
    begin = {form[:length] for form in forms for length in range(PART, _INNER) if len(form) >= length}
    inner = {form[i : i + _INNER] for form in forms for i in range(len(form) - _INNER + 1)}
    return words, frozenset(begin | inner)


def _forms(value: str) -> Iterator[str]:
    """A secret in the forms in which it may come back, but for codes of single characters and for breaks."""
    raw = value.encode("utf-8", "surrogatepass")
    for form in (value, html.escape(value), raw.decode("latin-1")):
        yield _bare(form)[0]
    if len(value) < PART:
        yield from (json.dumps(value)[1:-1], quote(raw, safe=""))
    if len(raw) >= PART - 2:
        for before in range(3):  # what stands before it decides where groups of three bytes begin
            encoded = base64.b64encode(bytes(before) + raw).decode().rstrip("=")
            inner = encoded[(0, 2, 3)[before] : len(raw) * 8 // 6 + before]
            yield from (inner, inner.replace("+", "-").replace("/", "_"))
        yield raw.hex()


def _meaning(found: re.Match[str]) -> str:
    code = found[1] or found[2]
    return chr(int(code, 16)) if code else found[3] or ""


def _bare(text: str) -> tuple[str, list[tuple[int, int]]]:
    """The decoded text, and where each of its characters begins and ends in what was written."""
    places = [(i, i + 1) for i in range(len(text))]
    for _ in range(_MOST_CODES):
        left, end = list[tuple[int, int]](), 0
        for found in _CODED.finditer(text):
            left += places[end : found.start()]
            if _meaning(found):
                left.append((places[found.start()][0], places[found.end() - 1][1]))
            end = found.end()
        text, places = _CODED.sub(_meaning, text), [*left, *places[end:]]
    return text, places

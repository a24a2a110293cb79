"""The client for a server: what an answer may take, how often it is asked, and which answers are tried again.

The openai library tries again after 408, 409, 429, 5xx, silence and lost connections, with waits that double,
with jitter, and with what Retry-After says. What it sends is sent here, so that three things hold for
repeated requests too: the pace; the bounds, in which a whole answer must come, since a library's own hold for
each read alone; and the look at the answer, so that one that is no completion is tried again like a lost
connection.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from typing import Any

import httpx2
import openai

from harness.engines.api import ServerSettings, api_key, server_url
from harness.engines.openai_wire import Choice, read_choices
from tasks.errors import InputError
from tasks.reading import parse_json

MOST_ANSWER_BYTES = 16 << 20
"""Unpacked: 32 responses of 100,000 tokens each."""
ANSWER = "answer"
"""Where a response keeps its choices and usage, among its extensions."""


def connect(settings: ServerSettings) -> openai.AsyncOpenAI:
    """A client for many requests; InputError where there is no server's address."""
    seconds = settings.timeout_seconds
    return openai.AsyncOpenAI(
        base_url=server_url(settings),
        api_key=api_key(settings),
        timeout=openai.Timeout(seconds, connect=min(10.0, seconds), pool=None),
        max_retries=settings.max_retries,
        http_client=_Bounded(settings),
    )


class _Bounded(openai.DefaultAsyncHttpxClient):
    """Sends a request and reads its answer, all within a time and a size.

    Redirects are not followed: what is asked goes where the user has said, and nowhere else.
    """

    def __init__(self, settings: ServerSettings) -> None:
        most = settings.concurrency
        limits = httpx2.Limits(max_connections=most, max_keepalive_connections=most)
        super().__init__(limits=limits, follow_redirects=False)
        self._seconds_between = 60 / (settings.requests_per_minute or math.inf)
        self._following = 0.0
        self._seconds = settings.timeout_seconds

    async def send(self, request: httpx2.Request, **how: Any) -> httpx2.Response:
        """The answer, read to its end; raises what the library tries again after."""
        await self._turn()
        try:
            async with asyncio.timeout(self._seconds):
                response = await super().send(request, **{**how, "stream": True})
                try:
                    content = await _content(response)
                finally:
                    await response.aclose()
            asks = request.method == "POST" and response.is_success
            answer = _understood(request, response, content) if asks else None
        except TimeoutError as error:
            raise httpx2.ReadTimeout("no whole answer in time", request=request) from error
        except (ValueError, TypeError, LookupError, ArithmeticError, MemoryError, RuntimeError) as error:
            # Also what the libraries below raise where a server breaks the protocol in a way of its own.
            raise httpx2.DecodingError(str(error), request=request) from error
        of_the_body_as_it_came = ("content-encoding", "content-length", "transfer-encoding")
        headers = {k: value for k, value in response.headers.items() if k not in of_the_body_as_it_came}
        more = {ANSWER: answer}
        return httpx2.Response(
            response.status_code, headers=headers, content=content, request=request, extensions=more
        )

    async def _turn(self) -> None:
        """Waits until no minute sees more requests than it may."""
        start = max(time.monotonic(), self._following)
        self._following = start + self._seconds_between
        await asyncio.sleep(start - time.monotonic())


async def _content(response: httpx2.Response) -> bytes:
    """The body, unpacked; ValueError if it is too long, where it is more than an error's words."""
    most = MOST_ANSWER_BYTES if response.is_success else 1 << 16
    content = bytearray()
    async for piece in response.aiter_bytes():
        content += piece
        if len(content) > most:
            if response.is_success:
                raise ValueError(f"an answer of more than {most >> 20} MiB")
            break
    return bytes(content[:most])


def _understood(
    request: httpx2.Request, response: httpx2.Response, content: bytes
) -> tuple[list[Choice], object]:
    """What an answer that claims success holds; ValueError if it is no completion of what was asked."""
    try:
        answer = parse_json(content, "answer")
        choices = read_choices(answer, json.loads(request.content).get("n", 1))
        return choices, answer.get("usage")
    except (InputError, ValueError) as error:
        kind = response.headers.get("content-type", "no content type")
        raise ValueError(f"no completion ({kind}): {error}") from error

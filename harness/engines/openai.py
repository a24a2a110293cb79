"""Any server that speaks OpenAI's protocol, behind the engine interface.

Requests go out so many at a time, and responses come back as they are finished. The openai library tries
again after 408, 409, 429, 5xx, silence and lost connections, with waits that double, with jitter, and with
what Retry-After says. Two hooks add the rest for long runs: the pace, which holds for repeated requests too,
and the look at an answer, so that one that is no completion is tried again like a lost connection.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.engines.api import NO_KEY, Completion, Request, ServerSettings, api_key, server_url
from harness.engines.openai_wire import endpoint, read_choices, read_completions, request_body
from tasks.errors import InputError, did_you_mean

if TYPE_CHECKING:
    import openai

_Found = tuple[int, tuple[Completion, ...]]
_SECONDS_TO_CONNECT = 10.0
_RETRIES_OF_A_LOOK = 2


class OpenAIEngine:
    """The model is on a server, which also has its tokenizer, template and adapters.

    `version` is the server's address and the further fields that it is sent: what a server runs, and in which
    numbers, it does not say. InputError where no address is given.
    """

    name = "openai"
    dtype = "served"
    wants_text = True

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        extra = f" with {json.dumps(settings.extra, sort_keys=True)}" if settings.extra else ""
        self.version = server_url(settings) + extra
        self._model = ""
        self._is_vllm = False
        self._has_said_uncounted = False

    def refusal(self, adapter_dir: Path) -> str | None:
        """A server is not given files."""
        return "a served adapter is a model of its own: name it as the model (vllm serve --lora-modules)"

    def load(self, model_dir: Path, adapters: Sequence[Path] = ()) -> None:
        """Checks that the server has the model of this name; some servers list none, and are believed.

        InputError where it cannot be reached, or does not have the model.
        """
        for adapter in adapters:
            raise InputError(f"{adapter}: {self.refusal(adapter)}")
        listed = served_models(self._settings)
        name = next((name for name in listed if Path(name) == model_dir), str(model_dir))
        if listed and name not in listed:
            raise InputError(f"{server_url(self._settings)}: no model {name!r}: {did_you_mean(name, listed)}")
        self._model, self._is_vllm = name, listed.get(name) == "vllm"

    def generate(self, requests: Sequence[Request]) -> Iterator[_Found]:
        """Yields what is finished; the event loop runs while the next is waited for, in the caller's thread.

        InputError where a request failed for good, after all that had been finished before was yielded.
        """
        with asyncio.Runner() as runner:
            found = self._answers(requests)

            async def following() -> _Found | None:
                return await anext(found, None)

            try:
                while (one := runner.run(following())) is not None:
                    yield one
            finally:
                runner.run(found.aclose())

    async def _answers(self, requests: Sequence[Request]) -> AsyncGenerator[_Found, None]:
        waiting = iter(enumerate(requests))
        running: dict[asyncio.Task[tuple[Completion, ...]], int] = {}
        async with connect(self._settings) as client:
            try:
                while True:
                    for index, request in islice(waiting, self._settings.concurrency - len(running)):
                        running[asyncio.create_task(self._answer(client, request))] = index
                    if not running:
                        return
                    done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                    for task in sorted(done, key=lambda task: task.exception() is not None):
                        index = running.pop(task)
                        yield index, task.result()
            finally:
                for task in running:
                    task.cancel()
                await asyncio.gather(*running, return_exceptions=True)

    async def _answer(self, client: openai.AsyncOpenAI, request: Request) -> tuple[Completion, ...]:
        """The n responses of a request; a server that gives fewer at once is asked for the rest."""
        import openai

        made: list[Completion] = []
        while len(made) < request.sampling.n:
            try:
                made += await self._ask(client, request, len(made))
            except openai.APIError as error:
                raise explain(error, self._settings, f"model {self._model}") from error
        return tuple(made[: request.sampling.n])

    async def _ask(self, client: openai.AsyncOpenAI, request: Request, first: int) -> list[Completion]:
        import httpx2

        body = request_body(request, self._model, first, is_vllm=self._is_vllm, extra=self._settings.extra)
        response = await client.post(endpoint(request), cast_to=httpx2.Response, body=body)
        completions, counted = read_completions(response.json(), request)
        if not counted and not self._has_said_uncounted:
            self._has_said_uncounted = True
            logging.getLogger(__name__).warning(
                "%s: counts no tokens (usage); they show as 0", server_url(self._settings)
            )
        return completions

    def close(self) -> None:
        """Nothing is held: connections end with `generate`."""


def scrub(text: str, key: str) -> str:
    """The text on one line, shortened and without the key, which some servers repeat."""
    if key != NO_KEY:
        text = text.replace(key, "…")
    return " ".join(text.split())[:300]


def _pace(per_minute: float | None) -> Callable[[object], Awaitable[None]]:
    """What each request waits for, so that no minute sees more than so many; no limit where None."""
    seconds_between, following = 60 / per_minute if per_minute else 0.0, 0.0

    async def wait(_request: object) -> None:
        nonlocal following
        now = time.monotonic()
        start = max(now, following)
        following = start + seconds_between
        if start > now:
            await asyncio.sleep(start - now)

    return wait


def connect(settings: ServerSettings) -> openai.AsyncOpenAI:
    """A client for many requests; InputError where there is no server's address."""
    import httpx2
    import openai

    most = settings.concurrency
    http_client = openai.DefaultAsyncHttpxClient(
        limits=httpx2.Limits(max_connections=most, max_keepalive_connections=most),
        event_hooks={"request": [_pace(settings.requests_per_minute)], "response": [_look_at]},
    )
    options = _client_options(settings)
    return openai.AsyncOpenAI(**options, max_retries=settings.max_retries, http_client=http_client)


def _client_options(settings: ServerSettings) -> dict[str, Any]:
    """Address, key and time limits, whatever is asked."""
    import openai

    connecting = min(_SECONDS_TO_CONNECT, settings.timeout_seconds)
    timeout = openai.Timeout(settings.timeout_seconds, connect=connecting, pool=None)
    return {"base_url": server_url(settings), "api_key": api_key(settings), "timeout": timeout}


async def _look_at(response: Any) -> None:
    """Raises what the library retries, where an answer that claims success is no completion."""
    import httpx2

    if not response.is_success:
        return
    await response.aread()
    try:
        read_choices(response.json())
    except ValueError as error:
        kind = response.headers.get("content-type", "no content type")
        raise httpx2.DecodingError(f"no completion ({kind}): {error}", request=response.request) from error


def served_models(settings: ServerSettings) -> dict[str, str]:
    """The names of the models that a server lists, each with who serves it; empty where it lists none.

    InputError where it cannot be reached, or refuses.
    """
    import openai

    url, key = server_url(settings), api_key(settings)
    retries = min(settings.max_retries, _RETRIES_OF_A_LOOK)
    with openai.OpenAI(**_client_options(settings), max_retries=retries) as client:
        try:
            listed = client.get("/models", cast_to=object)
        except openai.NotFoundError:
            return {}
        except openai.APIError as error:
            raise explain(error, settings, "its list of models") from error
    models = listed.get("data") if isinstance(listed, dict) else None
    if not isinstance(models, list):
        raise InputError(
            f"{url}: what answers there is no OpenAI-compatible server ({scrub(str(listed), key)[:80]}); "
            "check the url, which mostly ends in /v1"
        )
    named = [one for one in models if isinstance(one, dict) and "id" in one]
    return {str(one["id"]): str(one.get("owned_by")) for one in named}


def explain(error: openai.APIError, settings: ServerSettings, what: str) -> InputError:
    """What went wrong for good, in one line: where, what the server said, and how to mend it."""
    import openai

    url, key = server_url(settings), api_key(settings)
    again = f"after {settings.max_retries} tries again" if settings.max_retries else "at once"
    if isinstance(error, openai.APIStatusError):
        said = scrub(_said(error), key) or "nothing more"
        return InputError(f"{url}: {what}: {error.status_code}: {said}; {_mend(error.status_code, settings)}")
    if isinstance(error, openai.APITimeoutError):
        return InputError(
            f"{url}: {what}: no answer within {settings.timeout_seconds:g} s, {again}; raise the server's "
            "timeout_seconds or lower its concurrency; what is done is kept"
        )
    cause = error.__cause__ or error
    detail = scrub(str(cause) or type(cause).__name__, key)
    return InputError(
        f"{url}: {what}: {detail}, {again}; see that it runs and the url is right; what is done is kept"
    )


def _said(error: openai.APIStatusError) -> str:
    """The message in an error's body, whatever its form."""
    said: object = error.body
    for name in ("error", "message", "detail"):
        if isinstance(said, dict) and said.get(name):
            said = said[name]
    return str(said or error.response.text)


def _mend(status: int, settings: ServerSettings) -> str:
    if status in (401, 403):
        return f"set the environment variable {settings.key_variable} to a key that it accepts"
    if status == 404:
        return "check the model's name, the url, and prompt_style: plain asks /completions, chat the other"
    if status == 429:
        return "lower the server's concurrency or set requests_per_minute; what is done is kept"
    if status < 500:
        return "a field that it refuses is taken out by the server's extra, such as extra={temperature: null}"
    return "see the server's log; what is done is kept, and the same command goes on from there"

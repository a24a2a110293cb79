"""The openai library set up for long runs: where a server is, its key, and what the library does not cover.

The library tries again after 408, 409, 429, 5xx, silence and lost connections, with waits that double, with
jitter, and with what Retry-After says. Two hooks add the rest: the pace, which holds for repeated requests
too, and the look at an answer, so that one that is no completion is tried again like a lost connection.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from harness.engines.openai.wire import read_choices
from harness.engines.settings import NO_KEY, ServerSettings, api_key, server_url
from tasks.errors import InputError

if TYPE_CHECKING:
    import openai

_SECONDS_TO_CONNECT = 10.0
_RETRIES_OF_A_LOOK = 2


def scrub(text: str, key: str) -> str:
    """The text on one line, shortened and without the key, which some servers repeat."""
    if key != NO_KEY:
        text = text.replace(key, "…")
    return " ".join(text.split())[:300]


class Pace:
    """Spaces requests evenly, so that no minute sees more than so many.

    Args:
        per_minute: How many; no limit where None.
    """

    def __init__(self, per_minute: float | None) -> None:
        self._seconds_between = 60 / per_minute if per_minute else 0.0
        self._next = 0.0

    async def wait(self, _request: object = None) -> None:
        """Returns when the next request may go out."""
        now = time.monotonic()
        start = max(now, self._next)
        self._next = start + self._seconds_between
        if start > now:
            await asyncio.sleep(start - now)


def connect(settings: ServerSettings) -> openai.AsyncOpenAI:
    """A client for many requests.

    Raises:
        InputError: There is no server's address.
    """
    import httpx2
    import openai

    http_client = openai.DefaultAsyncHttpxClient(
        limits=httpx2.Limits(
            max_connections=settings.concurrency, max_keepalive_connections=settings.concurrency
        ),
        event_hooks={"request": [Pace(settings.requests_per_minute).wait], "response": [_look_at]},
    )
    return openai.AsyncOpenAI(
        base_url=server_url(settings),
        api_key=api_key(settings),
        max_retries=settings.max_retries,
        timeout=_time_limits(settings),
        http_client=http_client,
    )


def _time_limits(settings: ServerSettings) -> Any:
    import openai

    connecting = min(_SECONDS_TO_CONNECT, settings.timeout_seconds)
    return openai.Timeout(settings.timeout_seconds, connect=connecting, pool=None)


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

    Raises:
        InputError: It cannot be reached, or refuses.
    """
    import openai

    url, key = server_url(settings), api_key(settings)
    retries = min(settings.max_retries, _RETRIES_OF_A_LOOK)
    with openai.OpenAI(
        base_url=url, api_key=key, max_retries=retries, timeout=_time_limits(settings)
    ) as client:
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
    return {
        str(one["id"]): str(one.get("owned_by")) for one in models if isinstance(one, dict) and "id" in one
    }


def explain(error: openai.APIError, settings: ServerSettings, what: str) -> InputError:
    """What went wrong for good, in one line: where, what the server said, and how to mend it.

    Args:
        error: As the library raised it, after its last try.
        settings: Of the server.
        what: What was asked for.
    """
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

"""Any server that speaks OpenAI's protocol, behind the engine interface.

Requests go out so many at a time, and responses come back as they are finished. What one may take, and when
it is tried again, is in `openai_http`.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from harness.engines.api import Completion, Request, ServerSettings, server_url
from harness.engines.openai_wire import endpoint, read_completions, request_body
from tasks.errors import InputError, did_you_mean
from tasks.reading import parse_json
from tasks.secrets import one_line

if TYPE_CHECKING:
    import openai

_Found = tuple[int, tuple[Completion, ...]]
_RETRIES_OF_A_LOOK = 2


class OpenAIEngine:
    """The model is on a server, which also has its tokenizer, template and adapters.

    `version` is the server's address and the further fields that it is sent: what a server runs, and in which
    numbers, it does not say. InputError where no address is given.
    """

    name = "openai"
    dtype = "served"
    wants_text = True
    measures = False

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
            near = one_line(did_you_mean(name, listed), 1000)
            raise InputError(f"{server_url(self._settings)}: no model {name!r}: {near}")
        self._model, self._is_vllm = name, listed.get(name) == "vllm"

    def generate(self, requests: Sequence[Request]) -> Iterator[_Found]:
        """Yields what is finished; the event loop runs while the next is waited for, in the caller's thread.

        InputError where a request failed for good, after all that had been finished before was yielded.
        """
        with asyncio.Runner() as runner:
            found = self._answers(requests)

            async def following() -> _Found | None:
                return await anext(found, None)

            # The runner's end cancels what is under way and closes `found`, also where it was interrupted.
            while (one := runner.run(following())) is not None:
                yield one

    async def _answers(self, requests: Sequence[Request]) -> AsyncGenerator[_Found, None]:
        from harness.engines.openai_http import connect

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
        import httpx2
        import openai

        from harness.engines.openai_http import ANSWER

        made, own, model = list[Completion](), self._settings, self._model
        while len(made) < request.sampling.n:
            body = request_body(request, model, len(made), is_vllm=self._is_vllm, extra=own.extra)
            try:
                response = await client.post(endpoint(request), cast_to=httpx2.Response, body=body)
            except openai.APIError as error:
                raise explain(error, own, f"model {model}") from error
            completions, counted = read_completions(response.extensions[ANSWER], request)
            made += completions
            if not counted and not self._has_said_uncounted:
                self._has_said_uncounted = True
                said = "%s: counts no tokens (usage); they show as 0"
                logging.getLogger(__name__).warning(said, server_url(own))
        return tuple(made[: request.sampling.n])

    def close(self) -> None:
        """Nothing is held: connections end with `generate`."""


def served_models(settings: ServerSettings) -> dict[str, str]:
    """The names of the models that a server lists, each with who serves it; empty where it lists none.

    InputError where it cannot be reached, or refuses.
    """
    import openai

    few = replace(settings, max_retries=min(settings.max_retries, _RETRIES_OF_A_LOOK))
    try:
        listed = asyncio.run(_listed(few))
    except openai.NotFoundError:
        return {}
    except openai.APIError as error:
        raise explain(error, few, "its list of models") from error
    models = listed.get("data") if isinstance(listed, dict) else None
    named = [one for one in models if isinstance(one, dict)] if isinstance(models, list) else []
    found = {one["id"]: one.get("owned_by") for one in named[:10_000] if isinstance(one.get("id"), str)}
    if not found and models != []:
        raise InputError(
            f"{server_url(settings)}: what answers there is no OpenAI-compatible server "
            f"({one_line(listed, 80)}); check the url, which mostly ends in /v1"
        )
    return {name: str(by) for name, by in found.items()}


async def _listed(settings: ServerSettings) -> object:
    import httpx2

    from harness.engines.openai_http import connect

    async with connect(settings) as client:
        response = await client.get("/models", cast_to=httpx2.Response)
    try:
        return parse_json(response.content, "its list of models")
    except InputError:
        return response.text


def explain(error: openai.APIError, settings: ServerSettings, what: str) -> InputError:
    """What went wrong for good, in one line: where, what the server said, and how to mend it."""
    import openai

    url = server_url(settings)
    again = f"after {settings.max_retries} tries again" if settings.max_retries else "at once"
    if isinstance(error, openai.APIStatusError):
        said = one_line(_said(error)) or "nothing more"
        return InputError(f"{url}: {what}: {error.status_code}: {said}; {_mend(error.status_code, settings)}")
    if isinstance(error, openai.APITimeoutError):
        return InputError(
            f"{url}: {what}: no answer within {settings.timeout_seconds:g} s, {again}; raise the server's "
            "timeout_seconds or lower its concurrency; what is done is kept"
        )
    cause = error.__cause__ or error
    detail = one_line(cause) or type(cause).__name__
    return InputError(
        f"{url}: {what}: {detail}, {again}; see that it runs and the url is right; what is done is kept"
    )


def _said(error: openai.APIStatusError) -> str:
    """The message in an error's body, whatever its form."""
    said: object = error.body
    for name in ("error", "message", "detail"):
        if isinstance(said, dict) and said.get(name):
            said = said[name]
    return said if isinstance(said, str) and said else error.response.text


def _mend(status: int, settings: ServerSettings) -> str:
    if status < 400:
        return "write the url that it sends on to"
    if status in (401, 403):
        return f"set the environment variable {settings.key_variable} to a key that it accepts"
    if status == 404:
        return "check the model's name, the url, and prompt_style: plain asks /completions, chat the other"
    if status == 429:
        return "lower the server's concurrency or set requests_per_minute; what is done is kept"
    if status < 500:
        return "a field that it refuses is taken out by the server's extra, such as extra={temperature: null}"
    return "see the server's log; what is done is kept, and the same command goes on from there"

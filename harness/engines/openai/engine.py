"""The engine: requests to a server, so many at a time, and their responses as they come."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import harness.engines.openai.wire as wire
from harness.engines.api import Completion, Request
from harness.engines.openai.client import connect, explain, served_models
from harness.engines.settings import ServerSettings, server_url
from tasks.errors import InputError, did_you_mean

if TYPE_CHECKING:
    import openai

_Found = tuple[int, tuple[Completion, ...]]


class OpenAIEngine:
    """The model is on a server, which also has its tokenizer, template and adapters.

    `version` is the server's address and the further fields that it is sent: what a server runs, and in which
    numbers, it does not say.

    Args:
        settings: Of the server.

    Raises:
        InputError: There is no server's address.
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
        """Checks that the server has the model; some servers list none, and are believed.

        Args:
            model_dir: The model's name on the server.
            adapters: None, since a server is not given files.

        Raises:
            InputError: The server cannot be reached, or does not have the model.
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

        Raises:
            InputError: A request failed for good. All that had been finished before was yielded.
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

        body = wire.body(request, self._model, first, is_vllm=self._is_vllm, extra=self._settings.extra)
        response = await client.post(wire.path(request), cast_to=httpx2.Response, body=body)
        completions, counted = wire.read_completions(response.json(), request)
        if not counted and not self._has_said_uncounted:
            self._has_said_uncounted = True
            logging.getLogger(__name__).warning(
                "%s: counts no tokens (usage); they show as 0", server_url(self._settings)
            )
        return completions

    def close(self) -> None:
        """Nothing is held: connections end with `generate`."""

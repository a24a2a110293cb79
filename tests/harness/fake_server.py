"""A server that speaks OpenAI's protocol over real HTTP, and fails in whatever way it is told to."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODEL = "org/fake-8b"


@dataclass(frozen=True)
class Reply:
    """One answer: a JSON object or bytes; `cut` ends the connection in the middle of it.

    Where it is `raw`, the content is all that goes over the wire, head and body; `endless` follows it, again
    and again, with some seconds between, until the client has gone.
    """

    content: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    cut: bool = False
    raw: bool = False
    endless: bytes = b""
    pause: float = 0.0


STALL = Reply(b"", seconds=3600)


def completion(*texts: str, finish: str = "stop", usage: tuple[int, int] | None = (7, 5)) -> dict[str, Any]:
    """The body of /completions."""
    choices = [{"index": i, "text": text, "finish_reason": finish} for i, text in enumerate(texts)]
    return {"choices": choices, "usage": _usage(usage)}


def chat(finish: str = "stop", **message: Any) -> dict[str, Any]:
    """The body of /chat/completions with one message."""
    said = {"role": "assistant", **message}
    return {"choices": [{"index": 0, "message": said, "finish_reason": finish}], "usage": _usage((7, 5))}


def error(message: str, status: int, **headers: str) -> Reply:
    """A refusal as most servers write it."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply({"error": {"message": message, "code": status}}, status, named)


def _usage(counts: tuple[int, int] | None) -> dict[str, int] | None:
    return None if counts is None else {"prompt_tokens": counts[0], "completion_tokens": counts[1]}


class FakeServer:
    """Answers with what a function of the request's body says; a list is served in turn, its last for ever.

    Attributes:
        url: Up to and with /v1.
        bodies: Of all requests for completions, in the order in which they came.
        paths: Their paths.
        times: When they came.
        peak: The most that were under way at once.
        keys: The Authorization headers that were sent.
    """

    def __init__(
        self,
        answer: Callable[[dict[str, Any]], Reply] | list[Reply],
        models: Mapping[str, Any] | Reply | None = None,
    ) -> None:
        self._script = answer
        self._models = models or {"data": [{"id": MODEL, "owned_by": "fake"}]}
        self._lock = threading.Lock()
        self.ended = threading.Event()
        self._busy = 0
        self.bodies: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.times: list[float] = []
        self.keys: set[str | None] = set()
        self.peak = 0
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}/v1"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> FakeServer:
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self.ended.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def listed(self) -> Reply:
        return self._models if isinstance(self._models, Reply) else Reply(self._models)

    def reply(self, path: str, body: dict[str, Any], key: str | None) -> Reply:
        with self._lock:
            self._busy += 1
            self.peak = max(self.peak, self._busy)
            number = len(self.bodies)
            self.bodies.append(body)
            self.paths.append(path)
            self.times.append(time.monotonic())
            self.keys.add(key)
        script = self._script
        reply = script[min(number, len(script) - 1)] if isinstance(script, list) else script(body)
        self.ended.wait(reply.seconds)
        with self._lock:
            self._busy -= 1
        return reply


def _handler(server: FakeServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._send(server.listed())

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self._send(server.reply(self.path, body, self.headers.get("Authorization")))

        def _send(self, reply: Reply) -> None:
            if reply.raw:
                self._send_raw(reply)
                return
            as_json = not isinstance(reply.content, bytes)
            content = json.dumps(reply.content).encode() if as_json else reply.content
            try:
                self.send_response(reply.status)
                self.send_header("Content-Type", "application/json" if as_json else "text/html")
                self.send_header("Content-Length", str(len(content)))
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content[: len(content) // 2] if reply.cut else content)
            except OSError:  # the client has gone, as it does where it has waited long enough
                reply = STALL
            self.close_connection = self.close_connection or reply.cut or reply is STALL

        def _send_raw(self, reply: Reply) -> None:
            self.close_connection = True
            with suppress(OSError):
                self.wfile.write(reply.content)
                while reply.endless and not server.ended.wait(reply.pause):
                    self.wfile.write(reply.endless)

        def log_message(self, *words: object) -> None:
            """Nothing: the tests look at what came."""

    return Handler

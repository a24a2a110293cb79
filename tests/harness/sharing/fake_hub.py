"""A Hub on loopback that takes what huggingface_hub sends, and remembers it."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "hf_of_a_test"


@dataclass
class FakeHub:
    """Its answers' status and address; what it was asked, as (method, path); the files it was given."""

    status: int = 200
    url: str = ""
    requests: list[tuple[str, str]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    commits: int = 0

    def answer(self, path: str, body: bytes) -> Any:
        if path == "/api/repos/create":
            wanted = json.loads(body)
            return {"url": f"{self.url}/{wanted['organization']}/{wanted['name']}"}
        if "/preupload/" in path:
            files = json.loads(body)["files"]
            return {
                "files": [
                    {"path": one["path"], "uploadMode": "regular", "shouldIgnore": False} for one in files
                ]
            }
        if "/commit/" in path:
            self._commit(body)
            repo = path.split("/commit/")[0].removeprefix("/api/models/")
            return {"commitUrl": f"{self.url}/{repo}/commit/1", "commitOid": "1"}
        return {}

    def _commit(self, body: bytes) -> None:
        self.commits += 1
        for line in body.splitlines():
            operation = json.loads(line)
            if operation["key"] == "file":
                content = operation["value"]["content"]
                self.files[operation["value"]["path"]] = base64.b64decode(content)


@contextmanager
def fake_hub() -> Iterator[FakeHub]:
    hub = FakeHub()

    class Handler(BaseHTTPRequestHandler):
        def _handle(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            hub.requests.append((self.command, self.path))
            status = hub.status if self.headers.get("Authorization") == f"Bearer {TOKEN}" else 401
            content = json.dumps(hub.answer(self.path, body) if status == 200 else {"error": "no"}).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET = do_HEAD = _handle

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        hub.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield hub
        server.shutdown()

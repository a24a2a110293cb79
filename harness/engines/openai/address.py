"""Where a server is, and with which key it is asked."""

from __future__ import annotations

import os
import re
from urllib.parse import urlsplit

from harness.engines.api import ServerSettings
from tasks.errors import InputError

_ENDPOINTS = ("/chat/completions", "/completions")
_NO_KEY = "none"


def server_url(settings: ServerSettings) -> str:
    """The server's address up to and with `/v1`, as `http://localhost:8000/v1`.

    An address that names the endpoint too, as lm-eval's `base_url` does, or that stops at the port, is
    understood.

    Raises:
        InputError: No address is given, or it is none, or a secret stands in it.
    """
    url = settings.url or os.environ.get("OPENAI_BASE_URL", "")
    if not url:
        raise InputError(
            "no server: set its url, such as http://localhost:8000/v1, or OPENAI_BASE_URL "
            "(OpenAI's own is https://api.openai.com/v1)"
        )
    parts = urlsplit(url)
    if parts.username or parts.password or parts.query or parts.fragment:
        raise InputError(
            f"the url of {parts.hostname} holds more than host and path; a key belongs in the environment "
            f"variable {settings.key_variable}"
        )
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InputError(f"{url}: not the url of a server; write it as http://localhost:8000/v1")
    path = parts.path.rstrip("/")
    for endpoint in _ENDPOINTS:
        path = path.removesuffix(endpoint)
    return f"{parts.scheme}://{parts.netloc}{path or '/v1'}"


def api_key(settings: ServerSettings) -> str:
    """The key; a word that is none where the environment holds none, since many servers want none.

    Raises:
        InputError: What should be a variable's name is none, and may be the key itself.
    """
    if not re.fullmatch(r"[A-Z][A-Z0-9_]*", settings.key_variable):
        raise InputError(
            "key_variable takes the name of an environment variable, such as OPENAI_API_KEY, never a key"
        )
    return os.environ.get(settings.key_variable) or _NO_KEY


def scrub(text: str, key: str) -> str:
    """The text on one line, shortened and without the key, which some servers repeat."""
    if key != _NO_KEY:
        text = text.replace(key, "…")
    return " ".join(text.split())[:300]

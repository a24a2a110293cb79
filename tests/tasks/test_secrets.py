"""Secrets are found by their value, in whatever form they come back, and before a text is cut."""

import base64
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from tasks import secrets
from tasks.secrets import note_secret, note_url, one_line, scrub

KEY = 'sk-Pro/j"0123456789+abc\\def=é'


@pytest.fixture(autouse=True)
def none_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_noted", set())
    for name in (*secrets._VARIABLES, *secrets._URL_VARIABLES):
        monkeypatch.delenv(name, raising=False)


def shown(text: str, most: int = 100_000) -> str:
    """What remains of a text; none of it is a part of the key."""
    line = one_line(text, most)
    assert not any(KEY[i : i + 6].lower() in line.lower() for i in range(len(KEY) - 5))
    return line


@pytest.mark.parametrize(
    "form",
    [
        str,
        repr,
        str.upper,
        json.dumps,
        lambda key: json.dumps(json.dumps({"error": key})),
        lambda key: json.dumps(key, ensure_ascii=False).replace("/", "\\/"),
        lambda key: "".join(f"\\u{ord(char):04X}" for char in key),
        quote,
        lambda key: quote(quote(key, safe="")),
        lambda key: key.replace("-", "%2D").replace("o", "%6f"),
        " ".join,
        "\n".join,
        lambda key: json.dumps(f"{key[:9]}\n{key[9:]}"),
        lambda key: f"{key[:9]}\x1b{key[9:12]}\u200b{key[12:]}",
        lambda key: key[:8],
        lambda key: key[5:19],
        lambda key: base64.b64encode(f"user:{key}".encode()).decode(),
        lambda key: base64.b64encode(f"u:{key}".encode()).decode(),
        lambda key: base64.urlsafe_b64encode(f":{key}:".encode()).decode(),
        lambda key: key.encode().hex(),
    ],
)
def test_a_key_is_taken_out_in_every_form(form: Callable[[str], str]) -> None:
    note_secret(KEY)
    text = form(KEY)
    assert "…" in shown(f"wrong key: {text}; try again")
    for most in range(10, 40):
        shown(f"wrong key: {text}", most)


def test_what_is_no_secret_stays() -> None:
    note_secret(KEY)
    text = "a 100% new\\path of a\\u0041 text, sk-Pro and 012345"
    assert scrub(text) == text


def test_a_short_password_goes_as_a_word() -> None:
    note_url("me:s3cret@host:8000/v1")
    assert (
        one_line("me:s3cret@host: s3cret is wrong, s3crets are not") == "…@host: … is wrong, s3crets are not"
    )
    assert "s3cret" not in one_line(base64.b64decode(base64.b64encode(b"me:s3cret")).decode())
    assert one_line(base64.b64encode(b"me:s3cret").decode()) == "…"


@pytest.mark.parametrize(
    "url", ["https://me:p%40ss/w0rd@host/v1", "me:p%40ss/w0rd@host", "//me:p%40ss/w0rd@host"]
)
def test_a_password_in_an_address_is_one_as_it_is_written_and_as_it_is_meant(url: str) -> None:
    note_url(url)
    assert one_line("p%40ss/w0rd and p@ss/w0rd") == "… and …"


def test_users_in_addresses_are_not_shown_though_nobody_has_noted_them() -> None:
    assert one_line("at https://u:pw@host/v1 and url=u:pw@host") == "at https://…@host/v1 and url=…@host"
    assert one_line("url=u:p/w:x@host:8000/v1") == "url=…@host:8000/v1"
    assert one_line("a: b@c, see https://host/@user") == "a: b@c, see https://host/@user"


def test_keys_in_the_environment_need_not_be_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", KEY)
    monkeypatch.setenv("https_proxy", "http://me:pr0xypass@proxy:8080")
    assert shown(f"token {KEY} at pr0xypass") == "token … at …"


def test_a_line_is_one_without_control_characters() -> None:
    assert one_line("a\n b\x1b[31m\x00\u202e") == "a b\\x1b[31m\\x00\\u202e"
    assert one_line("a" * 400) == "a" * 299 + "…"


WRITES = """
import logging, sys, warnings
from tasks.secrets import scrub_streams
scrub_streams()
print("key: 0123456789secret")
logging.getLogger("any").warning("key: %s", "0123456789secret")
warnings.warn("key: 0123456789secret")
raise RuntimeError("key: 0123456789secret")
"""


def test_nobody_writes_a_secret_to_the_standard_streams(repository: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WRITES],
        env={"PYTHONPATH": str(repository), "WANDB_API_KEY": "0123456789secret"},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "key: …\n"
    assert done.stderr.count("key: …") >= 3
    assert "0123456789" not in done.stderr

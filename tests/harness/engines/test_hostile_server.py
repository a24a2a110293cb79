"""A server that breaks the protocol in every way: each is one line in the end, in bounded time and memory."""

import gzip
import json
import time
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_server import MODEL, FakeServer, Reply, chat, completion, error

from harness.config import load_config
from harness.engines import openai_http
from harness.engines.api import Completion, Request, Sampling, ServerSettings, api_key, server_url
from harness.engines.openai import OpenAIEngine
from harness.engines.openai_wire import ServedPrompts
from tasks.errors import InputError

KEY = "sk-Pro/j0123456789+abcdef"
ONCE = ServerSettings(max_retries=0, timeout_seconds=0.5)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def ask(server: FakeServer, n: int = 1, style: str = "plain") -> tuple[Completion, ...]:
    made = OpenAIEngine(replace(ONCE, url=server.url))
    made.load(Path(MODEL))
    path = ServedPrompts.of(style)
    sampling = Sampling(max_new_tokens=16, temperature=0.5 if n > 1 else 0.0, n=n)
    return dict(made.generate([Request(path.ids([path.wrap("Q")])[0], sampling)]))[0]


def refused(reply: Reply, **how: Any) -> str:
    """The one line, which is there soon."""
    began = time.monotonic()
    with FakeServer([reply]) as server, pytest.raises(InputError) as raised:
        ask(server, **how)
    message = str(raised.value)
    assert message.isprintable()
    assert len(message) < 700
    assert time.monotonic() - began < 5
    return message


def choice(**fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "text": "fine", "finish_reason": "stop"} | fields]}


def raw(body: bytes, *headers: bytes, **how: Any) -> Reply:
    return Reply(b"\r\n".join([HEAD.strip(), *headers, b"", body]), raw=True, **how)


def of(body: bytes, *headers: bytes) -> Reply:
    return raw(body, b"Content-Length: %d" % len(body), *headers)


# What is not understood


@pytest.mark.parametrize("index", [1, -1, "0", True, 1.0, [0], {"a": 0}, 10**30])
def test_a_number_that_no_choice_has_is_refused(index: object) -> None:
    assert "choices numbered" in refused(Reply(choice(index=index)))


@pytest.mark.parametrize("numbers", [(0, 0), (1, 2), (0, None), (0, 2)])
def test_numbers_that_are_not_those_of_the_choices_are_refused(numbers: tuple[int | None, ...]) -> None:
    choices = [{"index": i, "text": "a", "finish_reason": "stop"} for i in numbers]
    assert "choices numbered" in refused(Reply({"choices": choices}), n=2)


def test_choices_in_another_order_are_put_in_theirs() -> None:
    choices = [{"index": i, "text": f"t{i}", "finish_reason": "stop"} for i in (2, 0, 1)]
    with FakeServer([Reply({"choices": choices})]) as server:
        assert [one.text for one in ask(server, n=3)] == ["t0", "t1", "t2"]


def test_more_choices_than_were_asked_for_are_refused() -> None:
    assert "3 choices where 2 were asked for" in refused(Reply(completion("a", "b", "c")), n=2)


@pytest.mark.parametrize("text", [None, 5, True, [], {}, ["a"]])
def test_what_is_no_text_is_refused(text: object) -> None:
    assert "no text in" in refused(Reply(choice(text=text)))


@pytest.mark.parametrize("reason", [5, True, [], {}, ["stop"], " ", "x" * 1000])
def test_a_reason_of_another_kind_is_refused(reason: object) -> None:
    assert "finish_reason" in refused(Reply(choice(finish_reason=reason)))


@pytest.mark.parametrize(
    "message", [None, 5, [], "x", {"content": 5}, {"content": ["a"]}, {"content": "x", "reasoning": 5}]
)
def test_a_message_of_another_form_is_refused_also_where_the_budget_ended(message: object) -> None:
    said = {"choices": [{"index": 0, "message": message, "finish_reason": "length"}]}
    assert "no completion" in refused(Reply(said), style="chat")


@pytest.mark.parametrize(
    "usage",
    [
        5,
        [],
        {"prompt_tokens": -3, "completion_tokens": -1},
        {"prompt_tokens": True, "completion_tokens": "5"},
        {"prompt_tokens": 10**30, "completion_tokens": 1.5},
    ],
)
def test_counts_that_are_none_count_as_not_counted(usage: object, caplog: pytest.LogCaptureFixture) -> None:
    with FakeServer([Reply(choice() | {"usage": usage})]) as server:
        assert ask(server) == (Completion("fine", "stop", 0, 0),)
    assert "counts no tokens" in caplog.text


def test_half_a_character_is_replaced() -> None:
    with FakeServer([Reply(choice(text="a\ud800b")), Reply(chat(content="a\udfffb"))]) as server:
        assert ask(server)[0].text == "a\ufffdb"
        assert ask(server, style="chat")[0].text == "a\ufffdb"


# What is no answer


@pytest.mark.parametrize(
    "reply",
    [
        of(b""),
        of(b"null"),
        of(b"[" * 100_000),
        of(b'{"choices":[{"index":' + b"9" * 9_000 + b',"text":"a"}]}'),
        of(b'{"choices":[{"index":0,"text":"\xe9"}]}'),
        of(json.dumps(choice()).encode("utf-16")),
        of(b"\n".join([json.dumps(choice()).encode()] * 2)),
        of(b"data: " + json.dumps(choice()).encode() + b"\n\ndata: [DONE]\n\n"),
        of(b"junk", b"Content-Encoding: gzip"),
        of(b"junk", b"Content-Encoding: " + b"gzip, " * 8 + b"gzip"),
        of(gzip.compress(json.dumps(choice()).encode(), mtime=0)[:40], b"Content-Encoding: gzip"),
        raw(b"zz\r\n{}\r\n", b"Transfer-Encoding: chunked"),
        raw(b"ffffffffffffffff\r\n{}", b"Transfer-Encoding: chunked"),
        raw(b"{}", b"Content-Length: -5"),
        raw(b"{}", b"Content-Length: 5", b"Content-Length: 7"),
        raw(b"{}", b"Content-Length: 1000000"),
        raw(json.dumps(choice()).encode(), b"Content-Length: 10"),
        Reply(b"", raw=True),
        Reply(b"\x16\x03\x01\x02\x00", raw=True),
        Reply(json.dumps(choice()).encode(), raw=True),
        Reply(b"HTTP/1.1 204 No Content\r\n\r\n", raw=True),
        Reply(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", raw=True),
        Reply(b"HTTP/1.1 000 None\r\n\r\n", raw=True),
    ],
    ids=str,
)
def test_what_is_no_answer_is_one_line(reply: Reply) -> None:
    refused(reply)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_nothing_is_sent_where_a_server_sends_on_to(status: int) -> None:
    with FakeServer([Reply(completion("elsewhere"))]) as other:
        message = refused(Reply(b"", status, {"Location": f"{other.url}/completions"}))
        assert other.bodies == []
    assert f"{status}: nothing more; write the url that it sends on to" in message


# Bounds


@pytest.mark.parametrize(
    "reply",
    [
        raw(b"", b"Content-Length: 100000", endless=b" ", pause=0.1),
        raw(b"", b"Transfer-Encoding: chunked", endless=b"1\r\n \r\n", pause=0.1),
        Reply(HEAD, raw=True, endless=b"X: y\r\n", pause=0.1),
        Reply(b"", raw=True, endless=b"H", pause=0.1),
        Reply(b"", raw=True, endless=b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["body", "chunks", "headers", "status", "continue"],
)
def test_an_answer_that_never_ends_has_its_time_in_all(reply: Reply) -> None:
    assert "no answer within 0.5 s" in refused(reply)


@pytest.mark.parametrize(
    "compress", [gzip.compress, zlib.compress, lambda data: gzip.compress(gzip.compress(data))]
)
def test_what_unpacks_to_too_much_is_not_unpacked(compress: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai_http, "MOST_ANSWER_BYTES", 1 << 20)
    coding = {gzip.compress: b"gzip", zlib.compress: b"deflate"}.get(compress, b"gzip, gzip")
    assert "more than 1 MiB" in refused(of(compress(b" " * (4 << 20)), b"Content-Encoding: " + coding))


def test_a_huge_answer_and_endless_headers_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai_http, "MOST_ANSWER_BYTES", 1 << 20)
    assert "more than 1 MiB" in refused(raw(b"", endless=b" " * 65_536))
    assert "too long" in refused(Reply(HEAD, raw=True, endless=b"X: " + b"y" * 1000 + b"\r\n"))


def test_of_an_endless_refusal_the_beginning_is_shown() -> None:
    reply = Reply(b"HTTP/1.1 400 Bad Request\r\n\r\n", raw=True, endless=b"bad " * 10_000)
    assert "400: bad bad" in refused(reply)


def test_an_answer_packed_as_usual_is_read() -> None:
    packed = of(gzip.compress(json.dumps(choice()).encode()), b"Content-Encoding: gzip")
    with FakeServer([packed]) as server:
        assert ask(server)[0].text == "fine"


@pytest.mark.parametrize(
    "models",
    [
        Reply({"data": [{"id": 5}]}),
        Reply({"data": 5}),
        Reply([]),
        raw(b"", b"Content-Length: 100000", endless=b" ", pause=0.1),
        of(b"[" * 100_000),
        Reply(b"", 302, {"Location": "/v1/models"}),
    ],
)
def test_the_list_of_models_has_the_same_bounds(models: Reply) -> None:
    with FakeServer([Reply(completion("fine"))], models) as server, pytest.raises(InputError) as raised:
        ask(server)
    assert str(raised.value).isprintable()
    assert server.bodies == []


# What is shown


@pytest.mark.parametrize(
    "said",
    [
        f"wrong key {KEY}",
        json.dumps({"headers": {"authorization": f"Bearer {KEY}"}}),
        " ".join(KEY),
        "w" * 290 + KEY,
        f"wrong key {KEY[:12]}",
    ],
)
@pytest.mark.parametrize("status", [200, 401])
def test_a_key_that_a_server_repeats_is_not_shown(said: str, status: int) -> None:
    message = refused(Reply({"error": {"message": said}}, status))
    assert not any(KEY[i : i + 6] in message for i in range(len(KEY) - 5))


def test_a_key_in_a_response_is_not_stored() -> None:
    with FakeServer([Reply(completion(f"it is {KEY}"))]) as server:
        assert ask(server)[0].text == "it is …"


def test_what_a_server_says_moves_no_cursor() -> None:
    assert "red\\u202e line" in refused(error("\x1b[31mred\u202e\nline", 400))


@pytest.mark.parametrize(
    "url",
    ["me:sk-secret@host:8000/v1", "https://me:sk-secret@host", "//me:sk-secret@host", "host/?key=sk-secret"],
)
def test_an_address_with_a_password_is_not_shown(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError) as raised:
        server_url(ServerSettings(url=url))
    assert "secret" not in str(raised.value)
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    with pytest.raises(InputError) as raised:
        server_url(ServerSettings())
    assert "secret" not in str(raised.value)


def test_a_key_with_its_end_of_line_is_a_key_and_one_with_others_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}\n")
    assert api_key(ServerSettings()) == KEY
    with pytest.raises(InputError, match="holds a key or a password"):
        load_config(None, {}, [f"eval.server.extra={{user: '{KEY}'}}"])
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret\r\nX-Other: 1")
    with pytest.raises(InputError, match="holds signs that no key has") as raised:
        api_key(ServerSettings())
    assert "secret" not in str(raised.value)

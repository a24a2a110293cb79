"""The openai engine: against a server that fails in every way there is, and against a real `vllm serve`."""

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_server import MODEL, STALL, FakeServer, Reply, chat, completion, error

from benchmarks.measure.served import serving
from harness.config import load_config
from harness.engines.api import Completion, EngineSettings, Request, Sampling, ServerSettings, server_url
from harness.engines.openai import OpenAIEngine
from harness.engines.openai_wire import ServedPrompts, served_digest
from harness.engines.registry import ENGINES, create_engine
from sftkey_train.text import TextPath, load_tokenizer
from tasks.errors import InputError

FEW = Sampling(max_new_tokens=16)
FAST = ServerSettings(max_retries=2, timeout_seconds=5)
GOOD = Reply(completion("fine"))


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def engine(server: FakeServer, settings: ServerSettings = FAST) -> OpenAIEngine:
    made = OpenAIEngine(replace(settings, url=server.url))
    made.load(Path(MODEL))
    return made


def ask(
    server: FakeServer,
    prompts: list[str],
    sampling: Sampling = FEW,
    settings: ServerSettings = FAST,
    style: str = "plain",
) -> list[tuple[Completion, ...]]:
    path = ServedPrompts.of(style)
    written = path.ids([path.wrap(prompt) for prompt in prompts])
    found = dict(engine(server, settings).generate([Request(prompt, sampling) for prompt in written]))
    return [found[i] for i in range(len(prompts))]


def one(server: FakeServer, sampling: Sampling = FEW, **how: Any) -> Completion:
    return ask(server, ["Q"], sampling, **how)[0][0]


# What is asked, and what is read


def test_a_plain_prompt_is_completed_and_the_servers_own_counts_are_kept() -> None:
    with FakeServer([Reply(completion(" 4", usage=(11, 2)))]) as server:
        assert one(server, Sampling(max_new_tokens=9, stop=("\n",))) == Completion(" 4", "stop", 11, 2)
    assert server.paths == ["/v1/completions"]
    assert server.bodies == [
        {"model": MODEL, "prompt": "Q", "max_tokens": 9, "temperature": 0.0, "stop": ["\n"]}
    ]


def test_a_chat_prompt_is_sent_as_its_turns() -> None:
    with FakeServer([Reply(chat(content="4"))]) as server:
        assert one(server, style="chat").text == "4"
    assert server.paths == ["/v1/chat/completions"]
    assert server.bodies[0]["messages"] == [{"role": "user", "content": "Q"}]


def test_several_turns_stay_several() -> None:
    turns = [{"role": "user", "content": "1+1?"}, {"role": "assistant", "content": "2"}]
    path = ServedPrompts.of("auto")
    (text,) = path.ids([path.render(turns, True)])
    with FakeServer([Reply(chat(content="4"))]) as server:
        list(engine(server).generate([Request(text, FEW)]))
    assert server.bodies[0]["messages"] == turns


def test_a_beginning_of_the_response_is_refused_in_chat() -> None:
    with pytest.raises(InputError, match="prompt_style=plain"):
        ServedPrompts.of("chat").render([{"role": "assistant", "content": "<think>"}], False)


def test_n_responses_come_from_one_request_and_share_the_servers_count() -> None:
    sampling = Sampling(max_new_tokens=9, temperature=0.8, top_p=0.9, seed=5, n=3)
    with FakeServer([Reply(completion("a", "bb", "ccc", usage=(4, 13)))]) as server:
        (found,) = ask(server, ["Q"], sampling)
    assert [one.text for one in found] == ["a", "bb", "ccc"]
    assert sum(one.num_output_tokens for one in found) == 13
    assert {one.num_prompt_tokens for one in found} == {4}
    assert {key: server.bodies[0][key] for key in ("n", "seed", "temperature", "top_p")} == {
        "n": 3, "seed": 5, "temperature": 0.8, "top_p": 0.9
    }  # fmt: skip


def test_a_server_that_gives_one_at_a_time_is_asked_for_the_rest_with_the_next_seeds() -> None:
    sampling = Sampling(max_new_tokens=9, temperature=0.8, seed=5, n=3)
    with FakeServer(lambda body: Reply(completion(f"drawn with {body['seed']}"))) as server:
        (found,) = ask(server, ["Q"], sampling)
    assert [one.text for one in found] == [f"drawn with {seed}" for seed in (5, 6, 7)]
    assert [body["n"] for body in server.bodies] == [3, 2, 1]


def test_the_text_is_cut_at_every_stop_string_also_where_the_server_takes_four() -> None:
    stops = ("A1", "A2", "A3", "A4", "A5")
    with FakeServer([Reply(completion("right A5 wrong", finish="length"))]) as server:
        found = one(server, Sampling(max_new_tokens=9, stop=stops))
    assert (found.text, found.finish_reason) == ("right ", "stop")
    assert server.bodies[0]["stop"] == list(stops[:4])


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_reasoning_that_the_server_took_out_is_put_back(name: str) -> None:
    with FakeServer([Reply(chat(content="\n\n4", **{name: "2+2"}))]) as server:
        assert one(server, style="chat").text == "<think>2+2</think>\n\n4"


def test_reasoning_that_the_budget_cut_stays_open() -> None:
    """Closed, it would look as if the model had got to its answer."""
    with FakeServer([Reply(chat(finish="length", content=None, reasoning="2+2"))]) as server:
        found = one(server, style="chat")
    assert (found.text, found.finish_reason) == ("<think>2+2", "length")


@pytest.mark.parametrize("finish", ["length", "content_filter"])
def test_nothing_to_show_is_an_empty_response_where_the_reason_says_so(finish: str) -> None:
    with FakeServer([Reply(chat(finish=finish, content=None))]) as server:
        found = one(server, style="chat")
    assert (found.text, found.finish_reason) == ("", finish)


def test_tokens_that_nobody_counted_are_zero_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    with FakeServer([Reply(completion("some words", usage=None))]) as server:
        found = ask(server, ["Q", "R", "S"])
    assert {one.num_output_tokens for (one,) in found} == {0}
    assert [record.message for record in caplog.records if "counts no tokens" in record.message] == [
        f"{server.url}: counts no tokens (usage); they show as 0"
    ]


def test_further_fields_are_sent_others_taken_out_and_both_are_in_the_version() -> None:
    settings = replace(FAST, extra={"reasoning_effort": "low", "temperature": None})
    with FakeServer([GOOD]) as server:
        made = engine(server, settings)
        list(made.generate([Request("Q", FEW)]))
    assert server.bodies[0]["reasoning_effort"] == "low"
    assert "temperature" not in server.bodies[0]
    assert made.version == f'{server.url} with {{"reasoning_effort": "low", "temperature": null}}'


# Failures that pass


@pytest.mark.parametrize(
    "failure",
    [
        error("overloaded", 500),
        error("starting", 503),
        error("slow down", 429, Retry_After="0.05"),
        error("time", 408),
        error("conflict", 409),
        Reply(completion("fine"), cut=True),
        Reply(b"<html>gateway</html>"),
        Reply(b"{not json"),
        Reply(completion()),
        Reply({"error": {"message": "upstream"}}),
        Reply({"choices": [{"index": 0, "text": None, "finish_reason": "stop"}]}),
        Reply({"choices": ["text"]}),
        Reply(completion("half", finish="abort")),
    ],
    ids=lambda reply: f"{reply.status}-{str(reply.content)[:24]}",
)
def test_a_request_that_fails_once_is_tried_again(failure: Reply) -> None:
    with FakeServer([failure, GOOD]) as server:
        assert one(server).text == "fine"
    assert len(server.bodies) == 2


def test_null_content_is_tried_again() -> None:
    with FakeServer([Reply(chat(content=None)), Reply(chat(content="fine"))]) as server:
        assert one(server, style="chat").text == "fine"


def test_a_server_that_stalls_is_asked_again() -> None:
    with FakeServer([STALL, GOOD]) as server:
        assert one(server, settings=replace(FAST, timeout_seconds=0.3)).text == "fine"


def test_retry_after_is_waited_for() -> None:
    with FakeServer([error("slow down", 429, Retry_After="1.2"), GOOD]) as server:
        one(server)
    assert server.times[1] - server.times[0] >= 1.2


def test_waits_grow_from_try_to_try() -> None:
    with FakeServer([error("overloaded", 503)] * 2 + [GOOD]) as server:
        one(server)
    first, second = (b - a for a, b in zip(server.times, server.times[1:], strict=False))
    assert first < second


# Failures that stay


def failure(server: FakeServer, **how: Any) -> str:
    with pytest.raises(InputError) as raised:
        one(server, **how)
    message = str(raised.value)
    assert "\n" not in message
    assert message.startswith(server.url)
    return message


@pytest.mark.parametrize(
    ("status", "mend"),
    [(400, "extra"), (401, "OPENAI_API_KEY"), (403, "OPENAI_API_KEY"), (404, "the model's name")],
)
def test_a_refusal_is_not_repeated_and_says_how_to_mend_it(status: int, mend: str) -> None:
    with FakeServer([error("the server's\nown words", status)]) as server:
        message = failure(server)
    assert len(server.bodies) == 1
    assert f"model {MODEL}: {status}: the server's own words; " in message
    assert mend in message


def test_what_goes_on_failing_is_given_up_after_the_retries() -> None:
    with FakeServer([error("overloaded", 503)]) as server:
        assert "503: overloaded" in failure(server, settings=replace(FAST, max_retries=1))
    assert len(server.bodies) == 2


def test_what_goes_on_being_garbage_is_shown() -> None:
    with FakeServer([Reply(b"<html>gateway</html>")]) as server:
        assert "no completion (text/html)" in failure(server, settings=replace(FAST, max_retries=1))
    assert len(server.bodies) == 2


def test_what_goes_on_stalling_is_given_up() -> None:
    with FakeServer([STALL]) as server:
        settings = replace(FAST, timeout_seconds=0.2, max_retries=1)
        assert "no answer within 0.2 s" in failure(server, settings=settings)


def test_a_server_that_asks_for_an_hour_is_not_waited_for() -> None:
    with FakeServer([error("quota used up", 429, Retry_After="3600")]) as server:
        assert "429: quota used up; lower" in failure(server)
    assert len(server.bodies) == 1


def test_what_was_finished_before_a_failure_is_yielded_and_a_second_run_asks_for_the_rest() -> None:
    """The store keeps what is yielded; here a dictionary does."""
    prompts = [f"Q{i}" for i in range(20)]
    refusing = threading.Event()

    def answer(body: dict[str, Any]) -> Reply:
        if len(server.bodies) > 12:
            refusing.set()
        return (
            error("credit used up", 403) if refusing.is_set() else Reply(completion(f"A{body['prompt'][1:]}"))
        )

    store: dict[str, str] = {}

    def run() -> None:
        missing = [prompt for prompt in prompts if prompt not in store]
        requests = [Request(prompt, FEW) for prompt in missing]
        for index, (found,) in engine(server, replace(FAST, concurrency=4)).generate(requests):
            store[missing[index]] = found.text

    with FakeServer(answer) as server:
        with pytest.raises(InputError, match="credit used up"):
            run()
        kept = dict(store)
        assert 8 <= len(kept) <= 12
        server.bodies.clear()
        server._script = lambda body: Reply(completion(f"A{body['prompt'][1:]}"))
        run()
    assert len(server.bodies) == 20 - len(kept)
    assert store == {f"Q{i}": f"A{i}" for i in range(20)}


# Pace


def test_never_more_requests_at_once_than_allowed_and_as_many_where_there_are_enough() -> None:
    with FakeServer([Reply(completion("x"), seconds=0.02)]) as server:
        found = ask(server, ["Q"] * 60, settings=replace(FAST, concurrency=6))
    assert len(found) == 60
    assert server.peak == 6


def test_requests_keep_their_distance_those_that_are_repeated_too() -> None:
    replies = [
        GOOD,
        error("slow down", 429, Retry_After="0.01"),
        error("oops", 500, Retry_After="0.01"),
        GOOD,
    ]
    with FakeServer(replies) as server:
        ask(server, ["Q"] * 8, settings=replace(FAST, requests_per_minute=200))
    gaps = [later - earlier for earlier, later in zip(server.times, server.times[1:], strict=False)]
    assert len(server.times) == 10
    assert server.times[-1] - server.times[0] >= 2.7 - 0.02
    assert min(gaps) > 0.15  # half the distance: a busy machine may be slow to note an arrival


def test_results_come_as_they_are_finished() -> None:
    def answer(body: dict[str, Any]) -> Reply:
        return Reply(completion(body["prompt"]), seconds=0.6 if body["prompt"] == "slow" else 0.0)

    with FakeServer(answer) as server:
        requests = [Request(prompt, FEW) for prompt in ("slow", "quick", "quick")]
        order = [index for index, _ in engine(server).generate(requests)]
    assert order[-1] == 0


# Endings


def asyncio_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("asyncio")]


@pytest.mark.filterwarnings("error")
def test_an_early_end_leaves_no_request_and_no_thread_behind() -> None:
    with FakeServer(lambda body: GOOD if body["prompt"] == "quick" else STALL) as server:
        found = engine(server).generate([Request("slow", FEW), Request("quick", FEW)])
        assert next(found)[0] == 1
        found.close()
        assert asyncio_threads() == []


@pytest.mark.filterwarnings("error")
def test_an_interrupt_ends_at_once_and_leaves_nothing_behind() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with FakeServer([STALL]) as server:
            threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
            started = time.monotonic()
            with pytest.raises(KeyboardInterrupt):
                ask(server, ["Q"] * 40)
            assert time.monotonic() - started < 2
            assert asyncio_threads() == []
    finally:
        signal.signal(signal.SIGINT, before)


# Where the server is, and what it has


def test_an_unknown_model_is_refused_with_what_is_near() -> None:
    with FakeServer([GOOD]) as server, pytest.raises(InputError, match=f"did you mean '{MODEL}'"):
        OpenAIEngine(replace(FAST, url=server.url)).load(Path("org/fake-7b"))


def test_a_server_that_lists_no_models_is_believed() -> None:
    with FakeServer([GOOD], models=error("no such path", 404)) as server:
        assert one(server).text == "fine"


def test_what_is_no_such_server_is_said_to_be_none() -> None:
    page = Reply(b"<html>hello</html>")
    with FakeServer([GOOD], page) as server, pytest.raises(InputError, match="no OpenAI-compatible server"):
        engine(server)


def test_a_server_that_is_not_there_is_said_in_one_line() -> None:
    with FakeServer([GOOD]) as server:
        pass
    with pytest.raises(InputError, match=r"its list of models: .*see that it runs"):
        engine(server, replace(FAST, max_retries=0))


def test_an_adapter_is_refused() -> None:
    made = OpenAIEngine(replace(FAST, url="http://localhost:1/v1"))
    assert "--lora-modules" in str(made.refusal(Path("adapter")))
    with pytest.raises(InputError, match="adapter: "):
        made.load(Path(MODEL), [Path("adapter")])


@pytest.mark.parametrize(
    "url",
    [
        "http://host:8000/v1",
        "http://host:8000/v1/",
        "http://host:8000",
        "http://host:8000/v1/completions",
        "http://host:8000/v1/chat/completions",
    ],
)
def test_an_address_is_understood_as_users_of_lm_eval_write_it(url: str) -> None:
    assert server_url(ServerSettings(url=url)) == "http://host:8000/v1"


def test_the_address_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "https://host/api/v1")
    assert server_url(ServerSettings()) == "https://host/api/v1"
    assert server_url(ServerSettings(url="http://other/v1")) == "http://other/v1"


def test_without_an_address_nothing_is_sent_anywhere() -> None:
    with pytest.raises(InputError, match="OPENAI_BASE_URL"):
        create_engine("openai", EngineSettings(), ServerSettings())


@pytest.mark.parametrize("url", ["host:8000", "ftp://host/v1", "http://"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="not the url of a server"):
        server_url(ServerSettings(url=url))


def test_the_key_is_sent_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    with FakeServer([error("wrong key: sk-secret", 401)]) as server:
        message = failure(server)
    assert server.keys == {"Bearer sk-secret"}
    assert "secret" not in message
    assert "wrong key: …" in message


def test_a_key_in_the_configuration_is_refused_before_it_is_written_anywhere() -> None:
    for setting in (
        "url=https://me:sk-secret@host/v1",
        "url=https://host/v1?key=sk-secret",
        "key_variable=sk-secret",
    ):
        with pytest.raises(InputError) as raised:
            load_config(None, {}, [f"eval.server.{setting}"])
        assert "secret" not in str(raised.value)


def test_the_servers_settings_are_configuration() -> None:
    config = load_config(
        None, {}, ["eval.server.url=http://host:1/v1", "eval.server.extra={temperature: null}"]
    )
    assert config.eval.server == ServerSettings(url="http://host:1/v1", extra={"temperature": None})
    with pytest.raises(InputError, match=r"eval\.server\.concurrency must be above 0"):
        load_config(None, {}, ["eval.server.concurrency=0"])
    with pytest.raises(InputError, match="did you mean 'timeout_seconds'"):
        load_config(None, {}, ["eval.server.timeout=3"])


def test_the_digest_of_a_served_model_says_where_and_under_which_name() -> None:
    digests = {served_digest(url, model) for url in ("http://a/v1", "http://b/v1") for model in ("m", "n")}
    assert len(digests) == 4


# A real server


CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)
QUESTIONS = [f"Question: {a} + {b}?\nResponse:\n" for a in (2, 17) for b in (3, 40)]


@pytest.fixture(scope="module")
def served_model(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama with a chat template, and with decoding settings of its own that must change nothing."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    tokenizer.chat_template = CHAT_TEMPLATE
    torch.manual_seed(3)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=256, initializer_range=0.3,
        tie_word_embeddings=False, bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    directory = tmp_path_factory.mktemp("served") / "tiny"
    LlamaForCausalLM(config).save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    own = {"repetition_penalty": 5.0, "top_k": 2}
    (directory / "generation_config.json").write_text(json.dumps(own))
    return directory


@pytest.fixture(scope="module")
def vllm_serve(served_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The url of a server that has the model under the name `tiny`."""
    if not ENGINES["vllm"].installed:
        pytest.skip("vLLM is not installed")
    log = tmp_path_factory.mktemp("log") / "vllm.log"
    with serving(served_model, "tiny", log, "--max-num-seqs", "8") as url:
        yield url


def from_server(url: str, style: str, sampling: Sampling) -> list[tuple[Completion, ...]]:
    made = create_engine("openai", EngineSettings(), ServerSettings(url=url, max_retries=1))
    made.load(Path("tiny"))
    path = ServedPrompts.of(style)
    requests = [Request(text, sampling) for text in path.ids([path.wrap(question) for question in QUESTIONS])]
    found = dict(made.generate(requests))
    return [found[i] for i in range(len(requests))]


def from_transformers(model: Path, style: str, sampling: Sampling) -> list[tuple[Completion, ...]]:
    path = TextPath.of(load_tokenizer(str(model)), style)
    made = create_engine("hf", EngineSettings(dtype="float32"))
    made.load(model)
    ids = path.ids([path.wrap(question) for question in QUESTIONS])
    found = dict(made.generate([Request(tuple(prompt), sampling) for prompt in ids]))
    made.close()
    return [found[i] for i in range(len(ids))]


@pytest.mark.heavy
@pytest.mark.parametrize("style", ["plain", "chat"])
def test_a_real_server_gives_the_texts_and_counts_of_transformers(
    vllm_serve: str, served_model: Path, style: str
) -> None:
    """Greedy, both endpoints, and whatever the model's own decoding settings say.

    But for bytes that form no character, which a server that decodes as it goes may leave out at the end.
    """

    def characters(found: list[tuple[Completion, ...]]) -> list[Completion]:
        return [replace(one, text=one.text.replace("\ufffd", "")) for (one,) in found]

    sampling = Sampling(max_new_tokens=24, stop=("7",))
    served = characters(from_server(vllm_serve, style, sampling))
    assert served == characters(from_transformers(served_model, style, sampling))
    assert len({one.text for one in served}) > 1


@pytest.mark.heavy
def test_a_real_servers_second_sample_is_the_first_of_the_next_seed(vllm_serve: str) -> None:
    drawn = Sampling(max_new_tokens=12, temperature=1.0, seed=40, n=2)
    both = from_server(vllm_serve, "plain", drawn)
    second = from_server(vllm_serve, "plain", replace(drawn, seed=41, n=1))
    assert [some[1].text for some in both] == [some[0].text for some in second]
    assert [some[0].text for some in both] != [some[1].text for some in both]


@pytest.mark.heavy
def test_a_real_server_says_which_models_it_has(vllm_serve: str) -> None:
    made = create_engine("openai", EngineSettings(), ServerSettings(url=vllm_serve))
    with pytest.raises(InputError, match="known: tiny"):
        made.load(Path("other/model"))


@pytest.mark.heavy
def test_a_real_servers_refusal_is_shown(vllm_serve: str) -> None:
    with pytest.raises(InputError, match=r"400: .*256"):
        from_server(vllm_serve, "plain", Sampling(max_new_tokens=4000))

"""One text path for training and evaluation: how prompts are wrapped, tokenised and ended."""

from dataclasses import replace
from pathlib import Path

import pytest
from families import CASES, FAMILIES, family_path, family_tokenizer
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from tiny import UNICODE
from transformers import AutoTokenizer

from sftkey_train.text import TextPath, load_tokenizer
from tasks.errors import InputError
from tasks.records import Record, render_prompt


@hypothesis_settings(max_examples=150, deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=60), case=st.sampled_from(CASES))
def test_ids_are_those_of_the_hugging_face_tokenizer(text: str, case: tuple[str, str]) -> None:
    path = family_path(*case)
    wrapped = path.wrap(text)
    with_special_tokens = path.tokenizer(wrapped, add_special_tokens=case[1] == "plain")["input_ids"]
    assert path.ids([wrapped]) == [with_special_tokens]


def test_no_prompts_have_no_ids() -> None:
    assert family_path("gpt2", "plain").ids([]) == []


def test_earlier_truncation_and_padding_are_forgotten() -> None:
    path = TextPath.of(family_tokenizer("llama3"))
    texts = ["Question: one two three four five?", "a"]
    before = path.ids(texts)
    path.tokenizer.pad_token = path.tokenizer.eos_token
    path.tokenizer(texts, truncation=True, max_length=3, padding=True)
    assert path.ids(texts) == before


@pytest.mark.parametrize("beside", [None, "config.json", "adapter_config.json"])
def test_a_tokenizer_is_what_transformers_makes_of_its_folder(beside: str | None, tmp_path: Path) -> None:
    """Alone it is of the class that it names; a model beside it may want another."""
    family_tokenizer("llama3").save_pretrained(tmp_path)
    if beside:
        (tmp_path / beside).write_text('{"model_type": "qwen2", "base_model_name_or_path": "x/y"}')
    ours, theirs = load_tokenizer(str(tmp_path)), AutoTokenizer.from_pretrained(tmp_path)
    assert type(ours) is type(theirs)
    text = "Question: 12 apples, 7 less?\nResponse:\n"
    assert ours(text)["input_ids"] == theirs(text)["input_ids"]
    assert ours.special_tokens_map == theirs.special_tokens_map
    assert ours.chat_template == theirs.chat_template
    assert (type(ours).__name__ == "TokenizersBackend") == (beside != "config.json")


@pytest.mark.parametrize(("name", "style"), CASES)
def test_there_is_one_bos_where_the_tokenizer_uses_one(records: list[Record], name: str, style: str) -> None:
    """Also where the chat template writes it."""
    path, bos = family_path(name, style), FAMILIES[name].bos
    for ids in path.ids([path.wrap(render_prompt(record)) for record in records]):
        assert path.tokenizer.convert_ids_to_tokens(ids).count(bos) == (bos is not None)


@pytest.mark.parametrize(("name", "style"), CASES)
def test_the_end_is_the_eos_or_the_end_of_the_turn(name: str, style: str) -> None:
    path, family = family_path(name, style), FAMILIES[name]
    assert path.end_text == (family.chat_end if style == "chat" else family.eos)
    ids = path.tokenizer(path.end_text, add_special_tokens=False)["input_ids"]
    assert ids[-1] in path.stop_ids
    assert path.tokenizer.eos_token_id in path.stop_ids
    assert path.stop_strings == (() if len(ids) == 1 else (path.end_text,))


@pytest.mark.parametrize(("name", "style"), CASES)
@pytest.mark.parametrize("record", UNICODE, ids=lambda record: record.id)
def test_text_of_other_scripts_comes_through(record: Record, name: str, style: str) -> None:
    path = family_path(name, style)
    assert record.question in path.tokenizer.decode(path.ids([path.wrap(render_prompt(record))])[0])


def test_a_chat_template_is_taken_where_there_is_one() -> None:
    assert TextPath.of(family_tokenizer("qwen2")).style == "plain"
    assert TextPath.of(family_tokenizer("qwen2", chat=True)).style == "chat"
    assert TextPath.of(family_tokenizer("qwen2", chat=True), "plain").style == "plain"


@pytest.mark.parametrize(
    ("eos", "style", "message"),
    [
        (None, "auto", "no end-of-sequence token"),
        ("<|endoftext|>", "chat", "no chat template"),
        ("<|endoftext|>", "fancy", "no prompt style 'fancy'"),
    ],
)
def test_a_tokenizer_that_will_not_do_is_refused(eos: str | None, style: str, message: str) -> None:
    tokenizer = family_tokenizer("gpt2")
    tokenizer.eos_token = eos
    with pytest.raises(InputError, match=message):
        TextPath.of(tokenizer, style)


def test_the_digest_tells_text_paths_apart() -> None:
    """Equal where the same tokenizer is loaded again or has been used; other where any token would be."""
    tokenizer = family_tokenizer("qwen2", chat=True)
    path = TextPath.of(tokenizer)
    used = TextPath.of(family_tokenizer("qwen2", chat=True))
    used.tokenizer(["a", "b c"], truncation=True, max_length=1)
    assert path.digest() == used.digest()
    terse = family_tokenizer("qwen2", chat=True)
    terse.chat_template = terse.chat_template.replace("helpful", "terse")
    ended = family_tokenizer("qwen2", chat=False)
    ended.eos_token = "<|endoftext|>"
    wider = family_tokenizer("qwen2", chat=True)
    wider.add_tokens(["Thinking"])
    others = [
        replace(path, style="plain"),
        TextPath.of(terse),
        TextPath.of(ended),
        TextPath.of(wider),
        *(family_path(*case) for case in CASES if case[0] != "qwen2"),
    ]
    digests = [path.digest(), *(other.digest() for other in others)]
    assert len(set(digests)) == len(digests)

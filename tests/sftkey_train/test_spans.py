"""Tokens of a record, and which segment each belongs to."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from tiny import KINDS, UNICODE, train_tokenizer

from sftkey_train.batches import Collator
from sftkey_train.spans import Corpus, encode
from sftkey_train.text import TextPath
from sftkey_train.variants import LOSS_PRESETS, SEGMENTS, load_variant
from tasks.errors import InputError
from tasks.prompts import render_prompt
from tasks.records import Record
from tasks.tags import get_tag_format, render_response

TAGGED = get_tag_format("thinking-answer")
FORMATS = ("thinking-answer", "none")


def pieces(corpus: Corpus, index: int, path: TextPath) -> dict[str, str]:
    """Decoded text of each segment of an example; a BOS that the text lacks is left out."""
    example = corpus[index]
    ids, segments = example["input_ids"], example["segments"]
    if path.with_bos([]) == ids[:1].tolist():
        ids, segments = ids[1:], segments[1:]
    decode = path.tokenizer.decode
    return {name: decode(ids[segments == i].tolist()) for i, name in enumerate(SEGMENTS)}


def expected_pieces(record: Record, path: TextPath, tags: str = "thinking-answer") -> dict[str, str]:
    response = render_response(record, get_tag_format(tags))
    texts = dict.fromkeys(SEGMENTS, "")
    for span in response.spans:
        texts[span.segment] += response.text[span.start : span.end]
    return {**texts, "prompt": path.wrap(render_prompt(record)), "end": path.end_text}


@pytest.mark.parametrize("tags", FORMATS)
@pytest.mark.parametrize("kind", ["byte-level", "gpt2", "chat"])
def test_the_tokens_of_a_segment_decode_to_its_text(
    paths: dict[str, TextPath], records: list[Record], kind: str, tags: str
) -> None:
    path, checked = paths[kind], 0
    for record in records:
        corpus = encode([record], get_tag_format(tags), path, 999)
        if corpus.num_straddling == 0:
            assert pieces(corpus, 0, path) == expected_pieces(record, path, tags)
            checked += 1
    assert checked >= (len(records) if kind == "byte-level" and tags == "thinking-answer" else 0)


def test_a_segment_of_a_sentencepiece_tokenizer_decodes_to_its_text(
    paths: dict[str, TextPath], records: list[Record]
) -> None:
    path = paths["llama"]
    byte_tokens = 0
    for record in records:
        corpus = encode([record], TAGGED, path, 999)
        assert corpus.num_straddling == 0
        got, want = pieces(corpus, 0, path), expected_pieces(record, path)
        assert got == {**want, "thinking": want["thinking"].lstrip()}
        byte_tokens += sum(t.startswith("<0x") for t in path.tokenizer.convert_ids_to_tokens(corpus.ids_N))
    assert byte_tokens > len(records)


def test_a_token_across_two_segments_belongs_to_the_later_one_and_is_counted(
    paths: dict[str, TextPath], records: list[Record]
) -> None:
    path = paths["straddling"]
    corpus = encode(records, TAGGED, path, 999)
    assert corpus.num_straddling > len(records) / 2
    for index, record in enumerate(records):
        got, want = pieces(corpus, index, path), expected_pieces(record, path)
        assert got["prompt"] == want["prompt"]
        assert len(got["answer_tag"] + got["answer"]) <= len(want["answer_tag"] + want["answer"])
    assert sum(encode([record], TAGGED, path, 999).num_straddling for record in records) == (
        corpus.num_straddling
    )


def test_a_straddling_token_in_detail() -> None:
    """`5</` is one token here: it holds the answer's end and the closing tag's beginning."""
    from tokenizers import AddedToken

    tokenizer = train_tokenizer("byte-level")
    tokenizer.add_tokens([AddedToken("5</", normalized=False)])
    path = TextPath.of(tokenizer)
    record = Record("r", "2 + 3?", None, "Add them.", "5", "number")
    corpus = encode([record], TAGGED, path, 999)
    straddling = corpus.ids_N.tolist().index(tokenizer.convert_tokens_to_ids("5</"))
    assert corpus.num_straddling == 1
    assert SEGMENTS[corpus.segments_N[straddling]] == "answer_tag"
    assert "answer" not in {SEGMENTS[i] for i in corpus.segments_N}


@pytest.mark.parametrize("kind", KINDS)
def test_a_training_prompt_has_the_ids_of_the_evaluation_prompt(
    paths: dict[str, TextPath], records: list[Record], kind: str
) -> None:
    path = paths[kind]
    assert path.style == ("chat" if kind == "chat" else "plain")
    corpus = encode(records, TAGGED, path, 999)
    evaluated = path.ids([path.wrap(render_prompt(record)) for record in records])
    for index, prompt_ids in enumerate(evaluated):
        example = corpus[index]
        assert example["input_ids"][: len(prompt_ids)].tolist() == prompt_ids
        is_prompt = example["segments"] == SEGMENTS.index("prompt")
        assert is_prompt[: len(prompt_ids)].all()
        assert not is_prompt[len(prompt_ids) :].any()


@pytest.mark.parametrize(("kind", "count"), [("byte-level", 1), ("llama", 1), ("gpt2", 0), ("chat", 0)])
def test_there_is_one_bos_where_the_tokenizer_uses_one(
    paths: dict[str, TextPath], records: list[Record], kind: str, count: int
) -> None:
    corpus = encode(records, TAGGED, paths[kind], 999)
    bos = paths[kind].tokenizer.convert_tokens_to_ids("<s>")
    for index in range(len(corpus)):
        assert (corpus[index]["input_ids"] == bos).sum() == count
        assert count == 0 or corpus[index]["input_ids"][0] == bos


def test_a_template_that_writes_the_bos_itself_does_not_double_it(records: list[Record]) -> None:
    tokenizer = train_tokenizer("llama")
    tokenizer.chat_template = (
        "{{ bos_token }}{% for m in messages %}{{ '[' + m.role + ']\n' + m.content }}"
        "{% if m.role == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}"
    )
    path = TextPath.of(tokenizer)
    corpus = encode(records, TAGGED, path, 999)
    assert (corpus.ids_N == tokenizer.bos_token_id).sum() == len(records)
    assert all(ids.count(tokenizer.bos_token_id) == 1 for ids in path.ids([path.wrap("a"), path.wrap("b")]))


@pytest.mark.parametrize("kind", KINDS)
def test_the_end_is_the_eos_or_the_end_of_the_turn(
    paths: dict[str, TextPath], records: list[Record], kind: str
) -> None:
    path = paths[kind]
    end = "<|end|>" if kind == "chat" else "</s>"
    assert path.end_text == end
    assert path.tokenizer.convert_tokens_to_ids(end) in path.stop_ids
    assert path.tokenizer.eos_token_id in path.stop_ids
    assert path.stop_strings == ()
    corpus = encode(records, TAGGED, path, 999)
    is_end = corpus.segments_N == SEGMENTS.index("end")
    assert set(corpus.ids_N[is_end]) == {path.tokenizer.convert_tokens_to_ids(end)}
    assert np.array_equal(np.flatnonzero(is_end), corpus.starts_E[1:] - 1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("record", UNICODE, ids=lambda record: record.id)
def test_text_of_other_scripts_comes_through(paths: dict[str, TextPath], record: Record, kind: str) -> None:
    path = paths[kind]
    corpus = encode([record], TAGGED, path, 999)
    assert record.question in path.tokenizer.decode(path.ids([path.wrap(render_prompt(record))])[0])
    if kind in ("byte-level", "llama"):
        assert pieces(corpus, 0, path)["answer"].strip() == record.answer


def test_a_lone_space_before_the_response_stays_with_the_prompt() -> None:
    """GPT-2's offsets are trimmed: the token of one space has no characters left."""
    tokenizer = train_tokenizer("gpt2")
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m.role + ': ' + m.content }}"
        "{{ eos_token if m.role == 'assistant' else ' -> ' }}{% endfor %}"
    )
    path = TextPath.of(tokenizer)
    record = Record("r", "2 + 3?", None, "Add them.", "5", "number")
    wrapped = path.wrap(render_prompt(record))
    assert wrapped.endswith("-> ")
    corpus = encode([record], TAGGED, path, 999)
    num_prompt = int((corpus.segments_N == SEGMENTS.index("prompt")).sum())
    assert corpus.ids_N[:num_prompt].tolist() == path.ids([wrapped])[0]
    assert tokenizer.convert_ids_to_tokens(int(corpus.ids_N[num_prompt - 1])) == "Ġ"


def test_a_prompt_that_changes_with_its_response_is_an_error() -> None:
    from tokenizers import AddedToken

    tokenizer = train_tokenizer("byte-level")
    tokenizer.add_tokens([AddedToken("\n<Thinking", normalized=False)])
    record = Record("r7", "2 + 3?", None, "Add them.", "5", "number")
    with pytest.raises(InputError, match=r"'r7'.*tokenised otherwise"):
        encode([record], TAGGED, TextPath.of(tokenizer), 999)


SOURCE = Record("r", "2 + 3?", None, "Add them.", "5", "number")


def test_unusable_records_are_left_out_and_counted(path: TextPath) -> None:
    good = [replace(SOURCE, id=str(i)) for i in range(100)]
    long = replace(SOURCE, rationale="2 + 3 = 5. " * 200)
    tags = replace(SOURCE, rationale="I write </Thinking> here.")
    silent = [replace(SOURCE, rationale=None)] * 30
    corpus = encode([*good, long, long, tags, *silent], TAGGED, path, 200)
    assert len(corpus) == 100
    assert corpus.dropped == {"too long": 2, "cannot be rendered": 1, "no rationale": 30}


@pytest.mark.parametrize("change", [{"rationale": "x = 1. " * 99}, {"answer": "</Answer>", "kind": "text"}])
def test_losing_more_than_a_twentieth_is_an_error(path: TextPath, change: dict[str, str]) -> None:
    bad = replace(SOURCE, **change)
    assert len(encode([SOURCE] * 95 + [bad] * 5, TAGGED, path, 200)) == 95
    with pytest.raises(InputError, match="6 of 100 training records would be lost"):
        encode([SOURCE] * 94 + [bad] * 6, TAGGED, path, 200)


def test_nothing_left_is_an_error(path: TextPath) -> None:
    with pytest.raises(InputError, match=r"none of 1 training records.*1 no rationale"):
        encode([replace(SOURCE, rationale=None)], TAGGED, path, 200)


def test_the_key_begins_after_the_last_token_of_the_closing_thinking_tag(
    paths: dict[str, TextPath], records: list[Record]
) -> None:
    key = load_variant("sftkey-tag").stages[1]
    assert LOSS_PRESETS["key"] == {"answer_tag": 1, "answer": 1, "end": 1}
    assert dict(zip(SEGMENTS, key.weights, strict=True))["thinking_tag"] == 0
    for kind in ("byte-level", "llama", "chat"):
        corpus = encode(records, TAGGED, paths[kind], 999)
        weights = Collator(key.weights, 0)([corpus[0]])["weights"][0, :-1].numpy()
        carried = paths[kind].tokenizer.decode(corpus[0]["input_ids"][1:][weights > 0].tolist())
        assert carried.strip() == f"<Answer>{records[0].answer}</Answer>{paths[kind].end_text}"
        assert set(weights) == {0, 1}


TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40)


@hypothesis_settings(max_examples=60, deadline=None)
@given(
    question=TEXTS, rationale=TEXTS, answer=TEXTS, kind=st.sampled_from(["byte-level", "straddling", "gpt2"])
)
def test_segments_tile_every_example(question: str, rationale: str, answer: str, kind: str) -> None:
    """Each token has one segment; segments come in the order of the response, never back."""
    path = PATHS.setdefault(kind, TextPath.of(train_tokenizer(kind))) if kind not in PATHS else PATHS[kind]
    try:
        corpus = encode([Record("r", question, None, rationale, answer, "text")], TAGGED, path, 9999)
    except InputError as error:
        refused = str(error)
    else:
        refused = ""
    if refused:
        assert "cannot be rendered" in refused or "tokenised otherwise" in refused
        return
    order = [
        "prompt",
        "thinking_tag",
        "thinking",
        "thinking_tag",
        "answer_tag",
        "answer",
        "answer_tag",
        "end",
    ]
    changes = np.flatnonzero(np.diff(corpus.segments_N)) + 1
    runs = [SEGMENTS[corpus.segments_N[i]] for i in [0, *changes]]
    remaining = iter(order)
    assert all(run in remaining for run in runs)
    assert (runs[0], runs[-1]) == ("prompt", "end")
    assert sum(corpus.tokens_by_segment().values()) == len(corpus.ids_N) == corpus.starts_E[-1]


PATHS: dict[str, TextPath] = {}


@pytest.mark.parametrize(
    ("change", "style", "message"),
    [
        ({"eos_token": None}, "auto", "no end-of-sequence token"),
        ({}, "chat", "no chat template"),
        ({}, "fancy", "no prompt style 'fancy'"),
    ],
)
def test_a_tokenizer_that_will_not_do_is_refused(change: dict[str, None], style: str, message: str) -> None:
    tokenizer = train_tokenizer("gpt2")
    for name, value in change.items():
        setattr(tokenizer, name, value)
    with pytest.raises(InputError, match=message):
        TextPath.of(tokenizer, style)

"""Tokens of a record, and which segment each belongs to, for the tokenizers of the common model families."""

import itertools
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from families import CASES, FAMILIES, family_path
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from tiny import train_tokenizer

from sftkey_train.corpus import Corpus
from sftkey_train.segments import LOSS_PRESETS, SEGMENTS
from sftkey_train.spans import encode
from sftkey_train.text import TextPath
from sftkey_train.variants import load_variant
from tasks.errors import InputError
from tasks.records import Record, render_prompt
from tasks.tags import Response, get_tag_format, render_response

TAGGED = get_tag_format("thinking-answer")
FORMATS = ("thinking-answer", "think-answer", "none")
SOURCE = Record("r", "2 + 3?", None, "Add them.", "5", "number")
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)


def runs_of(corpus: Corpus, index: int) -> list[tuple[str, list[int]]]:
    """The segments of an example in turn, with their tokens."""
    example = corpus[index]
    changes = [0, *(np.flatnonzero(np.diff(example["segments"])) + 1), len(example["segments"])]
    return [
        (SEGMENTS[example["segments"][start]], example["input_ids"][start:end].tolist())
        for start, end in itertools.pairwise(changes)
    ]


def decode(path: TextPath, ids: list[int]) -> str:
    """Text of an example's tokens from its first on, without the BOS."""
    return path.tokenizer.decode(ids[len(path.with_bos([])) :])


def parts_of(record: Record, path: TextPath, tags: str) -> list[tuple[str, str]]:
    """What an example should consist of: segments with their texts, without a template's BOS."""
    response: Response = render_response(record, get_tag_format(tags))
    prompt = path.wrap(render_prompt(record))
    if path.with_bos([]):
        prompt = prompt.removeprefix(path.tokenizer.bos_token)
    parts = [(span.segment, response.text[span.start : span.end]) for span in response.spans]
    return [("prompt", prompt), *parts, ("end", path.end_text)]


@pytest.mark.parametrize("tags", FORMATS)
@pytest.mark.parametrize(("name", "style"), CASES)
def test_the_tokens_of_a_segment_decode_to_its_text_up_to_straddling_tokens(
    records: list[Record], name: str, style: str, tags: str
) -> None:
    """At each border the tokens before it decode to the text before it, or the next token holds it."""
    path = family_path(name, style)
    assert path.style == style
    straddling, exact = 0, 0
    corpus = encode(records, get_tag_format(tags), path, 9999)
    for index, record in enumerate(records):
        runs, parts = runs_of(corpus, index), parts_of(record, path, tags)
        assert [segment for segment, _ in runs] == [segment for segment, _ in parts]
        ids, text, across = [], "", set()
        whole = corpus[index]["input_ids"].tolist()
        for (_, run), (_, part) in zip(runs, parts, strict=True):
            ids, text = ids + run, text + part
            if decode(path, ids) == text:
                exact += 1
                continue
            before, after = decode(path, ids), decode(path, whole[: len(ids) + 1])
            assert text.startswith(before)
            assert after.startswith(text)
            across.add(len(ids))
        assert decode(path, whole) == text
        straddling += len(across)
    assert straddling == corpus.num_straddling
    assert exact > straddling


@pytest.mark.parametrize(("name", "style"), CASES)
def test_a_training_prompt_has_the_ids_of_the_evaluation_prompt(
    records: list[Record], name: str, style: str
) -> None:
    path = family_path(name, style)
    corpus = encode(records, TAGGED, path, 9999)
    evaluated = path.ids([path.wrap(render_prompt(record)) for record in records])
    assert [runs_of(corpus, index)[0] for index in range(len(corpus))] == [
        ("prompt", prompt_ids) for prompt_ids in evaluated
    ]


@pytest.mark.parametrize(("name", "style"), CASES)
def test_an_example_begins_with_the_one_bos_and_ends_with_the_end(
    records: list[Record], name: str, style: str
) -> None:
    path, family = family_path(name, style), FAMILIES[name]
    corpus = encode(records, TAGGED, path, 9999)
    end_ids = path.tokenizer(path.end_text, add_special_tokens=False)["input_ids"][-1:]
    for index in range(len(corpus)):
        ids = corpus[index]["input_ids"].tolist()
        segment, end = runs_of(corpus, index)[-1]
        assert (segment, end[-1:]) == ("end", end_ids)
        if family.bos is not None:
            bos = path.tokenizer.convert_tokens_to_ids(family.bos)
            assert (ids.count(bos), ids[0]) == (1, bos)
        elif path.tokenizer.bos_token_id not in (None, *end_ids):
            assert path.tokenizer.bos_token_id not in ids


@hypothesis_settings(max_examples=150, deadline=None)
@given(question=TEXTS, rationale=TEXTS, answer=TEXTS, case=st.sampled_from(CASES))
def test_any_text_is_tiled_by_segments_in_the_order_of_the_response(
    question: str, rationale: str, answer: str, case: tuple[str, str]
) -> None:
    """Each token has one segment, that of its last character; none comes twice, none goes back."""
    path = family_path(*case)
    record = Record("r", question, None, rationale, answer, "text")
    try:
        corpus = encode([record], TAGGED, path, 9999)
    except InputError as error:
        assert "cannot be rendered" in str(error) or "tokenised otherwise" in str(error)  # noqa: PT017
        return
    order = iter(
        ["prompt", "thinking_tag", "thinking", "thinking_tag", "answer_tag", "answer", "answer_tag", "end"]
    )
    runs = runs_of(corpus, 0)
    assert all(segment in order for segment, _ in runs)
    assert (runs[0][0], runs[-1][0]) == ("prompt", "end")
    assert runs[0][1] == path.ids([path.wrap(render_prompt(record))])[0]
    expected, num_straddling = list(segments_by_offset(record, path)), corpus.num_straddling
    num_bos = len(corpus.segments_N) - len(expected)
    num_prompt = len(runs[0][1]) - num_bos
    got = [SEGMENTS[segment] for segment in corpus.segments_N[num_bos:]]
    assert got[num_prompt:] == [segment for segment, _ in expected][num_prompt:]
    assert num_straddling == sum(across for _, across in expected[num_prompt:])


def segments_by_offset(record: Record, path: TextPath) -> Iterator[tuple[str, bool]]:
    """By definition, from its characters: the segment of each token, and whether it lies across two."""
    prompt, response = path.wrap(render_prompt(record)), render_response(record, TAGGED)
    part_of_char = [-1] * len(prompt)
    for number, span in enumerate(response.spans):
        part_of_char += [number] * (span.end - span.start)
    part_of_char += [len(response.spans)] * len(path.end_text)
    names = [*(span.segment for span in response.spans), "end", "prompt"]
    text = prompt + response.text + path.end_text
    encoded = path.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    before = 0
    for start, end in encoded["offset_mapping"]:
        last = max(end - 1, 0)
        first = min(start, before, last)
        yield names[part_of_char[last]], part_of_char[first] != part_of_char[last]
        before = end


def test_a_token_across_two_segments_belongs_to_the_later_one_and_is_counted(
    paths: dict[str, TextPath], records: list[Record]
) -> None:
    path = paths["straddling"]
    corpus = encode(records, TAGGED, path, 999)
    assert corpus.num_straddling > len(records) / 2
    assert sum(encode([record], TAGGED, path, 999).num_straddling for record in records) == (
        corpus.num_straddling
    )


def test_a_straddling_token_in_detail() -> None:
    """`5</` is one token here: it holds the answer's end and the closing tag's beginning."""
    from tokenizers import AddedToken

    tokenizer = train_tokenizer("byte-level")
    tokenizer.add_tokens([AddedToken("5</", normalized=False)])
    path = TextPath.of(tokenizer)
    corpus = encode([SOURCE], TAGGED, path, 999)
    straddling = corpus.ids_N.tolist().index(tokenizer.convert_tokens_to_ids("5</"))
    assert corpus.num_straddling == 1
    assert SEGMENTS[corpus.segments_N[straddling]] == "answer_tag"
    assert "answer" not in {SEGMENTS[i] for i in corpus.segments_N}


def test_a_lone_space_before_the_response_stays_with_the_prompt() -> None:
    """GPT-2's offsets are trimmed: the token of one space has no characters left."""
    tokenizer = train_tokenizer("gpt2")
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m.role + ': ' + m.content }}"
        "{{ eos_token if m.role == 'assistant' else ' -> ' }}{% endfor %}"
    )
    path = TextPath.of(tokenizer)
    wrapped = path.wrap(render_prompt(SOURCE))
    assert wrapped.endswith("-> ")
    corpus = encode([SOURCE], TAGGED, path, 999)
    num_prompt = int((corpus.segments_N == SEGMENTS.index("prompt")).sum())
    assert corpus.ids_N[:num_prompt].tolist() == path.ids([wrapped])[0]
    assert tokenizer.convert_ids_to_tokens(int(corpus.ids_N[num_prompt - 1])) == "Ġ"


def test_a_prompt_that_changes_with_its_response_is_an_error() -> None:
    from tokenizers import AddedToken

    tokenizer = train_tokenizer("byte-level")
    tokenizer.add_tokens([AddedToken("\n<Thinking", normalized=False)])
    with pytest.raises(InputError, match=r"'r7'.*tokenised otherwise"):
        encode([replace(SOURCE, id="r7")], TAGGED, TextPath.of(tokenizer), 999)


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
        example = encode(records, TAGGED, paths[kind], 999)[0]
        carries_loss = np.array(key.weights)[example["segments"]] > 0
        carried = paths[kind].tokenizer.decode(example["input_ids"][carries_loss].tolist())
        assert carried.strip() == f"<Answer>{records[0].answer}</Answer>{paths[kind].end_text}"

"""Corpora on disk: the same arrays as in memory, written as a stream, whole or not at all."""

import json
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from families import family_path
from tiny import records_of
from tokenizers import Tokenizer, models, pre_tokenizers

from sftkey_train import spans
from sftkey_train.corpus import Corpus, open_corpus, write_corpus
from sftkey_train.segments import SEGMENTS
from sftkey_train.spans import corpus_key, encode
from sftkey_train.text import TextPath
from tasks.errors import InputError
from tasks.records import Record, records_digest
from tasks.tags import get_tag_format

TAGGED = get_tag_format("thinking-answer")
SOURCE = Record("r", "2 + 3?", None, "Add them.", "5", "number")


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory, records: list[Record], path: TextPath) -> Path:
    """A folder with the corpus of the fixture's records, written in several blocks."""
    directory = tmp_path_factory.mktemp("store") / "corpus"
    encode(iter(records), TAGGED, path, 512, chunk_chars=1000, to=directory)
    return directory


def assert_equal(one: Corpus, other: Corpus) -> None:
    for name in ("ids_N", "segments_N", "starts_E", "lengths_E"):
        got, want = getattr(one, name), getattr(other, name)
        assert got.dtype == want.dtype
        assert np.array_equal(got, want)
    assert one.num_straddling == other.num_straddling
    assert one.dropped == other.dropped
    assert one.digest() == other.digest()
    assert one.tokens_by_segment() == other.tokens_by_segment()


def test_a_stored_corpus_is_the_corpus_in_memory(stored: Path, corpus: Corpus) -> None:
    opened = open_corpus(stored)
    assert_equal(opened, corpus)
    assert len(opened) == len(corpus)
    for index in (0, 7, len(corpus) - 1):
        for name, array in corpus[index].items():
            assert opened[index][name].dtype == np.int64
            assert np.array_equal(opened[index][name], array)


def test_a_stored_corpus_is_mapped_not_read(stored: Path) -> None:
    opened = open_corpus(stored)
    for array in (opened.ids_N, opened.segments_N, opened.starts_E):
        base = array
        while not isinstance(base, np.memmap):
            assert base.base is not None
            base = base.base
        assert not array.flags.writeable


def test_stored_arrays_are_files_that_numpy_opens(stored: Path, corpus: Corpus) -> None:
    assert np.array_equal(np.load(stored / "ids.npy"), corpus.ids_N)
    assert np.array_equal(np.load(stored / "segments.npy"), corpus.segments_N)
    facts = json.loads((stored / "corpus.json").read_text())
    assert (facts["examples"], facts["tokens"]) == (len(corpus), len(corpus.ids_N))
    assert set(facts["versions"]) == {"tokenizers", "transformers"}


def test_another_process_gets_the_folder_and_not_the_content(stored: Path) -> None:
    whole = open_corpus(stored)
    sent = pickle.dumps(whole)
    assert len(sent) < 1000 < whole.ids_N.nbytes
    assert pickle.loads(sent).digest() == whole.digest()


def test_counts_and_digest_of_changed_arrays_are_their_own(stored: Path) -> None:
    """What is stored about a corpus does not travel to a copy with other arrays."""
    opened = open_corpus(stored)
    changed = replace(opened, segments_N=np.zeros_like(opened.segments_N))
    assert changed.digest() != opened.digest()
    assert changed.tokens_by_segment() == {**dict.fromkeys(SEGMENTS, 0), "prompt": len(opened.ids_N)}
    assert replace(opened).digest() == opened.digest()


@pytest.mark.parametrize("change", ["ids_N", "segments_N", "starts_E"])
def test_every_array_decides_the_digest(corpus: Corpus, change: str) -> None:
    array = getattr(corpus, change).copy()
    array[3] += 1
    assert replace(corpus, **{change: array}).digest() != corpus.digest()


@pytest.mark.parametrize("chunk_chars", [1, 300, 1 << 20])
def test_chunks_do_not_matter(
    tmp_path: Path, records: list[Record], path: TextPath, corpus: Corpus, chunk_chars: int
) -> None:
    assert_equal(encode(records, TAGGED, path, 512, chunk_chars=chunk_chars), corpus)
    assert_equal(encode(records, TAGGED, path, 512, chunk_chars=chunk_chars, to=tmp_path / "c"), corpus)


@pytest.mark.parametrize("parallel", ["true", "false"])
def test_threads_do_not_matter(
    monkeypatch: pytest.MonkeyPatch, records: list[Record], path: TextPath, corpus: Corpus, parallel: str
) -> None:
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", parallel)
    assert_equal(encode(records, TAGGED, path, 512), corpus)


def test_what_is_left_out_is_counted_over_all_chunks(tmp_path: Path, path: TextPath) -> None:
    silent = replace(SOURCE, rationale=None)
    long = replace(SOURCE, rationale="2 + 3 = 5. " * 200)
    mixed = [silent, *[SOURCE] * 60, long, silent, *[SOURCE] * 60, long, silent]
    corpus = encode(mixed, TAGGED, path, 200, chunk_chars=500, to=tmp_path / "c")
    assert (len(corpus), corpus.dropped) == (120, {"no rationale": 3, "too long": 2})


def test_records_are_read_two_chunks_ahead_at_most(
    tmp_path: Path, path: TextPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A chunk of this many characters is ten records."""
    chars = len(
        path.wrap("Question: 2 + 3?\nResponse:\n") + "<Thinking>Add them.</Thinking>\n<Answer>5</Answer>"
    )
    read, written = 0, []

    def counted() -> Iterator[Record]:
        nonlocal read
        for i in range(100):
            read += 1
            yield replace(SOURCE, id=str(i))

    def watched(directory: Path, parts: Iterable[Corpus], versions: dict[str, str]) -> None:
        def seen() -> Iterator[Corpus]:
            done = 0
            for part in parts:
                yield part
                done += len(part)
                written.append((done, read))

        write_corpus(directory, seen(), versions)

    monkeypatch.setattr(spans, "write_corpus", watched)
    encode(counted(), TAGGED, path, 200, chunk_chars=10 * chars, to=tmp_path / "c")
    assert written[0] == (10, 20)
    assert max(ahead - done for done, ahead in written) == 10
    assert (written[-1], len(written)) == ((100, 100), 11)


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([], "none of 0 training records can be used .none given."),
        ([replace(SOURCE, rationale=None)] * 3, "none of 3 training records can be used .3 no rationale."),
        (
            [SOURCE] * 9 + [replace(SOURCE, rationale="x = 1. " * 99)],
            "1 of 10 training records would be lost",
        ),
    ],
)
def test_an_error_leaves_nothing_behind(
    tmp_path: Path, path: TextPath, records: list[Record], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        encode(records, TAGGED, path, 200, to=tmp_path / "c")
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_the_records_leaves_nothing_behind(tmp_path: Path, path: TextPath) -> None:
    def broken() -> Iterator[Record]:
        yield from [SOURCE] * 50
        raise InputError("line 51 is broken")

    with pytest.raises(InputError, match="line 51"):
        encode(broken(), TAGGED, path, 200, chunk_chars=100, to=tmp_path / "c")
    assert list(tmp_path.iterdir()) == []


def test_a_corpus_that_is_there_is_not_made_again(stored: Path, path: TextPath, corpus: Corpus) -> None:
    unread = iter([SOURCE])
    assert_equal(encode(unread, TAGGED, path, 512, to=stored), corpus)
    assert list(unread) == [SOURCE]


KILLED = """
import os, sys
from pathlib import Path
import numpy as np
from sftkey_train.corpus import Corpus, write_corpus
def parts():
    yield Corpus(np.ones(4, np.int32), np.ones(4, np.uint8), np.array([0, 4]), 0, {})
    os.kill(os.getpid(), 9)
write_corpus(Path(sys.argv[1]), parts(), {})
"""


def test_a_killed_run_leaves_nothing_that_is_believed(
    tmp_path: Path, records: list[Record], path: TextPath, corpus: Corpus
) -> None:
    directory = tmp_path / "corpus"
    done = subprocess.run(
        [sys.executable, "-c", KILLED, directory], cwd=Path(__file__).parents[2], check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert [entry.name[:8] for entry in tmp_path.iterdir()] == [".corpus."]
    with pytest.raises(InputError, match="no whole corpus"):
        open_corpus(directory)
    assert_equal(encode(records, TAGGED, path, 512, to=directory), corpus)


def test_where_another_process_was_faster_its_corpus_stays(
    tmp_path: Path, records: list[Record], path: TextPath, corpus: Corpus
) -> None:
    directory = tmp_path / "corpus"

    def overtaken() -> Iterator[Record]:
        yield from records[:-1]
        encode(records, TAGGED, path, 512, to=directory.with_name("theirs")).digest()
        directory.with_name("theirs").rename(directory)
        yield records[-1]

    assert_equal(encode(overtaken(), TAGGED, path, 512, to=directory), corpus)
    assert [entry.name for entry in tmp_path.iterdir()] == ["corpus"]


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-8])


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "corpus.json").unlink(),
        lambda folder: (folder / "corpus.json").write_text("{"),
        lambda folder: (folder / "corpus.json").write_text("[]"),
        lambda folder: _cut(folder / "ids.npy"),
        lambda folder: (folder / "segments.npy").unlink(),
        lambda folder: np.save(folder / "starts.npy", np.arange(3)),
    ],
    ids=["no facts", "half facts", "other facts", "cut ids", "no segments", "other starts"],
)
def test_a_damaged_corpus_is_refused(tmp_path: Path, stored: Path, damage) -> None:
    folder = tmp_path / "corpus"
    folder.mkdir()
    for source in stored.iterdir():
        (folder / source.name).write_bytes(source.read_bytes())
    open_corpus(folder)
    damage(folder)
    with pytest.raises(InputError, match=r"no whole corpus .*delete the folder and run again"):
        open_corpus(folder)


def test_the_key_tells_apart_whatever_decides_the_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    chat, plain = family_path("qwen2", "chat"), family_path("qwen2", "plain")
    digest = records_digest(records_of(4))
    keys = [
        corpus_key(digest, TAGGED, chat, 512),
        corpus_key(records_digest(records_of(5)), TAGGED, chat, 512),
        corpus_key(digest, get_tag_format("none"), chat, 512),
        corpus_key(digest, TAGGED, plain, 512),
        corpus_key(digest, TAGGED, family_path("smollm", "plain"), 512),
        corpus_key(digest, TAGGED, chat, 513),
    ]
    monkeypatch.setattr("sftkey_train.spans.SPANS_VERSION", 0)
    keys.append(corpus_key(digest, TAGGED, chat, 512))
    assert len(set(keys)) == len(keys)
    monkeypatch.undo()
    assert corpus_key(records_digest(islice(records_of(9), 4)), TAGGED, chat, 512) == keys[0]


@pytest.mark.parametrize(
    ("tags", "digest"),
    [("thinking-answer", "bc805c5d80a00aa4"), ("none", "3527f9afc8844095")],
)
def test_the_same_inputs_give_the_arrays_they_gave_before(tags: str, digest: str) -> None:
    """Where this fails, raise `SPANS_VERSION`, by which corpora are found, and write the new digest here."""
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({char: i for i, char in enumerate([*alphabet, "</s>"])}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    path = TextPath.of(PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>"))
    choice = Record("c", "Which is blue?", ("the sky", "grass"), "The sky.\nThe answer is A.", "A", "choice")
    assert encode([SOURCE, choice], get_tag_format(tags), path, 999).digest()[:16] == digest

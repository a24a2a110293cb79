"""Records as token arrays with a segment for every token.

The whole text is tokenised as one string, so that training sees the tokens that a model would produce, and
the response's character spans are laid onto the tokens through their offsets. A stage is then a lookup from
segment to weight; all stages and variants of a tag format share these arrays. Records are taken in chunks, so
that their number needs no memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from itertools import chain, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from sftkey_train.corpus import Corpus, join, open_corpus, starts_of, write_corpus
from sftkey_train.segments import SEGMENT_ID
from sftkey_train.text import TextPath
from tasks.errors import InputError
from tasks.records import Record, render_prompt
from tasks.seals import content_digest, kept
from tasks.tags import Response, TagFormat, render_response

if TYPE_CHECKING:
    from tokenizers import Encoding

SPANS_VERSION = 1
"""Raised whenever the same records, tag format and tokenizer would give other arrays."""
_PROMPT, _END = SEGMENT_ID["prompt"], SEGMENT_ID["end"]
LARGEST_LOSS_OF_RECORDS = 0.05
"""Share of records that may be dropped (too long, not renderable) before it is an error."""
CHUNK_CHARS = 1 << 20
"""Characters tokenised together, some thousand examples; an encoding takes about a hundred bytes a token."""


def encode(
    records: Iterable[Record],
    tag_format: TagFormat,
    path: TextPath,
    max_length: int,
    *,
    to: Path | None = None,
    chunk_chars: int = CHUNK_CHARS,
) -> Corpus:
    """Encodes records as prompt, response and end, with a segment for every token.

    Records without a rationale, that contain a tag, or are longer than `max_length` are left out and counted.

    Args:
        records: Training records; two chunks are read ahead at most.
        tag_format: How responses are rendered.
        path: The model's text path.
        max_length: Most tokens of an example; cutting one would cut its answer off.
        to: Folder for the corpus, which is then mapped into memory; in memory alone where None. A folder that
            is there is opened as it is, so name it by `corpus_key`.
        chunk_chars: Characters tokenised together; no matter for the result.

    Raises:
        InputError: Nothing is left, more than a twentieth would be lost, or a prompt's tokens change when the
            response follows (training would then see another prompt than evaluation). No folder is left then.
    """
    parts = _encoded(records, tag_format, path, max_length, chunk_chars)
    if to is None:
        return join(list(parts))
    versions = {name: version(name) for name in ("tokenizers", "transformers")}
    return open_corpus(kept(to, lambda: write_corpus(to, parts, versions), "the encoded training data"))


def corpus_key(digest: str, tag_format: TagFormat, path: TextPath, max_length: int) -> str:
    """Content address of a corpus: 16 hex digits of all that decides its arrays.

    Args:
        digest: Digest of the records, in order (`tasks.records.records_digest`).
        tag_format: How responses are rendered.
        path: The model's text path; a chat template that writes the date gives another key every day.
        max_length: Most tokens of an example.
    """
    content = {
        "version": SPANS_VERSION,
        "tokenizers": version("tokenizers"),
        "records": digest,
        "tag_format": asdict(tag_format),
        "text_path": path.digest(),
        "max_length": max_length,
    }
    return content_digest(content)[:16]


@dataclass
class _Chunk:
    """Rendered examples (id, prompt, response), then tokenised: prompts as evaluation does it, and wholes."""

    examples: list[tuple[str, str, Response]] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    num_chars: int = 0
    prompt_ids: list[list[int]] = field(default_factory=list)
    wholes: list[Encoding] = field(default_factory=list)

    def add(self, record: Record, tag_format: TagFormat, path: TextPath) -> None:
        if record.rationale is None:
            self.dropped["no rationale"] += 1
            return
        try:
            response = render_response(record, tag_format)
        except InputError:
            self.dropped["cannot be rendered"] += 1
            return
        prompt = path.wrap(render_prompt(record))
        self.examples.append((record.id, prompt, response))
        self.num_chars += len(prompt) + len(response.text)

    def tokenise(self, path: TextPath) -> _Chunk:
        """Does all that touches the tokenizer, which must not be used from two threads at once.

        In one call, which is faster than one for the prompts and one for the wholes.
        """
        prompts = [prompt for _, prompt, _ in self.examples]
        wholes = [prompt + response.text + path.end_text for _, prompt, response in self.examples]
        made = path.encodings([*prompts, *wholes], offsets=True)
        self.prompt_ids = [path.with_bos(encoding.ids) for encoding in made[: len(prompts)]]
        self.wholes = made[len(prompts) :]
        return self


def _encoded(
    records: Iterable[Record], tag_format: TagFormat, path: TextPath, max_length: int, chunk_chars: int
) -> Iterator[Corpus]:
    """Encodes chunk after chunk, and makes sure at the end that not too many records were dropped.

    One chunk is tokenised, without Python's lock, while the one before is laid out.
    """
    dropped, num_kept = Counter[str](), 0
    for chunk in _tokenised(_chunks(records, tag_format, path, chunk_chars), path):
        part = _lay_out(chunk, path, max_length)
        dropped.update(part.dropped)
        num_kept += len(part)
        yield part
    _check_dropped(dropped, num_kept, max_length)


def _tokenised(chunks: Iterable[_Chunk], path: TextPath) -> Iterator[_Chunk]:
    """Tokenises in a thread of its own, one chunk ahead."""
    ahead: Future[_Chunk] | None = None
    with ThreadPoolExecutor(1) as tokeniser:
        for chunk in chunks:
            before, ahead = ahead, tokeniser.submit(chunk.tokenise, path)
            if before:
                yield before.result()
        if ahead:
            yield ahead.result()


def _chunks(
    records: Iterable[Record], tag_format: TagFormat, path: TextPath, chunk_chars: int
) -> Iterator[_Chunk]:
    chunk = _Chunk()
    for record in records:
        chunk.add(record, tag_format, path)
        if chunk.num_chars >= chunk_chars:
            yield chunk
            chunk = _Chunk()
    yield chunk


def _lay_out(chunk: _Chunk, path: TextPath, max_length: int) -> Corpus:
    """Lays segments onto the tokens of a chunk's examples, and leaves out those that are too long."""
    examples: list[list[int]] = []
    segment_of_run: list[int] = []
    run_lengths: list[int] = []
    num_straddling = 0
    tokenised = zip(chunk.examples, chunk.prompt_ids, chunk.wholes, strict=True)
    for (record_id, prompt, response), prompt_ids, whole in tokenised:
        ids = path.with_bos(whole.ids)
        if ids[: len(prompt_ids)] != prompt_ids:
            raise InputError(
                f"record {record_id!r}: its prompt is tokenised otherwise when the response follows, so "
                "training would see another prompt than evaluation; use the other prompt style"
            )
        if len(ids) > max_length:
            chunk.dropped["too long"] += 1
            continue
        tokens, straddling = _first_tokens(whole, [len(prompt) + span.end for span in response.spans])
        # Offsets know nothing of the BOS in front; and no segment begins within the prompt's tokens, even
        # where the offsets of the response's first token reach back into it.
        num_bos, num_prompt = len(ids) - len(whole), len(prompt_ids)
        starts = [0, num_prompt, *(max(num_bos + token, num_prompt) for token in tokens)]
        segment_of_run += [_PROMPT, *(SEGMENT_ID[span.segment] for span in response.spans), _END]
        run_lengths += [end - start for start, end in pairwise([*starts, len(ids)])]
        num_straddling += straddling
        examples.append(ids)
    return Corpus(
        ids_N=np.fromiter(chain.from_iterable(examples), np.int32),
        segments_N=np.repeat(np.array(segment_of_run, np.uint8), np.array(run_lengths, np.int64)),
        starts_E=starts_of(np.array([len(ids) for ids in examples], np.int64)),
        num_straddling=num_straddling,
        dropped=chunk.dropped,
    )


def _first_tokens(encoding: Encoding, borders: Sequence[int]) -> tuple[list[int], int]:
    """The first token that ends after each border, and how many tokens have a border inside.

    A token that straddles a border thus belongs to what follows it. The encoding is asked about the few
    characters at the borders, which is far cheaper than to have the offsets of all its tokens. Borders are
    positions between characters, ascending: border b lies before character b.
    """
    tokens: list[int] = []
    num_straddling = next_to_count = 0
    for border in borders:
        token = encoding.char_to_token(border)
        if token is None:  # the character is in none: a space that was trimmed off
            return _first_tokens_by_offsets(encoding.offsets, borders)
        tokens.append(token)
        if _chars(encoding, token)[0] == border:
            if token and _chars(encoding, token - 1)[1] != border:  # likewise, before the border
                return _first_tokens_by_offsets(encoding.offsets, borders)
            continue
        # The token began before the border. Where a character is cut into tokens of its bytes, each of them
        # covers the whole character, so several may lie across; of two near borders they count once.
        straddling = max(token, next_to_count)
        while straddling < len(encoding) and _chars(encoding, straddling)[0] < border:
            straddling += 1
        num_straddling += straddling - max(token, next_to_count)
        next_to_count = max(straddling, next_to_count)
    return tokens, num_straddling


def _chars(encoding: Encoding, token: int) -> tuple[int, int]:
    """Where a token of the text starts and ends; only special tokens that were added have no place."""
    return cast("tuple[int, int]", encoding.token_to_chars(token))


def _first_tokens_by_offsets(
    offsets: Sequence[tuple[int, int]], borders: Sequence[int]
) -> tuple[list[int], int]:
    """What `_first_tokens` gives, where a character at a border is in no token.

    Some tokenizers trim a token's spaces off; such a token is taken to begin where the one before ends.
    """
    starts, ends = np.array(offsets, np.int64).T
    starts[1:] = np.minimum(starts[1:], ends[:-1])
    last = np.maximum(ends - 1, 0)  # an empty token, (0, 0), has no last character
    # A token belongs to the region of its last character, that is to the later of two that it touches.
    region_of_token = np.searchsorted(borders, last, side="right")
    straddling = np.searchsorted(borders, np.minimum(starts, last), side="right") != region_of_token
    # Regions are searched, so they must not step back, as an empty token would make them.
    tokens = np.searchsorted(np.maximum.accumulate(region_of_token), np.arange(1, len(borders) + 1))
    return tokens.tolist(), int(straddling.sum())


def _check_dropped(dropped: dict[str, int], num_kept: int, max_length: int) -> None:
    reasons = ", ".join(f"{count} {reason}" for reason, count in dropped.items())
    if not num_kept:
        raise InputError(
            f"none of {sum(dropped.values())} training records can be used ({reasons or 'none given'})"
        )
    lost = dropped.get("too long", 0) + dropped.get("cannot be rendered", 0)
    if lost > LARGEST_LOSS_OF_RECORDS * (num_kept + lost):
        raise InputError(
            f"{lost} of {num_kept + lost} training records would be lost ({reasons}); raise train.max_length "
            f"(now {max_length}) or choose another tag format"
        )

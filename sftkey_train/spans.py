"""Records as token arrays with a segment for every token.

The whole text is tokenised as one string, so that training sees the tokens that a model would produce, and
the response's character spans are laid onto the tokens through their offsets. A stage is then a lookup from
segment to weight; all stages and variants of a tag format share these arrays.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sftkey_train.text import TextPath
from sftkey_train.variants import SEGMENTS
from tasks.errors import InputError
from tasks.prompts import render_prompt
from tasks.records import Record
from tasks.tags import Response, TagFormat, render_response

if TYPE_CHECKING:
    from numpy.typing import NDArray

SEGMENT_ID = {name: i for i, name in enumerate(SEGMENTS)}
LARGEST_LOSS_OF_RECORDS = 0.05
"""Share of records that may be dropped (too long, not renderable) before it is an error."""


@dataclass(frozen=True)
class Corpus:
    """Encoded training examples, end to end.

    Attributes:
        ids_N: Token ids of all examples, int32.
        segments_N: Segment of each token, an index into `SEGMENTS`, uint8.
        starts_E: Where each example starts, with the end of the last one added, int64.
        num_straddling: Tokens that lay across two segments and were given to the later one.
        dropped: Why records were left out -> how many.
    """

    ids_N: NDArray[np.int32]
    segments_N: NDArray[np.uint8]
    starts_E: NDArray[np.int64]
    num_straddling: int
    dropped: dict[str, int]

    def __len__(self) -> int:
        return len(self.starts_E) - 1

    def __getitem__(self, index: int) -> dict[str, NDArray[np.int64]]:
        part = slice(self.starts_E[index], self.starts_E[index + 1])
        return {
            "input_ids": self.ids_N[part].astype(np.int64),
            "segments": self.segments_N[part].astype(np.int64),
        }

    @property
    def lengths_E(self) -> NDArray[np.int64]:
        """Tokens of each example."""
        return np.diff(self.starts_E)

    def tokens_by_segment(self) -> dict[str, int]:
        """Number of tokens of each segment."""
        counts = np.bincount(self.segments_N, minlength=len(SEGMENTS))
        return {name: int(count) for name, count in zip(SEGMENTS, counts, strict=True)}

    def digest(self) -> str:
        """Digest of what training sees: ids, segments and boundaries."""
        digest = hashlib.sha256()
        for array in (self.ids_N, self.segments_N, self.starts_E):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def encode(records: Sequence[Record], tag_format: TagFormat, path: TextPath, max_length: int) -> Corpus:
    """Encodes records as prompt, response and end, with a segment for every token.

    Records without a rationale, that contain a tag, or are longer than `max_length` are left out and counted.

    Args:
        records: Training records.
        tag_format: How responses are rendered.
        path: The model's text path.
        max_length: Most tokens of an example; cutting one would cut its answer off.

    Raises:
        InputError: Nothing is left, more than a twentieth would be lost, or a prompt's tokens change when the
            response follows (training would then see another prompt than evaluation).
    """
    dropped: Counter[str] = Counter()
    rendered: list[tuple[Record, Response]] = []
    for record in records:
        if record.rationale is None:
            dropped["no rationale"] += 1
            continue
        try:
            rendered.append((record, render_response(record, tag_format)))
        except InputError:
            dropped["cannot be rendered"] += 1
    examples = _tokenise(rendered, path)
    kept = [example for example in examples if len(example.ids) <= max_length]
    dropped["too long"] = len(examples) - len(kept)
    _check_dropped(dropped, len(kept), len(records), max_length)
    return Corpus(
        ids_N=np.concatenate([np.array(example.ids, np.int32) for example in kept]),
        segments_N=np.concatenate([example.segments for example in kept]),
        starts_E=np.concatenate([[0], np.cumsum([len(example.ids) for example in kept])]).astype(np.int64),
        num_straddling=sum(example.num_straddling for example in kept),
        dropped={reason: count for reason, count in dropped.items() if count},
    )


@dataclass(frozen=True)
class _Example:
    ids: list[int]
    segments: NDArray[np.uint8]
    num_straddling: int


def _tokenise(rendered: Sequence[tuple[Record, Response]], path: TextPath) -> list[_Example]:
    if not rendered:
        return []
    prompts = [path.wrap(render_prompt(record)) for record, _ in rendered]
    responses = [response for _, response in rendered]
    end_text = path.end_text
    full = path.tokenizer(
        [prompt + response.text + end_text for prompt, response in zip(prompts, responses, strict=True)],
        add_special_tokens=False,
        return_offsets_mapping=True,
    )
    examples = []
    for i, (prompt_ids, (record, response)) in enumerate(zip(path.ids(prompts), rendered, strict=True)):
        ids = path.with_bos(full["input_ids"][i])
        if ids[: len(prompt_ids)] != prompt_ids:
            raise InputError(
                f"record {record.id!r}: its prompt is tokenised otherwise when the response follows, so "
                "training would see another prompt than evaluation; use the other prompt style"
            )
        segments, num_straddling = _segments(
            full["offset_mapping"][i], len(prompts[i]), response, has_bos=len(ids) > len(full["input_ids"][i])
        )
        examples.append(_Example(ids, segments, num_straddling))
    return examples


def _segments(
    offsets: list[tuple[int, int]], num_prompt_chars: int, response: Response, *, has_bos: bool
) -> tuple[NDArray[np.uint8], int]:
    """Segment of each token (that of its last character), and how many tokens span two segments."""
    num_chars = max(end for _, end in offsets)
    segment_of_char = np.full(num_chars + 1, SEGMENT_ID["end"], np.uint8)
    segment_of_char[:num_prompt_chars] = SEGMENT_ID["prompt"]
    for span in response.spans:
        chars = slice(num_prompt_chars + span.start, num_prompt_chars + span.end)
        segment_of_char[chars] = SEGMENT_ID[span.segment]
    starts, ends = np.array(offsets, np.int64).T
    starts[1:] = np.minimum(starts[1:], ends[:-1])  # some tokenizers trim a token's leading spaces off
    last = np.maximum(ends - 1, 0)
    segments = segment_of_char[last]
    num_straddling = int((segment_of_char[np.minimum(starts, last)] != segments).sum())
    if has_bos:
        segments = np.concatenate([[np.uint8(SEGMENT_ID["prompt"])], segments])
    return segments.astype(np.uint8), num_straddling


def _check_dropped(dropped: Counter[str], num_kept: int, num_records: int, max_length: int) -> None:
    reasons = ", ".join(f"{count} {reason}" for reason, count in dropped.items() if count)
    if not num_kept:
        raise InputError(f"none of {num_records} training records can be used ({reasons or 'none given'})")
    lost = dropped["too long"] + dropped["cannot be rendered"]
    if lost > LARGEST_LOSS_OF_RECORDS * (num_kept + lost):
        raise InputError(
            f"{lost} of {num_kept + lost} training records would be lost ({reasons}); raise train.max_length "
            f"(now {max_length}) or choose another tag format"
        )

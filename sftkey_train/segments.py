"""What a token of an example can belong to, and how a loss is said by it.

Variants, objectives, corpora and batches all speak of segments, and this module knows none of them.
"""

from __future__ import annotations

from collections.abc import Mapping

SEGMENTS = ("prompt", "thinking_tag", "thinking", "answer_tag", "answer", "end")
"""What a token can belong to; its position here is the id that batches carry."""
SEGMENT_ID = {name: i for i, name in enumerate(SEGMENTS)}

RESPONSE = SEGMENTS[1:]
THINKING_SIDE = ("thinking_tag", "thinking")
ANSWER_SIDE = ("answer_tag", "answer", "end")
"""The two sides of a response: the thinking with its tags, the answer with its tags and the end."""

LOSS_PRESETS: dict[str, dict[str, float]] = {
    "response": dict.fromkeys(RESPONSE, 1.0),
    "key": dict.fromkeys(ANSWER_SIDE, 1.0),
}
"""`response`: every token after the prompt. `key`: every token after `</Thinking>` (arXiv 2512.21017), the
answer's tags and the end-of-sequence token with it; the paper leaves the last open, `end: 0` drops it."""

GROUPS: dict[str, tuple[str, ...]] = {
    "thinking": ("thinking",),
    "answer": ("answer",),
    "tags": ("thinking_tag", "answer_tag"),
}
"""Parts of the response whose losses are logged apart, and their segments."""


def by_segment(loss: Mapping[str, float]) -> tuple[float, ...]:
    """Weight of a token's loss by its segment, in the order of `SEGMENTS`; 0 where none is named."""
    return tuple(float(loss.get(segment, 0.0)) for segment in SEGMENTS)

"""A run whose texts hold whatever could break out of a page, and what a page of its samples needs."""

import dataclasses

from synthetic_board import VARIANTS, synthetic_run

from leaderboards.results.schema import RunResults

EVIL = "</script><img src=x onerror=alert(1)>\u2028\x00\u202e&amp;<!--"
A, B, BASE = "sft, tagged &", "sft-tag", "base"
QUESTIONS = 60


def evil_run() -> RunResults:
    """Three entries, two with seeds and tags; every text holds what could break out of a page."""
    run = synthetic_run(tuple(v for v in VARIANTS if v.name in ("sftkey-tag", B, BASE)), n=QUESTIONS)
    frame = run.samples.copy()
    frame["prompt"] = [f"Examples\n\nQuestion {EVIL} {i}?" for i in frame["sample_id"]]
    reasoning = [f"  {EVIL} of {e} {s}\n\tnext " for e, s in zip(frame["entry"], frame["seed"], strict=True)]
    frame["output"] = [f"<Thinking>{text}</Thinking>\n<Answer>{EVIL}4</Answer>" for text in reasoning]
    frame["gold"] = frame["sample_id"] + EVIL
    frame["entry"] = frame["entry"].replace("sftkey-tag", A)
    entries = [
        dataclasses.replace(
            entry,
            name=A if entry.name == "sftkey-tag" else entry.name,
            tags="thinking-answer" if entry.tagged else "none",
        )
        for entry in run.entries
    ]
    return dataclasses.replace(run, entries=tuple(entries), samples=frame)

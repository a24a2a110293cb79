"""The generation store: every completion made so far, keyed by all that decides it. SQLite, append only."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType

from harness.engines import Completion, Sampling
from tasks.errors import InputError

_COLUMNS = "text, finish_reason, num_prompt_tokens, num_output_tokens, wall_seconds"
_KEYS_AT_ONCE = 500
"""Older builds of SQLite take 999 variables in a statement."""
_SCHEMA = """CREATE TABLE IF NOT EXISTS generations (
    key TEXT PRIMARY KEY,
    text TEXT NOT NULL,
    finish_reason TEXT NOT NULL,
    num_prompt_tokens INTEGER NOT NULL,
    num_output_tokens INTEGER NOT NULL,
    wall_seconds REAL NOT NULL
) WITHOUT ROWID"""


def generation_key(
    weights_digest: str,
    prompt: Sequence[int] | str,
    sampling: Sampling,
    sample_index: int,
    made_by: Sequence[str],
) -> str:
    """Content address of one completion: nothing else may hit.

    Args:
        weights_digest: Of the checkpoint.
        prompt: Token ids, or the text that a server was sent.
        sampling: Its n does not count: sample i is the same, however many are drawn.
        sample_index: From 0.
        made_by: The engine, its version, its dtype, and how it held the weights.
    """
    how = _settings(sampling)
    prompt = prompt if isinstance(prompt, str) else list(prompt)
    content = [weights_digest, prompt, how, sample_index, *made_by]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _settings(sampling: Sampling) -> dict[str, object]:
    how = asdict(sampling)
    # Greedy decoding draws nothing, so what only draws depend on must not make another key of it.
    for name in ("n", "seed", "top_p") if sampling.temperature == 0 else ("n",):
        del how[name]
    return how


class GenerationStore:
    """Completions on disk; what is put is kept, also when the process is killed the moment after.

    Args:
        path: The SQLite file; made where missing.

    Raises:
        InputError: The file is not a store.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = sqlite3.connect(path, isolation_level=None, timeout=60)
            # Readers do not wait for the writer, and no commit waits for the disk: a crash of the machine may
            # cost the last completions, one of the process costs none. Not for network file systems.
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.execute(_SCHEMA)
        except sqlite3.DatabaseError as error:
            raise InputError(
                f"{path}: not a generation store ({error}); move it away and run again"
            ) from error

    def __enter__(self) -> GenerationStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()

    def get(self, keys: Iterable[str]) -> dict[str, tuple[Completion, float]]:
        """The completions that are there by key, each with the wall seconds that it took."""
        asked, found = list(dict.fromkeys(keys)), {}
        for start in range(0, len(asked), _KEYS_AT_ONCE):
            some = asked[start : start + _KEYS_AT_ONCE]
            marks = ",".join("?" * len(some))
            query = f"SELECT key, {_COLUMNS} FROM generations WHERE key IN ({marks})"
            for key, *row, seconds in self._db.execute(query, some):
                found[key] = Completion(*row), seconds
        return found

    def put(self, key: str, completion: Completion, wall_seconds: float) -> None:
        """Stores one completion; a key that is there is left as it is."""
        self._db.execute(
            "INSERT OR IGNORE INTO generations VALUES (?, ?, ?, ?, ?, ?)",
            (
                key,
                completion.text,
                completion.finish_reason,
                completion.num_prompt_tokens,
                completion.num_output_tokens,
                wall_seconds,
            ),
        )

    def put_as_finished(
        self, answers: Iterable[tuple[int, tuple[Completion, ...]]], keys: Sequence[Sequence[str]]
    ) -> Iterator[tuple[int, tuple[Completion, ...]]]:
        """Stores what an engine generates, as it comes, and hands it on.

        What takes time between two answers counts to the later one: their sum is the time spent.

        Args:
            answers: From `Engine.generate`.
            keys: Of each request, one for each of its completions.
        """
        last = time.perf_counter()
        for index, completions in answers:
            now = time.perf_counter()
            for key, completion in zip(keys[index], completions, strict=True):
                self.put(key, completion, (now - last) / len(completions))
            yield index, completions
            last = now

"""Completions: the store of all that were made, and the queue that has an engine make those it lacks.

The store is SQLite, append only, keyed by all that decides a completion.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import asdict, astuple, dataclass, replace
from itertools import takewhile
from pathlib import Path

from harness.engines.api import Completion, Engine, Request, Sampling
from harness.engines.lora_slots import AdapterRefused
from harness.evaluation.ask import Wanted
from harness.models.checkpoint import Checkpoint, merged
from harness.progress import Reporter
from tasks.errors import InputError
from tasks.leases import lease, say
from tasks.seals import content_digest

_CONTENT = "text, finish_reason, num_prompt_tokens, num_output_tokens, wall_seconds"
_KEYS_AT_ONCE = 500
"""Older builds of SQLite take 999 variables in a statement."""
_ITS_PLACE = tuple(f"SQLITE_{name}" for name in ("BUSY", "CANTOPEN", "FULL", "IOERR", "PERM", "READONLY"))
"""Names of errors that say nothing of the content."""
_SCHEMA = """CREATE TABLE IF NOT EXISTS generations (
    key TEXT PRIMARY KEY,
    text TEXT NOT NULL,
    finish_reason TEXT NOT NULL,
    num_prompt_tokens INTEGER NOT NULL,
    num_output_tokens INTEGER NOT NULL,
    wall_seconds REAL NOT NULL,
    checksum TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID"""


def generation_key(
    weights_digest: str,
    prompt: Sequence[int] | str,
    sampling: Sampling,
    sample_index: int,
    made_by: Sequence[str],
    continuation: Sequence[int] = (),
) -> str:
    """Content address of one completion: nothing else may hit.

    Args:
        weights_digest: Of the checkpoint.
        prompt: Token ids, or the text that a server was sent.
        sampling: Its n does not count: sample i is the same, however many are drawn.
        sample_index: From 0.
        made_by: The engine, its version, its dtype, and how it held the weights.
        continuation: Tokens that are measured after the prompt.
    """
    how = asdict(sampling)
    # Greedy decoding draws nothing, so what only draws depend on must not make another key of it.
    for name in ("n", "seed", "top_p") if sampling.temperature == 0 else ("n",):
        del how[name]
    prompt = prompt if isinstance(prompt, str) else list(prompt)
    content = [weights_digest, prompt, how, sample_index, *made_by]
    content += [list(continuation)] if continuation else []
    return content_digest(content)


class GenerationStore:
    """Completions on disk; what is put is kept, also when the process is killed the moment after.

    Each row has a checksum: one that does not hold is no row, and its completion is made again.

    `path` is the SQLite file, made where missing unless it is only read; InputError where it is no store.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        # Only one may be at it while the file is made: SQLite does not wait then.
        lock = path.with_name(f".{path.name}.lock")
        with nullcontext() if read_only else lease(lock, f"{path} open"), self._readable():
            address = f"{path.resolve().as_uri()}?mode={'rw' if read_only else 'rwc'}"
            self._db = sqlite3.connect(address, uri=True, isolation_level=None, timeout=60)
            # A byte that is no UTF-8 any more is damage of one row, which its checksum shows.
            self._db.text_factory = lambda raw: raw.decode("utf-8", "replace")
            if read_only:
                return
            # Readers do not wait for the writer, and no commit waits for the disk: a crash of the machine may
            # cost the last completions, one of the process costs none. Not for network file systems.
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.execute(_SCHEMA)
            self._add_checksums()

    def __enter__(self) -> GenerationStore:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    @contextmanager
    def _readable(self) -> Iterator[None]:
        """InputError where the file turns out to be damaged or no store, or cannot be used."""
        try:
            yield
        except (sqlite3.Error, OverflowError) as error:
            if getattr(error, "sqlite_errorname", "").startswith(_ITS_PLACE):
                raise InputError(
                    f"{self.path}: cannot be used ({error}); check its disk and place"
                ) from error
            raise InputError(
                f"{self.path}: not a generation store, or damaged ({error}); move it away and run again: "
                "what it held is generated again"
            ) from error

    def _add_checksums(self) -> None:
        """A store of an earlier version is taken as it is, once."""
        if any(name == "checksum" for _, name, *_ in self._db.execute("PRAGMA table_info(generations)")):
            return
        self._db.execute("BEGIN IMMEDIATE")
        self._db.execute("ALTER TABLE generations ADD COLUMN checksum TEXT NOT NULL DEFAULT ''")
        self._db.create_function("checksum", -1, _checksum, deterministic=True)
        self._db.execute(f"UPDATE generations SET checksum = checksum(key, {_CONTENT})")
        self._db.execute("COMMIT")

    def get(self, keys: Iterable[str]) -> dict[str, tuple[Completion, float]]:
        """The completions that are there by key, each with the wall seconds that it took."""
        asked, found, damaged = list(dict.fromkeys(keys)), {}, list[str]()
        with self._readable():
            for start in range(0, len(asked), _KEYS_AT_ONCE):
                some = asked[start : start + _KEYS_AT_ONCE]
                marks = ",".join("?" * len(some))
                query = f"SELECT key, {_CONTENT}, checksum FROM generations WHERE key IN ({marks})"
                for key, *row, checksum in self._db.execute(query, some):
                    if _checksum(key, *row) == checksum:
                        found[key] = Completion(*row[:-1]), row[-1]
                    else:
                        damaged.append(key)
            self._db.executemany("DELETE FROM generations WHERE key = ?", [(key,) for key in damaged])
        if damaged:
            say("%s: %d damaged completions are made again", self.path, len(damaged))
        return found

    def damage(self) -> tuple[int, int]:
        """Number of completions that are damaged, and of all; InputError where the file itself is."""
        with self._readable():
            for (said,) in self._db.execute("PRAGMA integrity_check(1)"):
                if said != "ok":
                    raise sqlite3.DatabaseError(" ".join(said.split()))
            rows = self._db.execute(f"SELECT checksum, key, {_CONTENT} FROM generations")
            whole = [_checksum(*row) == checksum for checksum, *row in rows]
        return whole.count(False), len(whole)

    def put(self, key: str, completion: Completion, wall_seconds: float) -> None:
        """Stores one completion; a key that is there is left as it is."""
        row = (key, *astuple(completion)[:-1], wall_seconds)  # its tokens are not kept
        with self._readable():
            self._db.execute(
                "INSERT OR IGNORE INTO generations VALUES (?, ?, ?, ?, ?, ?, ?)", (*row, _checksum(*row))
            )

    def put_as_finished(
        self, answers: Iterable[tuple[int, tuple[Completion, ...]]], keys: Sequence[Sequence[str]]
    ) -> Iterator[tuple[int, tuple[Completion, ...]]]:
        """Stores what `Engine.generate` yields, as it comes, under the keys of each request, and hands it on.

        What takes time between two answers counts to the later one: their sum is the time spent.
        """
        last = time.perf_counter()
        for index, completions in answers:
            now = time.perf_counter()
            for key, completion in zip(keys[index], completions, strict=True):
                self.put(key, completion, (now - last) / len(completions))
            yield index, completions
            last = now


def _checksum(*row: object) -> str:
    """Of a row with its key, so that no row passes for another."""
    return hashlib.blake2b(repr(row).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


MAX_ADAPTERS = 32
"""Beside one base at a time: each takes memory, and work in every batch."""


@dataclass(frozen=True)
class _Missing:
    checkpoint: Checkpoint
    request: Request
    keys: tuple[str, ...]

    def after(self, num_drawn: int) -> _Missing:
        """What is left to draw after so many: samples are drawn in order."""
        how = self.request.sampling
        rest = replace(how, seed=how.seed + num_drawn, n=how.n - num_drawn) if num_drawn else how
        return replace(self, request=replace(self.request, sampling=rest), keys=self.keys[num_drawn:])


class Queue:
    """Answers requests from the store, and with the engine those that are not in it.

    The engine holds one base model at a time, with its LoRA adapters beside it where it can serve them; full
    checkpoints, and adapters that can only be merged, take turns.
    """

    def __init__(self, engine: Engine, store: GenerationStore, reporter: Reporter, scratch: Path) -> None:
        self.engine = engine
        self._store = store
        self._reporter = reporter
        self._scratch = scratch
        self._beside: dict[str, bool] = {}

    def answer(self, asked: Sequence[Wanted]) -> None:
        """Generates what the store lacks; each completion is there the moment it is finished."""
        of_checkpoint: dict[str, list[Wanted]] = {}
        for one in asked:
            if one.requests:
                of_checkpoint.setdefault(one.checkpoint.weights.digest, []).append(one)
        for group in self._groups(list(of_checkpoint.values())):
            self._answer_group(group)

    def completions(
        self, checkpoint: Checkpoint, requests: Sequence[Request]
    ) -> list[list[tuple[Completion, float]]]:
        """The n completions of each request, from the store, with the wall seconds that each took.

        LookupError where one is missing: `answer` was not asked this.
        """
        keys = [self._keys(checkpoint, request) for request in requests]
        found = self._store.get(key for some in keys for key in some)
        lacking = next((i for i, some in enumerate(keys) for key in some if key not in found), None)
        if lacking is not None:
            raise LookupError(f"{checkpoint.label}: request {lacking} was never answered")
        return [[found[key] for key in some] for some in keys]

    def measures(self, checkpoint: Checkpoint) -> bool:
        """Whether requests with a continuation may be asked of a checkpoint."""
        return self.engine.measures and not self._beside_base(checkpoint)

    def _beside_base(self, checkpoint: Checkpoint) -> bool:
        """Whether an adapter is served as such, rather than merged into its base."""
        adapter, digest = checkpoint.weights.adapter_dir, checkpoint.weights.digest
        if digest not in self._beside:
            self._beside[digest] = adapter is not None and self.engine.refusal(adapter) is None
        return self._beside[digest]

    def _keys(self, checkpoint: Checkpoint, request: Request) -> tuple[str, ...]:
        # Served and merged adapters differ in rounding, so what one has said is not what the other says.
        held = "beside its base" if self._beside_base(checkpoint) else "whole"
        made_by = (self.engine.name, self.engine.version, self.engine.dtype, held)
        return tuple(
            generation_key(
                checkpoint.weights.digest, request.prompt, request.sampling, i, made_by, request.continuation
            )
            for i in range(request.sampling.n)
        )

    def _groups(self, of_checkpoint: list[list[Wanted]]) -> Iterator[list[Wanted]]:
        """What the engine can hold at once: a base with its adapters, or one checkpoint."""
        racks: dict[Path, list[list[Wanted]]] = {}
        for some in of_checkpoint:
            if self._beside_base(some[0].checkpoint):
                racks.setdefault(some[0].checkpoint.weights.model_dir, []).append(some)
        for some in of_checkpoint:
            weights = some[0].checkpoint.weights
            if weights.adapter_dir is None and weights.model_dir in racks:
                racks[weights.model_dir][0] = some + racks[weights.model_dir][0]
            elif not self._beside_base(some[0].checkpoint):
                yield some
        for rack in racks.values():
            for start in range(0, len(rack), MAX_ADAPTERS):
                yield [one for some in rack[start : start + MAX_ADAPTERS] for one in some]

    def _answer_group(self, group: list[Wanted]) -> None:
        """Answers what the engine holds at once; waits where another run has the same in hand."""
        digests = sorted({one.checkpoint.weights.digest for one in group})
        name = hashlib.sha256(json.dumps([self.engine.name, *digests]).encode()).hexdigest()[:16]
        lock = self._store.path.with_name(f".{name}.lock")
        names = list(dict.fromkeys(one.checkpoint.label for one in group))
        label = names[0] if len(names) == 1 else f"{len(names)} checkpoints in one queue"
        with lease(lock, f"the outputs of {label}") if self._missing(group)[0] else nullcontext():
            refused = self._generate(group, label)
        if refused:
            self._refuse(refused, group)
            self.answer(group)

    def _generate(self, group: Sequence[Wanted], label: str) -> AdapterRefused | None:
        """Has the engine make what is missing; an adapter that it does not serve ends it."""
        missing, total = self._missing(group)
        with self._reporter.evaluation(label, total, total - sum(len(m.keys) for m in missing)) as progress:
            if not missing:
                return None
            try:
                with ExitStack() as stack:
                    self._load([m.checkpoint for m in missing], stack)
                    answers = self.engine.generate([m.request for m in missing])
                    for _, made in self._store.put_as_finished(answers, [m.keys for m in missing]):
                        progress.advance(sum(completion.num_output_tokens for completion in made))
                return None
            except AdapterRefused as refused:
                return refused

    def _missing(self, group: Sequence[Wanted]) -> tuple[list[_Missing], int]:
        """What is not in the store, longest first, and how many completions are wanted in all."""
        wanted: dict[tuple[str, ...], _Missing] = {}
        for one in group:
            for request in one.requests:
                keys = self._keys(one.checkpoint, request)
                adapter = one.checkpoint.weights.adapter_dir if self._beside_base(one.checkpoint) else None
                wanted.setdefault(keys, _Missing(one.checkpoint, replace(request, adapter=adapter), keys))
        found = self._store.get(key for keys in wanted for key in keys)
        drawn = {keys: list(takewhile(found.__contains__, keys)) for keys in wanted}
        missing = [m.after(len(drawn[keys])) for keys, m in wanted.items()]
        missing = [m for m in missing if m.keys]
        # Long ones at the end would leave the engine with a batch of a few.
        missing.sort(key=lambda m: len(m.request.prompt) + m.request.sampling.max_new_tokens, reverse=True)
        return missing, sum(map(len, wanted))

    def _load(self, checkpoints: Sequence[Checkpoint], stack: ExitStack) -> None:
        weights = checkpoints[0].weights
        adapters = dict.fromkeys(
            checkpoint.weights.adapter_dir for checkpoint in checkpoints if self._beside_base(checkpoint)
        )
        if adapters:
            self.engine.load(weights.model_dir, [path for path in adapters if path is not None])
            return
        self.engine.load(stack.enter_context(merged(weights, self._scratch))())

    def _refuse(self, refused: AdapterRefused, group: Sequence[Wanted]) -> None:
        """Marks what the engine does not serve, so that it is merged."""
        for one in group:
            adapter = one.checkpoint.weights.adapter_dir
            if adapter is not None and refused.adapter in (None, adapter):
                self._beside[one.checkpoint.weights.digest] = False
        what = refused.adapter or "adapters"
        self._reporter.line(f"  {what}: merged, as {self.engine.name} does not serve it ({refused})")

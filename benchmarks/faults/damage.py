"""The ways in which one stored file goes bad."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from tasks.files import remove

Damage = Callable[[Path, random.Random], object]


class Way(NamedTuple):
    """A way to damage a file; `suits` says which files it can be done to, after their names."""

    name: str
    do: Damage
    suits: tuple[str, ...] = ("",)


def _truncate(path: Path, rng: random.Random) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _cut_end(path: Path, rng: random.Random) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _empty(path: Path, rng: random.Random) -> None:
    path.write_bytes(b"")


def _zero(path: Path, rng: random.Random) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def _flip(path: Path, rng: random.Random) -> None:
    raw = bytearray(path.read_bytes() or b"\0")
    raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
    path.write_bytes(raw)


def _scramble(path: Path, rng: random.Random) -> None:
    raw = path.read_bytes()
    keep = min(len(raw) // 2, 4096) if path.suffix in {".safetensors", ".npy", ".sqlite", ".parquet"} else 0
    path.write_bytes(raw[:keep] + rng.randbytes(len(raw) - keep))


def _append(path: Path, rng: random.Random) -> None:
    path.write_bytes(path.read_bytes() + b"\n{}\n")


def _delete(path: Path, rng: random.Random) -> None:
    path.unlink()


def _folder(path: Path, rng: random.Random) -> None:
    path.unlink()
    path.mkdir()
    (path / "file").write_text("here")


def _dangle(path: Path, rng: random.Random) -> None:
    path.unlink()
    path.symlink_to("/nowhere/at/all")


def _garbage(path: Path, rng: random.Random) -> None:
    deep = "[" * 5000 + "]" * 5000
    path.write_text(
        rng.choice(['"text"', "null", "[]", "7", "{}", deep, '{"a": NaN}', "[1, 2", "\x00", '{"sha256": []}'])
    )


def _edit(path: Path, rng: random.Random) -> None:
    """Valid JSON still, with one number, truth or text another."""
    value = json.loads(path.read_text("utf-8"))
    places = list(_leaves(value))
    inside, key = rng.choice(places) if places else ([value], 0)
    old = inside[key]
    inside[key] = not old if isinstance(old, bool) else old + 1 if isinstance(old, int | float) else f"{old}x"
    path.write_text(json.dumps(value, indent=1), "utf-8")


def _edit_line(path: Path, rng: random.Random) -> None:
    lines = path.read_text("utf-8").splitlines(keepends=True)
    at = rng.randrange(len(lines))
    digits = [i for i, c in enumerate(lines[at]) if c.isdigit()]
    where = rng.choice(digits) if digits else 0
    lines[at] = (
        lines[at][:where] + str((int(lines[at][where]) + 1) % 10 if digits else "#") + lines[at][where + 1 :]
    )
    path.write_text("".join(lines), "utf-8")


def _lose_line(path: Path, rng: random.Random) -> None:
    lines = path.read_text("utf-8").splitlines(keepends=True)
    del lines[rng.randrange(len(lines))]
    path.write_text("".join(lines), "utf-8")


def _leaves(value: Any) -> Any:
    for key, one in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        if isinstance(one, dict | list):
            yield from _leaves(one)
        else:
            yield value, key


def _not_a_number(path: Path, rng: random.Random) -> None:
    """Weights or arrays as they were, but not numbers; every digest outside the file is as it was."""
    if path.suffix == ".npy":
        import numpy as np

        array = np.load(path)
        filled = np.nan if array.dtype.kind == "f" else 1
        np.save(path, np.full_like(array, filled))
        return
    from safetensors.torch import load_file, save_file

    weights = load_file(path)
    save_file({name: weight * float("nan") for name, weight in weights.items()}, path, {"format": "pt"})


def _other_rows(path: Path, rng: random.Random) -> None:
    """A table with one verdict or number another."""
    import pandas as pd

    frame = pd.read_parquet(path)
    for name in ("accuracy", "loss"):
        if name in frame:
            at = rng.randrange(len(frame))
            frame.loc[at, name] = not frame.loc[at, name] if name == "accuracy" and "output" in frame else 9.5
            break
    frame.to_parquet(path)


def _fewer_rows(path: Path, rng: random.Random) -> None:
    import pandas as pd

    pd.read_parquet(path).iloc[:-1].to_parquet(path)


def _sql(statement: str) -> Damage:
    def do(path: Path, rng: random.Random) -> None:
        with sqlite3.connect(path) as db:
            keys = [key for (key,) in db.execute("SELECT key FROM generations ORDER BY key")]
            for key in rng.sample(keys, min(len(keys), 16)):
                db.execute(statement, {"key": key, "other": rng.choice(keys)})
            db.commit()
        db.close()

    return do


def _drop_table(path: Path, rng: random.Random) -> None:
    with sqlite3.connect(path) as db:
        db.execute("DROP TABLE generations")
        db.execute("CREATE TABLE generations (key TEXT PRIMARY KEY, words TEXT)")
    db.close()


_TEXTS = (".json", ".jsonl", ".yaml", ".md", ".csv", ".tex", ".html")
WAYS = (
    Way("truncated to half", _truncate),
    Way("its last byte lost", _cut_end),
    Way("emptied", _empty),
    Way("zeroed", _zero),
    Way("one bit flipped", _flip),
    Way("scrambled", _scramble),
    Way("bytes appended", _append),
    Way("deleted", _delete),
    Way("a folder in its place", _folder),
    Way("a link to nowhere", _dangle),
    Way("other JSON", _garbage),
    Way("one value changed", _edit, (".json",)),
    Way("one digit changed", _edit_line, (".jsonl", ".yaml")),
    Way("a line lost", _lose_line, (".jsonl", ".yaml")),
    Way("not numbers", _not_a_number, (".safetensors", ".npy")),
    Way("one row changed", _other_rows, (".parquet",)),
    Way("one row lost", _fewer_rows, (".parquet",)),
    Way(
        "texts changed",
        _sql("UPDATE generations SET text = 'The answer is 3.' WHERE key = :key"),
        (".sqlite",),
    ),
    Way("texts emptied", _sql("UPDATE generations SET text = '' WHERE key = :key"), (".sqlite",)),
    Way(
        "reasons changed",
        _sql("UPDATE generations SET finish_reason = 'length' WHERE key = :key"),
        (".sqlite",),
    ),
    Way(
        "counts changed", _sql("UPDATE generations SET num_output_tokens = -5 WHERE key = :key"), (".sqlite",)
    ),
    Way(
        "types changed",
        _sql("UPDATE generations SET num_output_tokens = 'many' WHERE key = :key"),
        (".sqlite",),
    ),
    Way("blobs for texts", _sql("UPDATE generations SET text = X'FFFE00' WHERE key = :key"), (".sqlite",)),
    Way(
        "rows in another's place",
        _sql(
            "UPDATE generations SET text = (SELECT text FROM generations WHERE key = :other), "
            "num_output_tokens = (SELECT num_output_tokens FROM generations WHERE key = :other) "
            "WHERE key = :key"
        ),
        (".sqlite",),
    ),
    Way("rows lost", _sql("DELETE FROM generations WHERE key = :key"), (".sqlite",)),
    Way("another table", _drop_table, (".sqlite",)),
)


def ways_for(path: Path) -> list[Way]:
    """Those that suit a file: one with an extension of text is not made not-a-number."""
    return [way for way in WAYS if way.suits == ("",) or path.suffix in way.suits]


def swapped(path: Path, other: Path) -> None:
    """Puts another's file, or folder, of the same name in its place."""
    if path.is_dir():
        shutil.rmtree(path)
        shutil.copytree(other, path)
    else:
        shutil.copyfile(other, path)


def _emptied(path: Path, rng: random.Random) -> None:
    shutil.rmtree(path)
    path.mkdir()


def _a_file(path: Path, rng: random.Random) -> None:
    remove(path)
    path.write_text("a file\n")


def _one_more(path: Path, rng: random.Random) -> None:
    (path / "model-00002-of-00002.safetensors").write_text("not it")


def _linked(path: Path, rng: random.Random) -> None:
    remove(path)
    path.symlink_to("/nowhere/at/all")


FOLDER_WAYS = (
    Way("emptied", _emptied),
    Way("a file in its place", _a_file),
    Way("deleted", lambda path, rng: remove(path)),
    Way("with a file of nobody's", _one_more),
    Way("a link to nowhere", _linked),
)

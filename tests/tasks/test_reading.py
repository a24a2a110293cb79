"""JSON and YAML from anybody: read within bounds, refused in one line."""

import os
import time
from pathlib import Path

import pytest

from tasks.errors import InputError
from tasks.reading import MOST_YAML_BYTES, parse_json, parse_yaml, read_json, read_text, read_yaml

LAUGHS = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)
)
BAD_YAML = {
    "bomb of aliases": LAUGHS,
    "bomb through merges": "a: &a {k: [" + "1," * 900 + "]}\nb:\n" + "- {<<: *a}\n" * 900,
    "lists in lists": "[" * 5000,
    "closed lists in lists": "[" * 5000 + "]" * 5000,
    "mappings in mappings": "{a: " * 3000,
    "block lists in lists": "- " * 3000 + "1",
    "an alias within itself": "a: &a [*a]",
    "an alias to nothing": "a: *b",
    "a key twice": "a: 1\nb: 2\na: 3\n",
    "a key twice, below": "x:\n  a: 1\n  a: 1\n",
    "a date that is none": "a: 2001-99-99",
    "a large whole number": "a: " + "9" * 400,
    "a huge whole number": "a: " + "9" * 9000,
    "a huge whole number in hexadecimal": "a: 0x" + "f" * 9000,
    "a Python object": "a: !!python/object/apply:os.system [ls]",
    "an unhashable key": "? [a]\n: {? {b: c} : d}\n",
    "control characters": "a: \x00",
    "too long": "a: " + "b" * MOST_YAML_BYTES,
}


@pytest.mark.parametrize("text", BAD_YAML.values(), ids=list(BAD_YAML))
def test_yaml_that_is_refused_at_once_in_one_line(text: str) -> None:
    start = time.monotonic()
    with pytest.raises(InputError, match=r"^here: not YAML \(") as caught:
        parse_yaml(text, "here")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400
    assert time.monotonic() - start < 10  # for ever, where nothing is bounded


def test_yaml_as_people_write_it_is_read() -> None:
    text = "base: &base {a: 1, b: [1, 2]}\nother: {<<: *base, b: 3}\nlist: [*base, *base]\n"
    value = parse_yaml(text, "here")
    assert value["other"] == {"a": 1, "b": 3}
    assert value["list"] == [value["base"]] * 2
    assert parse_yaml("", "here") is None
    assert parse_yaml("'a': 1\nb: {a: 2}\n", "here") == {"a": 1, "b": {"a": 2}}


BAD_JSON = {
    "lists in lists": "[" * 100_000,
    "closed lists in lists": "[" * 500 + "]" * 500,
    "objects in objects": '{"a":' * 100_000,
    "a huge number": '{"a": ' + "9" * 9000 + "}",
    "cut short": '{"a": [1',
    "no UTF-8": b"\xff\xfe",
    "nothing": "",
}


@pytest.mark.parametrize("text", BAD_JSON.values(), ids=list(BAD_JSON))
def test_json_that_is_refused_in_one_line(text: str | bytes) -> None:
    with pytest.raises(InputError, match=r"^here: not JSON \(") as caught:
        parse_json(text, "here")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', '{"a": NaN}', '{"a": {"b": 1, "b": 1}}', "[-Infinity]"])
def test_strict_json_has_each_key_once_and_only_numbers(text: str) -> None:
    parse_json(text, "here")
    with pytest.raises(InputError, match="here: not JSON"):
        parse_json(text, "here", strict=True)


def test_half_a_character_becomes_one_that_can_be_written() -> None:
    value = parse_json(r'{"a": ["\ud83d\ude00", "x\ud83d", "\udc00"]}', "here")
    assert value == {"a": ["😀", "x\ufffd", "\ufffd"]}


def test_files_that_cannot_be_read_are_named(tmp_path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match="none: cannot be read"):
        read_text(tmp_path / "none")
    with pytest.raises(InputError, match=f"{tmp_path.name}: cannot be read"):
        read_json(tmp_path)
    (tmp_path / "list").write_text("[1]")
    with pytest.raises(InputError, match=r"list: cannot be read \(expected keys and values"):
        read_json(tmp_path / "list")
    (tmp_path / "latin").write_bytes(b"a: \xe4")
    with pytest.raises(InputError, match="latin: cannot be read"):
        read_yaml(tmp_path / "latin")
    (tmp_path / "long").write_text("x" * 100)
    with pytest.raises(InputError, match=r"long: cannot be read \(more than 10 bytes"):
        read_text(tmp_path / "long", most=10)


def test_nobody_waits_for_a_named_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match=r"pipe: cannot be read .*a named pipe"):
        read_text(tmp_path / "pipe")
    read, write = os.pipe()  # as a shell's <(…) gives it
    os.write(write, b"x: 1")
    os.close(write)
    assert read_yaml(Path(f"/dev/fd/{read}")) == {"x": 1}
    os.close(read)

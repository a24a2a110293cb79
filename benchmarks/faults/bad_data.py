"""Bad files of data: tag formats, records, training data, outputs to score."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.faults.bad import DEEP_JSON, NUL, Bad, Content, lines_of
from benchmarks.faults.bad_texts import LEGITIMATE_NAMES, NAMES, text_of

_TAGS = {
    "name": "own",
    "think_open": "<r>",
    "think_close": "</r>",
    "answer_open": "<a>",
    "answer_close": "</a>",
}


def bad_data() -> Iterator[Bad]:
    """All of them."""
    yield from _tags()
    yield from _data()
    yield from _scored()


def _tags() -> Iterator[Bad]:
    for words, name in NAMES.items():
        if words not in (*LEGITIMATE_NAMES, "base"):
            yield _tag(f"a name: {words}", _TAGS | {"name": name})
    changes: dict[str, dict[str, object]] = {
        "the same mark twice": {"answer_open": "<r>"},
        "an empty mark": {"answer_open": ""},
        "half a pair": {"think_close": ""},
        "a mark of a list": {"think_open": []},
        "a mark of NUL": {"think_open": NUL},
        "a mark of a space": {"think_open": " "},
        "an unknown style": {"answer_style": "song"},
        "strict of a text": {"whitespace": 1},
        "an unknown key": {"x": 1},
        "open in prompt maybe": {"think_open_in_prompt": "maybe"},
        "a mark within another": {"answer_open": "<r>x"},
        "a mark of a newline": {"answer_open": "\n"},
        "a long mark": {"answer_open": "x" * 100000},
        "the name of a known one": {"name": "think-answer"},
        "an instruction that is a list": {"instruction": [1]},
    }
    for words, own in changes.items():
        yield _tag(words, _TAGS | own)


def _tag(words: str, content: dict[str, object]) -> Bad:
    files: dict[str, Content] = {
        "f.yaml": text_of(content),
        "s.jsonl": lines_of({"id": 1, "output": "3", "gold": 3}),
    }
    return Bad(f"a tag format: {words}", ("score", "s.jsonl", "--kind", "number", "--tags", "f.yaml"), files)


def _data() -> Iterator[Bad]:
    good = [{"question": f"What is {i} + 1?", "answer": f"{i} + 1 = {i + 1}\n#### {i + 1}"} for i in range(6)]
    broken: dict[str, list[object]] = {
        "not JSON": [*good, "{"],
        "a list": [*good, [1]],
        "no question": [*good, {"answer": "#### 1"}],
        "question null": [*good, {"question": None, "answer": "#### 1"}],
        "question a number": [*good, {"question": 7, "answer": "#### 1"}],
        "no answer": [*good, {"question": "q"}],
        "answer without its mark": [*good, {"question": "q", "answer": "1"}],
        "answer a list": [*good, {"question": "q", "answer": ["#### 1"]}],
        "nested deeply": [*good, DEEP_JSON],
        "a key twice": [*good, '{"question": "q", "question": "r", "answer": "#### 1"}'],
        "a question twice the id": [*good, {"id": "x", **good[0]}, {"id": "x", **good[1]}],
        "blank question": [*good, {"question": " ", "answer": "#### 1"}],
        "NaN": [*good, '{"question": "q", "answer": NaN}'],
        "a huge number": [*good, '{"question": ' + "9" * 5000 + ', "answer": "#### 1"}'],
    }
    for words, rows in broken.items():
        for split in ("train", "test"):
            files: dict[str, Content] = {
                "data/gsm8k/train.jsonl": lines_of(*good),
                "data/gsm8k/test.jsonl": lines_of(*good),
            }
            files[f"data/gsm8k/{split}.jsonl"] = lines_of(*rows)
            arguments = (
                "train-and-eval",
                "--data-dir",
                "data",
                "--benchmarks",
                "gsm8k",
                "--variants",
                "sft",
                "--dry-run",
                "--out",
                "out",
            )
            if words != "a question twice the id":
                yield Bad(f"data: {split}: {words}", arguments, files)
    for words, content in {
        "emptied": "",
        "a folder": None,
        "no text": b"\xff\xfe\x00",
        "NUL bytes": b"\0" * 100,
        "half a character": '{"question": "\\ud800", "answer": "#### 1"}\n',
    }.items():
        arguments = (
            "train-and-eval",
            "--data-dir",
            "data",
            "--benchmarks",
            "gsm8k",
            "--variants",
            "sft",
            "--dry-run",
            "--out",
            "out",
        )
        if words != "half a character":
            yield Bad(
                f"data: {words}",
                arguments,
                {"data/gsm8k/train.jsonl": content, "data/gsm8k/test.jsonl": lines_of(*good)},
            )
    for words, content in {
        "not JSON": "{",
        "emptied": "",
        "a folder": None,
        "no field": lines_of({"x": 1}),
        "a number": lines_of({"question": 7}),
        "deep": DEEP_JSON,
        "no text": b"\xff\xfe",
    }.items():
        yield Bad(
            f"overlap: {words}", ("overlap", "f.jsonl", "--benchmarks", "world_number"), {"f.jsonl": content}
        )


def _scored() -> Iterator[Bad]:
    good = {"id": "a", "output": "The answer is 3.", "gold": 3}
    broken: dict[str, list[object]] = {
        "emptied": [],
        "not JSON": [good, "{"],
        "a list": [good, [1]],
        "a text": [good, '"x"'],
        "no id": [good, {"output": "3", "gold": 3}],
        "no output": [good, {"id": 1, "gold": 3}],
        "no gold": [good, {"id": 1, "output": "3"}],
        "output null": [good, good | {"id": "b", "output": None}],
        "output a list": [good, good | {"id": "b", "output": ["3"]}],
        "gold null": [good, good | {"id": "b", "gold": None}],
        "gold a list": [good, good | {"id": "b", "gold": [3]}],
        "gold true": [good, good | {"id": "b", "gold": True}],
        "gold blank": [good, good | {"id": "b", "gold": "  "}],
        "gold NaN": [good, '{"id": "b", "output": "3", "gold": NaN}'],
        "gold Infinity": [good, '{"id": "b", "output": "3", "gold": Infinity}'],
        "gold no number": [good, good | {"id": "b", "gold": "a cat"}],
        "gold 1e400": [good, '{"id": "b", "output": "3", "gold": 1e400}'],
        "a key twice": [good, '{"id": "b", "output": "3", "output": "4", "gold": 3}'],
        "id true": [good, good | {"id": True}],
        "id null": [good, good | {"id": None}],
        "id a list": [good, good | {"id": [1]}],
        "id 1.5": [good, good | {"id": 1.5}],
        "choices a text": [good, good | {"id": "b", "choices": "ab"}],
        "one choice": [good, good | {"id": "b", "choices": ["a"]}],
        "choices of numbers": [good, good | {"id": "b", "choices": [1, 2]}],
        "truncated 1": [good, good | {"id": "b", "truncated": 1}],
        "truncated a text": [good, good | {"id": "b", "truncated": "no"}],
        "nested deeply": [good, DEEP_JSON],
        "a huge gold": [good, '{"id": "b", "output": "3", "gold": ' + "9" * 5000 + "}"],
        "a blank line only": [""],
    }
    for words, rows in broken.items():
        yield Bad(f"score: {words}", ("score", "f.jsonl", "--kind", "number"), {"f.jsonl": lines_of(*rows)})
    choice = good | {"gold": "A", "choices": ["x", "y"]}
    for words, row in {
        "a letter beyond": choice | {"gold": "C"},
        "a gold that is none": choice | {"gold": "z"},
        "no choices": {**choice, "choices": None, "gold": "AB"},
    }.items():
        yield Bad(
            f"score choice: {words}", ("score", "f.jsonl", "--kind", "choice"), {"f.jsonl": lines_of(row)}
        )
    more = {
        "an unknown kind": ("--kind", "colour"),
        "an unknown tag format": ("--kind", "number", "--tags", "nobodys"),
        "alpha 2": ("--kind", "number", "--alpha", "2"),
        "alpha nan": ("--kind", "number", "--alpha", "nan"),
        "no workers": ("--kind", "number", "--workers", "0"),
        "a label that no line has": ("--kind", "number", "--label", "right"),
        "a label that is a number": ("--kind", "number", "--label", "gold"),
        "samples in a folder that is a file": ("--kind", "number", "--samples", "f.jsonl/x"),
        "samples that are a folder": ("--kind", "number", "--samples", "folder"),
        "samples in /proc": ("--kind", "number", "--samples", "/proc/x"),
    }
    for words, options in more.items():
        yield Bad(
            f"score: {words}", ("score", "f.jsonl", *options), {"f.jsonl": lines_of(good), "folder": None}
        )
    for words, content in {"a folder": None, "no text": b"\xff\xfe\x00\x80", "NUL bytes": b"\0" * 64}.items():
        yield Bad(
            f"score: the file is {words}", ("score", "f.jsonl", "--kind", "number"), {"f.jsonl": content}
        )

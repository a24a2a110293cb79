"""Bad files of YAML: configurations, variants, entries, and what is none of these."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.faults.bad import ESCAPE, NUL, RTL, TEXTS, Bad, lines_of

_DRY = ("train-and-eval", "--dry-run", "--limit", "8")
NAMES: dict[str, object] = {
    "empty": "",
    "blank": "  ",
    "null": None,
    "a list": ["a"],
    "base": "base",
    "a path": "../../x",
    "absolute": "/tmp/x",
    "a newline": "a\nb",
    "NUL": NUL,
    "ESC": ESCAPE,
    "right to left": RTL,
    "C1": "a\x9bb",
    "a pipe's": "a|b",
    "a formula": "=1+1",
    "a number": 7,
    "dots": "..",
    "long": "x" * 5000,
    "markup": "[/red]x",
    "braces": "{0.__class__}",
    "a backslash": "a\\b",
    "a zero-width": "a\u200bb",
    "half a character": "\ud800",
    "a link": "![x](http://e.x/y)",
    "a tag": "<script>alert(1)</script>",
}
LEGITIMATE_NAMES = ("a pipe's", "markup", "braces", "a backslash", "a formula", "a link", "a tag")
"""Those that a grammar need not refuse, if every form is neutral: part `names` looks at them."""


def bad_texts() -> Iterator[Bad]:
    """All of them."""
    yield from _every_reader()
    yield from _configurations()
    yield from _variants()
    yield from _entries()


def _every_reader() -> Iterator[Bad]:
    """What is no file of this project's, given to everything that reads YAML."""
    readers = {
        "a configuration": (*_DRY, "--config", "f.yaml"),
        "a variant": (*_DRY, "--variants", "f.yaml"),
        "an entry": ("eval", "--entry", "f.yaml", "--out", "out"),
        "entries": ("leaderboard", "run", "--entries", "entries", "--out", "out"),
        "a tag format": (*_DRY, "--tags", "f.yaml") if False else (*_DRY, "--set", "tags=f.yaml"),
        "score's tags": ("score", "s.jsonl", "--kind", "number", "--tags", "f.yaml"),
    }
    for what, arguments in readers.items():
        for words, text in TEXTS.items():
            name = "entries/f.yaml" if what == "entries" else "f.yaml"
            files = {name: text, "s.jsonl": lines_of({"id": 1, "output": "3", "gold": 3})}
            yield Bad(f"{what}: {words}", arguments, files, needs_run=what == "entries")
        if what != "entries":
            yield Bad(
                f"{what}: a folder",
                arguments,
                {"f.yaml": None, "s.jsonl": lines_of({"id": 1, "output": "3", "gold": 3})},
            )


def _configurations() -> Iterator[Bad]:
    texts = {
        "seeds 0": "seeds: 0",
        "seeds a list": "seeds: [1]",
        "seeds null": "seeds: null",
        "train null": "train: null",
        "train a list": "train: []",
        "train.x": "train: {x: 1}",
        "variants a mapping": "variants: {a: 1}",
        "variants a number": "variants: 7",
        "benchmarks nested": "benchmarks: [[a]]",
        "alpha 2": "alpha: 2",
        "alpha nan": "alpha: .nan",
        "a merge": "<<: {seeds: 1}\nseeds: 0",
        "out a list": "out: [a]",
        "out a number": "out: 3",
        "a date": "seeds: 2020-01-01",
        "a key that is a list": "? [a, b]\n: 1",
        "a key that is a number": "7: 1",
        "hostile key": f'"{chr(92)}e[31mx": 1',
        "two documents": "seeds: 1\n---\nseeds: 2",
        "an unknown tag": "seeds: !x 1",
        "limit of a sexagesimal": "seeds: 1:30:00x",
        "a set": "variants: !!set {a, b}",
        "binary": "model: !!binary aGk=",
        "per_variant a list": "variants: [sft]\nper_variant: [1]",
        "per_variant nested": "variants: [sft]\nper_variant: {sft: {learning_rate: {a: 1}}}",
        "data_dir a file": "data_dir: f.yaml",
        "out null": "out: null",
        "model null": "model: null",
    }
    for words, text in texts.items():
        yield Bad(f"a configuration: {words}", (*_DRY, "--config", "f.yaml"), {"f.yaml": text + "\n"})


def _variants() -> Iterator[Bad]:
    stage: dict[str, object] = {"name": "sft", "loss": "response"}
    good: dict[str, object] = {
        "name": "own",
        "description": "d",
        "source": "s",
        "tagged": True,
        "stages": [stage],
    }
    for words, name in NAMES.items():
        if words not in LEGITIMATE_NAMES:
            yield _variant(f"a name: {words}", good | {"name": name})
            if words != "base":
                yield _variant(f"a stage's name: {words}", good | {"stages": [stage | {"name": name}]})
    of_all: dict[str, dict[str, object]] = {
        "no stages": {"stages": []},
        "stages a mapping": {"stages": {}},
        "stages null": {"stages": None},
        "a stage that is a text": {"stages": ["sft"]},
        "a stage that is null": {"stages": [None]},
        "tagged yes": {"tagged": "yes"},
        "tagged null": {"tagged": None},
        "an unknown key": {"x": 1},
        "a hundred thousand stages": {"stages": [stage] * 30000},
    }
    for words, own in of_all.items():
        yield _variant(words, good | own)
    of_a_stage: dict[str, dict[str, object]] = {
        "an unknown loss": {"loss": "all of it"},
        "a loss below 0": {"loss": {"answer": -1}},
        "a loss of nan": {"loss": {"answer": float("nan")}},
        "a loss without weight": {"loss": {"answer": 0}},
        "a loss of null": {"loss": None},
        "a loss of an unknown part": {"loss": {"title": 1}},
        "an unknown objective": {"objective": "luck"},
        "an objective of a path": {"objective": "../x"},
        "an objective that is a list": {"objective": []},
        "an unknown option": {"objective": "focal", "options": {"x": 1}},
        "an option of nan": {"objective": "focal", "options": {"gamma": float("nan")}},
        "an option that is a text": {"objective": "focal", "options": {"gamma": "much"}},
        "options a list": {"objective": "focal", "options": [1]},
        "a share of 2": {"share": 2},
        "a share of 0": {"share": 0},
        "a share of nan": {"share": float("nan")},
        "a share of a text": {"share": "x"},
        "a rate of 0": {"learning_rate": 0},
        "a rate of inf": {"learning_rate": float("inf")},
        "a rate of true": {"learning_rate": True},
        "a reference that is none": {"objective": "rho-1", "reference": "teacher"},
        "a reference where none is asked": {"reference": "base"},
        "an unknown key of a stage": {"x": 1},
    }
    for words, own in of_a_stage.items():
        yield _variant(words, good | {"stages": [stage | own]})
    for missing in good:
        yield _variant(f"without {missing}", {key: value for key, value in good.items() if key != missing})


def _yaml(value: object) -> str:
    import yaml

    return yaml.safe_dump(value, sort_keys=False, allow_unicode=False)


def _variant(words: str, content: dict[str, object]) -> Bad:
    return Bad(f"a variant: {words}", (*_DRY, "--variants", "f.yaml"), {"f.yaml": text_of(content)})


def text_of(content: dict[str, object]) -> str:
    """In YAML; JSON, which is YAML too, where YAML cannot write a text."""
    import json

    try:
        return _yaml(content)
    except (UnicodeError, ValueError):
        return json.dumps(content)


def _entries() -> Iterator[Bad]:
    good: dict[str, object] = {"name": "own", "weights": "./model", "benchmarks": ["world_number"]}
    arguments = ("eval", "--entry", "f.yaml", "--engine", "hf", "--limit", "2", "--out", "out")
    for words, name in NAMES.items():
        if words not in LEGITIMATE_NAMES:
            yield Bad(f"an entry: a name: {words}", arguments, {"f.yaml": text_of(good | {"name": name})})
    changes: dict[str, dict[str, object]] = {
        "weights null": {"weights": None},
        "weights a list": {"weights": []},
        "weights empty": {"weights": ""},
        "weights nowhere": {"weights": "./nowhere"},
        "tags a list": {"tags": [1]},
        "tags unknown": {"tags": "nobodys"},
        "tags nowhere": {"tags": "nowhere.yaml"},
        "tags half": {"tags": {"think_open": "<a>"}},
        "prompt_style unknown": {"prompt_style": "loud"},
        "instruct a text": {"instruct": "maybe"},
        "benchmarks unknown": {"benchmarks": ["nobodys"]},
        "benchmarks a mapping": {"benchmarks": {}},
        "benchmarks empty": {"benchmarks": []},
        "generation a list": {"generation": []},
        "temperature below 0": {"generation": {"temperature": -1}},
        "temperature nan": {"generation": {"temperature": float("nan")}},
        "tokens 0": {"generation": {"max_new_tokens": 0}},
        "an unknown key of generation": {"generation": {"x": 1}},
        "licence a list": {"licence": []},
        "link a script": {"link": "javascript:alert(1)"},
        "kind unknown": {"kind": "dream"},
        "revision of a folder": {"revision": "main", "weights": "./model"},
        "adapter nowhere": {"adapter": "./nowhere"},
        "base nowhere": {"base": "./nowhere"},
        "an unknown key": {"x": 1},
    }
    for words, own in changes.items():
        yield Bad(f"an entry: {words}", arguments, {"f.yaml": text_of(good | own), "model": None})
    reported = {"kind": "reported", "name": "paper", "rows": 7}
    for words, content in {
        "rows a number": reported,
        "rows empty": reported | {"rows": []},
        "rows of texts": reported | {"rows": ["x"]},
    }.items():
        line = ("leaderboard", "run", "--entries", "entries", "--out", "out")
        yield Bad(f"entries: reported {words}", line, {"entries/f.yaml": text_of(content)}, needs_run=True)

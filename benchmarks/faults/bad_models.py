"""Bad checkpoints: `eval` refuses each in one line, and `inspect` says that it would."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.faults.bad import DEEP_JSON, Bad

Change = Callable[[Path], object]
_WEIGHTS = "model.safetensors"
_HUGE = 10**6
EVAL = (
    *("--engine", "hf", "--benchmarks", "world_number", "--limit", "2", "--out", "out"),
    *("--set", "eval.max_new_tokens=4"),
)
"""How a checkpoint is evaluated that ought to be refused."""
_LOOP = "{% for a in range(100000) %}{% for b in range(100000) %}{{ a }}{% endfor %}{% endfor %}"
_NEVER = (
    "{% set x = namespace(s='a') %}{% for i in range(60) %}{% set x.s = x.s + x.s %}{% endfor %}{{ x.s }}"
)


def bad_models(base: Path) -> Iterator[Bad]:
    """Each of them, for both commands; made from a base that is right."""
    for words, change in {**_weights(), **_configs(), **_tokenizers(), **_templates()}.items():
        yield from _model(base, words, change)


def _model(base: Path, words: str, change: Change) -> Iterator[Bad]:
    def make(path: Path) -> None:
        shutil.copytree(base, path)
        change(path)

    files = {"model": make}
    yield Bad(f"eval a checkpoint: {words}", ("eval", "--model", "model", *EVAL), files)
    yield Bad(f"inspect a checkpoint: {words}", ("inspect", "model"), files)


def rewritten(
    path: Path, change: Callable[[dict[str, Any]], object], name: str = _WEIGHTS, data: bool = True
) -> None:
    """A safetensors file with another header, its data as they were."""
    raw = (path / name).read_bytes()
    size = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + size])
    changed = change(header)
    text = (changed if isinstance(changed, str) else json.dumps(header)).encode()
    (path / name).write_bytes(len(text).to_bytes(8, "little") + text + (raw[8 + size :] if data else b""))


def _first(header: dict[str, Any]) -> dict[str, Any]:
    return next(value for key, value in sorted(header.items()) if key != "__metadata__")


def _overlapping(header: dict[str, Any]) -> None:
    one, two = [value for key, value in sorted(header.items()) if value.get("shape") == [96, 96]][:2]
    one["data_offsets"] = two["data_offsets"]


def headers() -> dict[str, Callable[[dict[str, Any]], object]]:
    """Changes of a header that make it a bad one, by what is bad."""
    return {
        "offsets that overlap": _overlapping,
        "offsets beyond the end": lambda h: _first(h).update(data_offsets=[0, 10**12]),
        "offsets backwards": lambda h: _first(h).update(data_offsets=[64, 0]),
        "offsets of texts": lambda h: _first(h).update(data_offsets=["a", "b"]),
        "one offset": lambda h: _first(h).update(data_offsets=[0]),
        "a dtype that is none": lambda h: _first(h).update(dtype="F33"),
        "a dtype that is a list": lambda h: _first(h).update(dtype=[1]),
        "another dtype": lambda h: _first(h).update(dtype="F64"),
        "a shape below 0": lambda h: _first(h).update(shape=[-1, 64]),
        "a shape of texts": lambda h: _first(h).update(shape=["x"]),
        "another shape": lambda h: _first(h).update(shape=[1]),
        "metadata a list": lambda h: h.update(__metadata__=[1]),
        "metadata nested": lambda h: h.update(__metadata__={"format": {"a": 1}}),
        "a tensor less": lambda h: h.pop(sorted(h)[-1]),
        "a tensor that is a number": lambda h: h.update(x=7),
        "a header that is a list": lambda h: "[]",
        "a header that is no JSON": lambda h: "{",
        "a header nested deeply": lambda h: DEEP_JSON,
    }


def file(name: str, content: str | bytes | None) -> Change:
    """Writes a file anew; with None it is a folder."""

    def do(path: Path) -> None:
        target = path / name
        target.unlink(missing_ok=True)
        if content is None:
            target.mkdir()
        else:
            target.write_bytes(
                content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
            )

    return do


def cut(name: str, share: float) -> Change:
    """Loses the end of a file."""

    def do(path: Path) -> None:
        raw = (path / name).read_bytes()
        (path / name).write_bytes(raw[: int(len(raw) * share)])

    return do


def _filled(value: float) -> Change:
    def do(path: Path) -> None:
        from safetensors.numpy import load_file, save_file

        weights = load_file(path / _WEIGHTS)
        save_file(
            {name: weight * 0 + value for name, weight in weights.items()}, path / _WEIGHTS, {"format": "pt"}
        )

    return do


def _integers(path: Path) -> None:
    import numpy as np
    from safetensors.numpy import load_file, save_file

    weights = {name: weight.astype(np.int32) for name, weight in load_file(path / _WEIGHTS).items()}
    save_file(weights, path / _WEIGHTS, {"format": "pt"})


def _weights() -> dict[str, Change]:
    size = (2**60).to_bytes(8, "little")
    return {
        **{f"weights: {words}": partial(rewritten, change=change) for words, change in headers().items()},
        "weights: truncated": cut(_WEIGHTS, 0.5),
        "weights: a header alone": partial(rewritten, change=lambda h: None, data=False),
        "weights: emptied": file(_WEIGHTS, ""),
        "weights: zeroed": lambda path: (path / _WEIGHTS).write_bytes(bytes(10**5)),
        "weights: a header of 2^60 bytes": file(_WEIGHTS, size + b"{}"),
        "weights: a folder": file(_WEIGHTS, None),
        "weights: none": lambda path: (path / _WEIGHTS).unlink(),
        "weights: a pickle": lambda path: (path / _WEIGHTS).rename(path / "pytorch_model.bin"),
        "weights: not numbers": _filled(float("nan")),
        "weights: infinite": _filled(float("inf")),
        "weights: whole numbers": _integers,
        "weights: an index of shards that are not there": file(
            "model.safetensors.index.json",
            json.dumps({"weight_map": {"a": "model-00001-of-00002.safetensors"}}),
        ),
        "weights: an index outside": file(
            "model.safetensors.index.json", json.dumps({"weight_map": {"a": "../../etc/passwd"}})
        ),
        "weights: an index that is a list": file("model.safetensors.index.json", "[]"),
        "weights: an index nested deeply": file("model.safetensors.index.json", DEEP_JSON),
    }


def config(name: str, /, **own: object) -> Change:
    """Changes values of a file in JSON."""

    def do(path: Path) -> None:
        value = json.loads((path / name).read_text("utf-8"))
        (path / name).write_text(json.dumps(value | own), "utf-8")

    return do


def _configs() -> dict[str, Change]:
    own: Mapping[str, Mapping[str, object]] = {
        "a million layers": {"num_hidden_layers": _HUGE},
        "no layers": {"num_hidden_layers": 0},
        "layers below 0": {"num_hidden_layers": -1},
        "layers of a text": {"num_hidden_layers": "x"},
        "layers null": {"num_hidden_layers": None},
        "another width": {"hidden_size": 64},
        "a width of 0": {"hidden_size": 0},
        "a huge width": {"hidden_size": 10**9},
        "a width of a text": {"hidden_size": "64"},
        "no heads": {"num_attention_heads": 0},
        "heads that do not divide": {"num_attention_heads": 7},
        "an unknown type": {"model_type": "nobodys"},
        "a type that is a list": {"model_type": []},
        "no type": {"model_type": None},
        "a vocabulary of 3": {"vocab_size": 3},
        "a huge vocabulary": {"vocab_size": 10**9},
        "a vocabulary of a text": {"vocab_size": "many"},
        "code of its own": {"auto_map": {"AutoModelForCausalLM": "modeling.Own"}, "model_type": "own"},
        "quantised by nobody": {"quantization_config": {"quant_method": "nobodys"}},
        "quantised by a list": {"quantization_config": [1]},
        "an activation that is none": {"hidden_act": "nobodys"},
        "rope by a text": {"rope_scaling": "x"},
        "a dtype that is none": {"dtype": "float7"},
        "an encoder": {"model_type": "bert", "architectures": ["BertModel"]},
        "a context of 0": {"max_position_embeddings": 0},
        "a norm of a text": {"rms_norm_eps": "small"},
    }
    texts: dict[str, str | bytes] = {
        "emptied": "",
        "a list": "[]",
        "not JSON": "{",
        "nested deeply": DEEP_JSON,
        "no text": b"\xff\xfe",
        "null": "null",
        "NUL bytes": b"\0" * 90,
    }
    return {
        **{f"config: {words}": config("config.json", **values) for words, values in own.items()},
        **{f"config: {words}": file("config.json", text) for words, text in texts.items()},
        "config: a folder": file("config.json", None),
        "config: none": lambda path: (path / "config.json").unlink(),
    }


def _without_tokenizer(path: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (path / name).unlink()


def _tokenizers() -> dict[str, Change]:
    texts: dict[str, str | bytes] = {
        "emptied": "",
        "a list": "[]",
        "not JSON": "{",
        "nested deeply": DEEP_JSON,
        "no text": b"\xff\xfe",
    }
    return {
        **{f"tokenizer: {words}": file("tokenizer.json", text) for words, text in texts.items()},
        **{
            f"tokenizer config: {words}": file("tokenizer_config.json", text) for words, text in texts.items()
        },
        "tokenizer: a folder": file("tokenizer.json", None),
        "tokenizer: none": _without_tokenizer,
        "tokenizer: no end": config("tokenizer_config.json", eos_token=None),
        "tokenizer: an end that is no token": config("tokenizer_config.json", eos_token="<nobody>"),
        "tokenizer: code of its own": config(
            "tokenizer_config.json", auto_map={"AutoTokenizer": ["own.Own", None]}, tokenizer_class="Own"
        ),
        "tokenizer: cut": cut("tokenizer.json", 0.7),
    }


def _templates() -> dict[str, Change]:
    texts: dict[str, str | bytes] = {
        "that loops": _LOOP,
        "that allocates": "{{ 'a' * 10**10 }}",
        "that doubles": _NEVER,
        "that is no Jinja": "{% for %}",
        "that divides by 0": "{{ 1 // 0 }}",
        "that raises": "{{ raise_exception('no') }}",
        "that opens": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "of an unknown name": "{{ nobody.nothing.at_all }}",
        "of a power": "{{ 10 ** (10 ** 9) }}",
        "of a range": "{{ range(10**12) | list }}",
        "that recurs": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "that includes": "{% include '/etc/passwd' %}",
        "of padding": "{{ '%1000000000d' % 1 }}",
        "nested": "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}",
    }
    return {f"a chat template {words}": file("chat_template.jinja", text) for words, text in texts.items()}

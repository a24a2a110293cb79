"""Bad adapters: `eval` refuses each in one line, and `inspect` says that it would."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from benchmarks.faults.bad import BOMB, DEEP_JSON, ESCAPE, NUL, Bad
from benchmarks.faults.bad_models import EVAL, Change, config, cut, file, headers, rewritten


def bad_adapters(base: Path) -> Iterator[Bad]:
    """Each of them, for both commands, on a base that is right."""
    for words, change in _adapters().items():
        yield from _adapter(base, words, change)


def _adapter(base: Path, words: str, change: Change) -> Iterator[Bad]:
    def make(path: Path) -> None:
        write_adapter(base, path)
        change(path)

    files = {"adapter": make}
    model = ("--model", "adapter", "--base", str(base))
    yield Bad(f"eval an adapter: {words}", ("eval", *model, *EVAL), files)
    yield Bad(f"inspect an adapter: {words}", ("inspect", "adapter", "--base", str(base)), files)


def write_adapter(base: Path, path: Path) -> None:
    """A LoRA adapter of rank 2 on each layer's query, as peft writes it, without peft."""
    import numpy as np
    from safetensors.numpy import save_file

    of_base = json.loads((base / "config.json").read_text("utf-8"))
    width, tensors, rng = of_base["hidden_size"], {}, np.random.default_rng(0)
    for layer in range(of_base["num_hidden_layers"]):
        stem = f"base_model.model.model.layers.{layer}.self_attn.q_proj.lora_"
        for side, shape in (("A", (2, width)), ("B", (width, 2))):
            tensors[f"{stem}{side}.weight"] = rng.normal(0, 0.3, shape).astype(np.float32)
    path.mkdir()
    save_file(tensors, path / "adapter_model.safetensors", {"format": "pt"})
    settings = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": 2,
        "lora_alpha": 4,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": ["q_proj"],
        "base_model_name_or_path": str(base),
        "inference_mode": True,
        "fan_in_fan_out": False,
    }
    (path / "adapter_config.json").write_text(json.dumps(settings), "utf-8")


def _adapters() -> dict[str, Change]:
    name, own = "adapter_model.safetensors", "adapter_config.json"
    settings: Mapping[str, Mapping[str, object]] = {
        "r 0": {"r": 0},
        "r below 0": {"r": -2},
        "r a text": {"r": "two"},
        "r a million": {"r": 10**6},
        "r null": {"r": None},
        "another r": {"r": 4},
        "modules that are none": {"target_modules": ["nobodys"]},
        "modules a number": {"target_modules": 7},
        "modules a bad pattern": {"target_modules": "(["},
        "modules null": {"target_modules": None},
        "modules empty": {"target_modules": []},
        "a type that is none": {"peft_type": "DREAM"},
        "alpha a text": {"lora_alpha": "x"},
        "another task": {"task_type": "SEQ_CLS"},
        "a pattern of ranks": {"rank_pattern": {"q_proj": "x"}},
        "a bias of nobody": {"bias": "nobodys"},
        "prompt tuning": {"peft_type": "PROMPT_TUNING", "num_virtual_tokens": 3},
    }
    texts = {"emptied": "", "a list": "[]", "not JSON": "{", "nested deeply": DEEP_JSON, "a bomb": BOMB}
    bad_headers = (
        "another shape",
        "a dtype that is none",
        "metadata a list",
        "a tensor that is a number",
    )
    return {
        **{f"settings: {words}": config(own, **values) for words, values in settings.items()},
        **{f"settings: {words}": file(own, text) for words, text in texts.items()},
        **{
            f"weights: {words}": partial(rewritten, change=headers()[words], name=name)
            for words in bad_headers
        },
        "weights: truncated": cut(name, 0.5),
        "weights: emptied": file(name, ""),
        "weights: none": lambda path: (path / name).unlink(),
        "weights: scalars": partial(_tensors, shape=()),
        "weights: vectors": partial(_tensors, shape=(64,)),
        "weights: of another width": partial(_tensors, shape=(2, 96)),
        "weights: zero": partial(_tensors, shape=None),
        "weights: of names of nobody": partial(_tensors, shape=(2, 64), rename="nobodys."),
        "weights: hostile names": partial(_tensors, shape=(2, 64), rename=ESCAPE),
        "weights: NUL in names": partial(_tensors, shape=(2, 64), rename=NUL),
    }


def _tensors(path: Path, shape: tuple[int, ...] | None, rename: str = "") -> None:
    """The adapter's tensors in another shape (all zeros where None), or under other names."""
    import numpy as np
    from safetensors.numpy import load_file, save_file

    file = path / "adapter_model.safetensors"
    tensors = load_file(file)
    changed = {
        rename + name: np.zeros(one.shape if shape is None else shape, np.float32)
        for name, one in tensors.items()
    }
    save_file(changed, file, {"format": "pt"})

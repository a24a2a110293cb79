"""From a base model and a variant to a checkpoint.

The names below are what a user may rely on, loaded when they are asked for. Their way, from top to bottom:

    variant = load_variant("sftkey-tag")                                  # a YAML: stages, losses, objectives
    path = TextPath.of(load_tokenizer(base))                              # one text path for all
    corpus = encode(records, get_tag_format("thinking-answer"), path, 1024)  # tokens, a segment for each
    graph = build_graph([variant], [0], TrainSettings(), digest, {"t": corpus}, {variant.name: "t"})
    for node in graph.nodes.values():                                     # parents before their children
        model = load_for_training(base, parent, node.settings)
        result = train_stage(model, corpus, node, print, scratch=scratch)
        save_stage(model, path.tokenizer, folder / node.key, {}, result.history, result.cost)

`harness` does that, with reference models, a store, several processes and what follows: evaluation.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_ROOMS = {
    "model": ["load_for_training"],
    "objectives": ["OBJECTIVES", "objective"],
    "settings": ["TrainSettings"],
    "spans": ["encode"],
    "stages": ["build_graph"],
    "stored": ["save_stage"],
    "text": ["TextPath", "load_tokenizer"],
    "trainer": ["train_stage"],
    "variants": ["load_variant", "variant_names"],
}
_HOME = {name: room for room, names in _ROOMS.items() for name in names}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__

"""From a base model and a variant to a checkpoint.

The names below are what a user may rely on, loaded when they are asked for. Their way, from top to bottom:

    variant = load_variant("sftkey-tag")                                  # a YAML: stages, losses, objectives
    path = TextPath.of(load_tokenizer(base))                              # one text path for all
    corpus = encode(records, get_tag_format("thinking-answer"), path, 1024)  # tokens, a segment for each
    graph = build_graph([variant], [0], TrainSettings(), digest, {"t": corpus}, {variant.name: "t"})
    for node in graph.nodes.values():                                     # parents before their children
        model = load_for_training(base, parent, node.settings)
        result = train_stage(model, corpus, node, print, scratch=scratch)
        save_stage(model, path.tokenizer, folder / node.key, {}, result)

`harness` does that, with reference models, a store, several processes and what follows: evaluation.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOME = {
    "Corpus": "corpus",
    "OBJECTIVES": "objectives",
    "SEGMENTS": "segments",
    "Stage": "variants",
    "StageCost": "stored",
    "StageGraph": "stages",
    "StageNode": "stages",
    "StageResult": "stored",
    "StepMetrics": "stored",
    "TextPath": "text",
    "TrainSettings": "settings",
    "Variant": "variants",
    "build_graph": "stages",
    "encode": "spans",
    "load_for_training": "model",
    "load_tokenizer": "model",
    "load_variant": "variants",
    "objective": "objectives",
    "save_stage": "stored",
    "train_stage": "trainer",
    "variant_names": "variants",
}
"""Name -> the module that it is at home in."""
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__

"""Records, tokenizers of the common kinds trained on the spot, and tiny random models."""

import gc
import importlib
from collections.abc import Callable

import pytest
import torch
from tiny import KINDS, records_of, tagged_corpus, tiny_model, train_tokenizer

from sftkey_train.corpus import Corpus
from sftkey_train.settings import TrainSettings
from sftkey_train.spans import encode
from sftkey_train.stages import StageNode, build_graph
from sftkey_train.text import TextPath
from sftkey_train.variants import load_variant
from tasks.records import Record
from tasks.tags import get_tag_format


@pytest.fixture(autouse=True, scope="session")
def quick() -> None:
    """Tiny matrices are slower on several threads, and accelerate collects garbage after every stage."""
    torch.set_num_threads(1)
    importlib.import_module("peft")
    importlib.import_module("sftkey_train.trainer")
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def records() -> list[Record]:
    return records_of(24)


@pytest.fixture(scope="session")
def paths() -> dict[str, TextPath]:
    """Text path by tokenizer kind; kinds are trained once."""
    return {kind: TextPath.of(train_tokenizer(kind)) for kind in KINDS}


@pytest.fixture(scope="session")
def path(paths: dict[str, TextPath]) -> TextPath:
    return paths["byte-level"]


@pytest.fixture(scope="session")
def corpus(records: list[Record], path: TextPath) -> Corpus:
    return encode(records, get_tag_format("thinking-answer"), path, 512)


@pytest.fixture(scope="session")
def tagged() -> Corpus:
    return tagged_corpus()


@pytest.fixture
def model(path: TextPath) -> torch.nn.Module:
    return tiny_model(len(path.tokenizer))


@pytest.fixture
def settings() -> TrainSettings:
    return TrainSettings(
        learning_rate=1e-2, second_learning_rate=5e-3, epochs=1, warmup_epochs=0.3, batch_size=8
    )


@pytest.fixture
def node_of(tagged: Corpus, settings: TrainSettings) -> Callable[..., StageNode]:
    """The last stage of a variant, on random examples where no other data are given."""

    def make(
        variant: str, settings: TrainSettings = settings, *, seed: int = 1, data: Corpus = tagged
    ) -> StageNode:
        chosen = load_variant(variant)
        graph = build_graph([chosen], [seed], settings, "base", {"t": data}, {chosen.name: "t"})
        return graph.nodes[graph.chains[chosen.name, seed][-1]]

    return make

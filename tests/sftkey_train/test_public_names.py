"""What `import sftkey_train` gives: a few names, loaded when asked for, from a variant to its weights."""

import subprocess
import sys
from pathlib import Path

import pytest
from tiny import records_of, tiny_model

import sftkey_train
from sftkey_train import TextPath, TrainSettings, build_graph, encode, load_variant, save_stage, train_stage
from sftkey_train.stored import read_cost, read_history
from tasks.tags import get_tag_format


@pytest.mark.parametrize("name", sftkey_train.__all__)
def test_every_name_is_there(name: str) -> None:
    assert getattr(sftkey_train, name) is not None
    assert name in dir(sftkey_train)


def test_another_name_is_not() -> None:
    with pytest.raises(AttributeError, match="module 'sftkey_train' has no attribute 'nothing'"):
        _ = sftkey_train.nothing


def test_the_import_alone_loads_nothing_heavy() -> None:
    code = "import sys, sftkey_train; print(sorted({'torch', 'transformers', 'numpy'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], capture_output=True)
    assert done.stdout == b"[]\n"


def test_the_way_of_the_module_s_text(tmp_path: Path, path: TextPath) -> None:
    variant, folder = load_variant("sftkey-tag"), tmp_path / "stages"
    corpus = encode(records_of(16), get_tag_format("thinking-answer"), path, 1024)
    settings = TrainSettings(batch_size=4, epochs=1)
    graph = build_graph([variant], [0], settings, "digest", {"t": corpus}, {variant.name: "t"})
    model = tiny_model(len(path.tokenizer))
    for node in graph.nodes.values():
        result = train_stage(model, corpus, node, lambda metrics: None, scratch=tmp_path)
        save_stage(model, path.tokenizer, folder / node.key, {}, result.history, result.cost)
        assert read_cost(folder / node.key) == result.cost
        assert len(read_history(folder / node.key)) == len(result.history)

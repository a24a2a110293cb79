"""Options become configuration keys: each declares its own, and what was not given says nothing."""

from pathlib import Path

import pytest

from harness.commands.options import given_by


@pytest.mark.parametrize(
    ("values", "flags"),
    [
        ({"model": "m", "benchmarks": "a,b"}, {"model": "m", "benchmarks": "a,b"}),
        ({"limit": 0}, {"limit": 0, "train_limit": 0}),
        ({"budget": "tokens=2e6"}, {"train.budget": "tokens", "train.amount": 2e6}),
        ({"budget": "epochs"}, {"train.budget": "epochs", "train.amount": None}),
        ({"judge": "http://h/v1"}, {"eval.judge.server.url": "http://h/v1"}),
        ({"judge": "gpt-x"}, {"eval.judge.model": "gpt-x"}),
        ({"instruct": True, "tags": "think"}, {"eval.instruct": True, "tags": "think"}),
        ({"instruct": False, "seeds": None, "out": None}, {}),
        ({"out": Path("o"), "data_dir": Path("d")}, {"out": Path("o"), "data_dir": Path("d")}),
        ({"engine": "hf", "method": "lora", "exact": 3, "variants": "sft"},
         {"eval.engine": "hf", "train.method": "lora", "eval.exact": 3, "variants": "sft"}),
    ],
)  # fmt: skip
def test_each_option_sets_the_keys_that_it_declares(
    values: dict[str, object], flags: dict[str, object]
) -> None:
    assert given_by(values).flags == flags


def test_the_file_the_settings_and_the_first_look_stand_beside_them() -> None:
    given = given_by({"config": Path("c.yaml"), "setting": ["a=1"], "quick": True, "seeds": 2})
    assert (given.file, given.settings, given.quick) == (Path("c.yaml"), ("a=1",), True)
    assert given_by({"seeds": 2}).config().seeds == 2
    assert given_by({"seeds": 2}).but(model="x").flags == {"seeds": 2, "model": "x"}

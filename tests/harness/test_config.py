"""The configuration: layers, strictness, round trip."""

import json
from collections import Counter
from pathlib import Path

import pytest

from harness.config import Config, dump_config, load_config
from sftkey_train.settings import TrainSettings
from tasks.errors import InputError

ROOT = Path(__file__).parents[2]


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_without_options_it_is_the_embedded_default() -> None:
    config = load_config(None, {}, [])
    assert config.model == "embedded"
    assert config.variants == ("sft", "sft-tag", "key-tag", "sftkey", "sftkey-tag", "sft+sft", "sft-tag-x2")
    assert config.seeds == 3
    assert config.benchmarks == ("world_number", "world_number_gap1", "world_choice", "world_choice_gap1")


def test_set_wins_over_flags_over_file_over_preset(tmp_path: Path) -> None:
    file = write(tmp_path / "run.yaml", "seeds: 5\nlimit: 50\ntrain: {learning_rate: 0.5, batch_size: 8}\n")
    config = load_config(file, {"limit": 60, "seeds": None}, ["train.learning_rate=1e-4"])
    assert (config.seeds, config.limit) == (5, 60)
    assert config.train.learning_rate == 1e-4
    assert config.train.batch_size == 8
    assert config.train.second_learning_rate == load_config(None, {}, []).train.second_learning_rate


def test_a_protocol_stands_below_ones_own_values(tmp_path: Path) -> None:
    """The paper's: two stages of three epochs each over the same data, 256 examples a step."""
    paper = load_config(None, {"model": "org/model", "benchmarks": "gsm8k", "protocol": "paper"}, [])
    train = paper.train
    assert (train.batch_size, train.learning_rate, train.second_learning_rate) == (256, 5e-6, 5e-6)
    assert (train.budget, train.budget_of, train.epochs, train.stage2_data) == ("epochs", "stage", 3, "same")
    assert (train.warmup_epochs, train.weight_decay) == (0.5, 0.1)
    file = write(tmp_path / "run.yaml", "protocol: paper\ntrain: {batch_size: 8}\n")
    own = load_config(file, {}, ["train.epochs=1"])
    assert (own.train.batch_size, own.train.epochs, own.train.budget_of) == (8, 1, "stage")
    again = load_config(write(tmp_path / "again.yaml", dump_config(own)))
    assert again == own
    with pytest.raises(InputError, match="protocol: input should be 'matched' or 'paper', not 'papers'"):
        load_config(None, {"protocol": "papers"}, [])


def test_the_matched_protocol_is_what_stands_where_nothing_is_said() -> None:
    """In the preset for people, and in the defaults for code."""
    plain = load_config(None, {"model": "org/model", "benchmarks": "gsm8k"}, [])
    assert plain.protocol == "matched"
    assert plain.train == TrainSettings()


def test_another_model_takes_the_papers_values_and_no_preset() -> None:
    config = load_config(None, {"model": "Qwen/Qwen2.5-1.5B", "benchmarks": "gsm8k, openbookqa"}, [])
    assert config.benchmarks == ("gsm8k", "openbookqa")
    assert config.train.learning_rate == 5e-6
    assert config.train.weight_decay == 0.1
    assert config.limit is None


def test_what_is_stored_with_a_run_reads_back_to_the_same(tmp_path: Path) -> None:
    config = load_config(None, {"data_dir": tmp_path, "limit": 7}, ["eval.temperature=0.5", "store=/x/y"])
    again = load_config(write(tmp_path / "stored.yaml", dump_config(config)), {}, [])
    assert again == config


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (["trian.learning_rate=1"], "unknown key trian: did you mean 'train'?"),
        (["train.learning_rat=1"], "unknown key train.learning_rat: did you mean 'learning_rate'?"),
        (["eval.engine_settings.dtyp=x"], "did you mean 'dtype'?"),
        (["train=3"], "train holds keys of its own"),
        (["seeds=many"], "seeds: "),
        (["seeds=0"], "seeds must be above 0"),
        (["train.learning_rate=-1"], "train.learning_rate must be above 0"),
        (["train.learning_rate=nan"], "train.learning_rate"),
        (["train.method=qlorra"], "train.method"),
        (["train.budget=days"], "train.budget"),
        (["train.stage2_share=1"], "train.stage2_share must be below 1"),
        (["train.workers=0"], "train.workers must be above 0"),
        (["train.method=lora", "train.tag_tokens=true"], "train.tag_tokens needs full fine-tuning"),
        (["per_variant.sft-tg.learning_rate=1"], "did you mean 'sft-tag'"),
        (["per_variant.sft-tag.epochs=1"], "per_variant.sft-tag: unknown setting 'epochs'"),
        (["per_variant.sft-tag.learning_rate=-1"], "train.learning_rate must be above 0"),
        (["alpha=1.5"], "alpha must be between 0 and 1"),
        (["variants=[]"], "no variants"),
        (["variants=sft,sft"], "twice"),
        (["seeds"], "expected key=value"),
        (["train.batch_size=10", "train.micro_batch_size=4"], "must be a multiple"),
        (["data_dir=/no/such/folder"], "no such folder"),
    ],
)
def test_a_fault_is_one_clear_line(settings: list[str], expected: str) -> None:
    with pytest.raises(InputError) as caught:
        load_config(None, {}, settings)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["seeds: [", "- a\n- b", "\x00"])
def test_a_file_that_is_no_configuration_is_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match=r"broken\.yaml"):
        load_config(write(tmp_path / "broken.yaml", text), {}, [])


def test_quick_is_for_the_embedded_model() -> None:
    assert load_config(None, {}, [], quick=True).seeds < Config().seeds
    with pytest.raises(InputError, match="--quick"):
        load_config(None, {"model": "other", "benchmarks": "gsm8k"}, [], quick=True)


def test_the_presets_own_settings_are_the_ledgers_best() -> None:
    """Each variant's from as many trials as any other's, with seeds that no run tests."""
    config = load_config(None, {}, [])
    ledger = json.loads((ROOT / "leaderboards/published/embedded/sweep.json").read_text(encoding="utf-8"))
    assert config.per_variant == {one["variant"]: one["point"] for one in ledger if one["chosen"]}
    assert {*config.per_variant} == {*config.variants} == {*config.tuned}
    trials = Counter(one["variant"] for one in ledger)
    assert len({*trials.values()}) == 1
    for name, tuned in config.tuned.items():
        assert (tuned.trials, tuned.seeds) == (trials[name], 3)
        own = [one["metric"] for one in ledger if one["variant"] == name]
        assert max(own) - sum(own) / len(own) == pytest.approx(tuned.gain, abs=1e-5)


@pytest.mark.parametrize(
    ("given", "settings", "kept"),
    [
        ({}, [], True),
        ({"seeds": 5, "limit": 20, "model": "embedded"}, ["train.workers=1", "train.validate_every=9"], True),
        ({}, ["train.learning_rate=1e-4"], False),
        ({}, ["train.amount=50"], False),
        ({"benchmarks": "world_number"}, [], False),
        ({"model": "embedded-1"}, [], False),
        ({"train_limit": 100}, [], False),
        ({"protocol": "paper"}, [], False),
    ],
)
def test_the_presets_own_settings_hold_for_the_training_they_were_chosen_for(
    given: dict[str, object], settings: list[str], kept: bool
) -> None:
    config = load_config(None, {**given, "variants": "sft-tag,dft,sftkey-tag"}, settings)
    assert {*config.per_variant} == {*config.tuned} == ({"sft-tag", "sftkey-tag"} if kept else set())


def test_ones_own_settings_stand_alone() -> None:
    config = load_config(None, {"variants": "sft-tag,sft"}, ["per_variant.sft.learning_rate=1e-5"])
    assert config.per_variant == {"sft": {"learning_rate": 1e-5}}
    assert config.tuned == {}

"""Claims on record before anything is trained, and seeds added until one is decided."""

import dataclasses
import io
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from harness.claims import CLAIMS_FILE, declare, on_record
from harness.config import Config, load_config
from harness.plan import make_plan
from harness.progress import Reporter
from harness.run import train_and_eval
from leaderboards import read_results
from tasks.errors import InputError

CLAIM = "sft > sft-tag by 1"


def planned(out: Path, *, trained: bool = False, key: str = "k", **changes: object) -> SimpleNamespace:
    """As much of a plan as a record is made of."""
    config = dataclasses.replace(Config(benchmarks=("b",), claims=(CLAIM,), out=out), **changes)
    out.mkdir(exist_ok=True)
    names = ("sft", "sft-tag", "key-tag")
    chains = {(name, seed): (f"{key}-{name}-{seed}",) for name in names for seed in range(config.seeds)}
    graph, seeds = SimpleNamespace(chains=chains), tuple(range(config.seeds))
    return SimpleNamespace(config=config, graph=graph, seeds=seeds, is_trained=lambda key: trained)


def test_a_claim_is_on_record_once_and_stays_while_the_run_goes_on(tmp_path: Path) -> None:
    declare(planned(tmp_path))
    [first] = on_record(tmp_path)
    assert (first.claim, first.before, first.seeds, first.most_seeds) == (CLAIM, True, 3, None)
    (tmp_path / "results.json").touch()
    declare(planned(tmp_path, trained=True))
    assert on_record(tmp_path) == (first,)


@pytest.mark.parametrize(
    "changes",
    [
        {"claims": ("sft > sft-tag by 2",)},
        {"seeds": 5},
        {"until_decided": True},
        {"limit": 7},
        {"key": "other settings"},
        {"eval": dataclasses.replace(Config().eval, max_new_tokens=9)},
    ],
    ids=str,
)
@pytest.mark.parametrize("seen", ["trained", "results"])
def test_whatever_changes_once_results_may_be_seen_comes_late(
    changes: dict[str, object], seen: str, tmp_path: Path
) -> None:
    declare(planned(tmp_path))
    if seen == "results":
        (tmp_path / "results.json").touch()
    declare(planned(tmp_path, trained=seen == "trained", **changes))
    assert not on_record(tmp_path)[-1].before


def test_a_claim_that_is_dropped_stays_on_record_and_what_was_first_said_holds_again(tmp_path: Path) -> None:
    declare(planned(tmp_path))
    declare(planned(tmp_path, trained=True, seeds=5, claims=("sft < sft-tag", CLAIM)))
    assert [(one.claim, one.before) for one in on_record(tmp_path)] == [
        (CLAIM, False), ("sft < sft-tag", False)
    ]  # fmt: skip
    declare(planned(tmp_path, trained=True))
    assert {one.claim: one.before for one in on_record(tmp_path)} == {CLAIM: True, "sft < sft-tag": False}


def test_what_a_machine_needs_is_no_other_record(tmp_path: Path) -> None:
    declare(planned(tmp_path))
    other = dataclasses.replace(Config().eval, engine="hf", exact=3)
    declare(planned(tmp_path, trained=True, eval=other))
    assert [one.before for one in on_record(tmp_path)] == [True]


@pytest.mark.parametrize("text", ["{}", "[", '[{"claim": 3}]'])
def test_a_damaged_record_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / CLAIMS_FILE).write_text(text)
    with pytest.raises(InputError, match=CLAIMS_FILE):
        on_record(tmp_path)


@pytest.mark.parametrize(
    ("settings", "part"),
    [
        (["claims=sft is best"], "not a claim; write"),
        (["claims=[a > b, b > a]", "until_decided=true"], "decides one claim, and there are 2"),
        (["until_decided=true", "max_seeds=3"], "max_seeds must be at least 4"),
        (["until_decided=true", "max_seeds=4", "seeds=5"], "max_seeds must be at least 5"),
    ],
)
def test_a_fault_of_claims_is_one_line(settings: list[str], part: str) -> None:
    with pytest.raises(InputError, match=part):
        load_config(None, {}, settings)


def test_what_is_to_be_decided_is_the_method_against_its_control_where_nothing_is_claimed() -> None:
    assert load_config(None, {}, ["until_decided=true"]).claims == ("sftkey-tag > sft-tag-x2",)
    assert load_config(None, {}, []).claims == ()


@pytest.fixture(scope="module")
def configured(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Config]:
    flags = {
        "model": str(tiny_base), "benchmarks": "world_number", "variants": "sft,sft-tag,key-tag", "seeds": 1,
        "limit": 4, "train_limit": 8, "eval.engine": "hf", "out": tmp_path_factory.mktemp("until") / "run",
    }  # fmt: skip
    settings = ["train.batch_size=8", "train.epochs=1", "eval.max_new_tokens=2"]
    return lambda *more, **said: load_config(None, {**flags, **said}, [*settings, *more])


def test_an_unknown_entry_of_a_claim_is_found_before_anything_is_trained(configured) -> None:
    with pytest.raises(InputError, match="did you mean 'sft-tag'"):
        make_plan(configured(claims=["sft > sft-tg"]))


@pytest.mark.heavy
def test_seeds_are_added_until_the_claim_is_decided(
    configured, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A model that knows nothing is equal to itself: undecided to the end, but within a wide margin."""
    config = configured(claims=["sft > sft-tag"], until_decided=True, max_seeds=5)

    def run(config: Config) -> str:
        said = io.StringIO()
        made = train_and_eval(make_plan(config), Reporter(Console(file=said, width=200)))
        assert made is not None
        [answer] = made.board.claims
        assert (answer.standing, answer.verdict) == ("before", "undecided")
        return said.getvalue()

    with monkeypatch.context() as killed:
        killed.setattr("harness.run.is_decided", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run(config)
    said = run(config)
    assert "training 0 of 9 stages" in said
    assert "training 2 of 11 stages" in said
    assert said.index("undecided with 4 seeds") < said.index("undecided with 5 seeds")
    results = read_results(config.out)
    seeds = {name: [one.seed for one in results.entries if one.name == name] for name in config.variants}
    assert seeds == {"sft": [0, 1, 2, 3, 4], "sft-tag": [0, 1, 2, 3, 4], "key-tag": [0]}
    assert [(one.claim, one.before, one.most_seeds) for one in results.declared] == [
        ("sft > sft-tag", True, 5)
    ]
    easy = dataclasses.replace(
        config, claims=("sft = sft-tag within 90 points",), out=tmp_path / "run", store=config.store_dir
    )
    made = train_and_eval(make_plan(easy), Reporter(Console(quiet=True)))
    assert made is not None
    [answer] = made.board.claims
    assert (answer.standing, answer.verdict, answer.difference.num_seeds) == ("after", "confirmed", 4)

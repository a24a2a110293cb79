"""A checkpoint's card: what it claims, what the Hub reads of it, and how it gets there."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_hub import TOKEN, FakeHub, fake_hub

from harness.config import Config, EvalSettings, dump_config
from harness.sharing.card import make_card
from harness.sharing.hub import Card, push
from leaderboards.results.schema import Entry, Evaluation, Overlap, RunResults, Sample, TrainingCost
from leaderboards.results.store import write_results
from leaderboards.results.tables import SAMPLES
from tasks.errors import InputError

CONFIG = Config(
    model="org/base-model", benchmarks=("gsm8k", "world_number"), reference="sft", data_dir=None, limit=None
)
PROVENANCE = {"created": "2026-01-02T03:04:05+00:00", "git_commit": "0123abcd", "harness": "0.1.0"}
COST = TrainingCost(92, 210_000, 150_000, 5.7e11, 11.5, ("full",), budget="1 epoch")
GENERATION = {"max_new_tokens": 96, "stop": ("\nQuestion:",), "temperature": 0.0, "split": "test"}
N = 120


def rows(name: str, seed: int | None, benchmark: str, share: float) -> list[Sample]:
    rng = np.random.default_rng([len(name), seed or 0, len(benchmark)])
    right = rng.random(N) < share
    return [
        Sample(
            name, "base-model", seed, benchmark, f"{benchmark}-{i}", 0, "Question: ?", "so 4", "4", None, "4",
            bool(is_right), bool(is_right), True, 0.3 + 0.7 * is_right, False, (), "stop", 9, 9,
        )
        for i, is_right in enumerate(right)
    ]  # fmt: skip


def entry(name: str, seed: int | None, **changes: Any) -> Entry:
    evaluations = tuple(
        Evaluation(b, N, f"d-{b}", "vllm (0.32.0)", "bfloat16", 9, 9, 1.0, GENERATION, kind="number")
        for b in ("gsm8k", "world_number")
    )
    trained = Entry(
        name, "base-model", "trained", seed, "thinking-answer", True, "lora", "nowhere", f"w-{name}-{seed}",
        COST, evaluations,
    )  # fmt: skip
    return dataclasses.replace(trained, **changes)


def run(*entries: Entry, share: float = 0.6) -> RunResults:
    samples = [
        row
        for one in entries
        for benchmark in ("gsm8k", "world_number")
        for row in rows(one.name, one.seed, benchmark, share if one.name != "better" else 0.95)
    ]
    return RunResults(PROVENANCE, entries, SAMPLES.to_frame(samples), "runs/one")


SFT = [entry("sft", seed) for seed in (0, 1, 2)]
KEY = [entry("sftkey-tag", seed) for seed in (0, 1, 2)]


def card(*entries: Entry, name: str = "sftkey-tag", seed: int | None = 1, config: Config = CONFIG) -> Card:
    return make_card(run(*(entries or (*SFT, *KEY))), config, name, seed)


def load(made: Card, tmp_path: Path) -> Any:
    from huggingface_hub import ModelCard

    made.write(tmp_path / "README.md")
    return ModelCard.load(tmp_path / "README.md")


def test_the_hubs_library_reads_the_same_results_back(tmp_path: Path) -> None:
    from huggingface_hub.repocard_data import eval_results_to_model_index, model_index_to_eval_results

    loaded = load(card(), tmp_path)
    name, results = model_index_to_eval_results(loaded.data.to_dict()["model-index"])
    assert name == "sftkey-tag"
    assert eval_results_to_model_index(name, results) == loaded.data.to_dict()["model-index"]
    assert [result.metric_type for result in results[:4]] == [
        "accuracy", "accuracy_strict", "format_valid", "score",
    ]  # fmt: skip
    gsm8k = results[0]
    assert (gsm8k.dataset_type, gsm8k.dataset_config, gsm8k.dataset_split) == ("openai/gsm8k", "main", "test")
    mine = rows("sftkey-tag", 1, "gsm8k", 0.6)
    assert gsm8k.metric_value == round(100 * sum(row.accuracy for row in mine) / N, 2)
    assert gsm8k.verified is False
    assert gsm8k.dataset_args == {"num_questions": N, "num_few_shot": 0}


def test_the_metadata_says_what_is_known_and_no_more(tmp_path: Path) -> None:
    data = load(card(), tmp_path).data
    assert data.base_model == "org/base-model"
    assert data.library_name == "peft"
    assert data.datasets == ["openai/gsm8k"], "the embedded world is not on the Hub"
    assert data.license is None
    assert {"sft", "lora", "sftkey-tag"} <= set(data.tags)


def test_a_folder_of_this_machine_is_no_base_model(tmp_path: Path) -> None:
    (tmp_path / "org" / "model").mkdir(parents=True)
    config = dataclasses.replace(CONFIG, model=str(tmp_path / "org" / "model"))
    assert load(card(config=config), tmp_path).data.base_model is None


def test_a_checkpoint_from_elsewhere_names_its_licence_and_link(tmp_path: Path) -> None:
    theirs = entry(
        "theirs", None, role="external", method=None, training=None, licence="Apache-2.0",
        link="https://example.org/m",
    )  # fmt: skip
    made = card(theirs, name="theirs", seed=None, config=dataclasses.replace(CONFIG, reference=None))
    data = load(made, tmp_path).data
    assert (data.license, data.base_model, data.datasets) == ("apache-2.0", None, None)
    assert "trained elsewhere" in made.readme
    assert "https://example.org/m" in made.readme
    assert "## Training" not in made.readme


def test_intervals_are_those_of_this_checkpoint() -> None:
    (line,) = [line for line in card().readme.splitlines() if line.startswith("| gsm8k ")]
    own = 100 * sum(row.accuracy for row in rows("sftkey-tag", 1, "gsm8k", 0.6)) / N
    assert line.startswith(f"| gsm8k | {N} | {own:.1f} [")


def test_chance_is_called_not_distinguishable() -> None:
    readme = card().readme
    assert "Against `sft` (the mean of 3 seeds):" in readme
    assert "**undecided**" in readme
    assert "**better**" not in readme


def test_a_difference_that_the_test_supports_is_said() -> None:
    better = [entry("better", seed) for seed in (0, 1, 2)]
    readme = card(*SFT, *better, name="better").readme
    assert "Accuracy over all benchmarks: +" in readme
    assert "**better**" in readme


def test_the_control_is_called_the_control() -> None:
    assert "`sft` is what the other entries of its run were compared with." in card(name="sft").readme


def test_compute_and_settings_are_told() -> None:
    readme = card().readme
    for text in (
        "| compute | 570G FLOP in 12 s |",
        "| budget | 1 epoch |",
        "| tokens seen / with loss | 210k / 150k |",
    ):
        assert text in readme


def test_overlap_with_the_training_data_is_told_or_said_to_be_unknown() -> None:
    known = entry("sft", 0)
    first, second = known.evaluations
    found = dataclasses.replace(first, overlap=Overlap(N, 7473, 1, 4, 13))
    readme = card(dataclasses.replace(known, evaluations=(found, second)), name="sft", seed=0).readme
    assert (
        "gsm8k: of 120 test questions 1 stand word for word in the 7473 training records, 4 share 13"
        in readme
    )
    assert "world_number: whether its questions were trained on is not known." in readme


@pytest.mark.parametrize(
    ("name", "seed", "complaint"),
    [
        ("sfft", 0, "runs/one: no entry named 'sfft'; the run holds sft, sftkey-tag"),
        ("sft", 7, "runs/one: sft has no seed 7; it has 0, 1, 2"),
        ("sft", None, "runs/one: sft has the seeds 0, 1, 2; a card is of one: --seed N"),
    ],
)
def test_a_checkpoint_that_is_not_there_is_named(name: str, seed: int | None, complaint: str) -> None:
    with pytest.raises(InputError) as error:
        card(name=name, seed=seed)
    assert str(error.value) == complaint


def test_the_hubs_newer_form_holds_whole_benchmarks_of_the_hub_alone(tmp_path: Path) -> None:
    import yaml
    from huggingface_hub import parse_eval_result_entries

    made = card()
    assert set(made.evaluations) == {"gsm8k.yaml"}
    (result,) = parse_eval_result_entries(yaml.safe_load(made.evaluations["gsm8k.yaml"]))
    assert (result.dataset_id, result.task_id, result.date) == ("openai/gsm8k", "main", PROVENANCE["created"])
    assert "0-shot, tag format thinking-answer, n = 120" in (result.notes or "")
    made.write(tmp_path / "README.md")
    assert (tmp_path / ".eval_results" / "gsm8k.yaml").read_text() == made.evaluations["gsm8k.yaml"]


@pytest.mark.parametrize(
    "config",
    [
        dataclasses.replace(CONFIG, limit=10),
        dataclasses.replace(CONFIG, eval=EvalSettings(split="validation")),
    ],
)
def test_a_part_of_a_benchmark_is_no_result_of_it(config: Config) -> None:
    entries = [*SFT, *KEY]
    if config.eval.split == "validation":
        entries = [
            dataclasses.replace(
                one,
                evaluations=tuple(
                    dataclasses.replace(e, generation=GENERATION | {"split": "validation"})
                    for e in one.evaluations
                ),
            )
            for one in entries
        ]
    assert not card(*entries, config=config).evaluations


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeHub]:
    import huggingface_hub.constants as constants

    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with fake_hub() as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        yield hub


def test_a_card_is_pushed_in_one_commit(hub: FakeHub) -> None:
    made = card()
    assert push(made, "me/mine", weights=False) == f"{hub.url}/me/mine/commit/1"
    assert ("POST", "/api/repos/create") in hub.requests
    assert hub.commits == 1
    assert ("POST", "/api/validate-yaml") in hub.requests, "the Hub checks the metadata"
    assert hub.files == {
        "README.md": made.readme.encode(),
        ".eval_results/gsm8k.yaml": made.evaluations["gsm8k.yaml"].encode(),
    }


def test_weights_go_with_it_where_asked_for(hub: FakeHub, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    for name in ("adapter_model.safetensors", "adapter_config.json", "README.md", ".hidden"):
        (folder / name).write_text(name)
    (folder / "sftkey_manifest.json").write_text("/home/me")
    made = dataclasses.replace(card(), checkpoint=str(folder))
    push(made, "me/mine", weights=True)
    assert hub.commits == 1
    assert set(hub.files) == {
        "README.md", ".eval_results/gsm8k.yaml", "adapter_model.safetensors", "adapter_config.json",
    }  # fmt: skip
    assert hub.files["README.md"] == made.readme.encode(), "not the one that peft writes"


def test_weights_that_are_not_there_are_named_before_anything_is_sent(hub: FakeHub, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no weights"):
        push(dataclasses.replace(card(), checkpoint=str(tmp_path)), "me/mine", weights=True)
    assert not hub.requests


@pytest.mark.parametrize(
    ("status", "complaint"),
    [(401, "does not know this token"), (403, "may not write there"), (400, "the Hub refused it")],
)
def test_a_refusal_is_one_line(hub: FakeHub, status: int, complaint: str) -> None:
    hub.status = status
    with pytest.raises(InputError, match=f"^--push-to-hub me/mine: .*{complaint}") as error:
        push(card(), "me/mine", weights=False)
    assert "\n" not in str(error.value)
    assert not hub.files


def test_without_a_token_nothing_is_sent(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.delenv("HUGGING_FACE_HUB_TOKEN", raising=False)
    with pytest.raises(InputError, match="no token; log in with 'hf auth login' or set HF_TOKEN"):
        push(card(), "me/mine", weights=False)
    assert not hub.requests


def test_without_a_network_it_says_so(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants as constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(InputError, match=r"http://127\.0\.0\.1:9 cannot be reached"):
        push(card(), "me/mine", weights=False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match="me/mine: "):
        push(card(), "me/mine", weights=False)


def test_a_name_that_no_repository_can_have_is_refused(hub: FakeHub) -> None:
    with pytest.raises(InputError, match="expected user/name"):
        push(card(), "me/mine/too much", weights=False)


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    done = run(*SFT, *KEY)
    write_results(tmp_path / "run", PROVENANCE, done.entries, done.samples)
    (tmp_path / "run" / "config.yaml").write_text(dump_config(CONFIG))
    return tmp_path / "run"


def test_the_command_writes_and_pushes_nothing_unasked(
    stored: Path, hub: FakeHub, capsys: pytest.CaptureFixture[str]
) -> None:
    from harness.commands.card import card as command

    command(stored, "sftkey-tag", 1)
    path = stored / "cards" / "sftkey-tag-seed1" / "README.md"
    assert capsys.readouterr().out == f"card: {path}\n"
    assert path.read_text().startswith("---\n")
    assert not hub.requests
    command(stored, "sftkey-tag", 1, stored / "mine.md", "me/mine")
    assert json.dumps(list(hub.files)) == json.dumps(["README.md", ".eval_results/gsm8k.yaml"])
    with pytest.raises(InputError, match="add --push-to-hub"):
        command(stored, "sftkey-tag", 1, weights=True)


def test_a_card_obeys_no_text_of_the_run(tmp_path: Path) -> None:
    from markdown_it import MarkdownIt

    evil = "![a](http://x.y/a.png) <img src=x> `b` |c|\n# d \x1b[31m\u202e {{ 7 * 191 }}"
    theirs = entry("theirs", None, role="external", model=evil, licence=evil, link=evil, training=None)
    results = run(theirs)
    samples = results.samples.assign(model=evil)
    results = dataclasses.replace(results, provenance=dict.fromkeys(PROVENANCE, evil), samples=samples)
    loaded = load(make_card(results, dataclasses.replace(CONFIG, reference=None), "theirs", None), tmp_path)
    text = (tmp_path / "README.md").read_text()
    assert not set(text) & set("\x1b\u202e")
    assert "1337" not in loaded.text
    tokens = MarkdownIt("commonmark").enable("table").parse(loaded.text)
    inner = [each.type for token in tokens for each in token.children or ()]
    assert not {"image", "link_open", "html_inline"} & set(inner)
    assert not [token for token in tokens if token.type in ("html_block", "fence")]
    assert sum(token.type == "heading_open" and token.tag == "h1" for token in tokens) == 1


def test_two_checkpoints_never_share_a_card(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from harness.commands.card import card as command

    own = entry("sft-seed1", None, role="external", training=None)
    results = run(*SFT, *KEY, own)
    write_results(stored, PROVENANCE, results.entries, results.samples)
    command(stored, "sft", 1)
    command(stored, "sft-seed1")
    first, second = (Path(line.removeprefix("card: ")) for line in capsys.readouterr().out.splitlines())
    assert first != second
    assert {first.parent.parent, second.parent.parent} == {stored / "cards"}
    for name in ("/abs/NAME", "../../x", ""):
        with pytest.raises(InputError, match="no entry named"):
            command(stored, name)

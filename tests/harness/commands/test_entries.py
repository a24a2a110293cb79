"""Entries: one YAML file each; how they are read, evaluated, and put on the leaderboard."""

import dataclasses
from pathlib import Path

import pytest
from checkpoints import copied, edit_weights, save_adapter, save_model

from harness.config import load_config
from leaderboards.results.entry_files import ENTRIES_DIR, join_entries, read_entries, read_entry
from leaderboards.results.store import read_results
from tasks.errors import InputError
from tasks.tags import get_tag_format

FAST = [
    "--engine", "hf", "--limit", "4", "--set", "eval.max_new_tokens=4", "--benchmarks", "world_number",
]  # fmt: skip


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


# The file


def test_the_example_documents_every_key_and_is_read() -> None:
    path = ENTRIES_DIR / "_example.yaml"
    entry = read_entry(path)
    text = path.read_text()
    for item in (*dataclasses.fields(entry), *dataclasses.fields(entry.generation)):
        assert item.name == "path" or f"{item.name}:" in text
    assert path not in [entry.path for entry in read_entries()], "but it is not on the leaderboard"


def test_folders_count_from_the_file_and_hub_ids_stay(tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    entry = read_entry(
        write(tmp_path / "x.yaml", "name: x\nweights: weights\nadapter: org/lora\nbase: ../gone\n")
    )
    assert entry.model == str(tmp_path / "weights")
    assert entry.adapter_path == "org/lora"
    assert entry.base_path == str(tmp_path / ".." / "gone")
    pinned = read_entry(write(tmp_path / "y.yaml", "name: y\nweights: org/model\nrevision: abc\n"))
    assert pinned.model == "org/model@abc"


def test_what_it_says_becomes_configuration_below_the_flags(tmp_path: Path) -> None:
    entry = read_entry(
        write(
            tmp_path / "x.yaml",
            "name: x\nweights: org/model\nprompt_style: plain\ninstruct: true\nbenchmarks: gsm8k, svamp\n"
            "generation: {max_new_tokens: 99, temperature: 0.5, num_samples: 4}\n",
        )
    )
    given = {"model": entry.model, "eval.temperature": 0.7}
    config = load_config(None, given, [], defaults=entry.settings())
    assert config.benchmarks == ("gsm8k", "svamp")
    assert (config.prompt_style, config.eval.instruct) == ("plain", True)
    assert (config.eval.max_new_tokens, config.eval.temperature, config.eval.num_samples) == (99, 0.7, 4)


def test_tags_are_a_name_a_file_or_stand_in_the_entry(tmp_path: Path) -> None:
    named = write(tmp_path / "a.yaml", "name: a\nweights: w\ntags: think\n")
    assert read_entry(named).tags_name(tmp_path) == "think"
    write(tmp_path / "own.yaml", "answer_open: <r>\nanswer_close: </r>\n")
    of_file = write(tmp_path / "b.yaml", "name: b\nweights: w\ntags: own.yaml\n")
    assert get_tag_format(str(read_entry(of_file).tags_name(tmp_path))).answer_open == "<r>"
    inline = write(
        tmp_path / "c.yaml", "name: c\nweights: w\ntags:\n  answer_open: <s>\n  answer_close: </s>\n"
    )
    name = str(read_entry(inline).tags_name(tmp_path / "out"))
    assert name == str(tmp_path / "out" / "tags.yaml")
    assert get_tag_format(name).answer_open == "<s>"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name: x\nweigths: y\n", "unknown key 'weigths'; did you mean 'weights'?"),
        ("name: x\nweights: y\ngeneration: {temprature: 1}\n", "did you mean 'temperature'?"),
        ("name: x\n", "no 'weights'"),
        ("weights: y\n", "no 'name'"),
        ("name: x\nweights: y\nprompt_style: chatty\n", "prompt_style: input should be"),
        ("name: x\nweights: y\ngeneration: {temperature: hot}\n", "generation.temperature: input should be"),
        ("name: x\nweights: .\nrevision: main\n", "revision: weights are a folder"),
        ("name: ../../x\nweights: y\n", "name: '../../x' has a part that"),
        ("name: /abs/x\nweights: y\n", "name: '/abs/x' has a part that"),
        ("name: base\nweights: y\n", "name: 'base' has a meaning of its own"),
        ('name: "a\\e[31m"\nweights: y\n', r"name: 'a\x1b[31m' holds U+001B"),
        ("name: 'a|b'\nweights: y\n", "name: 'a|b' holds '|'"),
        ('name: x\nweights: "a\\0b"\n', "NUL, or half a surrogate pair"),
        ("- name\n", "expected keys and values"),
        ("name: [\n", "not YAML"),
    ],
)
def test_a_fault_is_one_line(text: str, expected: str, tmp_path: Path) -> None:
    path = write(tmp_path / "x.yaml", text)
    with pytest.raises(InputError) as caught:
        read_entry(path)
    assert expected in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_two_entries_of_one_name_are_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / f"{name}.yaml", "name: x\nweights: y\n")
    with pytest.raises(InputError, match="also the name in"):
        read_entries(tmp_path)
    write(tmp_path / "a.yaml", "name: x y\nweights: y\n")
    write(tmp_path / "b.yaml", "name: x-y\nweights: y\n")
    with pytest.raises(InputError, match="'x-y' has the folder of 'x y'"):
        read_entries(tmp_path)


# Evaluated, and on the leaderboard


def evaluate(*arguments: object) -> None:
    """`harness eval` in this process, where lm-eval is imported once for all."""
    from harness.__main__ import app

    app(["eval", *map(str, arguments)], standalone_mode=False)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the command runs, with a model, an adapter on it, and an entry for each."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    model = save_model(tmp_path / "weights" / "model")
    save_adapter(tmp_path / "weights" / "lora", model)
    write(
        tmp_path / "entries" / "model.yaml",
        "name: Theirs\nweights: ../weights/model\nbenchmarks: [world_number]\nlicence: MIT\nlink: https://x.org\n"
        "tags:\n  answer_open: <r>\n  answer_close: </r>\n",
    )
    write(tmp_path / "entries" / "lora.yaml", "name: Their LoRA\nweights: ../weights/lora\n")
    return tmp_path


@pytest.mark.heavy
def test_entries_are_evaluated_and_join_the_runs_that_asked_the_same(place: Path) -> None:
    files = [place / "entries" / name for name in ("model.yaml", "lora.yaml")]
    evaluate("--entry", files[0], "--entry", files[1], *FAST)
    [entry] = read_results(place / "runs" / "entries" / "Theirs").entries
    assert (entry.name, entry.role, entry.tags) == ("Theirs", "external", "Theirs's own")
    assert (entry.licence, entry.link) == ("MIT", "https://x.org")
    [lora] = read_results(place / "runs" / "entries" / "Their-LoRA").entries
    assert (lora.method, lora.model) == ("lora", "model"), "its base was found from the adapter"

    evaluate("--model", "weights/model", *FAST, "--name", "Ours", "--out", "runs/ours")
    ours, entries = read_results(place / "runs" / "ours"), read_entries(place / "entries")
    runs, lines = join_entries([ours], entries)
    assert {entry.name for run in runs for entry in run.entries} == {"Theirs", "Their LoRA"}
    assert all(len(run.samples) == 4 for run in runs)
    assert not lines
    assert join_entries([ours, *runs], entries) == ((), ()), "what is there already does not join twice"

    evaluate("--model", "weights/model", *FAST, "--limit", 3, "--out", "runs/three")
    left_out, lines = join_entries([read_results(place / "runs" / "three")], entries)
    assert not left_out
    assert "it was asked other questions of world_number" in lines[0]


def test_entries_that_are_not_comparable_stay_evaluated_and_do_not_join(place: Path) -> None:
    plain, own = place / "entries" / "lora.yaml", place / "entries" / "own.yaml"
    write(own, "name: Own\nweights: ../weights/model\ngeneration: {num_fewshot: 1}\n")
    with pytest.raises(InputError) as caught:
        evaluate("--entry", plain, "--entry", own, *FAST)
    message = str(caught.value)
    assert message.startswith("all are evaluated, but there is no joint board: world_number: ")
    assert "num_fewshot" in message
    assert "(harness leaderboard runs/entries/Their-LoRA runs/entries/Own --out " in message
    stored = [read_results(place / "runs" / "entries" / name) for name in ("Their-LoRA", "Own")]
    runs, lines = join_entries(
        stored[:1], [entry for entry in read_entries(place / "entries") if entry.name == "Own"]
    )
    assert not runs
    assert lines[0].startswith("Own is left out: world_number: ")


def test_entries_that_share_a_benchmark_but_are_not_evaluated_are_named(place: Path) -> None:
    evaluate("--model", "weights/model", *FAST, "--out", "runs/ours")
    write(place / "entries" / "z.yaml", "name: z\nweights: a/b\nbenchmarks: [gsm8k]\n")
    runs, lines = join_entries([read_results(place / "runs" / "ours")], read_entries(place / "entries"))
    assert not runs
    assert lines == (
        f"entries not evaluated yet: Their LoRA, Theirs (harness eval --entry {place}/entries/lora.yaml "
        f"--entry {place}/entries/model.yaml)",
    )


def test_flags_win_over_the_entry(place: Path) -> None:
    file = place / "entries" / "model.yaml"
    evaluate("--entry", file, *FAST, "--benchmarks", "world_choice", "--tags", "none", "--out", "elsewhere")
    [entry] = read_results(place / "elsewhere").entries
    assert entry.tags == "none"
    assert [evaluation.benchmark for evaluation in entry.evaluations] == ["world_choice"]


def test_results_of_another_checkpoint_are_never_written_over(place: Path) -> None:
    call = ["--model", "weights/model", *FAST]
    evaluate(*call)
    evaluate(*call)  # the same command again is fine
    out = place / "runs" / "model-world_number"
    before = (out / "results.json").read_bytes()
    with pytest.raises(InputError, match="also holds results on world_number"):
        evaluate(*call, "--benchmarks", "world_choice", "--out", out)
    copied(place / "weights" / "model", place / "other" / "model")
    edit_weights(place / "other" / "model" / "model.safetensors", lambda t: t["lm_head.weight"].add_(1))
    with pytest.raises(InputError, match="holds results of another checkpoint"):
        evaluate("--model", "other/model", *FAST)
    assert (out / "results.json").read_bytes() == before

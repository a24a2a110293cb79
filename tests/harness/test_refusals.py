"""What can be known is refused before work starts: exit code 2, one line, and nothing is made."""

import os
from pathlib import Path

import pytest

import harness.__main__ as command
from harness.config import load_config
from tasks.errors import InputError

# Values of one field each, refused by the configuration itself: those after the key, with blanks between.
VALUES = """
train.learning_rate=nan 0 -1 1e400 .inf 2 1e9 true [1] {a: 1}
train.second_learning_rate=nan 0 -1 1e10
train.method=Full foo null 1
train.budget=days null 3
train.epochs=0 -1 nan 1e400 1e300
train.amount=0 -1 nan 1e400 1e16 0.5 1.5 true
train.budget_of=run
train.stage2_share=0 1 nan 2 -0.5
train.batch_size=0 -1 1.5 1000000000 99999999999999999999999 true
train.micro_batch_size=0 -1 3 1.5
train.warmup_epochs=-1 nan 1e400 1e300
train.weight_decay=-1 nan 1e30
train.max_grad_norm=-1 nan 1e400
train.max_length=0 -1 1e30
train.log_every=0 1e12
train.validate_every=0 -1
train.validation_records=0 1e12
train.save_minutes=-1 nan 1e300
train.workers=0 -1 1.5 99999999999
train.packing=maybe
train.gradient_norms=3
train.tag_tokens=perhaps
train.lora_rank=0 1000000000 1.5
train.lora_alpha=0 1e30
train.lora_dropout=1 1.5 -0.1 nan
train=1 null
seeds=0 -1 1.5 1000000000 true null
limit=0 -1 1.5 99999999999999999999999 many
train_limit=0 -1
alpha=nan -1 2 1e400
rank_by=luck null
benchmarks=[] null 1 [1] [null] a,a [gsm8k,sftkey_gsm8k]
variants=[] null sft,sft [1]
per_variant=1 {foo: {learning_rate: 1}} {sft: 1}
out=null [a] ''
store=[a] ''
data_dir=/no/such ''
eval.max_new_tokens=0 -1 1e30 1.5
eval.temperature=-1 nan 1e400 1e30 1e-30
eval.top_p=0 2 nan
eval.num_samples=0 2 1000000000
eval.seed=-1 1e20 18446744073709551615
eval.num_fewshot=-1 1e12
eval.exact=-1 1e11
eval.split=train null
eval.instruct=perhaps
eval.engine_settings.dtype=float8 null
eval.engine_settings.max_model_len=0 -1
eval.engine_settings.max_num_seqs=0 1e12
eval.engine_settings.kv_cache_gib=0 nan 1e-9 1e400
eval.engine_settings.adapters=above
eval.engine_settings.data_parallel=0 -1
eval.server.url=foo ftp://x http:// http://[x/v1 http://x:99999/v1 http://x:abc/
eval.server.key_variable=sk-abc
eval.server.concurrency=0 1000000000
eval.server.requests_per_minute=0 1e-300 nan
eval.server.timeout_seconds=0 1e300 nan
eval.server.max_retries=-1 1e12
eval.server.extra=1 [a] {messages: 1} {model: x} {stream: true}
eval.judge.max_new_tokens=0 1e18
eval.judge.server.url=foo
eval.nothing=1
nothing=1
train.=1
"""


def settings() -> list[str]:
    found = []
    for line in VALUES.split("\n"):
        key, equals, values = line.partition("=")
        words = values.replace(": ", ":\0").split(" ")
        found += [f"{key}={word.replace(chr(0), ' ')}" for word in words] if equals else []
    return found


@pytest.mark.parametrize("setting", settings())
def test_a_value_that_no_run_can_have(setting: str) -> None:
    with pytest.raises(InputError) as caught:
        load_config(None, {}, ["benchmarks=[world_number]", setting])
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Calls the command in this process and checks how it refuses; gives the line, without its `error: `."""
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    place = tmp_path / "place"
    place.mkdir()
    monkeypatch.chdir(place)
    (place / "file").write_text("x: 1\n")
    (place / "folder").mkdir()
    (place / "binary").write_bytes(bytes(range(256)))
    os.mkfifo(place / "pipe")

    def call(*arguments: object) -> str:
        before = {path: path.stat().st_mtime_ns for path in place.rglob("*")}
        monkeypatch.setattr("sys.argv", ["harness", *map(str, arguments)])
        code, said = command.run(), capsys.readouterr().err
        assert (code, said.count("\n")) == (2, 1), said
        assert said.startswith("error: ")
        assert {path: path.stat().st_mtime_ns for path in place.rglob("*")} == before, "something was made"
        return said.removeprefix("error: ")

    return call


PLANNED = """
--set train.schedule=foo | train.schedule: none of the name 'foo'
--set train.schedule=reduce_lr_on_plateau | train.schedule
--set train.schedule=cosine_with_min_lr | train.schedule
--set train.schedule=warmup_stable_decay | train.schedule
--method qlora | qlora needs
--method loar | train.method
--set train.report_to=foo | train.report_to foo
--set train.report_to=all | train.report_to all
--set eval.judge.prompt=foo | eval.judge.prompt: no prompt 'foo'
--judge somebody | no server: set its url
--judge ftp://x | not the url of a server
--engine foo | no engine 'foo'
--engine openai | asks a server
--engine hf --exact 3 | --exact compares with the hf engine
--engine openai --exact 3 | --exact: a served model
--set eval.engine_settings.data_parallel=100000 | data_parallel: 100000, but there are
--set tags=foo | unknown tag format 'foo'
--set tags=none | has no tags
--set tags=file.yaml | cannot be read
--variants foo | no variant 'foo'
--variants base | no variant 'base'
--variants ../../x | no variant
--benchmarks foo | unknown benchmark 'foo'
--set reference=foo | reference:
--set prompt_style=foo | prompt
--config nope.yaml | nope.yaml
--config folder | folder
--config pipe | pipe: cannot be read
--config /dev/zero | /dev/zero
--config binary | binary
--config file | unknown key
--out file | is no folder
--out file/x | is no folder
--out pipe | is no folder
--out /proc/x | is no place for files
--out /dev/null | is no place for files
--out /sys/x | is no place for files
--out= | an empty argument
--set store=file/x | store 'file/x'
--set store=/proc/x | store '/proc/x'
--data-dir file | no such folder
--data-dir nope | no such folder
--seeds x | --seeds
--seeds 0 | seeds must be above 0
--seeds 1000000000 | seeds must be at most 1000
--limit 0 | limit must be above 0
--budget steps= | expected a number
--budget steps=nan | train.amount
--budget steps=0 | train.amount
--budget tokens=0.5 | whole number
--budget tokens=1e16 | train.amount
--budget days=1 | train.budget
--set x | expected key=value
--set train=3 | holds keys of its own
--set out.x=3 | out
"""


@pytest.mark.parametrize("line", [line for line in PLANNED.split("\n") if line])
def test_a_run_that_would_fail_later_is_no_run(line: str, refused) -> None:
    arguments, _, said = line.partition(" | ")
    assert said in refused("train-and-eval", "--dry-run", "--quick", *arguments.split())


LONG = "a" * 300


@pytest.mark.parametrize("name", [LONG, f"{LONG[:200]}/" * 30, "a\nb", "a\x1bb", "a\u202eb"])
def test_a_name_that_no_folder_should_have(name: str, refused) -> None:
    assert refused("train-and-eval", "--dry-run", "--quick", "--out", name).startswith("--out")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["--budget", "steps=1e9"], "a budget of 1000000000 steps is more than 1,000,000"),
        (["--budget", "tokens=1e15"], "steps is more than 1,000,000"),
        (["--budget", "epochs=1e9"], "steps is more than 1,000,000"),
        (["--budget", "steps=1"], "too small for the 2 stages"),
        (["--set", "eval.max_new_tokens=100000"], "too short for a prompt and response"),
        (["--set", "eval.engine_settings.max_model_len=1"], "too short for a prompt and response"),
        (["--set", "train.max_length=1"], "too long"),
    ],
)
def test_what_data_and_model_cannot_give(settings: list[str], said: str, refused, tiny_base: Path) -> None:
    small = ["--model", tiny_base, "--benchmarks", "world_number", "--variants", "sftkey-tag", "--limit", 8]
    assert said in refused("train-and-eval", "--dry-run", *small, "--set", "train.batch_size=4", *settings)


def test_a_run_is_not_kept_in_what_it_reads(refused, tiny_base: Path, tmp_path: Path) -> None:
    (tmp_path / "data" / "own").mkdir(parents=True)
    (tmp_path / "data" / "own" / "test.jsonl").touch()
    given = ["train-and-eval", "--dry-run", "--model", tiny_base, "--benchmarks", "world_number"]
    assert "is what is read" in refused(*given, "--out", tiny_base)
    assert "is what is read" in refused(*given, "--out", tiny_base.parent / "x" / ".." / tiny_base.name)
    assert "benchmark data" in refused(*given, "--out", tmp_path / "data")
    assert "is what is read" in refused(*given, "--data-dir", tmp_path / "data", "--out", tmp_path / "data")
    assert "is what is read" in refused(*given, "--out", "s", "--set", "store=./s")


GRIDS = """
learning_rate=nan | above 0
learning_rate=-1 | above 0
learning_rate=0 | above 0
learning_rate=1e400 | learning_rate must be
learning_rate=inf | learning_rate must be
learning_rate=true | expected numbers
learning_rate=, | expected numbers
learning_rate | expected numbers
learning_rate=1e-5,x | expected numbers
learning_rate=1e-5,1.0000001e-5 | the same to six digits
stage2_share=1 | below 1
weight_decay=-1 | weight_decay must be
warmup_epochs=nan | warmup_epochs must be
batch_size=3 | --grid batch_size=3
stage2_share=0.5 --variants sft-tag | changes nothing in sft-tag
second_learning_rate=1e-5 --variants sft | changes nothing in sft
learning_rate=1e-5 --grid learning_rate=1e-4 | stands there twice
learning_rate=1e-5 --out file | is no folder
learning_rate=1e-5 --out /proc/x | is no place for files
learning_rate=1e-5 --set train.schedule=foo | train.schedule
"""


@pytest.mark.parametrize("line", [line for line in GRIDS.split("\n") if line])
def test_a_grid_goes_through_the_same_checks(line: str, refused) -> None:
    arguments, _, said = line.partition(" | ")
    assert said in refused("sweep", "--quick", "--grid", *arguments.split())


def test_a_grid_has_an_end(refused) -> None:
    many = ",".join(f"{i}e-6" for i in range(1, 1002))
    assert "at most 1,000 are tried" in refused("sweep", "--quick", "--grid", f"learning_rate={many}")


OTHERS = """
score nope --kind number | cannot be read
score folder --kind number | cannot be read
score pipe --kind number | a named pipe
score file | kind
score file --kind word | --kind word
score file --kind number --alpha nan | alpha
score file --kind number --workers 0 | --workers
score file --kind number --workers 99999999 | --workers
score file --kind number --samples file | is what is read
score file --kind number --samples ./folder/../file | is what is read
rescore nope | no such folder
rescore folder --out folder | lies in
rescore folder --out folder/x | lies in
rescore folder --out . | lies in
leaderboard nope | no such
leaderboard file | no such folder
leaderboard folder --out folder | is what is read
leaderboard folder --out file | is no folder
leaderboard folder --out /proc/x | is no place for files
leaderboard folder --rank-by luck --out b | --rank-by luck
leaderboard folder --alpha nan --out b | --alpha nan
leaderboard folder --samples -1 --out b | --samples
leaderboard folder folder | name the folder of the joint report
card folder --entry a --out file | is there and is no card
card folder --entry a --out folder | is there and is no card
card folder --entry a --push-to-hub a/b/c | --push-to-hub a/b/c
card folder --entry a --weights | add --push-to-hub
diff a | Missing argument
diff nope nope2 | nope
overlap nope --benchmarks world_number | cannot be read
overlap pipe --benchmarks world_number | a named pipe
inspect nope | nope
list nope | known
"""


@pytest.mark.parametrize("line", [line for line in OTHERS.split("\n") if line])
def test_other_commands_refuse_alike(line: str, refused) -> None:
    arguments, _, said = line.partition(" | ")
    assert said in refused(*arguments.split())

"""Bad command lines: options, settings, grids, paths, servers."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.faults.bad import ESCAPE, NUMBERS, RTL, Bad, Content

_DRY = ("train-and-eval", "--dry-run", "--limit", "8")
_COUNTS = (
    *("limit", "train_limit", "seeds", "train.batch_size", "train.micro_batch_size", "train.max_length"),
    *("train.log_every", "train.lora_rank", "train.workers", "eval.max_new_tokens", "eval.num_samples"),
)
_RATES = (
    *("train.learning_rate", "train.second_learning_rate", "train.epochs", "train.stage2_share", "alpha"),
    *("train.weight_decay", "train.warmup_epochs", "train.lora_dropout", "eval.temperature", "eval.top_p"),
)
_WORDS = {
    "train.method": "full2",
    "train.budget": "hours",
    "train.budget_of": "all",
    "train.schedule": "zigzag",
    "train.report_to": "nobody",
    "prompt_style": "loud",
    "tags": "nobodys",
    "rank_by": "beauty",
    "reference": "nobody",
    "eval.engine": "steam",
    "eval.split": "training",
    "eval.judge.prompt": "nobodys",
    "benchmarks": "[nobodys]",
    "variants": "[nobodys]",
    "data_dir": "nowhere",
    "per_variant": "{nobody: {}}",
    "eval.engine_settings.kv_cache_gib": "-1",
    "eval.engine_settings": "7",
    "train": "7",
    "eval": "[]",
    "eval.server.url": "ftp://x",
    "eval.server.timeout_seconds": "-1",
    "model": "''",
    "store": "''",
    "out": "''",
    "eval.num_samples": "2",
    "train.micro_batch_size": "3",
    "train.packing": "maybe",
    "seeds": "1.5",
}
_A_NUMBER = "'5'"
"""A value of a number's kind after all, though a text."""


def bad_lines() -> Iterator[Bad]:
    """All of them."""
    yield from _usage()
    yield from _settings()
    yield from _grids()
    yield from _paths()
    yield from _together()


def _usage() -> Iterator[Bad]:
    lines = [
        "nobody",
        "train-and-eval extra",
        "train-and-eval --nobody",
        "train-and-eval --seeds x",
        "--nobody",
        "train-and-eval --seeds",
        "train-and-eval --limit 1.5",
        "train-and-eval --limit 0",
        "train-and-eval --limit -3",
        "train-and-eval --seeds 0",
        "train-and-eval --budget hours",
        "train-and-eval --budget steps=x",
        "train-and-eval --budget steps=-1",
        "train-and-eval --budget steps=nan",
        "train-and-eval --budget tokens=1e400",
        "train-and-eval --budget =5",
        "train-and-eval --method nobodys",
        "train-and-eval --engine steam",
        "train-and-eval --benchmarks nobodys",
        "train-and-eval --benchmarks ,",
        "train-and-eval --variants sft,sft",
        "train-and-eval --variants nobodys",
        "train-and-eval --exact -1",
        "train-and-eval --set x",
        "train-and-eval --set =1",
        "train-and-eval --set a..b=1",
        "train-and-eval --set train.x=1",
        "train-and-eval --config nowhere.yaml",
        "train-and-eval --data-dir nowhere",
        "train-and-eval --model nowhere/at/all",
        "train-and-eval --quick --model nowhere",
        "train-and-eval --judge http://",
        "sweep --grid x",
        "inspect",
        "eval",
        "eval --model nowhere --benchmarks world_number",
        "eval --entry nowhere.yaml",
        "eval --adapter nowhere",
        "inspect nowhere",
        "score",
        "score nowhere.jsonl --kind number",
        "score nowhere.jsonl",
        "rescore nowhere",
        "rescore",
        "leaderboard",
        "leaderboard nowhere",
        "leaderboard . ",
        "card nowhere --entry a",
        "card run",
        "diff a b",
        "diff a",
        "diff a b --run nowhere",
        "overlap nowhere.jsonl --benchmarks world_number",
        "list nobodys",
        "overlap",
        "list",
    ]
    for line in lines:
        yield Bad(f"usage: {line}", tuple(line.split()))
    on_a_run = [
        "card run --entry nobody",
        "card run --entry sft --seed 9",
        "card run --entry sft --weights",
        "card run --entry sft --out run/config.yaml/x",
        "diff nobody sft --run run",
        "diff sft sft --run run",
        "diff sft rho-1 --run run --only never",
        "diff sft rho-1 --run run --benchmark nobodys",
        "diff sft rho-1 --run run --seed 7",
        "diff sft rho-1 --run run --limit -1",
        "rescore run --workers 0",
        "rescore run --out run/samples.parquet",
        "leaderboard run --alpha 2",
        "leaderboard run --alpha nan",
        "leaderboard run --rank-by beauty",
        "leaderboard run --reference nobody",
        "leaderboard run --entries nowhere",
        "leaderboard run --samples -1",
        "leaderboard run --out run/config.yaml",
        "leaderboard run --allow-different taste",
        "leaderboard run --baseline nowhere",
        "leaderboard run nowhere --out out",
        "leaderboard run --fail-if accuracy --baseline run",
        "leaderboard run --baseline run --fail-if x(y)z",
    ]
    for line in on_a_run:
        yield Bad(f"usage: {line}", tuple(line.split()), needs_run=True)
    gates = [
        "accuracy(nobodys) drops",
        "beauty(macro) drops",
        "accuracy(macro) rises",
        "accuracy(macro) drops by more than x points",
        "accuracy(macro) of nobody drops",
        "accuracy(macro) drops by more than -1 points",
        ESCAPE,
    ]
    for gate in gates:
        arguments = ("leaderboard", "run", "--baseline", "run", "--fail-if", gate, "--out", "out")
        yield Bad(f"gate: {gate!r}", arguments, needs_run=True)


def _settings() -> Iterator[Bad]:
    for number, key in enumerate((*_COUNTS, *_RATES)):
        # Each key is given every third value, so that each kind of value meets each kind of key.
        for value in NUMBERS[number % 3 :: 3]:
            if value != _A_NUMBER:
                yield Bad(f"--set {key}={value}", (*_DRY, "--set", f"{key}={value}"))
    for key, value in _WORDS.items():
        yield Bad(f"--set {key}={value}", (*_DRY, "--set", f"{key}={value}"))
    for text in ("[" * 500, "&a [*a]", "!!python/name:os.system", ESCAPE, "{a: 1, a: 2}", "9" * 400, RTL):
        yield Bad(f"--set seeds={text[:30]!r}", (*_DRY, "--set", f"seeds={text}"))
    for text in (
        "train.method",
        f"{ESCAPE}=1",
        f"{RTL}=1",
        "[/red]=1",
        "{0}=1",
        "train.{x}=1",
        "a" * 5000 + "=1",
    ):
        yield Bad(f"--set {text[:30]!r}", (*_DRY, "--set", text))


def _grids() -> Iterator[Bad]:
    grids = [
        "learning_rate=nan",
        "learning_rate=-1",
        "learning_rate=1e400",
        "learning_rate=0",
        "learning_rate=x",
        "learning_rate=",
        "learning_rate",
        "=1",
        "nobodys=1",
        "stage2_share=1",
        "stage2_share=0",
        "stage2_share=-0.1",
        "stage2_share=inf",
        "learning_rate=1e-5,,2e-5",
        "weight_decay=-1",
        "warmup_epochs=nan",
        "stage2_share=1.5",
        "batch_size=8",
        "second_learning_rate=inf",
        "learning_rate=[1]",
        "learning_rate=1e-5,nan",
        "[/red]=1",
        "{x}=1",
    ]
    for grid in grids:
        yield Bad(
            f"--grid {grid}", ("sweep", "--limit", "8", "--engine", "hf", "--grid", grid, "--out", "out")
        )
    twice = (
        "sweep",
        "--limit",
        "8",
        "--grid",
        "learning_rate=1",
        "--grid",
        "learning_rate=2",
        "--out",
        "out",
    )
    yield Bad("--grid: a setting twice", twice)
    nobody = ("sweep", "--limit", "8", "--variants", "nobodys", "--out", "out")
    yield Bad("sweep of a variant that is none", nobody)


def _paths() -> Iterator[Bad]:
    train = ("train-and-eval", "--limit", "8", "--engine", "hf")
    places = {
        "a file": "file",
        "under a file": "file/below",
        "/proc": "/proc/x",
        "empty": "",
        "NUL-like": "/dev/null",
        "/dev/full": "/dev/full/x",
        "too long a name": "x" * 300,
        "a link to nowhere": "nowhere-link",
    }
    files: dict[str, Content] = {
        "file": "a file\n",
        "nowhere-link": lambda path: path.symlink_to("/nowhere/at/all"),
    }
    for words, place in places.items():
        for dry in ((), ("--dry-run",)):
            yield Bad(f"--out: {words}{' --dry-run' * bool(dry)}", (*train, *dry, "--out", place), files)
        yield Bad(
            f"store: {words}", (*train, "--dry-run", "--out", "out", "--set", f"store={place!r}"), files
        )
        yield Bad(f"sweep --out: {words}", ("sweep", "--limit", "8", "--engine", "hf", "--out", place), files)
        if words != "empty":
            yield Bad(
                f"leaderboard --out: {words}", ("leaderboard", "run", "--out", place), files, needs_run=True
            )
            yield Bad(f"rescore --out: {words}", ("rescore", "run", "--out", place), files, needs_run=True)
    for line in (
        "score f.jsonl --kind number --samples f.jsonl",
        "score f.jsonl --kind number --samples ./run/../f.jsonl",
        "score f.jsonl --kind number --samples link.jsonl",
        "score f.jsonl --kind number --samples hard.jsonl",
        "card run --entry sft --out run/results.json",
        "card run --entry sft --out run/config.yaml",
        "card run --entry sft --out run/samples.parquet",
        "score f.jsonl --kind number --tags tags.yaml --samples tags.yaml",
    ):
        yield Bad(f"over its input: {line}", tuple(line.split()), _SCORED, needs_run=True)
    yield Bad(
        "HARNESS_CACHE is a file", (*train, "--out", "out"), files, environment={"HARNESS_CACHE": "file"}
    )


_SCORED: dict[str, Content] = {
    "f.jsonl": '{"id": 1, "output": "The answer is 3.", "gold": 3}\n',
    "link.jsonl": lambda path: path.symlink_to("f.jsonl"),
    "hard.jsonl": lambda path: path.hardlink_to(path.parent / "f.jsonl"),
    "tags.yaml": "name: own\nthink_open: <r>\nthink_close: </r>\nanswer_open: <a>\nanswer_close: </a>\n",
}


def _together() -> Iterator[Bad]:
    """Values that are right alone."""
    lines = {
        "samples without a temperature": "eval.num_samples=4",
        "exact with a temperature": "eval.exact=4 eval.temperature=1",
        "micro does not divide": "train.micro_batch_size=5",
        "tag tokens with adapters": "train.tag_tokens=true train.method=lora",
        "qlora on a CPU": "train.method=qlora",
        "an untagged format": "tags=none",
        "no variants": "variants=[]",
        "no benchmarks": "benchmarks=[]",
        "a variant of a path": "variants=[../../x]",
        "a variant called base": "variants=[base]",
        "an empty variant": "variants=['']",
        "a null variant": "variants=[null]",
        "a dropout of two": "train.method=lora train.lora_dropout=2",
        "a tracker that is not installed": "train.report_to=wandb",
        "a judge's prompt outside": "eval.judge.model=x eval.judge.prompt=../../x",
        "a benchmark of a path": "benchmarks=[../x]",
        "one benchmark twice": "benchmarks=[world_number,world_number]",
        "an own setting that is none": "per_variant={sft: {batch_size: 4}}",
        "an own rate below 0": "per_variant={sft: {learning_rate: -1}}",
        "an engine that is served, without a server": "eval.engine=openai",
        "a key in the address": "eval.engine=openai eval.server.url=http://user:secret@localhost:1/v1",
        "a budget beyond all": "train.budget=steps train.amount=1e300",
        "a length of one token": "train.max_length=1",
    }
    for words, settings in lines.items():
        more = (
            [part for text in settings.split(" ") for part in ("--set", text)]
            if "{" not in settings
            else ["--set", settings]
        )
        yield Bad(f"{words}: {settings}", (*_DRY, *more))

"""What decides a prompt decides under which key its evaluation is kept: examples, wording, the date."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from transformers import AutoTokenizer
from transformers.utils import chat_template_utils

import harness.evaluation.evaluate as evaluating
import sftkey_train.text as text
from harness.config import Config, dump_config, load_config
from harness.engines.api import Completion, Request
from harness.engines.hf import HfEngine
from harness.evaluation.evaluate import Evaluator
from harness.evaluation.generations import GenerationStore
from harness.models.checkpoint import Checkpoint, whole_model
from harness.plan import text_path
from harness.progress import Reporter
from sftkey_train.text import PROMPT_DATE, TextPath
from tasks.benchmarks import load_benchmark
from tasks.scoring import Score

DATED = (
    "Today: {{ strftime_now('%d %b %Y') }}\n{% for m in messages %}{{ m.role }}: {{ m.content }}\n"
    "{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}"
)
LLAMA_DATED = (
    "{%- if not date_string is defined %}{%- if strftime_now is defined %}"
    "{%- set date_string = strftime_now('%d %b %Y') %}{%- else %}{%- set date_string = '1 Jan 1970' %}"
    "{%- endif %}{%- endif %}{{ 'Today Date: ' + date_string }}\n"
) + DATED.partition("\n")[2]


def record(name: str, question: str, rationale: str | None = "Add.") -> str:
    known = {"id": name, "question": question, "rationale": rationale, "answer": "3", "kind": "number"}
    return json.dumps(known) + "\n"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data" / "gsm8k"
    folder.mkdir(parents=True)
    (folder / "train.jsonl").write_text("".join(record(f"t{i}", f"{i} + 1?") for i in range(4)))
    (folder / "test.jsonl").write_text(record("q", "1 + 2?", None))
    return folder.parent


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Request]:
    """What the engine is asked, which answers nothing of interest."""
    seen: list[Request] = []

    def generate(_: HfEngine, requests: Sequence[Request]) -> Iterator[tuple[int, tuple[Completion, ...]]]:
        seen.extend(requests)
        yield from ((index, (Completion("3", "stop", 9, 1),)) for index in range(len(requests)))

    monkeypatch.setattr(HfEngine, "load", lambda *_: None)
    monkeypatch.setattr(HfEngine, "generate", generate)
    return seen


def evaluate(config: Config, model: Path) -> Any:
    """The evaluation that a run comes to."""
    benchmarks = [load_benchmark(name) for name in config.benchmarks]
    checkpoint = Checkpoint("m", "external", "m", None, "none", None, "there", whole_model(model))
    with GenerationStore(config.store_dir / "generations.sqlite") as store:
        evaluator = Evaluator(config, benchmarks, store, Reporter(Console(quiet=True)))
        [(entry, _)] = evaluator.evaluate([checkpoint])
    return entry.evaluations[0]


def config_of(out: Path, data: Path, *settings: str) -> Config:
    flags = {"model": "m", "benchmarks": "gsm8k", "data_dir": data, "out": out, "eval.engine": "hf"}
    return load_config(None, flags, ["eval.max_new_tokens=8", *settings])


def test_corrected_examples_are_shown(
    data: Path, asked: list[Request], tiny_base: Path, tmp_path: Path
) -> None:
    config = config_of(tmp_path / "run", data, "eval.num_fewshot=4")
    first = evaluate(config, tiny_base)
    assert evaluate(config, tiny_base) == first
    assert len(asked) == 1
    train = data / "gsm8k" / "train.jsonl"
    train.write_text(train.read_text().replace("Add.", "Count on.", 1))
    assert evaluate(config, tiny_base).prompts != first.prompts
    assert len(asked) == 2


def test_examples_that_are_not_shown_ask_nothing_again(
    data: Path, asked: list[Request], tiny_base: Path, tmp_path: Path
) -> None:
    config = config_of(tmp_path / "run", data)
    first = evaluate(config, tiny_base)
    (data / "gsm8k" / "train.jsonl").write_text(record("other", "9 + 9?"))
    assert evaluate(config, tiny_base) == first
    assert len(asked) == 1


def test_the_wording_of_a_task_is_in_the_key(tmp_path: Path) -> None:
    benchmark = load_benchmark("gsm8k")
    digests = {benchmark.wording_digest()}
    for name, said in (
        ("plain", ""),
        ("told", "description: Solve it.\n"),
        ("worded", 'doc_to_text: "{{question}}"\n'),
        ("apart", "fewshot_delimiter: ' '\n"),
    ):
        path = tmp_path / name / "own.yaml"
        path.parent.mkdir()
        path.write_text(f"include: {benchmark.path.parents[1] / '_tagged.yaml'}\ntask: sftkey_gsm8k\n{said}")
        digests.add(replace(benchmark, path=path).wording_digest())
    (path.parent / "functions.py").write_text("def doc_to_text(doc): ...\n")
    digests.add(replace(benchmark, path=path).wording_digest())
    assert len(digests) == 5  # "plain" says what the benchmark says


class Day(datetime):
    """A clock that can be set."""

    day = datetime(2031, 3, 4)

    @classmethod
    def now(cls, tz: Any = None) -> datetime:
        return cls.day


@pytest.fixture(params=[DATED, LLAMA_DATED])
def dated(request: pytest.FixtureRequest, tiny_base: Path, tmp_path: Path) -> Path:
    """A model whose chat template writes today's date."""
    import shutil

    folder = tmp_path / "dated"
    shutil.copytree(tiny_base, folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = request.param
    tokenizer.save_pretrained(folder)
    (folder / ".complete.json").unlink(missing_ok=True)
    return folder


@pytest.fixture
def on_day(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Sets the clock of transformers' templates, in the process that renders them too."""
    monkeypatch.setattr(chat_template_utils, "datetime", Day)

    def turn(day: int) -> None:
        monkeypatch.setattr(Day, "day", datetime(2031, 3, day))
        text._renderer.close()

    return turn


def test_a_prompt_is_the_same_on_every_day(
    dated: Path, on_day: Callable[[int], None], data: Path, asked: list[Request], tmp_path: Path
) -> None:
    config = config_of(tmp_path / "run", data)
    found = []
    for day in (4, 5):
        on_day(day)
        path = text_path(dated, config, "none")
        found.append((path.wrap("Q"), path.digest(), evaluate(config, dated)))
    assert found[0] == found[1]
    assert "26 Jul 2024" in found[0][0]
    assert found[0][2].generation["prompt_date"] == path.dated == PROMPT_DATE.isoformat()
    assert len(asked) == 1
    assert evaluate(config_of(tmp_path / "run", data, "prompt_date=2025-01-31"), dated) != found[0][2]
    assert len(asked) == 2


def test_a_date_is_told_only_where_one_is_written(foreign_gpt2: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(foreign_gpt2)
    undated = TextPath.of(tokenizer, "chat")
    assert undated.dated is None
    assert TextPath.of(tokenizer, "chat", date(2030, 1, 1)).digest() == undated.digest()


def test_a_configuration_keeps_its_date(tmp_path: Path) -> None:
    config = load_config(None, {"benchmarks": "gsm8k"}, ["prompt_date=2025-01-31"])
    (tmp_path / "c.yaml").write_text(dump_config(config))
    assert load_config(tmp_path / "c.yaml").prompt_date == date(2025, 1, 31)


def test_a_verdict_that_a_limit_decided_is_kept_in_no_evaluation(
    data: Path, asked: list[Request], tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outputs are; they are judged again, until it is decided."""
    judge, undecided = evaluating.score_many, True

    def limited(items: Any, *of: Any) -> Iterator[Score]:
        yield from (replace(found, undecided=undecided) for found in judge(items, *of))

    monkeypatch.setattr(evaluating, "score_many", limited)
    config = config_of(tmp_path / "out", data)
    evaluate(config, tiny_base)
    stored = config.store_dir / "evaluations"
    [first] = [path.read_bytes() for path in stored.glob("*/samples.parquet")]
    evaluate(config, tiny_base)
    assert len(asked) == 1
    undecided = False
    evaluate(config, tiny_base)
    [last] = [path.read_bytes() for path in stored.glob("*/samples.parquet")]
    assert last != first
    monkeypatch.delattr(evaluating, "score_many")
    assert evaluate(config, tiny_base).n == 1

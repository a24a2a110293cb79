"""The generated world: deterministic, right, and disjoint by construction."""

import re
from itertools import combinations

import pytest

from tasks.benchmarks import load_benchmark
from tasks.errors import InputError
from tasks.records import LETTERS, Record, records_digest
from tasks.tags import TAG_FORMATS, get_tag_format, parse_output
from tasks.world.generate import LOSSES, SPLIT_SIZE, load, markup_drill

BENCHMARKS = ("number", "choice")
RECORDS_OF_VERSION_1 = {
    ("number", False): "1fac463e80e917bd",
    ("number", True): "48f9db4e99b6676e",
    ("choice", False): "9832e3d042b354fb",
    ("choice", True): "bff0f37c2016b3a8",
}
ALL = [(benchmark, hard) for benchmark in BENCHMARKS for hard in (False, True)]


def chain_of(record: Record) -> tuple[int, ...]:
    """Start and signed changes, read from the question's words alone."""
    start = re.match(r"\w+ has (\d+) \w+,", record.question)
    events = re.findall(r"(\w+) (\d+)(?=[,.])", record.question)
    assert start
    return int(start[1]), *(-int(n) if verb in LOSSES else int(n) for verb, n in events)


@pytest.mark.parametrize(("benchmark", "hard"), ALL)
def test_the_seed_decides_the_records(benchmark: str, hard: bool) -> None:
    first = load("test", benchmark=benchmark, hard=hard, size=50, seed=3)
    assert first == load("test", benchmark=benchmark, hard=hard, size=50, seed=3)
    assert first != load("test", benchmark=benchmark, hard=hard, size=50, seed=4)
    assert first == load("test", benchmark=benchmark, hard=hard, size=80, seed=3)[:50]


@pytest.mark.parametrize(("benchmark", "hard"), ALL)
@pytest.mark.parametrize("split", SPLIT_SIZE)
def test_answers_are_what_the_question_comes_to(benchmark: str, hard: bool, split: str) -> None:
    for record in load(split, benchmark=benchmark, hard=hard, size=300):
        total = sum(chain_of(record))
        assert 1 <= total <= 20
        if benchmark == "number":
            assert (record.kind, record.answer, record.choices) == ("number", str(total), None)
        else:
            low, high = map(int, record.choices[LETTERS.index(record.answer)].split(" to "))
            assert record.kind == "choice"
            assert low <= total <= high


@pytest.mark.parametrize(("benchmark", "hard"), ALL)
def test_every_step_of_a_rationale_is_right_and_leads_on(benchmark: str, hard: bool) -> None:
    for record in load("train", benchmark=benchmark, hard=hard, size=200):
        total, *changes = chain_of(record)
        steps = re.findall(r"(\d+) ([+-]) (\d+) = (\d+)\.", record.rationale)
        assert len(steps) == len(changes)
        for (before, sign, amount, after), change in zip(steps, changes, strict=True):
            assert (int(before), int(sign + amount)) == (total, change)
            total += change
            assert int(after) == total


@pytest.mark.parametrize("hard", [False, True])
def test_a_long_rationale_tells_the_same_questions_and_arithmetic(hard: bool) -> None:
    short = load("train", hard=hard, size=200)
    long = load("train", hard=hard, rationale="long", size=200)
    for brief, told in zip(short, long, strict=True):
        assert (told.question, told.answer) == (brief.question, brief.answer)
        assert re.findall(r"\d+ [+-] \d+ = \d+\.", told.rationale) == [
            f"{step}." for step in brief.rationale.rstrip(".").split(". ")
        ]
        assert told.id != brief.id


def test_a_long_rationale_tells_each_change_and_what_it_leaves() -> None:
    for record in load("train", hard=True, rationale="long", size=100):
        total, *changes = chain_of(record)
        name, things = re.match(r"(\w+) has \d+ (\w+)", record.question).groups()
        told = re.findall(rf"{name} (\w+) (\d+), has (\d+) {things}\.", record.rationale)
        assert record.rationale.startswith(f"{name} has {total} {things}. ")
        assert len(told) == len(changes)
        for (verb, amount, left), change in zip(told, changes, strict=True):
            assert (-int(amount) if verb in LOSSES else int(amount)) == change
            total += change
            assert int(left) == total


def test_a_long_rationale_is_two_to_three_times_as_long() -> None:
    for hard in (False, True):
        words = [
            sum(
                len(re.findall(r"\w+|[^\w\s]", record.rationale))
                for record in load("test", hard=hard, **options)
            )
            for options in ({"rationale": "short"}, {"rationale": "long"})
        ]
        assert 2 <= words[1] / words[0] <= 3


@pytest.mark.parametrize(("benchmark", "hard"), ALL)
def test_a_rationale_of_the_base_s_length_stays_as_it_was(benchmark: str, hard: bool) -> None:
    """The embedded base is named after `WORLD_VERSION`: other records under it would be another base."""
    records = [record for split in SPLIT_SIZE for record in load(split, benchmark=benchmark, hard=hard)]
    assert records_digest(records)[:16] == RECORDS_OF_VERSION_1[benchmark, hard]


@pytest.mark.parametrize("difficulty", ["easy", "hard"])
@pytest.mark.parametrize("length", ["short", "long"])
def test_a_cell_of_the_study_trains_and_tests_on_its_own_kind(difficulty: str, length: str) -> None:
    benchmark = load_benchmark(f"world_{difficulty}_{length}")
    options = {"hard": difficulty == "hard", "rationale": length, "size": 20}
    for split in SPLIT_SIZE:
        assert benchmark.records(split)[:20] == load(split, **options)


def test_no_two_splits_share_a_chain() -> None:
    """Across benchmarks, difficulties and seeds: what one trains on, no other is tested on."""
    chains = {
        split: {
            chain_of(record)
            for benchmark, hard in ALL
            for seed in (0, 1)
            for record in load(
                split, benchmark=benchmark, hard=hard, size=SPLIT_SIZE["validation"], seed=seed
            )
        }
        for split in SPLIT_SIZE
    }
    for one, other in combinations(chains, 2):
        assert not chains[one] & chains[other]


@pytest.mark.parametrize(("benchmark", "hard"), ALL)
@pytest.mark.parametrize("split", ["validation", "test"])
def test_a_held_out_split_has_no_chain_twice(split: str, benchmark: str, hard: bool) -> None:
    records = load(split, benchmark=benchmark, hard=hard)
    assert len(records) == SPLIT_SIZE[split]
    assert len({chain_of(record) for record in records}) == len(records)
    assert len({record.id for record in records}) == len(records)


@pytest.mark.parametrize("benchmark", BENCHMARKS)
def test_hard_problems_have_more_steps_than_training_shows(benchmark: str) -> None:
    shown = max(len(chain_of(record)) for record in load("train", benchmark=benchmark))
    for split in ("validation", "test"):
        assert min(len(chain_of(r)) for r in load(split, benchmark=benchmark, hard=True)) > shown


def test_no_choice_wins_by_guessing() -> None:
    answers = [record.answer for record in load("test", benchmark="choice")]
    assert set(answers) == set("ABCD")
    assert max(answers.count(letter) for letter in "ABCD") < 0.4 * len(answers)


def test_markup_items_teach_markup_and_no_tag_format() -> None:
    """The base has met tags, but never a response in the form that a variant is judged by."""
    items = markup_drill(200, 1)
    assert items == markup_drill(200, 1) != markup_drill(200, 2)
    formats = [get_tag_format(name) for name in TAG_FORMATS]
    for item in items:
        opened, closed = re.fullmatch(r"<(\w+)>[^<>]+</(\w+)>", item.rationale).groups()
        assert opened == closed
        assert not any(
            parse_output(item.rationale, tags, truncated=False).format_valid
            for tags in formats
            if tags.tagged
        )


@pytest.mark.parametrize("arguments", [("train ",), ("dev",)])
def test_an_unknown_split_is_one_line(arguments: tuple[str]) -> None:
    with pytest.raises(InputError, match="there are train, validation, test"):
        load(*arguments)


def test_an_unknown_length_is_one_line() -> None:
    with pytest.raises(InputError, match="there are short, long"):
        load("test", rationale="middling")


def test_an_unknown_benchmark_is_one_line() -> None:
    with pytest.raises(InputError, match="there are number, choice"):
        load("test", benchmark="numbers")

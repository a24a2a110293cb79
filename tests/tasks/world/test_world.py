"""The generated world: deterministic, right, and disjoint by construction."""

import re
from itertools import combinations, product

import pytest

from sftkey_train.embedded import embedded_folder
from sftkey_train.text import load_tokenizer
from tasks.benchmarks import load_benchmark
from tasks.errors import InputError
from tasks.records import Record, records_digest
from tasks.world.generate import ASKED, GAPS, KINDS, LENGTHS, LOSSES, SPLIT_SIZE, TARGET, load

CELLS = list(product(KINDS, GAPS))
RECORDS_DIGEST = "e43a9928dd084d17"


def chains_of(record: Record) -> list[tuple[int, ...]]:
    """Start and signed changes of each player, read from the question's words alone."""
    told = re.findall(r"\w+ has (\d+)((?:, \w+ \d+)+)\.", record.question)
    assert len(told) == 2
    return [
        (
            int(start),
            *(-int(n) if verb in LOSSES else int(n) for verb, n in re.findall(r"(\w+) (\d+)", events)),
        )
        for start, events in told
    ]


def wanted(record: Record, gap: int) -> str:
    """The answer, worked out from the question's words."""
    one, other = map(sum, chains_of(record))
    if record.kind == "number":
        return str(abs(one - other) * (2 if gap == 2 else 1))
    if gap == 2:
        one, other = -abs(one - TARGET), -abs(other - TARGET)
    return "A" if one > other else "B" if one < other else "C"


@pytest.mark.parametrize(("kind", "gap"), CELLS)
def test_the_seed_decides_the_records(kind: str, gap: int) -> None:
    first = load("test", kind=kind, gap=gap, size=50, seed=3)
    assert first == load("test", kind=kind, gap=gap, size=50, seed=3)
    assert first != load("test", kind=kind, gap=gap, size=50, seed=4)
    assert first == load("test", kind=kind, gap=gap, size=80, seed=3)[:50]


@pytest.mark.parametrize("split", SPLIT_SIZE)
@pytest.mark.parametrize(("kind", "gap"), CELLS)
def test_answers_are_what_the_question_comes_to(kind: str, gap: int, split: str) -> None:
    for record in load(split, kind=kind, gap=gap, size=300):
        assert (record.kind, record.answer) == (kind, wanted(record, gap))
        names = re.findall(r"(\w+) has \d", record.question)
        assert record.choices == (None if kind == "number" else (*names, "neither"))


@pytest.mark.parametrize("rationale", LENGTHS)
@pytest.mark.parametrize(("kind", "gap"), CELLS)
def test_every_step_of_a_rationale_is_right_and_leads_on(kind: str, gap: int, rationale: str) -> None:
    """The totals of both players; the answer itself where the gap is 0, and nowhere else."""
    for record in load("train", kind=kind, gap=gap, rationale=rationale, size=200):
        steps = re.findall(r"(\d+) ([+-]) (\d+) = (\d+)\.", record.rationale)
        right = []
        for start, *changes in chains_of(record):
            total = start
            for change in changes:
                right.append((total, change, total + change))
                total += change
        one, other = map(sum, chains_of(record))
        if kind == "choice":
            end = f"{one} {'>' if one > other else '<' if one < other else '='} {other}, so {record.answer}."
        else:
            end = f"{max(one, other)} - {min(one, other)} = {record.answer}."
        assert record.rationale.endswith(end) == (gap == 0)
        assert [(int(a), int(sign + b), int(c)) for a, sign, b, c in steps][: len(right)] == right
        assert len(steps) == len(right) + (kind == "number" and gap == 0)


def test_a_gap_shows_in_the_question() -> None:
    """Else a model could not know whether its reasoning is to end with the difference."""
    for kind, gap in CELLS:
        assert all(record.question.endswith(ASKED[kind][gap]) for record in load("test", kind=kind, gap=gap))


@pytest.mark.parametrize("gap", GAPS)
def test_a_long_rationale_tells_the_same_questions_and_arithmetic(gap: int) -> None:
    short, long = (load("train", gap=gap, rationale=rationale, size=200) for rationale in LENGTHS)
    for brief, told in zip(short, long, strict=True):
        assert (told.question, told.answer) == (brief.question, brief.answer)
        arithmetic = re.findall(r"\d+ [+-] \d+ = \d+\.", told.rationale)
        assert arithmetic == [f"{step}." for step in brief.rationale.rstrip(".").split(". ")]
        assert told.id != brief.id
        for name, total in re.findall(r"now (\w+) has (\d+)\.", told.rationale):
            assert re.search(rf"= {total}\. {name} ", told.rationale)


def test_a_long_rationale_has_more_than_fifty_tokens_for_the_one_of_the_answer() -> None:
    """The paper's premise, in the tokens of the embedded model."""
    tokenizer = load_tokenizer(str(embedded_folder()))
    for gap in GAPS:
        records = load("train", gap=gap, rationale="long", size=300)
        lengths = [
            sum(len(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts)
            for texts in zip(*((record.rationale, record.answer) for record in records), strict=True)
        ]
        assert lengths[0] > 50 * lengths[1]


def test_the_records_stay_as_they_were() -> None:
    """The embedded bases read them: other records would be another world."""
    records = [
        record
        for (kind, gap), split in product(CELLS, SPLIT_SIZE)
        for record in load(split, kind=kind, gap=gap)
    ]
    assert records_digest(records)[:16] == RECORDS_DIGEST


@pytest.mark.parametrize(
    ("kind", "gap", "rationale"), [*product(["number"], GAPS, LENGTHS), ("choice", 1, "short")]
)
def test_a_benchmark_trains_and_tests_on_its_own_kind(kind: str, gap: int, rationale: str) -> None:
    name = f"world_{kind}{f'_gap{gap}' if gap else ''}{'_long' if rationale == 'long' else ''}"
    for split in SPLIT_SIZE:
        wanted = load(split, kind=kind, gap=gap, rationale=rationale, size=20)
        assert load_benchmark(name).records(split)[:20] == wanted


def test_no_two_splits_share_a_problem() -> None:
    """Across kinds, gaps and seeds, and whichever player comes first."""
    problems = {
        split: {
            frozenset(chains_of(record))
            for (kind, gap), seed in product(CELLS, (0, 1))
            for record in load(split, kind=kind, gap=gap, size=1000, seed=seed)
        }
        for split in SPLIT_SIZE
    }
    for one, other in combinations(problems, 2):
        assert not problems[one] & problems[other]


@pytest.mark.parametrize("split", SPLIT_SIZE)
@pytest.mark.parametrize(("kind", "gap"), CELLS)
def test_no_problem_comes_twice(kind: str, gap: int, split: str) -> None:
    records = load(split, kind=kind, gap=gap)
    assert len(records) == SPLIT_SIZE[split]
    assert len({frozenset(chains_of(record)) for record in records}) == len(records)
    assert (
        len({record.content() for record in records})
        == len({record.id for record in records})
        == len(records)
    )


@pytest.mark.parametrize("gap", GAPS)
def test_no_choice_wins_by_guessing(gap: int) -> None:
    answers = [record.answer for record in load("test", kind="choice", gap=gap)]
    assert set(answers) == set("ABC")
    assert max(answers.count(letter) for letter in "ABC") < 0.4 * len(answers)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"split": "train "}, "there are train, validation, test"),
        ({"split": "dev"}, "there are train, validation, test"),
        ({"split": "test", "rationale": "middling"}, "there are short, long"),
        ({"split": "test", "kind": "numbers"}, "there are number, choice"),
        ({"split": "test", "gap": 3}, "there are 0, 1, 2"),
    ],
)
def test_what_there_is_not_is_one_line(given: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load(**given)

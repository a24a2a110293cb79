"""Test questions in the training data: what counts as the same, what does not, and at what cost."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.evaluation.overlap import LARGEST_SHARE, find_overlaps, iter_questions
from leaderboards.results.schema import Overlap
from tasks.benchmarks import load_benchmark
from tasks.errors import InputError
from tasks.records import Record

LONG = "Natalia sold clips to 48 of her friends in April, and then she sold half as many in May. How many?"


def record(name: str, question: str, *choices: str) -> Record:
    return Record(name, question, choices or None, None, "1", "choice" if choices else "number")


def overlap(train: list[Record], test: list[Record]) -> Overlap:
    return find_overlaps(train, {"benchmark": test})["benchmark"]


def counts(train: str | Record, test: str | Record) -> tuple[int, int]:
    one, other = (item if isinstance(item, Record) else record("r", item) for item in (train, test))
    found = overlap([one], [other])
    return found.exact, found.ngram


@pytest.mark.parametrize(
    "written",
    [
        LONG.upper(),
        f"  {LONG}\n".replace(" ", "  "),
        LONG.replace(",", " –").replace(".", "!"),
        LONG.replace("48", "\N{FULLWIDTH DIGIT FOUR}\N{FULLWIDTH DIGIT EIGHT}"),
    ],
)
def test_case_space_punctuation_and_form_of_a_character_make_no_other_question(written: str) -> None:
    assert counts(written, LONG) == (1, 1)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What is 3.5 plus 2?", "What is 35 plus 2?"),
        ("What is 5 - 2?", "What is 5 + 2?"),
        ("Solve x - y = 3", "Solve x + y = 3"),
        ("Is 1 < 2?", "Is 1 > 2?"),
    ],
)
def test_another_number_or_sign_is_another_question(one: str, other: str) -> None:
    assert counts(one, other) == (0, 0)


def test_a_thousand_is_the_same_with_and_without_its_comma() -> None:
    assert counts("It costs $1,000. What is a half?", "It costs $1000. What is a half?") == (1, 1)


def test_thirteen_words_in_a_row_are_an_overlap_and_twelve_are_none() -> None:
    words = [f"word{i}" for i in range(13)]
    test = " ".join(["alpha", "beta", *words, "omega"])
    assert counts(" ".join(["gamma", *words, "delta"]), test) == (0, 1)
    assert counts(" ".join(["gamma", *words[1:], "delta"]), test) == (0, 0)


def test_a_shorter_question_is_one_run_by_itself_but_not_under_eight_words() -> None:
    eight = "Is Mount Everest taller than K2 or not?"
    assert counts(f"Answer with reasons. {eight} Think first.", eight) == (0, 1)
    seven = "Is Mount Everest taller than K2, then?"
    assert counts(f"Answer with reasons. {seven} Think first.", seven) == (0, 0)
    assert counts(seven, seven) == (1, 1)


def test_words_of_two_questions_that_follow_each_other_are_no_run() -> None:
    words = LONG.split()
    train = [record("a", " ".join(words[:10])), record("b", " ".join(words[10:]))]
    assert overlap(train, [record("t", LONG)]).ngram == 0


def test_choices_belong_to_a_question_that_is_compared_whole() -> None:
    stem = "Which of these conducts heat?"
    test = record("t", stem, "copper", "wood")
    assert counts(record("r", stem, "Wood", "copper"), test) == (1, 1), "in any order"
    assert counts(record("r", stem, "glass", "iron"), test) == (0, 0), "another question"
    assert counts(record("r", stem), test) == (1, 1), "trained on without its choices"


def test_choices_that_questions_share_are_no_overlap() -> None:
    choices = [f"from {i} to {i + 4} apples" for i in range(1, 20, 5)]
    test = record("t", "Tom has 3 apples, buys 4. In which range is the number now?", *choices)
    assert counts(record("r", "Ana had 9 pens, lost 2. In which range is it?", *choices), test) == (0, 0)


TEMPLATE = "Read the following story with care and then answer the question at its end in one word: {}"


def test_template_text_of_the_benchmark_is_no_overlap() -> None:
    test = [record(f"t{i}", TEMPLATE.format(f"story {i} of test")) for i in range(LARGEST_SHARE + 1)]
    assert overlap([record("r", TEMPLATE.format("another one"))], test).ngram == 0
    assert overlap([record("r", TEMPLATE.format("another one"))], test[:-1]).ngram == LARGEST_SHARE


def test_template_text_of_the_training_data_is_no_overlap() -> None:
    train = [record(f"r{i}", TEMPLATE.format(f"story {i}")) for i in range(LARGEST_SHARE + 1)]
    test = [record("t", TEMPLATE.format("of test"))]
    assert overlap(train, test).ngram == 0
    assert overlap(train[:-1], test).ngram == 1


def test_a_question_trained_on_many_times_is_no_template() -> None:
    train = [record(f"r{i}", LONG + " Say why.") for i in range(5 * LARGEST_SHARE)]
    assert overlap(train, [record("t", LONG)]).ngram == 1
    assert overlap([record(f"r{i}", LONG) for i in range(50)], [record("t", LONG)]).exact == 1


def test_the_first_pairs_are_named_in_the_order_of_the_test() -> None:
    questions = [f"{LONG} And {i} more?" for i in range(9)]
    test = [record(f"t{i}", question) for i, question in enumerate(questions)]
    train = [record(f"r{i}", question) for i, question in reversed(list(enumerate(questions)))]
    found = overlap(train, test)
    assert (found.n, found.num_train, found.exact, found.ngram) == (9, 9, 9, 9)
    assert found.examples == tuple((f"t{i}", f"r{i}") for i in range(5))


def test_training_data_is_read_once_for_all_benchmarks() -> None:
    def stream() -> Iterator[Record]:
        yield record("r", LONG)

    tests = {"one": [record("a", LONG)], "other": [record("b", "Why?")], "third": [record("c", LONG)]}
    found = find_overlaps(stream(), tests)
    assert {name: one.exact for name, one in found.items()} == {"one": 1, "other": 0, "third": 1}


def test_nothing_to_compare_is_nothing_found() -> None:
    assert overlap([], [record("t", LONG)]) == Overlap(1, 0, 0, 0, 13)
    assert overlap([record("r", LONG)], []) == Overlap(0, 1, 0, 0, 13)
    assert overlap([record("r", "?")], [record("t", "¿")]).ngram == 0, "a question without a word"


@pytest.mark.parametrize("name", ["world_number", "world_choice", "world_number_gap1"])
def test_the_embedded_world_keeps_train_and_test_apart(name: str) -> None:
    train = load_benchmark("world_number").records("train") + load_benchmark("world_choice").records("train")
    found = overlap(train, load_benchmark(name).records("test"))
    assert (found.n, found.num_train, found.exact, found.ngram) == (1000, 8000, 0, 0)


def test_the_cost_grows_with_the_words_alone() -> None:
    """20,000 training questions of 40 words against 2,000: seconds, on any machine."""
    test = [record(f"t{i}", " ".join(f"w{(i * 7 + j * j) % 5000}" for j in range(40))) for i in range(2000)]
    train = (
        record(f"r{i}", " ".join(f"w{(i * 11 + j * j) % 5000}" for j in range(40))) for i in range(20_000)
    )
    start = time.perf_counter()
    assert find_overlaps(train, {"b": test})["b"].num_train == 20_000
    assert time.perf_counter() - start < 10


def test_a_training_file_of_any_kind_can_be_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text(json.dumps({"instruction": LONG}) + "\n" + json.dumps({"instruction": "Why?", "id": 7}))
    assert [item.id for item in iter_questions(path, "instruction")] == ["line 1", "7"]
    with pytest.raises(InputError, match=r"train\.jsonl:1: no text in 'question'.*--field \(instruction\)"):
        list(iter_questions(path))


def test_the_command_shows_counts_and_ids(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from harness.commands.overlap import overlap as command

    known = load_benchmark("world_number").records("test")[17]
    path = tmp_path / "train.jsonl"
    path.write_text(json.dumps({"id": "mine", "question": known.question}))
    command(path, "world_number,world_choice")
    printed = capsys.readouterr().out
    assert "test questions in 1 training records" in printed
    assert f"world_number: {known.id} ~ mine" in printed

"""What may not stand on one board, why, and how it is marked where the user insists."""

import dataclasses
from collections.abc import Callable

import pytest
from synthetic_board import BENCHMARKS, VARIANTS, synthetic_run

from leaderboards.board.build import build_board
from leaderboards.board.rows import Board, Row
from leaderboards.report.findings import sentences
from leaderboards.results.comparability import checked_aspects
from leaderboards.results.entry_files import _unlike
from leaderboards.results.schema import Entry, Evaluation, RunResults
from tasks.errors import InputError

Change = Callable[[Evaluation], Evaluation]

CHANGES: dict[str, Change] = {
    "data": lambda e: dataclasses.replace(e, data_digest="other-data"),
    "prompt": lambda e: dataclasses.replace(e, prompts="bbbb"),
    "generation": lambda e: dataclasses.replace(e, generation={**e.generation, "max_tokens": 64}),
    "scorer": lambda e: dataclasses.replace(e, scorer="2" * 12),
}


@pytest.fixture(scope="module")
def small() -> RunResults:
    variants = tuple(v for v in VARIANTS if v.name in ("sft-tag", "sft-tag-x2", "sftkey-tag", "base"))
    run = synthetic_run(variants, n=40)
    return changed(run, lambda _: True, lambda e: dataclasses.replace(e, prompts="aaaa", scorer="1" * 12))


def changed(run: RunResults, wanted: Callable[[Entry], bool], change: Change) -> RunResults:
    entries = [
        dataclasses.replace(entry, evaluations=tuple(map(change, entry.evaluations)))
        if wanted(entry)
        else entry
        for entry in run.entries
    ]
    return dataclasses.replace(run, entries=tuple(entries))


def of_base(entry: Entry) -> bool:
    return entry.name == "base"


def row_of(board: Board, name: str) -> Row:
    return next(row for row in board.rows if row.name == name)


@pytest.mark.parametrize("aspect", CHANGES)
def test_what_differs_is_refused_with_what_where_and_how_to_mend(small: RunResults, aspect: str) -> None:
    with pytest.raises(InputError) as error:
        build_board([changed(small, of_base, CHANGES[aspect])])
    message = str(error.value)
    assert "\n" not in message
    assert message.startswith("world_number: base in runs/default and sft-tag (seed 0) in runs/default")
    assert f"--allow-different {aspect}" in message


@pytest.mark.parametrize("aspect", CHANGES)
def test_what_is_allowed_to_differ_is_shown_with_a_mark(small: RunResults, aspect: str) -> None:
    board = build_board([changed(small, of_base, CHANGES[aspect])], allow_different=[aspect])
    marked = {row.name: row.marks for row in board.rows if row.marks}
    assert marked.keys() == {"base"}
    assert len(marked["base"]) == len(BENCHMARKS)
    assert any(note.startswith("‡ base is not comparable") for note in sentences(board.notes, board))


@pytest.mark.parametrize("aspect", CHANGES)
def test_allowing_one_aspect_allows_no_other(small: RunResults, aspect: str) -> None:
    others = [name for name in CHANGES if name != aspect]
    with pytest.raises(InputError, match=f"--allow-different {aspect}"):
        build_board([changed(small, of_base, CHANGES[aspect])], allow_different=others)


def test_other_questions_are_never_ranked_or_compared(small: RunResults) -> None:
    board = build_board([changed(small, of_base, CHANGES["data"])], allow_different=["data"])
    base = row_of(board, "base")
    assert (base.rank, base.tier, base.macro) == (None, None, None)
    assert len(base.cells) == len(BENCHMARKS)
    assert all(cell.metric("accuracy").comparison is None for cell in base.cells)
    assert all(board.rows[pair.first].name != "base" != board.rows[pair.second].name for pair in board.pairs)
    assert all(board.rows[index].name != "base" for index, _, _ in board.versus["sft-tag"])


def test_another_prompt_is_compared_and_marked(small: RunResults) -> None:
    board = build_board([changed(small, of_base, CHANGES["prompt"])], allow_different=["prompt"])
    base = row_of(board, "base")
    assert base.rank is not None
    assert base.macro is not None
    assert base.macro.metric("accuracy").comparison is not None


def test_the_first_of_two_seeds_that_differ_is_not_silently_taken(small: RunResults) -> None:
    other = changed(small, lambda e: (e.name, e.seed) == ("sft-tag", 2), CHANGES["scorer"])
    with pytest.raises(InputError, match=r"sft-tag \(seed 2\)"):
        build_board([other])


def test_what_is_not_known_does_not_differ(small: RunResults) -> None:
    unknown = changed(small, of_base, lambda e: dataclasses.replace(e, prompts="", scorer=""))
    assert not any(row.marks for row in build_board([unknown]).rows)


def test_examples_in_an_entrys_own_tags_are_no_other_prompt(small: RunResults) -> None:
    def fewshot(evaluation: Evaluation) -> Evaluation:
        return dataclasses.replace(evaluation, generation={**evaluation.generation, "num_fewshot": 4})

    with_examples = changed(small, lambda _: True, fewshot)
    own_words = changed(with_examples, of_base, CHANGES["prompt"])  # the base has another tag format
    assert not any(row.marks for row in build_board([own_words]).rows)
    within = changed(with_examples, lambda e: e.name == "sft-tag", CHANGES["prompt"])
    with pytest.raises(InputError, match="--allow-different prompt"):
        build_board([within])


def test_a_stop_string_and_a_sampling_seed_differ_by_design(small: RunResults) -> None:
    own = changed(
        small,
        of_base,
        lambda e: dataclasses.replace(e, generation={**e.generation, "stop": ("X",), "seed": 7}),
    )
    assert not any(row.marks for row in build_board([own]).rows)


def test_a_stored_entry_that_is_not_comparable_does_not_join(small: RunResults) -> None:
    stranger = dataclasses.replace(
        changed(small, lambda _: True, CHANGES["generation"]),
        entries=tuple(
            dataclasses.replace(e, name="stranger")
            for e in changed(small, of_base, CHANGES["generation"]).entries
            if of_base(e)
        ),
        source="runs/entries/stranger",
    )
    reason = _unlike([small], stranger, ())
    assert reason is not None
    assert "max_tokens 64 / max_tokens 128" in reason
    assert _unlike([small], stranger, ["generation"]) is None


def test_an_unknown_aspect_is_named() -> None:
    with pytest.raises(InputError, match="unknown 'prompts'; did you mean"):
        checked_aspects(["prompts"])

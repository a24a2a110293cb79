"""The samples in the page: nothing is lost in packing, and too many leave the same questions for all."""

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
from evil_samples import QUESTIONS, B, evil_run
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_board import BENCHMARKS
from synthetic_samples import sampled_run

from leaderboards.board.build import build_board
from leaderboards.board.rows import Board
from leaderboards.report.page.samples import PackedSamples, collect_samples, pieces_of, unpack
from leaderboards.results.schema import RunResults, Sample
from leaderboards.results.store import read_outcomes, write_results
from leaderboards.results.texts import located
from tasks.tags import TAG_FORMATS, get_tag_format, parse_output


@pytest.fixture(scope="module")
def run() -> RunResults:
    return evil_run()


@pytest.fixture(scope="module")
def board(run: RunResults) -> Board:
    return build_board([run], reference=B)


def packed(board: Board, run: RunResults, **most: int) -> PackedSamples:
    found = collect_samples(board, [run], **most)
    assert found is not None
    return found


def texts(of: PackedSamples, names: list[str]) -> list[Any]:
    return [item for name in names for item in unpack(of.chunks[name])]


def held(run: RunResults, board: Board, cell: dict[str, Any]) -> Any:
    """The stored samples that a packed cell stands for."""
    frame, row = run.samples, board.rows[cell["row"]]
    seed = frame["seed"].isna() if cell["seed"] is None else (frame["seed"] == cell["seed"]).fillna(False)
    return frame[(frame["entry"] == row.name) & (frame["benchmark"] == cell["benchmark"]) & seed]


def test_every_text_and_verdict_comes_back(board: Board, run: RunResults) -> None:
    found = packed(board, run)
    assert len(found.index["cells"]) == 7 * len(BENCHMARKS)
    for cell in found.index["cells"]:
        rows = held(run, board, cell)
        verdicts = unpack(found.chunks[cell["verdicts"]])
        outputs = ["".join(piece[1:] for piece in each[0]) for each in texts(found, cell["outputs"])]
        assert outputs == rows["output"].tolist()
        assert texts(found, cell["prompts"]) == rows["prompt"].tolist()
        asked = texts(found, found.index["benchmarks"][cell["benchmark"]]["questions"])
        assert asked == [[i, gold, None] for i, gold in zip(rows["sample_id"], rows["gold"], strict=True)]
        for bit, column in ((1, "accuracy"), (2, "accuracy_strict"), (4, "format_valid"), (8, "truncated")):
            assert [bool(each[0] & bit) for each in verdicts["flags"]] == rows[column].tolist()
        defects = [found.index["defects"][each[0]] for each in verdicts["defects"]]
        assert defects == [tuple(each) for each in rows["defects"]]
        assert [each[0] for each in verdicts["tokens"]] == rows["output_tokens"].tolist()
        extracted = [None if each is None or each != each else each for each in rows["extracted"]]
        assert [each[0] for each in verdicts["extracted"]] == extracted
    total = QUESTIONS * len(BENCHMARKS)
    assert found.caption == f"This report holds all {len(run.samples):,} outputs to {total} questions."


def test_from_a_stored_run_comes_the_same(board: Board, run: RunResults, tmp_path: Path) -> None:
    write_results(tmp_path, run.provenance, run.entries, run.samples)
    assert packed(board, read_outcomes(tmp_path)).chunks == packed(board, run).chunks


def test_too_many_samples_leave_evenly_spaced_questions_the_same_for_all(
    board: Board, run: RunResults
) -> None:
    found = packed(board, run, most=len(run.samples) // 3)
    kept = [i for i in range(QUESTIONS) if i % 3 == 0]
    for cell in found.index["cells"]:
        rows = held(run, board, cell).iloc[kept]
        outputs = ["".join(piece[1:] for piece in each[0]) for each in texts(found, cell["outputs"])]
        assert outputs == rows["output"].tolist()
        asked = texts(found, found.index["benchmarks"][cell["benchmark"]]["questions"])
        assert [each[0] for each in asked] == rows["sample_id"].tolist()
    assert found.caption.startswith("This report holds 560 of 1,680 outputs: those to 80 of 240 questions")
    few = packed(board, run, most_tokens=int(run.samples["output_tokens"].sum()) // 2)
    assert few.caption.startswith("This report holds 840 of")


def test_several_outputs_to_a_question_are_all_there() -> None:
    run = sampled_run(num_samples=4, n=8)
    board = build_board([run])
    found = packed(board, run)
    for cell in found.index["cells"]:
        rows = held(run, board, cell).sort_values(["sample_id", "sample_index"], kind="stable")
        flags = [flag for each in unpack(found.chunks[cell["verdicts"]])["flags"] for flag in each]
        assert [bool(flag & 1) for flag in flags] == rows["accuracy"].tolist()
        assert {len(each) for each in texts(found, cell["outputs"])} == {4}


def test_prompts_stand_once_unless_an_entry_was_asked_in_other_words(board: Board, run: RunResults) -> None:
    alike = packed(board, run)
    assert len({tuple(cell["prompts"]) for cell in alike.index["cells"]}) == len(BENCHMARKS)
    frame = run.samples.copy()
    frame.loc[frame["entry"] == B, "prompt"] += " Think."
    other = packed(board, dataclasses.replace(run, samples=frame))
    assert len({tuple(cell["prompts"]) for cell in other.index["cells"]}) == 2 * len(BENCHMARKS)


def test_a_run_without_texts_is_said_to_be_missing(board: Board, run: RunResults) -> None:
    bare = dataclasses.replace(run, samples=run.samples.drop(columns=["prompt", "output"]), source="gone")
    assert collect_samples(board, [bare]) is None
    both = collect_samples(board, [run, bare])
    assert both is not None
    assert both.caption.endswith("Without their texts, so not here: the samples of gone.")


MARKS = [
    "<Thinking>",
    "</Thinking>",
    "<answer>",
    "</answer>",
    "<think>",
    "</think>",
    "\\boxed{4}",
    "#### 4",
    "\n",
]
WORDS = st.lists(st.sampled_from([*MARKS, "The answer is 4.", "so", " ", "4", "é\U0001f600"]), max_size=12)


def sample_of(output: str, name: str, truncated: bool = False) -> Sample:
    """An output in a tag format, with what the parser says of it."""
    sample = Sample(
        entry="sft", model="tiny", seed=0, benchmark="gsm8k", sample_id="q", sample_index=0, prompt="Q?",
        output=output, gold="4", choices=None, extracted=None, accuracy=False, accuracy_strict=False,
        format_valid=False, score=0.0, truncated=truncated, defects=(), finish_reason="stop", prompt_tokens=1,
        output_tokens=1,
    )  # fmt: skip
    return located(sample, get_tag_format(name))


@settings(max_examples=150, deadline=None)
@given(words=WORDS, name=st.sampled_from([*TAG_FORMATS]), truncated=st.booleans())
def test_pieces_joined_are_the_output(words: list[str], name: str, truncated: bool) -> None:
    output = "".join(words)
    pieces = pieces_of(sample_of(output, name, truncated))
    assert "".join(piece[1:] for piece in pieces) == output
    assert all(re.match("[ra_].", piece, re.DOTALL) for piece in pieces)


@pytest.mark.parametrize(
    ("name", "output", "pieces"),
    [
        (
            "thinking-answer",
            "<Thinking>a 4\n</Thinking><Answer> 4 </Answer>",
            ["_<Thinking>", "ra 4", "_\n</Thinking><Answer> ", "a4", "_ </Answer>"],
        ),
        ("none", "4 is 4.\nThe answer is 4.", ["r4 is 4.", "_\nThe answer is ", "a4", "_."]),
        ("none", "free. The answer is 4, I think", ["_free. The answer is 4, I think"]),
        ("think-answer", "<think>no end 4", ["_<think>", "rno end 4"]),
        ("think-answer", "free text", ["_free text"]),
    ],
)
def test_reasoning_and_answer_are_found_in_their_places(name: str, output: str, pieces: list[str]) -> None:
    assert pieces_of(sample_of(output, name)) == pieces
    parsed = parse_output(output, get_tag_format(name), truncated=False)
    assert (parsed.answer or "") == "".join(piece[1:] for piece in pieces if piece[0] == "a")


def test_where_offsets_are_stored_nothing_is_sought(board: Board, run: RunResults, tmp_path: Path) -> None:
    samples = run.samples.assign(thinking_start=2, thinking_end=5, answer_start=7, answer_end=8)
    write_results(tmp_path, run.provenance, run.entries, samples)
    found = packed(board, read_outcomes(tmp_path))
    cell = found.index["cells"][0]
    for output, [pieces] in zip(held(run, board, cell)["output"], texts(found, cell["outputs"]), strict=True):
        cuts = [("_", 0, 2), ("r", 2, 5), ("_", 5, 7), ("a", 7, 8), ("_", 8, len(output))]
        assert pieces == [kind + output[start:end] for kind, start, end in cuts]


def test_a_runs_own_tag_format_is_read_from_its_folder(board: Board, run: RunResults, tmp_path: Path) -> None:
    (tmp_path / "tag-formats").mkdir()
    own = "name: mine\nthink_open: <Thinking>\nthink_close: </Thinking>\nanswer_style: text\n"
    (tmp_path / "tag-formats" / "0.yaml").write_text(own, encoding="utf-8")
    rows = tuple(dataclasses.replace(row, tags="mine") for row in board.rows)
    found = packed(dataclasses.replace(board, rows=rows), dataclasses.replace(run, source=str(tmp_path)))
    pieces = texts(found, found.index["cells"][0]["outputs"])[0][0]
    assert [piece[0] for piece in pieces] == ["_", "r", "_", "a"]

"""The leaderboard as JSON: what it holds, its published schema, and that the two belong together."""

import dataclasses
import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError
from synthetic_board import VARIANTS, synthetic_run
from synthetic_curves import curve_points
from synthetic_samples import sampled_run

from leaderboards.board.build import build_board
from leaderboards.board.rows import Board
from leaderboards.report.write import SCHEMA_PATH, SCHEMA_VERSION, json_text, schema_text
from leaderboards.results.reported import Reported, ReportedFigure
from leaderboards.results.schema import RunResults
from leaderboards.results.tables import CURVES

SCHEMA = json.loads(SCHEMA_PATH.read_text(encoding="utf-8"))


def validated(board: Board) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} in the JSON")

    data = json.loads(json_text(board), parse_constant=refuse)
    Draft202012Validator(SCHEMA).validate(data)
    return data


@pytest.fixture(scope="module")
def board(run: RunResults) -> Board:
    return build_board([dataclasses.replace(run, curves=CURVES.to_frame(curve_points(run.entries)))])


def test_the_published_schema_is_the_one_that_the_dataclasses_give() -> None:
    assert SCHEMA_PATH.read_text(encoding="utf-8") == schema_text(), "python -m leaderboards.report.write"
    Draft202012Validator.check_schema(SCHEMA)


def test_the_schema_says_what_its_figures_are() -> None:
    assert SCHEMA["$schema"].endswith("2020-12/schema")
    assert "shares of 1" in SCHEMA["description"]
    for name, part in (*SCHEMA["$defs"].items(), ("Leaderboard", SCHEMA)):
        assert part["description"], name
        assert part["additionalProperties"] is False
    assert SCHEMA["$defs"]["Row"]["properties"]["tier"]["description"]
    assert "None" not in json.dumps(SCHEMA)


def test_a_board_is_valid_and_holds_everything_but_the_other_references(board: Board) -> None:
    figure = ReportedFigure("world_number", "accuracy", 0.5)
    board = dataclasses.replace(board, reported=(Reported("x", "m", "a paper", None, "a note", (figure,)),))
    data = validated(board)
    assert data["schema_version"] == SCHEMA_VERSION
    assert set(data) == {"schema_version"} | {
        field.name for field in dataclasses.fields(Board) if field.name != "versus"
    }
    assert [row["name"] for row in data["rows"]] == [row.name for row in board.rows]
    first, macro = data["rows"][0]["macro"]["metrics"][0], board.rows[0].macro
    assert macro is not None
    assert first["estimate"]["mean"] == macro.metric("accuracy").estimate.mean
    assert any(row["curve"] for row in data["rows"])
    assert len(data["pairs"]) == len(board.pairs) > 0
    assert data["reported"][0]["figures"] == [
        {"benchmark": "world_number", "metric": "accuracy", "value": 0.5, "members": []}
    ]


@pytest.mark.parametrize("skill", [-9.0, 9.0])
def test_boards_at_the_ends_have_no_nan(skill: float) -> None:
    variants = tuple(
        dataclasses.replace(v, skill=skill, seeds=v.seeds[:1]) for v in VARIANTS if v.name in ("base", "sft")
    )
    validated(build_board([synthetic_run(variants, n=1)]))


def test_several_outputs_are_valid_too() -> None:
    data = validated(build_board([sampled_run()]))
    assert data["rows"][0]["macro"]["sampled"]["num_samples"] == 4


def test_something_else_is_not_valid(board: Board) -> None:
    data = json.loads(json_text(board))
    with pytest.raises(ValidationError):
        Draft202012Validator(SCHEMA).validate({**data, "versus": {}})
    del data["rows"][0]["name"]
    with pytest.raises(ValidationError):
        Draft202012Validator(SCHEMA).validate(data)

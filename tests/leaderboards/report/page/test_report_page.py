"""The page is one file: nothing is fetched, nothing escapes, and the inline data are the board's."""

import dataclasses
import json
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_board import BENCHMARKS, VARIANTS, synthetic_run

from leaderboards.board.build import build_board
from leaderboards.board.rows import Board
from leaderboards.report.findings import sentences
from leaderboards.report.page.payload import PLAIN_BELOW, packed_difference, packed_p, tenths
from leaderboards.report.page.render import inline_json, page_html
from leaderboards.report.wording import p_value, percent, points
from leaderboards.results.schema import METRICS, RunResults

EVIL = "</script><img src=x onerror=alert(1)>\u2028&"


class Elements(HTMLParser):
    """Collects the start tags and the scripts' and styles' texts of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inline: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.lasttag in ("script", "style") and self.cdata_elem:
            self.inline.append(data)


def parsed(html: str) -> Elements:
    elements = Elements()
    elements.feed(html)
    return elements


def payload(html: str) -> dict[str, object]:
    found = re.search(r'<script type="application/json" id="board">(.*?)</script>', html, re.DOTALL)
    assert found
    return json.loads(found.group(1))


def turned(record: list[object]) -> list[object]:
    """The same comparison seen from the other row."""
    mean, low, high, p, se, effect, n, gained, lost, *rest = record
    return [-mean, -high, -low, p, se, -effect, n, lost, gained, *rest]


@pytest.fixture(scope="module")
def board(run: RunResults) -> Board:
    return build_board([run])


@pytest.fixture(scope="module")
def html(board: Board) -> str:
    return page_html(board)


def test_nothing_is_loaded_from_elsewhere(html: str) -> None:
    tags = parsed(html).tags
    assert not [tag for tag, attributes in tags if "src" in attributes]
    links = [attributes["href"] or "" for _, attributes in tags if "href" in attributes]
    ids = {attributes.get("id") for _, attributes in tags}
    assert {link[0] for link in links} == {"#"}
    assert {link[1:] for link in links} <= ids
    policy = next(attributes["content"] for tag, attributes in tags if "http-equiv" in attributes)
    assert policy is not None
    assert policy.startswith("default-src 'none'")


def test_the_page_has_its_sections_controls_and_themes(html: str) -> None:
    elements = parsed(html)
    ids = {attributes.get("id") for _, attributes in elements.tags}
    assert {"table", "place", "metric", "theme", "forest", "scatter", "provenance", "board"} <= ids
    assert ("html", {"lang": "en"}) in elements.tags
    own = "".join(text for text in elements.inline if len(text) < 100_000)
    assert "prefers-color-scheme" in own
    assert "aria-sort" in own
    assert any(tag == "meta" and attributes.get("name") == "viewport" for tag, attributes in elements.tags)


def test_the_inline_data_are_the_boards_figures(board: Board, html: str) -> None:
    data = payload(html)
    assert [place["id"] for place in data["places"]] == ["macro", *BENCHMARKS]
    assert [row["label"] for row in data["rows"]] == [row.name for row in board.rows]
    for shown, row in zip(data["rows"], board.rows, strict=True):
        assert row.macro is not None
        estimate = row.macro.metric("accuracy").estimate
        in_page = shown["cells"]["macro"]["metrics"]["accuracy"]
        assert in_page["mean"] == estimate.mean
        low, high = (percent(end).replace(".", "") for end in (estimate.low, estimate.high))
        assert in_page["shown"][1:3] == [int(low), int(high)]
        assert shown["cells"]["macro"]["metrics"]["score"]["ownFormat"] == (not row.tagged)


def test_every_comparison_to_every_reference_is_in_the_page(board: Board, html: str) -> None:
    data = payload(html)
    places = [place["id"] for place in data["places"]]
    found = 0
    for reference in data["comparisons"]["references"]:
        known = board.versus[reference["name"]]
        keys = [
            (row, place, metric) for row in range(len(board.rows)) for place in places for metric in METRICS
        ]
        for at, (row, place, metric) in enumerate(keys):
            comparison = known.get((row, place, metric))
            assert (reference["pHolm"][at] is None) == (comparison is None)
            if comparison:
                other = reference["partners"][row]
                own = data["comparisons"]["records"].get(f"{row}-{other}")
                records = own or data["comparisons"]["records"][f"{other}-{row}"]
                record = records[at % (len(places) * len(METRICS))]
                seen = record if own else turned(record)
                assert seen == packed_difference(comparison)
                assert (
                    reference["verdicts"][at]
                    == {"b": "+", "w": "-", "e": "=", "u": "?"}[comparison.verdict[0]]
                )
                found += 1
    assert found == sum(len(known) for known in board.versus.values())


@given(st.floats(-1, 1), st.floats(0, 1))
def test_what_is_packed_is_rounded_as_the_other_reports_word_it(share: float, p: float) -> None:
    text = f"{abs(tenths(share)) / 10:.1f}"
    assert points(share).lstrip("+−") == text
    packed = packed_p(p)
    if not isinstance(packed, str):
        packed = "< 0.001" if packed == 0 else f"{packed:{'g' if packed < PLAIN_BELOW else '.2f'}}"
    assert packed == p_value(p)


def test_the_summary_and_the_cautions_stand_in_the_page_itself(board: Board, html: str) -> None:
    before_scripts = html[: html.index('<script type="application/json"')]
    assert sentences(board.summary, board)[0] in before_scripts
    assert "Beware" in before_scripts
    assert "0123abcd" in before_scripts


def test_whatever_comes_from_outside_is_escaped() -> None:
    variants = tuple(v for v in VARIANTS if v.name in ("sft", "sft-tag"))
    run = synthetic_run(variants, n=20)
    entries = tuple(
        dataclasses.replace(
            entry,
            name=EVIL if entry.name == "sft" else entry.name,
            checkpoint=EVIL,
            evaluations=(dataclasses.replace(entry.evaluations[0], benchmark=EVIL),),
        )
        for entry in run.entries
    )
    samples = run.samples[run.samples["benchmark"] == BENCHMARKS[0]].assign(benchmark=EVIL)
    samples = samples.assign(
        entry=samples["entry"].replace("sft", EVIL),
        defects=[[EVIL]] * len(samples),
    )
    evil = RunResults({EVIL: EVIL}, entries, samples, source=EVIL)
    html = page_html(build_board([evil]))
    elements = parsed(html)
    assert not [tag for tag, _ in elements.tags if tag == "img"]
    assert [tag for tag, _ in elements.tags].count("script") == 3
    assert payload(html)["places"][0]["id"] == EVIL


def test_inline_json_cannot_end_its_script() -> None:
    text = inline_json({"x": "</script><!--\u2028\u2029&"})
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == {"x": "</script><!--\u2028\u2029&"}

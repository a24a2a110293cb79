"""The page in a real browser: it says what the board says, asks nobody for anything, and all can use it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from browsing import PHONE, WIDE, Visit, visiting
from synthetic_board import synthetic_run
from synthetic_curves import curve_points

from leaderboards.board.build import build_board
from leaderboards.board.rows import Board
from leaderboards.report.page.render import page_html
from leaderboards.report.page.samples import collect_samples
from leaderboards.report.wording import p_value, percent, points
from leaderboards.results.reported import Reported, ReportedFigure
from leaderboards.results.schema import RunResults
from leaderboards.results.tables import CURVES

if TYPE_CHECKING:
    from playwright.sync_api import Browser

REPORTED = Reported(
    "sftkey-tag", "paper-7B", "arXiv 2512.21017", "https://arxiv.org/abs/2512.21017", "not reproduced",
    (ReportedFigure("world_choice", "accuracy", 0.7369),),
)  # fmt: skip
BEFORE = "sftkey-tag"
"""An entry that is not the board's reference."""
CUT_CHARTS = """
    const right = (node) => node.getBoundingClientRect().right;
    const cut = (chart) => [...chart.querySelectorAll("text")].some((text) => right(text) > right(chart) + 1);
    [...document.querySelectorAll(".chart")].filter(cut).map((chart) => chart.id);
"""


@pytest.fixture(scope="module")
def browsed_run() -> RunResults:
    """The synthetic run with curves, and outputs of many lengths."""
    run = synthetic_run()
    lengths = np.random.default_rng(0).integers(20, 400, size=(2, len(run.samples)))
    samples = run.samples.assign(thinking_chars=lengths[0], gold_chars=lengths[1] // 20)
    curves = CURVES.to_frame(curve_points(run.entries, log_every=4))
    return RunResults(run.provenance, run.entries, samples, run.source, curves=curves)


@pytest.fixture(scope="module")
def board(browsed_run: RunResults) -> Board:
    return build_board([browsed_run], reported=[REPORTED])


@pytest.fixture(scope="module")
def path(board: Board, browsed_run: RunResults, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "leaderboard.html"
    path.write_text(page_html(board, collect_samples(board, [browsed_run])), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def opened(chromium: Browser, path: Path) -> Iterator[Visit]:
    with visiting(chromium, path) as visit:
        yield visit


@pytest.fixture
def visit(opened: Visit) -> Visit:
    """The open page, as at the start."""
    opened.choose()
    return opened


def test_it_asks_nobody_for_anything_and_does_not_complain(visit: Visit) -> None:
    visit.go()
    visit.page.wait_for_selector("#samples-list details")
    assert {url.split("#")[0] for url in visit.requests} <= {visit.url, "about:blank"}
    assert visit.complaints == []


def test_sorting_changes_the_order_and_says_so(visit: Visit, board: Board) -> None:
    assert visit.names() == [row.name for row in board.rows]
    visit.page.click("[data-column=entry]")
    assert visit.names() == sorted(row.name for row in board.rows)
    assert visit.texts("th[aria-sort=ascending]") == ["entry"]
    visit.page.click("[data-column=entry]")
    assert visit.names() == sorted((row.name for row in board.rows), reverse=True)
    assert visit.texts("th[aria-sort=descending]") == ["entry"]
    assert visit.page.evaluate("document.activeElement.dataset.column") == "entry"


def test_search_and_filters_leave_what_matches_and_count_it(visit: Visit, board: Board) -> None:
    visit.page.fill("#search", "TAG")
    assert visit.names() == [row.name for row in board.rows if "tag" in row.name]
    assert visit.texts("#count") == [f"4 of {len(board.rows)} entries shown."]
    visit.page.select_option("#tier", "1")
    assert visit.names() == [row.name for row in board.rows if "tag" in row.name and row.tier == 1]
    visit.page.click("#clear")
    visit.page.select_option("#role", "base")
    assert visit.names() == ["base"]
    visit.page.select_option("#role", "")
    visit.page.select_option("#tags", "untagged")
    assert visit.names() == [row.name for row in board.rows if not row.tagged]


def test_another_reference_shows_that_references_comparisons(visit: Visit, board: Board) -> None:
    for name in (BEFORE, "base"):
        visit.page.select_option("#reference", name)
        for place, metric in (("macro", "accuracy"), ("world_choice", "score")):
            visit.page.select_option("#place", place)
            visit.page.select_option("#metric", metric)
            lines = dict(zip(visit.names(), visit.texts("#table tbody tr:not(.reported)"), strict=True))
            for position, row in enumerate(board.rows):
                found = board.versus[name].get((position, place, metric))
                if found is None:
                    assert "distinguishable" not in lines[row.name]
                    continue
                difference = found.difference
                interval = f"[{points(difference.low)}, {points(difference.high)}]"
                assert points(difference.mean) in lines[row.name]
                assert interval in lines[row.name]
                assert found.verdict in lines[row.name]
                assert p_value(found.p_holm) in lines[row.name]
    assert visit.texts("[data-column=difference]") == ["Δ base"]
    assert visit.texts("#forest-title") == ["Difference to base"]


def test_a_view_can_be_linked(chromium: Browser, path: Path) -> None:
    fragment = f"#reference={BEFORE}&place=world_choice&sort=entry&up=1&search=sft"
    with visiting(chromium, path, fragment=fragment) as visit:
        assert visit.names()[0] == "sft"
        assert visit.page.input_value("#search") == "sft"
        assert visit.texts("[data-column=difference]") == [f"Δ {BEFORE}"]
        visit.page.select_option("#metric", "score")
        assert "metric=score" in visit.page.url


def test_a_difference_opens_its_tests_and_gives_the_focus_back(visit: Visit, board: Board) -> None:
    position, row = next((i, row) for i, row in enumerate(board.rows) if row.name == BEFORE)
    found = board.versus[board.reference][position, "macro", "accuracy"]
    opener = f"#table [data-kind=difference][data-row='{position}']"
    visit.page.locator(opener).first.click()
    text = visit.texts("#origin")[0]
    difference = found.difference
    assert text.startswith(f"{row.name} against {board.reference}: accuracy, macro average")
    for said in (
        found.verdict,
        f"{points(difference.mean)} points",
        f"[{points(difference.low)}, {points(difference.high)}]",
        f"over {board.family_macro} comparisons",
        ", ".join(map(p_value, difference.mcnemar_p)),
        f"{difference.gained} : {difference.lost}",
        f"{difference.num_questions} questions and 3 seed pairs",
        f"h {found.effect:+.2f}".replace("-", "−"),
        f"smaller than {percent(found.detectable)} points would be missed more often than one time",
    ):
        assert said in text
    visit.page.locator("#origin li button").first.click()
    assert "world_number" in visit.texts("#origin-title")[0]
    visit.page.click("#origin-back")
    assert "macro" in visit.texts("#origin-title")[0]
    visit.page.keyboard.press("Escape")
    assert not visit.page.is_visible("#origin")
    focused = "selector => document.activeElement === document.querySelector(selector)"
    assert visit.page.evaluate(focused, opener)


def test_a_figure_opens_where_it_comes_from(visit: Visit, board: Board) -> None:
    visit.choose("place=world_choice")
    row = board.rows[0]
    cell = row.cell("world_choice")
    assert cell is not None
    estimate = cell.metric("accuracy").estimate
    visit.page.locator("#table [data-kind=metric][data-row='0']").first.click()
    text = visit.texts("#origin")[0]
    assert estimate.bootstrap is not None
    for said in (
        f"{percent(estimate.mean)} %",
        f"[{percent(estimate.low)}, {percent(estimate.high)}]",
        f"[{percent(estimate.bootstrap[0])}, {percent(estimate.bootstrap[1])}]",
        f"{100 * estimate.se:.2f} points",
        *(origin.checkpoint for origin in cell.origins),
        *(origin.digest for origin in cell.origins),
        *(f"{origin.num_right}\t{origin.num_outputs}" for origin in cell.origins),
        cell.origins[0].source,
        cell.origins[0].data_digest,
        cell.origins[0].engine,
        "max_tokens 128",
    ):
        assert said in text
    visit.page.click("#origin-close")
    assert not visit.page.is_visible("#origin")


def test_each_comparison_has_a_link_that_opens_it_again(
    chromium: Browser, path: Path, visit: Visit, board: Board
) -> None:
    visit.choose(f"reference={BEFORE}&metric=score&place=world_choice&search=tag")
    visit.page.locator("#table [data-kind=difference]").first.click()
    said = visit.texts("#origin-body")
    link = visit.page.locator("#origin >> text=Link to this comparison").get_attribute("href")
    visit.page.keyboard.press("Escape")
    assert link is not None
    assert link.startswith(f"{visit.url}#")
    with visiting(chromium, path, fragment=link.removeprefix(visit.url)) as other:
        assert other.texts("#origin-body") == said
        assert other.page.input_value("#reference") == BEFORE
        other.page.keyboard.press("Escape")
        other.page.wait_for_function("() => !location.hash.includes('entry=')")
        pair = board.pairs[-1]
        other.page.click(f".matrix [data-row='{pair.first}'][data-other='{pair.second}']")
        name = board.rows[pair.second].name
        other.page.click(f"#origin >> text=With {name} as the reference")
        other.page.wait_for_function(
            "text => document.querySelector('#origin-title').textContent === text",
            arg=f"{board.rows[pair.first].name} against {name}: accuracy, macro average of 4 benchmarks",
        )
        assert other.texts("[data-column=difference]") == [f"Δ {name}"]
        assert not other.page.is_visible("#origin-back")
        assert other.violations("#origin") == []
        assert other.complaints == []


def test_each_pair_of_entries_opens_from_the_matrix(visit: Visit, board: Board) -> None:
    pair = board.pairs[0]
    visit.page.click(f".matrix [data-row='{pair.second}'][data-other='{pair.first}']")
    text = visit.texts("#origin")[0]
    assert f"{points(-pair.comparison.difference.mean)} points" in text
    assert f"over {len(board.pairs)} comparisons" in text
    visit.page.keyboard.press("Escape")


def test_each_seed_is_shown_on_demand(visit: Visit, board: Board) -> None:
    visit.choose("place=world_choice")
    assert visit.texts("#table .seeds") == []
    visit.page.check("#seeds")
    cell = board.rows[0].cell("world_choice")
    assert cell is not None
    shares = " · ".join(f"{100 * origin.num_right / origin.num_outputs:.1f}" for origin in cell.origins)
    assert visit.texts("#table .seeds")[0] == shares


def test_the_ranking_follows_alpha(visit: Visit, board: Board) -> None:
    ranked = [row for row in board.rows if row.score_by_alpha]
    for alpha, end in ((0, 0), (1, -1)):
        visit.page.fill("#alpha", str(alpha))
        expected = sorted(ranked, key=lambda row: -row.score_by_alpha[end].mean if row.score_by_alpha else 0)
        shown = [text.split()[0] for text in visit.texts("#alpha-ranking li")]
        assert shown == [row.name for row in expected]
    said = visit.texts("#alpha-changes")[0]
    for change in board.alpha_changes:
        names = (board.rows[change.rises].name, board.rows[change.falls].name)
        assert f"α = {change.alpha:.2f} {names[0]} passes {names[1]}" in said


def test_buckets_are_drawn_for_the_benchmark_chosen(visit: Visit) -> None:
    visit.choose("place=world_choice")
    assert visit.page.input_value("#bucket-place") == "world_choice"
    visit.page.locator("#buckets-answer").scroll_into_view_if_needed()
    visit.page.wait_for_selector("#buckets-answer .trace")
    assert visit.page.locator("#buckets-reasoning .trace").count() == 7
    assert visit.page.locator("#buckets-answer .errorbar").count() == 28


def test_what_others_report_is_marked_and_stands_below(visit: Visit) -> None:
    assert visit.texts("#table .reported") == []
    visit.choose("place=world_choice")
    line = visit.texts("#table tbody tr:last-child")[0]
    for said in ("sftkey-tag · paper-7B", "reported", "73.7", "arXiv 2512.21017"):
        assert said in line
    assert "not reproduced" in visit.texts("#caption")[0]
    assert "[" not in line


def test_the_dark_theme_changes_the_colours(visit: Visit) -> None:
    colours = "['body', '#forest text'].map(each => getComputedStyle(document.querySelector(each)))"
    colours += ".map(style => [style.backgroundColor, style.fill])"
    visit.page.locator("#forest").scroll_into_view_if_needed()
    visit.page.wait_for_selector("#forest text")
    before = visit.page.evaluate(colours)
    toggle = "document.querySelector('#theme').click()"
    # Plotly draws the chart again in its own time.
    filled = "fill => getComputedStyle(document.querySelector('#forest text')).fill "
    visit.page.evaluate(toggle)
    visit.page.wait_for_function(filled + "!== fill", arg=before[1][1])
    after = visit.page.evaluate(colours)
    visit.page.evaluate(toggle)
    visit.page.wait_for_function(filled + "=== fill", arg=before[1][1])
    assert before[0][0] != after[0][0]
    assert before[1][1] != after[1][1]
    assert visit.page.evaluate(colours) == before


def test_the_keyboard_alone_is_enough(visit: Visit) -> None:
    visit.go()
    reached: list[str] = []
    for _ in range(60):
        visit.page.keyboard.press("Tab")
        state = visit.page.evaluate(
            "(e => [e.id || e.dataset.kind || (e.dataset.column ? 'head' : e.className),"
            " getComputedStyle(e).outlineStyle, getComputedStyle(e).outlineWidth])(document.activeElement)"
        )
        reached.append(state[0])
        assert state[1] != "none"
        assert state[2] != "0px"
        if state[0] == "difference" and "metric" in reached:
            break
    controls = ["skip", "theme", "reference", "metric", "place", "search", "role", "tier", "head", "entry"]
    assert [wanted for wanted in controls if wanted not in reached] == []
    visit.page.keyboard.press("Shift+Tab")
    visit.page.keyboard.press("Enter")
    assert visit.page.is_visible("#origin")
    visit.page.keyboard.press("Escape")
    assert visit.page.evaluate("document.activeElement.dataset.kind") == "metric"


@pytest.mark.heavy
@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
def test_all_can_read_it_in_light_and_dark(chromium: Browser, path: Path, viewport: dict[str, int]) -> None:
    with visiting(chromium, path, viewport=viewport) as visit:
        visit.see_all()
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
        assert visit.page.evaluate(CUT_CHARTS) == []
        assert visit.page.locator(".chart:not(.js-plotly-plot)").count() == 0
        assert visit.violations() == []
        visit.page.emulate_media(color_scheme="dark")
        visit.page.wait_for_selector("html[data-theme=dark]")
        assert visit.violations() == []
        visit.page.locator("#table [data-kind=difference]").first.click()
        assert visit.violations("#origin") == []
        visit.page.emulate_media(color_scheme="light")
        visit.page.wait_for_selector("html[data-theme=light]")
        assert visit.violations("#origin") == []
        assert visit.complaints == []


def test_on_paper_the_table_is_whole_and_the_controls_are_gone(visit: Visit) -> None:
    visit.page.click("#theme")
    visit.page.emulate_media(media="print")
    assert visit.page.evaluate("getComputedStyle(document.body).color") == "rgb(17, 17, 17)"
    for gone in ("#theme", "#search", "#reference", "#origin", "#alpha"):
        assert not visit.page.is_visible(gone)
    assert visit.page.evaluate("getComputedStyle(document.querySelector('.scroll')).overflowX") == "visible"
    visit.page.emulate_media(media="screen")
    visit.page.click("#theme")
    assert visit.page.pdf()[:5] == b"%PDF-"
    assert visit.complaints == []


def test_without_a_script_the_table_is_there(chromium: Browser, path: Path, board: Board) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(path.as_uri())
    text = page.locator("#table").inner_text()
    assert all(row.name in text for row in board.rows)
    context.close()

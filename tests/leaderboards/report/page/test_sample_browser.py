"""The sample browser in Chromium: two entries are compared rightly, and no output becomes markup."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from evil_samples import BASE, EVIL, A, B, evil_run
from jinja2 import Environment
from markupsafe import Markup
from synthetic_board import BENCHMARKS

from leaderboards.board.build import build_board
from leaderboards.report.page.render import inline_json, page_html
from leaderboards.report.page.samples import collect_samples
from leaderboards.results.schema import RunResults

POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'"
SELECTS = ("a", "b", "benchmark")
HEAD = f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>samples</title>
<meta http-equiv="Content-Security-Policy" content="{POLICY}">"""


def asset(name: str) -> str:
    return files("leaderboards.report.page").joinpath(name).read_text(encoding="utf-8")


def page_of(run: RunResults) -> str:
    """A page with nothing but the samples in it."""
    board = build_board([run], reference=B)
    packed = collect_samples(board, [run])
    assert packed is not None
    section = Environment(autoescape=True).from_string(asset("samples.html.j2"))
    shown = section.render(samples=packed, samples_index=Markup(inline_json(packed.index)))
    script = "".join(asset(f"{name}.js") for name in ("shared", "sample_store", "samples"))
    chunks = "".join(
        f'<script type="text/plain" id="{i}">{text}</script>' for i, text in packed.chunks.items()
    )
    return (
        f"{HEAD}<style>{asset('page.css')}{asset('samples.css')}</style></head><body><main>{shown}</main>"
        f'<script type="application/json" id="board">{{}}</script>'
        f'<script>"use strict";(() => {{{script}}})();</script>{chunks}</body></html>'
    )


@pytest.fixture(scope="module")
def run() -> RunResults:
    return evil_run()


@pytest.fixture(scope="module")
def path(run: RunResults, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("page") / "page.html"
    file.write_text(page_of(run), encoding="utf-8", newline="\n")
    return file


@pytest.fixture
def page(chromium: Any, path: Path) -> Iterator[Any]:
    """The page, opened."""
    with opened_page(chromium, path) as opened:
        yield opened


@contextmanager
def opened_page(chromium: Any, path: Path) -> Iterator[Any]:
    """What a page says on the console, or asks the network for, is an error."""
    opened = chromium.new_page(viewport={"width": 1280, "height": 900})
    opened.set_default_timeout(20_000)
    told: list[str] = []
    opened.on("console", lambda message: told.append(message.text))
    opened.on("pageerror", lambda error: told.append(str(error)))
    opened.on("dialog", lambda dialog: told.append(dialog.message))
    opened.on("request", lambda request: told.append(request.url))
    opened.goto(path.as_uri())
    opened.wait_for_selector("#samples-list details")
    yield opened
    opened.close()
    assert told == [path.as_uri()]


def compared(
    run: RunResults, a: str, b: str, benchmark: str, seeds: list[int]
) -> list[tuple[str, bool, bool]]:
    """Question, A right, B right: by question, then by seed."""
    frame = run.samples[run.samples["benchmark"] == benchmark]

    def right(name: str, seed: int) -> dict[str, bool]:
        own = frame[(frame["entry"] == name) & ((frame["seed"] == seed).fillna(name == BASE))]
        return dict(zip(own["sample_id"], own["accuracy"], strict=True))

    sides = [(right(a, seed), right(b, seed)) for seed in seeds]
    return [(each, mine[each], theirs[each]) for each in sides[0][0] for mine, theirs in sides]


def counts(page: Any) -> list[int]:
    return [int(text) for text in page.locator("#samples-counts button").all_inner_texts()]


def status(page: Any, text: str) -> None:
    page.wait_for_function("text => document.getElementById('samples-status').textContent === text", arg=text)


def wait_for_total(page: Any, total: int) -> None:
    page.wait_for_function(
        "text => document.querySelector('#samples-counts caption').textContent.startsWith(text)",
        arg=f"How many of {total}",
    )


def four(found: list[tuple[str, bool, bool]]) -> list[int]:
    pairs = [(a, b) for _, a, b in found]
    return [pairs.count(each) for each in ((True, True), (True, False), (False, True), (False, False))]


def test_counts_and_lists_are_those_of_the_samples(page: Any, run: RunResults) -> None:
    found = compared(run, A, B, BENCHMARKS[0], [0, 1, 2])
    assert counts(page) == four(found)
    differing = [question for question, a, b in found if a != b]
    status(page, f"{len(differing)}: one right, the other wrong.")
    page.select_option("#samples-seed", label="seed 1")
    wait_for_total(page, 60)
    one = compared(run, A, B, BENCHMARKS[0], [1])
    assert counts(page) == four(one)
    only_a = [question for question, a, b in one if a and not b]
    page.locator("#samples-counts button").nth(1).click()
    status(page, f"{len(only_a)}: only {A} (A) right.")
    shown = page.locator("#samples-list summary .quiet").all_text_contents()
    assert [text.split()[0] for text in shown] == only_a[:20]
    page.select_option("#samples-which", "all")
    status(page, "60: all.")
    page.click("#samples-next")
    page.wait_for_function("() => document.getElementById('samples-page').textContent.startsWith('21')")
    assert page.locator("#samples-list details").count() == 20


def test_an_opened_question_shows_every_text_as_it_was_written(page: Any, run: RunResults) -> None:
    page.select_option("#samples-seed", label="seed 2")
    wait_for_total(page, 60)
    question = next(q for q, a, b in compared(run, A, B, BENCHMARKS[0], [2]) if a != b)
    page.locator("#samples-list summary").first.press("Enter")
    page.wait_for_selector(".side .text")
    for letter, name in enumerate((A, B)):
        side = page.locator(".side").nth(letter)
        assert side.locator("h3").text_content() == f"{'AB'[letter]} {name}, seed 2"
        assert side.locator(".text.reasoning").text_content() == f"{EVIL} of {name_in_run(name)} 2\n\tnext"
        assert side.locator(".text.answer").text_content() == f"{EVIL}4"
    frame = run.samples
    row = frame[(frame["sample_id"] == question) & (frame["entry"] == A) & (frame["seed"] == 2)].iloc[0]
    asked = page.locator(".asked")
    assert asked.locator(".text").text_content() == row["prompt"]
    assert asked.locator(".gold bdi").text_content() == row["gold"]
    verdicts = page.locator(".side").first.locator(".verdicts li").all_text_contents()
    assert verdicts[0] == ("✓ right" if row["accuracy"] else "✗ wrong")
    assert [f"defect: {defect}" for defect in row["defects"]] == [v for v in verdicts if "defect" in v]
    assert page.locator("img").count() == 0


def name_in_run(name: str) -> str:
    return "sftkey-tag" if name == A else name


def test_search_finds_outputs_and_questions_everywhere(page: Any) -> None:
    page.select_option("#samples-which", "all")
    status(page, "180: all.")
    page.fill("#samples-search", "OF SFTKEY-TAG 1")
    status(page, "60 of 180 with “OF SFTKEY-TAG 1”: all.")
    page.fill("#samples-search", f"question {EVIL} {BENCHMARKS[0]}-0007")
    status(page, f"3 of 180 with “question {EVIL} {BENCHMARKS[0]}-0007”: all.".replace("\r", ""))
    page.fill("#samples-search", "nowhere")
    status(page, "0 of 180 with “nowhere”: all.")
    assert page.locator("#samples-list details").count() == 0


def test_a_link_chooses_entries_and_benchmark(page: Any, run: RunResults) -> None:
    link = "#compare=" + ",".join(quote(each, safe="") for each in (A, BASE, BENCHMARKS[2]))
    page.evaluate("link => { location.hash = link; }", link)
    found = compared(run, A, BASE, BENCHMARKS[2], [0, 1, 2])
    status(page, f"{sum(a != b for _, a, b in found)}: one right, the other wrong.")
    assert counts(page) == four(found)
    chosen = [
        page.locator(f"#samples-{each} option:checked").text_content() for each in ("a", "b", "benchmark")
    ]
    assert chosen == [A, BASE, BENCHMARKS[2]]
    page.click("#samples-swap")
    page.wait_for_function(
        "name => decodeURIComponent(location.hash).startsWith(`#compare=${name}`)", arg=BASE
    )
    page.evaluate("location.hash = '#compare=%E0%A4%A,nobody'")


def test_on_a_phone_nothing_is_wider_than_the_screen(page: Any) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.locator("#samples-list summary").first.click()
    page.wait_for_selector(".side .text")
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_arrow_keys_go_from_question_to_question(page: Any) -> None:
    page.locator("#samples-list summary").first.focus()
    page.keyboard.press("ArrowDown")
    assert page.locator("#samples-list summary").nth(1).evaluate("node => node === document.activeElement")
    page.click("#samples-open")
    page.wait_for_function("() => document.querySelectorAll('.asked').length === 20")


def test_it_is_part_of_the_report(chromium: Any, run: RunResults, tmp_path: Path) -> None:
    board = build_board([run], reference=B)
    path = tmp_path / "report.html"
    path.write_text(page_html(board, collect_samples(board, [run])), encoding="utf-8", newline="\n")
    with opened_page(chromium, path) as page:
        assert sum(counts(page)) == 180
        page.locator("#samples-list summary").first.click()
        page.wait_for_selector(".side .text")
        assert page.locator("img").count() == 0

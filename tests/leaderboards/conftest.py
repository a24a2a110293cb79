"""The synthetic run as fixtures, and a headless Chromium for the tests of the page."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
from synthetic_board import synthetic_run

from leaderboards.results.schema import RunResults

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM_ARGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--no-first-run"),
)


@pytest.fixture(scope="session")
def run() -> RunResults:
    return synthetic_run()


@pytest.fixture(scope="session")
def make_run() -> Callable[..., RunResults]:
    return synthetic_run


# For a module, not for the session: while it is open its event loop runs, which other tests could not bear.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra: dev)")
    found = (shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))
    with api.sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(
                executable_path=next(filter(None, found), None), args=CHROMIUM_ARGS
            )
        except api.Error as error:
            pytest.skip(f"no Chromium to open the page in: {str(error).splitlines()[0]}")
        yield browser
        browser.close()

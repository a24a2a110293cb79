"""Opens a page in Chromium and keeps what it said, what it asked for, and what axe-core finds in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Page

WIDE = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}


@dataclass
class Visit:
    """An open page, the requests that it made, and whatever it complained of."""

    page: Page
    url: str
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def go(self, hash_text: str = "") -> None:
        """Loads the page afresh."""
        self.page.goto("about:blank")
        self.page.goto(self.url + hash_text)

    def choose(self, hash_text: str = "metric=accuracy") -> None:
        """Sets the view by its address; what is not named is as at the start."""
        self.page.evaluate("document.querySelector('dialog').close()")
        self.page.evaluate("text => { location.hash = text; }", hash_text)
        self.page.wait_for_timeout(30)

    def texts(self, selector: str) -> list[str]:
        """The texts of all elements that match."""
        return self.page.locator(selector).all_inner_texts()

    def see_all(self) -> None:
        """Scrolls past every chart, since they are drawn when they come into view."""
        for chart in self.page.locator(".chart").all():
            chart.scroll_into_view_if_needed()
            self.page.wait_for_timeout(40)

    def names(self) -> list[str]:
        """The entries of the table, in its order."""
        return self.texts("#table tbody tr:not(.reported) th button")

    def violations(self, part: str = "html") -> list[str]:
        """What axe-core objects to, with the element; a chart counts as the image that it says it is."""
        from axe_playwright_python.sync_playwright import Axe

        context = {"include": [[part]], "exclude": [[".chart .plot-container"]]}
        found: list[dict[str, Any]] = Axe().run(self.page, context=context).response["violations"]
        return [f"{each['id']}: {node['html'][:120]}" for each in found for node in each["nodes"]]


@contextmanager
def visiting(
    browser: Browser, path: Path, *, viewport: dict[str, int] = WIDE, dark: bool = False, fragment: str = ""
) -> Iterator[Visit]:
    """The page of a file, in a window of its own."""
    context = browser.new_context(
        viewport=viewport, color_scheme="dark" if dark else "light", reduced_motion="reduce"
    )
    page = context.new_page()
    page.set_default_timeout(30_000)  # a busy machine is no failure
    visit = Visit(page, path.as_uri())
    page.on("request", lambda request: visit.requests.append(request.url))
    page.on(
        "console",
        lambda message: (
            visit.complaints.append(message.text) if message.type in ("error", "warning") else None
        ),
    )
    page.on("pageerror", lambda error: visit.complaints.append(str(error)))
    page.goto(visit.url + fragment)
    yield visit
    context.close()

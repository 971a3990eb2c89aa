"""The report in a headless Chromium: on a phone and a wide screen, in light and dark, without a request to anywhere."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Dialog, Error, Page, sync_playwright

from steps.reporting import monitoring
from steps.reporting.page import RunFacts, Step, html
from tests.unit.steps.reports import HOSTILE, classification, regression
from tests.unit.steps.windows import SPECIFICATION, history

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_INSTALL = (
    "No Chromium is on PATH. Install one (Debian: apt-get install chromium; elsewhere: .venv/bin/playwright install "
    "chromium). With DATAOPSML_BROWSER=/its/path a missing one is a failure."
)
_CONTRAST = """
() => {
  const parts = (text) => text.match(/[\\d.]+/g).slice(0, 3).map((part) => {
    const share = part / 255;
    return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  const light = (text) => { const [r, g, b] = parts(text); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const style = getComputedStyle(document.body);
  const [low, high] = [light(style.color), light(style.backgroundColor)].sort((a, b) => a - b);
  return {ratio: (high + 0.05) / (low + 0.05), dark: light(style.backgroundColor) < 0.5};
}
"""
FAILED = RunFacts("run-2", "Failed", "https://ml.azure.com/x", [Step("train", "Failed", 2.0, error=f"{HOSTILE}\n" * 3)])
COMPLETED = RunFacts("run-1", steps=[Step("train", "Completed", 75.0, reused=True)])
LONG = "a_name_of_a_column_without_any_place_to_break_it" * 3
PAGES = {
    "regression": html(regression(), COMPLETED),
    "classification": html(classification(("a", "b", LONG)), COMPLETED),
    "hostile": html(regression(HOSTILE, parameters={LONG: HOSTILE * 9}), COMPLETED),
    "failed": html({}, FAILED),
    "watched": monitoring.html(SPECIFICATION, history(30, LONG, LONG)),
    "watched-hostile": monitoring.html(SPECIFICATION, history(1, HOSTILE, HOSTILE)),
}

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Skip where the machine has no Chromium, as a fresh one: `make test` installs no programs of the system."""
    chosen = os.environ.get("DATAOPSML_BROWSER") or next(filter(None, map(shutil.which, _NAMES)), None)
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium refuses root a sandbox
    with sync_playwright() as playwright:
        if chosen is None and not Path(playwright.chromium.executable_path).exists():
            pytest.skip(_INSTALL)
        try:
            started = playwright.chromium.launch(executable_path=chosen, args=sandbox)
        except Error as error:
            pytest.fail(f"Chromium does not start. {error}")
        yield started
        started.close()


@pytest.fixture
def opened(browser: Browser, tmp_path: Path) -> Iterator[Any]:
    """Return a function that opens a page of PAGES, and the addresses and scripts' doings that it caused."""
    caused: list[str] = []
    context = browser.new_context()
    page = context.new_page()

    def refuse(dialog: Dialog) -> None:
        caused.append(f"dialog {dialog.message}")
        dialog.dismiss()

    page.on("request", lambda request: caused.append(request.url))
    page.on("dialog", refuse)
    page.on("console", lambda message: caused.append(f"console {message.text}"))

    def show(name: str, width: int, scheme: Any) -> tuple[Page, list[str]]:
        file = tmp_path / f"{name}.html"
        file.write_text(PAGES[name], encoding="utf-8")
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme=scheme)
        page.goto(file.as_uri())
        return page, [address for address in caused if address != file.as_uri()]

    yield show
    context.close()


@pytest.mark.parametrize(
    ("width", "scheme"),
    [
        (400, "dark"),
        (1200, "light"),
        pytest.param(400, "light", marks=pytest.mark.nightly),
        pytest.param(1200, "dark", marks=pytest.mark.nightly),
    ],
)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_and_is_readable_and_requests_nothing(opened: Any, name: str, width: int, scheme: str) -> None:
    page, caused = opened(name, width, scheme)

    assert caused == [], "no request, no script, no complaint of the browser"
    assert page.evaluate("document.documentElement.scrollWidth") <= width, "nothing is wider than the screen"
    seen = page.evaluate(_CONTRAST)
    assert seen["dark"] is (scheme == "dark") and seen["ratio"] >= 7
    assert page.locator("h1").is_visible()
    assert page.locator("img, script").count() == 0
    for chart in page.locator("svg.chart").all():
        box = chart.bounding_box()
        assert box is not None and 250 <= box["width"] <= width and box["height"] > 150


def test_charts_are_beside_each_other_where_there_is_room(opened: Any) -> None:
    for width, rows in ((400, 2), (1200, 1)):
        page, _ = opened("regression", width, "light")
        tops = {round(figure.bounding_box()["y"]) for figure in page.locator("figure").all()}
        assert len(tops) == rows, width

"""The matching screen under a keyboard, a barcode scanner, a phone, and without JavaScript."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.e2e.demo import Demo
from tests.e2e.test_main_job import run_without_a_request, sign_in

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("demo")]
FOCUSED = "document.activeElement.textContent.trim().replace(/\\s+/g, ' ')"


@pytest.fixture
def orphan(demo: Demo, page: Any) -> str:
    """The path of an orphan of its own, typed so that one animal fits; signed in as technician."""
    run_without_a_request(page, demo, "TANGO")
    page.set_viewport_size({"width": 1366, "height": 768})
    sign_in(page, demo, "elm-tech", "/unmatched/")
    line = page.locator("tr", has_text="TANGO").last
    line.wait_for()
    path: str = line.get_by_role("link", name="Match").get_attribute("href")
    page.goto(demo.base + path)
    return path


def press(page: Any, key: str) -> None:
    """As a person: the next key comes after the time that tells a hand from a scanner."""
    page.keyboard.press(key)
    page.wait_for_timeout(200)


def test_three_keys_match_and_a_mistake_is_taken_back(page: Any, orphan: str) -> None:
    press(page, "1")
    assert page.evaluate(FOCUSED) == "Attach to Tango, Adams, P-10417"
    press(page, "Enter")
    page.get_by_text("Attached to Tango").first.wait_for()
    press(page, "u")
    page.keyboard.type("The other dog", delay=120)
    press(page, "Enter")
    page.get_by_text("Whose result is this?").first.wait_for()


def test_a_scanner_searches_and_never_attaches(page: Any, orphan: str) -> None:
    press(page, "1")
    # Its keys come at once, also where the machine that runs this is busy.
    page.clock.install()
    page.clock.pause_at(time.time() + 3600)
    page.keyboard.type("P-10482")
    page.keyboard.press("Enter")
    page.clock.resume()
    page.locator("#found a", has_text="Biscuit").wait_for()
    assert page.input_value("#find") == "P-10482"
    assert page.get_by_text("Whose result is this?").count() == 1


def test_all_of_it_is_seen_without_scrolling_on_a_laptop(page: Any, orphan: str) -> None:
    bottom = page.evaluate("document.querySelector('.m-grid').getBoundingClientRect().bottom")
    assert bottom <= 768


def test_on_a_phone_nothing_sticks_out(page: Any, orphan: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    columns = page.locator(".m-card").evaluate_all("all => all.map(card => card.offsetWidth)")
    assert min(columns) > 340


def test_it_works_without_javascript(demo: Demo, browser: Any, page: Any, orphan: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    context.add_cookies(page.context.cookies())
    plain = context.new_page()
    plain.goto(demo.base + orphan)
    plain.fill("#find", "P-10482")
    plain.get_by_role("button", name="Search", exact=True).click()
    plain.locator("#found a").first.click()
    assert plain.get_by_text("you looked it up").count() == 1
    plain.fill("#hold", "For the vet")
    plain.get_by_role("button", name="Hold", exact=True).click()
    assert "For the vet" in plain.locator("main").inner_text()
    context.close()

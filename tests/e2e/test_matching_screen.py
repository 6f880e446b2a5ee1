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
    """From the queue: Enter opens what is chosen, 1 takes the first card, Enter attaches."""
    pressed: list[str] = []

    def key(name: str) -> None:
        pressed.append(name)
        press(page, name)

    page.goto(page.url.partition("/unmatched/")[0] + "/unmatched/")
    row = page.locator("tr", has_text="TANGO").last
    row.locator("a.open").focus()
    key("Enter")
    page.get_by_text("Whose result is this?").first.wait_for()
    key("1")
    assert page.evaluate(FOCUSED) == "Attach to Tango, Adams, P-10417"
    key("Enter")
    page.get_by_text("Attached to Tango").first.wait_for()
    assert pressed == ["Enter", "1", "Enter"]
    # Undone at once by one key, without a reason.
    press(page, "u")
    page.get_by_text("Whose result is this?").first.wait_for()
    assert page.get_by_text("Taken back before, and not proposed again").count() == 1
    # Looked up all the same, and later taken back with a reason.
    press(page, "s")
    page.keyboard.type("P-10417", delay=120)
    page.locator("#found a", has_text="Tango").click()
    page.wait_for_url("**candidate=**")  # the key must not come to the page that is being left
    press(page, "1")
    press(page, "Enter")
    page.get_by_text("Attached to Tango").first.wait_for()
    page.fill("#reason", "The other dog")
    page.get_by_role("button", name="Take the match back").click()
    page.get_by_text("Whose result is this?").first.wait_for()
    assert "The other dog" in page.locator(".m-history").inner_text()


def test_single_keys_can_be_switched_off(page: Any, orphan: str) -> None:
    page.locator(".m-switch input").uncheck()
    press(page, "1")
    press(page, "s")
    assert page.evaluate("document.activeElement.id || document.activeElement.tagName") != "find"
    page.reload()
    assert not page.locator(".m-switch input").is_checked()
    press(page, "s")
    assert page.evaluate("document.activeElement.id") != "find"
    page.locator(".m-switch input").check()
    press(page, "s")
    assert page.evaluate("document.activeElement.id") == "find"


def test_keys_lead_to_each_way_out(page: Any, orphan: str) -> None:
    for key, focused in (("n", "none"), ("h", "hold")):
        press(page, key)
        assert page.evaluate("document.activeElement.id") == focused
        press(page, "Escape")
        page.evaluate("document.activeElement.blur()")
    assert page.locator('[data-key="k"]').count() == 1, "there are older ones in the demo"
    press(page, "k")
    page.wait_for_url(lambda url: orphan not in url)
    press(page, "j")
    page.wait_for_url(f"**{orphan}")


def test_a_colleague_s_decision_is_told_and_nothing_that_is_selected_is_replaced(
    demo: Demo, page: Any, browser: Any, orphan: str
) -> None:
    press(page, "1")
    card = page.locator("#card-1").element_handle()
    other = browser.new_context()
    other.add_cookies(page.context.cookies())
    colleague = other.new_page()
    colleague.goto(demo.base + orphan)
    colleague.fill("#hold", "For the vet")
    colleague.get_by_role("button", name="Hold", exact=True).click()
    colleague.get_by_text("held by").first.wait_for()
    other.close()
    page.locator("#changed", has_text="Look at it again").wait_for(timeout=15_000)
    assert page.evaluate(FOCUSED) == "Attach to Tango, Adams, P-10417"
    assert card.evaluate("element => element.isConnected")
    press(page, "Enter")
    page.get_by_text("Nothing was attached.").wait_for()


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


def test_with_every_field_given_what_is_decided_is_seen_on_a_laptop(
    demo: Demo, page: Any, orphan: str
) -> None:
    """Fourteen lines and the bar of alarms: the sentence of why may go under the button, the choice
    of the request may not."""
    page.goto(demo.base + "/unmatched/")
    page.locator("tr", has_text="P-10418").first.get_by_role("link", name="Match").click()
    page.locator("#card-1 .m-targets").wait_for()
    targets, button = (
        page.evaluate(f"document.querySelector('#card-1 {part}').getBoundingClientRect().toJSON()")
        for part in (".m-targets", ".m-attach")
    )
    assert targets["bottom"] <= button["top"] < button["bottom"] <= 768


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

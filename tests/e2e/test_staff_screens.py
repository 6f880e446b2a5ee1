"""The staff's screens under a keyboard, a barcode scanner and a phone, and while things change."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.demo import Demo
from tests.e2e.test_main_job import sign_in

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("demo")]


def press(page: Any, key: str) -> None:
    """As a person: the next key comes after the time that tells a hand from a scanner."""
    page.keyboard.press(key)
    page.wait_for_timeout(120)


def test_rows_by_keyboard(page: Any, demo: Demo) -> None:
    sign_in(page, demo, "elm-vet", "/")
    press(page, "j")
    press(page, "j")
    press(page, "k")
    chosen = page.locator("[data-row].sel")
    assert chosen.count() == 1
    address = chosen.locator("a.open").get_attribute("href")
    # A refresh of the list keeps the row that was chosen.
    page.evaluate("htmx.ajax('GET', '/', {target: '#live', swap: 'outerHTML'})")
    page.wait_for_timeout(800)
    assert page.locator("[data-row].sel a.open").get_attribute("href") == address
    press(page, "Enter")
    page.wait_for_url(f"**{address}")


def test_what_was_chosen_opens_also_while_the_list_is_replaced(page: Any, demo: Demo) -> None:
    """The new rows bear no mark for a moment. Enter just then searched for what stood in the field,
    in place of opening the patient."""
    sign_in(page, demo, "elm-tech", "/patients/?q=Biscuit")
    page.locator("#live a.open").first.wait_for()
    page.locator("main input[type=search]").focus()
    press(page, "ArrowDown")
    page.evaluate("document.querySelector('[data-row].sel').classList.remove('sel')")
    press(page, "Enter")
    page.wait_for_url("**/patients/*-*/")


def test_a_scanned_code_only_searches(page: Any, demo: Demo) -> None:
    sign_in(page, demo, "elm-tech", "/")
    page.keyboard.type("KWO-10482")
    page.keyboard.press("Enter")
    page.wait_for_url("**/patients/?q=KWO-10482")


def test_single_keys_can_be_switched_off(page: Any, demo: Demo) -> None:
    sign_in(page, demo, "elm-tech", "/")
    press(page, "?")
    page.locator("#keys [data-keys-on]").uncheck()
    press(page, "Escape")
    press(page, "o")
    press(page, "p")
    assert page.url.rstrip("/") == demo.base


@pytest.mark.parametrize("address", ["/", "/patients/", "/unmatched/", "/requests/new/"])
@pytest.mark.parametrize("width", [390, 820, 1280])
def test_nothing_sticks_out(page: Any, demo: Demo, address: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    sign_in(page, demo, "elm-tech", address)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_lost_connection_is_said(page: Any, demo: Demo) -> None:
    sign_in(page, demo, "elm-tech", "/")
    page.context.set_offline(True)
    page.locator("#offline").wait_for(state="visible")
    page.context.set_offline(False)
    page.locator("#offline").wait_for(state="hidden")


def test_paper_shows_a_result_and_nothing_to_press(page: Any, demo: Demo) -> None:
    """And nothing of other animals: how many alarms the clinic has is none of this one's."""
    sign_in(page, demo, "elm-vet", "/?show=review")
    page.goto(page.locator("tr[data-row] a.open").first.evaluate("link => link.href"))
    page.emulate_media(media="print")
    page.locator(".results").first.wait_for()
    page.locator(".paperhead").wait_for()
    shown = page.locator("body").locator(
        "button, kbd, input, select, textarea, summary, .alarmbar, a[href$='/move/']"
    )
    assert [each.evaluate("e => e.outerHTML") for each in shown.all() if each.is_visible()] == []

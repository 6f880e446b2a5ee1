"""The screens as their users walk them: by the keyboard alone and by the mouse alone, on a laptop
and on a phone."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.demo import Demo
from tests.e2e.test_main_job import sign_in

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("demo")]
LAPTOP, PHONE = 1280, 390
HERE = "element => element === document.activeElement"
Hand = Callable[[Any], None]


@pytest.fixture(params=["keyboard", "mouse"])
def hand(request: pytest.FixtureRequest, page: Any) -> Hand:
    """Presses what it is given: as the keyboard finds it, by Tab alone, or by a click."""

    def by_keys(target: Any) -> None:
        target.wait_for()
        reach(page, target)
        page.keyboard.press("Space" if target.get_attribute("type") == "checkbox" else "Enter")

    return by_keys if request.param == "keyboard" else lambda target: target.click()


@pytest.fixture(params=[LAPTOP, PHONE])
def wide(request: pytest.FixtureRequest, page: Any) -> int:
    width: int = request.param
    page.set_viewport_size({"width": width, "height": 844})
    return width


def reach(page: Any, target: Any) -> None:
    """By Tab alone; what has the focus is seen to have it."""
    for _ in range(150):
        if target.evaluate(HERE):
            break
        page.keyboard.press("Tab")
    assert target.evaluate(HERE), "no Tab leads there"
    drawn = target.evaluate(
        "element => { const own = getComputedStyle(element); return own.outlineStyle !== 'none' "
        "|| own.boxShadow !== 'none' || element.closest(':focus-within, :has(:focus-visible)') }"
    )
    assert drawn, "nobody sees where the focus is"


def press(page: Any, key: str) -> None:
    """As a person: the next key comes after the time that tells a hand from a scanner."""
    page.keyboard.press(key)
    page.wait_for_timeout(150)


def fits(page: Any, width: int) -> None:
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_patient_is_found_with_a_typo(page: Any, demo: Demo, hand: Hand, wide: int) -> None:
    sign_in(page, demo, "elm-tech", "/patients/")
    page.get_by_role("searchbox", name=re.compile("^Name, owner")).focus()
    page.keyboard.type("bicsuit", delay=130)
    found = page.locator("#live a", has_text="Biscuit").first
    found.wait_for()
    fits(page, wide)
    hand(found)
    page.get_by_role("heading", name="Biscuit").first.wait_for()
    fits(page, wide)


def test_trends_of_one_analyte_lead_to_its_result(
    page: Any, demo: Demo, hand: Hand, wide: int
) -> None:
    sign_in(page, demo, "elm-vet", "/patients/?q=P-10482")
    hand(page.locator("#live a", has_text="Biscuit").first)
    hand(page.locator("main a[href*='/trends/']").first)
    page.wait_for_url("**/trends/**")
    page.locator("figure svg").first.wait_for()
    fits(page, wide)
    hand(page.locator("details.choose summary"))
    hand(page.locator("details.choose input[type=checkbox]").first)
    hand(page.get_by_role("button", name="Show these"))
    page.wait_for_url("**a=**")
    assert page.locator("figure.plotcard").count() >= 1
    hand(page.get_by_role("button", name="A year"))
    page.wait_for_url("**span=year**")
    hand(page.locator("figure svg a").first)
    page.wait_for_url("**/requests/VL-*/**")


def test_the_owner_s_report_as_pdf_and_by_mail(
    page: Any, demo: Demo, hand: Hand, wide: int
) -> None:
    sign_in(page, demo, "elm-vet", "/patients/?q=P-10482")
    page.locator("#live a", has_text="Biscuit").first.click()
    result = page.locator("main a[href*='/requests/VL-']").first.get_attribute("href")
    page.goto(f"{demo.base}{result.partition('#')[0]}report/")
    button = page.get_by_role("button", name=re.compile("^PDF for Biscuit"))
    with page.context.expect_page() as opened:
        hand(button)
    opened.value.close()
    # The paper itself, as the form asks for it.
    form = button.locator("xpath=ancestor::form")
    token = form.locator("input[name=csrfmiddlewaretoken]").get_attribute("value")
    paper = page.request.post(
        demo.base + form.get_attribute("action"),
        form={"csrfmiddlewaretoken": token},
        headers={"Referer": demo.base},
    )
    assert paper.headers["content-type"] == "application/pdf"
    assert paper.body().startswith(b"%PDF")
    fits(page, wide)
    before = len(list((demo.var_dir / "mail").iterdir()))
    hand(page.get_by_role("checkbox", name=re.compile("^This is the address")))
    hand(page.get_by_role("button", name=re.compile("^Send the report of Biscuit")))
    page.locator(".note").first.wait_for()
    assert len(list((demo.var_dir / "mail").iterdir())) > before


def test_the_worklist_by_filter_and_by_keys(page: Any, demo: Demo, wide: int) -> None:
    sign_in(page, demo, "elm-vet", "/")
    reach(page, page.get_by_label("Species"))
    page.keyboard.type("Dog")
    reach(page, page.get_by_role("button", name=re.compile("^Filter")))
    press(page, "Enter")
    page.wait_for_url("**species=dog**")
    fits(page, wide)
    page.evaluate("document.activeElement.blur()")
    press(page, "/")
    assert page.evaluate("document.activeElement.name") == "q"
    press(page, "Escape")
    page.evaluate("document.activeElement.blur()")
    press(page, "?")
    page.locator("#keys").wait_for(state="visible")
    press(page, "Escape")
    page.locator("#keys").wait_for(state="hidden")
    for key in ("j", "j", "k"):
        press(page, key)
    chosen = page.locator("[data-row].sel")
    assert chosen.count() == 1
    address = chosen.locator("a.open").get_attribute("href")
    press(page, "Enter")
    page.wait_for_url(f"**{address}")


def test_the_worklist_by_mouse(page: Any, demo: Demo, wide: int) -> None:
    sign_in(page, demo, "elm-vet", "/")
    page.get_by_label("Species").select_option("cat")
    page.get_by_role("button", name=re.compile("^Filter")).click()
    page.wait_for_url("**species=cat**")
    fits(page, wide)
    page.get_by_role("link", name="Show everything").click()
    row = page.locator("[data-row] a.open").first
    address = row.get_attribute("href")
    row.click()
    page.wait_for_url(f"**{address}")


def test_what_is_on_the_bill_is_marked(page: Any, demo: Demo, hand: Hand, wide: int) -> None:
    sign_in(page, demo, "elm-tech", "/reconciliation/")
    boxes = page.get_by_role("checkbox", name=re.compile("charged:"))
    before = boxes.count()
    assert before, "the demo has reviewed results that nobody charged"
    fits(page, wide)
    chosen = boxes.first.get_attribute("value")
    hand(boxes.first)
    hand(page.get_by_role("button", name="Mark the chosen as charged"))
    page.locator(f"input[value='{chosen}']").wait_for(state="detached")


@pytest.mark.parametrize("width", [LAPTOP, PHONE])
def test_ordering_takes_less_than_ten_seconds(page: Any, demo: Demo, width: int) -> None:
    """By keys alone, from the worklist to the placed order, a key every 80 ms."""
    page.set_viewport_size({"width": width, "height": 844})
    sign_in(page, demo, "elm-tech", "/")
    started = time.monotonic()
    page.wait_for_timeout(120)
    page.keyboard.press("o")
    page.wait_for_url("**/requests/new/")
    page.keyboard.type("bicsuit", delay=80)
    page.locator("#hits li", has_text="Biscuit").first.wait_for()
    page.wait_for_timeout(200)
    page.keyboard.press("ArrowDown")
    page.wait_for_timeout(120)
    page.keyboard.press("Enter")
    page.wait_for_url("**patient=**")
    reach(page, page.locator(".tile input").first)
    page.keyboard.press("Space")
    page.wait_for_timeout(120)
    page.keyboard.press("Enter")
    page.wait_for_url("**/requests/VL-*/")
    took = time.monotonic() - started
    assert took < 10, f"{took:.1f} s"
    page.locator(".steps").get_by_text("Ordered").wait_for()
    fits(page, width)

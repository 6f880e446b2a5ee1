"""The screens as their users walk them: by the keyboard alone on a laptop, by the mouse alone on a
phone's width; FULL=1 for the other two as well.

What each page shows, and that axe finds nothing on it, light and dark, is in tests/http; the queue
of unmatched results and emergencies have files of their own beside this one.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.demo import Demo
from tests.e2e.test_main_job import sign_in

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("demo")]
LAPTOP, PHONE = 1280, 390
HERE = "element => element === document.activeElement"
# Whether it has the focus; from then on Tab stops there, so that ten Tabs need one question.
AWAIT = """element => {
    const stop = event => {
        if (event.key !== "Tab") removeEventListener("keydown", stop, true);
        else if (document.activeElement === element) event.preventDefault();
    };
    addEventListener("keydown", stop, true);
    return document.activeElement === element;
}"""
SEEN = (
    "element => { const own = getComputedStyle(element); return own.outlineStyle !== 'none' "
    "|| own.boxShadow !== 'none' || element.closest(':focus-within, :has(:focus-visible)') }"
)
Hand = Callable[[Any], None]
WAYS = [("keyboard", LAPTOP), ("mouse", PHONE)]
if os.environ.get("FULL"):
    WAYS += [("keyboard", PHONE), ("mouse", LAPTOP)]


@pytest.fixture(params=WAYS, ids=lambda way: f"{way[0]}-{way[1]}")
def way(request: pytest.FixtureRequest) -> tuple[str, int]:
    found: tuple[str, int] = request.param
    return found


@pytest.fixture
def wide(way: tuple[str, int], page: Any) -> int:
    page.set_viewport_size({"width": way[1], "height": 844})
    return way[1]


@pytest.fixture
def hand(way: tuple[str, int], page: Any) -> Hand:
    """Presses what it is given: as the keyboard finds it, by Tab alone, or by a click."""

    def by_keys(target: Any) -> None:
        target.wait_for()
        reach(page, target)
        ticked = target.get_attribute("type") in ("checkbox", "radio")
        page.keyboard.press("Space" if ticked else "Enter")

    return by_keys if way[0] == "keyboard" else lambda target: target.click()


Pen = Callable[[Any, str], None]


@pytest.fixture
def write(way: tuple[str, int], page: Any) -> Pen:
    """Types into a field, found as `hand` finds it."""

    def by_keys(field: Any, text: str) -> None:
        field.wait_for()
        reach(page, field)
        page.keyboard.type(text)

    def by_mouse(field: Any, text: str) -> None:
        field.click(click_count=3)  # what stands in it is typed over, as after a Tab
        page.keyboard.type(text)

    return by_keys if way[0] == "keyboard" else by_mouse


@pytest.fixture(scope="session")
def cookies() -> dict[str, Any]:
    return {}


@pytest.fixture
def enter(page: Any, demo: Demo, cookies: dict[str, Any]) -> Callable[[str, str], None]:
    """To a page as somebody who signed in a while ago."""

    def go(username: str, path: str) -> None:
        if username in cookies:
            page.context.add_cookies(cookies[username])
            page.goto(demo.base + path)
        else:
            sign_in(page, demo, username, path)
            cookies[username] = page.context.cookies()

    return go


Enter = Callable[[str, str], None]


def reach(page: Any, target: Any) -> None:
    """By Tab alone; what has the focus is seen to have it."""
    for _ in range(20):
        if target.evaluate(AWAIT):
            break
        for _ in range(10):
            page.keyboard.press("Tab")
    assert target.evaluate(HERE), "no Tab leads there"
    assert target.evaluate(SEEN), "nobody sees where the focus is"


def press(page: Any, key: str) -> None:
    """As a person: the next key comes after the time that tells a hand from a scanner."""
    page.keyboard.press(key)
    page.wait_for_timeout(150)


def fits(page: Any, width: int) -> None:
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def to_patient(page: Any, enter: Enter, username: str, patient_id: str) -> None:
    enter(username, f"/patients/?q={patient_id}")
    page.goto(page.locator("#live a.open").first.evaluate("link => link.href"))


def test_a_patient_is_found_with_a_typo(page: Any, enter: Enter, hand: Hand, wide: int) -> None:
    enter("elm-tech", "/patients/")
    page.get_by_role("searchbox", name=re.compile("^Name, owner")).focus()
    # The answer to the last letter takes the list's place, and with it what has the focus there.
    with page.expect_response(lambda answer: "q=bicsuit" in answer.url) as answered:
        page.keyboard.type("bicsuit", delay=130)
    answered.value.finished()
    found = page.locator("#live a", has_text="Biscuit").first
    found.wait_for()
    page.locator(".htmx-request, .htmx-swapping").first.wait_for(state="detached")
    fits(page, wide)
    hand(found)
    page.wait_for_url("**/patients/*-*/")
    page.locator("main").get_by_text("P-10482").first.wait_for()
    fits(page, wide)


def test_trends_of_one_analyte_lead_to_its_result(
    page: Any, enter: Enter, hand: Hand, wide: int
) -> None:
    to_patient(page, enter, "elm-vet", "P-10401")
    hand(page.get_by_role("link", name=re.compile("^All over time")))
    page.wait_for_url("**/trends/**")
    page.locator("figure svg").first.wait_for()
    fits(page, wide)
    hand(page.locator("details.choose summary"))
    hand(page.locator("details.choose input[type=checkbox]").first)
    hand(page.get_by_role("button", name="Show these"))
    page.wait_for_url("**a=**")
    assert page.locator("figure.plotcard").count() == 1
    hand(page.locator("form.periods button").nth(1))
    page.wait_for_url("**span=**")
    hand(page.locator("figure svg a").first)
    page.wait_for_url("**/requests/VL-*/**")


def test_the_owner_s_report_as_pdf_and_by_mail(
    page: Any, demo: Demo, enter: Enter, hand: Hand, wide: int
) -> None:
    to_patient(page, enter, "elm-vet", "P-10482")
    reviewed = page.locator("tr[data-row]", has_text="reviewed").first.locator("a.open")
    page.goto(reviewed.evaluate("link => link.href"))
    hand(page.get_by_role("link", name=re.compile("^Report")))
    page.wait_for_url("**/report/")
    fits(page, wide)
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
    page.bring_to_front()
    hand(page.get_by_role("checkbox", name=re.compile("^This is the address")))
    hand(page.get_by_role("button", name=re.compile("^Send the report of Biscuit")))
    page.wait_for_url("**/requests/VL-*/")
    page.get_by_text("The report was sent to").first.wait_for()


@pytest.mark.parametrize("width", [LAPTOP, PHONE])
def test_the_worklist_by_filter_and_by_keys(page: Any, enter: Enter, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    enter("elm-vet", "/")
    reach(page, page.get_by_label("Species"))
    page.keyboard.type("Dog")
    reach(page, page.get_by_role("button", name=re.compile("^Filter")))
    press(page, "Enter")
    page.wait_for_url("**species=dog**")
    fits(page, width)
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


@pytest.mark.parametrize("width", [LAPTOP, PHONE])
def test_the_worklist_by_mouse(page: Any, enter: Enter, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    enter("elm-vet", "/")
    page.get_by_label("Species").select_option("cat")
    page.get_by_role("button", name=re.compile("^Filter")).click()
    page.wait_for_url("**species=cat**")
    fits(page, width)
    page.get_by_role("link", name="Show everything").click()
    row = page.locator("[data-row] a.open").first
    address = row.get_attribute("href")
    row.click()
    page.wait_for_url(f"**{address}")


def test_what_is_on_the_bill_is_marked(page: Any, enter: Enter, hand: Hand, wide: int) -> None:
    enter("elm-tech", "/reconciliation/")
    boxes = page.get_by_role("checkbox", name=re.compile("charged:"))
    before = boxes.count()
    assert before, "the demo has reviewed results that nobody charged"
    fits(page, wide)
    chosen = boxes.first.get_attribute("value")
    hand(boxes.first)
    hand(page.get_by_role("button", name="Mark the chosen as charged"))
    page.locator(f"input[value='{chosen}']").wait_for(state="detached")


def test_two_records_are_merged_and_separated(
    page: Any, enter: Enter, hand: Hand, wide: int
) -> None:
    to_patient(page, enter, "elm-vet", "P-10421")
    hand(page.get_by_role("link", name="Merge", exact=True))
    page.wait_for_url("**/merge/")
    page.get_by_role("searchbox", name=re.compile("^The other record")).fill("Simba")
    page.keyboard.press("Enter")
    hand(page.locator("ul.hits a", has_text="Simba").first)
    page.wait_for_url("**with=**")
    fits(page, wide)
    merge = page.get_by_role("button", name=re.compile("^Merge Bella"))
    # A dog and a cat: without the name of the one that stays nothing is merged.
    hand(merge)
    assert "with=" in page.url
    page.get_by_label(re.compile("type the name")).fill("Bella")
    hand(merge)
    hand(page.get_by_role("link", name=re.compile("^What was merged")).first)
    page.get_by_role("heading", name="Merged records").wait_for()
    fits(page, wide)
    page.get_by_label("Why").fill("A dog and a cat")
    hand(page.get_by_role("button", name=re.compile("^Separate Simba")))
    page.get_by_role("heading", name="Separated again").wait_for()


def test_a_result_is_typed_and_saved_when_it_was_read_back(
    page: Any, enter: Enter, hand: Hand, wide: int
) -> None:
    to_patient(page, enter, "elm-tech", "P-10427")
    hand(page.get_by_role("link", name="Type a result"))
    hand(page.locator("a.tile").first)
    page.wait_for_url("**panel=**")
    fits(page, wide)
    page.get_by_role("textbox", name=re.compile(", value$")).first.fill("7.1")
    hand(page.get_by_role("button", name="Check what was typed"))
    hand(page.get_by_role("button", name=re.compile("^Save for Nibbles")))
    page.wait_for_url("**/requests/VL-*/")
    page.locator("main").get_by_text("7.1", exact=True).first.wait_for()
    fits(page, wide)


def test_a_favourite_of_the_catalogue(page: Any, enter: Enter, hand: Hand, wide: int) -> None:
    enter("elm-admin", "/catalogue/")
    box = page.get_by_role("checkbox", name=re.compile("Urinalysis"))
    before = box.is_checked()
    fits(page, wide)
    hand(box)
    hand(page.get_by_role("button", name=re.compile("^Save Urinalysis")))
    page.get_by_text("Urinalysis: saved.").wait_for()
    assert box.is_checked() is not before


def test_versions_stand_side_by_side(page: Any, enter: Enter, hand: Hand, wide: int) -> None:
    to_patient(page, enter, "elm-vet", "P-10408")
    page.goto(page.locator("tr[data-row] a.open").first.evaluate("link => link.href"))
    hand(page.get_by_role("link", name=re.compile("^Versions side by side")))
    page.wait_for_url("**/versions/**")
    changed = page.locator("table.beside tr.changed")
    assert changed.count() == 1
    words = changed.inner_text()
    assert "PLT" in words
    assert "41" in words
    assert "228" in words
    fits(page, wide)
    hand(page.get_by_role("button", name=re.compile("^Compare")))
    page.wait_for_url("**older=**")


# The demo has two alarms: one for each hand.
@pytest.mark.parametrize("way", [("keyboard", PHONE), ("mouse", LAPTOP)], indirect=True)
def test_an_alarm_is_acknowledged(page: Any, enter: Enter, hand: Hand, wide: int) -> None:
    enter("elm-vet", "/")
    hand(page.locator("#alarmbar").get_by_role("link", name=re.compile("^Look")))
    page.wait_for_url("**/alarms/")
    fits(page, wide)
    buttons = page.get_by_role("button", name=re.compile("^I have seen it"))
    before = buttons.count()
    assert before, "the demo has an alarm that nobody has acknowledged"
    hand(buttons.first)
    page.locator("table").get_by_text("has seen version").first.wait_for()
    assert buttons.count() == before - 1


@pytest.mark.parametrize("width", [LAPTOP, PHONE])
def test_ordering_takes_less_than_ten_seconds(page: Any, enter: Enter, width: int) -> None:
    """By keys alone, from the worklist to the placed order, a key every 80 ms."""
    page.set_viewport_size({"width": width, "height": 844})
    enter("elm-tech", "/")
    started = time.monotonic()
    page.wait_for_timeout(120)
    page.keyboard.press("o")
    page.wait_for_url("**/requests/new/")
    # A person types when the caret stands there, and chooses when what they typed was looked for.
    page.wait_for_function("document.activeElement.matches('main [name=q]')")
    with page.expect_response(lambda answer: "q=bicsuit" in answer.url):
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


@pytest.mark.parametrize(
    "way", [("keyboard", PHONE), ("mouse", PHONE), ("keyboard", LAPTOP)], indirect=True
)
def test_several_emergency_codes_are_one_line_on_a_phone(
    page: Any, demo: Demo, enter: Enter, hand: Hand, wide: int
) -> None:
    enter("elm-tech", "/")
    given = []
    for _ in range(2):
        page.goto(f"{demo.base}/")
        page.locator("#emergency").click()
        page.wait_for_url("**/emergency/*/")
        given.append(page.url)
    page.goto(f"{demo.base}/")
    fits(page, wide)
    link = page.locator("#live").get_by_role("link", name="Choose the patient").first
    if wide == PHONE:
        assert not link.is_visible()
        hand(page.locator("summary", has_text="emergency codes"))
    hand(link)
    page.wait_for_url("**/emergency/*/")
    for url in given:
        page.goto(url)
        hand(page.get_by_role("button", name="Close this code"))
        page.wait_for_url(f"{demo.base}/")


def test_an_order_with_a_label_for_its_tube(
    page: Any, enter: Enter, hand: Hand, write: Pen, wide: int, way: tuple[str, int]
) -> None:
    to_patient(page, enter, "elm-tech", "P-10419")
    hand(page.get_by_role("link", name=re.compile("^Order for Duke")))
    page.wait_for_url("**patient=**")
    fits(page, wide)
    hand(page.locator(".tile input").first)
    if way[0] == "keyboard":
        reach(page, page.get_by_role("radio", name="Routine"))
        page.keyboard.press("ArrowRight")
    else:
        page.get_by_role("radio", name="STAT").click()
    write(page.get_by_role("textbox", name=re.compile("^Label")), f"at {wide}")
    hand(page.get_by_role("button", name=re.compile("^Order for Duke, P-10419")))
    page.wait_for_url("**/requests/VL-*/")
    page.locator("main .chip.stat").first.wait_for()
    page.locator("main").get_by_text(f"“at {wide}”").first.wait_for()
    fits(page, wide)
    with page.context.expect_page() as opened:
        hand(page.get_by_role("button", name=re.compile("^Tube label")))
    opened.value.close()


def test_a_litter_and_an_animal_that_died(
    page: Any, enter: Enter, hand: Hand, write: Pen, wide: int, way: tuple[str, int]
) -> None:
    to_patient(page, enter, "elm-tech", "P-10425")
    foals = f"Foal {way[0]} {wide}"
    hand(page.locator("main .facts a[href^='/owners/']"))
    hand(page.get_by_role("link", name="Add a litter"))
    page.wait_for_url("**/litter/")
    fits(page, wide)
    write(page.get_by_label(re.compile("^Called")), foals)
    write(page.locator("main [name=marks]"), "red, blue")
    hand(page.get_by_role("button", name="Add these animals"))
    foal = page.get_by_role("link", name=f"{foals} red", exact=True)
    foal.wait_for()
    fits(page, wide)
    hand(foal)
    page.wait_for_url("**/patients/*-*/")
    hand(page.locator("summary", has_text="has died?"))
    hand(page.get_by_role("button", name=re.compile("as deceased$")))
    page.locator("main .patient.deceased").wait_for()
    hand(page.locator("summary", has_text="lives after all?"))
    hand(page.get_by_role("button", name=re.compile("^Take back that")))
    page.locator("main .patient.deceased").wait_for(state="detached")


def test_an_own_range_is_set_and_ended(
    page: Any, enter: Enter, hand: Hand, write: Pen, wide: int
) -> None:
    enter("elm-admin", "/catalogue/ranges/")
    fits(page, wide)
    for name, text in (("analyte", "HCT"), ("low", "37"), ("high", "61"), ("unit", "%")):
        write(page.locator(f"main [name={name}]"), text)
    hand(page.get_by_role("button", name="Set this range"))
    page.get_by_text("holds from now on").first.wait_for()
    hand(page.get_by_role("button", name=re.compile("^End HCT")))
    page.locator("summary", has_text="Ended").wait_for()


def test_a_screen_is_hung_on_the_wall_and_revoked(
    page: Any, browser: Any, demo: Demo, enter: Enter, hand: Hand, write: Pen, wide: int
) -> None:
    enter("elm-admin", "/screens/")
    fits(page, wide)
    write(page.get_by_label("Name of a new screen"), f"Wall {wide}")
    hand(page.get_by_role("button", name="Make a screen"))
    address = page.locator("#link").inner_text().strip()
    context = browser.new_context(viewport={"width": wide, "height": 844})
    try:
        wall = context.new_page()
        wall.goto(address)
        wall.get_by_role("button", name="Show it here").press("Enter")
        wall.wait_for_url("**/wall/")
        wall.get_by_role("heading", name=re.compile("^To review")).wait_for()
        fits(wall, wide)
        hand(page.get_by_role("button", name=f"Revoke Wall {wide}"))
        page.get_by_text("shows nothing any more").wait_for()
        wall.get_by_role("heading", name="This screen is not paired").wait_for()  # by itself
    finally:
        context.close()


def test_the_first_day_of_a_clinic(
    page: Any, demo: Demo, hand: Hand, write: Pen, wide: int, way: tuple[str, int]
) -> None:
    """What is empty says what to do, and that leads to the first order."""
    clinic, username = f"new-{'-'.join(map(str, way))}", f"boss-{way[0]}-{wide}"
    demo.command("create_clinic", "--name", "Willow Bank", "--public-id", clinic)
    password = "bluebell-4411-otter"
    demo.command(
        *("create_staff", "--clinic", clinic, "--username", username, "--role", "admin"),
        "--password-stdin",
        typed=password,
    )
    page.goto(f"{demo.base}/login/")
    write(page.get_by_label("User name"), username)
    write(page.get_by_label("Password"), password)
    hand(page.get_by_role("button", name="Sign in"))
    page.wait_for_url(f"{demo.base}/")
    steps = page.get_by_role("region", name=re.compile("^First steps"))
    assert steps.locator("li", has_text="to do").count() == 5
    page.get_by_text("Nothing waits for review.").wait_for()
    fits(page, wide)
    hand(steps.get_by_role("link", name="Import your patients"))
    page.wait_for_url("**/patients/import/")
    fits(page, wide)
    hand(page.locator("main").get_by_role("link", name="Patients", exact=True))
    hand(page.get_by_role("link", name="Add the first one"))
    page.wait_for_url("**/patients/new/")
    fits(page, wide)
    write(page.locator("main [name=name]"), "Rex")
    hand(page.get_by_role("button", name="Add patient"))
    hand(page.get_by_role("link", name=re.compile("^Order for Rex")))
    hand(page.locator(".tile input").first)
    hand(page.get_by_role("button", name=re.compile("^Order for Rex")))
    page.wait_for_url("**/requests/VL-*/")
    # Nobody has entered what Heska gave: it waits, and says where that is done.
    hand(page.locator("a.brand"))
    page.wait_for_url(f"{demo.base}/")
    assert steps.locator("li", has_text="to do").count() == 4
    hand(steps.get_by_role("button", name="Hide this list"))
    steps.wait_for(state="detached")


def test_a_file_of_patients_is_mended_and_imported(
    page: Any, enter: Enter, hand: Hand, wide: int, way: tuple[str, int], tmp_path: Path
) -> None:
    name = f"Import {way[0]} {wide}"
    key = f"IMP-{way[0]}-{wide}"
    lines = f"patient_id,name,species\n{key},{name},dog\n"
    wrong, right = tmp_path / "wrong.csv", tmp_path / "right.csv"
    wrong.write_text(f"{lines}IMP-9,,cat\n")
    right.write_text(lines)
    enter("elm-admin", "/patients/")
    hand(page.get_by_role("link", name="Import from a file"))
    page.wait_for_url("**/patients/import/")
    field = page.get_by_label("CSV file")
    check = page.get_by_role("button", name="Check the file")
    for file in (wrong, right):
        with page.expect_file_chooser() as chooser:
            hand(field)
        chooser.value.set_files(file)
        hand(check)
        if file is wrong:
            page.get_by_role("row", name=re.compile("^Line 3 name is empty")).wait_for()
            assert page.get_by_role("button", name=re.compile("^Import")).count() == 0
            # A file that was corrected can't be read again by the browser: it is chosen anew.
            assert field.input_value() == ""
            fits(page, wide)
    button = page.get_by_role("button", name="Import 1 patient")
    button.wait_for()
    fits(page, wide)
    hand(button)
    page.wait_for_url("**/patients/")
    page.get_by_text("Imported: 1 new").wait_for()
    page.goto(page.url + f"?q={key}")
    page.locator("#live a", has_text=name).first.wait_for()


# The demo has two that may be signed in bulk: one for each hand.
@pytest.mark.parametrize("way", [("keyboard", LAPTOP), ("mouse", PHONE)], indirect=True)
def test_several_are_signed(page: Any, enter: Enter, hand: Hand, wide: int) -> None:
    enter("elm-vet", "/review/")
    fits(page, wide)
    box = page.locator("main tbody input[type=checkbox]").first
    chosen = box.get_attribute("value")
    hand(box)
    hand(page.get_by_role("button", name="Sign what is ticked"))
    page.get_by_text("Signed: 1 request.").wait_for()
    page.goto(page.url)
    assert page.locator(f"main input[value='{chosen}']").count() == 0


def test_a_result_is_read_followed_up_and_signed(
    page: Any, enter: Enter, hand: Hand, write: Pen, wide: int, way: tuple[str, int]
) -> None:
    enter("elm-vet", "/?show=review")
    whole = page.locator("tr[data-row]").filter(
        has_not_text=re.compile("critical|preliminary|overdue")
    )
    page.goto(whole.first.locator("a.open").evaluate("link => link.href"))
    fits(page, wide)
    hand(page.get_by_role("link", name=re.compile("^Abnormal first")))
    page.wait_for_url("**order=abnormal**")
    hand(page.get_by_role("link", name=re.compile("^In order")))
    page.wait_for_url("**order=panel**")
    hand(page.locator("summary", has_text="Told the owner"))
    write(page.locator("#told-what"), "All is well")
    hand(page.get_by_role("button", name="Put on record, in my name"))
    page.locator("main q", has_text="All is well").first.wait_for()
    hand(page.locator("summary", has_text="Follow up"))
    write(page.locator("#follow-what"), "Call again")
    # A date is typed as the browser's language has it.
    page.locator("#follow-by").fill(f"{datetime.now(UTC) + timedelta(days=30):%Y-%m-%d}")
    hand(page.get_by_role("button", name="Put on the list"))
    page.locator("main .follow", has_text="Call again").first.wait_for()
    write(page.get_by_label("Note to the results"), "Seen")
    sign = page.get_by_role("button", name=re.compile("^Sign off: "))
    if way[0] == "keyboard":
        page.evaluate("document.activeElement.blur()")
        press(page, "r")
        assert sign.evaluate(HERE), "R leads to the signature"
    hand(sign)
    page.locator("main .signed", has_text="reviewed").first.wait_for()
    fits(page, wide)


def test_a_review_is_given_to_a_colleague_and_back(
    page: Any, demo: Demo, enter: Enter, hand: Hand, write: Pen, wide: int, way: tuple[str, int]
) -> None:
    colleague, password = f"vet-{way[0]}-{wide}", "bluebell-4411-otter"
    demo.command(
        *("create_staff", "--clinic", "clinic-0042", "--username", colleague, "--role", "vet"),
        "--password-stdin",
        typed=password,
    )

    def give(to: str, note: str) -> None:
        hand(page.locator("summary", has_text="Give the review to a colleague"))
        choice = page.locator("#hand-to")
        if way[0] == "keyboard":
            reach(page, choice)
            page.keyboard.type(to)
        else:
            choice.select_option(to)
        write(page.locator("#hand-note"), note)
        hand(page.get_by_role("button", name="Hand over"))
        page.get_by_text(f"The review is {to}'s now").wait_for()
        page.locator("main q", has_text=note).wait_for()
        fits(page, wide)

    enter("elm-vet", "/?show=review")
    address = page.locator("tr[data-row] a.open").first.evaluate("link => link.href").split("#")[0]
    page.goto(address)
    give(colleague, f"Please, at {wide}")

    page.context.clear_cookies()
    page.goto(f"{demo.base}/login/")
    write(page.get_by_label("User name"), colleague)
    write(page.get_by_label("Password"), password)
    hand(page.get_by_role("button", name="Sign in"))
    page.wait_for_url(f"{demo.base}/")
    hand(page.get_by_role("checkbox", name="Mine"))
    hand(page.get_by_role("button", name=re.compile("^Filter")))
    page.wait_for_url("**mine=1**")
    mine = page.locator("tr[data-row]", has_text=f"{colleague}handed over")
    fits(page, wide)
    hand(mine.locator("a.open"))
    page.wait_for_url(f"{address}**")
    page.get_by_text("Sam Sample gave the review to you").wait_for()
    give("Sam Sample", f"Back, at {wide}")

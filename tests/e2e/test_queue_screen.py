"""The queue of unmatched results in a browser: its keys, what a scanner types there, what arrives
meanwhile, two people at once, and how it reads to whoever does not see or does not scroll."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from labs.models import Clinic, LabEvent, MatchDecision, UnmatchedResult
from labs.queries.orphaned.automatic import MODEL
from labs.services.orphaned import automatic, matching
from tests import factories

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.django_db(transaction=True),
    pytest.mark.xdist_group("queue"),
]
Open = Callable[..., Any]
LAPTOP = {"width": 1366, "height": 768}
FOCUSED = "document.activeElement.textContent.trim().replace(/\\s+/g, ' ')"


@pytest.fixture(scope="module", autouse=True)
def beside_playwright() -> Iterator[None]:
    """Its loop in this thread makes Django refuse the database, which it never touches."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        yield


@pytest.fixture(scope="module")
def chrome(chromium: str, beside_playwright: None) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def clinic() -> Clinic:
    return factories.make_clinic(
        automatic="on",
        automatic_since=timezone.now() - timedelta(hours=1),
        automatic_model=MODEL,
    )


@pytest.fixture
def ana(clinic: Clinic) -> User:
    return factories.make_staff(clinic=clinic, username="ana", first_name="Ana")


@pytest.fixture
def ben(clinic: Clinic) -> User:
    return factories.make_staff("vet", clinic=clinic, username="ben", first_name="Ben")


@pytest.fixture
def open_as(chrome: Any, live_server: Any) -> Iterator[Open]:
    """A window of that person's, on that page. A page error, or something that the content policy
    refuses, fails the test."""
    said: list[str] = []
    contexts = []

    def open_page(user: User, path: str, **options: Any) -> Any:
        client = Client()
        client.force_login(user)
        context = chrome.new_context(**{"viewport": LAPTOP, **options})
        contexts.append(context)
        session = client.cookies["session"].value
        context.add_cookies([{"name": "session", "value": session, "url": live_server.url}])
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on(
            "console",
            lambda line: said.append(line.text) if "Content Security" in line.text else None,
        )
        page.goto(live_server.url + path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert said == []


def press(page: Any, key: str) -> None:
    """As a person: the next key comes after the time that tells a hand from a scanner."""
    page.keyboard.press(key)
    page.wait_for_timeout(200)


def scan(page: Any, code: str) -> None:
    """As a scanner: its keys come at once, also where the machine that runs this is busy."""
    page.clock.install()
    page.clock.pause_at(time.time() + 3600)
    page.keyboard.type(code)
    page.keyboard.press("Enter")
    page.clock.resume()
    page.wait_for_timeout(800)


def decisions() -> list[tuple[str, str, str]]:
    rows = MatchDecision.objects.order_by("pk").select_related("actor", "unmatched")
    return [
        (row.unmatched.typed["patient_name"], row.action, row.actor.username if row.actor else "")
        for row in rows
    ]


def certain(clinic: Clinic, name: str, number: int) -> UnmatchedResult:
    """An animal with a name and an id of its own, and a result that was typed so."""
    owner = factories.make_owner(clinic, last_name=f"Owner{name}")
    factories.make_patient(
        clinic, name=name, patient_id=f"P-8840{number}", owner=owner, sex="M", species="dog"
    )
    return factories.make_unmatched(
        clinic,
        patient_name=name.upper(),
        patient_id=f"P-8840{number}",
        owner_last_name=owner.last_name.upper(),
        sex_code="M",
    )


@pytest.fixture
def attached(clinic: Clinic) -> list[UnmatchedResult]:
    """Three automatic matches that nobody has looked at."""
    found = [certain(clinic, name, n) for n, name in enumerate(("Quincy", "Waldo", "Zelda"))]
    assert automatic.sweep() == 3
    return found


def test_automatic_matches_are_looked_at_by_two_keys(
    clinic: Clinic, ana: User, open_as: Open, attached: list[UnmatchedResult]
) -> None:
    page = open_as(ana, "/unmatched/")
    page.get_by_role("link", name="Look at them").click()
    page.wait_for_url("**/?state=automatic")
    press(page, "c")
    assert len(decisions()) == 3, "no row was chosen"
    press(page, "j")
    press(page, "j")
    press(page, "c")
    page.locator("tr", has_text="WALDO").wait_for(state="detached")
    assert decisions()[3:] == [("WALDO", "confirm", "ana")]
    press(page, "j")
    press(page, "z")
    page.get_by_text("Automatic matching has switched itself off.").wait_for()
    assert decisions()[4:] == [("QUINCY", "unmatch", "ana")]
    page.locator("[data-row].sel").wait_for()  # the single row that is left, at a page's opening
    press(page, "z")
    page.get_by_text("None.", exact=True).wait_for()
    assert decisions()[5:] == [("ZELDA", "unmatch", "ana")]


def test_a_certain_one_takes_three_keys_and_one_takes_it_back(
    clinic: Clinic, ana: User, open_as: Open
) -> None:
    Clinic.objects.update(automatic="off")
    orphan = certain(clinic, "Quincy", 1)
    page = open_as(ana, "/unmatched/")
    page.locator("a.open").focus()
    keys = ["Enter", "1", "Enter"]
    press(page, keys[0])
    page.get_by_text("Whose result is this?").first.wait_for()
    assert page.locator("#card-1 .m-grade-certain").count() == 1
    press(page, keys[1])
    assert page.evaluate(FOCUSED) == "Attach to Quincy, OwnerQuincy, P-88401"
    press(page, keys[2])
    page.get_by_text("Attached to Quincy").first.wait_for()
    assert decisions() == [("QUINCY", "match", "ana")]
    press(page, "u")
    page.get_by_text("Whose result is this?").first.wait_for()
    assert decisions()[1:] == [("QUINCY", "unmatch", "ana")]
    orphan.refresh_from_db()
    assert orphan.state == "open"


def test_the_undo_bar_goes_after_half_a_minute(clinic: Clinic, ana: User, open_as: Open) -> None:
    orphan = factories.make_unmatched(clinic)
    patient = factories.make_patient(clinic)
    matching.match(
        acting_user=ana, unmatched=orphan, patient=patient, expected_version=orphan.version
    )
    page = open_as(ana, "/unmatched/")
    page.clock.install()
    page.goto(page.url + f"{orphan.uuid}/")
    page.locator(".m-undo").wait_for()
    page.clock.fast_forward(31_000)
    page.locator(".m-undo").wait_for(state="detached")
    assert page.locator("#reason").count() == 1


def test_a_double_click_attaches_once_and_says_so(clinic: Clinic, ana: User, open_as: Open) -> None:
    factories.make_patient(clinic, patient_id="P-10482")
    orphan = factories.make_unmatched(clinic, owner_last_name="EXAMPLE")
    page = open_as(ana, f"/unmatched/{orphan.uuid}/")
    page.locator("#card-1 .m-attach").dblclick()
    page.get_by_text("Attached to Biscuit").first.wait_for()
    assert len(decisions()) == 1


@pytest.mark.parametrize(
    "where",
    [
        "",
        "?state=automatic",
        "?state=matched",
        "quality/",
        "{waits}/",
        "{waits}/new/",
        "{waits}/history/",
        "{done}/",
    ],
)
def test_what_a_scanner_types_only_searches(
    clinic: Clinic,
    ana: User,
    open_as: Open,
    attached: list[UnmatchedResult],
    where: str,
) -> None:
    """Each sign of it is a key somewhere, and it ends with Enter while something is chosen."""
    waits = certain(clinic, "Biscuit", 7)
    factories.make_unmatched(clinic, patient_name="QC")
    path = "/unmatched/" + where.format(waits=waits.uuid, done=attached[0].uuid)
    page = open_as(ana, path)
    press(page, "1" if where == "{waits}/" else "c" if where == "{done}/" else "j")
    scan(page, "CZU1HNP88407")
    assert len(decisions()) == 3
    assert page.url.endswith("/patients/?q=CZU1HNP88407") or (
        page.url.endswith(path) and page.input_value("#find") == "CZU1HNP88407"
    )


@pytest.mark.parametrize("where", ["?state=automatic", "{done}/"])
def test_keys_that_are_switched_off_do_nothing(
    clinic: Clinic,
    ana: User,
    open_as: Open,
    attached: list[UnmatchedResult],
    where: str,
) -> None:
    page = open_as(ana, "/unmatched/" + where.format(done=attached[0].uuid))
    page.evaluate("localStorage.setItem('single-keys', 'off')")
    page.reload()
    for key in "jczu1":
        press(page, key)
    assert len(decisions()) == 3
    assert page.url.endswith(where.format(done=attached[0].uuid))


def test_what_comes_meanwhile_neither_moves_nor_replaces_what_is_chosen(
    clinic: Clinic, ana: User, ben: User, open_as: Open
) -> None:
    """A better candidate and another result arrive while a card has the focus: Enter attaches to
    the animal that was shown."""
    shown = factories.make_patient(clinic, name="Biscuit", patient_id="P-10482")
    orphan = factories.make_unmatched(clinic, owner_last_name="EXAMPLE", patient_id="P-99001")
    page = open_as(ana, f"/unmatched/{orphan.uuid}/")
    press(page, "1")
    card = page.locator("#card-1").element_handle()
    better = factories.make_patient(clinic, name="Biscuit", patient_id="P-99001")
    factories.make_unmatched(clinic, owner_last_name="EXAMPLE", patient_name="LATER")
    with page.expect_response(lambda answer: "/changed/" in answer.url, timeout=15_000):
        pass
    with page.expect_response(lambda answer: "/nav/" in answer.url, timeout=25_000):
        pass
    page.wait_for_timeout(300)
    assert card.evaluate("element => element.isConnected")
    assert page.evaluate(FOCUSED) == "Attach to Biscuit, Example, P-10482"
    press(page, "Enter")
    page.get_by_text("Attached to Biscuit").first.wait_for()
    decision = MatchDecision.objects.get()
    assert decision.patient == shown
    # Not so by itself: whoever opens the page now sees the better one first.
    orphan.refresh_from_db()
    matching.unmatch(
        acting_user=ana, unmatched=orphan, expected_version=orphan.version, reason="Test"
    )
    fresh = open_as(ben, f"/unmatched/{orphan.uuid}/")
    assert better.patient_id in fresh.locator("#card-1").inner_text()


def test_a_row_that_is_chosen_stays_chosen_and_no_other_takes_its_place(
    clinic: Clinic, ana: User, ben: User, open_as: Open, attached: list[UnmatchedResult]
) -> None:
    page = open_as(ana, "/unmatched/?state=automatic")
    press(page, "j")
    href = page.locator("[data-row].sel a.open").get_attribute("href")
    certain(clinic, "Yoda", 5)
    assert automatic.sweep() == 1
    page.locator("tr", has_text="YODA").wait_for()
    assert page.locator("[data-row].sel a.open").get_attribute("href") == href
    for orphan in attached:
        orphan.refresh_from_db()
        automatic.confirm(acting_user=ben, unmatched=orphan, expected_version=orphan.version)
    page.locator("tr", has_text="QUINCY").wait_for(state="detached")
    assert page.locator("[data-row]").count() == 1
    before = len(decisions())
    press(page, "c")
    press(page, "z")
    page.wait_for_timeout(300)
    assert len(decisions()) == before, "it acted on a row that the person had not chosen"


def test_a_colleague_who_looks_at_it_is_named(
    clinic: Clinic, ana: User, ben: User, open_as: Open
) -> None:
    orphan = factories.make_unmatched(clinic)
    first = open_as(ana, f"/unmatched/{orphan.uuid}/")
    with first.expect_response(lambda answer: "active=1" in answer.url):
        pass
    second = open_as(ben, f"/unmatched/{orphan.uuid}/")
    second.get_by_text("Ana is looking at this").wait_for()
    asked: list[str] = []
    first.on("request", lambda sent: asked.append(sent.url) if "/changed/" in sent.url else None)
    first.get_by_text("Ben is looking at this").wait_for()
    first.wait_for_timeout(6_000)
    assert asked and not any("active" in url for url in asked), "asking is no activity"
    first.mouse.move(200, 200)
    with first.expect_response(lambda answer: "active=1" in answer.url):
        pass


def test_a_second_person_checks_by_a_key(
    clinic: Clinic, ana: User, ben: User, open_as: Open
) -> None:
    orphan = factories.make_unmatched(clinic, owner_last_name="EXAMPLE")
    factories.make_patient(clinic, species="cat", patient_id="P-10482")
    page = open_as(ana, f"/unmatched/{orphan.uuid}/")
    press(page, "1")
    page.keyboard.type("Biscuit", delay=120)
    press(page, "Enter")
    page.get_by_text("A colleague looks at it too").wait_for()
    page = open_as(ana, "/unmatched/?state=matched")
    press(page, "j")
    press(page, "c")
    assert len(decisions()) == 1, "nobody checks their own"
    page = open_as(ben, "/unmatched/?state=matched")
    press(page, "c")
    page.get_by_text("checked as a second person by Ben").wait_for()
    assert decisions()[1:] == [("BISCUIT", "check", "ben")]


def test_namesakes_differ_in_bold_and_above_the_fold(
    clinic: Clinic, ana: User, open_as: Open
) -> None:
    """31 of 132 wrong identifications of one study were a wrong choice among similar names."""
    for number, sex, chip in ((1, "F", "985112000000001"), (2, "M", "985112000000002")):
        owner = factories.make_owner(clinic, last_name="Smith", first_name="Ann")
        factories.make_patient(
            clinic,
            name="Bella",
            patient_id=f"P-1000{number}",
            owner=owner,
            sex=sex,
            microchip=chip,
        )
    orphan = factories.make_unmatched(
        clinic, patient_name="BELLA", owner_last_name="SMITH", sex="Female", sex_code="F"
    )
    page = open_as(ana, f"/unmatched/{orphan.uuid}/")
    what = page.locator("#card-2 .m-separates b")
    assert "Sex" in what.inner_text() or "sex" in what.inner_text()
    for each in (what, page.locator("#card-1 .m-attach"), page.locator("#card-2 .m-attach")):
        assert int(each.evaluate("element => getComputedStyle(element).fontWeight")) >= 600
        box = each.bounding_box()
        assert box is not None and box["y"] + box["height"] <= LAPTOP["height"]
    sexes = page.locator(".m-candidate .m-cell", has_text="Sex")
    assert sexes.count() == 2
    for sign, cell in (("m-agree", sexes.nth(0)), ("m-conflict", sexes.nth(1))):
        assert sign in cell.get_attribute("class")
        box = cell.bounding_box()
        assert box is not None and box["y"] + box["height"] <= LAPTOP["height"]
    assert page.evaluate("document.documentElement.scrollHeight") >= LAPTOP["height"]


def test_with_every_field_given_what_decides_is_seen_without_scrolling(
    clinic: Clinic, ana: User, open_as: Open
) -> None:
    """Fifteen lines, three cards, a critical value and two requests to choose from."""
    for number in range(3):
        owner = factories.make_owner(clinic, last_name="Horvath-Lindqvist", first_name="Ivana")
        patient = factories.make_patient(
            clinic,
            name="Smokey",
            patient_id=f"P-1041{number}",
            owner=owner,
            species="cat",
            sex="M",
            neutered=True,
            breed="Domestic Shorthair",
            birth_date="2018-04-17",
            microchip=f"98511200000011{number}",
        )
        for _ in range(2):
            factories.make_request(patient, acting_user=ana, accepted=True)
    orphan = factories.make_unmatched(
        clinic,
        patient_name="SMOKEY",
        patient_id="P-10419",
        owner_last_name="HORVATH",
        owner_first_name="IVAN",
        owner_id="C-2112",
        microchip="985112000000112",
        species="FELINE",
        species_code="cat",
        sex="CM",
        sex_code="M",
        breed="DSH",
        birth_date="2018-04-17",
        weight="7.29",
        weight_unit="kg",
        doctor="Sample, Sam",
    )
    page = open_as(ana, f"/unmatched/{orphan.uuid}/")
    buttons = page.locator(".m-candidate .m-attach")
    assert buttons.count() == 3
    above = [*page.locator(".m-candidate .m-cell").all(), *page.locator(".m-separates").all()]
    for what in page.locator(".m-separates").all():
        covers = "e => { const b = e.getBoundingClientRect();"
        covers += " return document.elementFromPoint(b.x + 5, b.bottom - 5).closest('.m-attach') }"
        assert what.evaluate_handle(covers).as_element() is None, "the button covers what differs"
    for seen in [*buttons.all(), *above]:
        box = seen.bounding_box()
        assert box is not None and box["y"] + box["height"] <= LAPTOP["height"], seen.inner_text()
    assert page.evaluate("scrollY") == 0


def test_paper_counts_as_seen(clinic: Clinic, ana: User, ben: User, open_as: Open) -> None:
    orphan = factories.make_unmatched(clinic)
    patient = factories.make_patient(clinic)
    request = matching.match(
        acting_user=ana, unmatched=orphan, patient=patient, expected_version=orphan.version
    )
    page = open_as(ben, f"/requests/{request.lab_report_id}/")
    assert not LabEvent.objects.filter(verb="result.printed").exists()
    with page.expect_response(lambda answer: answer.url.endswith("/printed/")) as told:
        page.pdf()  # the browser's own printing
    assert told.value.status == 204
    assert LabEvent.objects.get(verb="result.printed").actor == ben
    mine = open_as(ana, f"/unmatched/{orphan.uuid}/")
    assert "Ben printed it" in mine.locator(".m-outcome").inner_text()


UNNAMED = """() => [...document.querySelectorAll("a[href], button, input, select, textarea")]
    .filter((e) => e.checkVisibility() && e.type !== "hidden")
    .filter((e) => !(e.ariaLabel || e.labels?.[0]?.textContent.trim() || e.textContent.trim()
        || e.getAttribute("aria-labelledby")))
    .map((e) => e.outerHTML)"""
TWICE = """() => {
    const names = [...document.querySelectorAll("main button")].filter((e) => e.checkVisibility())
        .map((e) => e.ariaLabel || e.textContent.trim());
    return names.filter((name, at) => names.indexOf(name) !== at);
}"""


def test_everything_has_a_name_and_the_card_is_reached_by_tab(
    clinic: Clinic, ana: User, open_as: Open, attached: list[UnmatchedResult]
) -> None:
    waits = certain(clinic, "Biscuit", 7)
    for path in ("?state=automatic", f"{waits.uuid}/", f"{attached[0].uuid}/"):
        page = open_as(ana, f"/unmatched/{path}")
        assert page.evaluate(UNNAMED) == [], path
        assert page.evaluate(TWICE) == [], path
    page = open_as(ana, f"/unmatched/{waits.uuid}/")
    card = page.get_by_role("article", name="Biscuit, OwnerBiscuit, P-88407")
    assert card.get_by_role("button", name="Attach to Biscuit, OwnerBiscuit, P-88407").count() == 1
    reached = []
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.append(page.evaluate(FOCUSED))
        if reached[-1].startswith("Attach to"):
            break
    assert reached[-1] == "Attach to Biscuit, OwnerBiscuit, P-88407"
    signs = card.locator(".m-words").all_inner_texts()
    assert "agrees:" in signs, "what the colour says is said in words"


@pytest.mark.parametrize(
    ("width", "height"),
    [(390, 844), (683, 384), (640, 512), (1280, 800)],
    ids=["phone", "laptop at 200 %", "1280 at 200 %", "1280"],
)
def test_nothing_sticks_out(
    clinic: Clinic,
    ana: User,
    ben: User,
    open_as: Open,
    attached: list[UnmatchedResult],
    width: int,
    height: int,
) -> None:
    waits = certain(clinic, "Biscuit", 7)
    factories.make_patient(clinic, name="Biscuit", species="cat")
    size = {"width": width, "height": height}
    for path in ("", "?state=automatic", f"{waits.uuid}/", f"{attached[0].uuid}/"):
        page = open_as(ana, f"/unmatched/{path}", viewport=size)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path

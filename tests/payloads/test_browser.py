"""Script in every field, on every page, in a real browser: none runs.

By default each list with all payloads, and each page of one record for a few of the records;
FULL=1 looks at each of the 60 records in full.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pypdf import PdfReader

from integrations.heska.connections import create_client
from integrations.heska.models import Contact
from labs.models import (
    FollowUp,
    HandOver,
    JournalCheck,
    LabRequest,
    Owner,
    OwnerTold,
    Patient,
    Role,
    Turnaround,
    UnmatchedResult,
)
from labs.spreadsheet import FORMULA
from tests import factories
from tests.heska import examples
from tests.http.cells import lines
from tests.http.world import CATALOGUE, Place, make_place
from tests.payloads.fill import columns, events, fill, filled
from tests.payloads.strings import PAYLOADS

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]
FULL = os.environ.get("FULL") == "1"
RECORDS = 60 if FULL else 6
NO_PAGE = {"alarmnotice.address"}  # for the mail alone
# In the page before all else. The last hears what the policy kept from running.
HOOK = """
window.__pwned = [];
window.pwned = () => window.__pwned.push("it ran");
document.addEventListener("securitypolicyviolation", (event) =>
    window.__pwned.push(`the policy refused ${event.violatedDirective} ${event.blockedURI}`));
"""
LOOK = """() => [
    ...window.__pwned,
    ...[...document.querySelectorAll("[data-pwned]")].map((e) => `an element: ${e.outerHTML}`),
    ...[...document.querySelectorAll("[href],[src],[action],[hx-get],[hx-post]")]
        .filter((e) => /^\\s*(j\\s*a\\s*v\\s*a\\s*script|data:text)|pwned\\.invalid/i.test(
            [e.href?.baseVal ?? e.href, e.src, e.getAttribute("action"), e.getAttribute("hx-get"),
             e.getAttribute("hx-post")].find((a) => typeof a === "string" && a) ?? ""))
        .filter((e) => new URL(e.href || e.src || location.href, location.href).origin
            !== location.origin)
        .map((e) => `an address: ${e.outerHTML.slice(0, 200)}`),
]"""


@pytest.fixture
def place() -> Place:
    """A clinic with one of everything and 60 of what lists show, each text of it a payload."""
    made = make_place("Elm Street", "Marigold")
    clinic = made.clinic
    boss = factories.make_staff(
        Role.ADMIN, clinic=clinic, username="boss", is_staff=True, is_superuser=False
    )
    made.rows["boss"] = boss
    many(made)
    post(made)
    care(made, boss)
    operations(made)
    count = fill()
    # A column of which there is no row proves nothing.
    assert {c for m in filled() for c in names(m)} - set(count) <= NO_PAGE
    events(clinic, made.rows["patient"])
    return made


def care(place: Place, boss: User) -> None:
    """What people write about a result, on each page that shows one."""
    now = timezone.now()
    for request in LabRequest.objects.filter(clinic=place.clinic).order_by("pk"):
        whose: dict[str, Any] = {"clinic": place.clinic, "request": request}
        OwnerTold.objects.create(**whose, what="said", version=1, told_by=boss, told_at=now)
        HandOver.objects.create(**whose, given_by=boss, given_to=boss, given_at=now, note="why")
        todo = FollowUp(**whose, what="ring", assigned_to=boss, made_by=boss, made_at=now)
        todo.due_on = now.date()
        todo.save()
        FollowUp.objects.create(
            **whose,
            what="rang",
            done_note="reached",
            assigned_to=boss,
            made_by=boss,
            made_at=now,
            due_on=now.date(),
            done_by=boss,
            done_at=now,
        )


def operations(place: Place) -> None:
    """What we know of how it goes with the laboratory."""
    now, clinic = timezone.now(), place.clinic
    for kind in Contact.Kind.values:
        words = {"bad_at": now, "bad_why": "refused", "bad_words": "said"}
        Contact.objects.update_or_create(clinic=clinic, kind=kind, defaults=words)
    JournalCheck.objects.create(
        clinic=clinic, checked_at=now, holds=False, received=2, accounted=1, lost=["R-1"]
    )
    Turnaround.objects.create(
        clinic=clinic,
        analyzer_model="one",
        runs=9,
        usual_seconds=60,
        slow_seconds=90,
        learnt_at=now,
    )


def names(model: type[Any]) -> list[str]:
    return [f"{model._meta.model_name}.{field.attname}" for field in columns(model)]


def many(place: Place) -> None:
    clinic = place.clinic
    for number in range(len(PAYLOADS)):
        patient = factories.make_patient(clinic)
        if number < RECORDS or number % 10 == 0:
            factories.make_result(factories.make_request(patient, accepted=True))
            factories.make_unmatched(clinic)
    rows = [
        factories.make_row(f"X{n}", "1", name=p, unit=p[:30], comments=(p,), flag=p[:10])
        for n, p in enumerate(PAYLOADS)
    ]
    files = [
        factories.make_picture(attachment_id=f"F{n}", file_name=p, description=p)
        for n, p in enumerate(PAYLOADS)
    ]
    request = place.rows["open"]
    assert isinstance(request, LabRequest)
    run = factories.make_run(rows, files=tuple(files), comments=tuple(PAYLOADS))
    report = factories.make_report([run], comments=tuple(PAYLOADS))
    factories.make_result(request, report)


def post(place: Place) -> None:
    """As the laboratory sends it: its bodies as they came, and its headers."""
    access = create_client(acting_user=None, clinic=place.clinic)
    client = Client()
    form = {"client_id": access.client_id, "client_secret": access.client_secret}
    answer = client.post("/api/oauth/token", form, content_type="application/json")
    head = {"HTTP_AUTHORIZATION": f"Bearer {answer.json()['access_token']}"}
    url = reverse("heska:unmatched", args=place.objects["clinic"])
    for number, payload in enumerate(PAYLOADS):
        body = examples.load("08")
        body["MessageId"], body["HeskaReportId"] = f"message-{number}", f"{number} {payload}"
        body["Patient"] = dict.fromkeys(("PatientId", "Name", "Species", "Breed", "Sex"), payload)
        body["Client"] = {"ClientId": payload, "FirstName": payload, "LastName": payload}
        body["Comments"] = [{"Text": payload}, payload]
        for each in body["Tests"]:
            each |= {"TestName": payload, "TestRunId": f"{number} {payload}", "Category": payload}
            each["Analyzer"] = dict.fromkeys(("Type", "Model", "SerialNumber", "Name"), payload)
            for row in each["Results"]:
                row |= {"AnalyteName": payload, "Units": payload, "AbnormalFlag": payload}
                row |= {"Comments": [payload], "ReferenceText": payload, "Value": payload}
                row |= {"ReferenceLow": payload, "ReferenceHigh": payload, "CriticalLow": payload}
        agent = {"HTTP_USER_AGENT": payload.replace("\r", "").replace("\n", "")}
        answer = client.post(url, body, content_type="application/json", **head, **agent)
        assert answer.status_code in (201, 202), answer.content


def addresses(place: Place) -> Iterator[str]:
    for line in lines():
        name, kind = line.name, line.kind
        if line.method != "GET" or name.endswith("login"):
            continue
        if kind in CATALOGUE:
            continue
        arguments = () if kind == "-" else ("labs",) if kind == "app" else place.objects[kind]
        if kind == "client":  # under its clinic's address
            arguments = (*place.objects["clinic"], *arguments)
        yield reverse(name, args=arguments)
    for page, query in (("patients", "q"), ("worklist", "q"), ("unmatched", "q"), ("find", "q")):
        for payload in PAYLOADS[:: 1 if FULL else 12]:
            yield f"{reverse(f'labs:{page}')}?{query}={re.sub(r'.', quoted, payload)}"
    for page in ("patients", "unmatched", "messages", "audit"):
        yield f"{reverse(f'labs:{page}')}?page=2"
    clinic = place.clinic
    for each in UnmatchedResult.objects.filter(clinic=clinic).order_by("-pk")[:RECORDS]:
        yield reverse("labs:match", args=[each.uuid])
        yield reverse("labs:unmatched_history", args=[each.uuid])
    for request in LabRequest.objects.filter(clinic=clinic).order_by("-pk")[:RECORDS]:
        yield reverse("labs:request", args=[request.lab_report_id])
    for patient in Patient.objects.filter(clinic=clinic).order_by("-pk")[:RECORDS]:
        yield reverse("labs:patient", args=[patient.uuid])


def quoted(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02x}" for byte in found[0].encode())


def look(chromium: str, kept: dict[str, str], base: str, paths: list[str]) -> dict[str, list[str]]:
    """What of the payloads became more than text, by address. In a thread of its own: Playwright's
    loop forbids Django the database in the one where it runs."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(_look, chromium, kept, base, paths).result()


def _look(chromium: str, kept: dict[str, str], base: str, paths: list[str]) -> dict[str, list[str]]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        found = _through(browser, kept, base, paths)
        browser.close()
    return found


def _through(
    browser: Any, kept: dict[str, str], base: str, paths: list[str]
) -> dict[str, list[str]]:
    from playwright.sync_api import Error

    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.add_cookies([{"name": n, "value": v, "url": base} for n, v in kept.items()])
    context.add_init_script(HOOK)
    page = context.new_page()
    said: list[str] = []
    page.on("dialog", lambda dialog: (said.append("a dialog"), dialog.dismiss()))
    page.on("pageerror", lambda error: said.append(f"an error: {error}"))
    page.on(
        "request",
        lambda asked: said.append(f"asked {asked.url}") if "//pwned.inv" in asked.url else None,
    )
    found: dict[str, list[str]] = {}
    for path in paths:
        said.clear()
        try:
            answer = page.goto(base + path, wait_until="load")
        except Error as error:
            # A file is none of the browser's business; it is looked at below.
            if "Download is starting" not in str(error):
                raise
            continue
        what = [*said, *page.evaluate(LOOK)]
        if answer and answer.status >= 500:
            what.append(f"status {answer.status}")
        if what:
            found[path] = what
    context.close()
    return found


def test_no_script_runs(place: Place, live_server: Any, chromium: str) -> None:
    paths = list(dict.fromkeys(addresses(place)))
    client = Client()
    client.force_login(User.objects.get(pk=place.rows["boss"].pk))
    no_file_runs(client, paths)
    no_mail_runs(client, place)
    kept = {"session": client.cookies["session"].value, "wall": place.wall_key}
    found = look(chromium, kept, live_server.url, paths)
    print(f"{len(PAYLOADS)} payloads, {len(paths)} addresses")
    assert found == {}


def no_file_runs(client: Client, paths: list[str]) -> None:
    """What is downloaded: no cell is a formula, and no browser shows it as a page."""
    cells = files = 0
    for path in paths:
        answer = client.get(path)
        kind = answer.get("Content-Type", "")
        if kind.startswith("text/html"):
            continue
        files += answer.status_code == 200
        assert answer.status_code != 200 or answer["X-Content-Type-Options"] == "nosniff"
        assert "\n" not in answer.get("Content-Disposition", "")
        if kind.startswith("text/csv"):
            rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
            formulas = [
                cell
                for row in rows
                for cell in row
                if cell.startswith(FORMULA) and not re.fullmatch(r"-?[\d.]+", cell)
            ]
            assert formulas == [], path
            cells += sum(len(row) for row in rows)
    assert files >= 3 and cells > len(PAYLOADS)


def no_mail_runs(client: Client, place: Place) -> None:
    """Nothing of a name becomes a header of the mail, or a page in it; nothing in the PDF acts."""
    request = place.rows["signed"]
    assert isinstance(request, LabRequest)
    for number, payload in enumerate(PAYLOADS):
        name, fields = payload[:100], ("first_name", "last_name")
        Patient.objects.filter(pk=request.patient_id).update(name=name)
        owner = Owner.objects.filter(pk=request.patient.owner_id)
        owner.update(**dict.fromkeys(fields, name), email=f"owner-{number}@example.com")
        request.refresh_from_db()
        form = {"version": request.version, "address": f"owner-{number}@example.com"}
        url = reverse("labs:send_report", args=[request.lab_report_id])
        client.post(url, {**form, "confirmed": "1"})
    assert len(mail.outbox) == len(PAYLOADS)
    for number, sent in enumerate(mail.outbox):
        message = sent.message()
        assert message.get_all("To") == [f"owner-{number}@example.com"]
        assert not {"Bcc", "Cc", "Set-Cookie"} & set(message.keys())
        kinds = {part.get_content_type() for part in message.walk()}
        assert kinds <= {"multipart/mixed", "text/plain", "application/pdf"}
        (paper,) = (p for p in message.walk() if p.get_content_type() == "application/pdf")
        body = paper.get_payload(decode=True)
        assert isinstance(body, bytes) and body.startswith(b"%PDF")
        pages = PdfReader(io.BytesIO(body))
        assert not {"/OpenAction", "/AA", "/Names", "/AcroForm"} & set(pages.trailer["/Root"])
        assert not any({"/AA", "/Annots"} & set(each) for each in pages.pages)

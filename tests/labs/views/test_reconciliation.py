from __future__ import annotations

import csv
import io
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from labs.models import Clinic, LabEvent, LabRequest, Turnaround
from labs.services.reviews import review
from tests import factories

SignIn = Callable[[User], Client]
PAGE = "/reconciliation/"


def part(page: str, name: str) -> str:
    return " ".join(page.partition(f'id="t-{name}"')[2].partition("</section>")[0].split())


def made(clinic: Clinic, bob: User, name: str, *, result: bool, signed: bool) -> LabRequest:
    request = factories.make_request(factories.make_patient(clinic, name=name), accepted=True)
    if result:
        factories.make_result(request)
    if signed:
        review.sign(acting_user=bob, request=request, expected_version=request.version)
        request.refresh_from_db()
    return request


@pytest.fixture
def three(clinic: Clinic, bob: User) -> dict[str, LabRequest]:
    return {
        "Ordered": made(clinic, bob, "Ordered", result=False, signed=False),
        "Resulted": made(clinic, bob, "Resulted", result=True, signed=False),
        "Reviewed": made(clinic, bob, "Reviewed", result=True, signed=True),
    }


def test_each_request_stands_in_its_own_gap(
    three: dict[str, LabRequest], bob: User, signed_in: SignIn
) -> None:
    page = signed_in(bob).get(PAGE).content.decode()
    for gap, name in (("result", "Ordered"), ("review", "Resulted"), ("charge", "Reviewed")):
        shown = part(page, gap)
        assert [each for each in three if f">{each}</a>" in shown] == [name]
        assert '<span class="soft">1 ·' in shown


def test_charged_once_and_taken_back(
    three: dict[str, LabRequest], alice: User, signed_in: SignIn
) -> None:
    client = signed_in(alice)
    ids = [request.lab_report_id for request in three.values()]

    def post(**fields: object) -> str:
        answer = client.post(reverse("labs:charge"), {"request": ids, **fields}, follow=True)
        return answer.content.decode()

    assert "1 request marked as charged" in post()
    assert "0 requests marked as charged" in post()
    assert ">Reviewed</a>" not in part(client.get(PAGE).content.decode(), "charge")
    event = LabEvent.objects.get(verb="request.charged")
    assert event.actor == alice and event.request == three["Reviewed"]
    assert "1 request taken back" in post(undo="1")
    assert ">Reviewed</a>" in part(client.get(PAGE).content.decode(), "charge")
    assert "Choose what is on the bill first" in post(request=[])


def test_nothing_of_another_clinic(
    three: dict[str, LabRequest], charlie: User, signed_in: SignIn
) -> None:
    client = signed_in(charlie)
    page = client.get(PAGE).content.decode()
    assert not any(f">{name}</a>" in page for name in three)
    ids = [request.lab_report_id for request in three.values()]
    client.post(reverse("labs:charge"), {"request": ids})
    assert not LabRequest.objects.filter(charged_at__isnull=False).exists()
    assert three["Reviewed"].lab_report_id not in (
        client.get(reverse("labs:charges_export")).content.decode()
    )


def test_the_front_desk_sees_the_bills_and_no_more(
    three: dict[str, LabRequest], clinic: Clinic, signed_in: SignIn
) -> None:
    desk = factories.make_staff("reception", clinic=clinic, username="rita")
    factories.make_unmatched(clinic)
    page = signed_in(desk).get(PAGE).content.decode()
    assert ">Reviewed</a>" in page
    assert ">Resulted</a>" not in page and ">Ordered</a>" not in page and "t-orphans" not in page


def test_an_exported_cell_is_never_a_formula(
    clinic: Clinic, bob: User, alice: User, signed_in: SignIn
) -> None:
    evil = '=HYPERLINK("http://example.org";"x")'
    request = made(clinic, bob, evil, result=True, signed=True)
    answer = signed_in(alice).get(reverse("labs:charges_export"))
    assert "attachment" in answer["Content-Disposition"]
    header, row = csv.reader(io.StringIO(answer.content.decode("utf-8-sig")))
    line = dict(zip(header, row, strict=True))
    assert line["patient"] == f"'{evil}" and line["report_id"] == request.lab_report_id
    assert line["test_codes"] == "HHEM-1"
    assert LabEvent.objects.get(verb="charges.exported").data == {"count": 1}


def test_orphans_by_analyzer_and_age(clinic: Clinic, bob: User, signed_in: SignIn) -> None:
    now = timezone.now()
    for hours in (0, 3, 5, 30):
        factories.make_unmatched(clinic, received_at=now - timedelta(hours=hours))
    shown = part(signed_in(bob).get(PAGE).content.decode(), "orphans")
    cells = '<td class="num">1</td><td class="num">2</td><td class="num">1</td>'
    assert "Element HT5" in shown and cells in shown


def test_how_long_tests_take_is_a_plot(clinic: Clinic, bob: User, signed_in: SignIn) -> None:
    client = signed_in(bob)
    assert "Not known yet" in client.get(PAGE).content.decode()
    for model, usual, slow in (("Element HT5", 600, 1800), ("<b>x", 60, 120)):
        Turnaround.objects.create(
            clinic=clinic,
            analyzer_model=model,
            runs=12,
            usual_seconds=usual,
            slow_seconds=slow,
            learnt_at=timezone.now(),
        )
    shown = part(client.get(PAGE).content.decode(), "took")
    assert "Element HT5: half within 10 min, nine in ten within 30 min, by 12 runs" in shown
    assert "<b>x" not in shown and shown.count('class="fill"') == 2

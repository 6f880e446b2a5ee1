"""A clinic's own ranges, favourites and usual times: beside what was delivered, never in its
place."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from labs.errors import InvalidInput, NotAllowed
from labs.models import Analyte, Clinic, LabEvent, LabRequest, Observation, OwnInterval, Panel
from labs.queries.orders.progress import due, turnarounds
from labs.queries.readings.results import results_of
from labs.services import own
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def clinic() -> Clinic:
    return factories.make_clinic()


@pytest.fixture
def ada(clinic: Clinic) -> User:
    return factories.make_staff("admin", clinic=clinic)


def interval(clinic: Clinic, ada: User, **fields: Any) -> OwnInterval:
    given = {
        "analyte": Analyte.objects.get(code="WBC"),
        "species": "dog",
        "low": "5",
        "high": "10",
        "unit": "10^3/uL",
        **fields,
    }
    return own.set_interval(acting_user=ada, clinic=clinic, **given)


def result(clinic: Clinic, value: str = "12", **animal: Any) -> LabRequest:
    patient = factories.make_patient(clinic, **{"species": "dog", "birth_date": None, **animal})
    request = factories.make_request(patient, accepted=True)
    row = factories.make_row("WBC", value, low="4", high="16", flag="N")
    identity = factories.Identity(species="x", species_code=patient.species)
    report = factories.make_report([factories.make_run([row])], identity=identity)
    factories.make_result(request, report)
    return request


def shown(request: LabRequest) -> tuple[str, str, str] | None:
    """Delivered flag, own range and what it says, as the page has them."""
    row = results_of(request).runs[0].rows[0]
    assert row.flag is not None
    return (row.flag.word, row.own.words, row.own.word) if row.own else None


def test_an_own_range_stands_beside_the_delivered_one(clinic: Clinic, ada: User) -> None:
    interval(clinic, ada)
    request = result(clinic)
    assert shown(request) == ("within", "5 - 10", "high")
    stored = Observation.objects.get()
    assert (stored.low, stored.high, stored.flag, stored.flag_computed) == ("4", "16", "N", "N")
    client = Client()
    client.force_login(ada)
    url = reverse("labs:request", args=[request.lab_report_id])
    page = client.get(url).content.decode()
    cell = page.partition('<td class="r-range')[2].partition("</td>")[0]
    assert cell.index("4 - 16") < cell.index("own 5 - 10") < cell.index("high")
    assert f"Own range of {clinic}" in cell
    assert f"the range that {clinic} set for itself" in page


def test_a_result_keeps_what_it_was_judged_by(clinic: Clinic, ada: User) -> None:
    before = result(clinic)
    first = interval(clinic, ada)
    between = result(clinic)
    interval(clinic, ada, low="1", high="20")
    after = result(clinic)
    own.end_interval(acting_user=ada, own=OwnInterval.objects.get(until=None))
    late = result(clinic)
    assert [shown(each) for each in (before, between, after, late)] == [
        None,
        ("within", "5 - 10", "high"),
        ("within", "1 - 20", "within"),
        None,
    ]
    first.refresh_from_db()
    assert (first.low, first.high, first.ended_by) == ("5", "10", ada)
    verbs = LabEvent.objects.filter(verb__startswith="interval.").order_by("pk")
    assert [(e.verb, e.data["was"]) for e in verbs] == [
        ("interval.set", []),
        ("interval.set", ["5 - 10"]),
        ("interval.ended", ["1 - 20"]),
    ]


def test_an_age_class_holds_for_its_animals_alone(clinic: Clinic, ada: User) -> None:
    interval(clinic, ada, high="20", to_months=12)
    interval(clinic, ada, from_months=12)
    today = timezone.now().date()
    puppy = result(clinic, birth_date=today - timedelta(100))
    adult = result(clinic, birth_date=today - timedelta(1000))
    unknown = result(clinic)
    assert [shown(each) for each in (puppy, adult, unknown)] == [
        ("within", "5 - 20", "within"),
        ("within", "5 - 10", "high"),
        None,  # nobody knows which of the two is its own
    ]


def test_a_birthday_counts_by_whole_months(clinic: Clinic) -> None:
    from labs.queries.readings.own_ranges import months_old

    born = factories.make_patient(clinic, birth_date=date(2026, 1, 31))
    assert months_old(born, date(2027, 1, 30)) == 11
    assert months_old(born, date(2027, 1, 31)) == 12


def test_it_says_nothing_of_another_species_unit_or_clinic(clinic: Clinic, ada: User) -> None:
    interval(clinic, ada)
    assert shown(result(clinic, species="cat")) is None
    assert shown(result(factories.make_clinic("Oak"))) is None
    patient = factories.make_patient(clinic, species="dog")
    request = factories.make_request(patient, accepted=True)
    row = factories.make_row("WBC", "12", low="4", high="16", flag="N", unit="g/L")
    identity = factories.Identity(species="x", species_code="dog")
    report = factories.make_report([factories.make_run([row])], identity=identity)
    factories.make_result(request, report)
    assert shown(request) is None


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"unit": "g/L"}, "measured in 10"),
        ({"low": "10", "high": "10"}, "below the high end"),
        ({"low": "4,5"}, "no number"),
        ({"low": "", "high": " "}, "low end, the high end, or both"),
        ({"species": "dragon"}, "species"),
        ({"from_months": 12, "to_months": 12}, "first below the second"),
        ({"from_months": 6}, "already"),
    ],
)
def test_what_can_be_no_range_is_refused(
    clinic: Clinic, ada: User, fields: dict[str, Any], says: str
) -> None:
    interval(clinic, ada)
    with pytest.raises(InvalidInput, match=says):
        interval(clinic, ada, **fields)
    assert OwnInterval.objects.count() == 1


def test_only_an_administrator_of_the_clinic_sets_anything(clinic: Clinic) -> None:
    vet = factories.make_staff("vet", clinic=clinic)
    stranger = factories.make_staff("admin", clinic=factories.make_clinic("Oak"))
    for person in (vet, stranger):
        with pytest.raises(NotAllowed):
            interval(clinic, person)
        with pytest.raises(NotAllowed):
            own.set_panel(
                acting_user=person,
                clinic=clinic,
                panel=Panel.objects.get(code="HHEM-1"),
                favourite=True,
            )


def test_the_usual_time_that_was_set_says_when_a_result_is_late(clinic: Clinic, ada: User) -> None:
    request = factories.make_request(factories.make_patient(clinic), accepted=True)
    request = LabRequest.objects.select_related("submission").get(pk=request.pk)
    panel = request.tests.get().panel
    begun = due(request, turnarounds(clinic.pk)).at - timedelta(minutes=15 + panel.usual_minutes)
    own.set_panel(acting_user=ada, clinic=clinic, panel=panel, favourite=False, usual_minutes=90)
    found = due(request, turnarounds(clinic.pk))
    assert found.at - begun == timedelta(minutes=95)
    assert "usually 90 min, as this clinic set it" in found.why
    client = Client()
    client.force_login(ada)
    url = reverse("labs:request", args=[request.lab_report_id])
    with time_machine.travel(begun + timedelta(minutes=94), tick=False):
        client.force_login(ada)
        assert "overdue" not in client.get(url).content.decode()
    with time_machine.travel(begun + timedelta(minutes=96), tick=False):
        client.force_login(ada)
        assert "overdue by" in client.get(url).content.decode()


def test_a_change_of_a_test_is_on_record_and_none_is_not(clinic: Clinic, ada: User) -> None:
    panel = Panel.objects.get(code="HHEM-1")
    for code in ("B-1", "B-1", "B-2"):
        own.set_panel(
            acting_user=ada, clinic=clinic, panel=panel, favourite=True, billing_code=code
        )
    events = LabEvent.objects.filter(verb="catalogue.panel").order_by("pk")
    assert [event.data["now"].get("billing_code") for event in events] == ["B-1", "B-2"]
    assert events[1].data["was"] == {"billing_code": "B-1"}

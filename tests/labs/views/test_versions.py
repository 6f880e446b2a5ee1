"""The page of a result: versions beside each other, whose ranges they are, and in which order."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from labs.models import Role
from labs.queries.readings.results import results_of
from labs.queries.readings.versions import versions_page
from labs.services.reviews import review
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def clinic():
    return factories.make_clinic()


@pytest.fixture
def alice(clinic):
    return factories.make_staff(Role.VET, clinic=clinic, username="alice", last_name="Hart")


@pytest.fixture
def lab_request(clinic):
    return factories.make_request(factories.make_patient(clinic), accepted=True)


def row(code, value, sequence, **fields):
    return factories.make_row(code, value, sequence=sequence, **fields)


def file(request, version, *rows, status="final"):
    run = factories.make_run(rows, key="run", status=status)
    factories.make_result(request, factories.make_report([run], version=version))
    request.refresh_from_db()
    return request.runs.get()


def lines(page):
    return [
        (line.code, line.older and line.older.value, line.newer and line.newer.value, line.what)
        for line in page.lines
    ]


@pytest.fixture
def run(lab_request, alice):
    """Version 1 signed, 2 and 3 correct one row each."""
    file(lab_request, 1, row("WBC", "6.1", "1"), row("PLT", "90", "2"), row("MPV", "*****", "3"))
    review.sign(acting_user=alice, request=lab_request, expected_version=lab_request.version)
    file(lab_request, 2, row("PLT", "143", "2", comments=("clumps",)), status="corrected")
    return file(lab_request, 3, row("MPV", "10.2", "3"), row("NEU", "3", "4"), status="corrected")


def test_what_is_current_against_what_was_signed(run):
    page = versions_page(run)
    assert (page.older.result.report_version, page.newer.result.report_version) == (1, 3)
    assert page.older.signed_by == "Hart" and page.newer.signed_by == ""
    # A correction lists only what it changes: WBC still stands.
    assert lines(page) == [
        ("WBC", "6.1", "6.1", ""),
        ("PLT", "90", "143", "value, remark"),
        ("MPV", "*****", "10.2", "value, flag"),
        ("NEU", None, "3", "new"),
    ]
    assert page.changed == 3


def test_any_two_are_chosen_and_each_is_as_it_was_then(run):
    first, second, third = run.versions.order_by("report_version")
    page = versions_page(run, first.pk, second.pk)
    assert ("MPV", "*****", "*****", "") in lines(page)
    assert [each.result for each in page.versions] == [third, second, first]
    assert ("NEU", "3", None, "not there any more") in lines(versions_page(run, third.pk, first.pk))


def test_without_a_signature_against_the_one_before(lab_request):
    for version in (1, 2, 3):
        run = file(lab_request, version, row("WBC", f"{version}.0", "1"), status="corrected")
    assert versions_page(run).older.result.report_version == 2


def test_an_older_version_that_came_late_is_the_older_one(lab_request):
    file(lab_request, 2, row("WBC", "2", "1"), status="corrected")
    run = file(lab_request, 1, row("WBC", "1", "1"))
    assert lines(versions_page(run)) == [("WBC", "1", "2", "value")]


def test_the_page(run, lab_request, alice):
    client = Client()
    client.force_login(alice)
    address = reverse("labs:versions", args=[lab_request.lab_report_id, run.pk])
    assert (
        address
        in client.get(reverse("labs:request", args=[lab_request.lab_report_id])).content.decode()
    )
    shown = client.get(address + "?older=x&newer=-1").content.decode()
    assert "3 of 4 rows differ" in shown and "signed by Hart" in shown
    assert shown.count('<tr class="changed">') == 3
    # Another clinic's run is missing, also under an own request.
    other = factories.make_request(factories.make_patient(), accepted=True)
    factories.make_result(other)
    strange = reverse("labs:versions", args=[lab_request.lab_report_id, other.runs.get().pk])
    assert client.get(strange).status_code == 404


def test_one_version_says_so(lab_request, alice):
    run = file(lab_request, 1, row("WBC", "6.1", "1"))
    client = Client()
    client.force_login(alice)
    address = reverse("labs:versions", args=[lab_request.lab_report_id, run.pk])
    assert "only one version" in client.get(address).content.decode()


@pytest.mark.parametrize(("days", "young"), [(20, True), (360, True), (370, False), (None, False)])
def test_an_adults_range_on_the_young_is_said_in_words(clinic, days, young):
    born = timezone.localdate() - timedelta(days=days) if days else None
    request = factories.make_request(
        factories.make_patient(clinic, name="Pip", birth_date=born), accepted=True
    )
    file(request, 1, row("WBC", "6.1", "1", range_text="4.00-16.53"))
    (run,) = results_of(request).runs
    assert bool(run.juvenile) == young
    assert not young or ("Pip was" in run.juvenile and "adults" in run.juvenile)


def test_a_measuring_range_is_no_adults(clinic):
    born = timezone.localdate() - timedelta(days=60)
    request = factories.make_request(factories.make_patient(clinic, birth_date=born), accepted=True)
    file(request, 1, row("WBC", "6.1", "1", range_kind="measuring"))
    assert results_of(request).runs[0].juvenile == ""


def test_abnormal_first_is_kept_and_taken_back(lab_request, alice):
    file(
        lab_request,
        1,
        row("WBC", "6.1", "1", flag="N"),
        row("XXX", "*****", "2"),
        row("NEU", "90", "3", flag="H"),
        row("PLT", "2", "4", flag="L"),
    )
    client = Client()
    client.force_login(alice)
    address = reverse("labs:request", args=[lab_request.lab_report_id])

    def order(query=""):
        text = client.get(address + query).content.decode()
        return re.findall(r'"row" class="r-code">(\w+)', text)

    assert order() == ["WBC", "XXX", "NEU", "PLT"]
    assert order("?order=abnormal") == ["PLT", "NEU", "XXX", "WBC"]
    assert order() == ["PLT", "NEU", "XXX", "WBC"], "kept"
    assert order("?order=nonsense") == ["PLT", "NEU", "XXX", "WBC"]
    assert order("?order=panel") == ["WBC", "XXX", "NEU", "PLT"]


def test_how_much_it_changed_since_before(lab_request, clinic):
    before = factories.make_request(lab_request.patient, accepted=True)
    run = factories.make_run(
        [row("WBC", "6.10", "1"), row("PLT", "<2", "2")],
        run_at=timezone.now() - timedelta(days=2),
    )
    factories.make_result(before, factories.make_report([run]))
    file(lab_request, 1, row("WBC", "5.4", "1"), row("PLT", "90", "2"))
    rows = results_of(lab_request).runs[0].rows
    assert [each.change for each in rows] == ["-0.70", ""]

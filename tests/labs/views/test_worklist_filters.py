from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from labs.models import Clinic, LabRequest
from tests import factories

SignIn = Callable[[User], Client]


def names(page: str, section: str) -> list[str]:
    part = page.partition(f'class="lane lane-{section}"')[2].partition("</section>")[0]
    return re.findall(r'class="strong open"[^>]*>([^<]+)</a>', part)


def count(page: str, section: str) -> str:
    part = page.partition(f'id="t-{section}"')[2]
    return part.partition('<span class="soft">')[2].partition("<")[0].split(" ·")[0].strip()


@pytest.fixture
def filled(clinic: Clinic, alice: User, bob: User) -> None:
    cat = factories.make_patient(clinic, name="Cat", species="cat")
    dog = factories.make_patient(clinic, name="Dog")
    for patient, doctor, panel, user in (
        (cat, "Sample, Sam", "HHEM-1", alice),
        (dog, "Other, Olga", "HDC-3", bob),
    ):
        for done in (False, True):
            request = factories.make_request(
                patient, doctor=doctor, panels=[panel], acting_user=user, accepted=True
            )
            if done:
                factories.make_result(request)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, ["Cat", "Dog"]),
        ({"species": "cat"}, ["Cat"]),
        ({"species": "unicorn"}, ["Cat", "Dog"]),
        ({"doctor": "Other, Olga"}, ["Dog"]),
        ({"analyzer": "Element HT5"}, ["Cat"]),
        ({"mine": "1"}, ["Dog"]),
        ({"species": "cat", "mine": "1"}, []),
        ({"on": "2020-01-01"}, []),
        ({"on": "nonsense"}, ["Cat", "Dog"]),
        ({"on": "9999-12-31"}, ["Cat", "Dog"]),
    ],
)
@pytest.mark.usefixtures("filled")
def test_each_section_and_its_count_keep_to_the_filter(
    query: dict[str, str], expected: list[str], bob: User, signed_in: SignIn
) -> None:
    page = signed_in(bob).get("/", query).content.decode()
    assert sorted(names(page, "review")) == expected == sorted(names(page, "running"))
    assert count(page, "review") == str(len(expected))
    if expected:
        assert count(page, "running") == str(len(expected))
    elif "on" in query or "mine" in query:
        assert "Nothing here fits the filter" in page


def test_a_day_is_the_clinics_own(clinic: Clinic, bob: User, signed_in: SignIn) -> None:
    request = factories.make_request(factories.make_patient(clinic), accepted=True)
    # Half past eleven at night in Denver: already the next day in UTC.
    late = timezone.now().astimezone(clinic.zone).replace(hour=23, minute=30) - timedelta(days=2)
    LabRequest.objects.filter(pk=request.pk).update(requested_at=late)
    client = signed_in(bob)

    def found(day: Any) -> list[str]:
        return names(client.get("/", {"on": f"{day:%Y-%m-%d}"}).content.decode(), "running")

    assert found(late) == ["Biscuit"] and found(late + timedelta(days=1)) == []


@pytest.mark.usefixtures("filled")
def test_the_filter_stays_in_every_address(bob: User, signed_in: SignIn) -> None:
    page = signed_in(bob).get("/?show=review&species=cat&page=1").content.decode()
    live = re.search(r'id="live" hx-get="([^"]*)"', page)
    assert live is not None and "species=cat" in live[1] and "show=review" in live[1]
    assert 'href="/?species=cat"' in page  # all sections, of cats
    assert '<option value="cat" selected>' in page
    part = signed_in(bob).get(
        live[1].replace("&amp;", "&"), {"v": "old"}, headers={"HX-Request": "true"}
    )
    assert part.status_code == 200


@pytest.mark.usefixtures("filled")
def test_nothing_of_another_clinic_is_offered(charlie: User, signed_in: SignIn) -> None:
    page = signed_in(charlie).get("/", {"doctor": "Sample, Sam"}).content.decode()
    assert names(page, "review") == [] and "Other, Olga" not in page


def test_a_name_in_the_filter_is_text(bob: User, signed_in: SignIn) -> None:
    page = signed_in(bob).get("/", {"doctor": "<script>x", "analyzer": '"><i>'}).content.decode()
    assert "<script>x" not in page and '"><i>' not in page


def test_what_fits_is_not_pushed_out_by_what_does_not(
    clinic: Clinic, bob: User, signed_in: SignIn
) -> None:
    """More others are due before it than a section shows."""
    for _ in range(17):
        factories.make_request(factories.make_patient(clinic), accepted=True)
    cat = factories.make_patient(clinic, name="Cat", species="cat")
    factories.make_request(cat, panels=["HIP-1"], accepted=True)
    page = signed_in(bob).get("/?species=cat").content.decode()
    assert names(page, "running") == ["Cat"] and count(page, "running") == "1"

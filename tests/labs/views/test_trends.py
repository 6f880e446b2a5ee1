from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from labs.models import Clinic, LabRequest, Patient
from labs.report import Identity, Row
from labs.services.orders.codes import set_code
from tests import factories

SignIn = Callable[[User], Client]


def measured(patient: Patient, days: float, *rows: Row, **run: Any) -> LabRequest:
    request = factories.make_request(patient, accepted=True)
    at = timezone.now() - timedelta(days=days)
    identity = run.pop("identity", None)
    factories.make_result(
        request,
        factories.make_report(
            [factories.make_run(list(rows), run_at=at, **run)], identity=identity
        ),
    )
    return request


@pytest.fixture
def biscuit(clinic: Clinic) -> Patient:
    return factories.make_patient(clinic)


@pytest.fixture
def shown(bob: User, signed_in: SignIn, biscuit: Patient) -> Callable[..., str]:
    def get(**query: Any) -> str:
        response = signed_in(bob).get(reverse("labs:trends", args=[biscuit.uuid]), query)
        assert response.status_code == 200
        return " ".join(response.content.decode().split())

    return get


def lines(page: str) -> list[int]:
    """How many values each line joins."""
    return [len(each.split()) for each in re.findall(r'<svg class="plot".*?</svg>', page)
            for each in re.findall(r'<polyline points="([^"]*)"', each)]  # fmt: skip


def test_points_are_joined_and_open_their_results(
    biscuit: Patient, shown: Callable[..., str]
) -> None:
    requests = [measured(biscuit, days, factories.make_row("WBC", f"{days}.5")) for days in (9, 5)]
    page = shown()
    assert lines(page) == [2]
    for request in requests:
        assert f'<a href="{reverse("labs:request", args=[request.lab_report_id])}"' in page
    assert "9.5 10^3/uL, within" in page and "range 4.00 to 16.53" in page


def test_units_specimens_and_analyzers_are_never_joined(
    biscuit: Patient, shown: Callable[..., str]
) -> None:
    for days in (20, 10):
        measured(biscuit, days, factories.make_row("WBC", "5"))
        measured(biscuit, days + 1, factories.make_row("WBC", "6", unit="10^9/L"))
        measured(biscuit, days + 2, factories.make_row("WBC", "7"), analyzer_model="Element X")
        measured(biscuit, days + 3, factories.make_row("WBC", "8"), specimen_type="Citrate")
    page = shown(a="WBC")
    assert page.count('<svg class="plot"') == 4 and lines(page) == [2, 2, 2, 2]
    assert "WBC: more than one plot" in page


def test_what_was_measured_for_another_species_is_left_out(
    biscuit: Patient, shown: Callable[..., str]
) -> None:
    measured(biscuit, 9, factories.make_row("WBC", "5"))
    measured(biscuit, 8, factories.make_row("WBC", "6"))
    unknown = Identity(species="?", species_code="")
    measured(biscuit, 7, factories.make_row("WBC", "77.7"), identity=unknown)
    assert lines(shown()) == [2] and "77.7" not in shown()


def test_a_code_that_the_clinic_mapped_is_its_analytes(
    clinic: Clinic, biscuit: Patient, shown: Callable[..., str]
) -> None:
    set_code(acting_user=None, clinic=clinic, kind="analyte", word="LEUKO", code="WBC")
    measured(biscuit, 9, factories.make_row("LEUKO", "5.1"))
    measured(biscuit, 8, factories.make_row("WBC", "6.1"))
    page = shown(a="WBC")
    assert page.count('<svg class="plot"') == 1 and lines(page) == [2]
    assert 'value="LEUKO"' not in page


def test_only_the_chosen_and_only_of_that_time(biscuit: Patient, shown: Callable[..., str]) -> None:
    for days in (400, 50, 5):
        rows = [factories.make_row(code, f"{days}.1", sequence="") for code in ("WBC", "PLT")]
        measured(biscuit, days, *rows)
    assert lines(shown()) == [3, 3]
    assert lines(shown(a="PLT")) == [3] and lines(shown(a=["PLT", "WBC"])) == [3, 3]
    assert lines(shown(a="PLT", span="year")) == [2] and lines(shown(a="PLT", span="month")) == []
    assert lines(shown(span="nonsense")) == [3, 3]


def test_words_are_listed_and_not_drawn(biscuit: Patient, shown: Callable[..., str]) -> None:
    for days, value in ((9, "NEGATIVE"), (8, "<script>")):
        measured(biscuit, days, factories.make_row("GLU", value, unit="", low="", high=""))
    page = shown(a="GLU")
    assert "NEGATIVE" in page and "&lt;script&gt;" in page and "<script>" not in page
    assert '<svg class="plot"' not in page


def test_an_animal_without_results_is_told_when_trends_begin(shown: Callable[..., str]) -> None:
    assert "They begin with the second result" in shown()


def test_a_stranger_sees_nothing(biscuit: Patient, charlie: User, signed_in: SignIn) -> None:
    address = reverse("labs:trends", args=[biscuit.uuid])
    assert signed_in(charlie).get(address).status_code == 404
    assert Client().get(address).status_code == 302


def test_the_other_pages_lead_there(biscuit: Patient, bob: User, signed_in: SignIn) -> None:
    for days in (9, 5):
        latest = measured(biscuit, days, factories.make_row("WBC", f"{days}"))
    address = reverse("labs:trends", args=[biscuit.uuid])
    for page in (
        reverse("labs:patient", args=[biscuit.uuid]),
        reverse("labs:request", args=[latest.lab_report_id]),
    ):
        text = signed_in(bob).get(page).content.decode()
        assert f'href="{address}?a=WBC"' in text and f'href="{address}"' in text

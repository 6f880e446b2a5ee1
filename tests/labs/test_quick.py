"""Statements that are composed once, by whichever thread comes first."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from labs.models import Clinic, EmergencyCode, LabRequest
from labs.quick import Compiled, Given, Records
from tests import factories


@pytest.fixture
def hasty() -> Iterator[None]:
    """Threads change places all the time."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def query() -> Compiled:
    return Records(
        LabRequest.objects.filter(pk=Given("pk")),
        clinic=(),
        patient=(),
        patient__owner=(),
        requested_by=(),
    )


def test_threads_that_compose_at_once_compose_the_same(hasty: None) -> None:
    right = query()._compose({"pk": 1})[0]
    for _ in range(30):
        shared, start = query(), threading.Barrier(8)
        composed: list[object] = []

        def compose(
            shared: Compiled = shared,
            start: threading.Barrier = start,
            composed: list[object] = composed,
        ) -> None:
            start.wait()
            try:
                composed.append(shared._compose({"pk": 1})[0])
            except Exception as error:
                composed.append(error)

        threads = [threading.Thread(target=compose) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert composed == [right] * 8
        assert shared._compose({"pk": 1})[0] == right


@pytest.mark.django_db
def test_each_time_the_values_of_that_time() -> None:
    clinics = [factories.make_clinic(name) for name in ("Elm", "Oak")]
    names = Compiled(
        Clinic.objects.filter(pk=Given("pk"), created_at__lt=Given("before")).values_list("name")
    )
    later = timezone.now() + timedelta(days=1)
    found = [names.rows(pk=clinic.pk, before=later) for clinic in clinics]
    assert found == [[("Elm",)], [("Oak",)]]
    assert names.rows(pk=clinics[0].pk, before=later - timedelta(days=2)) == []


@pytest.mark.django_db
def test_a_value_without_a_name_that_was_given_is_refused() -> None:
    names = Compiled(Clinic.objects.filter(pk=Given("pk")).values_list("name"))
    for values in ({}, {"key": 1}, {"pk": 1, "key": 1}):
        with pytest.raises(ValueError, match="pk"):
            names.rows(**values)


@pytest.mark.django_db
def test_no_time_stays_in_a_statement_for_as_long_as_the_process_lives() -> None:
    """Which is what `now` in a query would do, written where a module is loaded."""
    open_now = Compiled(EmergencyCode.objects.open().values_list("pk"))
    if connection.vendor == "sqlite":
        pytest.skip("there a time is a text")
    with pytest.raises(ValueError, match="stay"):
        open_now.rows()

"""How long results usually take: learnt from a clinic's own past, and said as such."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from labs.models import LabRequest, LabResult, Panel, Submission, Turnaround
from labs.queries.orders.progress import Turnarounds, due, turnarounds
from labs.services.orders.turnaround import FEWEST_RUNS, learn, learn_all, quantile
from tests.factories import make_clinic, make_patient, make_request, make_result

pytestmark = pytest.mark.django_db


def past(clinic, minutes, *, panels=("HHEM-1",), days=1, **fields):
    """A complete order of so many minutes from ordering to result."""
    request = make_request(make_patient(clinic), panels=panels, accepted=True)
    make_result(request)
    ordered = timezone.now() - timedelta(days=days)
    LabRequest.objects.filter(pk=request.pk).update(requested_at=ordered, **fields)
    LabResult.objects.filter(run__request=request).update(
        received_at=ordered + timedelta(minutes=minutes)
    )
    return request


def learnt(clinic):
    return {
        row.analyzer_model: (row.runs, row.usual_seconds / 60, row.slow_seconds / 60)
        for row in Turnaround.objects.filter(clinic=clinic)
    }


@pytest.mark.parametrize(
    ("seconds", "half", "most"),
    [([5], 5, 5), ([1, 2], 1, 2), (list(range(1, 11)), 5, 9), ([9, 1, 5], 5, 9)],
)
def test_a_quantile_is_one_of_the_values(seconds, half, most):
    assert (quantile(seconds, 0.5), quantile(seconds, 0.9)) == (half, most)


def test_it_is_the_clinics_own_past_by_analyzer():
    elm, oak = make_clinic("Elm"), make_clinic("Oak")
    for minutes in range(1, 21):
        past(elm, minutes)
    for minutes in range(101, 112):
        past(oak, minutes)
    past(elm, 500, panels=("HDC-3",))  # one run says nothing
    assert learn_all() == 2
    assert learnt(elm) == {"Element HT5": (20, 10, 18)}
    assert learnt(oak) == {"Element HT5": (11, 106, 110)}


def test_what_nobody_waited_for_and_what_is_long_ago_counts_nothing():
    clinic = make_clinic()
    for number in range(FEWEST_RUNS):
        past(clinic, 1, days=100)
        if number:
            past(clinic, 2)
    past(clinic, 3, retrospective=True)
    assert learn(clinic) == 0
    past(clinic, 4)
    assert learn(clinic) == 1
    assert learnt(clinic)["Element HT5"][0] == FEWEST_RUNS


def test_a_correction_does_not_make_a_result_late():
    clinic = make_clinic()
    for _ in range(FEWEST_RUNS):
        request = past(clinic, 5)
        version = LabResult.objects.get(run__request=request)
        later = LabResult(**{f.attname: getattr(version, f.attname) for f in version._meta.fields})
        later.pk, later.current, later.message = None, False, make_message_of(request)
        later.save()
        LabResult.objects.filter(pk=later.pk).update(
            received_at=version.received_at + timedelta(days=1)
        )
    learn(clinic)
    assert learnt(clinic) == {"Element HT5": (FEWEST_RUNS, 5, 5)}


def make_message_of(request):
    from tests.factories import make_message

    return make_message(request.clinic)


def test_what_is_learnt_again_replaces_what_was():
    clinic = make_clinic()
    for _ in range(FEWEST_RUNS):
        past(clinic, 5, days=2)
    learn(clinic)
    LabRequest.objects.update(requested_at=timezone.now() - timedelta(days=200))
    assert learn(clinic) == 0
    assert learnt(clinic) == {}


def test_overdue_by_the_own_past_else_by_the_catalogue():
    clinic = make_clinic()
    request = make_request(make_patient(clinic), panels=("HHEM-1", "HDC-3"), accepted=True)
    minutes = Panel.objects.get(code="HDC-3").usual_minutes
    found = due(request, Turnarounds())
    # From when the laboratory has it: an order that came through late is not late at once.
    accepted_at = Submission.objects.get().accepted_at
    assert accepted_at is not None and accepted_at > request.requested_at
    assert found.at == accepted_at + timedelta(minutes=15 + minutes)
    assert found.why == f"Element DCX, usually {minutes} min by the catalogue"
    Turnaround.objects.create(
        clinic=clinic,
        analyzer_model="Element HT5",
        runs=40,
        usual_seconds=40 * 60,
        slow_seconds=60 * 60,
        learnt_at=timezone.now(),
    )
    found = due(request, turnarounds(clinic.pk))
    assert found.at == accepted_at + timedelta(minutes=65)
    assert found.why == "Element HT5, usually 40 min here, by the last 40 runs"
    assert turnarounds(make_clinic("Oak").pk) == Turnarounds()  # I3

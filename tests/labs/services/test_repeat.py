"""A test that was run twice: both runs stay, and a person chooses the one to report."""

from __future__ import annotations

import pytest

from labs.errors import InvalidInput, NotAllowed, Stale
from labs.models import LabRequest, RequestedTest, Role
from labs.queries.readings.history import history
from labs.services.reviews import review
from tests import factories

pytestmark = pytest.mark.django_db


def repeated() -> LabRequest:
    request = factories.make_request(accepted=True)
    for key, value in (("first", "6.13"), ("second", "9.90")):
        run = factories.make_run([factories.make_row(value=value)], key=key)
        factories.make_result(request, factories.make_report([run]))
    request.refresh_from_db()
    return request


def test_both_runs_answer_the_test_until_one_is_chosen() -> None:
    request = repeated()
    assert request.runs.count() == 2
    assert {run.requested_test for run in request.runs.all()} == {request.tests.get()}
    values = [value.text for found in history(request.patient).values() for value in found]
    assert sorted(values) == ["6.13", "9.90"]


def test_only_the_chosen_run_counts_in_trends_and_the_choice_can_change() -> None:
    request = repeated()
    vet = factories.make_staff(Role.VET, clinic=request.clinic)
    for key, value in (("second", "9.90"), ("first", "6.13")):
        request.refresh_from_db()
        review.choose_run(
            acting_user=vet,
            request=request,
            run=request.runs.get(run_key=key),
            expected_version=request.version,
        )
        values = [value.text for found in history(request.patient).values() for value in found]
        assert values == [value]
    assert request.events.filter(verb="result.chosen").count() == 2


def test_refused_for_a_stale_page_a_single_run_and_a_technician() -> None:
    request = repeated()
    vet = factories.make_staff(Role.VET, clinic=request.clinic)
    run = request.runs.get(run_key="first")
    with pytest.raises(Stale):
        review.choose_run(
            acting_user=vet, request=request, run=run, expected_version=request.version - 1
        )
    with pytest.raises(NotAllowed):
        review.choose_run(
            acting_user=factories.make_staff(clinic=request.clinic),
            request=request,
            run=run,
            expected_version=request.version,
        )
    single = factories.make_request(accepted=True)
    factories.make_result(single)
    single.refresh_from_db()
    with pytest.raises(InvalidInput):
        review.choose_run(
            acting_user=factories.make_staff(Role.VET, clinic=single.clinic),
            request=single,
            run=single.runs.get(),
            expected_version=single.version,
        )
    assert not RequestedTest.objects.exclude(reported_run=None).exists()

"""Every order of arrival ends in the same picture, through the same filing as in production."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

import pytest

from labs.models import Attachment, LabResult, Message, TestRun, UnmatchedResult
from labs.report import Identity
from labs.services.intake import results
from tests.factories import (
    make_clinic,
    make_message,
    make_patient,
    make_report,
    make_request,
    make_row,
    make_run,
)

pytestmark = pytest.mark.django_db


def at(minute):
    return datetime(2026, 3, 2, 16, minute, tzinfo=UTC)


def message(status, version, rows, *, minute=None, key="run-a", external_id="94877", **fields):
    run = make_run(
        [make_row(code, value, sequence=sequence) for sequence, code, value in rows],
        key=key,
        status=status,
        run_at=at(0),
        **fields,
    )
    return make_report(
        [run],
        status=status,
        version=version,
        reported_at=at(version if minute is None else minute),
        external_id=external_id,
    )


def new_request():
    return make_request(make_patient(make_clinic()), panels=("HHEM-1", "HDC-3"))


def file(request, report, clinic=None):
    return results.file_report(
        message=make_message(clinic or request.clinic),
        report=report,
        result_key=request.result_key if request else None,
    )


def picture(run):
    current = run.versions.get(current=True)
    rows = sorted(
        (row.sequence, row.code, row.value_text) for row in run.observations.filter(current=True)
    )
    return current.report_version, current.status, rows


STORY = [
    message("preliminary", 1, [("1", "WBC", "5.0"), ("2", "PLT", "90"), ("9", "RETIC", "1.1")]),
    message("final", 2, [("1", "WBC", "6.13"), ("2", "PLT", "< 2")]),
    message("corrected", 3, [("2", "PLT", "143")]),
    message("corrected", 4, [("2", "PLT", "150"), ("3", "MPV", "9.9")]),
    message("cancelled", 5, []),
]
CORRECTED = [("1", "WBC", "6.13"), ("2", "PLT", "150"), ("3", "MPV", "9.9"), ("9", "RETIC", "1.1")]
ENDS = {
    2: (
        (2, "final", [("1", "WBC", "6.13"), ("2", "PLT", "< 2"), ("9", "RETIC", "1.1")]),
        "complete",
    ),
    3: (
        (3, "corrected", [("1", "WBC", "6.13"), ("2", "PLT", "143"), ("9", "RETIC", "1.1")]),
        "complete",
    ),
    4: ((4, "corrected", CORRECTED), "complete"),
    5: ((5, "cancelled", CORRECTED), "cancelled"),
}


@pytest.mark.parametrize(
    ("length", "first"), [(length, first) for length in ENDS for first in range(length)]
)
def test_all_orders_of_arrival_end_in_the_same_state(length, first):
    """All 2, 6, 24 and 120 orders, by the message that comes first. The other test of the request
    stays open, so that a request which is complete and one which only seems so can be told
    apart."""
    clinic = make_clinic()
    patient = make_patient(clinic)
    shown, test_state = ENDS[length]
    rest = [report for number, report in enumerate(STORY[:length]) if number != first]
    for order in itertools.permutations(rest):
        request = make_request(patient, panels=("HHEM-1", "HDC-3"))
        for report in (STORY[first], *order):
            filed = file(request, report)
            assert (filed.state, filed.held) == ("filed", False)
        run = TestRun.objects.get(request=request)
        assert run.versions.count() == length
        assert picture(run) == shown
        request.refresh_from_db()
        assert request.state == ("partial" if test_state == "complete" else "running")
        states = {test.panel.code: test.state for test in request.tests.all()}
        assert states == {"HHEM-1": test_state, "HDC-3": "requested"}


def test_an_older_one_that_comes_late_is_stored_and_changes_nothing():
    request = new_request()
    file(request, STORY[1])
    request.refresh_from_db()
    before = (request.state, picture(request.runs.get()))
    file(request, message("preliminary", 1, [("1", "WBC", "5.0")]))
    request.refresh_from_db()
    assert (request.state, picture(request.runs.get())) == before
    assert LabResult.objects.filter(run__request=request, current=False).count() == 1


def test_preliminary_never_replaces_final_whatever_its_version():
    """It reopened a complete request."""
    request = make_request(panels=("HHEM-1",))
    file(request, message("final", 2, [("1", "WBC", "6.13")]))
    request.refresh_from_db()
    assert request.state == "complete"
    file(request, message("preliminary", 3, [("1", "WBC", "9.99")]))
    request.refresh_from_db()
    assert request.state == "complete"
    assert picture(request.runs.get()) == (2, "final", [("1", "WBC", "6.13")])


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_time_decides_where_the_version_does_not_and_status_where_time_does_not(order):
    request = new_request()
    reports = [
        message("final", 0, [("1", "WBC", "1")], minute=1),
        message("final", 0, [("1", "WBC", "2")], minute=2),
        message("corrected", 0, [("1", "WBC", "3")], minute=2),
    ]
    for number in order:
        file(request, reports[number])
    assert picture(request.runs.get())[2] == [("1", "WBC", "3")]


@pytest.mark.parametrize("swap", [False, True])
def test_a_tie_with_different_values_is_held(swap):
    request = new_request()
    pair = [message("final", 2, [("1", "WBC", value)]) for value in ("6.13", "7.00")]
    first, second = reversed(pair) if swap else pair
    assert not file(request, first).held
    assert file(request, second).held
    orphan = UnmatchedResult.objects.get()
    assert (orphan.reason, orphan.suggested_request) == ("conflict", request)
    assert "same version of CBC" in orphan.contradictions[0]
    # The same again under another message id agrees with what is filed: no conflict.
    assert not file(request, first).held
    assert picture(request.runs.get())[2] == [("1", "WBC", first.runs[0].rows[0].value)]
    # A third story of the same version does not overwrite the second in the queue.
    assert file(request, message("final", 2, [("1", "WBC", "8.88")])).held
    assert UnmatchedResult.objects.count() == 2
    # And a newer version ends the doubt.
    assert not file(request, message("corrected", 3, [("1", "WBC", "6.50")])).held


def test_a_tie_among_orphans_is_held_too():
    """The later one overwrote the earlier, by arrival."""
    clinic = make_clinic()
    one, two = (message("final", 2, [("1", "WBC", value)]) for value in ("6.13", "7.00"))
    assert not file(None, one, clinic).held
    assert file(None, two, clinic).held
    assert [o.reason for o in UnmatchedResult.objects.order_by("pk")] == ["no_request", "conflict"]
    shown = [picture(run)[2] for run in TestRun.objects.order_by("pk")]
    assert shown == [[("1", "WBC", "6.13")], [("1", "WBC", "7.00")]]
    assert not file(None, one, clinic).held
    assert UnmatchedResult.objects.count() == 2


@pytest.mark.parametrize("sequences", [("1", "2"), ("1", "1"), ("", "")])
def test_the_same_code_twice_stays_two_rows(sequences):
    request = new_request()
    first, second = sequences
    file(request, message("final", 1, [(first, "WBC", "1"), (second, "WBC", "2")]))
    run = request.runs.get()
    assert sorted(row[2] for row in picture(run)[2]) == ["1", "2"]
    # Also beside a second version, which lists another row.
    file(request, message("corrected", 2, [("7", "PLT", "3")]))
    assert sorted(row[2] for row in picture(run)[2]) == ["1", "2", "3"]
    file(request, message("corrected", 3, [(first, "WBC", "4"), (second, "WBC", "5")]))
    assert sorted(row[2] for row in picture(run)[2]) == ["3", "4", "5"]


def test_a_new_run_of_the_same_test_is_a_repeat_and_both_stay():
    request = new_request()
    file(request, message("final", 1, [("1", "WBC", "1")]))
    file(request, message("final", 1, [("1", "WBC", "2")], key="run-b"))
    assert sorted(picture(run)[2][0][2] for run in request.runs.all()) == ["1", "2"]
    file(request, message("preliminary", 1, [("1", "WBC", "3")], key="run-c"))
    request.refresh_from_db()
    assert request.tests.get(panel__code="HHEM-1").state == "complete"


def test_two_runs_of_one_message_under_one_id_are_two_runs():
    request = new_request()
    runs = [make_run([make_row(value=v)], key="same", status="final") for v in ("1", "2")]
    long = [make_run([make_row(value=v)], key="k" * 300 + v, status="final") for v in ("3", "4")]
    report = make_report([*runs, *long])
    file(request, report)
    assert request.runs.count() == 4
    # The same again finds the same runs.
    file(request, make_report([*runs, *long], version=2))
    assert request.runs.count() == 4


def test_filing_is_idempotent():
    request = new_request()
    stored = make_message(request.clinic)
    for _ in range(3):
        filed = results.file_report(message=stored, report=STORY[1], result_key=request.result_key)
        assert filed.state == "filed"
    assert LabResult.objects.count() == 1
    conflict = message("final", 2, [("1", "WBC", "0")])
    held = make_message(request.clinic)
    for _ in range(2):
        assert results.file_report(
            message=held, report=conflict, result_key=request.result_key
        ).held


def test_a_failure_in_the_middle_leaves_nothing_behind(monkeypatch):
    request = new_request()
    stored = make_message(request.clinic)

    def broken(*_, **__):
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr("labs.services.orders.states.refresh", broken)
        with pytest.raises(ZeroDivisionError):
            results.file_report(message=stored, report=STORY[1], result_key=request.result_key)
    assert not TestRun.objects.exists()
    assert not Attachment.objects.exists()
    stored.refresh_from_db()
    assert stored.state == "received"
    results.file_report(message=stored, report=STORY[1], result_key=request.result_key)
    assert Message.objects.get(pk=stored.pk).state == "filed"


def test_a_request_is_complete_when_its_tests_are_and_not_before():
    request = new_request()
    file(request, message("final", 1, [("1", "WBC", "1")]))
    request.refresh_from_db()
    assert request.state == "partial"
    chemistry = {"test_code": "HDC-3", "test_name": "Kidney panel", "key": "run-b"}
    file(request, message("preliminary", 1, [("1", "BUN", "1")], **chemistry))
    request.refresh_from_db()
    assert request.state == "partial"
    file(request, message("final", 2, [("1", "BUN", "1")], **chemistry))
    request.refresh_from_db()
    assert request.state == "complete"


def test_a_result_for_a_cancelled_request_is_held_with_all_that_speaks_against_it():
    from labs.services.orders import ordering

    request = new_request()
    ordering.cancel_request(acting_user=None, request=request, reason="")
    report = make_report([make_run()], identity=Identity(patient_name="Rex"))
    assert file(request, report).held
    orphan = UnmatchedResult.objects.get()
    assert orphan.reason == "request_cancelled"
    assert len(orphan.contradictions) == 2
    request.refresh_from_db()
    assert request.state == "cancelled"
    assert not request.runs.exists()

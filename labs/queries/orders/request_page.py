"""Everything that the page of one request shows, in a fixed number of statements."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from labs.models import (
    LabRequest,
    Link,
    Message,
    MessageState,
    RequestedTest,
    RequestState,
    Specimen,
    Submission,
    SubmissionState,
    TestState,
    UnmatchedResult,
)
from labs.queries.orders.progress import (
    OPEN_TESTS,
    Turnarounds,
    state_chip,
    submission_of,
    takes,
    turnarounds,
    usually,
)
from labs.queries.orders.timeline import DELIVERED, Step, steps
from labs.queries.orders.trouble import Trouble, is_overdue, troubles
from labs.queries.orphaned.witnesses import Witness, witnesses
from labs.queries.overview.nav import TO_REVIEW
from labs.queries.readings.owner_report import Given, given
from labs.queries.readings.results import results_of
from labs.queries.readings.run_view import Results
from labs.queries.records import events as audit
from labs.queries.registry.patients import with_weight
from labs.queries.reviews.alarms import Shown
from labs.queries.reviews.alarms import of_request as alarms_of
from labs.queries.reviews.care import Care, care_of
from labs.queries.words import Chip

CAME = (
    MessageState.FILED,
    MessageState.UNMATCHED,
    MessageState.QUARANTINED,
    MessageState.RECEIVED,
)
TEST_CHIPS = {
    TestState.REQUESTED: Chip(word="waiting", shape="wait"),
    TestState.RUNNING: Chip(word="first values in", shape="run"),
    TestState.COMPLETE: Chip(word="in", shape="done"),
    TestState.REFUSED: Chip(word="refused", shape="warn"),
    TestState.CANCELLED: Chip(word="cancelled", shape="off"),
}


@dataclass(frozen=True, kw_only=True)
class Linked:
    """Another request of the same group. `how`: what it is to the first one."""

    request: LabRequest
    chip: Chip
    how: str


@dataclass(frozen=True, kw_only=True)
class RequestPage:
    request: LabRequest
    chip: Chip
    linked: list[Linked]
    can_run_again: bool
    known: Turnarounds
    tests: list[tuple[RequestedTest, Chip]]
    specimens: list[Specimen]
    results: Results
    given: Given
    steps: list[Step]
    events: list[audit.Event]
    messages: list[Message]
    troubles: list[Trouble]
    notices: list[str]
    can_cancel: bool
    may_be_there: bool
    version: str
    alarms: list[Shown]
    care: Care
    seen_by: list[Witness]  # where a person put results on it: who may have acted on them

    @property
    def open_tests(self) -> list[tuple[RequestedTest, Chip, str]]:
        """Tests of which no result has come (waiting, refused, cancelled), and how long each takes
        on its analyzer."""
        answered = {run.run.requested_test_id for run in self.results.runs}
        return [
            (test, chip, usually(takes(test.panel), self.known))
            for test, chip in self.tests
            if test.pk not in answered
        ]

    @property
    def open_alarms(self) -> list[Shown]:
        return [shown for shown in self.alarms if not shown.alarm.ended]

    @property
    def acknowledged(self) -> list[Shown]:
        return [shown for shown in self.alarms if shown.alarm.ended]

    @property
    def delivered(self) -> bool:
        return self.request.state in DELIVERED


def head(request: LabRequest) -> str:
    """What the page polls with: the request's version, and the minute while times still move."""
    # Also where it was cancelled: what comes all the same is held, and said here.
    moving = request.state != RequestState.COMPLETE
    return f"{request.version}-{timezone.now():%H%M}" if moving else f"{request.version}-"


def all_reviewed(request: LabRequest) -> bool:
    """Whether nothing of it waits for a veterinarian: neither a result nor one that contradicts
    it. One statement."""
    runs = request.runs.filter(review_state__in=TO_REVIEW).order_by()
    held = request.contradicted_by.waiting().order_by()
    return not runs.values("pk").union(held.values("pk")).exists()


def request_page(
    request: LabRequest, *, only_reviewed: bool = False, abnormal_first: bool = False
) -> RequestPage:
    """`request` loaded by `heads`. `only_reviewed`: for the front desk, of a request that is
    `all_reviewed`: no value but reviewed ones, and nothing of what staff do about it."""
    now = timezone.now()
    results = results_of(request, only_reviewed=only_reviewed, abnormal_first=abnormal_first)
    events = audit.of_request(request)
    known = turnarounds(request.clinic_id)
    messages = _messages(request)
    submission = submission_of(request)
    orphans = list(request.contradicted_by.waiting().order_by("created_at"))
    group = _group(request)
    late = is_overdue(request, known, now)
    tests = list(request.tests.all())
    specimens = {t.specimen_id: t.specimen for t in tests if t.specimen}
    matched = [at for run in results.runs if (at := run.matched_at) is not None]
    page = RequestPage(
        request=request,
        chip=state_chip(request, now, known, stopped=_stopped(messages, orphans)),
        linked=_linked(group, now, known),
        # While nothing has come it is the order itself that is to be waited for, or cancelled.
        can_run_again=bool(tests) and bool(results.runs or request.cancelled_at),
        known=known,
        tests=[(test, _chip(request, test)) for test in tests],
        specimens=list(specimens.values()),
        results=results,
        given=given(request, results),
        steps=steps(request, results, events, messages, orphans, known, now),
        events=events,
        messages=messages,
        troubles=troubles(
            request,
            events=events,
            messages=messages,
            orphans=orphans,
            group=group,
            known=known,
            heard_at=_heard_at(request.clinic_id) if late else None,
            now=now,
        ),
        notices=_notices(request, submission, tests, events),
        can_cancel=request.state != RequestState.CANCELLED and not results.runs,
        may_be_there=_may_be_there(submission, tests),
        version=head(request),
        care=Care() if only_reviewed else care_of(request, results.runs),
        alarms=[] if only_reviewed else alarms_of(request),
        seen_by=witnesses(request, min(matched)) if matched else [],
    )
    return replace(page, events=[], messages=[], troubles=[]) if only_reviewed else page


def _messages(request: LabRequest) -> list[Message]:
    """All that was said with the laboratory about it, both ways, the oldest first. Each way to a
    message is looked up by itself: one condition over all of them reads every message there is."""
    keys = Message.objects.order_by().values("pk")
    mine = keys.filter(request=request).union(
        keys.filter(submission__request=request), keys.filter(results__run__request=request)
    )
    return list(
        Message.objects.filter(pk__in=mine).defer("raw", "reply").order_by("received_at", "pk")
    )


def _stopped(messages: list[Message], orphans: list[UnmatchedResult]) -> str:
    if orphans:
        return "held"
    return "unread" if any(m.state == MessageState.QUARANTINED for m in messages) else ""


def _heard_at(clinic_id: int) -> datetime | None:
    """When anything last came from the laboratory, whatever became of it: one look at the index for
    each state."""
    newest = (
        Message.objects.filter(clinic=clinic_id, state=state)
        .order_by("-received_at")
        .values_list("received_at", flat=True)[:1]
        for state in CAME
    )
    return max((at for rows in newest for at in rows), default=None)


def _chip(request: LabRequest, test: RequestedTest) -> Chip:
    if request.state == RequestState.CANCELLED and test.state in OPEN_TESTS:
        return TEST_CHIPS[TestState.CANCELLED]
    if test.withdrawn and test.state == TestState.REQUESTED:
        return Chip(word="not ordered", shape="warn")
    return TEST_CHIPS[TestState(test.state)]


def _notices(
    request: LabRequest,
    submission: Submission | None,
    tests: list[RequestedTest],
    events: list[audit.Event],
) -> list[str]:
    """What is to be done outside of this application, or once more in it."""
    found = []
    if request.sent_for is not None:
        why = "Moved here from"
        if request.sent_for.merged_into_id == request.patient_id:
            why = f"Ordered for another record that was merged into {request.patient},"
        found.append(
            f"{why} {request.sent_for}. The analyzer still shows "
            f"{request.sent_for.name}: run it under that name. The results come to "
            f"{request.patient.name}."
        )
    if request.state == RequestState.CANCELLED and _may_be_there(submission, tests):
        found.append(
            "Cancelled here. The laboratory has this order, or may have it: remove it at the "
            "analyzer. A result that comes all the same is held under “Unmatched”."
        )
    if submission and submission.state == SubmissionState.ACCEPTED and submission.last_error:
        found.append(f"The laboratory took the order. {submission.last_error}")
    if _counts_as_sent_first(events):
        found.append(
            "The laboratory had this order from an earlier attempt all the same, so it counts as "
            "it was sent first, without what was corrected since. Compare what the analyzer shows "
            "with the patient's record before the sample is run."
        )
    names = {test.panel.code: test.panel.name for test in tests}
    left = [event for event in events if event.verb == "request.not_withdrawn"]
    codes = dict.fromkeys(code for event in reversed(left) for code in event.data.get("tests", []))
    if codes:
        which = " and ".join(names.get(code, code) for code in codes)
        found.append(
            f"{which} had been sent before the result of a run by hand was put here: remove it at "
            "the analyzer, or it is run twice."
        )
    gone = [t.panel.name for t in tests if t.withdrawn and t.state == TestState.REQUESTED]
    if gone:
        found.append(
            f"{' and '.join(gone)} was taken out of the order because it had been run by hand, and "
            "that match was taken back since. Order it again if it is still wanted."
        )
    return found


def _counts_as_sent_first(events: list[audit.Event]) -> bool:
    """Whether a corrected order met an earlier one under its id."""
    corrected = any(
        event.verb == "submission.resubmitted" and event.data.get("not_there") for event in events
    )
    return corrected and any(
        event.verb == "submission.accepted" and event.data.get("already_there") for event in events
    )


def _may_be_there(submission: Submission | None, tests: list[RequestedTest]) -> bool:
    """As labs.services.orders.outbox.may_be_there, over loaded rows."""
    if submission is None or (tests and all(t.state == TestState.REFUSED for t in tests)):
        return False
    return submission.may_have_arrived or submission.state == SubmissionState.SENDING


def _group(request: LabRequest) -> list[LabRequest]:
    """The rest of its group, the first one first. Two statements, one where it stands alone."""
    first = request.first_id or request.pk
    return list(
        LabRequest.objects.filter(Q(pk=first) | Q(first=first), clinic=request.clinic)
        .exclude(pk=request.pk)
        .select_related("submission")
        .prefetch_related("tests__panel")
        .order_by("pk")
    )


def _linked(group: list[LabRequest], now: datetime, known: Turnarounds) -> list[Linked]:
    return [
        Linked(
            request=each,
            chip=state_chip(each, now, known),
            how=Link(each.link).label if each.link else "first request",
        )
        for each in group
    ]


def called(rows: QuerySet[Any], text: str) -> LabRequest | None:
    """The request of that id, in capitals or not, as it is typed or scanned. Ids are capitals; to
    compare them without would read every request for each word that is looked for."""
    return rows.filter(lab_report_id=text.upper()).first() if text else None


def heads() -> Any:
    """Requests with all that stands at the head of their page: two statements."""
    return with_weight(
        LabRequest.objects.select_related(
            "patient__owner",
            "patient__clinic",
            "clinic",
            "submission",
            "requested_by",
            "first",
            "sent_for",
        ).prefetch_related("tests__panel", "tests__specimen"),
        patient="patient",
    )

"""Everything that the page of one request shows, in a fixed number of statements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import Q
from django.utils import timezone

from labs.models import LabRequest, Message, RequestedTest, RequestState, Specimen, TestState
from labs.queries import events as audit
from labs.queries.patients import with_weight
from labs.queries.results import Results, results_of
from labs.queries.timeline import DELIVERED, Step, steps
from labs.queries.words import Chip, sending, state_chip, submission_of

TEST_CHIPS = {
    TestState.REQUESTED: Chip(word="waiting", shape="wait"),
    TestState.RUNNING: Chip(word="first values in", shape="run"),
    TestState.COMPLETE: Chip(word="in", shape="done"),
    TestState.REFUSED: Chip(word="refused", shape="warn"),
    TestState.CANCELLED: Chip(word="cancelled", shape="off"),
}


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """Why an order is not where it should be: our sentence, the laboratory's, and what is next."""

    sentence: str
    words: str
    next: str


@dataclass(frozen=True, kw_only=True)
class RequestPage:
    request: LabRequest
    chip: Chip
    tests: list[tuple[RequestedTest, Chip]]
    specimens: list[Specimen]
    results: Results
    steps: list[Step]
    events: list[audit.Event]
    messages: list[Message]
    trouble: Trouble | None
    can_cancel: bool
    can_resubmit: bool
    version: str

    @property
    def open_tests(self) -> list[tuple[RequestedTest, Chip]]:
        """Tests of which no result has come: waiting, refused, cancelled."""
        answered = {run.run.requested_test_id for run in self.results.runs}
        return [(test, chip) for test, chip in self.tests if test.pk not in answered]

    @property
    def delivered(self) -> bool:
        return self.request.state in DELIVERED


def head(request: LabRequest) -> str:
    """What the page polls with: the request's version, and the minute while times still move."""
    moving = request.state not in (RequestState.COMPLETE, RequestState.CANCELLED)
    return f"{request.version}-{timezone.now():%H%M}" if moving else f"{request.version}-"


def request_page(request: LabRequest) -> RequestPage:
    """`request` loaded by `heads`."""
    now = timezone.now()
    results = results_of(request)
    events = audit.of_request(request)
    submission = submission_of(request)
    undelivered = request.state in (
        RequestState.QUEUED,
        RequestState.SENT,
        RequestState.NEEDS_ATTENTION,
    )
    trouble = None
    if submission and submission.last_error and undelivered:
        stuck = request.state == RequestState.NEEDS_ATTENTION
        trouble = Trouble(
            sentence=submission.last_error,
            words=submission.provider_words,
            next="Nothing more is tried until somebody acts."
            if stuck
            else sending(submission, now).split(", ", 1)[-1],
        )
    tests = list(request.tests.all())
    specimens = {t.specimen_id: t.specimen for t in tests if t.specimen}
    return RequestPage(
        request=request,
        chip=state_chip(request, now),
        tests=[(test, TEST_CHIPS[TestState(test.state)]) for test in tests],
        specimens=list(specimens.values()),
        results=results,
        steps=steps(request, results, events, now),
        events=events,
        messages=list(
            Message.objects.filter(
                Q(request=request)
                | Q(submission__request=request)
                | Q(results__run__request=request)
            )
            .defer("raw", "reply")
            .order_by("received_at", "pk")
            .distinct()
        ),
        trouble=trouble,
        can_cancel=request.state != RequestState.CANCELLED and not results.runs,
        can_resubmit=request.state == RequestState.NEEDS_ATTENTION
        and submission is not None
        and submission.accepted_at is None,
        version=head(request),
    )


def heads() -> Any:
    """Requests with all that stands at the head of their page: two statements."""
    return with_weight(
        LabRequest.objects.select_related(
            "patient__owner", "patient__clinic", "clinic", "submission", "requested_by"
        ).prefetch_related("tests__panel", "tests__specimen"),
        patient="patient",
    )

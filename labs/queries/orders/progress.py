"""Where a request is and what happens next, in words. Pure functions over loaded rows."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from labs.models import (
    LabRequest,
    OwnPanel,
    Panel,
    RequestState,
    Submission,
    SubmissionState,
    TestState,
    Turnaround,
)
from labs.queries.words import Chip, clock, duration
from labs.querysets import UNDELIVERED
from labs.quick import Compiled, Given, Records

# From placing the order to the sample lying in the analyzer; a panel's usual time starts there.
LOADING = timedelta(minutes=15)
# Beyond what nine in ten of a clinic's own orders took.
GRACE = timedelta(minutes=5)
# The sweeper comes every 30 seconds; what was due for longer is taken up by nobody.
STALLED = timedelta(seconds=90)
UNDER_WAY = (SubmissionState.QUEUED, SubmissionState.UNKNOWN, SubmissionState.SENDING)
BY_HAND = (
    "If it can't wait, run the tests at the analyzer by hand and match the result when it comes."
)
BY_HAND_IF_NOT_THERE = (
    "If it can't wait, look whether the analyzer has the order; if not, run the tests by hand and "
    "match the result when it comes."
)
MAY_BE_THERE = "It may be at the analyzer from an earlier attempt: look there first."
STOPPED = {
    "held": ("result held", "a result came and contradicts the order: somebody says whose it is"),
    "unread": ("result not read", "what came could not be read: an administrator looks at it"),
}
WORDS_SHOWN = 120  # of the laboratory's own, in one line of the worklist
OPEN_TESTS = {TestState.REQUESTED, TestState.RUNNING}


@dataclass(frozen=True, kw_only=True)
class Turnarounds:
    """What a clinic's own past says, by analyzer model; and what its administrator set, in minutes
    by panel code: that counts before the past and the catalogue."""

    learnt: Mapping[str, Turnaround] = field(default_factory=dict)
    minutes: Mapping[str, int] = field(default_factory=dict)


class Takes(NamedTuple):
    """A panel, as far as it takes to say how long it takes."""

    code: str
    model: str
    minutes: int  # by the catalogue


def takes(panel: Panel) -> Takes:
    return Takes(panel.code, panel.analyzer_model, panel.usual_minutes)


@dataclass(frozen=True, kw_only=True)
class Due:
    """When the last open test of a request is overdue. `why`: by which analyzer, and who says how
    long it takes there; empty where no test is open."""

    at: datetime
    why: str = ""


LEARNT = Records(Turnaround.objects.filter(clinic=Given("clinic")))
SET_HERE = Compiled(
    OwnPanel.objects.filter(clinic=Given("clinic"), usual_minutes__isnull=False).values_list(
        "panel__code", "usual_minutes"
    )
)


def turnarounds(clinic_id: int) -> Turnarounds:
    """Two queries."""
    return Turnarounds(
        learnt={row.analyzer_model: row for row in LEARNT.all(clinic=clinic_id)},
        minutes=dict(SET_HERE.rows(clinic=clinic_id)),
    )


def due(request: LabRequest, known: Turnarounds) -> Due:
    """By the time that the clinic's administrator set; else by its own past on that analyzer: nine
    in ten came sooner, and some minutes more. Where it has none, by the catalogue, from the time
    that it takes to load a sample."""
    begun = begun_at(request)
    found = [
        _due(begun, takes(test.panel), known)
        for test in request.tests.all()
        if test.state in OPEN_TESTS
    ]
    return max(found, key=lambda each: each.at, default=Due(at=begun + LOADING))


def begun_at(request: LabRequest) -> datetime:
    """From when its results are waited for: an order that came through an hour late is not overdue
    the moment that the analyzer has it."""
    submission = submission_of(request)
    accepted = submission.accepted_at if submission else None
    return max(request.requested_at, accepted) if accepted else request.requested_at


def due_at(begun: datetime, test: Takes, known: Turnarounds) -> datetime:
    """As `due`, of one test."""
    if test.code in known.minutes:
        return begun + timedelta(minutes=known.minutes[test.code]) + GRACE
    own = known.learnt.get(test.model)
    if own is None:
        return begun + LOADING + timedelta(minutes=test.minutes)
    return begun + timedelta(seconds=own.slow_seconds) + GRACE


def _due(begun: datetime, test: Takes, known: Turnarounds) -> Due:
    return Due(at=due_at(begun, test, known), why=f"{test.model}, {usually(test, known)}")


def usually(test: Takes, known: Turnarounds) -> str:
    """How long a test takes, and who says so."""
    if test.code in known.minutes:
        return f"usually {known.minutes[test.code]} min, as this clinic set it"
    own = known.learnt.get(test.model)
    if own is None:
        return f"usually {test.minutes} min by the catalogue"
    usual = duration(timedelta(seconds=own.usual_seconds))
    return f"usually {usual} here, by the last {own.runs} runs"


def state_chip(
    request: LabRequest, now: datetime, known: Turnarounds, *, stopped: str = ""
) -> Chip:
    """Where a request is. Uses `tests` (with panel) and `submission`, both loaded beforehand.
    `stopped`: of what came for it and is not among its results, a word of STOPPED."""
    submission = submission_of(request)
    tests = list(request.tests.all())
    done = [test for test in tests if test.state not in OPEN_TESTS]
    match request.state:
        case RequestState.COMPLETE:
            if request.reviewed_at:
                return Chip(word="reviewed", shape="done")
            return Chip(word="complete, to review", shape="done")
        case RequestState.CANCELLED:
            return Chip(word="cancelled", shape="off")
        case RequestState.NEEDS_ATTENTION:
            return Chip(word=_stuck(submission), shape="warn")
        case RequestState.DRAFT:
            return Chip(word="draft", shape="off")
        case RequestState.QUEUED | RequestState.SENT if undelivered(submission, now):
            waits = duration(undelivered(submission, now))
            return Chip(word=f"not delivered for {waits}", shape="warn")
        case RequestState.QUEUED | RequestState.SENT if submission and (
            submission.last_error or stalled(submission, now)
        ):
            return Chip(word="not delivered yet", shape="warn")
        case RequestState.QUEUED:
            leaves = submission is not None and submission.state == SubmissionState.SENDING
            return Chip(word="being sent" if leaves else "queued", shape="wait")
        case RequestState.SENT:
            return Chip(word="sent, no answer yet", shape="wait")
    if stopped:
        return Chip(word=STOPPED[stopped][0], shape="warn")
    late = now - due(request, known).at
    if late > timedelta(0):
        return Chip(word=f"overdue by {duration(late)}", shape="warn")
    if request.state == RequestState.PARTIAL:
        return Chip(word=f"{len(done)} of {len(tests)} in", shape="run")
    if request.state == RequestState.RUNNING:
        return Chip(word="first values in", shape="run")
    return Chip(word="accepted", shape="run")


def _stuck(submission: Submission | None) -> str:
    match submission and submission.state:
        case SubmissionState.HELD:
            return "waiting for the set-up"
        case SubmissionState.ACCEPTED:
            return "every test refused"
        case SubmissionState.REJECTED if submission and submission.provider_words:
            return "refused"
        case SubmissionState.NEEDS_ATTENTION:
            return "not delivered"
    return "needs attention"


def next_step(request: LabRequest, now: datetime, known: Turnarounds, *, stopped: str = "") -> str:
    """What happens next, or what a person must do. Loaded as for `state_chip`."""
    submission = submission_of(request)
    open_tests = [test for test in request.tests.all() if test.state in OPEN_TESTS]
    match request.state:
        case RequestState.NEEDS_ATTENTION:
            refused = [t for t in request.tests.all() if t.state == TestState.REFUSED]
            if refused:
                return f"The laboratory refused: {refused[0].refusal or 'no reason given'}"
            if submission and submission.last_error:
                if submission.state == SubmissionState.REJECTED and submission.may_have_arrived:
                    return f"{submission.last_error} {MAY_BE_THERE}"
                said = textwrap.shorten(submission.provider_words, WORDS_SHOWN, placeholder=" …")
                return f"{submission.last_error} “{said}”" if said else submission.last_error
            return "Open it to see what to do."
        case RequestState.QUEUED | RequestState.SENT:
            return sending(submission, now) if submission else ""
        case RequestState.ACCEPTED | RequestState.RUNNING | RequestState.PARTIAL if stopped:
            return STOPPED[stopped][1]
        case RequestState.ACCEPTED | RequestState.RUNNING | RequestState.PARTIAL:
            analyzers = dict.fromkeys(test.panel.analyzer_model for test in open_tests)
            at = due(request, known).at
            where = " and ".join(analyzers)
            when = f"expected by {clock(at)}" if at > now else "look at the analyzer"
            return f"{where}, {when}" if where else when
    return ""


def sending(submission: Submission, now: datetime) -> str:
    """What the outbox will do with an order that is not accepted yet."""
    late = undelivered(submission, now)
    by_hand = f". {BY_HAND}" if late else ""
    if submission.state == SubmissionState.SENDING:
        return f"being sent now{by_hand}"
    if waiting := stalled(submission, now):
        return f"nothing has been sent for {duration(waiting)}: tell your administrator{by_hand}"
    if not submission.attempts:
        return "is sent within seconds"
    words = (submission.last_error or "No answer yet.").rstrip(".")
    return f"{words}, {next_try(submission, now)}{by_hand}"


def next_try(submission: Submission, now: datetime) -> str:
    """`next try 09:36, attempt 3`."""
    at = clock(submission.not_before) if submission.not_before > now else "now"
    return f"next try {at}, attempt {submission.attempts + 1}"


def undelivered(submission: Submission | None, now: datetime) -> timedelta:
    """For how long an order is on its way, once that is longer than staff should wait unknowing;
    zero before. As `RequestQuerySet.needing_a_person` has it."""
    if submission is None or submission.state not in UNDER_WAY:
        return timedelta(0)
    late = now - (submission.first_attempt_at or submission.not_before)
    return late if late > UNDELIVERED else timedelta(0)


def stalled(submission: Submission | None, now: datetime) -> timedelta:
    """For how long an order has been due without being taken up; zero while all is well."""
    waiting = (SubmissionState.QUEUED, SubmissionState.UNKNOWN)
    if submission is None or submission.state not in waiting:
        return timedelta(0)
    late = now - submission.not_before
    return late if late > STALLED else timedelta(0)


def submission_of(request: LabRequest) -> Submission | None:
    """None for a request that was made for a matched result. Loaded with select_related."""
    try:
        return request.submission
    except Submission.DoesNotExist:
        return None

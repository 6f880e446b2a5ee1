"""“Where is my result?”: the way of one request as steps with times. Pure, over loaded rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import User

from labs.models import (
    LabRequest,
    Link,
    Message,
    MessageState,
    RequestState,
    SubmissionState,
    TestState,
    UnmatchedResult,
)
from labs.queries.orders.progress import Turnarounds, due, stalled, submission_of
from labs.queries.orders.trouble import could_not_be_made
from labs.queries.readings.run_view import Results
from labs.queries.records.event_words import LINKED
from labs.queries.records.events import Event
from labs.queries.words import clock, duration

DELIVERED = {
    RequestState.ACCEPTED,
    RequestState.RUNNING,
    RequestState.PARTIAL,
    RequestState.COMPLETE,
}


@dataclass(frozen=True, kw_only=True)
class Step:
    """`state`: done, now (it is here), warn (it is stuck here), todo or off."""

    word: str
    state: str
    at: datetime | None = None
    detail: str = ""


def steps(
    request: LabRequest,
    results: Results,
    events: list[Event],
    messages: list[Message],
    orphans: list[UnmatchedResult],
    known: Turnarounds,
    now: datetime,
) -> list[Step]:
    """From ordered to reviewed. `events` newest first, `messages` oldest first; `orphans`: those
    that were sent for it and wait for a decision."""
    found = [
        _ordered(request, events),
        *_token(request, messages),
        *_sending(request, events, now),
    ]
    if request.state == RequestState.CANCELLED:
        found = [step for step in found if step.state == "done"]
        return [
            *found,
            Step(
                word="Cancelled",
                state="off",
                at=request.cancelled_at,
                detail=request.cancelled_reason,
            ),
        ]
    found += _results(request, results, events, _stopped(messages, orphans), known, now)
    signer = results.reviews[0].reviewed_by if results.reviews else None
    if request.reviewed_at:
        name = (signer.get_full_name() or signer.username) if signer else ""
        found.append(
            Step(word="Reviewed", state="done", at=request.reviewed_at, detail=f"by {name}")
        )
    else:
        waits = request.state == RequestState.COMPLETE
        found.append(
            Step(
                word="Review",
                state="now" if waits else "todo",
                detail="waits for a veterinarian" if waits else "",
            )
        )
    return found


def _ordered(request: LabRequest, events: list[Event]) -> Step:
    if request.typed:
        return Step(
            word="Typed in",
            state="done",
            at=request.requested_at,
            detail=f"by {_person(request.requested_by)}, nothing was ordered",
        )
    if request.retrospective:
        match = next((event for event in events if event.verb == "unmatched.match"), None)
        return Step(
            word="Matched",
            state="done",
            at=match.at if match else request.requested_at,
            detail=f"by {match.who}, run without a request" if match else "run without a request",
        )
    name = _person(request.requested_by)
    link = f"{LINKED[Link(request.link)]} {request.first}" if request.first else ""
    details = (f"by {name}" if name else "", link)
    return Step(
        word="Ordered",
        state="done",
        at=request.requested_at,
        detail=", ".join(part for part in details if part),
    )


def _person(user: User | None) -> str:
    return (user.get_full_name() or user.username) if user else ""


def _token(request: LabRequest, messages: list[Message]) -> list[Step]:
    """The call for the right to send, where it is why the order has not left, or was made for it
    and nothing else has happened since."""
    submission = submission_of(request)
    calls = [message for message in messages if message.call]
    if submission is None or submission.accepted_at or not calls or calls[-1].call != "token":
        return []
    call = calls[-1]
    if call.status_code and 200 <= call.status_code < 300 and not submission.last_error:
        return [Step(word="Token", state="done", at=call.received_at)]
    said = f"answered {call.status_code}" if call.status_code else "no answer"
    return [Step(word="No token", state="warn", at=call.received_at, detail=said)]


def _stopped(messages: list[Message], orphans: list[UnmatchedResult]) -> list[Step]:
    """What came for it and is not among its results."""
    found = [
        Step(word="Held", state="warn", at=each.created_at, detail="a result, for a decision")
        for each in orphans[:1]
    ]
    unread = [each for each in messages if each.state == MessageState.QUARANTINED]
    return found + [
        Step(
            word="Not read", state="warn", at=each.received_at, detail="kept, for an administrator"
        )
        for each in unread[-1:]
    ]


def _sending(request: LabRequest, events: list[Event], now: datetime) -> list[Step]:
    submission = submission_of(request)
    if submission is None:
        return []
    if submission.accepted_at:
        tries = f"attempt {submission.attempts}" if submission.attempts > 1 else ""
        return [
            Step(word="Sent", state="done", at=submission.first_attempt_at, detail=tries),
            Step(
                word="Accepted",
                state="done",
                at=submission.accepted_at,
                detail=submission.external_id,
            ),
        ]
    if submission.state == SubmissionState.CANCELLED:
        may = submission.may_have_arrived
        return [
            Step(
                word="Sent" if may else "Not sent",
                state="done" if may else "off",
                at=submission.first_attempt_at if may else None,
                detail="may be at the analyzer" if may else "",
            )
        ]
    if request.state in DELIVERED:
        return [
            Step(word="Sent", state="done", at=submission.first_attempt_at),
            Step(word="Accepted", state="done", detail="no receipt, but results came"),
        ]
    if submission.state == SubmissionState.HELD:
        why = "waits until the set-up is mended"
        if submission.may_have_arrived:
            return [
                Step(word="Sent", state="done", at=submission.first_attempt_at),
                Step(word="Not accepted", state="warn", detail=why),
            ]
        return [
            Step(word="Not sent", state="warn", detail=why),
            Step(word="Accepted", state="todo"),
        ]
    if submission.state == SubmissionState.REJECTED and submission.may_have_arrived:
        return [
            Step(word="Sent", state="done", at=submission.first_attempt_at),
            Step(word="Refused", state="warn", detail="may be at the analyzer all the same"),
        ]
    if submission.state == SubmissionState.REJECTED and could_not_be_made(events):
        return [
            Step(word="Not sent", state="warn", detail="it holds what has no code there"),
            Step(word="Accepted", state="todo"),
        ]
    if submission.state == SubmissionState.REJECTED:
        return [
            Step(word="Sent", state="done", at=submission.first_attempt_at),
            Step(word="Refused", state="warn"),
        ]
    if not submission.first_attempt_at:
        late = stalled(submission, now)
        return [
            Step(
                word="Queued",
                state="warn" if late else "now",
                detail=f"not sent for {duration(late)}" if late else "leaves within seconds",
            ),
            Step(word="Accepted", state="todo"),
        ]
    tries = f"{submission.attempts} attempts" if submission.attempts > 1 else ""
    if submission.state in (SubmissionState.QUEUED, SubmissionState.UNKNOWN):
        when = submission.not_before
        again = f"next at {clock(when)}" if when > now else "next now"
        tries = f"{tries}, {again}" if tries else again
    if not submission.last_error:
        return [
            Step(word="Sent", state="done", at=submission.first_attempt_at),
            Step(word="Accepted", state="now"),
        ]
    if not submission.may_have_arrived:
        # Surely not there: "sent" would send people to the analyzer for nothing.
        return [
            Step(word="Not sent", state="warn", at=submission.first_attempt_at, detail=tries),
            Step(word="Accepted", state="todo"),
        ]
    return [
        Step(word="Sent", state="done", at=submission.first_attempt_at),
        Step(word="Not accepted", state="warn", detail=tries),
    ]


def _results(
    request: LabRequest,
    results: Results,
    events: list[Event],
    stopped: list[Step],
    known: Turnarounds,
    now: datetime,
) -> list[Step]:
    tests = list(request.tests.all())
    done = [test for test in tests if test.state == TestState.COMPLETE]
    refused = [test for test in tests if test.state == TestState.REFUSED]
    count = f"{len(done)} of {len(tests)} tests" if tests else ""
    gone = f", {len(refused)} refused" if refused else ""
    if request.state == RequestState.COMPLETE:
        at = next(
            (e.at for e in events if e.verb == "request.state" and e.data.get("to") == "complete"),
            None,
        )
        return [
            Step(word="First result", state="done", at=results.first_at),
            *stopped,
            Step(word="Complete", state="done", at=at, detail=count + gone),
        ]
    if tests and len(refused) == len(tests):
        return [Step(word="Every test refused", state="warn"), Step(word="Complete", state="todo")]
    expected = due(request, known)
    late = f"overdue by {duration(now - expected.at)}" if now > expected.at else ""
    here = request.state in DELIVERED
    state = ("warn" if late else "now") if here else "todo"
    # There are no signals from an analyzer but its results: what is accepted is on its worklist.
    detail = "; ".join(part for part in (late, expected.why) if part) if here else ""
    if results.runs:
        partial = ", ".join(part for part in (count and f"{count} in{gone}", detail) if part)
        return [
            Step(word="At the analyzer", state="done"),
            Step(word="Partial", state=state, at=results.first_at, detail=partial),
            *stopped,
            Step(word="Complete", state="todo"),
        ]
    if stopped:
        return [
            Step(word="At the analyzer", state="done"),
            *stopped,
            Step(word="Complete", state="todo"),
        ]
    return [
        Step(word="At the analyzer", state=state, detail=detail),
        Step(word="Complete", state="todo"),
    ]

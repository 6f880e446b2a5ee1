"""What people read: states, next steps and the audit in words. Pure functions over loaded rows."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from labs.models import (
    Flag,
    LabEvent,
    LabRequest,
    Link,
    RequestState,
    Submission,
    SubmissionState,
    TestState,
    Turnaround,
)
from labs.querysets import UNDELIVERED

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

FLAG_WORDS = {
    Flag.NORMAL: "within",
    Flag.LOW: "low",
    Flag.HIGH: "high",
    Flag.CRITICAL_LOW: "critical low",
    Flag.CRITICAL_HIGH: "critical high",
    Flag.ABNORMAL: "abnormal",
    Flag.POSITIVE: "positive",
    Flag.UNKNOWN: "unknown flag",
}
FLAG_SHAPES = {
    Flag.LOW: "low",
    Flag.CRITICAL_LOW: "critlow",
    Flag.HIGH: "high",
    Flag.CRITICAL_HIGH: "crithigh",
    Flag.ABNORMAL: "abnormal",
    Flag.POSITIVE: "abnormal",
    Flag.UNKNOWN: "unknown",
}
NOT_REPORTED = {
    "missing": "Not reported: the analyzer sent no value.",
    "not_calculable": "Not reported: the analyzer could not calculate it.",
    "quality_control": "Not reported: the analyzer's quality control failed.",
}


@dataclass(frozen=True, kw_only=True)
class Chip:
    """A state as a word and a shape. `shape` is one of wait, run, done, warn, crit, off."""

    word: str
    shape: str


def not_reported(reason: str) -> str:
    """A sentence for one of labs.values' reasons, or for the sender's own word."""
    return NOT_REPORTED.get(reason, f"Not reported: {reason.replace('_', ' ')}.")


def clock(at: datetime) -> str:
    """A time for people, in the zone that is active: `09:36`, `21 Nov 09:36`, `3 Mar 2024`."""
    local, today = timezone.localtime(at), timezone.localdate()
    if local.date() == today:
        return f"{local:%H:%M}"
    if abs((today - local.date()).days) < 300:
        return f"{local.day} {local:%b %H:%M}"
    return f"{local.day} {local:%b %Y}"


def duration(span: timedelta) -> str:
    """`under a minute`, `26 min`, `3 h 05`, `2 days`."""
    minutes = max(0, int(span.total_seconds())) // 60
    if minutes < 1:
        return "under a minute"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60:02}"
    days = minutes // (24 * 60)
    return f"{days} day" if days == 1 else f"{days} days"


def times(count: int) -> str:
    """`once`, `11 times`."""
    return "once" if count == 1 else f"{count} times"


def listed(names: Iterable[str]) -> str:
    """`CBC`, `CBC and Kidney panel`, `A, B and C`; each once."""
    *rest, last = dict.fromkeys(names)
    return f"{', '.join(rest)} and {last}" if rest else last


# What a clinic's own past says, by analyzer model.
Turnarounds = Mapping[str, Turnaround]


@dataclass(frozen=True, kw_only=True)
class Due:
    """When the last open test of a request is overdue. `why`: by which analyzer, and who says how
    long it takes there; empty where no test is open."""

    at: datetime
    why: str = ""


def turnarounds(clinic_id: int) -> Turnarounds:
    """One query."""
    return {row.analyzer_model: row for row in Turnaround.objects.filter(clinic=clinic_id)}


def due(request: LabRequest, known: Turnarounds) -> Due:
    """By the clinic's own past on that analyzer: nine in ten came sooner, and some minutes more.
    Where it has none, by the catalogue, from the time that it takes to load a sample."""
    begun = begun_at(request)
    found = [
        _due(begun, test.panel.analyzer_model, test.panel.usual_minutes, known)
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


def due_at(begun: datetime, model: str, minutes: int, known: Turnarounds) -> datetime:
    """As `due`, of one test; `minutes` as the catalogue has them."""
    own = known.get(model)
    if own is None:
        return begun + LOADING + timedelta(minutes=minutes)
    return begun + timedelta(seconds=own.slow_seconds) + GRACE


def _due(begun: datetime, model: str, minutes: int, known: Turnarounds) -> Due:
    why = f"{model}, {usually(model, minutes, known)}"
    return Due(at=due_at(begun, model, minutes, known), why=why)


def usually(model: str, minutes: int, known: Turnarounds) -> str:
    """How long a test on that analyzer takes, and who says so."""
    own = known.get(model)
    if own is None:
        return f"usually {minutes} min by the catalogue"
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


EVENT_WORDS = {
    "request.placed": "placed the request",
    "request.add_on": "added tests",
    "request.rerun": "ordered these tests again",
    "request.test": "marked it as a test of the connection, on no animal",
    "request.cancelled": "cancelled the request",
    "request.created": "made the request",
    "submission.accepted": "accepted the order",
    "submission.rejected": "refused the order",
    "submission.unsendable": "could not be sent the order, it holds what has no code there",
    "submission.queued": "could not be reached, the order is tried again",
    "submission.unknown": "gave no clear answer, the order is sent again under the same id",
    "submission.needs_attention": "could not take the order, a person must look",
    "submission.held": "stopped the order until the set-up is mended",
    "submission.released": "let the order go again",
    "submission.cancelled": "did not send the order, it was cancelled",
    "submission.cancelled_unknown": "gave no clear answer, and the order is not sent again: it was "
    "cancelled meanwhile",
    "submission.resubmitted": "sent the order again",
    "request.withdrawn": "took what was run by hand out of the order",
    "request.not_withdrawn": "could not take what was run by hand out of the order, it had left",
    "result.filed": "delivered results",
    "message.replayed": "had messages from quarantine read again",
    "result.reread": "read a stored message again, differently",
    "result.reviewed": "signed the results",
    "result.sent": "sent the report to the owner by e-mail",
    "result.not_sent": "could not send the report: the mail server did not take it",
    "result.told": "told an owner who had an earlier report",
    "request.charged": "marked the request as charged",
    "request.uncharged": "took back that the request was charged",
    "charges.exported": "exported what is not charged",
    "result.chosen": "chose which run to report",
    "unmatched.received": "delivered a result that belongs to no request",
    "unmatched.match": "put the result on the patient's record",
    "unmatched.unmatch": "took the match back",
    "unmatched.hold": "held the result",
    "unmatched.dismiss": "dismissed the result",
    "unmatched.reopen": "opened the result again",
    "unmatched.confirm": "looked at the automatic match: it is right",
    "automatic.off": "switched automatic matching off",
    "automatic.shadow": "had automatic matching tried in shadow",
    "automatic.on": "switched automatic matching on",
    "automatic.stopped": "disagreed with the rule: automatic matching went off",
    "unmatched.split": "split the result between two animals",
    "request.moved": "moved the request to another animal",
    "result.viewed": "looked at the results",
    "result.printed": "printed the results",
    "patient.viewed": "opened the patient's record",
    "audit.exported": "exported the audit",
    "message.viewed": "read a message of the laboratory's",
    "message.exported": "downloaded a message of the laboratory's",
    "request.missing_exported": "exported the list of results that never came",
    "clinic.entered": "entered the clinic as the operator",
    "staff.signed_in": "signed in",
    "staff.signed_out": "signed out",
    "staff.sign_in_failed": "gave a wrong password",
    "staff.sign_in_slowed": "gave so many wrong passwords that they must wait between tries",
    "staff.mail_asked": "asked for a mail to set a new password",
    "staff.password_set": "set a new password by the link in a mail",
    "staff.password_changed": "changed their own password",
    "staff.invited": "sent a member of staff a mail to set their password",
    "staff.created": "added a member of staff",
    "staff.role": "changed a member of staff's role",
    "staff.ends": "changed when a member of staff's access ends",
    "staff.login": "changed a login",
    "staff.removed": "took a member of staff's place away",
    "digest.sent": "sent the daily mail about unmatched results",
    "emergency.given": "gave an emergency code",
    "emergency.chosen": "chose the patient of an emergency code",
    "emergency.closed": "closed an emergency code",
    "patient.created": "added the patient",
    "patient.changed": "changed the patient's record",
    "patient.updated": "changed the patient's record",
    "patient.imported": "imported the patient",
}
LINKED = {Link.ADD_ON: "added to", Link.RERUN: "run again after"}
SOURCES = {
    "automatic": "Automatic matching",
    "sign-in": "Somebody at the sign-in page",
    "system": "The system",
    "command": "An operator",
}


def event_who(event: LabEvent) -> str:
    if event.actor:
        return event.actor.get_full_name() or event.actor.get_username()
    return SOURCES.get(event.source, event.source.capitalize()) or "The system"


def event_what(event: LabEvent) -> str:
    """The audit row as the second half of a sentence whose subject is `event_who`."""
    data: dict[str, Any] = event.data or {}
    if event.verb == "request.state":
        label = dict(RequestState.choices).get(data.get("to", ""), data.get("to", ""))
        return f"moved the request to {str(label).lower()}"
    return EVENT_WORDS.get(event.verb, event.verb.replace(".", " ").replace("_", " "))


def event_detail(event: LabEvent) -> str:
    """The reason or the error that stands with it, if any."""
    data: dict[str, Any] = event.data or {}
    if event.verb.startswith("submission.") and data.get("error"):
        return f"Attempt {data.get('attempt')}: {data['error']}"
    if event.verb == "submission.resubmitted" and data.get("not_there"):
        return "having looked at the analyzer, that it is not there"
    if event.verb == "request.placed":
        tests = ", ".join(data.get("tests", []))
        return f"{tests}; {LINKED[data['link']]} {data['beside']}" if "link" in data else tests
    if event.verb in ("request.withdrawn", "request.not_withdrawn"):
        return ", ".join(data.get("tests", []))
    if event.verb in ("request.add_on", "request.rerun"):
        return f"as {data['made']}"
    if event.verb == "request.moved":
        return f"from {data['was']} to {data['to']}: {data['reason']}"
    reason = data.get("reason", "")
    return reason if isinstance(reason, str) and event.verb != "unmatched.received" else ""

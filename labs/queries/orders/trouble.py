"""Why a result has not come, in words, and what mends it. Pure, over loaded rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from labs.models import (
    LabRequest,
    Message,
    MessageState,
    RequestedTest,
    RequestState,
    Submission,
    SubmissionState,
    TestState,
    UnmatchedReason,
    UnmatchedResult,
)
from labs.queries.orders.progress import (
    BY_HAND,
    BY_HAND_IF_NOT_THERE,
    OPEN_TESTS,
    Turnarounds,
    begun_at,
    due,
    due_at,
    next_try,
    stalled,
    submission_of,
    takes,
    undelivered,
)
from labs.queries.records.events import Event
from labs.queries.words import clock, duration, listed, times

UNDELIVERED_STATES = (RequestState.QUEUED, RequestState.SENT, RequestState.NEEDS_ATTENTION)
AWAITED = (RequestState.ACCEPTED, RequestState.RUNNING, RequestState.PARTIAL)
RESUBMIT: dict[str, str] = {
    SubmissionState.QUEUED: "Try now",
    SubmissionState.UNKNOWN: "Try now",
    SubmissionState.HELD: "Try again",
    SubmissionState.REJECTED: "Send again",
    SubmissionState.NEEDS_ATTENTION: "Send again",
}


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """Our sentence, the laboratory's `words`, and what is `next`. What mends it: `resubmit`, the
    words on the button that sends the order, with `not_there` where they say that somebody has
    looked at the analyzer; `offers`, links by name (record, codes, set_up,
    unmatched); `orphan`, a result to decide on; `message`, one to be read; `again`, the codes of
    panels to order once more."""

    sentence: str
    next: str
    words: str = ""
    resubmit: str = ""
    not_there: bool = False
    offers: frozenset[str] = frozenset()
    orphan: UnmatchedResult | None = None
    message: Message | None = None
    again: tuple[str, ...] = ()


def troubles(
    request: LabRequest,
    *,
    events: list[Event],
    messages: list[Message],
    orphans: list[UnmatchedResult],
    group: Iterable[LabRequest],
    known: Turnarounds,
    heard_at: datetime | None,
    now: datetime,
) -> list[Trouble]:
    """All that stands between the order and its results; empty while all is well. `orphans`: those
    that wait for a decision and were sent for this request. `group`: the requests beside it.
    `heard_at`: when anything last came from the laboratory."""
    came = [*_held(request, orphans), *_unread(messages)]
    found = [*came, *_undelivered(request, events, now), *_refused(request, group)]
    if not came:
        found += _overdue(request, known, heard_at, now)
    return found


def is_overdue(request: LabRequest, known: Turnarounds, now: datetime) -> bool:
    return request.state in AWAITED and due(request, known).at < now


def could_not_be_made(events: list[Event]) -> bool:
    """Whether the last that happened to the order, newest first, is that it could not be put into
    the laboratory's words: then it never left."""
    last = next((event for event in events if event.verb.startswith("submission.")), None)
    return last is not None and last.verb == "submission.unsendable"


def _held(request: LabRequest, orphans: list[UnmatchedResult]) -> Iterator[Trouble]:
    for orphan in orphans:
        at = clock(orphan.created_at)
        late = orphan.reason == UnmatchedReason.REQUEST_CANCELLED
        # The first of them says that it was cancelled, as our own sentence does.
        against = orphan.contradictions[1 if late else 0 :]
        yield Trouble(
            sentence=f"A result came at {at} all the same, after the cancelling, and is held."
            if late
            else f"A result came at {at} and is held, because it contradicts this order.",
            next=" ".join(
                [*against, "It is on nobody's record until somebody says whose it is."],
            ),
            orphan=orphan,
        )


def _unread(messages: list[Message]) -> Iterator[Trouble]:
    for message in messages:
        if message.state == MessageState.QUARANTINED:
            yield Trouble(
                sentence=f"Something came for this order at {clock(message.received_at)} that "
                "could not be read.",
                next=f"{message.cause} It is kept, and nothing has to be run again: an "
                "administrator looks at it under “Messages”.",
                message=message,
            )


def _undelivered(request: LabRequest, events: list[Event], now: datetime) -> Iterator[Trouble]:
    submission = submission_of(request)
    if submission is None or request.state not in UNDELIVERED_STATES:
        return
    if submission.state == SubmissionState.ACCEPTED:
        return
    late = undelivered(submission, now)
    if not (submission.last_error or late or stalled(submission, now)):
        return
    asked = submission.first_attempt_at is not None
    silent = "The laboratory has not answered yet." if asked else "The order has not left yet."
    sentence = submission.last_error or silent
    if late:
        sentence = f"Not delivered for {duration(late)}: {sentence}"
    doubtful = submission.state == SubmissionState.REJECTED and submission.may_have_arrived
    if doubtful:
        sentence = f"{sentence} But it may have arrived before that."
        next_, offers = DOUBTFUL, {"record", "codes"}
    elif could_not_be_made(events):
        next_, offers = UNSENDABLE, {"record", "codes"}
    else:
        next_, offers = _next(submission, now)
    yield Trouble(
        sentence=sentence,
        words=submission.provider_words,
        next=next_,
        resubmit=NOT_THERE if doubtful else RESUBMIT.get(str(submission.state), ""),
        not_there=doubtful,
        offers=frozenset(offers),
    )


NOT_THERE = "It is not at the analyzer: send it corrected"
DOUBTFUL = (
    "No answer came to an earlier attempt, so the laboratory may have the order as it was then. "
    "Look at the analyzer. If the order is there, leave it: run the tests, and the results come "
    "here by themselves. If it is not there, correct what the laboratory names, on the patient's "
    "record or, as an administrator, under “Codes”, and then send it with the button. It goes "
    "under the same id; should the laboratory have it after all, it counts as it was sent first. "
    "Nothing more is tried until somebody acts."
)
UNSENDABLE = (
    "Nothing was sent, and nothing more is tried until somebody acts. Correct the patient's "
    "record, or have an administrator enter a code under “Codes”; then press “Send again”. "
    f"{BY_HAND}"
)


def _next(submission: Submission, now: datetime) -> tuple[str, set[str]]:
    """What happens by itself and what a person does, and the links for that."""
    there = submission.may_have_arrived
    by_hand = BY_HAND_IF_NOT_THERE if there else BY_HAND
    again = (
        "It may have arrived. It is sent again under the same id, so it can't be there twice."
        if there
        else ""
    )
    match submission.state:
        case SubmissionState.REJECTED:
            return (
                "Nothing more is tried until somebody acts. Correct what the laboratory names, on "
                "the patient's record or, as an administrator, under “Codes”; then press “Send "
                f"again”. If the order itself is wrong, cancel it below and order anew. {by_hand}"
            ), {"record", "codes"}
        case SubmissionState.HELD:
            parts = (
                again,
                "The order waits, and goes by itself once that is mended. “Try again” asks the "
                "laboratory once more.",
                by_hand,
            )
            return " ".join(filter(None, parts)), {"set_up"}
        case SubmissionState.NEEDS_ATTENTION:
            parts = (
                f"It was tried {times(submission.attempts)}; nothing more is tried until somebody "
                "acts.",
                again and "It may have arrived; “Send again” sends it under the same id.",
                by_hand,
            )
            return " ".join(filter(None, parts)), {"set_up"}
    late = undelivered(submission, now)
    if submission.state == SubmissionState.SENDING:
        own = "It is being sent now."
    elif waiting := stalled(submission, now):
        own = (
            f"Nothing has been sent for {duration(waiting)}. Neither the order nor the laboratory "
            "is at fault, the program that sends stands still: tell your administrator, who has "
            "the operator start it. The order then goes by itself; “Try now” calls once more."
        )
    else:
        own = f"It goes by itself: {next_try(submission, now)}. “Try now” does not wait for that."
    return " ".join(filter(None, (again, own, by_hand if late else ""))), set()


def _refused(request: LabRequest, group: Iterable[LabRequest]) -> Iterator[Trouble]:
    """Tests that the laboratory refused on their own, and that nobody has ordered again since."""
    since = {
        test.panel_id: other.lab_report_id
        for other in group
        if other.pk > request.pk and other.state != RequestState.CANCELLED
        for test in other.tests.all()
    }
    tests = list(request.tests.all())
    refused = [test for test in tests if test.state == TestState.REFUSED]
    gone = [test for test in refused if test.panel_id not in since]
    if not refused or request.state == RequestState.CANCELLED:
        return
    if not gone:
        if request.state == RequestState.NEEDS_ATTENTION:
            orders = listed(since[test.panel_id] for test in refused)
            yield Trouble(
                sentence=f"The laboratory refused every test; they are on order again as {orders}.",
                next="Cancel this request below, and it no longer stands under “Needs attention”.",
            )
        return
    which = listed(test.panel.name for test in gone)
    rest = "The other tests are not touched by it. " if len(gone) < len(tests) else ""
    yield Trouble(
        sentence=f"The laboratory refused {which}: no result will come of it.",
        words=" ".join(dict.fromkeys(test.refusal for test in gone if test.refusal)),
        next=f"{rest}Run it at the analyzer by hand and match the result when it comes; or order "
        "it again, once an administrator has put right under “Codes” what the laboratory names.",
        offers=frozenset({"codes"}),
        again=tuple(test.panel.code for test in gone),
    )


def _overdue(
    request: LabRequest, known: Turnarounds, heard_at: datetime | None, now: datetime
) -> Iterator[Trouble]:
    if not is_overdue(request, known, now):
        return
    late = [test for test in request.tests.all() if _late(request, test, known, now)]
    if not late:
        return
    what = "final result" if any(t.state == TestState.RUNNING for t in late) else "result"
    where = listed(test.panel.analyzer_model for test in late)
    silence = ""
    if heard_at is None or heard_at < begun_at(request):
        since = clock(max(heard_at, request.requested_at) if heard_at else request.requested_at)
        silence = (
            f" Since {since} nothing at all has come from the laboratory, so it may be the "
            "connection and not this order: tell your administrator."
        )
    yield Trouble(
        sentence=f"No {what} of {listed(test.panel.name for test in late)} yet, overdue by "
        f"{duration(now - due(request, known).at)}.",
        next=f"The laboratory has the order. Look at {where}: is the order there, and was the "
        "sample run? What was run under another name or id is under “Unmatched”. If the order is "
        "not there, run the tests by hand and match the result when it comes."
        f"{silence}",
        offers=frozenset({"unmatched", *({"set_up"} if silence else ())}),
    )


def _late(request: LabRequest, test: RequestedTest, known: Turnarounds, now: datetime) -> bool:
    at = due_at(begun_at(request), takes(test.panel), known)
    return test.state in OPEN_TESTS and at < now

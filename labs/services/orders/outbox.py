"""What waits in the outbox: sent anew by a person, stopped and let go with its clinic's queue,
taken out before it left. What is under way is its worker's (services/orders/submissions.py)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import Case, F, Q, Value, When

from labs import clock, roles, vendors
from labs.errors import InvalidInput
from labs.models import Clinic, LabRequest, RequestedTest, Submission, SubmissionState, TestState
from labs.services.events import record
from labs.services.orders import states
from labs.services.orders.submissions import locked

if TYPE_CHECKING:
    from django.contrib.auth.models import User

HOLD_BATCH = 500  # in one transaction: two seconds
# Nothing of these is under way: a person or the schedule sends them next.
WAITING = [
    SubmissionState.QUEUED,
    SubmissionState.UNKNOWN,
    SubmissionState.HELD,
    SubmissionState.REJECTED,
    SubmissionState.NEEDS_ATTENTION,
]


def resubmit(*, acting_user: User | None, submission: Submission, not_there: bool = False) -> None:
    """Send an order now that waits, for its next attempt or for a person, under the same id; its
    schedule starts anew. One that waits for the set-up takes all that wait with it along.

    What was refused is sent as the records are now. Where an earlier attempt may have arrived, that
    would be another order under an id that the laboratory may have: only for a person who has
    looked, and says that it is `not_there`. The id stays the same all the same, because people err.

    Raises InvalidInput where it is not waiting or is being sent at this moment, or where nobody
    has looked; NotAllowed.
    """
    roles.require(acting_user, submission.clinic, "order")
    vendor = vendors.get(submission.vendor)
    if Submission.objects.filter(pk=submission.pk, state=SubmissionState.HELD).exists():
        vendor.resume(acting_user=acting_user, clinic=submission.clinic)
        return
    vendor.ask_anew(submission.clinic)
    with transaction.atomic():
        request = locked(submission.request_id)
        doubtful = Submission.objects.filter(
            pk=submission.pk, state=SubmissionState.REJECTED, may_have_arrived=True
        )
        if not_there:
            doubtful.update(sent_body="")
        elif doubtful.exists():
            raise InvalidInput(
                "The laboratory may have this order from an earlier attempt. Look at the analyzer "
                "first; if it is not there, say so with the button."
            )
        if not _queue_again(request, submission, WAITING):
            raise InvalidInput("This order is not waiting to be sent.")
        record(
            "submission.resubmitted",
            clinic=submission.clinic,
            acting_user=acting_user,
            request=request,
            **({"not_there": True} if not_there else {}),
        )
        states.refresh(request)
        transaction.on_commit(lambda: vendor.wake(submission.pk))


def _queue_again(request: LabRequest, submission: Submission, waiting: Iterable[str]) -> bool:
    """`request` as it was read when the caller locked it: then nobody is cancelling it."""
    if request.cancelled_at is not None:
        return False
    now = clock.now()
    return bool(
        Submission.objects.filter(pk=submission.pk, state__in=list(waiting)).update(
            # An order that may have arrived is still one that may have arrived.
            state=Case(
                When(may_have_arrived=True, then=Value(SubmissionState.UNKNOWN)),
                default=Value(SubmissionState.QUEUED),
            ),
            attempts=0,
            crashes=0,
            first_attempt_at=None,
            not_before=now,
            woken_at=now,
        )
    )


def hold(*, clinic: Clinic, vendor: str, error: str, words: str = "") -> int:
    """Stop a clinic's queue: what waits for its next attempt waits for `release` instead, and says
    why. What is being sent at this moment will find out by itself. Returns how many. In the
    caller's transaction, which excludes `release`."""
    waiting = Submission.objects.filter(
        clinic=clinic, vendor=vendor, state__in=[SubmissionState.QUEUED, SubmissionState.UNKNOWN]
    )
    held = 0
    for submission in waiting.order_by("request")[:HOLD_BATCH]:
        request = locked(submission.request_id)
        changed = waiting.filter(pk=submission.pk).update(
            state=SubmissionState.HELD, last_error=error, provider_words=words
        )
        if changed:
            held += 1
            record("submission.held", clinic=clinic, source=vendor, request=request, error=error)
            states.refresh(request)
    return held


def release(*, clinic: Clinic, vendor: str) -> int:
    """Let what `hold` and `settle_blocked` stopped go again, each with a schedule that starts anew.
    Returns how many; of very many the sweep lets the rest go (`look_again`). In the caller's
    transaction."""
    held = Submission.objects.filter(clinic=clinic, vendor=vendor, state=SubmissionState.HELD)
    released = []
    for submission in held.order_by("request")[:HOLD_BATCH]:
        request = locked(submission.request_id)
        if _queue_again(request, submission, [SubmissionState.HELD]):
            released.append(submission.pk)
            record("submission.released", clinic=clinic, request=request)
            states.refresh(request)
    if released:
        transaction.on_commit(lambda: vendors.get(vendor).wake_all(released))
    return len(released)


def withdraw(request: LabRequest, tests: Iterable[RequestedTest]) -> bool:
    """Take tests that were run by hand out of an order that has not left; where none is left,
    nothing is sent. False where it has left, or may have: then they are still to be removed at the
    analyzer. The caller has the request locked.

    Against a worker that claims it at this moment: both change the submission's row, so one of them
    waits for the other's commit and then finds what it decided; and the order's body is made after
    the claim.
    """
    waiting = Submission.objects.filter(request=request, state__in=WAITING, may_have_arrived=False)
    if not waiting.update(not_before=F("not_before")):
        return False
    keys = [test.pk for test in tests]
    RequestedTest.objects.filter(pk__in=keys).update(withdrawn=True)
    left = request.tests.filter(withdrawn=False).exclude(state=TestState.REFUSED)
    if not left.exists():
        waiting.update(state=SubmissionState.CANCELLED, last_error="", provider_words="")
    return True


def reinstate(request: LabRequest, tests: Iterable[RequestedTest]) -> None:
    """The match was taken back: what was withdrawn for it is ordered after all, if the order still
    has not left. The caller has the request locked."""
    keys = [test.pk for test in tests if test.withdrawn]
    if not keys or request.cancelled_at is not None:
        return
    not_left = Submission.objects.filter(
        request=request,
        state__in=[*WAITING, SubmissionState.CANCELLED],
        may_have_arrived=False,
    )
    if not not_left.update(not_before=F("not_before")):
        return
    RequestedTest.objects.filter(pk__in=keys).update(withdrawn=False)
    submission = not_left.filter(state=SubmissionState.CANCELLED).first()
    if submission is not None:
        _queue_again(request, submission, [SubmissionState.CANCELLED])
        vendor = vendors.get(submission.vendor)
        transaction.on_commit(lambda: vendor.wake(submission.pk))


def may_be_there(request: LabRequest) -> bool:
    """Whether the laboratory has this order, or may have it: then cancelling here is not enough. Of
    one whose every test it refused it has nothing."""
    if request.tests.exists() and not request.tests.exclude(state=TestState.REFUSED).exists():
        return False
    return Submission.objects.filter(
        Q(may_have_arrived=True) | Q(state=SubmissionState.SENDING), request=request
    ).exists()

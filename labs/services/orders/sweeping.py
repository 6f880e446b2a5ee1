"""What keeps the outbox going when workers die and the broker forgets: expired leases are freed,
and everything due is woken."""

from __future__ import annotations

import logging
import uuid
from datetime import datetime, timedelta

from django.db.models import F, Q

from labs import clock, vendors
from labs.models import Submission
from labs.services.orders.submissions import LEASE, Claim, settle_retry

log = logging.getLogger(__name__)

SWEEP_BATCH = 2000
# A row that is due is woken again after this time: a worker may have it in its queue.
WOKEN = timedelta(seconds=25)


def sweep(*, hurry: bool = False) -> int:
    """Free expired leases and wake a worker for everything due; the broker may have lost any of it.
    Returns how many were woken. An expired lease is an unknown outcome: the call may have got
    through before the worker died. `hurry`: also what was woken a moment ago."""
    for vendor in vendors.all_of_them():
        try:
            vendor.look_again()
        except Exception:
            # Such as one clinic's credentials under a key that is lost: the others' orders go on.
            log.exception("Looking again at what %s stopped failed", vendor.name)
    for submission in Submission.objects.lease_expired()[:SWEEP_BATCH]:
        try:
            settle_retry(
                _claim_of_the_dead(submission),
                error="The worker that was sending this order stopped.",
                outcome_unknown=True,
                crashed=True,
            )
        except Exception:
            # One order that cannot be settled must not keep the others waiting.
            log.exception("Freeing submission %s failed", submission.pk)
    return wake_due(hurry=hurry)


def wake_due(*, hurry: bool = False) -> int:
    """Wake a worker for what is due, each at most once in WOKEN: workers may have it in their
    queue, and a queue that grows faster than it is worked off never ends. Returns how many."""
    now = clock.now()
    rows = Submission.objects.due(now)
    if not hurry:
        rows = rows.filter(
            Q(woken_at=None) | Q(woken_at__lt=F("not_before")) | Q(woken_at__lt=now - WOKEN)
        )
    due = list(rows.order_by("not_before").values_list("pk", "vendor")[:SWEEP_BATCH])
    if not due:
        return 0
    Submission.objects.filter(pk__in=[pk for pk, _ in due]).update(woken_at=now)
    for name in dict.fromkeys(name for _, name in due):
        vendors.get(name).wake_all([pk for pk, vendor in due if vendor == name])
    return len(due)


def _claim_of_the_dead(submission: Submission) -> Claim:
    claimed: datetime | None = submission.lease_until and submission.lease_until - LEASE
    first = submission.first_attempt_at
    return Claim(
        submission=submission,
        lease=submission.lease or uuid.UUID(int=0),
        elapsed=claimed - first if claimed and first else timedelta(0),
    )

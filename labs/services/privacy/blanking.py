"""Emptying the bodies of messages: the one way in which anything of the journal goes.

Only of what is settled: filed, or matched, on requests to which nothing more is to come. What
nobody has filed yet stays byte for byte, however old it is (I1). The row, its ids, states and hash
stay, so that what is sent again is known, and the database itself refuses any other change of a
body (labs/models/kept_bodies.py).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from labs.models import (
    Blanked,
    Clinic,
    Message,
    MessageState,
    SubmissionState,
    TestRun,
    UnmatchedResult,
    UnmatchedState,
)
from labs.querysets import NOTHING_TO_COME

BATCH = 500
# Of an order nothing more is sent in these.
DONE = (SubmissionState.ACCEPTED, SubmissionState.REJECTED, SubmissionState.CANCELLED)


def settled(messages: QuerySet[Message]) -> QuerySet[Message]:
    """Those of them whose bodies nobody needs any more to know whose result it is. An array is
    settled when each of its parts is."""
    here = Q(direction=Message.Direction.IN) & _filed()
    unsettled = Message.objects.filter(parent=OuterRef("pk")).exclude(_filed())
    array = Q(state__in=[MessageState.FILED, MessageState.UNMATCHED], is_array=True)
    return messages.annotate(
        is_array=Exists(Message.objects.filter(parent=OuterRef("pk"))),
        holds_unsettled=Exists(unsettled),
    ).filter(
        Q(here, is_array=False)
        | (array & Q(holds_unsettled=False))
        | Q(direction=Message.Direction.OUT, submission__state__in=DONE)
    )


def _filed() -> Q:
    # Of one that was split, the first and all that were taken out of it.
    group = Q(pk=OuterRef("unmatched")) | Q(split_from=OuterRef("unmatched"))
    waiting = UnmatchedResult.objects.filter(group).exclude(state=UnmatchedState.MATCHED)
    runs = Q(unmatched=OuterRef("unmatched")) | Q(unmatched__split_from=OuterRef("unmatched"))
    # Also those on no request.
    growing = TestRun.objects.filter(runs).exclude(request__state__in=NOTHING_TO_COME)
    return Q(state=MessageState.FILED, request__state__in=NOTHING_TO_COME) | (
        Q(state=MessageState.UNMATCHED, unmatched__isnull=False)
        & ~Q(Exists(waiting))
        & ~Q(Exists(growing))
    )


def blank(messages: QuerySet[Message], why: Blanked) -> int:
    """Empty the bodies of those of them that are settled, with what was read into no field. Returns
    how many. In the caller's transaction, if there is one."""
    pks = list(settled(messages.filter(blanked_at=None)).values_list("pk", flat=True))
    changed = 0
    for start in range(0, len(pks), BATCH):
        # Looked at again by the statement that empties it: it may have been taken back meanwhile.
        rows = settled(Message.objects.filter(pk__in=pks[start : start + BATCH]))
        changed += Message.objects.filter(pk__in=rows.values("pk")).update(
            raw=b"", reply=None, extra={}, blanked_at=timezone.now(), blanked=why
        )
    return changed


def kept_until(message: Message) -> datetime | None:
    """From when on its clinic keeps its body no longer; None: for ever, or it is gone already."""
    days = message.clinic.keep_messages_days if message.clinic else None
    if days is None or message.blanked_at is not None:
        return None
    return message.received_at + timedelta(days=days)


def forget_old_bodies() -> int:
    """Of each clinic that has set a time, what was received before it, the oldest first and some at
    a time, until nothing is left. Returns how many."""
    changed = 0
    for clinic in Clinic.objects.exclude(keep_messages_days=None):
        before = timezone.now() - timedelta(days=clinic.keep_messages_days)
        rows = Message.objects.filter(clinic=clinic, blanked_at=None, received_at__lt=before)
        last = 0
        while some := list(
            rows.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:BATCH]
        ):
            changed += blank(Message.objects.filter(pk__in=some), Blanked.TIME)
            last = some[-1]
    return changed

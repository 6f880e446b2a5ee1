"""The journal's balance: is every message ever accepted still somewhere a person can find it?"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any

from django.db import connection
from django.db.models import Count, QuerySet
from django.utils import timezone

from labs.models import Clinic, Message, MessageState

LATE = timedelta(minutes=5)
LOST_SHOWN = 20
# Each message once, with the places where it is. Sets are built once and joined, because looking
# each message up in five tables took over five seconds for nine thousand of them.
PLACES = """
WITH placed AS (
    SELECT labs_labresult.message_id,
        MAX(CASE WHEN labs_testrun.unmatched_id IS NULL THEN 1 ELSE 0 END) AS on_request,
        MAX(CASE WHEN labs_testrun.unmatched_id IS NULL THEN 0 ELSE 1 END) AS in_queue
    FROM labs_labresult JOIN labs_testrun ON labs_testrun.id = labs_labresult.run_id
    GROUP BY labs_labresult.message_id
), attached AS (
    SELECT DISTINCT message_id FROM labs_attachment
), arrays AS (
    SELECT DISTINCT parent_id FROM labs_message WHERE parent_id IS NOT NULL
), places AS (
    SELECT message.id, message.clinic_id, message.receipt_id,
        CASE WHEN placed.on_request = 1 OR (attached.message_id IS NOT NULL
            AND message.unmatched_id IS NULL AND message.request_id IS NOT NULL)
            THEN 1 ELSE 0 END AS filed,
        CASE WHEN placed.in_queue = 1
            OR (message.unmatched_id IS NOT NULL AND message.request_id IS NULL)
            THEN 1 ELSE 0 END AS unmatched,
        CASE WHEN message.state = 'quarantined' THEN 1 ELSE 0 END AS quarantined,
        CASE WHEN message.state = 'received' THEN 1 ELSE 0 END AS pending
    FROM labs_message AS message
    LEFT JOIN placed ON placed.message_id = message.id
    LEFT JOIN attached ON attached.message_id = message.id
    LEFT JOIN arrays ON arrays.parent_id = message.id
    WHERE message.direction = 'in' AND arrays.parent_id IS NULL
)
"""
COUNTS = (
    PLACES
    + """
SELECT clinic_id, COUNT(*), SUM(filed), SUM(unmatched), SUM(quarantined), SUM(pending),
    SUM(CASE WHEN filed + unmatched + quarantined + pending = 0 THEN 1 ELSE 0 END)
FROM places GROUP BY clinic_id
"""
)
NOWHERE = (
    PLACES
    + """
SELECT receipt_id FROM places
WHERE filed + unmatched + quarantined + pending = 0 AND COALESCE(clinic_id, 0) = %s
ORDER BY id LIMIT %s
"""
)


@dataclass(frozen=True, kw_only=True)
class Balance:
    """`received = filed + unmatched + quarantined + pending`. An array is counted by its parts.
    `lost`: at most 20 receipts that the right side does not reach; `nowhere`: how many it does
    not."""

    received: int = 0
    filed: int = 0
    unmatched: int = 0
    quarantined: int = 0
    pending: int = 0
    nowhere: int = 0
    lost: tuple[str, ...] = ()

    @property
    def accounted(self) -> int:
        return self.filed + self.unmatched + self.quarantined + self.pending

    @property
    def holds(self) -> bool:
        return self.received == self.accounted and not self.nowhere

    def __add__(self, other: Balance) -> Balance:
        both = {
            field.name: getattr(self, field.name) + getattr(other, field.name)
            for field in fields(Balance)
        }
        return Balance(**both | {"lost": both["lost"][:LOST_SHOWN]})


def late(
    messages: QuerySet[Message] | None = None, *, since_before: Any = None
) -> QuerySet[Message]:
    """What is pending for longer than any filing takes, which is since `since_before`: the sweeper
    stands still, or fails. An array is counted by its parts."""
    pending = Message.objects.pending() if messages is None else messages
    return pending.filter(
        direction=Message.Direction.IN,
        state=MessageState.RECEIVED,
        pending_since__lt=since_before or timezone.now() - LATE,
        parts=None,
    )


def late_by_clinic() -> dict[int | None, int]:
    return dict(late().values_list("clinic").annotate(n=Count("pk")).order_by())


def counts_by_state(clinic: Clinic | None) -> dict[str, int]:
    """Inbound messages by what the journal says of them; states without a message are 0."""
    messages = Message.objects.filter(direction=Message.Direction.IN, parts=None)
    if clinic:
        messages = messages.filter(clinic=clinic)
    rows = dict(messages.values_list("state").annotate(n=Count("pk")).order_by())
    inbound = [state for state in MessageState if state != MessageState.SENT]
    return {str(state): rows.get(state, 0) for state in inbound}


def balances() -> dict[int | None, Balance]:
    """By the primary key of the clinic; None: of messages that belong to none. One statement, and
    so at one moment; one more for each clinic of which something is lost.

    The right side does not trust the journal's own word that a message was filed: it counts what
    is reached from results, from the unmatched queue and its decisions, and from quarantine. One
    that is reached in two ways that exclude each other breaks the law as a lost one does.
    """
    found = {}
    with connection.cursor() as cursor:
        cursor.execute(COUNTS)
        for clinic, *counts in cursor.fetchall():
            received, filed, unmatched, quarantined, pending, nowhere = map(int, counts)
            lost = ()
            if nowhere:
                cursor.execute(NOWHERE, [clinic or 0, LOST_SHOWN])
                lost = tuple(receipt for (receipt,) in cursor.fetchall())
            found[clinic] = Balance(
                received=received,
                filed=filed,
                unmatched=unmatched,
                quarantined=quarantined,
                pending=pending,
                nowhere=nowhere,
                lost=lost,
            )
    return found


def balance(clinic: Clinic | None = None) -> Balance:
    """For one clinic, or for the whole installation."""
    found = balances()
    if clinic is not None:
        return found.get(clinic.pk, Balance())
    return sum(found.values(), Balance())

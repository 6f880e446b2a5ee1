"""The journal's balance: is every message ever accepted still somewhere a person can find it?"""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from labs.models import Attachment, Clinic, LabResult, Message, MessageState


@dataclass(frozen=True, kw_only=True)
class Balance:
    """`received = filed + unmatched + quarantined + pending`. An
    array is counted by its parts. `lost`: at most 20 receipts that the right side does not reach.
    """

    received: int
    filed: int
    unmatched: int
    quarantined: int
    pending: int
    lost: tuple[str, ...] = ()

    @property
    def accounted(self) -> int:
        return self.filed + self.unmatched + self.quarantined + self.pending

    @property
    def holds(self) -> bool:
        return self.received == self.accounted and not self.lost


def counts_by_state(clinic: Clinic | None) -> dict[str, int]:
    """Inbound messages by what the journal says of them; states without a message are 0."""
    rows = dict(_messages(clinic).values_list("state").annotate(n=Count("pk")).order_by())
    inbound = [state for state in MessageState if state != MessageState.SENT]
    return {str(state): rows.get(state, 0) for state in inbound}


def balance(clinic: Clinic | None = None) -> Balance:
    """For one clinic, or for the whole installation. Three statements.

    The right side does not trust the journal's own word that a message was filed: it counts what
    is reached from results, from the unmatched queue and its decisions, and from quarantine. One
    that is reached in two ways that exclude each other breaks the law as a lost one does.
    """
    messages = _messages(clinic).annotate(
        on_request=Exists(_results(run__unmatched=None))
        | Exists(_files(message__unmatched=None, message__request__isnull=False)),
        in_queue=Exists(_results(run__unmatched__isnull=False))
        | Q(unmatched__isnull=False, request=None),
        aside=Q(state=MessageState.QUARANTINED),
        waits=Q(state=MessageState.RECEIVED),
    )
    nowhere = messages.filter(on_request=False, in_queue=False, aside=False, waits=False)
    figures = messages.aggregate(
        received=Count("pk"),
        filed=Count("pk", filter=Q(on_request=True)),
        unmatched=Count("pk", filter=Q(in_queue=True)),
        quarantined=Count("pk", filter=Q(aside=True)),
        pending=Count("pk", filter=Q(waits=True)),
    )
    lost = tuple(nowhere.order_by("pk").values_list("receipt_id", flat=True)[:20])
    return Balance(**figures, lost=lost)


def _messages(clinic: Clinic | None) -> QuerySet[Message]:
    found = Message.objects.filter(direction=Message.Direction.IN, parts=None)
    return found.filter(clinic=clinic) if clinic else found


def _results(**found: object) -> QuerySet[LabResult]:
    return LabResult.objects.filter(message=OuterRef("pk"), **found)


def _files(**found: object) -> QuerySet[Attachment]:
    return Attachment.objects.filter(message=OuterRef("pk"), **found)

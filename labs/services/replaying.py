"""Reading again what could not be filed: one message, or all that are in quarantine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from labs import vendors
from labs.models import Message, MessageState

if TYPE_CHECKING:
    from django.db.models import QuerySet


@dataclass(frozen=True, kw_only=True)
class Replayed:
    receipt_id: str
    message_id: str
    before: MessageState
    after: MessageState
    cause: str


def quarantined(messages: QuerySet[Message]) -> QuerySet[Message]:
    """Those in quarantine. A part of an array is read again on its own: its parent holds nothing
    else."""
    return messages.filter(
        direction=Message.Direction.IN, state=MessageState.QUARANTINED, parts=None
    )


def replay(pk: int) -> Replayed:
    """Read one message again with today's code. What was filed already stays as it is. Safe to
    call at any time, also twice at once: of two, one files it and the other finds it filed."""
    message = Message.objects.defer("raw", "reply").get(pk=pk)
    before = MessageState(message.state)
    vendors.get(message.vendor).refile(pk)
    message.refresh_from_db(fields=["state", "cause", "message_id"])
    return Replayed(
        receipt_id=message.receipt_id,
        message_id=message.message_id,
        before=before,
        after=MessageState(message.state),
        cause=message.cause,
    )

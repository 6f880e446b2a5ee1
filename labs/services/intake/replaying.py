"""Reading again what could not be filed: one message, or all that are in quarantine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import transaction

from labs import roles, vendors
from labs.errors import InvalidInput
from labs.models import Clinic, Message, MessageState
from labs.services.events import record
from labs.services.intake import journal

if TYPE_CHECKING:
    from django.contrib.auth.models import User
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
    if before == MessageState.RECEIVED:
        journal.take_up(pk, early=True)
    vendors.get(message.vendor).refile(pk)
    message.refresh_from_db(fields=["state", "cause", "message_id"])
    return Replayed(
        receipt_id=message.receipt_id,
        message_id=message.message_id,
        before=before,
        after=MessageState(message.state),
        cause=message.cause,
    )


def require_body(message: Message) -> None:
    """Raises InvalidInput with what became of it."""
    if message.blanked_at is not None:
        raise InvalidInput(
            f"Its body is not there to be read any more. {message.get_blanked_display()} What was "
            "filed from it stays."
        )


def replay_one(*, acting_user: User, clinic: Clinic, message: Message) -> Replayed:
    """A person's replay of one message in that clinic's quarantine. Raises NotAllowed, InvalidInput
    where its body is not there any more."""
    roles.require(acting_user, clinic, "administer")
    require_body(message)
    record("message.replayed", clinic=clinic, acting_user=acting_user, message=message)
    return replay(message.pk)


def replay_all(*, acting_user: User, clinic: Clinic) -> int:
    """All that is in that clinic's quarantine, filed by the sweeper from now on: however many they
    are, nobody waits at a screen, and their states say how far it is. What was cut at the door
    stays: there is no more of it to read. Returns how many. Raises NotAllowed."""
    roles.require(acting_user, clinic, "administer")
    with transaction.atomic():
        waiting = quarantined(Message.objects.filter(clinic=clinic, declared_size=None))
        reopened = journal.reopen_all(waiting)
        if reopened:
            record("message.replayed", clinic=clinic, acting_user=acting_user, messages=reopened)
    return reopened

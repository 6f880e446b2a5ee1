"""One message in: read what is stored, file it or hold it, tell the sender what became of it."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass

from django.db import transaction

from integrations.heska.conf import ADAPTER_VERSION
from integrations.heska.services import addresses
from integrations.heska.wire import inbound, strict
from labs.errors import NotReadable
from labs.models import LabRequest, Message, MessageState, UnmatchedReason
from labs.report import Report
from labs.services.intake import journal, results
from labs.services.orders import states

log = logging.getLogger(__name__)
# For the parts of one array while its sender waits: it gives up on us after 5 s, and so does
# `pims.gate` on the filing.
ARRAY_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """What is answered for one stored message: the `Status` word of the contract."""

    receipt_id: str
    status: str


def file_stored(message: Message, *, seconds: float = math.inf) -> list[Receipt]:
    """Read a journaled message and file it, or each part of it. Never raises for what is in it: a
    failure in filing leaves the row to the sweeper, with its cause, and so does an array the parts
    that it comes to after `seconds`.

    Raises strict.NotJson, after quarantining, because the contract answers that with 400.
    """
    try:
        value = strict.loads(bytes(message.raw))
    except strict.NotJson as error:
        journal.quarantine(message=message, cause=f"The body is not JSON. {error}")
        raise
    except strict.Ambiguous as error:
        journal.quarantine(message=message, cause=str(error))
        return [Receipt(receipt_id=message.receipt_id, status="Quarantined")]
    until = time.monotonic() + seconds
    # A part is one message, also where it is read again on its own.
    members = None if message.parent_id else inbound.messages(value)
    if members is None:
        return [_file_one(message, value)]
    if not members or len(members) > inbound.MAX_MESSAGES:
        cause = (
            f"It holds more than {inbound.MAX_MESSAGES} messages."
            if members
            else "It is a list with nothing in it."
        )
        journal.quarantine(message=message, cause=cause)
        return [Receipt(receipt_id=message.receipt_id, status="Quarantined")]
    with transaction.atomic():
        parts = journal.split(message=message, parts=[strict.dumps(member) for member in members])
    receipts = [
        _file_part(part, member) if time.monotonic() < until else _receipt(part)
        for part, member in zip(parts, members, strict=True)
    ]
    _settle_parent(message)
    return receipts


def _settle_parent(message: Message) -> None:
    """The parent of an array is as far as its worst part."""
    states = set(message.parts.values_list("state", flat=True))
    for state in (
        MessageState.RECEIVED,
        MessageState.QUARANTINED,
        MessageState.UNMATCHED,
    ):
        if state in states:
            break
    else:
        state = MessageState.FILED
    Message.objects.filter(pk=message.pk).update(state=state, cause="")
    if state == MessageState.RECEIVED:
        journal.wait_for_parts(message)


def _file_part(part: Message, value: object) -> Receipt:
    """As a message of its own, its attempts counted apart: of a thousand parts one may be such that
    the process ends in it, and the others must not wait for that one."""
    if part.state == MessageState.RECEIVED and not journal.take_up(part.pk, early=True):
        return _receipt(Message.objects.select_related("unmatched").get(pk=part.pk))
    return _file_one(part, value)


def _receipt(part: Message) -> Receipt:
    return Receipt(receipt_id=part.receipt_id, status=status_word(part))


def _file_one(message: Message, value: object) -> Receipt:
    """File one message; what goes wrong in our own code is logged and left for the sweeper."""
    try:
        status = _file(message, value)
    except Exception as error:
        log.exception("Filing %s failed", message.receipt_id)
        journal.filing_failed(message=message, error=error)
        status = "Received"
    return Receipt(receipt_id=message.receipt_id, status=status)


STATUS_WORDS = {
    MessageState.FILED: "Stored",
    MessageState.UNMATCHED: "Stored",
    MessageState.QUARANTINED: "Quarantined",
    MessageState.RECEIVED: "Received",
}


def status_word(message: Message) -> str:
    """The word for a message that was filed before."""
    if message.unmatched is not None and message.unmatched.reason != UnmatchedReason.NO_REQUEST:
        return "Held"
    return STATUS_WORDS[MessageState(message.state)]


def _file(message: Message, value: object) -> str:
    if message.state != MessageState.RECEIVED:
        return status_word(message)
    if message.clinic is None:
        journal.quarantine(message=message, cause="Its address belongs to no clinic.")
        return "Quarantined"
    if addresses.is_other_clinics(message):
        # Refused at the door with 403; a replay, or the sweep after a crash, must refuse it too.
        journal.quarantine(message=message, cause="It was sent to another clinic's address.")
        return "Quarantined"
    kind, key = addresses.parts(message)
    result_key = None if kind == addresses.UNMATCHED_PATH else key
    try:
        report = inbound.report(value, message.clinic.zone)
    except inbound.NotUnderstood as error:
        message.request = LabRequest.objects.filter(
            clinic=message.clinic, result_key=result_key
        ).first()
        message.adapter_version = ADAPTER_VERSION
        message.save(update_fields=["request", "adapter_version"])
        journal.quarantine(message=message, cause=str(error))
        if message.request is not None:
            states.show(message.request)
        return "Quarantined"
    message.adapter_version = ADAPTER_VERSION
    filed = results.file_report(message=message, report=report, result_key=result_key)
    return "Held" if filed.held else STATUS_WORDS[filed.state]


def read(message: Message) -> Report:
    """One stored message, or one part of an array, as it is read today. Raises NotReadable."""
    if message.clinic is None:
        raise NotReadable("Its address belongs to no clinic.")
    try:
        return inbound.report(strict.loads(bytes(message.raw)), message.clinic.zone)
    except (strict.NotJson, strict.Ambiguous, inbound.NotUnderstood) as error:
        raise NotReadable(str(error)) from error


def reconsider(message: Message) -> bool:
    """A body that was refused for its header may come again with a right one: let it be read again.
    Only if nobody else has filed it since the look: false."""
    if journal.given_up(message) or not journal.reopen(message):
        return False
    message.state = MessageState.RECEIVED
    return True


def replay(message_id: int) -> None:
    """Read a stored message again. What was filed or is an orphan already stays as it is; what was
    quarantined or never filed is tried with today's code."""
    message = Message.objects.select_related("clinic", "unmatched").get(pk=message_id)
    if message.state in (MessageState.FILED, MessageState.UNMATCHED):
        return
    if message.declared_size is not None:
        # Only its beginning was kept; there is nothing more to read.
        journal.quarantine(message=message, cause="The body is over the limit")
        return
    # Only if it still waits: its sender may have posted it again and had it filed since the look.
    if message.state == MessageState.QUARANTINED and not journal.reopen(message, last=True):
        return
    message.state = MessageState.RECEIVED
    for part in message.parts.filter(state=MessageState.QUARANTINED):
        journal.reopen(part, last=True, due=True)
    try:
        file_stored(message)
    except strict.NotJson:
        pass  # quarantined again, with its cause
    if message.parent is not None:
        _settle_parent(message.parent)

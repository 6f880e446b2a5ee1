"""The journal of messages. What a known sender posted is committed here before anything is read."""

from __future__ import annotations

import hashlib
import logging
from datetime import timedelta

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from labs import vendors
from labs.failpoints import failpoint
from labs.models import Clinic, Message, MessageState
from labs.services import quick

log = logging.getLogger(__name__)

SWEEP_BATCH = 200
# Filing is tried again after this long times the attempts so far, at most an hour.
REFILE_WAIT = timedelta(seconds=30)


def receive(
    *,
    vendor: str,
    clinic: Clinic | None,
    sender: str,
    target: str,
    headers: dict[str, str],
    raw: bytes,
    declared_size: int | None = None,
) -> tuple[Message, bool]:
    """Store the bytes durably, by a statement that is committed on its own, and return the row and
    whether it is new. The same body at the same address for the same clinic is one row, for ever,
    by unique index: its counter of redeliveries goes up.

    `target` without its trailing slash. `declared_size` where `raw` is only the beginning.
    """
    message = unsaved(
        vendor=vendor,
        clinic=clinic,
        sender=sender,
        target=target,
        headers=headers,
        raw=raw,
        declared_size=declared_size,
    )
    with transaction.atomic(durable=True):
        pass  # raises RuntimeError in a caller's transaction: what follows commits by itself
    if not quick.insert_unless_there(message, unique="dedupe_key"):
        known = Message.objects.filter(dedupe_key=message.dedupe_key)
        known.update(redeliveries=F("redeliveries") + 1, last_seen_at=message.last_seen_at)
        return known.get(), False
    failpoint("committed")
    return message, True


def unsaved(
    *,
    vendor: str,
    clinic: Clinic | None,
    sender: str,
    target: str,
    headers: dict[str, str],
    raw: bytes,
    declared_size: int | None = None,
) -> Message:
    """The row that `receive` writes."""
    now = timezone.now()
    return Message(
        direction=Message.Direction.IN,
        vendor=vendor,
        clinic=clinic,
        sender=sender,
        target=target[:300],
        headers=headers,
        raw=raw,
        declared_size=declared_size,
        sha256=hashlib.sha256(raw).hexdigest(),
        dedupe_key=dedupe_key(vendor, clinic, target, raw, declared_size),
        received_at=now,
        last_seen_at=now,
        not_before=now + REFILE_WAIT,
    )


def dedupe_key(
    vendor: str, clinic: Clinic | None, target: str, raw: bytes, declared_size: int | None
) -> str:
    sha256 = hashlib.sha256(raw).hexdigest()
    identity = f"{vendor}|{clinic.pk if clinic else '-'}|{target}|{declared_size}|{sha256}"
    return hashlib.sha256(identity.encode()).hexdigest()


def split(*, message: Message, parts: list[bytes]) -> list[Message]:
    """A child row for each message of an array, in the caller's transaction. Idempotent."""
    # The same array posted twice at one moment, or swept meanwhile, is split once.
    Message.objects.select_for_update(of=("self",)).only("pk").get(pk=message.pk)
    existing = {child.part: child for child in message.parts.all()}
    for position, raw in enumerate(parts):
        if position not in existing:
            existing[position] = Message.objects.create(
                direction=Message.Direction.IN,
                vendor=message.vendor,
                clinic=message.clinic,
                sender=message.sender,
                target=message.target,
                raw=raw,
                sha256=hashlib.sha256(raw).hexdigest(),
                parent=message,
                part=position,
                received_at=message.received_at,
                last_seen_at=message.last_seen_at,
            )
    return [existing[position] for position in sorted(existing)]


def quarantine(*, message: Message, cause: str) -> None:
    """Keep it aside for a person, with the cause in plain words."""
    message.state = MessageState.QUARANTINED
    message.cause = cause
    message.save(update_fields=["state", "cause"])


def filing_failed(*, message: Message, cause: str) -> None:
    """Filing broke: the row stays `received` with its cause and is tried again by the sweeper."""
    attempts = message.attempts + 1
    # Only while nobody else has filed it, and no power that a timedelta cannot hold.
    Message.objects.pending().filter(pk=message.pk).update(
        attempts=attempts,
        cause=cause,
        not_before=timezone.now() + min(REFILE_WAIT * 2 ** min(attempts, 7), timedelta(hours=1)),
    )


def sweep() -> int:
    """File what was stored and never filed: the process died in between, or filing failed."""
    now = timezone.now()
    pending = list(
        Message.objects.pending()
        .filter(Q(not_before__lte=now), parent=None)
        .order_by("not_before")
        .values_list("pk", "vendor")[:SWEEP_BATCH]
    )
    for pk, vendor in pending:
        try:
            vendors.get(vendor).refile(pk)
        except Exception as error:
            # One message that cannot be filed must not keep the others waiting: it goes to the end
            # of the queue, and its own row says why.
            log.exception("Filing message %s failed", pk)
            filing_failed(
                message=Message.objects.get(pk=pk),
                cause=f"Filing failed: {type(error).__name__}",
            )
    return len(pending)

"""The journal of messages. What a known sender posted is committed here before anything is read."""

from __future__ import annotations

import hashlib
import logging
import time
from datetime import timedelta

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Greatest
from django.utils import timezone

from labs import quick, vendors
from labs.failpoints import failpoint
from labs.models import Clinic, Message, MessageState

log = logging.getLogger(__name__)

SWEEP_BATCH = 200
# How long one sweep goes on: the next one is due 30 s after it began.
SWEEP_SECONDS = 20
# Filing is tried again after this long, and twice as long after each attempt, at most an hour.
REFILE_WAIT = timedelta(seconds=30)
# A message that could not be filed so many times is put aside, so that it stops no other.
MAX_ATTEMPTS = 5
STATEMENT_TOO_LONG = "57014"  # PostgreSQL's query_canceled


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
        # Whoever stores it files it next: the first attempt, should the process die in it.
        attempts=1,
        not_before=now + REFILE_WAIT,
        pending_since=now,
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
    existing = {child.part: child for child in message.parts.select_related("clinic", "unmatched")}
    missing = [
        Message(
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
            pending_since=message.pending_since,
        )
        for position, raw in enumerate(parts)
        if position not in existing
    ]
    existing |= {child.part: child for child in Message.objects.bulk_create(missing)}
    return [existing[position] for position in sorted(existing)]


def quarantine(*, message: Message, cause: str) -> None:
    """Keep it aside for a person, with the cause in plain words."""
    message.state = MessageState.QUARANTINED
    message.cause = cause
    message.attempts = 0  # it was read to the end; see `given_up`
    message.save(update_fields=["state", "cause", "attempts"])


def given_up(message: Message) -> bool:
    """Whether it lies in quarantine because filing it failed too often, and not for what is in
    it: then only a person's replay tries once more."""
    return message.state == MessageState.QUARANTINED and message.attempts >= MAX_ATTEMPTS


def take_up(pk: int, *, early: bool = False) -> bool:
    """Count one more attempt at filing a pending message, and commit that before it is made: a
    process that dies in it counts like one that fails. False where there is nothing to do: it is
    filed, or somebody else is at it, or it was tried too often and is now in quarantine.

    `early`: also before its time has come, as where its sender posts it again.
    """
    pending = Message.objects.pending().filter(pk=pk)
    row = pending.values_list("attempts", "not_before").first()
    if row is None:
        return False
    attempts, not_before = row
    now = timezone.now()
    due = not_before is None or not_before <= now
    if not due and not early:
        return False
    if attempts >= MAX_ATTEMPTS and not Message.objects.filter(parent=pk).exists():
        if due:
            _give_up(pk)
        return False
    # An array ends by its parts, each of which has attempts of its own.
    counted = pending.filter(attempts=attempts).update(
        attempts=attempts + 1,
        not_before=now + _wait(attempts + 1),
        cause="Filing it was begun, and the program ended in the middle of it.",
    )
    return bool(counted)


def reopen(message: Message, *, last: bool = False, due: bool = False) -> bool:
    """Out of quarantine, to be filed by the caller now, or, where `due`, by whoever takes it up
    next. `last`: it is a person's attempt, and the only one. False where it is not in quarantine
    any more: of several who take it out at once, one does."""
    now = timezone.now()
    attempts = MAX_ATTEMPTS if last else 1
    reopened = Message.objects.filter(pk=message.pk, state=MessageState.QUARANTINED).update(
        state=MessageState.RECEIVED,
        cause="",
        attempts=attempts - 1 if due else attempts,
        not_before=now if due else now + REFILE_WAIT,
        pending_since=now,
    )
    return bool(reopened)


def reopen_all(messages: QuerySet[Message]) -> int:
    """As `reopen`, for the sweeper to file them: all of those that are in quarantine."""
    now = timezone.now()
    return messages.filter(state=MessageState.QUARANTINED).update(
        state=MessageState.RECEIVED,
        cause="Waits to be read again.",
        attempts=MAX_ATTEMPTS - 1,
        not_before=now,
        pending_since=now,
    )


def _wait(attempts: int) -> timedelta:
    # No power that a timedelta cannot hold.
    longer: int = 2 ** min(attempts, 7)
    return min(REFILE_WAIT * longer, timedelta(hours=1))


def _give_up(pk: int) -> None:
    pending = Message.objects.pending().filter(pk=pk)
    last = pending.values_list("cause", flat=True).first()
    pending.update(
        state=MessageState.QUARANTINED,
        attempts=MAX_ATTEMPTS,
        cause=f"Filing it was tried {MAX_ATTEMPTS} times. The last time: "
        f"{last or 'the program ended in the middle of it.'} The fault is the program's and not "
        "the laboratory's; the message is kept. Ask your operator, then replay it.",
    )
    log.error("Message %s is in quarantine after %d attempts", pk, MAX_ATTEMPTS)


def filing_failed(*, message: Message, error: Exception) -> None:
    """Filing broke: the row stays `received` with its cause and is tried again by the sweeper, or
    was tried often enough and goes to quarantine."""
    # Only while nobody else has filed it.
    pending = Message.objects.pending().filter(pk=message.pk)
    pending.update(cause=f"Filing failed: {type(error).__name__}.")
    if _passes(error):
        # No attempt of this message's own: the database may be away for an hour.
        pending.update(attempts=Greatest(F("attempts") - 1, 0))
        return
    attempts = pending.values_list("attempts", flat=True).first()
    if attempts is not None and attempts >= MAX_ATTEMPTS:
        _give_up(message.pk)


def _passes(error: Exception) -> bool:
    """Whether it was the database that could not do anything just now. A statement that took too
    long is the message's own, for all that we know."""
    cause = getattr(error.__cause__, "sqlstate", None)
    return isinstance(error, (OperationalError, InterfaceError)) and cause != STATEMENT_TOO_LONG


def wait_for_parts(message: Message) -> None:
    """An array of which a part could not be filed yet."""
    Message.objects.pending().filter(pk=message.pk).update(
        cause="A part of it could not be filed yet."
    )


def sweep() -> int:
    """File what was stored and never filed: the process died in between, filing failed, or a person
    had it replayed. Goes on until nothing is due or it is time for the next sweep; two at once do
    no harm. Returns how many were taken up."""
    until = time.monotonic() + SWEEP_SECONDS
    taken = 0
    while time.monotonic() < until:
        due = list(
            Message.objects.pending()
            .filter(not_before__lte=timezone.now())
            # As long as an array waits, it takes its parts along.
            .exclude(parent__state=MessageState.RECEIVED)
            .order_by("not_before")
            .values_list("pk", "vendor")[:SWEEP_BATCH]
        )
        for pk, vendor in due:
            taken += _sweep_one(pk, vendor)
        if len(due) < SWEEP_BATCH:
            break
    return taken


def _sweep_one(pk: int, vendor: str) -> bool:
    try:
        if not take_up(pk):
            return False
        vendors.get(vendor).refile(pk)
    except Exception as error:
        # One message that cannot be filed must not keep the others waiting: it goes to the end of
        # the queue, and its own row says why.
        log.exception("Filing message %s failed", pk)
        filing_failed(message=Message.objects.only("pk").get(pk=pk), error=error)
    return True

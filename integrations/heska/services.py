"""The two ways through this integration: a submission out, a message in."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import time
from dataclasses import dataclass, field
from functools import partial

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from integrations.heska import client, connections, recording, tokens
from integrations.heska.answers import HeskaError
from integrations.heska.conf import ADAPTER_VERSION, VENDOR, endpoint
from integrations.heska.fields import Unreadable
from integrations.heska.models import Connection
from integrations.heska.wire import inbound, outbound, receipts, strict
from labs.errors import NotReadable
from labs.failpoints import failpoint
from labs.models import (
    Clinic,
    LabRequest,
    Message,
    MessageState,
    Submission,
    UnmatchedReason,
)
from labs.report import Report
from labs.services import journal, results, states, submissions

log = logging.getLogger(__name__)
# For all calls of one attempt. The tasks' own limit is 60 s, the claim's lease 120 s.
ATTEMPT_SECONDS = 50.0
# For the parts of one array while its sender waits: it gives up on us after 5 s, and so does
# `pims.gate` on the filing.
ARRAY_SECONDS = 2.0


def deliver(submission_id: int) -> None:
    """Send one order, if it is due and nobody else has it, and settle its row. No transaction is
    held over the calls. Safe to call any number of times."""
    if connections.hold_if_stopped(submission_id):
        return
    claim = submissions.claim(submission_id)
    if claim is None:
        return
    failpoint("claimed")
    attempt = Attempt(claim=claim)
    try:
        with recording.recorded(partial(_journal, claim)):
            _attempt(attempt)
    except Unreadable as error:
        _settle_unreadable(claim, str(error))
    except Exception:
        # An order must not be lost by a fault of ours, nor crash one worker after the other.
        log.exception("Sending submission %s failed", submission_id)
        submissions.settle_retry(
            claim,
            error="Our own program failed while it was sending this order.",
            outcome_unknown=attempt.called,
            crashed=True,
        )


@dataclass(kw_only=True)
class Attempt:
    """One claim of an order. `called`: from then on it may have arrived."""

    claim: submissions.Claim
    ends: float = field(default_factory=lambda: time.monotonic() + ATTEMPT_SECONDS)
    called: bool = False

    def left(self) -> float:
        return self.ends - time.monotonic()


def _attempt(attempt: Attempt) -> None:
    claim = attempt.claim
    connection = Connection.objects.filter(clinic=claim.submission.clinic).first()
    if connection is None:
        submissions.settle_blocked(
            claim,
            error="This clinic is not connected to Heska. An administrator enters its client id "
            "and secret.",
        )
        return
    try:
        body = _body(claim.submission)
    except outbound.Unmappable as error:
        submissions.settle_unsendable(claim, error=str(error))
        return
    if not submissions.about_to_send(claim, body):
        return
    try:
        answer = _submit(attempt, connection, body)
    except HeskaError as error:
        _settle_error(claim, connection, error)
        return
    submissions.settle_accepted(claim, answer.receipt)


def _body(submission: Submission) -> str:
    """What may have arrived goes again as it was; else as the records are today."""
    if submission.may_have_arrived and submission.sent_body:
        return submission.sent_body
    return json.dumps(outbound.order_body(submissions.order_of(submission)))


def _submit(attempt: Attempt, connection: Connection, body: str) -> receipts.Answer:
    """One order call; after a 401 one fresh token and one replay (contract, "Heska answers"). Two
    order calls and one token call at most."""
    token = tokens.get(connection, attempt.left)
    try:
        answer = _call(attempt, token, body)
    except HeskaError as error:
        if not error.stale_token:
            _believe(connection)
            raise
        tokens.drop(connection, token)
        if token.fresh:
            raise _doubt(connection, error) from error
        answer = _call(attempt, tokens.get(connection, attempt.left), body)
    _believe(connection)
    return answer


def _doubt(connection: Connection, error: HeskaError) -> HeskaError:
    """A 401 for a token that this very attempt was given: another would be its second. Heska may
    not know its own token yet, so the next attempt asks again; two of them in a row are no
    accident."""
    Connection.objects.filter(pk=connection.pk).update(token_refusals=F("token_refusals") + 1)
    connection.refresh_from_db(fields=["token_refusals"])
    if connection.token_refusals >= 2:
        return error
    return HeskaError(
        "Heska does not accept the token that it has just given.",
        permanent=False,
        words=error.words,
    )


def _believe(connection: Connection) -> None:
    Connection.objects.filter(pk=connection.pk, token_refusals__gt=0).update(token_refusals=0)


def _call(attempt: Attempt, token: tokens.Token, body: str) -> receipts.Answer:
    claim = attempt.claim
    if attempt.left() < 1:
        raise HeskaError("Heska's token came too late to send the order.", permanent=False)
    attempt.called = True
    _, answer = client.submit(
        endpoint(),
        token=token.value,
        lab_report_id=claim.submission.request.lab_report_id,
        body=body,
        seconds=attempt.left(),
    )
    return answer


def _journal(claim: submissions.Claim, call: recording.Exchange) -> None:
    """Of each call for an order, its token's too: what was said, without the secrets."""
    if call.kind == "order" and call.status is not None:
        failpoint("answered")
    now = timezone.now()
    Message.objects.create(
        direction=Message.Direction.OUT,
        vendor=VENDOR,
        clinic=claim.submission.clinic,
        state=MessageState.SENT,
        cause=call.error,
        target=call.path,
        call=call.kind,
        headers=call.headers,
        raw=call.body,
        sha256=hashlib.sha256(call.body).hexdigest(),
        received_at=now,
        last_seen_at=now,
        adapter_version=ADAPTER_VERSION,
        request=claim.submission.request,
        submission=claim.submission,
        status_code=call.status,
        reply_headers=call.reply_headers,
        reply=call.reply,
        milliseconds=round(call.seconds * 1000),
    )


def _settle_error(claim: submissions.Claim, connection: Connection, error: HeskaError) -> None:
    if error.set_up:

        def settle() -> None:
            submissions.settle_blocked(claim, error=str(error), words=error.words)

        if connections.stop(connection, error, settle):
            return
        # With credentials that are gone by now; the new ones are tried soon.
    elif error.permanent:
        submissions.settle_rejected(claim, error=str(error), words=error.words)
        return
    submissions.settle_retry(
        claim,
        error=str(error),
        words=error.words,
        outcome_unknown=error.outcome_unknown,
        retry_after=error.retry_after,
        not_sooner=error.not_sooner,
    )


def _settle_unreadable(claim: submissions.Claim, error: str) -> None:
    """No token, so nothing was sent in this attempt."""

    def settle() -> None:
        submissions.settle_blocked(claim, error=error)

    if not connections.stop_unreadable(claim.submission.clinic, settle):
        submissions.settle_retry(claim, error=error, outcome_unknown=False)


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
    if _other_clinics_path(message):
        # Refused at the door with 403; a replay, or the sweep after a crash, must refuse it too.
        journal.quarantine(message=message, cause="It was sent to another clinic's address.")
        return "Quarantined"
    kind, key = _address(message)
    result_key = None if kind == UNMATCHED_PATH else key
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


UNMATCHED_PATH = "unmatchedlabresults"


def _other_clinics_path(message: Message) -> bool:
    kind, key = _address(message)
    return kind == UNMATCHED_PATH and clinic_named(key, of=message.clinic) != message.clinic


def _address(message: Message) -> tuple[str, str]:
    kind, _, key = message.target.strip("/").removeprefix("api/").partition("/")
    return kind, key


def clinic_named(clinic_id: str, *, of: Clinic | None) -> Clinic | None:
    """The clinic that an address for unmatched results names: by our own id, or by the client id
    that Heska gave it [seed]. `of`: the clinic of the token, or None for a vendor-wide one; then
    only a client id for which Heska has once given a token names a clinic, because anybody's
    administrator may type any (I3)."""
    clinic: Clinic | None = Clinic.objects.filter(public_id=clinic_id).first()
    if clinic is not None:
        return clinic
    named = Connection.objects.filter(client_id=clinic_id)
    found: Clinic | None = Clinic.objects.filter(
        pk__in=named.filter(Q(clinic=of) | Q(proven_at__isnull=False)).values("clinic")
    ).first()
    return found


def is_named(clinic: Clinic, clinic_id: str) -> Clinic | None:
    """That clinic where it is the one that the address names, as `clinic_named` would; else
    None."""
    if clinic.public_id == clinic_id:
        return clinic
    named = Connection.objects.filter(clinic=clinic, client_id=clinic_id).exists()
    return clinic if named else None


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

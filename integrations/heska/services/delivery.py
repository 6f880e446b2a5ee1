"""One submission out: claim its row, get a token, send it, settle the row."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from dataclasses import dataclass, field
from functools import partial

from django.db.models import F
from django.utils import timezone

from integrations.heska import client, connections, recording, tokens
from integrations.heska.answers import HeskaError
from integrations.heska.conf import ADAPTER_VERSION, VENDOR, endpoint
from integrations.heska.fields import Unreadable
from integrations.heska.models import Connection
from integrations.heska.wire import outbound, receipts
from labs.failpoints import failpoint
from labs.models import Message, MessageState, Submission
from labs.services.orders import submissions

log = logging.getLogger(__name__)
# For all calls of one attempt. The tasks' own limit is 60 s, the claim's lease 120 s.
ATTEMPT_SECONDS = 50.0


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

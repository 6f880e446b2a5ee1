"""Filing: from a report in our own words to versions of test runs, on a request or as an orphan."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction

from labs.failpoints import failpoint
from labs.models import (
    LabRequest,
    Message,
    MessageState,
    TestRun,
    UnmatchedReason,
)
from labs.report import Report
from labs.services import orphans, quick, runs, states, versions
from labs.services.events import record
from labs.services.identity import contradictions
from labs.services.quick import Compiled
from labs.services.rows import fit

MESSAGE = Compiled(Message.objects.select_related("clinic", "unmatched").defer("raw").filter(pk=0))
REQUEST = Compiled(
    LabRequest.objects.select_for_update(of=("self",))
    .select_related("patient", "clinic")
    .filter(pk=0)
)


@dataclass(frozen=True, kw_only=True)
class Filed:
    """Where a report went. `held`: a person must decide although it was sent for a request."""

    state: MessageState
    held: bool = False


def file_report(
    *,
    message: Message,
    report: Report,
    request: LabRequest | None,
    reason: UnmatchedReason = UnmatchedReason.NO_REQUEST,
) -> Filed:
    """File one report, in one transaction with its audit. Onto `request` only if nothing
    contradicts it; else, and without a request, as an unmatched result with `reason`. Idempotent:
    a message that was filed is left as it is.

    Never files by likeness of names: only the address that the report was sent to decides (I2).
    """
    report = runs.as_filed(report)
    with transaction.atomic():
        if not _take(message, report, request):
            return _filed(MESSAGE.get(message.pk))
        against: list[str] = []
        if request is not None:
            # The head row's lock: two messages of one request are filed one after the other.
            request = REQUEST.get(request.pk)
            held = states.locked(request)
            first = request.state in states.NOTHING_CAME
            known = {} if first else runs.of_request(request)
            against = _against(report, request, held, known)
        if request is not None and not against:
            stored = runs.store(
                message=message,
                report=report,
                request=request,
                unmatched=None,
                tests=held.tests,
                known=known,
            )
            record("result.filed", clinic=message.clinic, source=message.vendor, request=request)
            states.refresh(request, held=held, runs=stored if first else None)
            filed = Filed(state=MessageState.FILED)
        else:
            if request is not None:
                cancelled = request.cancelled_at is not None
                reason = (
                    UnmatchedReason.REQUEST_CANCELLED if cancelled else UnmatchedReason.CONFLICT
                )
            unmatched = orphans.file_unmatched(
                message=message,
                report=report,
                reason=reason,
                against=against,
                suggested=request,
            )
            Message.objects.filter(pk=message.pk).update(
                state=MessageState.UNMATCHED, unmatched=unmatched, request=None
            )
            held_back = unmatched.reason != UnmatchedReason.NO_REQUEST
            filed = Filed(state=MessageState.UNMATCHED, held=held_back)
        failpoint("filed, not committed")
    failpoint("filed")
    return filed


def _take(message: Message, report: Report, request: LabRequest | None) -> bool:
    """Write what was read to the journal's row, as filed. Whoever has the same message in hand
    waits here until we commit, and then finds it filed; False is that finding."""
    read = as_read(report)
    read.pk = message.pk
    read.state = MessageState.FILED if request else MessageState.UNMATCHED
    read.request = request
    read.adapter_version = message.adapter_version
    written = ("state", "cause", "request", "message_id", "extra", "warnings", "adapter_version")
    return quick.update(read, *written, if_still=MessageState.RECEIVED)


def as_read(report: Report) -> Message:
    """What a report gives the journal's row, as it fits in there."""
    read = Message(message_id=report.message_id, extra=report.extra)
    read.warnings = list(report.warnings) + [
        f"The {name} was too long and is shown cut." for name in fit(read)
    ]
    return read


def _filed(message: Message) -> Filed:
    orphan = message.unmatched
    return Filed(
        state=MessageState(message.state),
        held=orphan is not None and orphan.reason != UnmatchedReason.NO_REQUEST,
    )


def _against(
    report: Report, request: LabRequest, held: states.Locked, known: dict[str, TestRun]
) -> list[str]:
    found = contradictions(report, request, held.external_id)
    if request.cancelled_at is not None:
        return ["The request was cancelled here before this result came.", *found]
    if not known:
        return found
    return found + versions.ties(report, TestRun.objects.filter(request=request, unmatched=None))

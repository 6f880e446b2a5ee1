"""Filing: from a report in our own words to versions of test runs, on a request or as an orphan."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction

from labs import quick
from labs.failpoints import failpoint
from labs.models import (
    LabRequest,
    Message,
    MessageState,
    TestRun,
    UnmatchedReason,
)
from labs.quick import Given, Records
from labs.report import Report
from labs.services import events
from labs.services.intake import orphans, runs, versions
from labs.services.intake.identity import contradictions
from labs.services.intake.rows import fit
from labs.services.orders import states

# By its key, and only of the clinic whose sender posted there: a key of another clinic is as
# unknown as one that never was (I3).
REQUEST = Records(
    LabRequest.objects.select_for_update(of=("self",))
    .order_by()
    .filter(clinic=Given("clinic"), result_key=Given("key")),
    patient=(),
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
    result_key: str | None,
) -> Filed:
    """File one report, in one transaction with its audit. Onto the request of that key only if
    nothing contradicts it; else, and without a key, as an unmatched result. Idempotent: a message
    that was filed is left as it is.

    Never files by likeness of names: only the address that the report was sent to decides (I2).
    """
    report = runs.as_filed(report)
    request, against = None, []
    with transaction.atomic():
        # The head row's lock: two messages of one request are filed one after the other.
        request = _locked(message, result_key)
        if request is not None:
            if not _take(message, report, request):
                return _filed(message)
            against = _file_onto(request, message, report)
            # What contradicts it is filed without its lock: what follows a matched orphan locks the
            # orphan before the request, and the two would wait for each other for ever.
            transaction.set_rollback(bool(against))
    if request is None or against:
        return _file_unmatched(message, report, request, _reason(request, result_key), against)
    failpoint("filed")
    return Filed(state=MessageState.FILED)


def _file_onto(request: LabRequest, message: Message, report: Report) -> list[str]:
    """File onto the request, which is locked, in the caller's transaction; or what of the report
    contradicts it, and then nothing is filed."""
    held = states.locked(request)
    request.patient.species = held.species
    first = states.nothing_came(request, held)
    known = {} if first else runs.of_request(request)
    if against := _against(report, request, held, known):
        return against
    stored = runs.store(
        message=message,
        report=report,
        request=request,
        unmatched=None,
        tests=held.tests,
        known=known,
    )
    event = events.event(
        "result.filed", clinic=message.clinic, source=message.vendor, request=request
    )
    states.refresh(
        request,
        held=held,
        runs=stored.runs if first else None,
        after=[*stored.happened, event],
    )
    failpoint("filed, not committed")
    return []


def _file_unmatched(
    message: Message,
    report: Report,
    request: LabRequest | None,
    reason: UnmatchedReason,
    against: list[str],
) -> Filed:
    with transaction.atomic():
        if not _take(message, report, None):
            return _filed(message)
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
        failpoint("filed, not committed")
    failpoint("filed")
    if request is not None:
        states.show(request)
    held = unmatched.reason != UnmatchedReason.NO_REQUEST
    return Filed(state=MessageState.UNMATCHED, held=held)


def _locked(message: Message, result_key: str | None) -> LabRequest | None:
    if result_key is None or message.clinic is None:
        return None
    # The second look as in submissions.locked: moved to another patient while we waited.
    wanted = {"clinic": message.clinic.pk, "key": result_key}
    request: LabRequest | None = REQUEST.first(**wanted) or REQUEST.first(**wanted)
    if request is not None:
        request.clinic = message.clinic
    return request


def _reason(request: LabRequest | None, result_key: str | None) -> UnmatchedReason:
    if result_key is None:
        return UnmatchedReason.NO_REQUEST
    if request is None:
        return UnmatchedReason.UNKNOWN_KEY
    cancelled = request.cancelled_at is not None
    return UnmatchedReason.REQUEST_CANCELLED if cancelled else UnmatchedReason.CONFLICT


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
    message = Message.objects.select_related("unmatched").defer("raw").get(pk=message.pk)
    orphan = message.unmatched
    return Filed(
        state=MessageState(message.state),
        held=orphan is not None and orphan.reason != UnmatchedReason.NO_REQUEST,
    )


def _against(
    report: Report, request: LabRequest, held: states.Locked, known: dict[str, TestRun]
) -> list[str]:
    found = contradictions(report, request, held.external_id)
    if request.patient.is_test:
        return ["The order was a test, on no animal: whatever was run for it is another's.", *found]
    if request.cancelled_at is not None:
        return ["The request was cancelled here before this result came.", *found]
    if not known:
        return found
    return found + versions.ties(report, TestRun.objects.filter(request=request, unmatched=None))

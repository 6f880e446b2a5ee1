"""Filing: from a report in our own words to versions of test runs, on a request or as an orphan."""

from __future__ import annotations

from dataclasses import dataclass, replace

from django.db import transaction

from labs.failpoints import failpoint
from labs.models import (
    LabRequest,
    Message,
    MessageState,
    Submission,
    TestRun,
    UnmatchedReason,
)
from labs.report import Report
from labs.services import orphans, quick, runs, states, versions
from labs.services.events import record
from labs.services.identity import contradictions
from labs.services.quick import Compiled
from labs.services.rows import fit

WRITTEN = (
    *("state", "cause", "request", "unmatched", "message_id", "extra", "warnings"),
    "adapter_version",
)
MESSAGE = Compiled(
    Message.objects.select_for_update(of=("self",))
    .select_related("clinic", "unmatched")
    .defer("raw")
    .filter(pk=0)
)
REQUEST = Compiled(
    LabRequest.objects.select_for_update(of=("self",))
    .select_related("patient", "clinic")
    .filter(pk=0)
)
EXTERNAL_ID = Compiled(Submission.objects.filter(request=0).order_by().values_list("external_id"))


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
    report = replace(report, runs=runs.with_own_keys(report.runs))
    with transaction.atomic():
        adapter_version = message.adapter_version
        message = MESSAGE.get(message.pk)
        if message.state != MessageState.RECEIVED:
            return _filed(message)
        against: list[str] = []
        if request is not None:
            # The head row's lock: two messages of one request are filed one after the other.
            request = REQUEST.get(request.pk)
            known = runs.of_request(request)
            against = _against(report, request, known)
        if request is not None and not against:
            message.request = request
            message.state = MessageState.FILED
            runs.store(message=message, report=report, request=request, unmatched=None, known=known)
            record(
                "result.filed",
                clinic=message.clinic,
                source=message.vendor,
                request=request,
            )
            states.refresh(request, locked=True)
        else:
            if request is not None:
                cancelled = request.cancelled_at is not None
                reason = (
                    UnmatchedReason.REQUEST_CANCELLED if cancelled else UnmatchedReason.CONFLICT
                )
            message.unmatched = orphans.file_unmatched(
                message=message,
                report=report,
                reason=reason,
                against=against,
                suggested=request,
            )
            message.state = MessageState.UNMATCHED
        message.adapter_version = adapter_version
        message.message_id = report.message_id
        message.extra = report.extra
        message.cause = ""
        message.warnings = list(report.warnings) + [
            f"The {name} was too long and is shown cut." for name in fit(message)
        ]
        # Not the raw bytes: they were committed before, and never change.
        quick.update(message, *WRITTEN)
        failpoint("filed, not committed")
    failpoint("filed")
    return _filed(message)


def _filed(message: Message) -> Filed:
    orphan = message.unmatched
    return Filed(
        state=MessageState(message.state),
        held=orphan is not None and orphan.reason != UnmatchedReason.NO_REQUEST,
    )


def _against(report: Report, request: LabRequest, known: dict[str, TestRun]) -> list[str]:
    ((external_id,),) = tuple(EXTERNAL_ID.rows(request.pk)) or (("",),)
    found = contradictions(report, request, external_id)
    if request.cancelled_at is not None:
        return ["The request was cancelled here before this result came.", *found]
    if not known:
        return found
    return found + versions.ties(report, TestRun.objects.filter(request=request, unmatched=None))

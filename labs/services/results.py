"""Filing: from a report in our own words to versions of test runs, on a request or as an orphan."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from django.db import transaction

from labs.failpoints import failpoint
from labs.models import (
    Attachment,
    LabRequest,
    LabResult,
    Message,
    MessageState,
    Observation,
    RequestedTest,
    Submission,
    TestRun,
    UnmatchedReason,
    UnmatchedResult,
    UnmatchedState,
)
from labs.report import File, Identity, Report, Run
from labs.services import panels, states, versions
from labs.services.events import record
from labs.services.files import content_type_of
from labs.services.identity import contradictions, differs
from labs.services.rows import analytes_by_code, digest, fit, observations


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
    with transaction.atomic():
        message = (
            Message.objects.select_for_update(of=("self",))
            .select_related("clinic")
            .get(pk=message.pk)
        )
        if message.state != MessageState.RECEIVED:
            return Filed(state=MessageState(message.state))
        against: list[str] = []
        if request is not None:
            # The head row's lock: two messages of one request are filed one after the other.
            request = (
                LabRequest.objects.select_for_update(of=("self",))
                .select_related("patient", "clinic")
                .get(pk=request.pk)
            )
            against = _against(report, request)
        if request is not None and not against:
            message.request = request
            message.state = MessageState.FILED
            store_runs(message=message, report=report, request=request, unmatched=None)
            record(
                "result.filed",
                clinic=message.clinic,
                source=message.vendor,
                request=request,
            )
            states.refresh(request)
            filed = Filed(state=MessageState.FILED)
        else:
            if request is not None:
                cancelled = request.cancelled_at is not None
                reason = (
                    UnmatchedReason.REQUEST_CANCELLED if cancelled else UnmatchedReason.CONFLICT
                )
            message.unmatched = _file_unmatched(
                message=message,
                report=report,
                reason=reason,
                against=against,
                suggested=request,
            )
            message.state = MessageState.UNMATCHED
            filed = Filed(state=MessageState.UNMATCHED, held=reason != UnmatchedReason.NO_REQUEST)
        message.message_id = report.message_id
        message.extra = report.extra
        message.cause = ""
        message.warnings = list(report.warnings) + [
            f"The {name} was too long and is shown cut." for name in fit(message)
        ]
        message.save()
        failpoint("filed, not committed")
    failpoint("filed")
    return filed


def _against(report: Report, request: LabRequest) -> list[str]:
    if request.cancelled_at is not None:
        return ["The request was cancelled here before this result came."]
    external_id = (
        Submission.objects.filter(request=request).values_list("external_id", flat=True).first()
    )
    return contradictions(report, request, external_id or "") + _ties(report, request)


def _ties(report: Report, request: LabRequest) -> list[str]:
    """Two messages of the same version that differ: nobody can say which one holds."""
    stored = LabResult.objects.filter(
        run__request=request, run__run_key__in=[run.key[:200] for run in report.runs]
    ).select_related("run")
    known = {
        (
            version.run.run_key,
            versions.order_key(version.report_version, version.reported_at, version.status),
        ): version.digest
        for version in stored
    }
    found = []
    for run in report.runs:
        order = versions.order_key(report.version, report.reported_at, run.status)
        earlier = known.get((run.key[:200], order))
        if earlier is not None and earlier != digest(run):
            name = run.test_name or run.test_code or "the test"
            found.append(f"It differs from an earlier message of the same version of {name}.")
    return found


def _file_unmatched(
    *,
    message: Message,
    report: Report,
    reason: UnmatchedReason,
    against: list[str],
    suggested: LabRequest | None,
) -> UnmatchedResult:
    """Add the report to the orphan that it continues, else make one. Whatever was decided of the
    orphan holds for what follows it, so a matched one takes the new runs to its request."""
    identity = report.identity or Identity()
    unmatched = _continued(message=message, report=report, identity=identity, suggested=suggested)
    if unmatched is None:
        unmatched = UnmatchedResult(
            clinic=message.clinic,
            vendor=message.vendor,
            external_id=report.external_id,
            message_id=report.message_id or message.sha256,
            reason=reason,
            contradictions=against,
            typed=identity.as_json(),
            suggested_request=suggested,
        )
        fit(unmatched)
        unmatched.save()
        record(
            "unmatched.received",
            clinic=message.clinic,
            source=message.vendor,
            unmatched=unmatched,
            message=message,
            reason=reason,
        )
    decision = unmatched.decisions.filter(active=True).select_related("request").first()
    request = decision.request if decision else None
    store_runs(message=message, report=report, request=request, unmatched=unmatched)
    if request is not None:
        states.refresh(request)
    elif unmatched.state == UnmatchedState.DISMISSED:
        # Something new came for what somebody had put away: it must be seen again.
        unmatched.state = UnmatchedState.OPEN
    unmatched.version += 1
    unmatched.save(update_fields=["state", "version"])
    return unmatched


def _continued(
    *,
    message: Message,
    report: Report,
    identity: Identity,
    suggested: LabRequest | None,
) -> UnmatchedResult | None:
    """The orphan that this report continues: the same laboratory report of the same animal. A
    report without an id continues nothing: two animals both typed "1" stay two."""
    if not report.external_id:
        return None
    earlier = UnmatchedResult.objects.select_for_update(of=("self",)).filter(
        clinic=message.clinic,
        vendor=message.vendor,
        external_id=report.external_id[:100],
        suggested_request=suggested,
    )
    return next((u for u in earlier if not differs(u.typed, identity)), None)


def store_runs(
    *,
    message: Message,
    report: Report,
    request: LabRequest | None,
    unmatched: UnmatchedResult | None,
) -> None:
    """Store each run of the report as a version, and mark what is current, in the caller's
    transaction."""
    analytes = analytes_by_code()
    tests = list(request.tests.select_related("panel")) if request else []
    for run in report.runs:
        stored_run = _run_row(message, run, request, unmatched, tests)
        result = LabResult(
            clinic=message.clinic,
            run=stored_run,
            message=message,
            status=run.status,
            report_version=report.version,
            reported_at=report.reported_at,
            run_at=run.run_at,
            run_at_text=run.run_at_text,
            comments=list(run.comments),
            correction_reason=report.correction_reason,
            species=report.identity.species_code
            if report.identity and report.identity.animal
            else None,
            digest=digest(run),
        )
        fit(result)
        result.save()
        Observation.objects.bulk_create(
            observations(result=result, run=stored_run, rows=run.rows, analytes=analytes)
        )
        _attach(message, result, run.files)
        versions.refresh(stored_run)
    _attach(message, None, report.files)


def _run_row(
    message: Message,
    run: Run,
    request: LabRequest | None,
    unmatched: UnmatchedResult | None,
    tests: list[RequestedTest],
) -> TestRun:
    stored = TestRun(
        clinic=message.clinic,
        request=request,
        unmatched=unmatched,
        run_key=run.key,
        test_code=run.test_code,
        test_name=run.test_name,
        category=run.category,
        analyzer_model=run.analyzer_model,
        analyzer_serial=run.analyzer_serial,
        analyzer_name=run.analyzer_name,
        specimen_type=run.specimen_type,
        requested_test=panels.requested_test(run, tests),
    )
    fit(stored)
    earlier: TestRun | None = TestRun.objects.filter(
        request=request, unmatched=unmatched, run_key=stored.run_key
    ).first()
    if earlier is None:
        # The head row is locked, so nobody else adds this run between the look and the insert.
        stored.save()
        return stored
    return earlier


def _attach(message: Message, result: LabResult | None, files: tuple[File, ...]) -> None:
    for file in files:
        kind, warnings = content_type_of(file)
        attachment = Attachment(
            message=message,
            result=result,
            attachment_id=file.attachment_id,
            file_name=file.file_name,
            content_type=kind,
            description=file.description,
            analyte_code=file.analyte_code,
            size=len(file.content),
            sha256=hashlib.sha256(file.content).hexdigest(),
            warnings=[*file.warnings, *warnings],
            content=file.content,
        )
        fit(attachment)
        attachment.save()

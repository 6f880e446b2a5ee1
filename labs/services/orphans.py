"""Unmatched results: which one a report makes or continues."""

from __future__ import annotations

from labs.models import (
    Clinic,
    LabRequest,
    Message,
    TestRun,
    UnmatchedReason,
    UnmatchedResult,
    UnmatchedState,
)
from labs.report import Identity, Report
from labs.services import emergency, runs, states, versions
from labs.services.events import record
from labs.services.identity import differs, names_more, newly_contradicts
from labs.services.rows import fit


def file_unmatched(
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
    if message.clinic is not None:
        # Two first messages of one orphan at once must not make two of it.
        Clinic.objects.select_for_update(no_key=True).get(pk=message.clinic.pk)
    unmatched, doubts = _continued(
        message=message, report=report, identity=identity, suggested=suggested
    )
    code, new = None, unmatched is None
    if unmatched is None:
        if doubts:
            reason, against = UnmatchedReason.CONFLICT, [*against, *doubts]
        if reason == UnmatchedReason.NO_REQUEST and message.clinic is not None:
            code, against = emergency.carried(message.clinic, identity)
        unmatched = UnmatchedResult(
            clinic=message.clinic,
            vendor=message.vendor,
            external_id=report.external_id,
            message_id=report.message_id or message.sha256,
            reason=reason,
            contradictions=against,
            typed=identity.as_json(),
            suggested_request=suggested,
            emergency=code,
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
    request = _matched_request(unmatched)
    known = {run.run_key: run for run in TestRun.objects.filter(unmatched=unmatched)}
    runs.store(
        message=message,
        report=report,
        request=request,
        unmatched=unmatched,
        tests=states.locked(request).tests if request else [],
        known=known,
    )
    if request is not None:
        states.refresh(request)
    elif unmatched.state == UnmatchedState.DISMISSED:
        # Something new came for what somebody had put away: it must be seen again.
        unmatched.state = UnmatchedState.OPEN
    unmatched.version += 1
    unmatched.save(update_fields=["state", "version"])
    if code is not None and new:
        emergency.file(code, unmatched)
    return unmatched


def _continued(
    *,
    message: Message,
    report: Report,
    identity: Identity,
    suggested: LabRequest | None,
) -> tuple[UnmatchedResult | None, list[str]]:
    """The orphan that this report continues: the same laboratory report of the same animal. A
    report without an id continues nothing: two animals both typed "1" stay two.

    Nor does one that names an animal continue one that named none. Where it would continue one,
    but differs from it within one version or contradicts the animal that it was matched to, or
    could continue several, a person must look: None and why."""
    doubts: list[str] = []
    if not report.external_id:
        return None, doubts
    earlier = UnmatchedResult.objects.select_for_update(of=("self",)).filter(
        clinic=message.clinic,
        vendor=message.vendor,
        external_id=report.external_id[:100],
        suggested_request=suggested,
    )
    fitting = []
    for orphan in earlier:
        if differs(orphan.typed, identity):
            continue
        request = _matched_request(orphan)
        if request is None and names_more(orphan.typed, identity):
            continue
        against = versions.ties(report, TestRun.objects.filter(unmatched=orphan))
        if request is not None:
            against += newly_contradicts(orphan.typed, identity, request)
        if against:
            doubts += against
        else:
            fitting.append(orphan)
    if len(fitting) > 1:
        # Such as a correction without a name, under an id that two animals share: by its runs.
        keys = [run.key for run in report.runs]
        holding = TestRun.objects.filter(unmatched__in=fitting, run_key__in=keys)
        owners = set(holding.values_list("unmatched_id", flat=True))
        fitting = [orphan for orphan in fitting if orphan.pk in owners]
    return (fitting[0], []) if len(fitting) == 1 else (None, doubts)


def _matched_request(orphan: UnmatchedResult) -> LabRequest | None:
    """The request that a person matched it to, locked: its state changes with what follows."""
    decision = orphan.decisions.filter(active=True).first()
    if decision is None:
        return None
    found: LabRequest = (
        LabRequest.objects.select_for_update(of=("self",))
        .select_related("patient", "clinic")
        .get(pk=decision.request_id)
    )
    return found

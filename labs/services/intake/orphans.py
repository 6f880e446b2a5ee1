"""Unmatched results: which one a report makes or continues."""

from __future__ import annotations

from django.db.models import Q, QuerySet

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
from labs.services import events
from labs.services.intake import runs, versions
from labs.services.intake.identity import differs, names_more, newly_contradicts
from labs.services.intake.rows import fit
from labs.services.orders import emergency, states, submissions

LATE = "Its report was split because it held two animals, and this came afterwards."


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
        events.record(
            "unmatched.received",
            clinic=message.clinic,
            source=message.vendor,
            unmatched=unmatched,
            message=message,
            reason=reason,
        )
    _store(message, report, unmatched, new=new)
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
        split_from=None,
    )
    keys = [run.key for run in report.runs]
    fitting = []
    for orphan in earlier:
        if differs(orphan.typed, identity):
            continue
        here = TestRun.objects.filter(unmatched__in=parts_of(orphan))
        requests = _requests_of(parts_of(orphan), here.filter(run_key__in=keys))
        if not all(requests) and names_more(orphan.typed, identity):
            continue
        against = versions.ties(report, here)
        for request in filter(None, requests):
            against += newly_contradicts(orphan.typed, identity, request)
        if against:
            doubts += against
        else:
            fitting.append(orphan)
    if len(fitting) > 1:
        # Such as a correction without a name, under an id that two animals share: by its runs.
        fitting = [
            orphan
            for orphan in fitting
            if TestRun.objects.filter(unmatched__in=parts_of(orphan), run_key__in=keys).exists()
        ]
    return (fitting[0], []) if len(fitting) == 1 else (None, doubts)


def parts_of(unmatched: UnmatchedResult) -> list[UnmatchedResult]:
    """It and what it was split into, the first one first, locked in the caller's transaction."""
    first = unmatched.split_from_id or unmatched.pk
    return list(group_of(first).select_for_update(of=("self",)))


def group_of(first: int) -> QuerySet[UnmatchedResult]:
    return UnmatchedResult.objects.filter(Q(pk=first) | Q(split_from=first)).order_by("pk")


def _requests_of(parts: list[UnmatchedResult], runs: QuerySet[TestRun]) -> list[LabRequest | None]:
    """Of each part that those runs stand on, the request that it is matched to. An orphan that was
    never split is one part, whatever the runs."""
    if len(parts) > 1:
        held = set(runs.values_list("unmatched", flat=True))
        parts = [part for part in parts if part.pk in held] or parts[:1]
    return [matched_request(part) for part in parts]


def _store(message: Message, report: Report, unmatched: UnmatchedResult, *, new: bool) -> None:
    """Each run as a version of itself wherever it stands; whatever was decided of that holds."""
    parts = [unmatched] if new else parts_of(unmatched)
    known = {run.run_key: run for run in TestRun.objects.filter(unmatched__in=parts)}
    target = unmatched
    if len(parts) > 1 and any(run.key not in known for run in report.runs):
        target = late_part(unmatched, message)
        parts.append(target)
    # What is new stands on a request only where all of the report does.
    request = matched_request(unmatched) if len(parts) == 1 else None
    stored = runs.store(
        message=message,
        report=report,
        request=request,
        unmatched=target,
        tests=states.locked(request).tests if request else [],
        known=known,
    )
    events.save(stored.happened)
    touched = {known[run.key].unmatched_id for run in report.runs if run.key in known}
    for part in parts:
        if len(parts) > 1 and part.pk not in touched and part != target:
            continue
        row = unmatched if part == unmatched else part
        request = matched_request(row)
        if request is not None:
            states.refresh(request)
        elif row.state == UnmatchedState.DISMISSED:
            # Something new came for what somebody had put away: it must be seen again.
            row.state = UnmatchedState.OPEN
        row.version += 1
        row.save(update_fields=["state", "version"])


def late_part(first: UnmatchedResult, message: Message) -> UnmatchedResult:
    """For a test that came after its report was split between two animals: nobody has said whose it
    is, so it follows no decision."""
    part = new_part(first, LATE)
    events.record(
        "unmatched.received",
        clinic=part.clinic,
        source=part.vendor,
        unmatched=part,
        message=message,
        reason=part.reason,
    )
    return part


def new_part(unmatched: UnmatchedResult, why: str) -> UnmatchedResult:
    """Another orphan of the same message, with the identity as it was typed."""
    first = unmatched.split_from or unmatched
    return UnmatchedResult.objects.create(
        clinic=unmatched.clinic,
        vendor=unmatched.vendor,
        external_id=unmatched.external_id,
        message_id=unmatched.message_id,
        reason=unmatched.reason,
        contradictions=[*unmatched.contradictions, why],
        typed=unmatched.typed,
        suggested_request=unmatched.suggested_request,
        split_from=first,
    )


def matched_request(orphan: UnmatchedResult) -> LabRequest | None:
    """The request that a person matched it to, locked: its state changes with what follows."""
    decision = orphan.decisions.filter(active=True).first()
    if decision is None:
        return None
    return submissions.locked(decision.request_id)

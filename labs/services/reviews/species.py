"""Values of an animal that turned out to be of another species. Where they were measured for
another one, the ranges and flags that came with them are used for nothing, so what we say is all
that is said; where only our limits were another species', those of the right one take their place.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.db.models import Q

from labs import limits, values
from labs.models import Alarm, LabRequest, Observation, Patient, TestRun
from labs.services.intake import versions
from labs.services.intake.rows import Known, analytes_by_code
from labs.services.orders import states
from labs.services.reviews import alarms
from labs.services.reviews.limits import with_limits

OURS = ("critical_low", "critical_high", "critical_source", "flag_computed", "warnings")


def follow(patients: Iterable[int]) -> None:
    """The species on those records may be another one by now: all their results are held against
    it, and what does not say any more what was signed opens again. For each record a transaction of
    its own, after the change is committed: there the results' lock comes first, as for whoever
    files, moves or matches, and it sees the species of now."""
    for patient in patients:
        with transaction.atomic():
            rows = LabRequest.objects.select_for_update(of=("self",)).select_related("clinic")
            requests = list(rows.filter(patient=patient).order_by("pk"))
            if requests:
                of_requests(requests, of(patient))


def of_requests(requests: Iterable[LabRequest], species: str) -> None:
    """As `assess`, for all that stands on those requests of one clinic, which are locked."""
    by_pk = {request.pk: request for request in requests}
    runs = TestRun.objects.filter(request__in=by_pk).select_related("clinic", "request")
    touched = {run.request_id for run in assess(runs.order_by("pk"), species)}
    for pk, request in by_pk.items():
        if pk in touched:
            states.refresh(request)


def of(patient: int) -> str:
    """As it is now: whoever waited for a lock has read it before."""
    return str(Patient.objects.values_list("species", flat=True).get(pk=patient))


def assess(runs: Iterable[TestRun], species: str | None) -> list[TestRun]:
    """Those runs, of one clinic, are on the record of an animal of that species by now, or on
    nobody's (None). What came for another species is held against our critical limits for this one
    alone; what came for this one, but was filed by the limits of another, by its own ranges and our
    limits for this one; all else stands as it was filed. Alarms follow, and what was signed opens
    again where it says something else now. In the caller's transaction, after the runs went there;
    one statement where nothing is to be done. Returns the runs of which something changed."""
    by_pk = {run.pk: run for run in runs}
    rows = Observation.objects.filter(run__in=by_pk).select_related("result").order_by("pk")
    as_it_came = Q(as_filed__isnull=True)
    if species is not None:
        of_another = ~Q(result__species=species) & Q(result__species__isnull=False)
        as_it_came &= ~of_another & Q(result__limits_for=species)
    known: dict[int, Known] | None = None
    changed = []
    for row in rows.exclude(as_it_came):
        filed = row.as_filed or {column: getattr(row, column) for column in OURS}
        said, as_filed = filed, None
        if species is not None and not _stands(row, species):
            if known is None:
                known = _known(by_pk.values(), species)
            said, as_filed = _said(row, filed, known.get(row.analyte_id or 0), species), filed
        for column, value in said.items():
            setattr(row, column, value)
        row.as_filed = as_filed
        changed.append(row)
    Observation.objects.bulk_update(changed, [*OURS, "as_filed"], batch_size=50)
    touched = [by_pk[pk] for pk in sorted({row.run_id for row in changed})]
    for run in touched:
        alarms.look_again(run, Alarm.Ended.REASSESSED)
        versions.reopen(run)
    return touched


def _stands(row: Observation, species: str) -> bool:
    return not row.result.ranges_void(species) and row.result.limits_for == species


def _known(runs: Iterable[TestRun], species: str) -> dict[int, Known]:
    """The catalogue by primary key, with the clinic's limits. Two statements."""
    clinic = next(run.clinic_id for run in runs)
    catalogue = with_limits(analytes_by_code(), clinic, species)
    return {analyte.pk: analyte for analyte in catalogue.values()}


def _said(
    row: Observation, filed: dict[str, Any], known: Known | None, species: str
) -> dict[str, Any]:
    void = row.result.ranges_void(species)
    delivered = filed["critical_source"] == limits.Source.DELIVERED
    held = limits.held_against(
        known.limits if known else (),
        known.species if known else "",
        row.unit,
        readable=bool(row.number or row.not_reported_reason),
        low="" if void or not delivered else filed["critical_low"],
        high="" if void or not delivered else filed["critical_high"],
    )
    if held.source == limits.Source.NONE and delivered:
        # Nobody has limits for that animal. What the analyzer's own say is no judgement of it, but
        # a reason to look, and goes on being one.
        return filed
    value = values.Value(
        text=row.value_text, kind=row.value_kind, number=row.number, qualifier=row.qualifier
    )
    bounds = values.Range() if void else values.Range(row.low, row.high, row.range_text)
    kind = "" if void else row.range_kind
    warnings = [
        sentence for sentence in filed["warnings"] if not sentence.startswith(limits.NOT_ASSESSED)
    ]
    if held.warning and not row.not_reported_reason:
        warnings.append(held.warning)
    return {
        "critical_low": held.low,
        "critical_high": held.high,
        "critical_source": held.source,
        "flag_computed": values.compute_flag(value, bounds, kind, held.low, held.high),
        "warnings": warnings,
    }

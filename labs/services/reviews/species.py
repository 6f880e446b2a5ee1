"""Values that came for another species than that of the animal they turned out to be of. The ranges
and flags that came with them are used for nothing then, so what we say is all that is said."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from labs import limits, values
from labs.models import Alarm, Observation, TestRun
from labs.services.intake.rows import Known, analytes_by_code
from labs.services.reviews import alarms
from labs.services.reviews.limits import with_limits

OURS = ("critical_low", "critical_high", "critical_source", "flag_computed", "warnings")


def assess(runs: Iterable[TestRun], species: str | None) -> None:
    """Those runs, of one clinic, are on the record of an animal of that species by now, or on
    nobody's (None): what came for another one is held against our critical limits for this one, and
    else stands as it was filed. Alarms follow. In the caller's transaction, after the runs went
    there; one statement where all came for that species."""
    by_pk = {run.pk: run for run in runs}
    rows = Observation.objects.filter(run__in=by_pk).exclude(result__species=None)
    if species is not None:
        # Those of its own species only where they have been held against another one's.
        rows = rows.exclude(result__species=species, as_filed=None)
    else:
        rows = rows.exclude(as_filed=None)
    known: dict[int, Known] | None = None
    changed = []
    for row in rows.select_related("result").order_by("pk"):
        filed = row.as_filed or {column: getattr(row, column) for column in OURS}
        said, as_filed = filed, None
        if species is not None and row.result.ranges_void(species):
            if known is None:
                known = _known(by_pk.values(), species)
            said, as_filed = _said(row, filed, known.get(row.analyte_id or 0)), filed
        for column, value in said.items():
            setattr(row, column, value)
        row.as_filed = as_filed
        changed.append(row)
    Observation.objects.bulk_update(changed, [*OURS, "as_filed"], batch_size=50)
    for pk in sorted({row.run_id for row in changed}):
        alarms.look_again(by_pk[pk], Alarm.Ended.REASSESSED)


def _known(runs: Iterable[TestRun], species: str) -> dict[int, Known]:
    """The catalogue by primary key, with the clinic's limits. Two statements."""
    clinic = next(run.clinic_id for run in runs)
    catalogue = with_limits(analytes_by_code(), clinic, species)
    return {analyte.pk: analyte for analyte in catalogue.values()}


def _said(row: Observation, filed: dict[str, Any], known: Known | None) -> dict[str, Any]:
    held = limits.held_against(
        known.limits if known else (),
        known.species if known else "",
        row.unit,
        readable=bool(row.number or row.not_reported_reason),
        low="",
        high="",
    )
    if held.source == limits.Source.NONE and filed["critical_source"] == limits.Source.DELIVERED:
        # Nobody has limits for that animal. What the analyzer's own say is no judgement of it, but
        # a reason to look, and goes on being one.
        return filed
    value = values.Value(
        text=row.value_text, kind=row.value_kind, number=row.number, qualifier=row.qualifier
    )
    warnings = [
        sentence for sentence in filed["warnings"] if not sentence.startswith(limits.NOT_ASSESSED)
    ]
    if held.warning and not row.not_reported_reason:
        warnings.append(held.warning)
    return {
        "critical_low": held.low,
        "critical_high": held.high,
        "critical_source": held.source,
        "flag_computed": values.compute_flag(value, values.Range(), "", held.low, held.high),
        "warnings": warnings,
    }

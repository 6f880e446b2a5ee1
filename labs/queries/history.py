"""Earlier values of a patient, only ever of the same analyte, unit, specimen and analyzer model."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from django.db.models import F, Q, Window
from django.db.models.functions import Coalesce, RowNumber

from labs.models import LabRequest, Observation, Patient, ResultStatus
from labs.models.result import VOID_STATUSES

KEEP = 8
Key = tuple[str, str, str, str]


@dataclass(frozen=True, kw_only=True)
class Earlier:
    at: datetime
    text: str
    number: str
    qualifier: str
    flag: str
    low: str
    high: str
    range_kind: str
    name: str
    lab_report_id: str
    position: int


def key_of(row: Observation) -> Key:
    """What two values must share to be compared. Uses `run`."""
    return row.code, row.unit, row.run.analyzer_model, row.run.specimen_type


def history(
    patient: Patient,
    *,
    codes: list[str] | None = None,
    before: datetime | None = None,
    without: LabRequest | None = None,
) -> dict[Key, list[Earlier]]:
    """The last few reported values of each analyte, newest first; one statement.

    Values that were measured for another species, and cancelled ones, are left out.
    """
    rows = (
        Observation.objects.filter(
            Q(result__species=None) | Q(result__species=patient.species),
            # Of a repeated test only the run that a person chose, once one did.
            Q(run__requested_test=None)
            | Q(run__requested_test__reported_run=None)
            | Q(run__requested_test__reported_run=F("run")),
            run__request__patient=patient,
            run__request__cancelled_at=None,
            current=True,
            not_reported_reason="",
        )
        .exclude(value_text="")
        .exclude(status=ResultStatus.CANCELLED)
        .exclude(result__status__in=VOID_STATUSES)
        .annotate(at=Coalesce("result__run_at", "result__received_at"))
    )
    if codes is not None:
        rows = rows.filter(code__in=codes)
    if before is not None:
        rows = rows.filter(at__lt=before)
    if without is not None:
        rows = rows.exclude(run__request=without)
    rows = rows.annotate(
        rank=Window(
            RowNumber(),
            partition_by=[F("code"), F("unit"), F("run__analyzer_model"), F("run__specimen_type")],
            order_by=[F("at").desc(), F("pk").desc()],
        )
    ).filter(rank__lte=KEEP)
    found: dict[Key, list[Earlier]] = defaultdict(list)
    for row in rows.select_related("run__request", "analyte").order_by("-at", "-pk"):
        found[key_of(row)].append(
            Earlier(
                at=row.at,
                text=row.value_text.strip(),
                number=row.number,
                qualifier=row.qualifier,
                flag=row.flag,
                low=row.low,
                high=row.high,
                range_kind=row.range_kind,
                name=row.name or (row.analyte.name if row.analyte else ""),
                position=row.analyte.position if row.analyte else 9999,
                lab_report_id=row.run.request.lab_report_id if row.run.request else "",
            )
        )
    return found

"""Earlier values of a patient, only ever of the same analyte, unit, specimen and analyzer model."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from django.contrib.auth.models import User
from django.db.models import Q

from labs.models import LabRequest, Observation, Patient, ResultStatus, ReviewState, TestRun
from labs.models.result import VOID_STATUSES

KEEP = 8
MOST_REQUESTS = 1000  # of one animal, the newest; its whole life in practice
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
    group: str
    lab_report_id: str
    position: int
    typed_by: str = ""  # the name of whoever typed it in; empty where an analyzer sent it


def key_of(row: Observation) -> Key:
    """What two values must share to be compared: analyte, unit as it was sent, analyzer model and
    specimen. Uses `run` and `analyte`. A delivered code that the clinic mapped is its analyte's."""
    return code_of(row), row.unit, row.run.analyzer_model, row.run.specimen_type


def code_of(row: Observation) -> str:
    """The catalogue's code, so that two analyzers' or two firmwares' spellings of it are one."""
    return row.analyte.code if row.analyte else row.code


def history(
    patient: Patient,
    *,
    codes: set[str] | None = None,
    before: datetime | None = None,
    without: LabRequest | None = None,
    keep: int = KEEP,
    only_reviewed: bool = False,
) -> dict[Key, list[Earlier]]:
    """The last few reported values of each analyte, newest first. Three statements, each of which
    goes by keys that the one before found: as a single statement with a window over the join it was
    planned for an empty table, right after a migration or a restore, and timed out.

    Values that were measured for another species, and cancelled ones, are left out. `codes`: only
    those analytes, as `code_of` names them.
    """
    requests = dict(
        LabRequest.objects.filter(patient=patient, cancelled_at=None)
        .exclude(pk=without.pk if without else None)
        .order_by("-requested_at")
        .values_list("pk", "lab_report_id")[:MOST_REQUESTS]
    )
    if not requests:
        return {}
    runs = {
        run.pk: run
        for run in TestRun.objects.filter(request__in=list(requests)).select_related(
            "requested_test"
        )
        # Of a repeated test only the run that a person chose, once one did.
        if (run.requested_test is None or run.requested_test.reported_run_id in (None, run.pk))
        and (run.review_state == ReviewState.REVIEWED or not only_reviewed)
    }
    rows = (
        Observation.objects.filter(run__in=list(runs), current=True, not_reported_reason="")
        .exclude(value_text="")
        .exclude(status=ResultStatus.CANCELLED)
        .select_related("result__typed_by", "analyte")
        .defer("comments", "warnings", "result__comments", "analyte__note")
        .order_by()
    )
    if codes is not None:
        rows = rows.filter(Q(analyte__code__in=codes) | Q(analyte=None, code__in=codes))
    found: dict[Key, list[tuple[datetime, int, Observation]]] = defaultdict(list)
    for row in rows:
        at = row.result.run_at or row.result.received_at
        if row.result.status in VOID_STATUSES or row.result.ranges_void(patient.species):
            continue
        if before is not None and at >= before:
            continue
        row.run = runs[row.run_id]
        found[key_of(row)].append((at, row.pk, row))
    return {
        key: [
            _earlier(at, row, requests[row.run.request_id or 0])
            for at, _, row in islice(sorted(values, key=lambda v: v[:2], reverse=True), keep)
        ]
        for key, values in found.items()
    }


def _earlier(at: datetime, row: Observation, lab_report_id: str) -> Earlier:
    return Earlier(
        at=at,
        text=row.value_text.strip(),
        number=row.number,
        qualifier=row.qualifier,
        flag=row.flag,
        low=row.low,
        high=row.high,
        range_kind=row.range_kind,
        name=row.name or (row.analyte.name if row.analyte else ""),
        group=row.analyte.group if row.analyte else "",
        position=row.analyte.position if row.analyte else 9999,
        lab_report_id=lab_report_id,
        typed_by=_name(row.result.typed_by),
    )


def _name(user: User | None) -> str:
    return (user.get_full_name() or user.get_username()) if user else ""

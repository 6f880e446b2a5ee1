"""Earlier values of a patient, only ever of the same analyte, unit, specimen and analyzer model."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from itertools import islice
from typing import NamedTuple

from django.db.models import Q

from labs.models import LabRequest, LabResult, Observation, Patient, ResultStatus, ReviewState
from labs.models.result import VOID_STATUSES, flag_of

KEEP = 8
MOST_REQUESTS = 1000  # of one animal, the newest; its whole life in practice
Key = tuple[str, str, str, str]


class Earlier(NamedTuple):
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


class _Version(NamedTuple):
    """What a value's version and run say of it. Both readers below are plain tuples: an animal's
    page reads hundreds of values, and making model instances of them took a third of its time."""

    result: int
    run: int
    request: int
    reported: int | None
    review_state: str
    status: str
    species: str | None
    run_at: datetime | None
    received_at: datetime
    model: str
    specimen: str
    first_name: str | None
    last_name: str | None
    username: str | None

    @property
    def at(self) -> datetime:
        return self.run_at or self.received_at

    @property
    def typed_by(self) -> str:
        """As `User.get_full_name`, else the user name."""
        return f"{self.first_name or ''} {self.last_name or ''}".strip() or self.username or ""


_VERSION = (
    "pk",
    "run_id",
    "run__request_id",
    "run__requested_test__reported_run_id",
    "run__review_state",
    "status",
    "species",
    "run_at",
    "received_at",
    "run__analyzer_model",
    "run__specimen_type",
    "typed_by__first_name",
    "typed_by__last_name",
    "typed_by__username",
)


class _Value(NamedTuple):
    pk: int
    result: int
    code: str
    name: str
    unit: str
    text: str
    number: str
    qualifier: str
    flag_delivered: str
    flag_computed: str
    low: str
    high: str
    range_kind: str
    analyte_code: str | None
    analyte_name: str | None
    group: str | None
    position: int | None


_VALUE = (
    "pk",
    "result_id",
    "code",
    "name",
    "unit",
    "value_text",
    "number",
    "qualifier",
    "flag_delivered",
    "flag_computed",
    "low",
    "high",
    "range_kind",
    "analyte__code",
    "analyte__name",
    "analyte__group",
    "analyte__position",
)


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
    versions = {
        version.result: version
        for version in map(
            _Version._make,
            LabResult.objects.filter(run__request__in=list(requests))
            .order_by()
            .values_list(*_VERSION),
        )
        # Of a repeated test only the run that a person chose, once one did.
        if version.reported in (None, version.run)
        and (version.review_state == ReviewState.REVIEWED or not only_reviewed)
        and version.status not in VOID_STATUSES
        and version.species in (None, patient.species)
        and (before is None or version.at < before)
    }
    rows = (
        Observation.objects.filter(
            run__in={version.run for version in versions.values()},
            current=True,
            not_reported_reason="",
        )
        .exclude(value_text="")
        .exclude(status=ResultStatus.CANCELLED)
        .order_by()
    )
    if codes is not None:
        rows = rows.filter(Q(analyte__code__in=codes) | Q(analyte=None, code__in=codes))
    found: dict[Key, list[tuple[datetime, int, _Value]]] = defaultdict(list)
    for value in map(_Value._make, rows.values_list(*_VALUE)):
        if (version := versions.get(value.result)) is not None:
            code = value.analyte_code or value.code
            key = (code, value.unit, version.model, version.specimen)
            found[key].append((version.at, value.pk, value))
    return {
        key: [
            _earlier(at, value, versions[value.result], requests)
            for at, _, value in islice(sorted(values, key=lambda v: v[:2], reverse=True), keep)
        ]
        for key, values in found.items()
    }


def _earlier(at: datetime, value: _Value, version: _Version, requests: dict[int, str]) -> Earlier:
    return Earlier(
        at=at,
        text=value.text.strip(),
        number=value.number,
        qualifier=value.qualifier,
        flag=flag_of(value.flag_delivered, value.flag_computed),
        low=value.low,
        high=value.high,
        range_kind=value.range_kind,
        name=value.name or value.analyte_name or "",
        group=value.group or "",
        position=9999 if value.position is None else value.position,
        lab_report_id=requests[version.request],
        typed_by=version.typed_by,
    )

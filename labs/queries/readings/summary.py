"""What is in the results of a request, in one line: for lists of requests. Two statements."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from labs.models import Flag, LabRequest, Observation, ResultStatus, Review, ReviewState
from labs.models.result import CRITICAL, flag_of, own_flag_of
from labs.queries.overview.nav import TO_REVIEW


@dataclass(kw_only=True)
class Summary:
    """Counts of the current rows; `critical` (which the other counts leave out) and `changed` name
    them: `PLT 12`, `PLT 2 → 143`."""

    critical: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    reopened: bool = False
    high: int = 0
    low: int = 0
    other: int = 0
    unknown: int = 0
    within: int = 0
    unassessed: int = 0
    missing: int = 0
    void: bool = False
    preliminary: bool = False
    seen: bool = False
    to_review: bool = False

    @property
    def quiet(self) -> bool:
        """Nothing is out of range, and nothing says that it is within either where it is 0."""
        return not (self.critical or self.high or self.low or self.other or self.unknown)


class _Row(NamedTuple):
    """A plain tuple: making model instances of the hundreds of rows of a list took most of its
    time."""

    request: int
    run: int
    review_state: str
    status: str
    species: str | None
    code: str
    sequence: str
    text: str
    kind: str
    missing: str
    delivered: str
    computed: str
    critical_source: str
    as_filed: object

    @property
    def own_flag(self) -> str:
        return own_flag_of(self.computed, self.critical_source, self.as_filed)


_ROW = (
    "run__request_id",
    "run_id",
    "run__review_state",
    "result__status",
    "result__species",
    "code",
    "sequence",
    "value_text",
    "value_kind",
    "not_reported_reason",
    "flag_delivered",
    "flag_computed",
    "critical_source",
    "as_filed",
)


def summaries(requests: Iterable[LabRequest], *, all_runs: bool = False) -> dict[int, Summary]:
    """By the request's primary key; of the runs that wait for review, or of all. `requests` with
    their patient loaded."""
    species = {request.pk: request.patient.species for request in requests}
    rows = (
        Observation.objects.filter(run__request__in=species, current=True)
        .order_by("run", "position", "pk")
        .values_list(*_ROW)
    )
    if not all_runs:
        rows = rows.filter(run__review_state__in=TO_REVIEW)
    signed = _signed(species)
    found: dict[int, Summary] = defaultdict(Summary)
    for row in map(_Row._make, rows):
        summary = found[row.request]
        summary.to_review |= row.review_state in TO_REVIEW
        _count(summary, row, void=row.species not in (None, species[row.request]))
        if row.review_state == ReviewState.CHANGED:
            summary.reopened = True
            before = signed.get(row.run, {}).get((row.code, row.sequence))
            if before is not None and before != row.text:
                summary.changed.append(
                    f"{row.code} {before or 'no value'} → {row.text or 'no value'}"
                )
        elif row.review_state == ReviewState.WAITING and row.run in signed:
            summary.seen = True
    return found


def _count(summary: Summary, row: _Row, *, void: bool) -> None:
    flag = flag_of(row.delivered, row.computed)
    summary.preliminary |= row.status == ResultStatus.PRELIMINARY
    summary.void |= void
    if row.missing:
        summary.missing += 1
    elif void and row.own_flag:
        summary.critical.append(f"{row.code} {row.text}")
    elif void or flag == Flag.NONE:
        summary.unassessed += row.kind != "attachment"
    elif flag == Flag.NORMAL:
        summary.within += 1
    else:
        summary.high += flag == Flag.HIGH
        summary.low += flag == Flag.LOW
        if flag in CRITICAL:
            summary.critical.append(f"{row.code} {row.text}")
        else:
            summary.unknown += flag == Flag.UNKNOWN
            summary.other += flag in (Flag.ABNORMAL, Flag.POSITIVE)


def _signed(requests: Iterable[int]) -> dict[int, dict[tuple[str, str], str]]:
    """By run: the values as they were last signed."""
    signed: dict[int, dict[tuple[str, str], str]] = {}
    reviews = (
        Review.objects.filter(run__request__in=requests, run__review_state__in=TO_REVIEW)
        .order_by("pk")
        .values_list("run", "seen")
    )
    for run, seen in reviews:
        signed[run] = {
            (row["code"], row["sequence"]): row["value"] for row in seen if "code" in row
        }
    return signed

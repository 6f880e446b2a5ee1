"""What is in the results of a request, in one line: for lists of requests. Two statements."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from labs.models import Flag, LabRequest, Observation, ResultStatus, Review, ReviewState
from labs.models.result import CRITICAL
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


def summaries(requests: Iterable[LabRequest], *, all_runs: bool = False) -> dict[int, Summary]:
    """By the request's primary key; of the runs that wait for review, or of all. `requests` with
    their patient loaded."""
    species = {request.pk: request.patient.species for request in requests}
    rows = (
        Observation.objects.filter(run__request__in=species, current=True)
        .select_related("run", "result")
        .only(
            "code",
            "sequence",
            "value_text",
            "value_kind",
            "unit",
            "not_reported_reason",
            "flag_delivered",
            "flag_computed",
            "run__request",
            "run__review_state",
            "result__species",
            "result__status",
        )
        .order_by("run", "position", "pk")
    )
    if not all_runs:
        rows = rows.filter(run__review_state__in=TO_REVIEW)
    signed = _signed(species)
    found: dict[int, Summary] = defaultdict(Summary)
    for row in rows:
        request_pk = row.run.request_id or 0
        summary = found[request_pk]
        summary.to_review |= row.run.review_state in TO_REVIEW
        _count(summary, row, void=row.result.ranges_void(species[request_pk]))
        if row.run.review_state == ReviewState.CHANGED:
            summary.reopened = True
            before = signed.get(row.run_id, {}).get((row.code, row.sequence))
            if before is not None and before != row.value_text:
                summary.changed.append(
                    f"{row.code} {before or 'no value'} → {row.value_text or 'no value'}"
                )
        elif row.run.review_state == ReviewState.WAITING and row.run_id in signed:
            summary.seen = True
    return found


def _count(summary: Summary, row: Observation, *, void: bool) -> None:
    summary.preliminary |= row.result.status == ResultStatus.PRELIMINARY
    summary.void |= void
    if row.not_reported_reason:
        summary.missing += 1
    elif void or row.flag == Flag.NONE:
        summary.unassessed += row.value_kind != "attachment"
    elif row.flag == Flag.NORMAL:
        summary.within += 1
    else:
        summary.high += row.flag == Flag.HIGH
        summary.low += row.flag == Flag.LOW
        if row.flag in CRITICAL:
            summary.critical.append(f"{row.code} {row.value_text}")
        else:
            summary.unknown += row.flag == Flag.UNKNOWN
            summary.other += row.flag in (Flag.ABNORMAL, Flag.POSITIVE)


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

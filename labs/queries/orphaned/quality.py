"""Quality-control runs among the unmatched results, for putting them away together."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

from django.db.models import Q, QuerySet

from labs.matching.quality import HINTS, is_quality_control
from labs.models import Clinic, Observation, TestRun, UnmatchedResult
from labs.models.result import is_critical

SHOWN = 200
TYPED = ("patient_name", "patient_id")
DESCRIBED = ("test_name", "category", "specimen_type")


@dataclass(frozen=True, kw_only=True)
class Control:
    """One that says of itself that it is quality control. `critical`: values that would be
    critical of an animal; then a person looks at it alone."""

    orphan: UnmatchedResult
    tests: list[str]
    analyzers: list[str]
    critical: list[str]


def controls(clinic: Clinic) -> list[Control]:
    """Of those that wait, the oldest first, at most 200. Three statements."""
    rows = UnmatchedResult.objects.waiting().filter(clinic=clinic)
    return describe(rows.filter(_hinted(rows))[:SHOWN])


def describe(rows: QuerySet[Any]) -> list[Control]:
    """Those of them that say so. Three statements."""
    orphans = list(rows)
    runs: dict[int, list[TestRun]] = defaultdict(list)
    for run in TestRun.objects.filter(unmatched__in=orphans):
        runs[run.unmatched_id or 0].append(run)
    critical: dict[int, list[str]] = defaultdict(list)
    for row in Observation.objects.filter(
        is_critical(),
        run__unmatched__in=orphans,
        current=True,
    ).select_related("run"):
        critical[row.run.unmatched_id or 0].append(f"{row.code} {row.value_text}")
    return [
        Control(
            orphan=orphan,
            tests=list(dict.fromkeys(str(run) for run in own)),
            analyzers=list(dict.fromkeys(run.analyzer_model for run in own if run.analyzer_model)),
            critical=critical[orphan.pk],
        )
        for orphan in orphans
        for own in [runs[orphan.pk]]
        if is_quality_control(
            orphan.typed, [getattr(run, name) for run in own for name in DESCRIBED]
        )
    ]


def _hinted(waiting: QuerySet[Any]) -> Q:
    """Their own runs are looked at, not those of all that was ever matched."""
    typed = [Q(**{f"typed__{key}__icontains": hint}) for key in TYPED for hint in HINTS]
    described = [Q(**{f"{name}__icontains": hint}) for name in DESCRIBED for hint in HINTS]
    runs = TestRun.objects.filter(
        reduce(or_, described), unmatched__in=waiting.order_by().values("pk")
    )
    return reduce(or_, typed) | Q(pk__in=runs.values("unmatched"))

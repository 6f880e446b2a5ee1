"""What was measured, as a flat list for programs: the current picture of a request or orphan."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from labs.models import LabRequest, Observation, UnmatchedResult

KEYS = (
    "test_code",
    "code",
    "value_text",
    "value",
    "qualifier",
    "unit",
    "low",
    "high",
    "flag_delivered",
    "flag_computed",
    "not_reported_reason",
)


def of_request(request: LabRequest) -> list[dict[str, Any]]:
    """In the order of the requested tests, then of arrival. One statement."""
    rows = _current().filter(run__request=request)
    species = request.patient.species
    return [
        _flat(row, ranges_void=row.result.ranges_void(species))
        for row in rows.order_by("run__requested_test__position", "run", "position", "pk")
    ]


def of_unmatched(orphans: Iterable[UnmatchedResult]) -> dict[int, list[dict[str, Any]]]:
    """By the orphan's primary key, one statement for all of them. Whose animal it was is open, so
    ranges and flags stand as delivered."""
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    rows = _current().filter(run__unmatched__in=list(orphans))
    for row in rows.order_by("run", "position", "pk"):
        found[row.run.unmatched_id or 0].append(_flat(row, ranges_void=False))
    return found


def _current() -> Any:
    return Observation.objects.filter(current=True).select_related(
        "result__typed_by", "run__requested_test__panel"
    )


def _flat(row: Observation, *, ranges_void: bool) -> dict[str, Any]:
    """The keys of every command that prints values; null where there is nothing; `typed_by` only
    where a person typed it in. `value_text` is
    exact, as delivered; `value`, `low` and `high` are numbers derived from text. Where the analyzer
    measured for another species than the patient's, range and flag stay as delivered, and we call
    only what is beyond our own critical limits.
    """
    requested = row.run.requested_test
    said = (
        row.run.test_code or (requested.panel.code if requested else ""),
        row.code,
        row.value_text,
        number(row.number),
        row.qualifier,
        row.unit,
        number(row.low),
        number(row.high),
        row.flag_delivered,
        row.own_flag if ranges_void else row.flag_computed,
        row.not_reported_reason,
    )
    flat: dict[str, Any] = {
        key: None if value == "" else value for key, value in zip(KEYS, said, strict=True)
    }
    if row.result.typed_by:
        flat["typed_by"] = row.result.typed_by.get_username()
    return flat


def number(text: str) -> int | float | None:
    """The number that canonical decimal text stands for (labs.values), for JSON."""
    if not text:
        return None
    read: int | float = json.loads(text.lstrip("+"))
    return read

"""On day two the demo must not be all overdue: what its clinics were busy with moves with the day.

Only what nobody has touched since moves, with its dates in the database; the raw bodies in the
journal stay as they came, with the dates of the first day. The history stays where it is.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, TypedDict

from django.db import connection, models, transaction
from django.db.models import F, Q
from django.utils import timezone

from integrations.heska.demo import files
from labs.models import (
    Alarm,
    LabEvent,
    LabRequest,
    LabResult,
    MatchDecision,
    Message,
    Review,
    Specimen,
    Submission,
    TestRun,
    UnmatchedResult,
    Visit,
    append_only,
)

# A restart within an afternoon moves nothing that somebody may be looking at.
AFTER = timedelta(hours=3)


class Live(TypedDict):
    """What moves: versions of requests and orphans by primary key, and visits' keys."""

    moved_at: str
    requests: dict[str, int]
    unmatched: dict[str, int]
    visits: list[int]


def mark(since: dict[str, int], now: datetime) -> Live:
    """What was added after those highest keys (see `highest`)."""
    return {
        "moved_at": now.isoformat(),
        "requests": _versions(LabRequest, since["requests"]),
        "unmatched": _versions(UnmatchedResult, since["unmatched"]),
        "visits": list(Visit.objects.filter(pk__gt=since["visits"]).values_list("pk", flat=True)),
    }


def highest() -> dict[str, int]:
    tables = {"requests": LabRequest, "unmatched": UnmatchedResult, "visits": Visit}
    return {
        name: model._base_manager.aggregate(top=models.Max("pk"))["top"] or 0
        for name, model in tables.items()
    }


def _versions(model: type[LabRequest] | type[UnmatchedResult], above: int) -> dict[str, int]:
    rows = model._base_manager.filter(pk__gt=above).values_list("pk", "version")
    return {str(pk): version for pk, version in rows}


def keep_recent() -> timedelta:
    """Move what is to move, if the last time was long enough ago. Returns by how much."""
    live: Live | None = files.read("live.json")
    now = timezone.now()
    if live is None or now - datetime.fromisoformat(live["moved_at"]) < AFTER:
        return timedelta(0)
    by = now - datetime.fromisoformat(live["moved_at"])
    by -= timedelta(microseconds=by.microseconds)
    with transaction.atomic(), append_only.lifted(connection):
        moved = move(live, by)
    files.write_json("live.json", moved | {"moved_at": (now).isoformat()})
    return by


def move(live: Live, by: timedelta) -> dict[str, Any]:
    """In the caller's transaction. Returns what still is as it was, which is what moved."""
    requests = _untouched(LabRequest, live["requests"])
    unmatched = _untouched(UnmatchedResult, live["unmatched"])
    of_either = Q(request__in=requests) | Q(unmatched__in=unmatched)
    runs = Q(run__request__in=requests) | Q(run__unmatched__in=unmatched)
    tables: list[tuple[type[models.Model], Q, tuple[str, ...]]] = [
        (LabRequest, Q(pk__in=requests), ("requested_at", "reviewed_at", "cancelled_at")),
        (Specimen, Q(request__in=requests), ("collected_at",)),
        (
            Submission,
            Q(request__in=requests),
            ("created_at", "not_before", "first_attempt_at", "accepted_at"),
        ),
        (Message, of_either, ("received_at", "last_seen_at", "not_before")),
        (TestRun, of_either, ("created_at",)),
        (LabResult, runs, ("reported_at", "run_at", "received_at")),
        (Review, runs, ("reviewed_at",)),
        (Alarm, runs, ("raised_at", "first_at", "all_at", "ended_at")),
        (UnmatchedResult, Q(pk__in=unmatched), ("created_at",)),
        (MatchDecision, Q(unmatched__in=unmatched), ("at",)),
        (LabEvent, of_either, ("at",)),
        (Visit, Q(pk__in=live["visits"]), ("at",)),
    ]
    for model, which, fields in tables:
        # A plain queryset: those of append-only tables refuse, and outside the demo rightly so.
        rows: models.QuerySet[Any] = models.QuerySet(model)
        rows.filter(which).update(**{field: F(field) + by for field in fields})
    return {
        "requests": {str(pk): live["requests"][str(pk)] for pk in requests},
        "unmatched": {str(pk): live["unmatched"][str(pk)] for pk in unmatched},
        "visits": live["visits"],
    }


def _untouched(
    model: type[LabRequest] | type[UnmatchedResult], versions: dict[str, int]
) -> list[int]:
    rows = model._base_manager.filter(pk__in=[int(pk) for pk in versions])
    return [pk for pk, version in rows.values_list("pk", "version") if versions[str(pk)] == version]

"""An orphan as its screen shows it: typed identity, values, neighbours in the queue, decisions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from django.db.models import Count, Prefetch, Q

from labs.matching.compare import Field, OnFile, compare
from labs.matching.hypotheses import Registry
from labs.matching.names import Vocabulary
from labs.matching.sides import Orphan, Surroundings
from labs.models import (
    Flag,
    LabResult,
    MatchDecision,
    Observation,
    TestRun,
    UnmatchedResult,
    UnmatchedState,
)
from labs.queries.words import FLAG_WORDS, clock, not_reported
from labs.querysets import UnmatchedQuerySet

# Lines of the table that always stand there; the others only where something was typed.
ALWAYS = ("patient_name", "owner", "patient_id", "species", "sex", "age", "weight", "seen")
NOBODY = OnFile()


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One value in words. `shape` is critical, abnormal, missing or empty."""

    name: str
    value: str
    unit: str
    flag: str
    shape: str


@dataclass(frozen=True, kw_only=True)
class RunShown:
    run: TestRun
    version: LabResult | None
    readings: tuple[Reading, ...]

    @property
    def title(self) -> str:
        return self.run.test_name or self.run.test_code or "Test without a name"

    @property
    def where(self) -> str:
        return self.run.analyzer_model or self.run.analyzer_name or "analyzer not named"

    @property
    def when(self) -> str:
        if self.version is None:
            return ""
        if self.version.run_at is not None:
            return clock(self.version.run_at)
        return self.version.run_at_text


def orphans() -> UnmatchedQuerySet:
    """With what every page of an orphan shows, in one statement."""
    rows: UnmatchedQuerySet = UnmatchedResult.objects.select_related(
        "clinic", "held_by", "suggested_request__patient", "emergency__patient"
    )
    return rows


def runs_of(unmatched: UnmatchedResult) -> list[TestRun]:
    """With current versions and values: three statements."""
    return list(
        unmatched.runs.prefetch_related(
            Prefetch("versions", LabResult.objects.filter(current=True), "shown"),
            Prefetch(
                "observations",
                Observation.objects.filter(current=True).order_by("position", "pk"),
                "values_shown",
            ),
        )
    )


def shown(run: TestRun) -> RunShown:
    versions = run.shown  # type: ignore[attr-defined]
    return RunShown(
        run=run,
        version=versions[0] if versions else None,
        readings=tuple(read(o) for o in run.values_shown),  # type: ignore[attr-defined]
    )


def read(row: Observation) -> Reading:
    shape = "critical" if row.is_critical else "abnormal" if row.is_abnormal else ""
    if row.value_kind in ("missing", "attachment"):
        missing = row.value_kind == "missing"
        reason = not_reported(row.not_reported_reason) if missing else "a file"
        value = row.value_text.strip() or ("no value" if missing else "picture")
        return Reading(
            name=row.name or row.code, value=value, unit="", flag=reason, shape="missing"
        )
    return Reading(
        name=row.name or row.code,
        value=row.value_text.strip(),
        unit=row.unit,
        flag=FLAG_WORDS.get(Flag(row.flag), "") if row.is_abnormal else "",
        shape=shape,
    )


def first_readings(runs: Iterable[RunShown], count: int) -> list[Reading]:
    """The most telling ones: critical, then abnormal, then as delivered, not reported last."""
    rank = {"critical": 0, "abnormal": 1, "": 2, "missing": 3}
    rows = [reading for run in runs for reading in run.readings]
    return sorted(rows, key=lambda reading: rank[reading.shape])[:count]


def typed_lines(
    unmatched: UnmatchedResult, runs: Iterable[RunShown], also: Iterable[str] = ()
) -> list[Field]:
    """What was typed, line by line as the candidates are shown beside it. `also`: keys of lines
    that stand there for the candidates' sake."""
    runs = list(runs)
    empty = Registry(Vocabulary(), Vocabulary())
    orphan = Orphan(unmatched.typed, empty, Surroundings(at=unmatched.created_at))
    fields = compare(orphan, NOBODY).fields
    when = next((run.when for run in runs if run.when), "")
    lines = []
    for field in fields:
        if field.key == "seen":
            lines.append(
                Field(
                    key="seen",
                    label=field.label,
                    typed=f"run {when}" if when else "",
                    on_file="",
                    sign="none",
                )
            )
        elif field.key == "tests" and "tests" in also:
            tests = ", ".join(dict.fromkeys(run.title for run in runs))
            lines.append(replace(field, typed=tests))
        elif field.key in ALWAYS or field.typed:
            lines.append(field)
    return lines


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where an orphan stands in its clinic's queue, oldest first."""

    number: int
    waiting: int
    previous: UnmatchedResult | None
    following: UnmatchedResult | None


def place_of(unmatched: UnmatchedResult) -> Place:
    """Three statements. An orphan that waits no longer has neighbours but no number."""
    queue = UnmatchedResult.objects.waiting().filter(clinic=unmatched.clinic_id)
    earlier = Q(created_at__lt=unmatched.created_at) | Q(
        created_at=unmatched.created_at, pk__lt=unmatched.pk
    )
    later = Q(created_at__gt=unmatched.created_at) | Q(
        created_at=unmatched.created_at, pk__gt=unmatched.pk
    )
    counts = queue.aggregate(waiting=Count("pk"), before=Count("pk", filter=earlier))
    waits = unmatched.state in (UnmatchedState.OPEN, UnmatchedState.HELD)
    return Place(
        number=counts["before"] + 1 if waits else 0,
        waiting=counts["waiting"],
        previous=queue.filter(earlier).order_by("-created_at", "-pk").first(),
        following=queue.filter(later).order_by("created_at", "pk").first(),
    )


def decisions_of(unmatched: UnmatchedResult) -> list[MatchDecision]:
    """Newest first, one statement."""
    return list(
        unmatched.decisions.select_related(
            "actor", "patient__owner", "patient__merged_into__owner", "request"
        ).order_by("-pk")
    )

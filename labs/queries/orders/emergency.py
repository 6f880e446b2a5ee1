"""Emergency codes as the worklist and their own pages show them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.utils import timezone

from labs.models import (
    Clinic,
    EmergencyCode,
    Observation,
    TestRun,
    UnmatchedResult,
    UnmatchedState,
)
from labs.models.result import is_critical
from labs.quick import Given, Records

SHOWN_CRITICAL = 4
# As the alphabet of radio and aviation has it; digits are read as they are.
SPOKEN_WORDS = """Alfa Bravo Charlie Delta Echo Foxtrot Golf Hotel Juliett Kilo Mike November Papa
Quebec Romeo Sierra Tango Uniform Victor Whiskey X-ray Yankee Zulu"""
SPOKEN = {word[0]: word for word in SPOKEN_WORDS.split()}


@dataclass(frozen=True, kw_only=True)
class Result:
    """One that came under a code. `waits`: nobody has said yet whose it is."""

    orphan: UnmatchedResult
    tests: str
    critical: tuple[str, ...]

    @property
    def waits(self) -> bool:
        return self.orphan.state in (UnmatchedState.OPEN, UnmatchedState.HELD)


@dataclass(frozen=True, kw_only=True)
class Emergency:
    code: EmergencyCode
    results: tuple[Result, ...]

    @property
    def spoken(self) -> str:
        return " · ".join(SPOKEN.get(sign, sign) for sign in self.code.code)

    @property
    def waiting(self) -> list[Result]:
        return [result for result in self.results if result.waits]

    @property
    def doubtful(self) -> list[Result]:
        """Those that a choice of patient does not file."""
        return [result for result in self.waiting if result.orphan.contradictions]

    @property
    def critical(self) -> list[str]:
        """Critical values that stand on no animal's record yet."""
        return [name for result in self.waiting for name in result.critical][:SHOWN_CRITICAL]

    @property
    def is_open(self) -> bool:
        return self.code.closed_at is None and self.code.expires_at > timezone.now()

    @property
    def filed(self) -> int:
        return sum(result.orphan.state == UnmatchedState.MATCHED for result in self.results)

    @property
    def version(self) -> str:
        orphans = [result.orphan for result in self.results]
        parts = (self.code.patient_id or 0, len(orphans), sum(o.version for o in orphans))
        return "-".join(map(str, (*parts, int(self.is_open))))


def _on_worklist(clinic: Any, now: Any) -> Any:
    waiting = UnmatchedResult.objects.waiting().filter(clinic=clinic, emergency__isnull=False)
    codes = EmergencyCode.objects.filter(clinic=clinic)
    return codes.open(now) | codes.filter(pk__in=waiting.values("emergency"))


ON_WORKLIST = Records(
    _on_worklist(Given("clinic"), Given("now")), patient=(), patient__owner=(), made_by=()
)


@dataclass(frozen=True, kw_only=True)
class OnWorklist:
    """`critical`: those with a critical value that stands on no record yet, which are never folded
    away. `waiting`: how many of the others have results that wait."""

    critical: list[Emergency] = field(default_factory=list)
    others: list[Emergency] = field(default_factory=list)

    @property
    def waiting(self) -> int:
        return sum(bool(each.waiting) for each in self.others)


def on_worklist(clinic: Clinic) -> OnWorklist:
    """What somebody must not forget: codes that are open, and those with results that wait. Three
    statements, one where there is none."""
    found = emergencies(ON_WORKLIST.all(clinic=clinic.pk, now=timezone.now()))
    return OnWorklist(
        critical=[each for each in found if each.critical],
        others=[each for each in found if not each.critical],
    )


def rows() -> Any:
    """Codes with what their pages show."""
    return EmergencyCode.objects.select_related(
        "clinic", "patient__owner", "made_by", "chosen_by", "request"
    )


def emergencies(codes: Iterable[EmergencyCode]) -> list[Emergency]:
    """Two statements, none where there are no codes."""
    codes = list(codes)
    if not codes:
        return []
    orphans = UnmatchedResult.objects.filter(emergency__in=codes).order_by("created_at", "pk")
    runs: dict[int, list[TestRun]] = defaultdict(list)
    for run in TestRun.objects.filter(unmatched__emergency__in=codes).order_by("pk"):
        runs[run.unmatched_id or 0].append(run)
    critical: dict[int, list[str]] = defaultdict(list)
    for row in Observation.objects.filter(
        is_critical(),
        run__unmatched__emergency__in=codes,
        current=True,
    ).select_related("run"):
        critical[row.run.unmatched_id or 0].append(f"{row.code} {row.value_text}")
    results: dict[int, list[Result]] = defaultdict(list)
    for orphan in orphans:
        names = dict.fromkeys(run.test_name or run.test_code for run in runs[orphan.pk])
        results[orphan.emergency_id or 0].append(
            Result(orphan=orphan, tests=" · ".join(names), critical=tuple(critical[orphan.pk]))
        )
    return [Emergency(code=code, results=tuple(results[code.pk])) for code in codes]

"""What a screen on the wall shows: how much waits, and what must not be overlooked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from labs.models import Clinic, Patient
from labs.queries.overview import worklist
from labs.queries.overview.nav import Nav

MOST = 5  # rows of a lane: what can be read from three metres
LANES = ("review", "running", "attention")


@dataclass(frozen=True, kw_only=True)
class Row:
    """`who`: the pet's name and the owner's initial and nothing else, as clients may see the wall.
    `alert`: CRITICAL or LATE, else empty."""

    who: str
    species: str
    what: str
    since: Any
    stat: bool
    alert: str


@dataclass(frozen=True, kw_only=True)
class Lane:
    name: str
    title: str
    count: int
    rows: list[Row]

    @property
    def more(self) -> int:
        return max(0, self.count - len(self.rows))


def lanes(clinic: Clinic, nav: Nav) -> list[Lane]:
    """Of each lane's first page, as the worklist sorts it (critical first to review, late first to
    run), STAT before the rest. A fixed number of statements."""
    pages = [worklist.worklist(clinic, nav, only=name).sections[0] for name in LANES]
    sections = {each.name: each for each in pages}
    return [
        Lane(
            name=name,
            title=sections[name].title,
            count=sections[name].count or 0,
            rows=sorted((_row(row, name) for row in sections[name].page.rows), key=_urgency)[:MOST],
        )
        for name in LANES
    ]


def _row(row: worklist.Row, lane: str) -> Row:
    request = row.request
    critical = lane == "review" and bool(getattr(request, "is_critical", False))
    return Row(
        who=name_of(request.patient),
        species=request.patient.species,
        what=row.chip.word,
        since=row.since,
        stat=request.priority == "stat",
        alert="critical" if critical else "late" if row.late else "",
    )


def _urgency(row: Row) -> tuple[bool, bool]:
    return (not row.alert, not row.stat)  # and else as they came: sorting is stable


def name_of(patient: Patient) -> str:
    """`Biscuit S.`"""
    initial = patient.owner.last_name.strip()[:1].upper() if patient.owner else ""
    return f"{patient.name} {initial}." if initial else patient.name

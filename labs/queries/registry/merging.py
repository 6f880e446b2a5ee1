"""Two records set beside each other before they are merged, and what a merge has moved."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.db.models import QuerySet
from django.utils.formats import date_format

from labs.models import LabRequest, Merge, Patient, Sex, UnmatchedResult
from labs.services.registry.merging import Came, came_since

SAME, TAKEN, DIFFERS, CONFLICT = "same", "taken over", "differs", "conflict"


@dataclass(frozen=True, kw_only=True)
class Line:
    """One field of both records, in words. `verdict`: SAME; TAKEN, where only one says something;
    DIFFERS, and what stays is the surviving record's; CONFLICT, which speaks against one animal."""

    label: str
    one: str
    other: str
    verdict: str


@dataclass(frozen=True, kw_only=True)
class Beside:
    lines: list[Line]

    @property
    def conflicts(self) -> list[str]:
        """Labels; each is confirmed by typing the animal's name."""
        return [line.label for line in self.lines if line.verdict == CONFLICT]


def beside(one: Patient, other: Patient) -> Beside:
    """Two statements. Both come with owner and weight (queries.registry.patients.with_weight)."""
    serious = {
        "Species": one.species != other.species,
        "Sex": Sex.UNKNOWN not in (one.sex, other.sex) and one.sex != other.sex,
        "Born": None not in (one.birth_date, other.birth_date)
        and one.birth_date != other.birth_date,
        "Deceased": one.deceased != other.deceased,
    }
    lines = []
    for (label, mine), (_, theirs) in zip(_said(one), _said(other), strict=True):
        if serious.get(label):
            verdict = CONFLICT
        elif mine == theirs:
            verdict = SAME
        else:
            verdict = DIFFERS if mine and theirs else TAKEN
        lines.append(Line(label=label, one=mine, other=theirs, verdict=verdict))
    return Beside(lines=lines)


def _said(patient: Patient) -> list[tuple[str, str]]:
    owner, kg = patient.owner, getattr(patient, "weight_kg", None)
    died = _day(patient.deceased_on) or "yes" if patient.deceased else "no"
    return [
        ("Name", patient.name),
        ("Id", patient.patient_id),
        ("Owner", f"{owner} ({owner.owner_id})" if owner else ""),
        ("Phone", owner.phone if owner else ""),
        ("Species", patient.get_species_display()),
        ("Breed", patient.breed),
        ("Sex", "" if patient.sex == Sex.UNKNOWN else patient.sex_words),
        ("Born", _day(patient.birth_date)),
        ("Microchip", patient.microchip),
        ("Weight", f"{kg.normalize():f} kg" if kg else ""),
        ("Deceased", died),
        ("Requests", str(LabRequest.objects.filter(patient=patient).count())),
    ]


def _day(day: date | None) -> str:
    return date_format(day, "j M Y") if day else ""


def merges_of(patient: Patient) -> list[Merge]:
    """Those that stand, in which its record is one of the two. One statement."""
    found = Merge.objects.filter(undone_at=None).select_related("merged", "into", "by")
    key = "merged" if patient.merged_into_id else "into"
    return list(found.filter(**{key: patient}))


@dataclass(frozen=True, kw_only=True)
class MergePage:
    """`stays`, `back`, `queue`: what came while the two were one, and where it is, or would be,
    once they are separated."""

    merge: Merge
    moved: list[tuple[str, int]]
    stays: list[LabRequest]
    back: list[LabRequest]
    queue: list[UnmatchedResult]

    @property
    def anything_came(self) -> bool:
        return bool(self.stays or self.back or self.queue)


def merge_page(merge: Merge) -> MergePage:
    """Eight statements at most. `merge` with its two records."""
    came = Came(**merge.came) if merge.undone_at else came_since(merge)
    moved = merge.moved
    orphans = UnmatchedResult.objects.filter(pk__in=came.queue)
    return MergePage(
        merge=merge,
        moved=[
            (what if len(moved[key]) > 1 else what[:-1], len(moved[key]))
            for what, key in (
                ("requests", "requests"),
                ("visits", "visits"),
                ("weighings", "weights"),
                ("emergency codes", "codes"),
            )
            if moved.get(key)
        ],
        stays=_requests(came.stays),
        back=_requests(came.back),
        queue=list(orphans.order_by("pk")) if came.queue else [],
    )


def _requests(pks: Iterable[int]) -> list[LabRequest]:
    pks = list(pks)
    rows: QuerySet[Any] = LabRequest.objects.filter(pk__in=pks).select_related("patient")
    return list(rows.order_by("-requested_at", "-pk")) if pks else []

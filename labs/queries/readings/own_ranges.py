"""The clinic's own reference interval beside a delivered one: which held when the result came, and
what it says of the value. It takes the place of nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

from labs.models import Clinic, Flag, Observation, OwnInterval, Patient
from labs.queries.words import FLAG_SHAPES, FLAG_WORDS
from labs.values import Range, Value, compute_flag, same_unit


@dataclass(frozen=True, kw_only=True)
class OwnRange:
    """`whose`: the clinic; `ages`: empty where it holds for any; `word`: what it says of the value,
    empty where nothing can be said."""

    whose: str
    words: str
    ages: str
    word: str
    shape: str
    low: str
    high: str


@dataclass(frozen=True, kw_only=True)
class OwnRanges:
    """A clinic's intervals for one animal."""

    intervals: dict[int, list[OwnInterval]]
    patient: Any
    whose: str

    def of(self, row: Observation) -> OwnRange | None:
        """The interval that held when this value came, for the animal's age at its run, and in its
        unit. Uses `result`, and `patient` with its birth date."""
        if not row.analyte_id or row.not_reported_reason:
            return None
        came = row.result.received_at
        run_at = row.result.run_at or came
        months = months_old(self.patient, run_at.date())
        for own in self.intervals.get(row.analyte_id, []):
            held = own.since <= came and (own.until is None or came < own.until)
            if held and _fits(own, months) and same_unit(own.unit, row.unit):
                return self._shown(own, row)
        return None

    def _shown(self, own: OwnInterval, row: Observation) -> OwnRange:
        value = Value(
            text=row.value_text, kind=row.value_kind, number=row.number, qualifier=row.qualifier
        )
        flag = compute_flag(value, Range(low=own.low, high=own.high), "reference")
        aged = bool(own.from_months) or own.to_months is not None
        return OwnRange(
            whose=self.whose,
            words=own.words,
            ages=own.age_words if aged else "",
            word=FLAG_WORDS.get(Flag(flag), ""),
            shape=FLAG_SHAPES.get(Flag(flag), ""),
            low=own.low,
            high=own.high,
        )


def own_ranges(patient: Patient, analytes: Iterable[int], *, whose: Clinic) -> OwnRanges:
    """All of the clinic's for that species and those analytes, ended ones too. One statement."""
    found: dict[int, list[OwnInterval]] = {}
    for own in OwnInterval.objects.filter(
        clinic=patient.clinic_id, species=patient.species, analyte__in=set(analytes)
    ).order_by("-since"):
        found.setdefault(own.analyte_id, []).append(own)
    return OwnRanges(intervals=found, patient=patient, whose=whose.name)


def months_old(patient: Any, on: date) -> int | None:
    """Whole months; None where no birth date is known."""
    born: date | None = patient.birth_date
    if born is None:
        return None
    return max(0, (on.year - born.year) * 12 + on.month - born.month - (on.day < born.day))


def _fits(own: OwnInterval, months: int | None) -> bool:
    """An interval for an age says nothing of an animal whose age nobody knows."""
    if months is None:
        return own.from_months == 0 and own.to_months is None
    return own.from_months <= months and (own.to_months is None or months < own.to_months)

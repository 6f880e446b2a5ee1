"""An orphan's typed identity beside an animal on file, field by field, in words for the screen and
for the record. Pure: no ORM, no clock. What each field is worth: labs.matching.evidence."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from labs.matching import weights
from labs.matching.evidence import judge
from labs.matching.hypotheses import Reading
from labs.matching.sides import AGREE, CLOSE, CONFLICT, NOT_GIVEN, Judged, OnFile, Orphan

__all__ = ["AGREE", "CLOSE", "CONFLICT", "NOT_GIVEN", "Comparison", "Field", "OnFile", "compare"]

# Where these contradict, a person must type the animal's name before anything is attached.
SERIOUS = frozenset({"species", "sex", "weight", "deceased"})
# Names this comparison in stored evidence, so that a decision can be understood years later.
VERSION = "compare-2"
LABELS = {
    "patient_name": "Name",
    "owner": "Owner",
    "patient_id": "Patient id",
    "microchip": "Microchip",
    "owner_id": "Owner id",
    "species": "Species",
    "sex": "Sex",
    "breed": "Breed",
    "age": "Age",
    "weight": "Weight",
    "seen": "Seen here",
    "tests": "Open tests",
    "doctor": "Doctor",
    "deceased": "Deceased",
}
# So many bits fill half of a points bar.
FULL_BAR = 12.0


@dataclass(frozen=True, kw_only=True)
class Field:
    """One line of the table. `sign`: agree, close, conflict or none; `note` says why; `bits` how
    much it speaks for (above 0) or against."""

    key: str
    label: str
    typed: str
    on_file: str
    sign: str
    note: str = ""
    bits: float = 0.0

    @property
    def bar(self) -> int:
        """Per cent of half a bar, at least a sliver where there is anything."""
        return min(100, max(4, round(abs(self.bits) / FULL_BAR * 100))) if self.bits else 0

    @property
    def bar_x(self) -> int:
        """Where it begins, with the middle line at 0: what speaks against lies left of it."""
        return min(0, self.bar if self.bits > 0 else -self.bar)

    @property
    def points(self) -> str:
        """`+7`, `-3`; empty where it says nothing."""
        return f"{self.bits:+.0f}".replace("-0", "0").replace("+0", "0") if self.bits else ""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """`bits` is the sum of all fields' ones; `reading` says how the typed names were read, empty
    where as the fields ask."""

    fields: tuple[Field, ...]
    bits: float = 0.0
    reading: str = ""

    @property
    def points(self) -> float:
        return round(self.bits, 2)

    def labels(self, sign: str) -> list[str]:
        return [field.label for field in self.fields if field.sign == sign]

    @property
    def serious(self) -> list[str]:
        """Keys of the contradictions for which the animal's name must be typed."""
        return [f.key for f in self.fields if f.sign == CONFLICT and f.key in SERIOUS]

    @property
    def serious_words(self) -> str:
        """Those as one or two sentences: `Species and sex differ. Recorded as deceased.`"""
        return serious_words(self.serious)

    def as_json(self) -> dict[str, Any]:
        return {
            "comparison": VERSION,
            "weights": weights.VERSION,
            "points": self.points,
            "reading": self.reading,
            "serious": self.serious,
            "fields": [asdict(field) | {"bits": round(field.bits, 2)} for field in self.fields],
        }


def serious_words(keys: list[str]) -> str:
    """Those keys of `Comparison.serious` as one or two sentences."""
    differ = [key for key in keys if key != "deceased"]
    words = " and ".join(differ).capitalize()
    sentences = [f"{words} differ{'s' * (len(differ) == 1)}."] if differ else []
    if "deceased" in keys:
        sentences.append("Recorded as deceased.")
    return " ".join(sentences)


def compare(orphan: Orphan, animal: OnFile, *, seen_words: str = "") -> Comparison:
    """Every field in the order of the screen. `seen_words`: how its last visit reads."""
    way, judged, bits = judge(orphan, animal)
    return in_words(orphan, animal, way, judged, bits, seen_words=seen_words)


def in_words(
    orphan: Orphan,
    animal: OnFile,
    way: Reading,
    judged: Iterable[Judged],
    bits: float,
    *,
    seen_words: str = "",
) -> Comparison:
    shown = _on_file(orphan, animal, seen_words)
    typed = _typed(orphan)
    return Comparison(
        fields=tuple(
            Field(
                key=each.key,
                label=LABELS[each.key],
                typed=typed.get(each.key, ""),
                on_file=shown.get(each.key, ""),
                sign=each.sign,
                note=each.note,
                bits=each.bits,
            )
            for each in judged
        ),
        bits=bits,
        reading=way.words,
    )


def _typed(orphan: Orphan) -> dict[str, str]:
    said = orphan.said
    owner = (said("owner_last_name"), said("owner_first_name"))
    return {
        "patient_name": said("patient_name"),
        "owner": ", ".join(part for part in owner if part),
        "patient_id": said("patient_id"),
        "microchip": said("microchip"),
        "owner_id": said("owner_id"),
        "species": said("species"),
        "sex": said("sex"),
        "breed": said("breed"),
        "age": said("birth_date") or said("age"),
        "weight": f"{said('weight')} {said('weight_unit')}".strip() if said("weight") else "",
        "doctor": said("doctor"),
    }


def _on_file(orphan: Orphan, animal: OnFile, seen_words: str) -> dict[str, str]:
    owner = (animal.owner_last_name, animal.owner_first_name)
    typed = set(orphan.doctor_words)
    doctors = sorted(animal.doctors, key=lambda name: not typed & set(name.casefold().split()))
    day = animal.deceased_on
    return {
        "patient_name": animal.name,
        "owner": ", ".join(part for part in owner if part),
        "patient_id": animal.patient_id,
        "microchip": animal.microchip,
        "owner_id": animal.owner_id,
        "species": animal.species_words,
        "sex": animal.sex_words,
        "breed": animal.breed,
        "age": animal.age_words,
        "weight": f"{animal.weight_kg.normalize():f} kg" if animal.weight_kg else "",
        "seen": seen_words,
        "tests": animal.tests_words,
        "doctor": doctors[0] if doctors else "",
        "deceased": f"deceased {day:%d %b %Y}" if day else "deceased",
    }

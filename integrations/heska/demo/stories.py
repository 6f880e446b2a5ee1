"""Two years of the demo's past: who came when, what was measured, and what it was meant to show."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Episode:
    """A visit with tests, so many days ago. `told`: values by analyte code; the rest is chance."""

    patient_id: str
    days: int
    tests: tuple[str, ...]
    kg: float
    told: Mapping[str, float] = field(default_factory=dict)
    notes: str = ""


CBC, CHEMISTRY, KIDNEY, THYROID = ("HHEM-1",), ("HDC-1",), ("HDC-3",), ("HIP-1",)


def _kidney_cat() -> Iterator[Episode]:
    """Juniper: chronic kidney disease, found early and slowly rising."""
    rows = [
        (702, 4.90, 1.6, 29, 4.2),
        (584, 4.85, 1.8, 33, 4.4),
        (455, 4.70, 2.1, 38, 4.9),
        (350, 4.55, 2.4, 44, 5.1),
        (252, 4.40, 2.7, 51, 5.6),
        (161, 4.25, 3.0, 58, 6.0),
        (84, 4.10, 3.4, 66, 6.6),
        (31, 3.95, 3.7, 71, 6.9),
    ]
    for days, kg, crea, bun, phos in rows:
        told = {"CREA": crea, "BUN": bun, "PHOS": phos, "K": 4.1}
        yield Episode("P-10401", days, KIDNEY, kg, told, "Kidney recheck, fasted 8 h")


def _anemic_dog() -> Iterator[Episode]:
    """Bramble: an anemia that heals under treatment."""
    rows = [
        (402, 13.4, 44.0, 8.1, 310),
        (128, 12.2, 16.5, 24.6, 96),
        (121, 12.3, 19.0, 22.0, 148),
        (107, 12.6, 25.5, 17.2, 233),
        (86, 12.9, 32.0, 12.8, 402),
        (58, 13.2, 38.5, 10.4, 371),
        (24, 13.5, 43.0, 8.7, 334),
    ]
    for days, kg, hct, neutrophils, platelets in rows:
        told = {"HCT": hct, "NEU#": neutrophils, "PLT": platelets}
        yield Episode("P-10402", days, CBC, kg, told, "Anemia recheck" if days < 128 else "")


def _diabetic_cat() -> Iterator[Episode]:
    """Pumpkin: diabetes, brought under control, once too low."""
    rows = [
        (301, 6.80, 412),
        (287, 6.72, 356),
        (266, 6.60, 288),
        (231, 6.48, 176),
        (182, 6.40, 58),
        (168, 6.41, 149),
        (96, 6.37, 138),
        (27, 6.35, 161),
    ]
    for days, kg, glucose in rows:
        yield Episode("P-10403", days, KIDNEY, kg, {"GLU": glucose}, "Diabetes check")


def _thyroids() -> Iterator[Episode]:
    """Moose's is too slow, Ziggy's too fast; both answer to treatment."""
    for days, kg, tt4, chol in ((390, 41.5, 0.5, 412), (342, 40.1, 1.7, 318), (198, 38, 2.4, 246)):
        yield Episode("P-10404", days, THYROID + CHEMISTRY, kg, {"TT4": tt4, "CHOL": chol})
    for days, kg, tt4 in ((260, 3.4, 9.4), (229, 3.6, 5.8), (170, 3.9, 3.1), (75, 4.2, 2.6)):
        yield Episode("P-10405", days, THYROID, kg, {"TT4": tt4}, "Thyroid recheck")


def _liver_dog() -> Iterator[Episode]:
    """Rufus ate what he should not have."""
    well, ill = (512, 14.1, 52, 84), (148, 13.6, 640, 410)
    better = ((141, 13.7, 388, 352), (112, 13.9, 141, 190), (52, 14.0, 68, 102))
    for days, kg, alt, alp in (well, ill, *better):
        yield Episode("P-10406", days, CHEMISTRY, kg, {"ALT": alt, "ALP": alp})


# Teddy, who is no more since so many days.
DIED = ("P-10429", 331)


def _teddy() -> Iterator[Episode]:
    for days, kg, crea, bun in ((610, 7.1, 1.9, 41), (402, 6.6, 3.8, 88), (345, 6.0, 6.1, 126)):
        yield Episode(DIED[0], days, CBC + KIDNEY, kg, {"CREA": crea, "BUN": bun})


ROUTINE_KG = {
    "P-10482": 31.4, "P-10407": 22.0, "P-10408": 18.6, "P-10409": 4.3, "P-10410": 33.8,
    "P-10411": 28.9, "P-10412": 7.4, "P-10413": 12.7, "P-10414": 21.5, "P-10415": 29.8,
    "P-10416": 8.2, "P-10417": 9.6, "P-10418": 5.6, "P-10419": 46.0, "P-10420": 3.9,
    "P-10421": 8.8, "P-10422": 5.2, "P-10423": 24.3, "P-10424": 4.6, "P-10425": 498.0,
    "P-10428": 5.0,
    "7701": 25.4, "7702": 4.1, "7703": 7.3, "7704": 2.8, "7705": 5.9, "7706": 31.2, "7707": 8.4,
    "7708": 5.5,
}  # fmt: skip
ROUTINE = (CBC + CHEMISTRY, CBC, CBC + KIDNEY, CHEMISTRY, (*CBC, "HTR-1"), ("HAIM-1",))
DOGS_ONLY = "HTR-1"


def _routine() -> Iterator[Episode]:
    """Yearly checks and small troubles of the others; about two in two years."""
    for patient_id, kg in ROUTINE_KG.items():
        chance = random.Random(patient_id)  # noqa: S311 - believable, not secret
        days = chance.randrange(20, 330)
        for _ in range(chance.choice((1, 2, 2))):
            weight = round(kg * chance.uniform(0.96, 1.03), 2)
            yield Episode(patient_id, days, chance.choice(ROUTINE), weight, notes="Yearly check")
            days += chance.randrange(280, 390)


def episodes() -> list[Episode]:
    """All of them, the oldest first."""
    told = (_kidney_cat, _anemic_dog, _diabetic_cat, _thyroids, _liver_dog, _teddy, _routine)
    return sorted((each for story in told for each in story()), key=lambda each: -each.days)

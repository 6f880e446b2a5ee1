"""What people type at analyzers, made comparable. Pure functions; names and ids: labs.keys."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation

from rapidfuzz.distance import OSA

from labs.keys import chip_key, digits_of, id_key, is_placeholder, plain, same_id, stored_id

__all__ = [
    "age_months",
    "chip_key",
    "digits_of",
    "id_key",
    "is_placeholder",
    "one_edit_apart",
    "plain",
    "same_id",
    "stored_id",
    "weight_kg",
]

KG_PER_LB = Decimal("0.45359237")
UNITS_OF_AGE = {"y": 12.0, "m": 1.0, "w": 12 / 52.18, "d": 12 / 365.25}
AGE = re.compile(r"(\d+(?:\.\d+)?)\s*(y|m|w|d)", re.IGNORECASE)
WEIGHT = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)", re.IGNORECASE)


def one_edit_apart(one: str, other: str) -> bool:
    """One letter more, less or other, or two neighbours swapped; never texts of under three."""
    if min(len(one), len(other)) < 3:
        return False
    return OSA.distance(one, other, score_cutoff=1) == 1


def age_months(text: str) -> float | None:
    """`7 y`, `6y 11m`, `18 months`, `10 wk`; None where it cannot be read. A bare number is no age:
    years or months?"""
    parts = AGE.findall(text)
    if not parts:
        return None
    return sum(float(number) * UNITS_OF_AGE[unit.lower()] for number, unit in parts)


def weight_kg(text: str, unit: str = "") -> tuple[Decimal, bool] | None:
    """Kilograms, and whether the unit was said. A weight without one is taken for kilograms."""
    found = WEIGHT.fullmatch(text.strip())
    if not found:
        return None
    said = (unit or found[2]).strip().lower()
    try:
        number = Decimal(found[1])
    except InvalidOperation:
        return None
    if number <= 0 or len(found[1]) > 8:
        return None
    if said.startswith(("lb", "pound")):
        return number * KG_PER_LB, True
    if said in ("g", "gram", "grams"):
        return number / 1000, True
    return number, said.startswith(("kg", "kilo"))

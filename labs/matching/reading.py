"""What people type at analyzers, made comparable. Pure functions."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal, InvalidOperation

# Typed out of habit, because the analyzer wants something: equal to nothing, not even to itself.
PLACEHOLDERS = frozenset(
    [
        "NA",
        "NONE",
        "NULL",
        "NIL",
        "TEST",
        "QC",
        "CONTROL",
        "WATER",
        "UNKNOWN",
        "UNK",
        "NOID",
        "NONAME",
        "PATIENT",
        "X",
        "XX",
        "XXX",
    ]
)
KG_PER_LB = Decimal("0.45359237")
UNITS_OF_AGE = {"y": 12.0, "m": 1.0, "w": 12 / 52.18, "d": 12 / 365.25}
AGE = re.compile(r"(\d+(?:\.\d+)?)\s*(y|m|w|d)", re.IGNORECASE)
WEIGHT = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)", re.IGNORECASE)


def plain(text: str) -> str:
    """Case, accents, punctuation and double spaces removed: `D'Arcy`, `Müller`, `Smith-Jones` give
    `darcy`, `muller`, `smith jones`."""
    letters = unicodedata.normalize("NFKD", text.casefold())
    letters = "".join(c for c in letters if not unicodedata.combining(c))
    letters = re.sub(r"['’`.]", "", letters)
    return " ".join(re.sub(r"[^\w]+|_", " ", letters).split())


def is_placeholder(text: str) -> bool:
    """Whether the text is no evidence at all: empty, `0`, `1`, `9999`, `1234`, `NA`, `TEST` …"""
    bare = re.sub(r"[\W_]", "", text).upper()
    if bare in PLACEHOLDERS:
        return True
    if bare.isdigit():
        return len(set(bare)) == 1 or len(bare) == 1 or bare in ("123", "1234", "12345")
    return not bare


def id_key(text: str) -> str:
    """An id without case, punctuation, and zeros before its number: `00123` and `123 ` give
    `123`, `P-00123` gives `p123`."""
    bare = re.sub(r"[\W_]", "", text.casefold())
    return re.sub(r"^(\D*)0+(?=\d)", r"\1", bare)


def digits_of(text: str) -> str:
    """The number of an id that is a number with at most letters before it (`P-00123` gives `123`),
    else empty: what an analyzer without a letter keyboard makes of it."""
    found = re.fullmatch(r"[^\d]*?0*(\d+)", text.strip())
    return found[1] if found else ""


def one_edit_apart(one: str, other: str) -> bool:
    """One letter more, less or other, or two neighbours swapped; never texts of under three."""
    if one == other or min(len(one), len(other)) < 3 or abs(len(one) - len(other)) > 1:
        return False
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    a, b = one[start:], other[start:]
    swapped = a[:2] == b[1::-1] and a[2:] == b[2:] and len(a) >= 2
    return swapped or a[1:] == b[1:] or a[1:] == b or a == b[1:]


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

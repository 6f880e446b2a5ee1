"""Heska's code words and ours. [seed], [assumed] and [public] as in the wire contract."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

CODES = Path(__file__).parent.parent / "data" / "species-breed-codes.csv"

# Out: CANINE, FELINE public; EQUINE assumed. In also the words that people type.
SPECIES_OUT = {"dog": "CANINE", "cat": "FELINE", "horse": "EQUINE"}
SPECIES_IN = {
    "canine": "dog",
    "dog": "dog",
    "feline": "cat",
    "cat": "cat",
    "equine": "horse",
    "horse": "horse",
}
SEX_IN = {
    "m": "M",
    "cm": "M",
    "mn": "M",
    "male": "M",
    "male neutered": "M",
    "neutered male": "M",
    "castrated": "M",
    "f": "F",
    "sf": "F",
    "fs": "F",
    "female": "F",
    "female spayed": "F",
    "spayed female": "F",
    "spayed": "F",
}
SEX_WORDS = {
    "M": "male",
    "CM": "male neutered",
    "F": "female",
    "SF": "female spayed",
    "U": "sex unknown",
}
STATUS_IN = {
    "": "",
    "preliminary": "preliminary",
    "partial": "preliminary",
    "final": "final",
    "complete": "final",
    "completed": "final",
    "corrected": "corrected",
    "amended": "corrected",
    "cancelled": "cancelled",
    "canceled": "cancelled",
}
RANGE_KIND_IN = {"": "reference", "reference": "reference", "reportable": "measuring"}
VALUE_TYPE_IN = {
    "": "",
    "numeric": "numeric",
    "qualified": "qualified",
    "notreported": "not_reported",
    "text": "text",
    "attachment": "attachment",
}
REASON_IN = {
    "": "",
    "notcalculable": "not_calculable",
    "qualitycontrol": "quality_control",
    "missing": "missing",
}


def words(text: str) -> str:
    return " ".join(text.casefold().split())


def sex_out(sex: str, neutered: bool | None) -> str:
    if sex == "M":
        return "CM" if neutered else "M"
    if sex == "F":
        return "SF" if neutered else "F"
    return "U"


@cache
def breeds() -> dict[tuple[str, str], str]:
    """(species code, breed's name in lower case) -> breed code."""
    with CODES.open(encoding="utf-8", newline="") as file:
        return {
            (row["species_code"], words(_mended(row["pims_name"]))): row["code"]
            for row in csv.DictReader(file)
            if row["type"] == "breed"
        }


def _mended(name: str) -> str:
    """The table's names with accents were read as Windows-1252 once: `LÃ¶wchen` is Löwchen."""
    try:
        return name.encode("cp1252").decode("utf-8")
    except UnicodeError:
        return name


def breed_out(species_code: str, breed: str) -> str | None:
    """Heska's code for a breed by its exact name, `UNK` for an animal without one, None where the
    table does not know it: never the likeliest."""
    if not breed.strip():
        return "UNK"
    return breeds().get((species_code, words(breed)))

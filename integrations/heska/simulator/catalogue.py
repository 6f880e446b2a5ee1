"""What each test measures, on which analyzer, and what is usual for a species (demo ranges)."""

from __future__ import annotations

import csv
import functools
import re
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

CATALOGUE = Path(__file__).resolve().parents[3] / "labs" / "data" / "analyte-catalogue.csv"

SPECIES = ("CANINE", "FELINE", "EQUINE")
_COLUMNS = dict(zip(SPECIES, ("dog", "cat", "horse"), strict=True))
_WORDS = {"DOG": "CANINE", "CAT": "FELINE", "HORSE": "EQUINE"}

# To draw from where the catalogue has no range; such a row is delivered without one. Believable
# only: in the catalogue these are method-specific or uncertain.
_UNRANGED = {
    "PT": "6.7-10.8", "aPTT": "9.0-14.8", "UA": "0.1-0.9", "CRP": "1.0-9.0",
    "pCO2": "33.0-51.0", "pO2": "28.0-50.0", "O2SAT": "50.0-85.0", "BE(ecf)": "-5.0-3.0",
    "HGB-c": "12.0-20.0",
}  # fmt: skip
# An analyzer prints each analyte with a fixed number of decimals, whatever the range says.
_DECIMALS = {
    "pH": 3, "pCO2": 1, "pO2": 1, "O2SAT": 1, "HCO3-act": 1, "cTCO2": 1, "BE(ecf)": 1, "Na+": 0,
    "K+": 1, "Cl-": 0, "Ca++": 2, "AGapK": 0, "Lact": 2, "Glu": 0, "Crea": 2, "Hct": 0,
    "HGB-c": 1, "UPC": 2, "A/G": 2, "Na/K": 1, "NEU%": 1, "LYM%": 1, "MON%": 1, "EOS%": 1,
    "BAS%": 1,
}  # fmt: skip
_NUMBER = r"-?\d+(?:\.\d+)?"
_INTERVAL = re.compile(rf"({_NUMBER})(?:-| to )({_NUMBER})")
_KIDNEY = ("ALB", "GLU", "BUN", "CREA", "BUN/CREA", "PHOS", "Ca", "Na", "K", "Cl", "TP")


@dataclass(frozen=True)
class Range:
    """Low and high as printed (either may be absent) and the whole as printed."""

    low: str | None
    high: str | None
    text: str

    def bounds(self) -> tuple[Decimal, Decimal] | None:
        """Low and high as numbers, an open low taken as zero; None where it is text only."""
        if self.high is None:
            return None
        return Decimal(self.low or "0"), Decimal(self.high)


@dataclass(frozen=True)
class Analyte:
    """One line of the catalogue."""

    panel: str
    code: str
    name: str
    unit: str
    kind: str
    ranges: dict[str, str]
    note: str

    def reference(self, species: str) -> Range | None:
        """The interval that is usual for `species`, if the catalogue has one."""
        text = self.ranges[species]
        return read_range(text) if text else None

    def reportable(self) -> Range | None:
        """The analyzer's measuring range (blood gas only)."""
        _, found, text = self.note.partition("reportable range ")
        return read_range(text) if found else None

    def usual(self, species: str) -> tuple[Decimal, Decimal] | None:
        """What to draw from: this species' range, else what is believable, else the dog's."""
        for text in (self.ranges[species], _UNRANGED.get(self.code), self.ranges["CANINE"]):
            bounds = read_range(text).bounds() if text else None
            if bounds:
                return bounds
        return None

    def decimals(self) -> int:
        """Digits after the point."""
        if self.code in _DECIMALS:
            return _DECIMALS[self.code]
        texts = [*self.ranges.values(), _UNRANGED.get(self.code, "")]
        return max(len(part) for text in texts for part in re.findall(r"\.(\d+)", text) or [""])


@dataclass(frozen=True)
class LabTest:
    """An orderable test: the contract's table "Code tables"."""

    code: str
    name: str
    panel: str
    category: str
    model: str
    serial: str
    sample: str
    only: tuple[str, ...] = ()
    preliminary: bool = False

    def analytes(self, species: str) -> list[Analyte]:
        """Its analytes in the catalogue's order; canine thyrotropin only for dogs."""
        return [
            each
            for each in load_catalogue()
            if each.panel == self.panel
            and (not self.only or each.code in self.only)
            and (each.code != "cTSH" or species == "CANINE")
        ]


_PLASMA = "Lithium heparin plasma"
TESTS = {
    test.code: test
    for test in (
        LabTest("HHEM-1", "CBC", "CBC", "Hematology", "Element HT5", "HT5", "EDTA whole blood"),
        LabTest("HDC-1", "Comprehensive Chemistry", "Chemistry", "Chemistry", "Element DCX", "DCX",
             _PLASMA, preliminary=True),
        LabTest("HDC-3", "Kidney Panel", "Chemistry", "Chemistry", "Element DCX", "DCX",
             _PLASMA, only=_KIDNEY, preliminary=True),
        LabTest("HTR-1", "Heartworm antigen", "Rapid", "Rapid", "TruRapid", "TR",
             "EDTA whole blood"),
        LabTest("HPOC-1", "Blood gas, electrolytes, metabolic", "Blood gas", "Blood gas",
             "Element POC", "EPOC", "Lithium heparin whole blood"),
        LabTest("HIP-1", "Thyroid", "Endocrine", "Endocrine", "Element i+", "EIP", "Serum",
             only=("TT4", "cTSH")),
        LabTest("HCOAG-1", "PT, aPTT", "Coagulation", "Coagulation", "Element COAG", "COAG",
             "Citrated whole blood", only=("PT", "aPTT")),
        LabTest("HAIM-1", "Urinalysis", "Urinalysis", "Urinalysis", "Element AIM", "AIM", "Urine"),
    )
}  # fmt: skip


@functools.cache
def load_catalogue() -> tuple[Analyte, ...]:
    """All analytes, in the file's order."""
    with CATALOGUE.open(encoding="utf-8-sig", newline="") as lines:
        return tuple(
            Analyte(
                panel=row["panel"],
                code=row["code"],
                name=row["name"],
                unit=row["unit"],
                kind=row["kind"],
                ranges={species: row[column] for species, column in _COLUMNS.items()},
                note=row["note"],
            )
            for row in csv.DictReader(lines)
        )


def read_range(text: str) -> Range:
    """`4.00-16.53`, `-30 to 30`, `<14.0`; anything else is a range in words."""
    interval = _INTERVAL.fullmatch(text)
    if interval:
        return Range(interval[1], interval[2], text)
    below = re.fullmatch(rf"<({_NUMBER})", text)
    return Range(None, below[1] if below else None, text)


def known_species(text: str) -> str | None:
    """The code that a typed species means: `Canine`, `dog` -> CANINE."""
    word = text.strip().upper()
    word = _WORDS.get(word, word)
    return word if word in SPECIES else None

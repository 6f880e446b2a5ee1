"""Values of whole panels that agree with each other: sums and ratios add up."""

from __future__ import annotations

from decimal import Decimal

from .catalogue import Analyte, LabTest, load_catalogue
from .draw import Draw, fixed

Values = dict[str, Decimal | str]

# A calculated analyte has no value where one of these has none.
CALCULATED_FROM = {
    "NEU%": ("WBC",), "LYM%": ("WBC",), "MON%": ("WBC",), "EOS%": ("WBC",), "BAS%": ("WBC",),
    "NEU#": ("WBC",), "LYM#": ("WBC",), "MON#": ("WBC",), "EOS#": ("WBC",), "BAS#": ("WBC",),
    "HCT": ("RBC", "MCV"), "MCH": ("HGB", "RBC"), "MCHC": ("HGB", "HCT"), "MPV": ("PLT",),
    "GLOB": ("TP", "ALB"), "A/G": ("ALB", "GLOB"), "BUN/CREA": ("BUN", "CREA"), "Na/K": ("Na", "K"),
    "HCO3-act": ("pH", "pCO2"), "cTCO2": ("HCO3-act",), "BE(ecf)": ("HCO3-act",), "O2SAT": ("pO2",),
    "AGapK": ("Na+", "K+", "Cl-", "HCO3-act"), "HGB-c": ("Hct",),
}  # fmt: skip

_TEXTS: dict[
    str, tuple[tuple[str, ...], tuple[str, ...]]
] = {  # what is normal first, then what is not
    "U-COL": (("YELLOW", "PALE YELLOW"), ("AMBER", "RED")),
    "U-APP": (("CLEAR",), ("HAZY", "CLOUDY")),
    "U-BACT": (("NONE SEEN",), ("COCCI 1+", "RODS 2+", "RODS 3+")),
    "U-CAST": (("NONE SEEN", "HYALINE 0-3"), ("GRANULAR 4-10",)),
    "U-TREP": (("NONE SEEN", "0-1"), ("2-5",)),
    "U-UBG": (("NORMAL",), ("1+", "2+")),
    "HWAG": (("NEGATIVE",), ("POSITIVE",)),
    "semi": (("NEG",), ("TRACE", "1+", "2+", "3+")),
    "count": (("NONE SEEN", "0-3"), ("4-10", "11-20")),
}


def panel_values(test: LabTest, species: str, draw: Draw) -> Values:
    """The values of a test's whole panel by analyte code: numbers, or words."""
    analytes = {each.code: each for each in load_catalogue() if each.panel == test.panel}
    values: Values = {}
    for code, analyte in analytes.items():
        if analyte.kind == "num":
            usual = analyte.usual(species)
            if usual:
                values[code] = draw.number(code, *usual, analyte.decimals())
        elif analyte.kind != "image":
            values[code] = _words(analyte, draw)
    _agree(test.panel, analytes, values, draw)
    return values


def is_abnormal_text(code: str, kind: str, text: str) -> bool:
    """Whether words of `panel_values` are not the normal ones."""
    return text in _words_of(code, kind)[1]


def other_text(code: str, kind: str, text: str) -> str:
    """Words that the same analyte could show instead."""
    normal, abnormal = _words_of(code, kind)
    return normal[0] if text in abnormal else abnormal[0]


def _words_of(code: str, kind: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return _TEXTS[code] if code in _TEXTS else _TEXTS.get(kind, (("NEGATIVE",), ("POSITIVE",)))


def _words(analyte: Analyte, draw: Draw) -> str:
    normal, abnormal = _words_of(analyte.code, analyte.kind)
    return draw.chance.choice(abnormal if draw.often(0.1) else normal)


def _agree(panel: str, analytes: dict[str, Analyte], values: Values, draw: Draw) -> None:
    numbers = {code: value for code, value in values.items() if isinstance(value, Decimal)}
    if panel == "CBC":
        calculated = _white_cells(numbers) | _red_cells(numbers)
    elif panel == "Chemistry":
        calculated = _chemistry(numbers)
    elif panel == "Blood gas":
        calculated = _blood_gas(numbers)
    elif panel == "Urinalysis":
        calculated = {"U-pH": round(numbers["U-pH"] * 2) / Decimal(2)}  # a strip reads half steps
    else:
        calculated = {}
    for code, value in calculated.items():
        values[code] = fixed(value, analytes[code].decimals())


def _white_cells(numbers: dict[str, Decimal]) -> dict[str, Decimal]:
    kinds = ("NEU", "LYM", "MON", "EOS", "BAS")
    total = sum((numbers[f"{kind}#"] for kind in kinds), Decimal())
    percent = {f"{kind}%": fixed(numbers[f"{kind}#"] * 100 / total, 1) for kind in kinds}
    largest = max(percent, key=lambda code: percent[code])
    percent[largest] += 100 - sum(percent.values())
    return {"WBC": total} | percent


def _red_cells(numbers: dict[str, Decimal]) -> dict[str, Decimal]:
    red = numbers["HCT"] * 10 / numbers["MCV"]
    hemoglobin = numbers["HCT"] * numbers["MCHC"] / 100
    return {"RBC": red, "HGB": hemoglobin, "MCH": hemoglobin * 10 / red}


def _chemistry(numbers: dict[str, Decimal]) -> dict[str, Decimal]:
    albumin, globulin = numbers["ALB"], numbers["GLOB"]
    return {
        "TP": albumin + globulin,
        "A/G": albumin / globulin,
        "BUN/CREA": numbers["BUN"] / numbers["CREA"],
        "Na/K": numbers["Na"] / numbers["K"],
        "DBIL": min(numbers["DBIL"], numbers["TBIL"]),
    }


def _blood_gas(numbers: dict[str, Decimal]) -> dict[str, Decimal]:
    """Henderson-Hasselbalch for pCO2, Siggaard-Andersen for base excess, Hill for saturation."""
    bicarbonate = numbers["HCO3-act"]
    dissolved = bicarbonate / Decimal(10) ** (numbers["pH"] - Decimal("6.1"))
    oxygen = float(numbers["pO2"])
    return {
        "pCO2": dissolved / Decimal("0.0307"),
        "cTCO2": bicarbonate + dissolved,
        "BE(ecf)": bicarbonate
        - Decimal("24.8")
        + Decimal("16.2") * (numbers["pH"] - Decimal("7.4")),
        "O2SAT": Decimal(100 / (1 + (30 / oxygen) ** 2.7)),
        "AGapK": numbers["Na+"] + numbers["K+"] - numbers["Cl-"] - bicarbonate,
        "HGB-c": numbers["Hct"] / Decimal("2.94"),
    }

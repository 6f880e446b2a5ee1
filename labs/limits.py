"""Critical limits: which one a value is held against, and what no person may overlook. Pure.

What the analyzer says comes first: its own critical flag, then critical limits that it sent with
the value. Only then the clinic's limits, or the demo ones where it has set none. A limit is only
ever held against the unit that it was written in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from labs.values import same_unit

CRITICAL = ("LL", "HH")


class Source:
    """Whose limits a value was held against. NONE: nobody has any for this analyte and species.
    OPEN: there are some, and they could not be used, so nothing was said of it."""

    NONE, DELIVERED, CLINIC, DEMO, OPEN = "", "delivered", "clinic", "demo", "open"


class Limit(NamedTuple):
    """Of one analyte. `low` and `high` are canonical decimal text or empty; a clinic's limit that
    has neither switches a demo one off."""

    species: str
    unit: str
    low: str
    high: str
    source: str


class Held(NamedTuple):
    """What a value is held against, and where it is not although it should, why."""

    low: str = ""
    high: str = ""
    source: str = Source.NONE
    warning: str = ""


def held_against(
    limits: Sequence[Limit], species: str, unit: str, *, readable: bool, low: str, high: str
) -> Held:
    """`limits` of the analyte, of every species; `low` and `high` as delivered with the value;
    `readable`: whether the value is a number at all, or none was to be expected of it."""
    if low or high:
        return Held(low, high, Source.DELIVERED)
    if not limits:
        return Held()
    if not species:
        return Held("", "", Source.OPEN, _open("the species is not known"))
    own = [limit for limit in limits if limit.species == species]
    if not own:
        return Held()
    fits = [limit for limit in own if same_unit(limit.unit, unit)]
    # The clinic's own beats the demo one of the same unit.
    fits.sort(key=lambda limit: limit.source != Source.CLINIC)
    if not fits:
        if not any(limit.low or limit.high for limit in own):
            return Held()
        units = " or ".join(sorted({limit.unit or "no unit" for limit in own}))
        return Held("", "", Source.OPEN, _open(f"they are in {units}"))
    first = fits[0]
    if not (first.low or first.high):
        return Held()
    if not readable:
        return Held("", "", Source.OPEN, _open("this is not surely a number"))
    return Held(first.low, first.high, first.source)


NOT_ASSESSED = "Not assessed against critical limits: "


def _open(why: str) -> str:
    return f"{NOT_ASSESSED}{why}. Look at it."


def alarming(row: Mapping[str, Any]) -> str:
    """Why a person has to acknowledge this value: critical, beyond, quality_control, or "".

    `row`: the columns of an observation. Beyond is what lies outside a measuring range; of a value
    with a reference interval only where it may lie beyond a critical limit, too, and is not within
    all the same: `<0.1` of bilirubin wakes nobody, nor `<0.2` of creatinine, which has no low one.
    Failed quality control only where somebody has critical limits for it.
    """
    if row["flag_delivered"] in CRITICAL or row["flag_computed"] in CRITICAL:
        return "critical"
    vital = row["critical_source"] != Source.NONE
    if row["not_reported_reason"]:
        failed = row["not_reported_reason"] == "quality_control"
        return "quality_control" if failed and vital else ""
    if not row["number"]:
        return ""
    if row["range_kind"] == "measuring":
        return "beyond" if row["qualifier"] or _outside(row) else ""
    if not row["qualifier"] or (row["flag_delivered"] or row["flag_computed"]) == "N":
        return ""
    end = row["critical_low"] if row["qualifier"] in ("<", "<=") else row["critical_high"]
    return "beyond" if end or row["critical_source"] == Source.OPEN else ""


def _outside(row: Mapping[str, Any]) -> bool:
    number = Decimal(row["number"])
    return bool(
        (row["low"] and number < Decimal(row["low"]))
        or (row["high"] and number > Decimal(row["high"]))
    )

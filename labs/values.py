"""Reads values as analyzers print them. The text stays; a number is only ever derived, and what is
not surely a number is never guessed (contract, "Reading values")."""

from __future__ import annotations

import html
import re
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

MAX_NUMBER_TEXT = 64
# The contract names 1e400 as text: an exponent must stay below it.
MAX_EXPONENT = 399

NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,6})?", re.ASCII)
QUALIFIED = re.compile(r"(<=|>=|<|>|≤|≥)\s*(.+)", re.DOTALL)
INTERVAL = re.compile(r"(\d+(?:\.\d+)?)\s*-\s*(\d+(?:\.\d+)?)", re.ASCII)
RANGE = re.compile(rf"({NUMBER.pattern})\s*-\s*({NUMBER.pattern})", re.ASCII)
COMMA_NUMBER = re.compile(r"[<>≤≥=\s+-]*\d+(?:,\d+)+(?:\.\d+)?", re.ASCII)
NOT_CALCULABLE = re.compile(r"\*{2,}|-{2,}|cnc", re.IGNORECASE)
QUALITY_CONTROL = re.compile(r"failed\s+i?qc", re.IGNORECASE)
ORDERED = re.compile(r"[1-9]?\+{1,4}|\+/-", re.ASCII)  # 1+, +++: a category of a dipstick
UNIT_SIGNS = str.maketrans({"µ": "u", "μ": "u", "³": "^3", "⁶": "^6", "⁹": "^9", "×": "", "*": "^"})
SIGNS = {"≤": "<=", "≥": ">="}


class Value(NamedTuple):
    """kind: number, qualified, interval, text, missing or attachment. `number` is canonical decimal
    text or empty. `not_reported`: "", missing, not_calculable or quality_control."""

    text: str
    kind: str
    number: str = ""
    qualifier: str = ""
    not_reported: str = ""
    warnings: tuple[str, ...] = ()


def read_number(text: str) -> Decimal | None:
    """The decimal that a text surely is, else None: `6,62`, `١٢`, `1e999` and `true` are none."""
    text = text.strip()
    if len(text) > MAX_NUMBER_TEXT or not NUMBER.fullmatch(text):
        return None
    number = Decimal(text)
    exponent = number.adjusted()
    return number if abs(exponent) <= MAX_EXPONENT else None


def canonical(number: Decimal) -> str:
    """`9.0` stays `9.0`, `1e3` becomes `1000`: plain digits, no precision lost or invented. Far
    exponents stay as exponents."""
    return f"{number:f}" if abs(number.adjusted()) <= 30 else str(number)


def read_value(text: str | None, *, literal: bool = True, reason: str = "") -> Value:
    """Read a delivered value. `literal` false: it was true, an object or a list. `reason` is the
    not-reported reason that the sender gave beside it, already in our words."""
    if text is None or not text.strip():
        return Value(text=text or "", kind="missing", not_reported=reason or "missing")
    if not literal:
        return Value(
            text=text,
            kind="text",
            warnings=("This is no value that an analyzer prints.",),
        )
    shown = html.unescape(text) if "&" in text else text
    bare = shown.strip()
    if reason and (read_number(bare) is not None or QUALIFIED.fullmatch(bare)):
        # The sender itself says that this was not reported: no 0.00 is made of it.
        return Value(text=text, kind="missing", not_reported=reason)
    if NOT_CALCULABLE.fullmatch(bare):
        return Value(text=text, kind="missing", not_reported=reason or "not_calculable")
    if QUALITY_CONTROL.fullmatch(bare):
        return Value(text=text, kind="missing", not_reported="quality_control")
    number = read_number(bare)
    if number is not None:
        return Value(text=text, kind="number", number=canonical(number))
    if qualified := QUALIFIED.fullmatch(bare):
        number = read_number(qualified[2])
        if number is not None:
            sign = SIGNS.get(qualified[1], qualified[1])
            return Value(text=text, kind="qualified", number=canonical(number), qualifier=sign)
    if INTERVAL.fullmatch(bare):
        return Value(text=text, kind="interval")
    if ORDERED.fullmatch(bare):
        return Value(text=text, kind="text")
    if COMMA_NUMBER.fullmatch(bare):
        return Value(
            text=text,
            kind="text",
            warnings=("A comma may mean a decimal point or thousands.",),
        )
    if NUMBER.match(bare) or bare.lower() in (
        "nan",
        "infinity",
        "-infinity",
        "inf",
        "-inf",
    ):
        return Value(text=text, kind="text", warnings=("This is not surely a number.",))
    if reason:
        return Value(text=text, kind="missing", not_reported=reason)
    return Value(text=text, kind="text")


class Range(NamedTuple):
    """`low` and `high` are canonical decimal text or empty."""

    low: str = ""
    high: str = ""
    text: str = ""
    warnings: tuple[str, ...] = ()


def read_range(low: str, high: str, text: str) -> Range:
    """A range from its two ends where they are given, else from its text. Low above high, and what
    is not surely a range, stays text with a warning."""
    # An analyzer sends the same few ranges with every sample; what is longer is not remembered.
    if len(low) + len(high) + len(text) > MAX_NUMBER_TEXT:
        return _read_range.__wrapped__(low, high, text)
    return _read_range(low, high, text)


@lru_cache(maxsize=2048)
def _read_range(low: str, high: str, text: str) -> Range:
    if low.strip() or high.strip():
        ends = [read_number(end) if end.strip() else None for end in (low, high)]
        shown = text or f"{low.strip()} - {high.strip()}"
        if any(given.strip() and end is None for given, end in zip((low, high), ends, strict=True)):
            return Range(text=shown, warnings=("The range could not be read.",))
    elif not text.strip():
        return Range()
    else:
        shown = bare = html.unescape(text).strip()
        if both := RANGE.fullmatch(bare):
            ends = [read_number(both[1]), read_number(both[2])]
            if None in ends:
                return Range(text=text, warnings=("The range could not be read.",))
        elif (one := QUALIFIED.fullmatch(bare)) and (end := read_number(one[2])) is not None:
            ends = [None, end] if one[1] in ("<", "<=", "≤") else [end, None]
        else:
            return Range(text=text, warnings=("The range could not be read.",))
    lowest, highest = ends
    if lowest is not None and highest is not None and lowest > highest:
        return Range(text=shown, warnings=("The range's low end is above its high end.",))
    return Range(
        low="" if lowest is None else canonical(lowest),
        high="" if highest is None else canonical(highest),
        text=shown,
    )


DELIVERED_FLAGS = {
    "N": "N",
    "L": "L",
    "H": "H",
    "LL": "LL",
    "HH": "HH",
    "A": "A",
    "*": "A",
    "P": "P",
    "": "",
}


def read_flag(text: str) -> str:
    """One of Flag. What the table does not name is `?`, unknown, and never taken for normal."""
    return DELIVERED_FLAGS.get(text.strip().upper(), "?")


def compute_flag(
    value: Value,
    bounds: Range,
    range_kind: str,
    critical_low: str = "",
    critical_high: str = "",
) -> str:
    """Our own flag, or "" where nothing can safely be said: no number, no range that is known to
    be a reference interval (a measuring range is none), or a qualifier that leaves it open (`<10`
    against 4-16).

    `<2` against 126-660 is low: every value that it may stand for is. A critical limit beats.
    """
    if not value.number:
        return ""
    number = Decimal(value.number)
    below = value.qualifier in ("<", "<=")
    above = value.qualifier in (">", ">=")
    if critical_low and not above and _under(number, Decimal(critical_low), value.qualifier):
        return "LL"
    if critical_high and not below and _over(number, Decimal(critical_high), value.qualifier):
        return "HH"
    if range_kind != "reference" or not (bounds.low or bounds.high):
        return ""
    if bounds.low and not above and _under(number, Decimal(bounds.low), value.qualifier):
        return "L"
    if bounds.high and not below and _over(number, Decimal(bounds.high), value.qualifier):
        return "H"
    # `<0.5` against `<15` is surely within; against 0.1-15 or a critical limit it may not be.
    if below:
        low_is_open = not bounds.low and not critical_low
        return "N" if low_is_open and number <= Decimal(bounds.high) else ""
    if above:
        high_is_open = not bounds.high and not critical_high
        return "N" if high_is_open and number >= Decimal(bounds.low) else ""
    return "N"


def implausible(value: Value, bounds: Range, range_kind: str) -> bool:
    """More than ten times outside a reference interval: a wrong unit, sample or species, or an
    animal that is very ill. Which of them, nobody here can tell."""
    if not value.number or range_kind != "reference":
        return False
    number = Decimal(value.number)
    above = bounds.high and Decimal(bounds.high) > 0 and number > 10 * Decimal(bounds.high)
    below = bounds.low and Decimal(bounds.low) > 0 and number < Decimal(bounds.low) / 10
    return bool(above or below)


def same_unit(one: str, other: str) -> bool:
    """Whether two units are written alike but for case, spaces and the sign for micro: `10^3/uL` is
    `10³/µL`. Never whether they could be converted."""

    return one == other or _plain_unit(one) == _plain_unit(other)


def _plain_unit(unit: str) -> str:
    return "".join(unit.translate(UNIT_SIGNS).split()).casefold()


def _under(number: Decimal, limit: Decimal, qualifier: str) -> bool:
    return number <= limit if qualifier == "<" else number < limit


def _over(number: Decimal, limit: Decimal, qualifier: str) -> bool:
    return number >= limit if qualifier == ">" else number > limit

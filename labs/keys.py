"""What names, ids and microchips are compared and looked up by. Pure functions."""

from __future__ import annotations

import re
import unicodedata

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


def stored_id(text: str) -> str:
    """What the registry keeps of an id, to find it however it is typed: its number where it is one
    with at most letters before it (`P-00123`, `00123` and `123 ` give `123`), else its key. Two
    ids with the same one are told apart by `id_key`."""
    return digits_of(text) or id_key(text)


def same_id(one: str, other: str) -> bool:
    """Whether two ids are the same, the letters before its number left out of at most one."""
    if is_placeholder(one) or is_placeholder(other):
        return False
    key, other_key = id_key(one), id_key(other)
    if key == other_key:
        return True
    number = digits_of(one)
    bare = number in (key, other_key)
    return bare and len(number) > 1 and number == digits_of(other)


def chip_key(text: str) -> str:
    """A microchip's number without blanks and punctuation; empty for a placeholder."""
    return "" if is_placeholder(text) else "".join(c for c in text.casefold() if c.isalnum())


def phone_key(text: str) -> str:
    """The last ten digits of a phone number without zeros before them: what is left where a
    country's code was typed, or the zero that stands for it, or neither."""
    return "".join(c for c in text if c.isascii() and c.isdigit())[-10:].lstrip("0")


def digits_of(text: str) -> str:
    """The number of an id that is a number with at most letters before it (`P-00123` gives `123`),
    else empty: what an analyzer without a letter keyboard makes of it."""
    found = re.fullmatch(r"[^\d]*?0*(\d+)", text.strip())
    return found[1] if found else ""

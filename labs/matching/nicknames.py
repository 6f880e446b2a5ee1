"""Which names are short or pet forms of one another. The table is our own (labs/data)."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

TABLE = Path(__file__).parent.parent / "data" / "nicknames.csv"


@cache
def _pairs() -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    with TABLE.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            found.setdefault(row["name"], set()).add(row["short"])
            found.setdefault(row["short"], set()).add(row["name"])
    return {name: frozenset(others) for name, others in found.items()}


def of(name: str) -> frozenset[str]:
    """Both ways: `william` gives `bill` and more, `bill` gives `william`. Two short forms of one
    name are no pair."""
    return _pairs().get(name, frozenset())

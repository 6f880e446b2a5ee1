"""Which names are short or pet forms of one another: by a table of our own (labs/data), and by how
English makes them."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

# Josephine, Josie; Barnaby, Barney; Sam, Sammy: the beginning of it and one of these.
ENDINGS = ("y", "ie", "ey", "i", "s")
STEM = 3

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


def stems(name: str) -> set[str]:
    """Beginnings of the names that a pet form so made may stand for: `barney` gives `barn`,
    `sammy` gives `samm` and `sam`."""
    found = {name.removesuffix(end) for end in ENDINGS if name.endswith(end)}
    found |= {stem[:-1] for stem in found if stem[-2:-1] == stem[-1:]}
    return {stem for stem in found if len(stem) >= STEM}

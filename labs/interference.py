"""Which values an index or a remark puts in doubt: hemolysis, lipemia, icterus, clumps, clots.

The table is labs/data/interference.csv. Pure: it marks, and never changes a value or a flag.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

TABLE = Path(__file__).parent / "data" / "interference.csv"
# An index is delivered as a grade: these say that there is none.
NONE_FOUND = {"", "0", "0+", "-", "n", "neg", "negative", "none", "normal", "nil"}


@dataclass(frozen=True, kw_only=True)
class Rule:
    """`marks`: codes of an index, or phrases of a remark, in lower case."""

    source: str
    marks: tuple[str, ...]
    affects: frozenset[str]
    sentence: str


@cache
def rules() -> tuple[Rule, ...]:
    with TABLE.open(encoding="utf-8", newline="") as file:
        return tuple(
            Rule(
                source=row["source"],
                marks=tuple(mark.replace("~", " ").lower() for mark in row["marks"].split()),
                affects=frozenset(row["affects"].split()),
                sentence=row["sentence"],
            )
            for row in csv.DictReader(file)
        )


def doubts(values: Iterable[tuple[str, str]], remarks: Iterable[str]) -> dict[str, list[str]]:
    """Sentences by analyte code for one run. `values`: each row's code and value as delivered;
    `remarks`: all comments of the run and of its rows."""
    graded = {code.lower(): value.strip().lower() for code, value in values}
    said = " \n ".join(remarks).lower()
    found: dict[str, list[str]] = {}
    for rule in rules():
        if rule.source == "index":
            holds = any(graded.get(mark, "") not in NONE_FOUND for mark in rule.marks)
        else:
            holds = any(mark in said and f"no {mark}" not in said for mark in rule.marks)
        if holds:
            for code in rule.affects:
                sentences = found.setdefault(code, [])
                if rule.sentence not in sentences:
                    sentences.append(rule.sentence)
    return found

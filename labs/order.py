"""What we ask a laboratory for, in our own words: what a vendor's wire module writes a body
from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

# A clinic's own codes: (kind, species, folded word) -> the laboratory's code. Kinds: species, breed
# (the only one with a species), sex, test.
Codes = Mapping[tuple[str, str, str], str]


def folded(word: str) -> str:
    """Capitals and blanks make no other word."""
    return " ".join(word.casefold().split())


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A word of the records and the code under which it goes out. `how`: code (the table's own),
    own (this clinic's), substitute (for want of a code of its own; `meaning` says for what), words
    (there is no code: the word itself), missing (nothing is recorded), none (it can't be sent)."""

    kind: str
    word: str
    code: str
    how: str
    meaning: str = ""


@dataclass(frozen=True, kw_only=True)
class OrderedTest:
    test_request_id: str
    code: str
    name: str
    analyzer_model: str
    specimen_type: str


@dataclass(frozen=True, kw_only=True)
class Order:
    """`species` is one of Species, `sex` one of Sex; `neutered` None where unknown."""

    lab_report_id: str
    result_endpoint: str
    clinic_id: str
    requested_at: datetime
    stat: bool
    notes: str
    patient_id: str
    patient_name: str
    species: str
    breed: str
    sex: str
    neutered: bool | None
    birth_date: date | None
    birth_date_estimated: bool
    weight_kg: Decimal | None
    microchip: str
    owner_id: str
    owner_first_name: str
    owner_last_name: str
    doctor: str
    technician: str
    tests: tuple[OrderedTest, ...]
    codes: Codes = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TestOutcome:
    """What the laboratory said of one test when it took the order."""

    __test__ = False

    test_request_id: str
    accepted: bool
    words: str = ""


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """The laboratory's answer to an accepted order. `already_there`: it has it from an earlier
    attempt, and takes nothing of this one."""

    external_id: str = ""
    tests: tuple[TestOutcome, ...] = ()
    note: str = ""
    already_there: bool = False

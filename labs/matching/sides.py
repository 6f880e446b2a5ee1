"""The two sides that are held against each other: an orphan's typed identity, and an animal as the
registry has it. Pure, and quick: an orphan is held against hundreds of animals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from math import log2
from typing import NamedTuple

from labs.matching import hypotheses, reading
from labs.matching.hypotheses import Registry
from labs.matching.weights import AGE_YEARS, ELSEWHERE, ID_M, PATIENT_ID, REQUEST_M, SEEN_M

AGREE, CLOSE, CONFLICT, NOT_GIVEN = "agree", "close", "conflict", "none"
# A sample is run within hours of the visit that it was taken at.
HOURS = timedelta(hours=12)
NEAR_IN_TIME = timedelta(days=1)
# A run is believed to have been at the time it says only between these before its message came.
CLOCK_BEFORE, CLOCK_AFTER = timedelta(days=30), timedelta(hours=2)
SEEN_CAP = 8.0
YEAR = timedelta(days=365.25)


class Judged(NamedTuple):
    """One field: agree, close, conflict or none; the level it reached, its bits, and a note."""

    key: str
    sign: str
    bits: float
    note: str = ""
    level: str = ""


NOTHING = {
    key: Judged(key, NOT_GIVEN, 0.0)
    for key in (
        *("patient_name", "owner", "patient_id", "microchip", "owner_id", "species", "sex"),
        *("breed", "age", "weight", "seen", "tests", "doctor", "deceased"),
    )
}


@dataclass(frozen=True, kw_only=True, slots=True)
class OnFile:
    """An animal as the registry has it. `last_seen` is its visit nearest to the run, `weight_kg`
    its weighing nearest to it, `tests` the share of the orphan's tests that an open request of it
    waits for (None: it has no open request). `name_key` and `surname_key` are plain text."""

    name: str = ""
    patient_id: str = ""
    species: str = ""
    sex: str = "U"
    species_words: str = ""
    sex_words: str = ""
    breed: str = ""
    birth_date: date | None = None
    birth_estimated: bool = False
    age_words: str = ""
    weight_kg: Decimal | None = None
    microchip: str = ""
    deceased: bool = False
    deceased_on: date | None = None
    owner_id: str = ""
    owner_first_name: str = ""
    owner_last_name: str = ""
    last_seen: datetime | None = None
    doctors: tuple[str, ...] = ()
    open_request: bool = False
    tests: float | None = None
    tests_words: str = ""
    key: int = 0
    household: int | None = None
    name_key: str | None = None
    surname_key: str | None = None


def name_key(animal: OnFile) -> str:
    return reading.plain(animal.name) if animal.name_key is None else animal.name_key


def surname_key(animal: OnFile) -> str:
    known = animal.surname_key
    return reading.plain(animal.owner_last_name) if known is None else known


def believed(run_at: datetime | None, came: datetime) -> datetime:
    """When the sample was run: as the analyzer says, where its clock can be right, else when the
    message came (a clock that stands years off is no evidence)."""
    if run_at is not None and came - CLOCK_BEFORE <= run_at <= came + CLOCK_AFTER:
        return run_at
    return came


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What is known beside the orphan and the animals. `seen_share`: which share of the patients
    was here within hours of the run, `day_share` which only within a day; where nobody enters
    visits (`visits_known`) the first is those that anything was requested for within a day;
    `shared_ids`
    are id keys that say nothing, with the reason; `breeds` the laboratory's code of each breed in
    plain text; `aliases` what doctors are called at the analyzers, learned from matches."""

    at: datetime
    visits_known: bool = False
    seen_share: float = 0.0
    day_share: float = 0.0
    shared_ids: Mapping[str, str] = field(default_factory=dict)
    breeds: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, frozenset[str]] = field(default_factory=dict)
    ignored: frozenset[str] = frozenset()
    # Keys of the animals of the requests whose number was typed where the patient id belongs.
    of_request: frozenset[int] = frozenset()


class Orphan:
    """A typed identity made ready to be held against many animals."""

    def __init__(
        self, typed: Mapping[str, object], registry: Registry, around: Surroundings
    ) -> None:
        self.typed = {k: v.strip() for k, v in typed.items() if isinstance(v, str)}
        self.registry, self.around = registry, around
        self.readings = hypotheses.readings_of(self.typed, registry, around.ignored)
        self.today = around.at.date()
        self.chip = reading.chip_key(self.said("microchip"))
        self.months = reading.age_months(self.said("age"))
        self.weight = reading.weight_kg(self.said("weight"), self.said("weight_unit"))
        self.breed = reading.plain(self.said("breed"))
        self.breed_words = set(self.breed.split())
        self.doctor_words = doctor_words(self.said("doctor"))
        total = registry.total + ELSEWHERE
        self.id_bits = min(PATIENT_ID["exact"], log2(ID_M["exact"] * total))
        own = self.said("patient_id")
        self.id_placeholder = bool(own) and reading.is_placeholder(own)
        self.hours_bits, self.day_bits, self.unseen_bits = self._seen_bits()

    def said(self, key: str) -> str:
        return self.typed.get(key, "")

    @cached_property
    def ids(self) -> list[tuple[str, str, str]]:
        """Every text that may be a patient id: the field it was typed in, its key, its number."""
        found = []
        for key in ("patient_id", "patient_name", "owner_id", "owner_last_name", "microchip"):
            text = self.said(key)
            if key != "patient_id" and not any(c.isdigit() for c in text):
                continue
            if not reading.is_placeholder(text):
                found.append((key, reading.id_key(text), reading.digits_of(text)))
        return found

    @cached_property
    def birth_date(self) -> date | None:
        try:
            return date.fromisoformat(self.said("birth_date")[:10])
        except ValueError:
            return None

    def born_between(self) -> tuple[date, date] | None:
        """When it was born, by what was typed of its birth date or age."""
        if self.birth_date is not None:
            return self.birth_date - YEAR, self.birth_date + YEAR
        if self.months is None:
            return None
        born = self.today - timedelta(days=self.months * 30.44)
        return born - AGE_YEARS["agrees"] * YEAR, born + AGE_YEARS["agrees"] * YEAR

    @property
    def named(self) -> bool:
        """Whether anything that names an animal was typed: a name, an owner, an id or a chip."""
        ways = any(way.names or way.surnames for way in self.readings)
        return ways or bool(self.ids) or bool(self.chip)

    def _seen_bits(self) -> tuple[float, float, float]:
        """For an animal that was here within hours of the run, within a day, and not."""
        around = self.around
        if not around.visits_known:
            here, unseen = _bits(REQUEST_M, around.seen_share)
            return here, here, unseen
        here, _ = _bits(SEEN_M["hours"], around.seen_share)
        day, _ = _bits(SEEN_M["day"], around.day_share)
        share = min(0.99, around.seen_share + around.day_share)
        return here, day, log2((1 - SEEN_M["hours"] - SEEN_M["day"]) / (1 - share))


def doctor_words(text: str) -> frozenset[str]:
    return frozenset(reading.plain(text).split()) - {"dr", "dvm", "vet", "vmd", "doctor"}


def _bits(often: float, share: float) -> tuple[float, float]:
    """For and against; nothing where nobody or everybody was here."""
    if not 0 < share < 1:
        return 0.0, 0.0
    here = min(SEEN_CAP, max(0.0, log2(often / share)))
    return here, log2((1 - often) / (1 - share)) if here else 0.0

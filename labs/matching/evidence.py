"""What each field says for and against one animal, in bits (log2 of how much likelier it looks so
where it is the right one). Pure, and quick: an orphan is held against hundreds of animals.

What is absent on either side is never evidence, and neither is a placeholder or a shared id.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from math import log2
from typing import NamedTuple

from rapidfuzz.distance import OSA

from labs.matching import hypotheses, reading
from labs.matching.hypotheses import Reading, Registry
from labs.matching.names import CUT, DIFFERS, EXACT, NEAR, NICKNAME, PART, WEAK
from labs.matching.weights import (
    AGE,
    AGE_YEARS,
    BIRTH,
    BREED,
    DECEASED,
    DOCTOR,
    ELSEWHERE,
    ID_M,
    LAST_SEEN,
    MICROCHIP,
    OWNER_ID,
    PATIENT_ID,
    REQUEST_M,
    SEEN_M,
    SEX,
    SPECIES,
    TESTS,
    WEIGHT,
    WEIGHT_TIMES,
)

AGREE, CLOSE, CONFLICT, NOT_GIVEN = "agree", "close", "conflict", "none"
NAME_SIGNS = {EXACT: AGREE, DIFFERS: CONFLICT}
NAME_NOTES = {
    EXACT: "",
    NEAR: "nearly the same",
    CUT: "cut short",
    PART: "one part",
    NICKNAME: "short form",
    WEAK: "alike",
    DIFFERS: "differs",
}
MIXED = frozenset({"mix", "mixed", "cross", "crossbreed", "crossbred", "unknown", "other", "unk"})
NEAR_IN_TIME = timedelta(days=1)
# A sample is run within hours of the visit that it was taken at.
HOURS = timedelta(hours=12)
# A run is believed to have been at the time it says only between these before its message came.
CLOCK_BEFORE, CLOCK_AFTER = timedelta(days=30), timedelta(hours=2)
SEEN_CAP = 8.0


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


def _bits(often: float, share: float) -> tuple[float, float]:
    """For and against; nothing where nobody or everybody was here."""
    if not 0 < share < 1:
        return 0.0, 0.0
    here = min(SEEN_CAP, max(0.0, log2(often / share)))
    return here, log2((1 - often) / (1 - share)) if here else 0.0


def judge(orphan: Orphan, animal: OnFile) -> tuple[Reading, list[Judged], float]:
    """The best way to read the names, every field's judgement, and the bits of all together."""
    ident, typed_in = _patient_id(orphan, animal)
    way, name, owner, bits = _names(orphan, animal, typed_in)
    judged = [
        name,
        owner,
        ident,
        _microchip(orphan, animal),
        _owner_id(orphan, animal, owner.bits),
        _species(orphan, animal),
        _sex(orphan, animal),
        _breed(orphan, animal),
        _age(orphan, animal),
        _weight(orphan, animal),
        _seen(orphan, animal),
        _tests(animal),
        _doctor(orphan, animal),
    ]
    if animal.deceased:
        judged.append(_deceased(orphan, animal))
    return way, judged, bits + sum(each.bits for each in judged[2:])


def _names(orphan: Orphan, animal: OnFile, typed_in: str) -> tuple[Reading, Judged, Judged, float]:
    name, surname = name_key(animal), surname_key(animal)
    best = None
    for way in orphan.readings:
        if way.key == hypotheses.TYPED and typed_in in ("patient_name", "owner_last_name"):
            # The id stands there, so that name was not typed at all.
            way = _without(way, typed_in)
        name_level = way.names.level(name) if way.names and name else ""
        owner_level = way.surnames.level(surname) if way.surnames and surname else ""
        name_bits = way.names.bits(name_level) if way.names else 0.0
        owner_bits = way.surnames.bits(owner_level) if way.surnames else 0.0
        bits = way.prior + name_bits + owner_bits
        if best is None or bits > best[0]:
            best = bits, way, name_level, owner_level, name_bits, owner_bits
    if best is None:
        raise ValueError("There is always the way as typed.")
    bits, way, name_level, owner_level, name_bits, owner_bits = best
    # What the reading itself costs belongs to the name.
    return (
        way,
        _judged_name("patient_name", name_level, name_bits + way.prior, way),
        _judged_name("owner", owner_level, owner_bits, way),
        bits,
    )


def name_key(animal: OnFile) -> str:
    return reading.plain(animal.name) if animal.name_key is None else animal.name_key


def surname_key(animal: OnFile) -> str:
    known = animal.surname_key
    return reading.plain(animal.owner_last_name) if known is None else known


def _without(way: Reading, typed_in: str) -> Reading:
    name = typed_in != "patient_name"
    return Reading(
        key=hypotheses.ID_AS_NAME,
        name=way.name if name else "",
        surname="" if name else way.surname,
        names=way.names if name else None,
        surnames=None if name else way.surnames,
    )


def _judged_name(key: str, level: str, bits: float, way: Reading) -> Judged:
    if not level:
        note = way.words if way.key == hypotheses.ID_AS_NAME and key == "patient_name" else ""
        return Judged(key, NOT_GIVEN, bits, note)
    sign, note = NAME_SIGNS.get(level, CLOSE), NAME_NOTES[level]
    if way.key != hypotheses.TYPED and level != DIFFERS:
        sign, note = CLOSE, ", ".join(part for part in (note, way.words) if part)
    return Judged(key, sign, bits, note, level)


def _patient_id(orphan: Orphan, animal: OnFile) -> tuple[Judged, str]:
    """And in which field it was typed, where it is this animal's."""
    against = NOTHING["patient_id"]
    if orphan.id_placeholder:
        against = Judged("patient_id", NOT_GIVEN, 0.0, "placeholder, ignored")
    if animal.key in orphan.around.of_request:
        return Judged("patient_id", AGREE, orphan.id_bits, "number of its request", EXACT), ""
    if not orphan.ids or not animal.patient_id:
        return against, ""
    key, number = reading.id_key(animal.patient_id), reading.digits_of(animal.patient_id)
    for typed_in, typed_key, typed_number in orphan.ids:
        note = "" if typed_in == "patient_id" else f"typed as the {TYPED_AS[typed_in]}"
        if typed_key == key:
            why = orphan.around.shared_ids.get(typed_key)
            if why:
                return Judged("patient_id", NOT_GIVEN, 0.0, why), ""
            return Judged("patient_id", AGREE, orphan.id_bits, note, EXACT), typed_in
        bare = typed_key == typed_number or key == number
        if bare and len(number) > 1 and number == typed_number:
            why = orphan.around.shared_ids.get(number)
            if why:
                return Judged("patient_id", NOT_GIVEN, 0.0, why), ""
            words = ", ".join(part for part in ("without its letters", note) if part)
            return Judged("patient_id", CLOSE, orphan.id_bits, words, EXACT), typed_in
        if typed_in != "patient_id":
            continue
        if why := orphan.around.shared_ids.get(typed_key):
            against = Judged("patient_id", NOT_GIVEN, 0.0, why)
        elif _one_off(typed_key, typed_number, key, number):
            bits = log2(max(1.0, ID_M["one_off"] * orphan.registry.total / (10 * len(key))))
            bits = min(PATIENT_ID["one_off"], bits)
            against = Judged("patient_id", CLOSE, bits, "one digit off", NEAR)
        else:
            against = Judged("patient_id", CONFLICT, PATIENT_ID["differs"], "differs", DIFFERS)
    return against, ""


TYPED_AS = {
    "patient_name": "name",
    "owner_id": "owner id",
    "owner_last_name": "owner's name",
    "microchip": "microchip",
}


def _one_off(typed_key: str, typed_number: str, key: str, number: str) -> bool:
    pairs = [(typed_key, key)]
    if typed_number and number and typed_key == typed_number:
        pairs.append((typed_number, number))
    return any(
        len(one) >= 4 and OSA.distance(one, other, score_cutoff=1) <= 1 for one, other in pairs
    )


def _microchip(orphan: Orphan, animal: OnFile) -> Judged:
    chip = orphan.chip
    if not animal.microchip or not (chip or orphan.ids):
        return NOTHING["microchip"]
    on_file = reading.chip_key(animal.microchip)
    if not chip:
        # A chip is scanned into whichever field has the cursor.
        for _, typed_key, _ in orphan.ids:
            if on_file and len(on_file) >= 9 and typed_key == on_file:
                return Judged("microchip", AGREE, MICROCHIP["exact"], "typed as the id", EXACT)
        return NOTHING["microchip"]
    if chip == on_file and chip not in orphan.around.shared_ids:
        return Judged("microchip", AGREE, MICROCHIP["exact"], "", EXACT)
    if chip == on_file:
        why = orphan.around.shared_ids[chip]
        return Judged("microchip", NOT_GIVEN, 0.0, why)
    if len(chip) < 9 or len(on_file) < 9:
        return Judged("microchip", NOT_GIVEN, 0.0, "only part of it")
    return Judged("microchip", CONFLICT, MICROCHIP["differs"], "differs", DIFFERS)


def _owner_id(orphan: Orphan, animal: OnFile, surname_bits: float) -> Judged:
    typed = orphan.said("owner_id")
    if not typed or not animal.owner_id:
        return NOTHING["owner_id"]
    if reading.is_placeholder(typed):
        return Judged("owner_id", NOT_GIVEN, 0.0, "placeholder, ignored")
    if reading.same_id(typed, animal.owner_id):
        # It says of the surname what the surname says already.
        bits = max(0.0, OWNER_ID["exact"] - max(0.0, surname_bits))
        return Judged("owner_id", AGREE, bits, "", EXACT)
    if any(typed_in == "owner_id" for typed_in, _, _ in orphan.ids) and reading.same_id(
        typed, animal.patient_id
    ):
        return NOTHING["owner_id"]
    return Judged("owner_id", CONFLICT, OWNER_ID["differs"], "differs", DIFFERS)


def _species(orphan: Orphan, animal: OnFile) -> Judged:
    code = orphan.said("species_code")
    if not code or not animal.species:
        note = "not understood" if orphan.said("species") and not code else ""
        return Judged("species", NOT_GIVEN, 0.0, note)
    if code != animal.species:
        return Judged("species", CONFLICT, SPECIES["differs"], "differs", DIFFERS)
    count = orphan.registry.species.get(code, 0) + ELSEWHERE / 2
    bits = log2(SPECIES["m"] * (orphan.registry.total + ELSEWHERE) / count)
    return Judged("species", AGREE, max(0.0, bits), "", EXACT)


def _sex(orphan: Orphan, animal: OnFile) -> Judged:
    code = orphan.said("sex_code")
    if code not in ("M", "F") or animal.sex not in ("M", "F"):
        return NOTHING["sex"]
    if code == animal.sex:
        return Judged("sex", AGREE, SEX["agrees"], "", EXACT)
    return Judged("sex", CONFLICT, SEX["differs"], "differs", DIFFERS)


def _breed(orphan: Orphan, animal: OnFile) -> Judged:
    if not orphan.breed or not animal.breed:
        return NOTHING["breed"]
    breeds = orphan.around.breeds
    on_file = reading.plain(animal.breed)
    words = set(on_file.split())
    if (orphan.breed_words | words) & MIXED:
        return NOTHING["breed"]
    one, other = breeds.get(orphan.breed, ""), breeds.get(on_file, "")
    if orphan.breed == on_file or (one and one == other):
        count = orphan.registry.breeds.get(on_file, 0) + 1
        bits = log2(BREED["m"] * (orphan.registry.total + ELSEWHERE) / count)
        bits = min(BREED["cap"], max(0.0, bits))
        return Judged("breed", AGREE, bits, "", EXACT)
    if orphan.breed_words & words:
        return Judged("breed", CLOSE, 0.0, "one part", PART)
    return Judged("breed", CONFLICT, BREED["differs"], "differs", DIFFERS)


def _age(orphan: Orphan, animal: OnFile) -> Judged:
    born, months = animal.birth_date, orphan.months
    if born is None:
        return NOTHING["age"]
    if typed := orphan.birth_date:
        if typed == born:
            first = "exact_first" if born.day == 1 else "exact"
            return Judged("age", AGREE, BIRTH[first], "", EXACT)
        if abs((typed - born).days) <= 366:
            return Judged("age", CLOSE, BIRTH["year"], "within a year", NEAR)
        if animal.birth_estimated and abs((typed - born).days) <= 3 * 366:
            return Judged("age", CLOSE, 0.0, "an estimate", NEAR)
        return Judged("age", CONFLICT, BIRTH["differs"], "differs", DIFFERS)
    if orphan.said("birth_date"):
        return Judged("age", NOT_GIVEN, 0.0, "not understood")
    if months is None:
        return NOTHING["age"]
    off = abs(months - (orphan.today - born).days / 30.44) / 12
    if off <= AGE_YEARS["agrees"]:
        return Judged("age", AGREE, AGE["agrees"], "", EXACT)
    if off <= AGE_YEARS["close"]:
        return Judged("age", CLOSE, AGE["close"], f"{off:.0f} years off", NEAR)
    return Judged("age", CONFLICT, AGE["differs"], f"{off:.0f} years off", DIFFERS)


def _weight(orphan: Orphan, animal: OnFile) -> Judged:
    if not orphan.weight or not animal.weight_kg:
        return NOTHING["weight"]
    kg, unit_said = orphan.weight
    times = float(max(kg, animal.weight_kg) / min(kg, animal.weight_kg))
    if times <= WEIGHT_TIMES["agrees"]:
        return Judged("weight", AGREE, WEIGHT["agrees"], "", EXACT)
    if times <= WEIGHT_TIMES["close"]:
        return Judged("weight", CLOSE, WEIGHT["close"], f"{times:.1f} times", NEAR)
    if WEIGHT_TIMES["pounds"] <= times <= WEIGHT_TIMES["pounds_most"]:
        sign = CONFLICT if unit_said else NOT_GIVEN
        return Judged("weight", sign, WEIGHT["unit"], "lb or kg?", "unit")
    sign = CONFLICT if times > 2 else CLOSE
    return Judged("weight", sign, WEIGHT["differs"], f"{times:.1f} times", DIFFERS)


def is_here(animal: OnFile, at: datetime) -> bool:
    """Whether it was here within a day of the run."""
    return animal.last_seen is not None and abs(at - animal.last_seen) <= NEAR_IN_TIME


def _seen(orphan: Orphan, animal: OnFile) -> Judged:
    """Not having been seen is no contradiction: an emergency has no appointment."""
    around = orphan.around
    if animal.last_seen is not None and is_here(animal, around.at):
        if abs(around.at - animal.last_seen) <= HOURS:
            return Judged("seen", AGREE, orphan.hours_bits, "", EXACT)
        return Judged("seen", CLOSE, orphan.day_bits, "", NEAR)
    if around.visits_known or animal.last_seen is None:
        return Judged("seen", NOT_GIVEN, orphan.unseen_bits)
    days = abs((around.at - animal.last_seen).days)
    bits = next((bits for most, bits in LAST_SEEN if days <= most), LAST_SEEN[-1][1])
    return Judged("seen", NOT_GIVEN, bits)


def _tests(animal: OnFile) -> Judged:
    if animal.tests is None:
        return NOTHING["tests"]
    if animal.tests >= 1:
        return Judged("tests", AGREE, TESTS["all"], "", EXACT)
    if animal.tests > 0.3:
        return Judged("tests", CLOSE, TESTS["some"], "some of them", PART)
    return Judged("tests", NOT_GIVEN, TESTS["none"], "other tests", DIFFERS)


def doctor_words(text: str) -> frozenset[str]:
    return frozenset(reading.plain(text).split()) - {"dr", "dvm", "vet", "vmd", "doctor"}


def _doctor(orphan: Orphan, animal: OnFile) -> Judged:
    words = orphan.doctor_words
    if not words or not animal.doctors:
        return NOTHING["doctor"]
    known = [doctor_words(name) for name in animal.doctors]
    if any(words & each for each in known):
        return Judged("doctor", AGREE, DOCTOR["agrees"], "", EXACT)
    alias = orphan.around.aliases.get(reading.plain(orphan.said("doctor")), frozenset())
    if any(alias and alias <= each for each in known):
        return Judged("doctor", AGREE, DOCTOR["agrees"], "so called at the analyzer", EXACT)
    return Judged("doctor", CONFLICT, DOCTOR["differs"], "another", DIFFERS)


def _deceased(orphan: Orphan, animal: OnFile) -> Judged:
    day = animal.deceased_on
    if day is None or day < orphan.today:
        return Judged("deceased", CONFLICT, DECEASED, "", DIFFERS)
    return NOTHING["deceased"]


ENOUGH = 2


def learn_aliases(pairs: Iterable[tuple[str, str]]) -> dict[str, frozenset[str]]:
    """What doctors are called at the analyzers: of what was typed and whom the matched animal's
    visit was with, in past matches. A name is learned from two matches that agree and are most."""
    counts: dict[str, dict[frozenset[str], int]] = {}
    for typed, on_file in pairs:
        key, words = reading.plain(typed), doctor_words(on_file)
        if key and words:
            counts.setdefault(key, {})[words] = counts.get(key, {}).get(words, 0) + 1
    learned = {}
    for key, found in counts.items():
        words, count = max(found.items(), key=lambda item: item[1])
        if count >= ENOUGH and count * 2 > sum(found.values()):
            learned[key] = words
    return learned

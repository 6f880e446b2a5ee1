"""A made-up clinic's registry with real frequencies of names. Knows nothing of the scorer, and the
scorer nothing of it. The rates were set before anything was measured, and stay (RATES)."""

from __future__ import annotations

import csv
import itertools
import random
from bisect import bisect
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path

DATA = Path(__file__).parent / "data"
RATES = {
    "cat": 0.38,
    "other": 0.04,
    "one_pet": 0.62,
    "deceased": 0.07,
    "same_name_in_household": 0.008,
    "double_surname": 0.03,
    "chipped": 0.60,
    "seen_each_day": 0.005,
    "open_request": 0.25,
    "held_out": 0.03,
    "rare_name": 0.12,
    "rare_surname": 0.22,
    "first_of_month": 0.21,
    "birth_known": 0.85,
    "sex_known": 0.97,
    "mix": 0.25,
}
DOCTORS = 9
STAGED_BEFORE = timedelta(days=20)
CATS = ("Domestic Shorthair", "Domestic Longhair", "Siamese", "Burmese", "Ragdoll", "Birman")


@dataclass(slots=True)
class Owner:
    number: int
    surname: str
    pets: list[Animal] = field(default_factory=list)


@dataclass(slots=True)
class Animal:
    number: int
    name: str
    owner: Owner
    species: str
    sex: str
    breed: str
    born: date | None
    kg: float
    chip: str
    deceased: date | None = None
    held_out: bool = False
    seen: datetime | None = None
    doctor: str = ""
    requested: bool = False

    @property
    def patient_id(self) -> str:
        return f"P-{self.number:06d}"


@dataclass(slots=True)
class Clinic:
    day: datetime
    animals: list[Animal]
    doctors: list[str]
    here: list[Animal]
    # Of the day before and the day after: neither of them is what was run.
    around: list[tuple[Animal, datetime]]
    # Some days before, so that the ordinary day stays as the rates make it: twins of whom one was
    # here, and namesakes of other owners who were both here. For the suites that try to fool.
    staged: datetime
    staged_twins: list[Animal] = field(default_factory=list)
    staged_namesakes: list[tuple[Animal, Animal]] = field(default_factory=list)
    staged_here: list[tuple[Animal, datetime]] = field(default_factory=list)


class Draw:
    """Draws from weighted values."""

    def __init__(self, rows: list[tuple[str, float]]) -> None:
        self.values = [value for value, _ in rows]
        self.sums = list(itertools.accumulate(weight for _, weight in rows))

    def one(self, rng: random.Random) -> str:
        return self.values[bisect(self.sums, rng.random() * self.sums[-1])]


@cache
def draws(name: str) -> Draw:
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        rows = [(row[0], float(row[1])) for row in itertools.islice(csv.reader(file), 1, None)]
    return Draw([row for row in rows if row[0] != "total"])


def make(animals: int, seed: int, day: datetime) -> Clinic:
    """So many animals, those held out included, on that day."""
    rng = random.Random(seed)
    doctors = [draws("us_surnames_1990.csv").one(rng) for _ in range(DOCTORS)]
    made: list[Animal] = []
    for number in itertools.count(1):
        owner = Owner(number, _surname(rng))
        pets = 1 if rng.random() < RATES["one_pet"] else rng.choice((2, 2, 2, 2, 3, 3, 4, 5))
        for _ in range(min(pets, animals - len(made))):
            made.append(_animal(rng, len(made) + 1, owner, day.date()))
        if len(made) >= animals:
            break
    living = [animal for animal in made if not animal.deceased]
    for animal in rng.sample(living, int(len(living) * RATES["held_out"])):
        animal.held_out = True
    here = rng.sample(living, max(8, int(len(living) * RATES["seen_each_day"])))
    for animal in here:
        animal.seen = day - timedelta(minutes=rng.randrange(5, 360))
        animal.doctor = rng.choice(doctors)
        animal.requested = rng.random() < RATES["open_request"]
    others = [animal for animal in rng.sample(living, 2 * len(here)) if animal.seen is None]
    around = [
        (animal, day + timedelta(hours=rng.uniform(14, 23)) * rng.choice((-1, 1)))
        for animal in others
    ]
    clinic = Clinic(day, made, doctors, here, around, day - STAGED_BEFORE)
    _stage(clinic, random.Random(seed + 1))
    return clinic


def _stage(clinic: Clinic, rng: random.Random) -> None:
    """One in 500 animals is a twin that is here, one in 250 one of two namesakes that both are, and
    about as many others as on any day."""
    known = [a for a in clinic.animals if not a.deceased and not a.held_out]
    count = max(20, len(clinic.animals) // 500)
    pairs = [(a, b) for each in _alike(known, twins=True) for a, b in itertools.pairwise(each)]
    clinic.staged_twins = [pair[0] for pair in rng.sample(pairs, min(count, len(pairs)))]
    pairs = [
        (a, b)
        for each in _alike(known, twins=False)
        for a, b in zip(each[::2], each[1::2], strict=False)
        if a.owner is not b.owner and a.owner.surname.lower() != b.owner.surname.lower()
    ]
    clinic.staged_namesakes = rng.sample(pairs, min(count, len(pairs)))
    others = rng.sample(known, max(8, int(len(known) * RATES["seen_each_day"])))
    here = {
        animal.number: animal
        for animal in (
            *clinic.staged_twins,
            *itertools.chain.from_iterable(clinic.staged_namesakes),
            *others,
        )
    }
    clinic.staged_here = [
        (animal, clinic.staged - timedelta(minutes=rng.randrange(5, 360)))
        for animal in here.values()
    ]


def _alike(known: list[Animal], *, twins: bool) -> list[list[Animal]]:
    """Those of one name, with one surname or else of one species and sex."""
    groups: dict[tuple[str, ...], list[Animal]] = {}
    for animal in known:
        more = (animal.owner.surname.lower(),) if twins else (animal.species, animal.sex)
        groups.setdefault((animal.name.lower(), *more), []).append(animal)
    return [each for each in groups.values() if len(each) > 1]


def _animal(rng: random.Random, number: int, owner: Owner, today: date) -> Animal:
    name = _name(rng)
    if owner.pets and rng.random() < RATES["same_name_in_household"] / (1 - RATES["one_pet"]):
        name = owner.pets[0].name
    species = "dog"
    if (drawn := rng.random()) < RATES["cat"] + RATES["other"]:
        species = "cat" if drawn < RATES["cat"] else "other"
    age = int(draws("dog_ages_auckland.csv").one(rng)) * 365 + rng.randrange(365)
    born = today - timedelta(days=age + 40)
    if rng.random() < RATES["first_of_month"]:
        born = born.replace(day=1)
    breed = {"cat": rng.choice(CATS), "other": ""}.get(species)
    if breed is None:
        breed = draws("dog_breeds_auckland.csv").one(rng)
    if rng.random() < RATES["mix"]:
        breed = "Mix"
    chipped = rng.random() < RATES["chipped"]
    animal = Animal(
        number=number,
        name=name,
        owner=owner,
        species=species,
        sex=rng.choice("MF") if rng.random() < RATES["sex_known"] else "U",
        breed=breed,
        born=born if rng.random() < RATES["birth_known"] else None,
        kg=round(rng.lognormvariate({"dog": 2.7, "cat": 1.5}.get(species, 0.5), 0.5), 1) + 0.1,
        chip=f"98511{rng.randrange(10**10):010d}" if chipped else "",
    )
    if rng.random() < RATES["deceased"]:
        animal.deceased = today - timedelta(days=rng.randrange(20, 1500))
    owner.pets.append(animal)
    return animal


def _name(rng: random.Random) -> str:
    name = draws("dog_names_auckland.csv").one(rng)
    return _rare(rng, name, "dog_names_auckland.csv") if rng.random() < RATES["rare_name"] else name


def _surname(rng: random.Random) -> str:
    known = "us_surnames_1990.csv"
    name = draws(known).one(rng)
    if rng.random() < RATES["rare_surname"]:
        name = _rare(rng, name, known)
    if rng.random() < RATES["double_surname"]:
        name += rng.choice("- ") + draws(known).one(rng)
    return name


def _rare(rng: random.Random, name: str, known: str) -> str:
    """The beginning of one and the end of another: as long as names are, and borne by hardly
    anybody."""
    other = rng.choice(draws(known).values)
    made = name[: max(2, len(name) // 2 + 1)] + other[-max(2, len(other) // 2) :].lower()
    return made[:20].strip()

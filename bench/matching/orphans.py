"""What people type at analyzers about a made-up clinic's animals, with the errors that they make.
Knows nothing of the scorer. The rates were set before anything was measured, and stay (RATES)."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

from bench.matching.registry import Animal, Clinic, draws

RATES = {
    "name_absent": 0.10,
    "one_typo": 0.18,
    "two_typos": 0.04,
    "short_form": 0.06,
    "owner_absent": 0.35,
    "owner_typo": 0.15,
    "swapped": 0.05,
    "joined": 0.18,
    "surname_first": 0.20,  # of those joined
    "cut": 0.40,
    "upper": 0.30,
    "species_absent": 0.10,
    "species_wrong": 0.04,
    "sex_absent": 0.40,
    "sex_wrong": 0.04,
    "age": 0.40,
    "birth_date": 0.15,
    "weight": 0.40,
    "pounds": 0.03,
    "breed": 0.20,
    "id": 0.30,
    "id_mistyped": 0.05,
    "id_left_over": 0.02,
    "id_as_name": 0.20,
    "id_bare": 0.30,
    "chip": 0.03,
    "doctor": 0.30,
    "no_visit": 0.08,
    "placeholder_id": 0.10,
}
CUT_AT = 12  # characters; analyzers keep between 8 and 20
KEYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
SHORT = {
    "charlie": ("chaz", "char"),
    "bella": ("bell", "bells"),
    "max": ("maxi", "maxie"),
    "oliver": ("ollie",),
    "maximus": ("max",),
    "isabella": ("izzy", "bella"),
    "princess": ("prin",),
    "samson": ("sam",),
    "theodore": ("teddy", "theo"),
    "winston": ("winnie",),
    "archibald": ("archie",),
    "penelope": ("penny",),
    "elizabeth": ("lizzie",),
    "alexander": ("alex",),
    "benjamin": ("benji", "ben"),
}
SPECIES = ("dog", "cat", "other")


@dataclass
class Case:
    """`truth` is None where the right answer is nobody. `groups` say what was done to it."""

    typed: dict[str, str]
    truth: Animal | None
    requested: bool
    groups: set[str] = field(default_factory=set)
    # Run on the staged day, not on the ordinary one.
    staged: bool = False


def make(clinic: Clinic, count: int, seed: int, *, always_id: bool = False) -> list[Case]:
    """So many results of that day."""
    rng = random.Random(seed)
    living = [animal for animal in clinic.animals if not animal.deceased]
    cases = []
    for _ in range(count):
        here = rng.random() >= RATES["no_visit"]
        animal = rng.choice(clinic.here if here else living)
        cases.append(one(rng, clinic, animal, always_id=always_id))
    return cases


def one(rng: random.Random, clinic: Clinic, animal: Animal, *, always_id: bool = False) -> Case:
    groups: set[str] = {"no visit"} if animal.seen is None else set()
    typed = _names(rng, animal, groups)
    said = rng.random
    if said() >= RATES["species_absent"]:
        species = animal.species
        if said() < RATES["species_wrong"]:
            species = rng.choice([other for other in SPECIES if other != species])
            groups.add("species wrong")
        typed |= {"species": species, "species_code": species if species != "other" else ""}
    if said() >= RATES["sex_absent"] and animal.sex != "U":
        sex = animal.sex
        if said() < RATES["sex_wrong"]:
            sex = "F" if sex == "M" else "M"
            groups.add("sex wrong")
        typed |= {"sex": sex, "sex_code": sex}
    _numbers(rng, clinic, animal, typed)
    _id(rng, clinic, animal, typed, groups, always_id=always_id)
    if said() < RATES["cut"]:
        groups.add("cut")
        for key in ("patient_name", "owner_last_name"):
            typed[key] = typed.get(key, "")[:CUT_AT]
    if said() < RATES["upper"]:
        groups.add("upper")
        typed |= {k: typed[k].upper() for k in ("patient_name", "owner_last_name") if k in typed}
    if typed.get("owner_last_name"):
        groups.add("owner given")
    if not names_an_animal(typed):
        groups.add("nothing names it")
    if animal.held_out:
        groups.add("nobody")
    return Case(typed, None if animal.held_out else animal, animal.requested, groups)


def names_an_animal(typed: dict[str, str]) -> bool:
    """Whether a name, an owner, an id or a chip was typed at all. A species and a weight alone are
    nobody's: they are measured too, and counted apart."""
    number = typed.get("patient_id", "")
    keys = ("patient_name", "owner_last_name", "microchip")
    return any(typed.get(key) for key in keys) or len(number) > 4


def _names(rng: random.Random, animal: Animal, groups: set[str]) -> dict[str, str]:
    name, surname = animal.name, animal.owner.surname
    drawn = rng.random()
    if drawn < RATES["one_typo"] + RATES["two_typos"]:
        groups.add("name typo")
        name = typo(rng, name)
        if drawn < RATES["two_typos"]:
            name = typo(rng, name)
    elif drawn < RATES["one_typo"] + RATES["two_typos"] + RATES["short_form"]:
        groups.add("short form")
        name = short(rng, name)
    if rng.random() < RATES["name_absent"]:
        groups.add("no name")
        name = ""
    if rng.random() < RATES["owner_typo"]:
        groups.add("owner typo")
        surname = typo(rng, surname)
    drawn = rng.random()
    if drawn < RATES["joined"] and name:
        groups.add("joined")
        first = rng.random() < RATES["surname_first"]
        return {"patient_name": f"{surname}, {name}" if first else f"{name} {surname}"}
    if rng.random() < RATES["owner_absent"]:
        groups.add("no owner")
        surname = ""
    if drawn < RATES["joined"] + RATES["swapped"] and name and surname:
        groups.add("swapped")
        name, surname = surname, name
    return {"patient_name": name, "owner_last_name": surname}


def typo(rng: random.Random, text: str) -> str:
    """A neighbouring key, a letter less, one doubled, or two exchanged."""
    if len(text) < 2:
        return text
    place = rng.randrange(len(text))
    letter = text[place]
    kind = rng.randrange(4)
    if kind == 0:
        row = next((row for row in KEYS if letter.lower() in row), "")
        at = row.find(letter.lower())
        near = row[max(0, at - 1) : at] + row[at + 1 : at + 2]
        return text[:place] + (rng.choice(near) if near else "") + text[place + 1 :]
    if kind == 1:
        return text[:place] + text[place + 1 :]
    if kind == 2:
        return text[:place] + letter + text[place:]
    place = min(place, len(text) - 2)
    return text[:place] + text[place + 1] + text[place] + text[place + 2 :]


def short(rng: random.Random, name: str) -> str:
    known = SHORT.get(name.lower())
    if known:
        return rng.choice(known)
    if " " in name:
        return rng.choice(name.split())
    if len(name) <= 4:
        return name + rng.choice(("y", "ie", "s"))
    return name[: rng.choice((3, 4))] + rng.choice(("", "y", "ie"))


def _numbers(rng: random.Random, clinic: Clinic, animal: Animal, typed: dict[str, str]) -> None:
    today = clinic.day.date()
    drawn = rng.random()
    if animal.born and drawn < RATES["birth_date"]:
        typed["birth_date"] = animal.born.isoformat()
    elif animal.born and drawn < RATES["birth_date"] + RATES["age"]:
        years = round((today - animal.born).days / 365.25 + rng.uniform(-1, 1))
        typed["age"] = f"{max(0, years)} y"
    if rng.random() < RATES["weight"]:
        kg = animal.kg * rng.gauss(1, 0.06)
        if rng.random() < RATES["pounds"]:
            kg /= 0.45359237
        typed |= {"weight": f"{max(kg, 0.1):.1f}", "weight_unit": "kg"}
    if animal.breed and rng.random() < RATES["breed"]:
        typed["breed"] = animal.breed
    if animal.doctor and rng.random() < RATES["doctor"]:
        typed["doctor"] = animal.doctor
    if animal.chip and rng.random() < RATES["chip"]:
        typed["microchip"] = animal.chip


def _id(
    rng: random.Random,
    clinic: Clinic,
    animal: Animal,
    typed: dict[str, str],
    groups: set[str],
    *,
    always_id: bool,
) -> None:
    if not always_id and rng.random() >= RATES["id"]:
        if rng.random() < RATES["placeholder_id"]:
            typed["patient_id"] = rng.choice(("1", "0", "0000", "NA", "TEST", "999"))
        return
    number = animal.patient_id
    groups.add("id")
    if rng.random() < RATES["id_left_over"]:
        groups.add("id left over")
        number = rng.choice(clinic.here).patient_id
    elif rng.random() < RATES["id_mistyped"]:
        groups.add("id mistyped")
        digits = list(number)
        place = rng.randrange(2, len(digits))
        digits[place] = str((int(digits[place]) + rng.randrange(1, 10)) % 10)
        number = "".join(digits)
    if rng.random() < RATES["id_bare"]:
        number = number.removeprefix("P-").lstrip("0")
    if rng.random() < RATES["id_as_name"]:
        groups.add("id as name")
        typed["patient_name"] = number
    else:
        typed["patient_id"] = number


# Suites that try to fool whoever matches.


def twins(clinic: Clinic, rng: random.Random, count: int, *, here: bool) -> list[Case]:
    """Another animal has the same name and the same owner's surname."""
    if here:
        some = rng.sample(clinic.staged_twins, min(count, len(clinic.staged_twins)))
        return [replace(_plain(animal), staged=True) for animal in some]
    groups: dict[tuple[str, str], list[Animal]] = {}
    for animal in clinic.animals:
        if not animal.deceased and not animal.held_out:
            groups.setdefault((animal.name.lower(), animal.owner.surname.lower()), []).append(
                animal
            )
    same = [a for each in groups.values() if len(each) > 1 for a in each]
    same = [animal for animal in same if animal.seen is None]
    return [_plain(animal) for animal in rng.sample(same, min(count, len(same)))]


def household(clinic: Clinic, rng: random.Random, count: int) -> list[Case]:
    """Two animals of one owner bear one name."""
    same = [
        animal
        for animal in clinic.animals
        if not animal.deceased
        and not animal.held_out
        and any(o is not animal and o.name == animal.name for o in animal.owner.pets)
    ]
    return [_plain(animal, owner=True) for animal in rng.sample(same, min(count, len(same)))]


def new_pet(clinic: Clinic, rng: random.Random, count: int, *, replacement: bool) -> list[Case]:
    """A known client's animal that is not on file yet; or one named like their deceased one."""
    clients = [
        animal.owner
        for animal in clinic.animals
        if not animal.held_out and bool(animal.deceased) == replacement
    ]
    cases = []
    for owner in rng.sample(clients, min(count, len(clients))):
        names = [pet.name for pet in owner.pets if bool(pet.deceased) and not pet.held_out]
        name = names[0] if replacement and names else draws("dog_names_auckland.csv").one(rng)
        if not replacement and name.lower() in {pet.name.lower() for pet in owner.pets}:
            continue
        sex = rng.choice("MF")
        typed = {
            "patient_name": name,
            "owner_last_name": owner.surname,
            "species": owner.pets[0].species,
            "species_code": owner.pets[0].species,
            "sex": sex,
            "sex_code": sex,
        }
        cases.append(Case(typed, None, False))
    return cases


def wrong_id(clinic: Clinic, rng: random.Random, count: int) -> list[Case]:
    """The right names, and the id of the animal before it."""
    cases = []
    for _ in range(count):
        animal, before = rng.sample(clinic.here, 2)
        if animal.held_out or before.held_out:
            continue
        case = _plain(animal, owner=True)
        case.typed["patient_id"] = before.patient_id
        cases.append(case)
    return cases


def namesakes_id(clinic: Clinic, rng: random.Random, count: int) -> list[Case]:
    """Two of one name, species and sex were here; the id is still that of the other one, and nobody
    typed an owner. Name and id agree, and it is the wrong animal."""
    cases = []
    for animal, before in rng.sample(
        clinic.staged_namesakes, min(count, len(clinic.staged_namesakes))
    ):
        case = replace(_plain(animal, owner=False), staged=True)
        case.typed["patient_id"] = before.patient_id
        cases.append(case)
    return cases


def near_id(clinic: Clinic, rng: random.Random, count: int) -> list[Case]:
    """One wrong digit made the id that of a namesake, and nobody typed an owner."""
    numbers = {a.number: a for a in clinic.animals if not a.deceased and not a.held_out}
    cases = []
    for animal in rng.sample(list(numbers.values()), len(numbers)):
        digits = f"{animal.number:06d}"
        others = [
            numbers.get(int(digits[:place] + other + digits[place + 1 :]))
            for place in range(len(digits))
            for other in "0123456789"
        ]
        for other in others:
            if other and other is not animal and other.name.lower() == animal.name.lower():
                case = _plain(animal, owner=False)
                case.typed["patient_id"] = other.patient_id
                cases.append(case)
                break
        if len(cases) >= count:
            break
    return cases


def stale_id(clinic: Clinic, rng: random.Random, count: int) -> list[Case]:
    """The id of the animal before it, the species, and nothing else."""
    cases = []
    for _ in range(count):
        animal, before = rng.sample(clinic.here, 2)
        typed = {
            "patient_id": before.patient_id,
            "species": animal.species,
            "species_code": animal.species,
        }
        cases.append(Case(typed, None if animal.held_out else animal, False))
    return cases


def name_alone(clinic: Clinic, rng: random.Random, count: int) -> list[Case]:
    """ "Bella" and nothing else."""
    living = [a for a in clinic.animals if not a.deceased and not a.held_out]
    return [Case({"patient_name": a.name}, a, False) for a in rng.sample(living, count)]


def _plain(animal: Animal, *, owner: bool = True) -> Case:
    typed = {
        "patient_name": animal.name,
        "species": animal.species,
        "species_code": animal.species,
        "sex_code": animal.sex if animal.sex != "U" else "",
    }
    if owner:
        typed["owner_last_name"] = animal.owner.surname
    return Case(typed, animal, animal.requested)


SUITES = {
    "twins, one of them here": lambda c, r, n: twins(c, r, n, here=True),
    "twins, without a visit": lambda c, r, n: twins(c, r, n, here=False),
    "one name twice in a household": household,
    "new pet of a known client": lambda c, r, n: new_pet(c, r, n, replacement=False),
    "new pet named like the deceased one": lambda c, r, n: new_pet(c, r, n, replacement=True),
    "another animal's id, right names": wrong_id,
    "the id of a namesake who is here too": namesakes_id,
    "one wrong digit, a namesake's id": near_id,
    "stale id and species alone": stale_id,
    "a name and nothing else": name_alone,
}

"""What the scorer is held against in the same run: plain rapidfuzz `WRatio` over names, and
counting fields that agree, as this project did before it weighed them."""

from __future__ import annotations

import re
from collections import defaultdict

from rapidfuzz import fuzz, process, utils

from bench.matching.measure import Tally
from bench.matching.orphans import Case
from bench.matching.registry import Animal


def wratio(animals: list[Animal], cases: list[Case]) -> Tally:
    choices = [utils.default_process(f"{a.name} {a.owner.surname}") for a in animals]
    tally = Tally()
    for case in cases:
        if case.truth is None:
            continue
        typed = f"{case.typed.get('patient_name', '')} {case.typed.get('owner_last_name', '')}"
        best = process.extract(
            utils.default_process(typed), choices, scorer=fuzz.WRatio, processor=None, limit=5
        )
        found = [animals[place].number for _, _, place in best]
        tally.add(found.index(case.truth.number) if case.truth.number in found else None)
    return tally


class ExactPoints:
    """Two points for a field that is the same, one for a close one, minus two for one that differs;
    among equals the one seen last. Candidates by the same name, surname or id."""

    def __init__(self, animals: list[Animal]) -> None:
        self.by: dict[tuple[str, str], list[Animal]] = defaultdict(list)
        for animal in animals:
            for word in {_plain(animal.name), *_plain(animal.name).split()}:
                self.by["name", word].append(animal)
            self.by["surname", _plain(animal.owner.surname)].append(animal)
            self.by["id", _digits(animal.patient_id)].append(animal)
            self.by["chip", animal.chip].append(animal)

    def measure(self, cases: list[Case]) -> Tally:
        tally = Tally()
        for case in cases:
            if case.truth is None:
                continue
            typed = case.typed
            found: dict[int, Animal] = {}
            name, surname = (
                _plain(typed.get(key, "")) for key in ("patient_name", "owner_last_name")
            )
            looked_up = [("name", name), ("surname", surname), ("chip", typed.get("microchip", ""))]
            looked_up += [("name", word) for word in name.split()]
            looked_up += [("surname", word) for word in name.split()]
            for key in ("patient_id", "patient_name"):
                looked_up.append(("id", _digits(typed.get(key, ""))))
            for pair in looked_up:
                if pair[1]:
                    found |= {animal.number: animal for animal in self.by.get(pair, ())}
            ordered = sorted(
                found.values(),
                key=lambda a: (-_points(case.typed, a), a.seen is None, a.number),
            )
            numbers = [animal.number for animal in ordered[:5]]
            truth = case.truth.number
            tally.add(numbers.index(truth) if truth in numbers else None)
        return tally


def _points(typed: dict[str, str], animal: Animal) -> int:
    points = _alike(typed.get("patient_name", ""), animal.name)
    points += _alike(typed.get("owner_last_name", ""), animal.owner.surname)
    number = _digits(typed.get("patient_id", ""))
    if len(number) > 1:
        points += 2 if number == _digits(animal.patient_id) else -2
    for key, value in (
        ("species_code", animal.species),
        ("sex_code", animal.sex.replace("U", "")),
        ("microchip", animal.chip),
        ("birth_date", animal.born.isoformat() if animal.born else ""),
    ):
        if typed.get(key) and value:
            points += 2 if typed[key] == value else -2
    if typed.get("weight"):
        times = float(typed["weight"]) / animal.kg
        points += 2 if 1 / 1.15 <= times <= 1.15 else 1 if 0.5 <= times <= 2 else -2
    if animal.seen is not None:
        points += 2
        points += 2 * (typed.get("doctor") == animal.doctor)
    return points


def _alike(typed: str, on_file: str) -> int:
    one, other = _plain(typed), _plain(on_file)
    if not one or not other:
        return 0
    if one == other:
        return 2
    if min(len(one), len(other)) >= 3 and (other.startswith(one) or one.startswith(other)):
        return 1
    return 1 if set(one.split()) & set(other.split()) else -2


def _plain(text: str) -> str:
    return " ".join(re.sub(r"[^\w]+", " ", text.casefold().replace("'", "")).split())


def _digits(text: str) -> str:
    found = re.fullmatch(r"\D*?0*(\d+)", text.strip())
    return found[1] if found else ""

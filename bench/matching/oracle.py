"""`python -m bench.matching.oracle --size 100000`: how well anybody could do.

Whoever knew each rate of the generators would rank by Bayes: P(animal) times P(what was typed |
animal). This does, over the same orphans, and so says where the limit of a gate lies: "Bella" and
a species among 100,000 animals name nobody. It knows the generators and must not be known to the
scorer. Two slips in one name are weighed roughly (by OSA distance), all else as it was made.
"""

from __future__ import annotations

import argparse
import json
import math
import random
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from rapidfuzz import process
from rapidfuzz.distance import OSA

from bench.matching import orphans, registry
from bench.matching.__main__ import DAY, SEED
from bench.matching.orphans import CUT_AT, KEYS, RATES, SHORT, Case
from bench.matching.registry import Animal, Clinic

EXACT_NAME = 1 - RATES["one_typo"] - RATES["two_typos"] - RATES["short_form"]
PLAIN = 1 - RATES["joined"] - RATES["swapped"]


@lru_cache(100_000)
def one_typo(text: str) -> dict[str, float]:
    found: dict[str, float] = defaultdict(float)
    if len(text) < 2:
        return {text: 1.0}
    share = 1 / len(text) / 4
    for place, letter in enumerate(text):
        row = next((row for row in KEYS if letter in row), "")
        at = row.find(letter)
        near = row[max(0, at - 1) : at] + row[at + 1 : at + 2] if row else ""
        for other in near or ("",):
            found[text[:place] + other + text[place + 1 :]] += share / max(1, len(near))
        found[text[:place] + text[place + 1 :]] += share
        found[text[:place] + letter + text[place:]] += share
        start = min(place, len(text) - 2)
        found[text[:start] + text[start + 1] + text[start] + text[start + 2 :]] += share
    return dict(found)


@lru_cache(100_000)
def short(name: str) -> dict[str, float]:
    if name in SHORT:
        forms = list(SHORT[name])
    elif " " in name:
        forms = name.split()
    elif len(name) <= 4:
        forms = [name + end for end in ("y", "ie", "s")]
    else:
        forms = [name[:length] + end for length in (3, 4) for end in ("", "y", "ie")]
    return {form: forms.count(form) / len(forms) for form in forms}


@lru_cache(100_000)
def names(name: str) -> dict[str, float]:
    """What is typed of it, but for two slips."""
    found: dict[str, float] = defaultdict(float, {name: EXACT_NAME})
    for text, share in one_typo(name).items():
        found[text] += RATES["one_typo"] * share
    for text, share in short(name).items():
        found[text] += RATES["short_form"] * share
    return dict(found)


@lru_cache(100_000)
def surnames(surname: str) -> dict[str, float]:
    found: dict[str, float] = defaultdict(float, {surname: 1 - RATES["owner_typo"]})
    for text, share in one_typo(surname).items():
        found[text] += RATES["owner_typo"] * share
    return dict(found)


def of_name(text: str, name: str, *, cut: bool) -> float:
    if cut:
        return sum(share for form, share in names(name).items() if form[:CUT_AT] == text)
    share = names(name).get(text, 0.0)
    if not share and OSA.distance(text, name, score_cutoff=2) <= 2:
        share = RATES["two_typos"] * 2 / (6 * max(2, len(name))) ** 2
    return share


def of_surname(text: str, surname: str, *, cut: bool) -> float:
    if cut:
        return sum(share for form, share in surnames(surname).items() if form[:CUT_AT] == text)
    return surnames(surname).get(text, 0.0)


def joined(text: str, name: str, surname: str, *, cut: bool) -> float:
    """Both in one field, either way round."""
    found = 0.0
    for first, second, between, share in (
        (names(name), surnames(surname), " ", 1 - RATES["surname_first"]),
        (surnames(surname), names(name), ", ", RATES["surname_first"]),
    ):
        for one, often in first.items():
            start = one + between
            if cut and len(start) >= CUT_AT:
                found += share * often * (start[:CUT_AT] == text)
            elif text.startswith(start):
                rest = text[len(start) :]
                found += (
                    share
                    * often
                    * sum(
                        p
                        for other, p in second.items()
                        if (other[: len(rest)] if cut else other) == rest
                    )
                )
    return found


class Oracle:
    def __init__(self, made: Clinic, *, visits: bool) -> None:
        self.made, self.visits = made, visits
        self.living = [a for a in made.animals if not a.deceased and not a.held_out]
        self.here = {a.number for a in made.here if not a.held_out}
        self.by_number = {a.number: a for a in self.living}
        self.by_name: dict[str, list[Animal]] = defaultdict(list)
        self.by_surname: dict[str, list[Animal]] = defaultdict(list)
        for animal in self.living:
            self.by_name[animal.name.lower()].append(animal)
            self.by_surname[animal.owner.surname.lower()].append(animal)
        self.sorted_names, self.sorted_surnames = sorted(self.by_name), sorted(self.by_surname)
        self.forms: dict[str, set[str]] = defaultdict(set)
        for name in self.by_name:
            for form in short(name):
                self.forms[form].add(name)

    def prior(self, animal: Animal) -> float:
        away = RATES["no_visit"] / len(self.living) if self.visits else 1 / len(self.living)
        here = self.visits and animal.number in self.here
        return away + (1 - RATES["no_visit"]) / len(self.here) if here else away

    def who(self, case: Case) -> list[Animal]:
        """All whom the names can be, and all whom the id can be."""
        a, b = (case.typed.get(key, "").lower() for key in ("patient_name", "owner_last_name"))
        found: dict[int, Animal] = {}
        for text in filter(None, (a, b)):
            parts = {text, *(part.strip(" ,") for part in text.replace(",", " ").split())}
            words = text.replace(",", " ").split()
            parts |= {" ".join(words[:n]) for n in range(1, len(words))}
            parts |= {" ".join(words[n:]) for n in range(1, len(words))}
            for part in parts:
                both = (a and b) or not a
                for name in () if (both and part != text) else self._names(part, len(text)):
                    found |= {each.number: each for each in self.by_name[name]}
                if b or part != text:
                    for surname in self._surnames(part, len(text)):
                        found |= {each.number: each for each in self.by_surname[surname]}
        for number in self._numbers(case):
            if number in self.by_number:
                found[number] = self.by_number[number]
        if self.visits and not found:
            found = {number: self.by_number[number] for number in self.here}
        return list(found.values())

    def _names(self, text: str, length: int) -> Iterable[str]:
        near = process.extract(
            text, self.sorted_names, scorer=OSA.distance, score_cutoff=2, limit=None
        )
        more = self._beginning(self.sorted_names, text) if length >= CUT_AT else set()
        return {name for name, _, _ in near} | self.forms.get(text, set()) | more

    def _surnames(self, text: str, length: int) -> Iterable[str]:
        near = process.extract(
            text, self.sorted_surnames, scorer=OSA.distance, score_cutoff=1, limit=None
        )
        more = set()
        if length >= CUT_AT and len(text) >= 4:
            more = self._beginning(self.sorted_surnames, text)
        return {name for name, _, _ in near} | more

    @staticmethod
    def _beginning(known: list[str], text: str) -> set[str]:
        found, place = set(), bisect_left(known, text)
        while place < len(known) and known[place].startswith(text):
            found.add(known[place])
            place += 1
        return found

    def _numbers(self, case: Case) -> set[int]:
        found = set()
        for key in ("patient_id", "patient_name"):
            number = _number(case.typed.get(key, ""))
            if number is not None:
                found |= {number, *_one_off(number)}
        return found

    def likelihood(self, case: Case, animal: Animal) -> float:
        return self._named(case, animal) * self._rest(case, animal)

    def _named(self, case: Case, animal: Animal) -> float:
        """Of the names' fields and the id's."""
        typed = case.typed
        a, b = (typed.get(key, "").lower() for key in ("patient_name", "owner_last_name"))
        own, as_name = _number(typed.get("patient_id", "")), _number(a)
        uncut, shortened = (self._names_typed(a, b, animal, cut=cut) for cut in (False, True))
        found = (1 - RATES["cut"]) * uncut + RATES["cut"] * shortened
        if own is not None:
            return found * RATES["id"] * (1 - RATES["id_as_name"]) * self._id(own, animal)
        found *= 1 - RATES["id"]
        if as_name is not None:
            owner = of_surname(b, animal.owner.surname.lower(), cut=False) if b else 0.45
            found += RATES["id"] * RATES["id_as_name"] * self._id(as_name, animal) * owner
        return found

    def _names_typed(self, a: str, b: str, animal: Animal, *, cut: bool) -> float:
        name, surname = animal.name.lower(), animal.owner.surname.lower()
        if cut and (len(a) > CUT_AT or len(b) > CUT_AT):
            return 0.0
        cut_a, cut_b = cut and len(a) == CUT_AT, cut and len(b) == CUT_AT
        no_name, no_owner = RATES["name_absent"], RATES["owner_absent"]
        if a and b:
            plain = PLAIN * of_name(a, name, cut=cut_a) * of_surname(b, surname, cut=cut_b)
            swapped = of_name(b, name, cut=cut_b) * of_surname(a, surname, cut=cut_a)
            return (1 - no_name) * (1 - no_owner) * (plain + RATES["swapped"] * swapped)
        if a:
            alone = (1 - RATES["joined"]) * no_owner * of_name(a, name, cut=cut_a)
            both = RATES["joined"] * joined(a, name, surname, cut=cut_a)
            return (1 - no_name) * (alone + both)
        if b:
            return no_name * (1 - no_owner) * of_surname(b, surname, cut=cut_b)
        return no_name * no_owner

    def _id(self, number: int, animal: Animal) -> float:
        left_over, mistyped = RATES["id_left_over"], RATES["id_mistyped"]
        found = left_over / (len(self.here) if self.visits else len(self.living))
        if number == animal.number:
            found += (1 - left_over) * (1 - mistyped)
        elif animal.number in _one_off(number):
            found += (1 - left_over) * mistyped / 54
        return found

    def _rest(self, case: Case, animal: Animal) -> float:
        typed, found = case.typed, 1.0
        if "species" in typed:
            wrong = RATES["species_wrong"]
            found *= 1 - wrong if typed["species"] == animal.species else wrong / 2
        if "sex" in typed:
            wrong = RATES["sex_wrong"]
            right = 1 - wrong if typed["sex"] == animal.sex else wrong
            found *= 0.0 if animal.sex == "U" else (1 - RATES["sex_absent"]) * right
        elif animal.sex != "U":
            found *= RATES["sex_absent"]
        found *= self._age(case, animal) * _weight(typed, animal)
        for key, value in (("breed", animal.breed), ("microchip", animal.chip)):
            rate = RATES["breed" if key == "breed" else "chip"]
            if key in typed:
                found *= rate * (typed[key] == value)
            elif value:
                found *= 1 - rate
        if self.visits:
            if "doctor" in typed:
                found *= RATES["doctor"] * (typed["doctor"] == animal.doctor)
            elif animal.doctor:
                found *= 1 - RATES["doctor"]
        return found

    def _age(self, case: Case, animal: Animal) -> float:
        typed, born = case.typed, animal.born
        if "birth_date" in typed:
            return RATES["birth_date"] * (born is not None and typed["birth_date"] == str(born))
        if "age" not in typed:
            return 1.0 if born is None else 1 - RATES["birth_date"] - RATES["age"]
        if born is None:
            return 0.0
        years, age = int(typed["age"].split()[0]), (self.made.day.date() - born).days / 365.25
        low, high = (years - 0.5 if years else -1.0), years + 0.5
        return RATES["age"] * max(0.0, min(high, age + 1) - max(low, age - 1)) / 2


def _weight(typed: dict[str, str], animal: Animal) -> float:
    if "weight" not in typed:
        return 1.0
    kg, found = float(typed["weight"]), 0.0
    for value, share in ((kg, 1 - RATES["pounds"]), (kg * 0.45359237, RATES["pounds"])):
        spread = 0.06 * animal.kg
        found += share * math.exp(-(((value - animal.kg) / spread) ** 2) / 2) / spread
    return found + 1e-12


def _number(text: str) -> int | None:
    digits = text.upper().removeprefix("P-").strip()
    return int(digits) if digits.isdigit() and (len(digits) > 4 or int(digits) > 999) else None


@lru_cache(10_000)
def _one_off(number: int) -> frozenset[int]:
    digits = f"{number:06d}"
    return frozenset(
        int(digits[:place] + other + digits[place + 1 :])
        for place in range(len(digits))
        for other in "0123456789"
    ) - {number}


def measure(oracle: Oracle, cases: list[Case]) -> dict[str, Any]:
    rng = random.Random(1)
    hits: dict[str, list[int]] = {"all": [0, 0, 0], "named": [0, 0, 0]}
    for case in cases:
        if case.truth is None:
            continue
        weighed = [
            (oracle.prior(a) * oracle.likelihood(case, a), rng.random(), a.number)
            for a in oracle.who(case)
        ]
        best = [number for _, _, number in sorted(weighed, reverse=True)[:3]]
        for which in ("all", "named"):
            if which == "all" or "nothing names it" not in case.groups:
                hits[which][0] += 1
                hits[which][1] += best[:1] == [case.truth.number]
                hits[which][2] += case.truth.number in best
    return {
        which: {
            "cases": count,
            "top1": round(100 * first / count, 2),
            "top3": round(100 * three / count, 2),
        }
        for which, (count, first, three) in hits.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.matching.oracle", description=__doc__)
    parser.add_argument("--size", type=int, default=10_000)
    parser.add_argument("--orphans", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--orphans-seed", type=int, default=None, help="by default as the bench's")
    given = parser.parse_args()
    made = registry.make(given.size, given.seed, DAY)
    seed = given.seed + 1 if given.orphans_seed is None else given.orphans_seed
    cases = orphans.make(made, given.orphans, seed)
    for visits in (False, True):
        found = measure(Oracle(made, visits=visits), cases)
        print(json.dumps({"visits": visits, **found}), flush=True)


if __name__ == "__main__":
    main()

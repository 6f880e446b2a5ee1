"""From evidence to a ranking: how probable each animal is, and that it is none of them. Pure.

P(c) = (1-a)/N * 2^W(c) / (a + sum over all animals of (1-a)/N * 2^W), N animals on file, a the
chance that it is not in the records. Animals that nobody looked at are in the sum all the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from math import log2
from typing import Any

from labs.matching.compare import SERIOUS, Comparison, in_words
from labs.matching.evidence import judge
from labs.matching.hypotheses import Reading
from labs.matching.names import DIFFERS, EXACT
from labs.matching.sides import (
    AGREE,
    CONFLICT,
    NOT_GIVEN,
    Judged,
    OnFile,
    Orphan,
    name_key,
    surname_key,
)
from labs.matching.weights import GRADES, NOBODY, NOT_CERTAIN, TIE, UNLIKELY

# What names the animal, and where it differs leaves a doubt that no other field takes away.
CONTRADICTS = frozenset({"patient_name", "owner", "patient_id", "microchip"})
# How many of the best are told.
KEPT = 20
CERTAIN = GRADES[0][1]
# What names an animal; two of these make it certain. Species, sex and a visit name none.
IDENTIFIERS = {
    "patient_id": frozenset({EXACT}),
    "microchip": frozenset({EXACT}),
    "patient_name": frozenset({EXACT, "near", "cut", "part", "nickname"}),
    "owner": frozenset({EXACT, "near", "cut", "part"}),
    "age": frozenset({EXACT}),
}


@dataclass(frozen=True, kw_only=True)
class Scored:
    """One animal. `blocked` says why it can't be certain however probable; `tied` that another one
    fits as well."""

    animal: OnFile
    way: Reading
    judged: tuple[Judged, ...]
    bits: float
    probability: float = 0.0
    grade: str = UNLIKELY
    tied: bool = False
    blocked: tuple[str, ...] = ()

    def of(self, key: str) -> Judged:
        return next((each for each in self.judged if each.key == key), Judged(key, NOT_GIVEN, 0.0))

    @property
    def conflicts(self) -> tuple[str, ...]:
        return tuple(each.key for each in self.judged if each.sign == CONFLICT)

    def compared(self, orphan: Orphan, seen_words: str = "") -> Comparison:
        return in_words(
            orphan, self.animal, self.way, self.judged, self.bits, seen_words=seen_words
        )


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """Best first. `nobody`: how probable it is that the animal is not in the records; `rest`: that
    it is one of those that were not looked at."""

    orphan: Orphan
    found: tuple[Scored, ...]
    nobody: float
    rest: float = 0.0

    @property
    def margin(self) -> float:
        """Bits between the first and the next best, which may be "not in our records"."""
        if not self.found:
            return 0.0
        return self.found[0].bits - max(
            [self._nobody_bits, *(each.bits for each in self.found[1:2])]
        )

    @property
    def _nobody_bits(self) -> float:
        """How many bits an animal needs to be as probable as "not in our records"."""
        return log2(NOBODY / (1 - NOBODY)) + log2(self.orphan.registry.total)


def rank(
    orphan: Orphan,
    animals: Iterable[OnFile],
    *,
    among_equals: Callable[[OnFile], Any] | None = None,
    keep: frozenset[int] = frozenset(),
) -> Ranking:
    """`among_equals` orders those that fit equally well; it must say nothing of the animal itself
    (by default what stands first), so that no namesake is always the upper one. The best are
    told, and those of the keys `keep`."""
    judged = []
    for animal in animals:
        way, fields, bits = judge(orphan, animal)
        judged.append((bits, animal, way, fields))
    prior = (1 - NOBODY) / orphan.registry.total
    rest = prior * _uncounted(orphan, [animal for _, animal, _, _ in judged])
    judged = _one_of_each(judged)
    whole = NOBODY + rest + sum(prior * 2.0**bits for bits, *_ in judged)
    order = among_equals or (lambda animal: 0)
    judged.sort(key=lambda each: (-round(each[0] / TIE), order(each[1])))
    called = Counter((name_key(animal), surname_key(animal)) for _, animal, _, _ in judged)
    found = []
    for place, (bits, animal, way, fields) in enumerate(judged):
        if place >= KEPT and animal.key not in keep:
            continue
        near = judged[max(0, place - 1) : place] + judged[place + 1 : place + 2]
        each = Scored(
            animal=animal,
            way=way,
            judged=tuple(fields),
            bits=bits,
            probability=prior * 2.0**bits / whole,
            tied=any(abs(bits - other[0]) < TIE for other in near),
        )
        namesake = called[name_key(animal), surname_key(animal)] > 1
        blocked = _blocked(each, namesake) if each.probability >= CERTAIN else ()
        probability = min(each.probability, NOT_CERTAIN) if blocked else each.probability
        grade = _grade(probability)
        found.append(replace(each, blocked=blocked, grade=grade, probability=probability))
    return Ranking(orphan=orphan, found=tuple(found), nobody=NOBODY / whole, rest=rest / whole)


def _one_of_each(judged: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Of an animal that comes by several records, each with its key, the one that fits best: the
    others are no rivals of it."""
    best: dict[int, tuple[Any, ...]] = {}
    for each in judged:
        bits, animal = each[:2]
        if animal.key not in best or bits > best[animal.key][0]:
            best[animal.key] = each
    return list(best.values())


def _grade(probability: float) -> str:
    for name, least in GRADES:
        if probability >= least:
            return name
    return UNLIKELY


def _blocked(each: Scored, namesake: bool) -> tuple[str, ...]:
    """Why it is not certain, whatever its bits. Of two animals of one name and one owner's surname
    only an id, a chip or a birth date says which: the one that has no visit may be the one."""
    reasons = [
        "deceased before the run" if key == "deceased" else f"{key} differs"
        for key in each.conflicts
        if key in SERIOUS or key in CONTRADICTS
    ]
    if each.tied:
        reasons.append("another one fits as well")
    if namesake and not {"patient_id", "microchip", "age"} & set(identifiers(each)):
        reasons.append("another one has the same name and owner")
    if len(identifiers(each)) < 2:
        reasons.append("one identifier alone")
    return tuple(reasons)


def identifiers(each: Scored) -> list[str]:
    """Keys of what names this animal and no other by itself."""
    found = [
        key
        for key, levels in IDENTIFIERS.items()
        if (judged := each.of(key)).level in levels
        and judged.sign != CONFLICT
        and (key != "age" or (judged.sign == AGREE and judged.bits >= 5))
    ]
    if "owner" not in found and each.of("owner_id").level == EXACT:
        found.append("owner")
    return found


def _uncounted(orphan: Orphan, animals: list[OnFile]) -> float:
    """The sum of 2^W of all animals that were not looked at, by their names alone: 7,673 Bellas
    cost nothing and count all the same."""
    total, found = orphan.registry.total, 0.0
    unseen: float = 2.0**orphan.unseen_bits
    for way in orphan.readings:
        names, surnames = way.names, way.surnames
        name_rest = dict(names.counts) if names else {}
        surname_rest = dict(surnames.counts) if surnames else {}
        for animal in animals:
            level = names.level(name_key(animal)) if names else DIFFERS
            owner = surnames.level(surname_key(animal)) if surnames else DIFFERS
            if level in name_rest:
                name_rest[level] -= 1
            if owner in surname_rest:
                surname_rest[owner] -= 1
        differs = surnames.bits(DIFFERS) if surnames else 0.0
        other = names.bits(DIFFERS) if names else 0.0
        left = max(0, total - len(animals))
        for level, count in name_rest.items():
            bits = names.bits(level) if names else 0.0
            found += max(0, count) * 2.0 ** (way.prior + bits + differs)
            left -= max(0, count)
        for level, count in surname_rest.items():
            bits = surnames.bits(level) if surnames else 0.0
            found += max(0, count) * 2.0 ** (way.prior + other + bits)
            left -= max(0, count)
        found += max(0, left) * 2.0 ** (way.prior + other + differs)
    return found * unseen

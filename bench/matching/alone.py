"""Whether rule A is ever wrong: so many decisions that it would take alone.

A result that cannot come to a decision is not ranked: rule A asks for an id or a microchip that an
animal bears exactly, a name as typed, and no contradiction to that animal; what falls short of
that by its text alone would cost an hour of ranking and say nothing. Everything that could lead to
a wrong decision stays in: ids left over and mistyped ids that are some other animal's, wrong
species and sex that happen to agree with it, slips in the name, runs without a visit.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from bench.matching import orphans
from bench.matching.measure import System
from bench.matching.orphans import Case
from bench.matching.registry import Animal, Clinic
from labs.queries.orphaned import automatic, candidates

# Where the name was not typed in its field, rule A asks for nothing more.
NOT_AS_TYPED = frozenset({"joined", "swapped", "no name", "id as name"})
WRONG_ID = frozenset({"id left over", "id mistyped"})


def could(by_number: dict[str, Animal], by_chip: dict[str, Animal], case: Case) -> bool:
    """Whether its text alone does not rule a decision out."""
    if case.groups & NOT_AS_TYPED:
        return False
    typed = case.typed
    number = typed.get("patient_id", "").upper().removeprefix("P-").lstrip("0")
    bearer = by_number.get(number) or by_chip.get(typed.get("microchip", "-"))
    if bearer is None or bearer.deceased or bearer.held_out:
        return False
    species, sex = typed.get("species_code", ""), typed.get("sex_code", "")
    return (not species or species == bearer.species) and (
        not sex or bearer.sex == "U" or sex == bearer.sex
    )


def cases(made: Clinic, seed: int) -> Iterator[Case | None]:
    """Results with an id, without end; None for one that cannot come to a decision."""
    rng = random.Random(seed)
    living = [animal for animal in made.animals if not animal.deceased]
    by_number = {str(animal.number): animal for animal in made.animals}
    by_chip = {animal.chip: animal for animal in made.animals if animal.chip}
    while True:
        here = rng.random() >= orphans.RATES["no_visit"]
        animal = rng.choice(made.here if here else living)
        case = orphans.one(rng, made, animal, always_id=True)
        yield case if could(by_number, by_chip, case) else None


def decide(
    system: System, made: Clinic, seed: int, decisions: int, *, one_in: int = 1
) -> dict[str, Any]:
    """Until so many were decided. Of results that bear their own animal's id only one in `one_in`
    is ranked, and stands for so many: what is decided of them is right by the id that rule A asks
    for. All whose id is another animal's are ranked, and all whose animal is not on file."""
    found: dict[str, Any] = dict.fromkeys(
        ("results", "ranked", "ranked_risky", "automatic", "automatic_ranked", "automatic_wrong"), 0
    )
    found["wrong"] = []
    own = 0
    for case in cases(made, seed):
        found["results"] += 1
        if case is None:
            continue
        risky = case.truth is None or bool(case.groups & WRONG_ID)
        own += not risky
        if not risky and own % one_in:
            continue
        found["ranked"] += 1
        found["ranked_risky"] += risky
        unmatched, runs = system.orphan(case)
        ranking = candidates.ranking_of(unmatched, runs=runs)
        ranked = candidates.Ranked(found=[], ranking=ranking, nobody=ranking.nobody)
        if not automatic.would_be(unmatched, runs, ranked)[0]:
            continue
        found["automatic_ranked"] += 1
        found["automatic"] += 1 if risky else one_in
        first = ranking.found[0]
        if case.truth is None or first.animal.key != case.truth.number:
            found["automatic_wrong"] += 1
            found["wrong"].append(
                {"typed": case.typed, "p": first.probability, "groups": sorted(case.groups)}
            )
        if found["automatic"] >= decisions:
            return found
    raise AssertionError("There is always another case.")

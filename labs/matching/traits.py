"""What the animal itself is: species, sex, breed, age, weight, alive. Pure."""

from __future__ import annotations

from math import log2

from labs.matching import reading
from labs.matching.names import DIFFERS, EXACT, NEAR, PART
from labs.matching.sides import (
    AGREE,
    CLOSE,
    CONFLICT,
    NOT_GIVEN,
    NOTHING,
    Judged,
    OnFile,
    Orphan,
)
from labs.matching.weights import (
    AGE,
    AGE_YEARS,
    BIRTH,
    BREED,
    DECEASED,
    ELSEWHERE,
    SEX,
    SPECIES,
    WEIGHT,
    WEIGHT_TIMES,
)

MIXED = frozenset({"mix", "mixed", "cross", "crossbreed", "crossbred", "unknown", "other", "unk"})


def species(orphan: Orphan, animal: OnFile) -> Judged:
    code = orphan.said("species_code")
    if not code or not animal.species:
        note = "not understood" if orphan.said("species") and not code else ""
        return Judged("species", NOT_GIVEN, 0.0, note)
    if code != animal.species:
        return Judged("species", CONFLICT, SPECIES["differs"], "differs", DIFFERS)
    count = orphan.registry.species.get(code, 0) + ELSEWHERE / 2
    bits = log2(SPECIES["m"] * (orphan.registry.total + ELSEWHERE) / count)
    return Judged("species", AGREE, max(0.0, bits), "", EXACT)


def sex(orphan: Orphan, animal: OnFile) -> Judged:
    code = orphan.said("sex_code")
    if code not in ("M", "F") or animal.sex not in ("M", "F"):
        return NOTHING["sex"]
    if code == animal.sex:
        return Judged("sex", AGREE, SEX["agrees"], "", EXACT)
    return Judged("sex", CONFLICT, SEX["differs"], "differs", DIFFERS)


def breed(orphan: Orphan, animal: OnFile) -> Judged:
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


def age(orphan: Orphan, animal: OnFile) -> Judged:
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
    if off <= AGE_YEARS["same"]:
        return Judged("age", AGREE, AGE["same"], "", EXACT)
    if off <= AGE_YEARS["agrees"]:
        return Judged("age", AGREE, AGE["agrees"], "", EXACT)
    if off <= AGE_YEARS["close"]:
        return Judged("age", CLOSE, AGE["close"], f"{off:.0f} years off", NEAR)
    return Judged("age", CONFLICT, AGE["differs"], f"{off:.0f} years off", DIFFERS)


def weight(orphan: Orphan, animal: OnFile) -> Judged:
    if not orphan.weight or not animal.weight_kg:
        return NOTHING["weight"]
    kg, unit_said = orphan.weight
    times = float(max(kg, animal.weight_kg) / min(kg, animal.weight_kg))
    if times <= WEIGHT_TIMES["same"]:
        return Judged("weight", AGREE, WEIGHT["same"], "", EXACT)
    if times <= WEIGHT_TIMES["agrees"]:
        return Judged("weight", AGREE, WEIGHT["agrees"], "", EXACT)
    if times <= WEIGHT_TIMES["close"]:
        return Judged("weight", CLOSE, WEIGHT["close"], f"{times:.1f} times", NEAR)
    if WEIGHT_TIMES["pounds"] <= times <= WEIGHT_TIMES["pounds_most"]:
        sign = CONFLICT if unit_said else NOT_GIVEN
        return Judged("weight", sign, WEIGHT["unit"], "lb or kg?", "unit")
    sign = CONFLICT if times > 2 else CLOSE
    return Judged("weight", sign, WEIGHT["differs"], f"{times:.1f} times", DIFFERS)


def deceased(orphan: Orphan, animal: OnFile) -> Judged:
    day = animal.deceased_on
    if day is None or day < orphan.today:
        return Judged("deceased", CONFLICT, DECEASED, "", DIFFERS)
    return NOTHING["deceased"]

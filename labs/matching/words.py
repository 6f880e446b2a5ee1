"""The sentence of why, and what separates two candidates. Made from the evidence itself. Pure."""

from __future__ import annotations

from labs.matching.names import CUT, EXACT, NEAR, NICKNAME, PART, WEAK
from labs.matching.score import Ranking, Scored
from labs.matching.sides import AGREE, CONFLICT, Judged

# Fewer bits than these are not worth a sentence.
WORTH = 0.75
SENTENCES = 5
COMMON = 20
LEVELS = {
    EXACT: "exact",
    NEAR: "nearly the same",
    CUT: "cut short",
    PART: "one part of it",
    NICKNAME: "a short form",
    WEAK: "only alike",
}
AGREES = {
    "patient_id": "Patient id the same",
    "microchip": "Microchip the same",
    "owner_id": "Owner id the same",
    "species": "Species agrees",
    "sex": "Sex agrees",
    "breed": "Breed agrees",
    "age": "Age agrees",
    "weight": "Weight agrees",
    "seen": "Here that day",
    "tests": "These tests are open",
    "doctor": "The same doctor",
}
CONFLICTS = {
    "patient_name": "Name differs",
    "owner": "Owner differs",
    "patient_id": "Patient id differs",
    "microchip": "Microchip differs",
    "owner_id": "Owner id differs",
    "species": "Species differs",
    "sex": "Sex differs",
    "breed": "Breed differs",
    "age": "Age differs",
    "weight": "Weight differs",
    "doctor": "Another doctor",
    "deceased": "Recorded as deceased",
}
LABELS = {
    "patient_name": "name",
    "owner": "owner",
    "patient_id": "patient id",
    "microchip": "microchip",
    "owner_id": "owner id",
    "species": "species",
    "sex": "sex",
    "breed": "breed",
    "age": "age",
    "weight": "weight",
    "seen": "last visit",
    "tests": "open tests",
    "doctor": "doctor",
    "deceased": "deceased",
}
ORDER = tuple(LABELS)


def why(ranking: Ranking, each: Scored) -> str:
    """`Name exact, but 761 of 97,004 animals are called Bella (+7). Owner exact (+9).` What
    contradicts is never left out; of the rest the weightiest."""
    told = [
        judged
        for judged in each.judged
        if judged.sign == CONFLICT or abs(judged.bits) >= WORTH or judged.key == "patient_name"
    ]
    weighty = sorted(told, key=lambda j: (j.sign != CONFLICT, -abs(j.bits)))
    kept = set(weighty[: max(SENTENCES, sum(j.sign == CONFLICT for j in told))])
    parts = [_sentence(ranking, each, judged) for judged in each.judged if judged in kept]
    return " ".join(part for part in parts if part)


def _sentence(ranking: Ranking, each: Scored, judged: Judged) -> str:
    words = ""
    if judged.sign == CONFLICT:
        words = CONFLICTS[judged.key]
    elif judged.key in ("patient_name", "owner") and judged.level:
        words = _name_words(ranking, each, judged)
    elif judged.key == "patient_name" and judged.note:
        return judged.note[:1].upper() + judged.note[1:] + "."
    elif judged.key == "seen" and judged.level == NEAR:
        words = "Here a day apart"
    elif judged.key == "seen" and judged.sign != AGREE:
        words = "Not here that day" if judged.bits < 0 else "Here not long before"
    elif judged.key == "weight" and judged.level == "unit":
        words = "Weight in lb or kg?"
    elif judged.key == "tests" and judged.bits < 0:
        words = "Other tests are open"
    elif judged.sign == AGREE:
        words = AGREES.get(judged.key, "")
    elif judged.note:
        words = f"{LABELS[judged.key].capitalize()} {judged.note}"
    if not words:
        return ""
    points = round(judged.bits)
    return f"{words} ({points:+d})." if points else f"{words}."


def _name_words(ranking: Ranking, each: Scored, judged: Judged) -> str:
    registry = ranking.orphan.registry
    label = "Name" if judged.key == "patient_name" else "Owner"
    words = f"{label} {LEVELS[judged.level]}"
    if each.way.words and judged.key == "patient_name":
        words += f", {each.way.words}"
    if judged.key == "patient_name":
        count = registry.names.counts.get(each.animal.name_key or "", 0)
        if count > 1:
            but = ", but" if count >= COMMON else ";"
            words += f"{but} {count:,} of {registry.total:,} animals are called {each.animal.name}"
    return words


def separates(first: Scored, other: Scored) -> tuple[str, ...]:
    """In which fields the two stand differently to what was typed, the weightiest first."""
    apart = []
    for key in ORDER:
        one, two = first.of(key), other.of(key)
        if one.sign != two.sign or abs(one.bits - two.bits) >= WORTH:
            apart.append((abs(one.bits - two.bits), LABELS[key]))
    apart.sort(key=lambda pair: -pair[0])
    return tuple(label for _, label in apart)


def apart(first: Scored, other: Scored) -> str:
    """One sentence about a candidate that is not the first: `Both Bella Smith. Differ in: species,
    last visit.`"""
    names = (
        (first.animal.name, other.animal.name),
        (first.animal.owner_last_name, other.animal.owner_last_name),
    )
    same = [one for one, two in names if one and one.casefold() == two.casefold()]
    both = f"Both {' '.join(same)}. " if same else ""
    labels = separates(first, other)
    if not labels:
        return f"{both}Nothing typed separates it from 1."
    if first.tied and other.tied and abs(first.bits - other.bits) < 0.1:
        return f"{both}As likely as 1, by other fields: {', '.join(labels)}."
    return f"{both}Differ in: {', '.join(labels)}."


def nobody(probability: float) -> str:
    """How likely it is that the animal is not in the records, in words."""
    if probability >= 0.9:
        return "Probably not in our records"
    if probability >= 0.5:
        return "Perhaps not in our records"
    if probability >= 0.1:
        return "May not be in our records"
    return "Unlikely: one on file fits"

"""Whether the animal was here when the sample was run, what it waits for, and whom it saw. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from labs.matching import reading
from labs.matching.names import DIFFERS, EXACT, NEAR, PART
from labs.matching.sides import (
    AGREE,
    CLOSE,
    CONFLICT,
    HOURS,
    NEAR_IN_TIME,
    NOT_GIVEN,
    NOTHING,
    Judged,
    OnFile,
    Orphan,
    doctor_words,
)
from labs.matching.weights import DOCTOR, LAST_SEEN, TESTS

# A doctor's name is learned from so many matches that agree.
ENOUGH = 2


def is_here(animal: OnFile, at: datetime) -> bool:
    """Whether it was here within a day of the run."""
    return animal.last_seen is not None and abs(at - animal.last_seen) <= NEAR_IN_TIME


def seen(orphan: Orphan, animal: OnFile) -> Judged:
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


def tests(animal: OnFile) -> Judged:
    if animal.tests is None:
        return NOTHING["tests"]
    if animal.tests >= 1:
        return Judged("tests", AGREE, TESTS["all"], "", EXACT)
    if animal.tests > 0.3:
        return Judged("tests", CLOSE, TESTS["some"], "some of them", PART)
    return Judged("tests", NOT_GIVEN, TESTS["none"], "other tests", DIFFERS)


def doctor(orphan: Orphan, animal: OnFile) -> Judged:
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

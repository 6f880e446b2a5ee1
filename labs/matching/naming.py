"""What the names say for and against one animal. Pure."""

from __future__ import annotations

from labs.matching import hypotheses
from labs.matching.hypotheses import Reading
from labs.matching.names import CUT, DIFFERS, EXACT, NEAR, NICKNAME, PART, WEAK
from labs.matching.sides import (
    AGREE,
    CLOSE,
    CONFLICT,
    NOT_GIVEN,
    Judged,
    OnFile,
    Orphan,
    name_key,
    surname_key,
)

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


def best_reading(
    orphan: Orphan, animal: OnFile, typed_in: str
) -> tuple[Reading, Judged, Judged, float]:
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

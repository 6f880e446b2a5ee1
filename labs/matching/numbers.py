"""What ids and microchips say for and against one animal. Pure."""

from __future__ import annotations

from math import log2

from rapidfuzz.distance import OSA

from labs.matching import reading
from labs.matching.names import DIFFERS, EXACT, NEAR
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
from labs.matching.weights import ID_M, MICROCHIP, OWNER_ID, PATIENT_ID

TYPED_AS = {
    "patient_name": "name",
    "owner_id": "owner id",
    "owner_last_name": "owner's name",
    "microchip": "microchip",
}


def patient_id(orphan: Orphan, animal: OnFile) -> tuple[Judged, str]:
    """And in which field it was typed, where it is this animal's."""
    against = NOTHING["patient_id"]
    if orphan.id_placeholder:
        against = Judged("patient_id", NOT_GIVEN, 0.0, "placeholder, ignored")
    if animal.key in orphan.around.of_request:
        return Judged("patient_id", AGREE, orphan.id_bits, "number of its request", EXACT), ""
    if not orphan.ids or not animal.patient_id:
        return against, ""
    key, number = reading.id_key(animal.patient_id), reading.digits_of(animal.patient_id)
    near_in = ""
    for typed_in, typed_key, typed_number in orphan.ids:
        note = "" if typed_in == "patient_id" else f"typed as the {TYPED_AS[typed_in]}"
        if typed_key == key:
            why = orphan.around.shared_ids.get(typed_key)
            if why:
                return Judged("patient_id", NOT_GIVEN, 0.0, why), ""
            return Judged("patient_id", AGREE, orphan.id_bits, note, EXACT), typed_in
        bare = typed_key == typed_number or key == number
        if bare and len(number) > 1 and number == typed_number:
            why = orphan.around.shared_ids.get(number)
            if why:
                return Judged("patient_id", NOT_GIVEN, 0.0, why), ""
            words = ", ".join(part for part in ("without its letters", note) if part)
            return Judged("patient_id", CLOSE, orphan.id_bits, words, EXACT), typed_in
        near = _one_off(typed_key, typed_number, key, number)
        if typed_in != "patient_id" and not near:
            continue
        if why := orphan.around.shared_ids.get(typed_key):
            against = Judged("patient_id", NOT_GIVEN, 0.0, why)
        elif near:
            bits = log2(max(1.0, ID_M["one_off"] * orphan.registry.total / (10 * len(key))))
            bits = min(PATIENT_ID["one_off"], bits)
            words = ", ".join(part for part in ("one digit off", note) if part)
            against, near_in = Judged("patient_id", CLOSE, bits, words, NEAR), typed_in
        else:
            against = Judged("patient_id", CONFLICT, PATIENT_ID["differs"], "differs", DIFFERS)
    return against, near_in


def _one_off(typed_key: str, typed_number: str, key: str, number: str) -> bool:
    pairs = [(typed_key, key)]
    if typed_number and number and typed_key == typed_number:
        pairs.append((typed_number, number))
    return any(
        len(one) >= 4 and OSA.distance(one, other, score_cutoff=1) <= 1 for one, other in pairs
    )


def microchip(orphan: Orphan, animal: OnFile) -> Judged:
    chip = orphan.chip
    if not animal.microchip or not (chip or orphan.ids):
        return NOTHING["microchip"]
    on_file = reading.chip_key(animal.microchip)
    if not chip:
        # A chip is scanned into whichever field has the cursor.
        for _, typed_key, _ in orphan.ids:
            if on_file and len(on_file) >= 9 and typed_key == on_file:
                return Judged("microchip", AGREE, MICROCHIP["exact"], "typed as the id", EXACT)
        return NOTHING["microchip"]
    if chip == on_file and chip not in orphan.around.shared_ids:
        return Judged("microchip", AGREE, MICROCHIP["exact"], "", EXACT)
    if chip == on_file:
        why = orphan.around.shared_ids[chip]
        return Judged("microchip", NOT_GIVEN, 0.0, why)
    if len(chip) < 9 or len(on_file) < 9:
        return Judged("microchip", NOT_GIVEN, 0.0, "only part of it")
    return Judged("microchip", CONFLICT, MICROCHIP["differs"], "differs", DIFFERS)


def owner_id(orphan: Orphan, animal: OnFile, surname_bits: float) -> Judged:
    typed = orphan.said("owner_id")
    if not typed or not animal.owner_id:
        return NOTHING["owner_id"]
    if reading.is_placeholder(typed):
        return Judged("owner_id", NOT_GIVEN, 0.0, "placeholder, ignored")
    if reading.same_id(typed, animal.owner_id):
        # It says of the surname what the surname says already.
        bits = max(0.0, OWNER_ID["exact"] - max(0.0, surname_bits))
        return Judged("owner_id", AGREE, bits, "", EXACT)
    if any(typed_in == "owner_id" for typed_in, _, _ in orphan.ids) and reading.same_id(
        typed, animal.patient_id
    ):
        return NOTHING["owner_id"]
    return Judged("owner_id", CONFLICT, OWNER_ID["differs"], "differs", DIFFERS)

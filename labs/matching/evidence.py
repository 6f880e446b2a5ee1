"""What each field says for and against one animal, in bits (log2 of how much likelier it looks so
where it is the right one): its names (naming), its ids (numbers), the animal itself (traits) and
whether it was here (presence). Pure.

What is absent on either side is never evidence, and neither is a placeholder or a shared id.
"""

from __future__ import annotations

from labs.matching import numbers, presence, traits
from labs.matching.hypotheses import Reading
from labs.matching.naming import best_reading
from labs.matching.sides import Judged, OnFile, Orphan


def judge(orphan: Orphan, animal: OnFile) -> tuple[Reading, list[Judged], float]:
    """The best way to read the names, every field's judgement, and the bits of all together."""
    ident, typed_in = numbers.patient_id(orphan, animal)
    way, name, owner, bits = best_reading(orphan, animal, typed_in)
    judged = [
        name,
        owner,
        ident,
        numbers.microchip(orphan, animal),
        numbers.owner_id(orphan, animal, owner.bits),
        traits.species(orphan, animal),
        traits.sex(orphan, animal),
        traits.breed(orphan, animal),
        traits.age(orphan, animal),
        traits.weight(orphan, animal),
        presence.seen(orphan, animal),
        presence.tests(animal),
        presence.doctor(orphan, animal),
    ]
    if animal.deceased:
        judged.append(traits.deceased(orphan, animal))
    return way, judged, bits + sum(each.bits for each in judged[2:])

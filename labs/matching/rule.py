"""Rule A: when a result may be attached without a person. The rule is data: each clause has the
sentence that the screen shows, and the test that decides; there is no other text and no other rule.
Pure. It is off until a clinic switches it on (shadow first)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rapidfuzz.distance import OSA

from labs.matching import reading
from labs.matching.hypotheses import TYPED
from labs.matching.names import DIFFERS, EXACT, NEAR, WEAK, edits
from labs.matching.score import Ranking, Scored, identifiers
from labs.matching.sides import AGREE, CLOSE, CONFLICT, OnFile, name_key, surname_key
from labs.matching.weights import AUTOMATIC_MARGIN, AUTOMATIC_PROBABILITY

VERSION = "rule-a-3"
# Names typed for runs that are no animal's.
CONTROLS = frozenset({"test", "qc", "control", "water", "calibration", "calibrator", "blank"})
TEXT_CATEGORIES = ("microbiology", "pathology", "cytology", "histology", "culture")
CONTROLLED = ("drug", "doping", "forensic", "legal", "controlled")
HERDS = frozenset({"horse", "cattle", "sheep", "goat", "pig", "herd"})


@dataclass(frozen=True, kw_only=True)
class Case:
    """What the rule looks at. `namesakes` are the other animals whose name is nearly the first
    one's own, with nearly its owner's name or in its household, the deceased ones too. The rest is
    what is known of the orphan and the clinic at this moment.

    `other_location` is never true today: a clinic is one place, it has no locations below it, and
    animals of another clinic are not looked at in the first place (I3). Where clinics get several,
    the clause holds from the first day."""

    ranking: Ranking
    namesakes: tuple[OnFile, ...] = ()
    critical: bool = False
    categories: tuple[str, ...] = ()
    refused: frozenset[int] = frozenset()
    unmatched_before: bool = False
    identity_changed: bool = False
    contradicts_request: bool = False
    made_for_this: frozenset[int] = frozenset()
    import_running: bool = False
    model_changed_today: bool = False
    merged: frozenset[int] = frozenset()
    several_animals: bool = False
    other_location: bool = False
    open_requests: int = 0

    @property
    def first(self) -> Scored | None:
        return self.ranking.found[0] if self.ranking.found else None

    @property
    def typed(self) -> Mapping[str, str]:
        return self.ranking.orphan.typed


@dataclass(frozen=True, kw_only=True)
class Clause:
    """`broken` is asked only where there is a first candidate."""

    key: str
    sentence: str
    broken: Callable[[Case, Scored], bool]


def _no_number(case: Case, first: Scored) -> bool:
    return first.of("patient_id").level != EXACT and first.of("microchip").level != EXACT


def _name_is_not_the_same(case: Case, first: Scored) -> bool:
    return first.of("patient_name").level not in (EXACT, NEAR)


def _id_is_nobodys(case: Case, first: Scored) -> bool:
    """Something was typed as an id that is none, or is shared, or another animal's."""
    return bool(case.typed.get("patient_id", "")) and first.of("patient_id").level != EXACT


def _id_of_another(case: Case, first: Scored) -> bool:
    return any(
        each.of("patient_id").level == EXACT or each.of("microchip").level == EXACT
        for each in case.ranking.found[1:]
    )


def _differs(case: Case, first: Scored) -> bool:
    return any(each.sign == CONFLICT for each in first.judged)


def _another_here(case: Case, first: Scored) -> bool:
    """Two Bellas are in the house, and the id was left over from the run of the other one: name and
    id agree, and it is the wrong animal. Where nobody enters visits, any of that name may be."""
    told_apart = {"owner", "age"} & set(identifiers(first))
    both = first.of("patient_id").level == EXACT and first.of("microchip").level == EXACT
    if told_apart or both:
        return False
    known = case.ranking.orphan.around.visits_known
    return any(
        each.of("patient_name").level not in ("", DIFFERS, WEAK)
        and (each.of("seen").sign in (AGREE, CLOSE) or not known)
        for each in case.ranking.found[1:]
    )


def _too_close(case: Case, first: Scored) -> bool:
    return case.ranking.margin < AUTOMATIC_MARGIN


def _control(case: Case, first: Scored) -> bool:
    words = set()
    for key in ("patient_name", "patient_id", "owner_last_name"):
        words |= set(reading.plain(case.typed.get(key, "")).split())
    return bool(words & CONTROLS)


def _of_kind(case: Case, kinds: tuple[str, ...]) -> bool:
    said = [category.casefold() for category in case.categories]
    return any(kind in category for kind in kinds for category in said)


REQUIRED = (
    Clause(
        key="number",
        sentence="A request's number, or the animal's own id or microchip, was typed exactly.",
        broken=_no_number,
    ),
    Clause(
        key="name",
        sentence="The animal's name was typed too, exactly or nearly.",
        broken=_name_is_not_the_same,
    ),
    Clause(
        key="probable",
        sentence=f"It is at least {AUTOMATIC_PROBABILITY:.1%} probable.",
        broken=lambda case, first: first.probability < AUTOMATIC_PROBABILITY,
    ),
)

NEVER = (
    Clause(
        key="id",
        sentence="Never where the id is a placeholder, shared, or not this animal's.",
        broken=_id_is_nobodys,
    ),
    Clause(
        key="id_of_another",
        sentence="Never where the id or microchip typed is another animal's.",
        broken=_id_of_another,
    ),
    Clause(
        key="conflict",
        sentence="Never where anything typed contradicts the record: species, sex, birth date, "
        "age, weight, owner, doctor, or the animal is deceased.",
        broken=_differs,
    ),
    Clause(
        key="deceased",
        sentence="Never onto a deceased animal.",
        broken=lambda case, first: first.animal.deceased,
    ),
    Clause(
        key="merged",
        sentence="Never onto an animal of which two records were merged, also where that was taken "
        "back.",
        broken=lambda case, first: first.animal.key in case.merged,
    ),
    Clause(
        key="location",
        sentence="Never onto an animal of another location.",
        broken=lambda case, first: case.other_location,
    ),
    Clause(
        key="namesake",
        sentence="Never where another animal has nearly the same name and owner, or one of the "
        "same household nearly the same name, be it deceased.",
        broken=lambda case, first: bool(case.namesakes),
    ),
    Clause(
        key="another_here",
        sentence="Never where another animal of nearly the same name was here too, or may have "
        "been, and neither owner, birth date nor a second number tells them apart.",
        broken=_another_here,
    ),
    Clause(
        key="tie",
        sentence="Never where two fit equally well.",
        broken=lambda case, first: first.tied,
    ),
    Clause(
        key="margin",
        sentence=f"Never with less than {AUTOMATIC_MARGIN:.0f} points between the first and the "
        "next, or between the first and “not in our records”.",
        broken=_too_close,
    ),
    Clause(
        key="reading",
        sentence="Never where names were read otherwise than as typed, or the id stood in another "
        "field.",
        broken=lambda case, first: (
            first.way.key != TYPED
            or "typed as" in first.of("patient_id").note
            or "typed as" in first.of("microchip").note
        ),
    ),
    Clause(
        key="critical",
        sentence="Never with a critical value.",
        broken=lambda case, first: case.critical,
    ),
    Clause(
        key="text",
        sentence="Never for microbiology, cytology or pathology.",
        broken=lambda case, first: _of_kind(case, TEXT_CATEGORIES),
    ),
    Clause(
        key="controlled",
        sentence="Never for controlled or legal tests.",
        broken=lambda case, first: _of_kind(case, CONTROLLED),
    ),
    Clause(
        key="herd",
        sentence="Never for horses and herds.",
        broken=lambda case, first: (
            first.animal.species in HERDS or case.typed.get("species_code", "") in HERDS
        ),
    ),
    Clause(
        key="refused",
        sentence="Never onto an animal that was refused for this result.",
        broken=lambda case, first: first.animal.key in case.refused,
    ),
    Clause(
        key="unmatched",
        sentence="Never where a match of this result was taken back.",
        broken=lambda case, first: case.unmatched_before,
    ),
    Clause(
        key="changed",
        sentence="Never where a later version names the animal otherwise.",
        broken=lambda case, first: case.identity_changed,
    ),
    Clause(
        key="contradicts",
        sentence="Never where the result contradicts the request it was sent for.",
        broken=lambda case, first: case.contradicts_request,
    ),
    Clause(
        key="several",
        sentence="Never where the message may hold more than one animal.",
        broken=lambda case, first: case.several_animals,
    ),
    Clause(
        key="request",
        sentence="Never where more than one open request of the animal waits for these tests.",
        broken=lambda case, first: case.open_requests > 1,
    ),
    Clause(
        key="new",
        sentence="Never onto a patient that was added for this same result in the last 24 hours.",
        broken=lambda case, first: first.animal.key in case.made_for_this,
    ),
    Clause(
        key="import",
        sentence="Never while patients are being imported.",
        broken=lambda case, first: case.import_running,
    ),
    Clause(
        key="model",
        sentence="Never on the day on which the way of scoring changed.",
        broken=lambda case, first: case.model_changed_today,
    ),
    Clause(
        key="control",
        sentence="Never for quality control, calibration or tests of the analyzer.",
        broken=_control,
    ),
)


def automatic(case: Case) -> tuple[bool, tuple[str, ...]]:
    """Whether it may be attached to the first candidate without a person, and the sentences of the
    clauses that speak against it."""
    first = case.first
    if first is None:
        return False, ("Nobody was found.",)
    against = tuple(clause.sentence for clause in (*REQUIRED, *NEVER) if clause.broken(case, first))
    return not against, against


def sentences() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The rule in words: what is required, and what it never does."""
    return (
        tuple(clause.sentence for clause in REQUIRED),
        tuple(clause.sentence for clause in NEVER),
    )


def nearly(one: str, other: str) -> bool:
    """Whether two names in plain text are so near that a person could take one for the other, one
    of which may be a part of the other: who is Smith-Jones is called Jones."""
    words, others = set(one.split()), set(other.split())
    if words and others and (words <= others or others <= words):
        return True
    one, other = one.replace(" ", ""), other.replace(" ", "")
    if not one or not other:
        return False
    most = min(edits(len(one)), edits(len(other)))
    short = min(len(one), len(other)) >= 3 and (one.startswith(other) or other.startswith(one))
    return short or OSA.distance(one, other, score_cutoff=most) <= most


def namesakes_of(first: OnFile, others: Mapping[int, OnFile]) -> tuple[OnFile, ...]:
    """Those of `others` (by key) that a person could take for `first`."""
    found = []
    for key, other in others.items():
        if key == first.key or not nearly(name_key(first), name_key(other)):
            continue
        household = first.household is not None and other.household == first.household
        unowned = not surname_key(first) or not surname_key(other)
        if household or unowned or nearly(surname_key(first), surname_key(other)):
            found.append(other)
    return tuple(found)

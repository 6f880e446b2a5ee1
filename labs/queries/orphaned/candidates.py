"""Whose result might this be: the animals of the orphan's clinic, best first, each set beside what
was typed. A fixed number of statements, however many animals there are."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import Q
from django.utils import timezone

from labs.matching import score, words
from labs.matching.compare import Comparison
from labs.matching.score import Ranking, Scored
from labs.matching.sides import AGREE, CLOSE, OnFile
from labs.models import (
    LabRequest,
    Panel,
    Patient,
    RequestState,
    TestRun,
    TestState,
    UnmatchedResult,
)
from labs.queries.orphaned.candidate_search import Gathered, gather
from labs.queries.orphaned.on_file import weights_of
from labs.queries.registry.patients import merged_words
from labs.quick import Records
from labs.services.intake.panels import panel_of

SHOWN = 8
PANELS = Records(Panel.objects.all())


@dataclass(frozen=True, kw_only=True)
class Target:
    """An open request of a candidate that waits for at least one of the orphan's tests."""

    request: LabRequest
    tests: str


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """`why` is one sentence, `separates` what tells it from the first; `tied`: another one fits as
    well. `probability` is for the record, people are shown the grade's word."""

    patient: Patient
    comparison: Comparison
    scored: Scored
    targets: tuple[Target, ...] = ()
    chosen: bool = False
    suggested: bool = False
    why: str = ""
    separates: str = ""

    @property
    def grade(self) -> str:
        return self.scored.grade

    @property
    def tied(self) -> bool:
        return self.scored.tied

    @property
    def probability(self) -> float:
        return self.scored.probability

    @property
    def evidence(self) -> dict[str, Any]:
        """What a decision keeps."""
        return self.comparison.as_json() | {
            "grade": self.grade,
            "probability": round(self.probability, 6),
            "tied": self.tied,
            "blocked": list(self.scored.blocked),
            "why": self.why,
        }

    @property
    def surname(self) -> str:
        owner = self.patient.owner
        return (owner.last_name or owner.first_name) if owner else ""

    @property
    def identifiers(self) -> str:
        """What stands on the button: `Bella, Smith, P-10482`."""
        parts = (self.patient.name, self.surname, self.patient.patient_id)
        return ", ".join(part for part in parts if part)

    @property
    def must_type_name(self) -> bool:
        return bool(self.comparison.serious)

    @property
    def seen_key(self) -> str:
        """What of the animal's record a person decides by; it must still read so when they do."""
        patient = self.patient
        parts = (patient.name, self.surname, patient.patient_id, patient.species)
        return "|".join((*parts, patient.sex, str(patient.deceased), patient.microchip))


@dataclass(frozen=True, kw_only=True)
class Ranked:
    """Best first. `nobody`: how probable it is that the animal is not in the records."""

    found: list[Candidate]
    ranking: Ranking
    nobody: float

    @property
    def nobody_words(self) -> str:
        return words.nobody(self.nobody)


def candidates_for(
    unmatched: UnmatchedResult, *, runs: Iterable[TestRun], chosen: UUID | None = None
) -> list[Candidate]:
    """The animals of `rank`."""
    return rank(unmatched, runs=runs, chosen=chosen).found


def rank(
    unmatched: UnmatchedResult, *, runs: Iterable[TestRun], chosen: UUID | None = None
) -> Ranked:
    """At most eight, best first: the one that a person chose by search, then the patient of the
    request that a conflict was sent for, then by evidence. An animal for which nothing speaks is
    no candidate.

    `unmatched` comes with its clinic and suggested request. `chosen` of another clinic is ignored.
    """
    runs = list(runs)
    suggested = _suggested(unmatched)
    covered = _covered(runs)
    wanted = _named(unmatched, chosen) if chosen is not None else None
    gathered = _gathered(unmatched, runs, covered, wanted)
    ranking = _ranking(unmatched, gathered)
    best = [each for each in ranking.found if speaks_for(ranking, each)][:SHOWN]
    named = [each for each in ranking.found if each.animal.key in gathered.asked_for]
    scored = {each.animal.key: each for each in (*best, *named)}
    patients = _patients(scored, unmatched)
    kilos = weights_of(list(patients), gathered.orphan.today)
    waiting = {key for key, each in scored.items() if each.animal.open_request or key == suggested}
    requests = _open_requests(unmatched, waiting) if waiting else []
    found = []
    for key, each in scored.items():
        patient = patients.get(key)
        if patient is None:
            continue  # deleted meanwhile
        each = replace(each, animal=_in_words(each.animal, patient, kilos.get(key), unmatched))
        own = [request for request in requests if request.patient_id == key]
        found.append(
            Candidate(
                patient=patient,
                comparison=each.compared(gathered.orphan, _seen_words(each.animal, unmatched)),
                scored=each,
                targets=_targets(own, covered, unmatched),
                chosen=key == wanted,
                suggested=key == suggested,
                why=words.why(ranking, each),
            )
        )
    found.sort(key=lambda c: (not c.chosen, not c.suggested))
    return Ranked(found=separated(found[:SHOWN]), ranking=ranking, nobody=ranking.nobody)


def ranking_of(unmatched: UnmatchedResult, *, runs: Iterable[TestRun]) -> Ranking:
    """The bare ranking of `rank`, with nothing read for a screen."""
    runs = list(runs)
    return _ranking(unmatched, _gathered(unmatched, runs, _covered(runs), None))


def _covered(runs: Iterable[TestRun]) -> list[Panel]:
    """The panels that the runs are of."""
    ordered = PANELS.all()
    return [panel for run in runs if (panel := panel_of(run, ordered)) is not None]


def _gathered(
    unmatched: UnmatchedResult, runs: list[TestRun], covered: list[Panel], chosen: int | None
) -> Gathered:
    panels = frozenset(panel.pk for panel in covered)
    return gather(unmatched, runs, panels, suggested=_suggested(unmatched), chosen=chosen)


def _ranking(unmatched: UnmatchedResult, gathered: Gathered) -> Ranking:
    return score.rank(
        gathered.orphan,
        gathered.animals,
        among_equals=_shuffled(unmatched.uuid.hex),
        keep=gathered.asked_for,
    )


def beside(others: Iterable[Candidate]) -> list[dict[str, Any]]:
    """What a decision keeps of those that stood beside the chosen one."""
    return [
        {
            "patient": str(other.patient.uuid),
            "points": other.comparison.points,
            "probability": round(other.probability, 6),
            "grade": other.grade,
            "separates": other.separates,
        }
        for other in others
    ]


def speaks_for(ranking: Ranking, each: Scored) -> bool:
    """Whether anything that was typed speaks for it, and not only a visit or its species; where
    nothing was typed that names an animal, its visit and no contradiction."""
    if not ranking.orphan.named:
        return each.of("seen").sign == AGREE and not each.conflicts
    return any(
        judged.sign in (AGREE, CLOSE)
        for judged in each.judged
        if judged.key in ("patient_name", "owner", "patient_id", "microchip", "owner_id")
    )


def _named(unmatched: UnmatchedResult, chosen: UUID) -> int | None:
    """The key of the record that stands for the one that a person chose; None where it is none of
    this clinic's."""
    rows = Patient.objects.filter(clinic=unmatched.clinic_id, uuid=chosen)
    found = rows.values_list("pk", "merged_into").first()
    return found and (found[1] or found[0])


def _shuffled(seed: str) -> Callable[[OnFile], str]:
    """An order among those that fit equally well that says nothing of them, and stays."""
    return lambda animal: hashlib.sha256(f"{seed} {animal.key}".encode()).hexdigest()


def _patients(keys: Iterable[int], unmatched: UnmatchedResult) -> dict[int, Patient]:
    """One statement."""
    rows = Patient.objects.filter(pk__in=list(keys), clinic=unmatched.clinic)
    rows = rows.select_related("owner").annotate(merged_words=merged_words())
    return {patient.pk: patient for patient in rows}


def _in_words(animal: OnFile, patient: Patient, kg: Any, unmatched: UnmatchedResult) -> OnFile:
    """With what the screen says of it."""
    came = unmatched.created_at.astimezone(unmatched.clinic.zone).date()
    return replace(
        animal,
        species_words=patient.get_species_display(),
        sex_words=patient.sex_words,
        age_words=patient.age_words(came),
        weight_kg=animal.weight_kg or kg,
    )


def _suggested(unmatched: UnmatchedResult) -> int | None:
    """The animal of the request that it was sent for, or of the emergency code that it carries."""
    if unmatched.suggested_request is not None:
        return unmatched.suggested_request.patient_id
    return unmatched.emergency.patient_id if unmatched.emergency is not None else None


def separated(found: list[Candidate]) -> list[Candidate]:
    """Each after the first says what tells it from the first."""
    return found[:1] + [
        replace(each, separates=words.apart(found[0].scored, each.scored)) for each in found[1:]
    ]


def _open_requests(unmatched: UnmatchedResult, patients: Iterable[int]) -> list[LabRequest]:
    """Three statements: requests, their tests, and the tests' panels."""
    wanted = ~Q(state__in=[RequestState.DRAFT, RequestState.COMPLETE, RequestState.CANCELLED])
    if unmatched.suggested_request_id is not None:
        wanted |= Q(pk=unmatched.suggested_request_id, cancelled_at=None)
    return list(
        LabRequest.objects.filter(
            wanted,
            clinic=unmatched.clinic,
            patient__in=list(patients),
        ).prefetch_related("tests__panel")
    )


def _targets(
    requests: Iterable[LabRequest], covered: Iterable[Panel], unmatched: UnmatchedResult
) -> tuple[Target, ...]:
    panels = {panel.pk for panel in covered}
    closed = {TestState.COMPLETE, TestState.REFUSED, TestState.CANCELLED}
    found = []
    for request in requests:
        tests = [
            test.panel.name
            for test in request.tests.all()
            if test.panel_id in panels
            # The request that a conflict was sent for may be right although its test has a result.
            and (test.state not in closed or request.pk == unmatched.suggested_request_id)
        ]
        if tests:
            found.append(Target(request=request, tests=", ".join(tests)))
    return tuple(found)


def _seen_words(animal: OnFile, unmatched: UnmatchedResult) -> str:
    zone = unmatched.clinic.zone
    today = timezone.now().astimezone(zone)
    if animal.last_seen is None or animal.last_seen > today + timedelta(days=1):
        return ""
    seen = animal.last_seen.astimezone(zone)
    if seen.date() == today.date():
        return f"today {seen:%H:%M}"
    if seen.date() == today.date() - timedelta(days=1):
        return f"yesterday {seen:%H:%M}"
    return f"{seen.day} {seen:%b %Y}"

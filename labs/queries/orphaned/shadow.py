"""Automatic matching in shadow: what rule A would have done, beside what people did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from labs.matching.rule import sentences
from labs.models import Automatic, Clinic, MatchDecision, UnmatchedResult
from labs.queries.orphaned import automatic, candidates, orphans

# So many decisions of people must agree, and none disagree, before a clinic may let it act.
NEEDED = 300


@dataclass(frozen=True, kw_only=True)
class Shadow:
    """`differ`: it would have attached to another animal than a person did, or the match that it
    agreed with was taken back; `silent`: it would have left it to a person."""

    agree: int
    differ: int
    silent: int
    needed: int = NEEDED

    @property
    def proven(self) -> bool:
        return self.agree >= NEEDED and not self.differ


def judged(unmatched: UnmatchedResult) -> dict[str, Any]:
    """For the evidence of a person's match, before it is made; empty where the clinic has it off.
    `patient`: to whom rule A would have attached it by itself, or None."""
    if unmatched.clinic.automatic == Automatic.OFF:
        return {}
    runs = orphans.runs_of(unmatched)
    ranked = candidates.rank(unmatched, runs=runs)
    alone, against = automatic.would_be(unmatched, runs, ranked)
    first = str(ranked.found[0].patient.uuid) if alone and ranked.found else None
    return {"shadow": {"patient": first, "against": list(against), "model": automatic.MODEL}}


def shadow(clinic: Clinic) -> Shadow | None:
    """One statement; None where it is off. Counted since it was last switched, and only what was
    noted with the way of scoring that stands now: another one has proven nothing."""
    if clinic.automatic == Automatic.OFF:
        return None
    agree = differ = silent = 0
    rows = MatchDecision.objects.filter(
        unmatched__clinic=clinic,
        action=MatchDecision.Action.MATCH,
        method=MatchDecision.Method.PERSON,
        evidence__shadow__model=automatic.MODEL,
    )
    if clinic.automatic_since is not None:
        rows = rows.filter(at__gte=clinic.automatic_since)
    for active, patient, said in rows.values_list("active", "patient__uuid", "evidence__shadow"):
        if said["patient"] is None:
            silent += 1
        elif active and said["patient"] == str(patient):
            agree += 1
        else:
            differ += 1
    return Shadow(agree=agree, differ=differ, silent=silent)


def rule() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What it requires and what it never does, in the sentences of the rule itself."""
    return sentences()

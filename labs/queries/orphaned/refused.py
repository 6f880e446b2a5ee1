"""Which animals an unmatched result is not proposed for again: that match was taken back."""

from __future__ import annotations

from django.db.models import Q

from labs.models import MatchDecision, UnmatchedResult
from labs.report import Identity
from labs.services.intake.identity import differs
from labs.services.orphaned.decisions import SEPARATED

Action = MatchDecision.Action


def refused(unmatched: UnmatchedResult) -> dict[int, MatchDecision]:
    """By the animal's primary key the decision that took the match back, with its actor and
    patient; of a record that was merged away it is the other one that is refused. One statement.

    Also of what the laboratory sent under the same report id, unless that speaks of another animal:
    a later version that became a result of its own. A match that was made anew since refuses
    nothing, nor does one from before the report was split: either half may be that animal's.
    """
    # One or the other, never "or": with both in one statement no index serves, and every decision
    # that the clinic ever made was read for one page, 0.1 s. The report's id finds itself, too.
    rows = Q(unmatched=unmatched)
    if unmatched.external_id:
        rows = Q(
            unmatched__clinic=unmatched.clinic_id,
            unmatched__vendor=unmatched.vendor,
            unmatched__external_id=unmatched.external_id,
        )
    found: dict[int, MatchDecision] = {}
    typed = Identity(**unmatched.typed)
    first = unmatched.split_from_id or unmatched.pk
    for decision in (
        MatchDecision.objects.filter(rows, action__in=[Action.MATCH, Action.UNMATCH, Action.SPLIT])
        .select_related("actor", "patient__owner", "unmatched")
        .order_by("pk")
    ):
        other = decision.unmatched
        if other != unmatched:
            same_report = first == (other.split_from_id or other.pk)
            if same_report or differs(other.typed, typed):
                continue
        if decision.action == Action.SPLIT:
            found.clear()
            continue
        if decision.patient is None:
            continue
        animal = decision.patient.merged_into_id or decision.patient.pk
        if decision.action == Action.UNMATCH and SEPARATED not in decision.evidence:
            found[animal] = decision
        else:
            found.pop(animal, None)
    return found

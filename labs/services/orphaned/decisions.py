"""What a decision about an unmatched result comes to: one row in the history, one in the audit; and
of two people who act at once, one wins and the other is told who."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models import F

from labs.errors import InvalidInput, Stale
from labs.models import LabRequest, MatchDecision, Patient, UnmatchedResult, UnmatchedState
from labs.services.events import record
from labs.services.orphaned import automatic_switch

if TYPE_CHECKING:
    from django.contrib.auth.models import User


# In the evidence of a match that is taken back because two records were separated: nobody has said
# that it is not that animal's, only that it has to be looked at.
SEPARATED = "separated"


def claim(
    unmatched: UnmatchedResult,
    expected_version: int,
    *,
    from_states: list[UnmatchedState],
    to_state: UnmatchedState,
) -> None:
    """Compare and set in one statement, on SQLite and PostgreSQL alike."""
    changed = UnmatchedResult.objects.filter(
        pk=unmatched.pk, version=expected_version, state__in=from_states
    ).update(state=to_state, version=F("version") + 1)
    if changed == 1:
        unmatched.refresh_from_db()
        return
    now = UnmatchedResult.objects.get(pk=unmatched.pk)
    last = now.decisions.select_related("actor").last()
    who = last.actor.get_username() if last and last.actor else "somebody"
    if now.version != expected_version:
        raise Stale(
            f"{who} changed this result in the meantime (now {now.get_state_display().lower()}), "
            "or a new message came for it. Look at it again before you decide."
        )
    raise InvalidInput(f"This result is {now.get_state_display().lower()}.")


def decide(
    unmatched: UnmatchedResult,
    action: MatchDecision.Action,
    actor: User | None,
    reason: str,
    *,
    active: bool = False,
    patient: Patient | None = None,
    request: LabRequest | None = None,
    evidence: dict[str, Any] | None = None,
    source: str = "command",
    method: MatchDecision.Method = MatchDecision.Method.PERSON,
) -> None:
    """Write it down, in the caller's transaction. Where it speaks against what rule A did or would
    have done, automatic matching goes off for that clinic."""
    automatic_switch.judge(unmatched, action, patient, evidence or {}, acting_user=actor)
    MatchDecision.objects.create(
        unmatched=unmatched,
        action=action,
        active=active,
        patient=patient,
        request=request,
        actor=actor,
        method=method,
        reason=reason[:200],
        evidence=evidence or {},
        against=bool((evidence or {}).get("serious")),
    )
    record(
        f"unmatched.{action}",
        clinic=unmatched.clinic,
        acting_user=actor,
        source=source,
        patient=patient,
        request=request,
        unmatched=unmatched,
        words=reason[:200],
    )

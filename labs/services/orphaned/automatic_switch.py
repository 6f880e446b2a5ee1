"""Automatic matching on and off. On only where shadow has proven it; one disagreement, and it is
off again until shadow has proven it anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils import timezone

from labs import roles
from labs.errors import InvalidInput
from labs.models import Automatic, Clinic, MatchDecision, Patient, UnmatchedResult
from labs.queries.orphaned import shadow
from labs.queries.orphaned.automatic import MODEL
from labs.services.events import record

if TYPE_CHECKING:
    from django.contrib.auth.models import User

Action = MatchDecision.Action


def require_proven(clinic: Clinic, to: str) -> None:
    """Raises InvalidInput, with what is missing, where `to` is on and shadow has not proven it."""
    if to not in Automatic.values:
        raise InvalidInput(f"“{to}” is no way of automatic matching.")
    if to != Automatic.ON:
        return
    stored = Clinic.objects.filter(pk=clinic.pk).first()
    if stored is None or stored.automatic != Automatic.SHADOW:
        raise InvalidInput("Have it tried in shadow first.")
    found = shadow.shadow(stored)
    if found is None or not found.proven:
        agree, differ = (found.agree, found.differ) if found else (0, 0)
        raise InvalidInput(
            f"It is not proven here: {agree} of {shadow.NEEDED} decisions agree, and {differ} "
            "differ, of which there may be none. Once one differs, switch it off and to shadow "
            "again, and the count begins anew."
        )


def switch(*, acting_user: User | None, clinic: Clinic, to: str) -> None:
    """Raises NotAllowed, and InvalidInput as `require_proven`."""
    if acting_user is None or not acting_user.is_superuser:
        roles.require(acting_user, clinic, "administer")
    with transaction.atomic():
        Clinic.objects.select_for_update(no_key=True).get(pk=clinic.pk)
        require_proven(clinic, to)
        clinic.automatic = to
        clinic.automatic_since = timezone.now()
        clinic.automatic_stopped = ""
        fields = ["automatic", "automatic_since", "automatic_stopped"]
        if not clinic.automatic_model:
            clinic.automatic_model = MODEL
            fields.append("automatic_model")
        clinic.save(update_fields=fields)
        record(f"automatic.{to}", clinic=clinic, acting_user=acting_user, source="command")


def note_model(clinic: Clinic) -> None:
    """Remember with which way of scoring this clinic was last served, and when that changed."""
    if clinic.automatic_model == MODEL:
        return
    if clinic.automatic_model:
        clinic.automatic_model_changed = timezone.now()
    clinic.automatic_model = MODEL
    clinic.save(update_fields=["automatic_model", "automatic_model_changed"])


def judge(
    unmatched: UnmatchedResult,
    action: str,
    patient: Patient | None,
    evidence: dict[str, Any],
    *,
    acting_user: User | None,
) -> None:
    """Called with each decision before it is written: whether it says that the rule was wrong. That
    is a person's match to another animal than the rule's, and the taking back of what the rule
    attached or agreed with."""
    if action == Action.MATCH:
        said = evidence.get("shadow", {}).get("patient")
        if said is None or patient is None or said == str(patient.uuid):
            return
        why = "A person matched a result to another animal than the rule would have."
    elif action == Action.UNMATCH:
        last = unmatched.decisions.filter(action=Action.MATCH).select_related("patient").last()
        if last is None:
            return
        agreed = last.evidence.get("shadow", {}).get("patient")
        if last.method == MatchDecision.Method.AUTO:
            why = "An automatic match was taken back."
        elif last.patient is not None and agreed == str(last.patient.uuid):
            why = "A match that the rule agreed with was taken back."
        else:
            return
    else:
        return
    changed = Clinic.objects.filter(pk=unmatched.clinic_id, automatic=Automatic.ON).update(
        automatic=Automatic.OFF, automatic_since=timezone.now(), automatic_stopped=why
    )
    if changed:
        record(
            "automatic.stopped",
            clinic=unmatched.clinic,
            acting_user=acting_user,
            source="command",
            unmatched=unmatched,
            reason=why,
        )

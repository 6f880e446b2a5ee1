"""Matches that a person made although something contradicts them, until a second one has looked."""

from __future__ import annotations

from typing import Any

from django.db.models import Exists, OuterRef, QuerySet

from labs.models import MatchDecision

Action = MatchDecision.Action


def to_check(clinic_id: Any) -> QuerySet[MatchDecision]:
    """Of a clinic those that stand and that nobody but the matcher has looked at, however old."""
    checked = MatchDecision.objects.filter(
        unmatched=OuterRef("unmatched"), action=Action.CHECK, pk__gt=OuterRef("pk")
    )
    return MatchDecision.objects.filter(
        ~Exists(checked), unmatched__clinic=clinic_id, against=True, active=True
    ).select_related("patient", "request")

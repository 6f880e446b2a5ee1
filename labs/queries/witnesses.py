"""Who may have acted on results of a request: whoever has viewed, printed or signed them there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from labs.models import LabEvent, LabRequest, Review
from labs.services.viewing import PRINTED, SENT, VIEWED

WORDS = {VIEWED: "viewed", PRINTED: "printed", SENT: "sent to the owner"}


@dataclass(frozen=True, kw_only=True)
class Witness:
    """`did`: viewed, printed or signed; `at`: the last time."""

    who: str
    did: str
    at: datetime


def witnesses(request: LabRequest | None, since: datetime) -> list[Witness]:
    """Two statements. Signed first, then printed, then viewed; each person once for each."""
    if request is None:
        return []
    events = LabEvent.objects.filter(request=request, verb__in=WORDS, at__gte=since)
    reviews = Review.objects.filter(run__request=request, reviewed_at__gte=since)
    found: dict[tuple[str, str], datetime] = {}
    for review in reviews.select_related("reviewed_by").order_by("reviewed_at"):
        found[("signed", _name(review.reviewed_by))] = review.reviewed_at
    for event in events.select_related("actor").order_by("pk"):
        found[(WORDS[event.verb], _name(event.actor))] = event.at
    order = ["signed", "sent to the owner", "printed", "viewed"]
    return sorted(
        (Witness(who=who, did=did, at=at) for (did, who), at in found.items()),
        key=lambda witness: (order.index(witness.did), witness.who),
    )


def _name(user: Any) -> str:
    return user.get_full_name() or str(user.get_username())

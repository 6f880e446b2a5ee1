"""Who may have acted on results of a request: whoever has viewed, printed or signed them there, or
has seen them on the animal's record or in its trends."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any, Self

from django.db.models import Q

from labs.models import LabEvent, LabRequest, Patient, Review
from labs.services.reviews.viewing import PATIENT_VIEWED, PRINTED, SENT, TRENDS_VIEWED, VIEWED

# The gravest first.
WORDS = {SENT: "sent it to the owner", PRINTED: "printed it", VIEWED: "viewed it"}
BESIDE = {PATIENT_VIEWED: "saw it on the record", TRENDS_VIEWED: "saw it in the trends"}
ORDER = ["signed it", *WORDS.values(), *BESIDE.values()]


@dataclass(frozen=True, kw_only=True)
class Witness:
    """`did`: signed it, printed it …; `at`: the last time."""

    who: str
    did: str
    at: datetime
    user: int | None = None

    def words(self, zone: tzinfo) -> str:
        return f"{self.who} {self.did} {self.at.astimezone(zone):%-d %b %H:%M}"

    def as_json(self) -> dict[str, Any]:
        """For the decision that took the match back."""
        return {"who": self.who, "did": self.did, "at": self.at.isoformat(), "user": self.user}

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> Self:
        return cls(**kept | {"at": datetime.fromisoformat(kept["at"])})


def witnesses(request: LabRequest | None, since: datetime) -> list[Witness]:
    """Two statements. In the order of `ORDER`; each person once for each."""
    if request is None:
        return []
    reviews = list(
        Review.objects.filter(run__request=request, reviewed_at__gte=since)
        .select_related("reviewed_by")
        .order_by("reviewed_at")
    )
    # Whoever may see signed results alone has seen none before that.
    # On the record that it was on before a merge, too.
    key = request.patient_id
    records = Patient.objects.filter(Q(pk=key) | Q(merged_into=key)).order_by().values("pk")
    seen = Q(patient__in=records, verb__in=BESIDE, data__only_reviewed=False)
    if reviews:
        seen |= Q(patient__in=records, verb__in=BESIDE, at__gte=reviews[0].reviewed_at)
    events = LabEvent.objects.filter(Q(request=request, verb__in=WORDS) | seen, at__gte=since)
    found: dict[tuple[str, Any], datetime] = {}
    for review in reviews:
        found[("signed it", review.reviewed_by)] = review.reviewed_at
    for event in events.select_related("actor").order_by("pk"):
        found[((WORDS | BESIDE)[event.verb], event.actor)] = event.at
    return sorted(
        (
            Witness(who=_name(user), did=did, at=at, user=user.pk if user else None)
            for (did, user), at in found.items()
        ),
        key=lambda witness: (ORDER.index(witness.did), witness.who),
    )


def _name(user: Any) -> str:
    return user.get_full_name() or str(user.get_username()) if user else "A program"

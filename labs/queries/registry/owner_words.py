"""Where an owner's name, phone or e-mail stands in what people wrote: in notes, in reasons.

Whether a word is the owner's name or only looks like it (“white”, “young”) a program does not know:
each place is shown, and a person says which of them are erased.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db.models import Model, Q

from labs.models import (
    Alarm,
    Attachment,
    EmergencyCode,
    EventWords,
    FollowUp,
    HandOver,
    LabResult,
    MatchDecision,
    Merge,
    OwnerTold,
    Review,
    Specimen,
)

if TYPE_CHECKING:
    from labs.models import Owner
    from labs.queries.registry.owner_data import Held


@dataclass(frozen=True, kw_only=True)
class Place:
    """One text in which words of the owner stand. `pieces`: the text cut up, every second piece one
    of those words."""

    row: Model
    field: str
    what: str
    text: str
    pieces: list[str]

    @property
    def key(self) -> str:
        """Names it in a form."""
        return f"{self.row._meta.model_name}.{self.field}.{self.row.pk}"

    @property
    def longest(self) -> int | None:
        """Characters that its column takes."""
        field: Any = self.row._meta.get_field(self.field)
        longest: int | None = field.max_length
        return longest


def places(found: Held) -> list[Place]:
    """All of them, in the order in which they are shown. A statement for each kind of row."""
    hers = words_of(found.owner)
    if hers is None:
        return []
    return [
        Place(row=row, field=name, what=what, text=text, pieces=hers.split(text))
        for what, rows, names in _written(found)
        for row in rows
        for name in names
        if hers.search(text := getattr(row, name) or "")
    ]


def seen_key(shown: list[Place]) -> str:
    """Of what was shown: what is erased is what somebody has looked at."""
    said = repr([(place.key, place.text) for place in shown])
    return hashlib.sha256(said.encode()).hexdigest()[:32]


def words_of(owner: Owner) -> re.Pattern[str] | None:
    """Whole words only, in one group; a telephone number however it is spaced. None where the owner
    has none."""
    names = [owner.email, owner.last_name, owner.first_name]
    forms = [r"\s+".join(map(re.escape, name.split())) for name in names if name.strip()]
    digits = [c for c in owner.phone if c.isdigit()]
    if len(digits) > 3:
        forms.append(r"[\s./()-]*".join(digits))
    if not forms:
        return None
    return re.compile(rf"(?<!\w)({'|'.join(forms)})(?!\w)", re.IGNORECASE)


def _written(found: Held) -> Iterator[tuple[str, Any, tuple[str, ...]]]:
    """What it is, the rows, and their columns that people fill with words of their own."""
    on_request = Q(request__in=found.requests)
    of_run = Q(run__request__in=found.requests)
    said = Q(event__in=found.events) | Q(event__request__in=found.requests)
    yield "Request", found.requests.order_by("pk"), ("notes", "cancelled_reason")
    yield "Specimen", Specimen.objects.filter(on_request), ("label",)
    yield "What the owner was told", OwnerTold.objects.filter(on_request), ("what",)
    yield "Hand-over", HandOver.objects.filter(on_request), ("note",)
    yield "Follow-up", FollowUp.objects.filter(on_request), ("what", "done_note")
    yield "Alarm", Alarm.objects.filter(of_run), ("note",)
    yield "Review", Review.objects.filter(of_run), ("note",)
    yield "Correction", LabResult.objects.filter(of_run), ("correction_reason",)
    files = Attachment.objects.filter(result__run__request__in=found.requests).defer("content")
    yield "File", files, ("file_name", "description")
    yield "Unmatched result", found.unmatched.order_by("pk"), ("state_reason",)
    matches = Q(unmatched__in=found.unmatched) | on_request
    yield "Match", MatchDecision.objects.filter(matches).distinct(), ("reason",)
    records = Q(merged__in=found.patients) | Q(into__in=found.patients)
    yield "Separated records", Merge.objects.filter(records), ("undone_reason",)
    codes = EmergencyCode.objects.filter(on_request | Q(patient__in=found.patients))
    yield "Emergency code", codes.order_by("pk"), ("note",)
    said |= Q(event__unmatched__in=found.unmatched)
    # What concerns two records is written on both: the same words on the other one's.
    theirs = EventWords.objects.filter(said).order_by().values("text")
    twice = Q(text__in=theirs, event__clinic=found.owner.clinic_id)
    yield "On record", EventWords.objects.filter(said | twice).order_by("pk"), ("text",)

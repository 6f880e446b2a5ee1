"""What people agreed on about a result."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from django.contrib.auth.models import User
from django.utils import timezone

from labs.models import Clinic, FollowUp, HandOver, LabRequest, OwnerTold, Patient
from labs.queries.readings.run_view import RunView
from labs.quick import Given, Records
from labs.services.reviews import escalation

SHOWN = 50


@dataclass(frozen=True, kw_only=True)
class Told:
    """`outdated`: a result of the request came or was corrected since."""

    said: OwnerTold
    outdated: bool


@dataclass(frozen=True, kw_only=True)
class Care:
    """`handed`: to whom the review was given last; None where nobody has."""

    follow_ups: list[FollowUp] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    handed: HandOver | None = None
    staff: list[User] = field(default_factory=list)
    vets: list[User] = field(default_factory=list)

    @property
    def follow_ups_open(self) -> list[FollowUp]:
        return [each for each in self.follow_ups if each.done_at is None]


FOLLOW_UPS = Records(
    FollowUp.objects.filter(request=Given("request")), assigned_to=(), made_by=(), done_by=()
)
TOLD = Records(OwnerTold.objects.filter(request=Given("request")), told_by=())
HANDED = Records(HandOver.objects.filter(request=Given("request"))[:1], given_by=(), given_to=())


def care_of(request: LabRequest, runs: Iterable[RunView]) -> Care:
    """Four statements. `runs` as shown."""
    newest = max((run.current.received_at for run in runs), default=None)
    told = TOLD.all(request=request.pk)
    staff = list(
        escalation.staff_of(request.clinic).select_related("user").order_by("user__last_name", "pk")
    )
    return Care(
        follow_ups=FOLLOW_UPS.all(request=request.pk),
        told=[
            Told(said=said, outdated=newest is not None and newest > said.told_at) for said in told
        ],
        handed=HANDED.first(request=request.pk),
        staff=[place.user for place in staff],
        vets=[place.user for place in staff if place.role == "vet"],
    )


def _due(**whose: Any) -> Records:
    rows = FollowUp.objects.filter(
        clinic=Given("clinic"), done_at=None, due_on__lte=Given("today"), **whose
    )
    return Records(
        rows.order_by("due_on", "pk")[:SHOWN],
        assigned_to=(),
        request=(),
        request__patient=(),
        request__patient__owner=(),
    )


DUE, DUE_OF = _due(), _due(assigned_to=Given("user"))


def follow_ups_due(clinic: Clinic, user: User | None = None) -> list[FollowUp]:
    """Not done, and due today or before by the clinic's clock; of `user` alone, or all. One
    statement."""
    given = {"clinic": clinic.pk, "today": today(clinic)}
    found: list[FollowUp] = DUE.all(**given) if user is None else DUE_OF.all(user=user.pk, **given)
    return found


def follow_ups_of(patient: Patient) -> list[FollowUp]:
    """Not done yet, whenever they are due. One statement."""
    return list(
        FollowUp.objects.filter(request__patient=patient, done_at=None)
        .select_related("assigned_to", "request")
        .order_by("due_on", "pk")[:SHOWN]
    )


def today(clinic: Clinic) -> date:
    return timezone.localdate(timezone=clinic.zone)

"""What people do about a result besides signing it: see to it later, tell the owner, give the
review to a colleague. Each on record, by the person who says so."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from labs import roles
from labs.errors import InvalidInput, Stale
from labs.models import FollowUp, HandOver, LabRequest, OwnerTold
from labs.services.events import record
from labs.services.reviews.escalation import staff_of, vets_of

if TYPE_CHECKING:
    from django.contrib.auth.models import User

LONGEST = 1000
FURTHEST = 5  # years


def follow_up(
    *,
    acting_user: User,
    request: LabRequest,
    what: str,
    assigned_to: User | None,
    due_on: date | None,
) -> FollowUp:
    """Somebody of the clinic sees to that by then. Raises InvalidInput, NotAllowed."""
    roles.require(acting_user, request.clinic, "unreviewed")
    what = " ".join(what.split())
    if not what or len(what) > 200:
        raise InvalidInput("Say in at most 200 characters what is to be done.", field="what")
    if assigned_to is None or not staff_of(request.clinic).filter(user=assigned_to).exists():
        raise InvalidInput("Choose who of the clinic sees to it.", field="person")
    today = timezone.localdate(timezone=request.clinic.zone)
    if due_on is None:
        raise InvalidInput("Give the day by which it is to be done.", field="due_on")
    if due_on < today:
        raise InvalidInput(f"{due_on} is past. Give today or a later day.", field="due_on")
    if due_on.year > today.year + FURTHEST:
        raise InvalidInput(f"Give a day within the next {FURTHEST} years.", field="due_on")
    with transaction.atomic():
        made: FollowUp = FollowUp.objects.create(
            clinic=request.clinic,
            request=request,
            what=what,
            assigned_to=assigned_to,
            due_on=due_on,
            made_by=acting_user,
            made_at=timezone.now(),
        )
        _record("followup.made", request, acting_user, to=assigned_to.pk, due=due_on.isoformat())
    return made


def done(*, acting_user: User, follow_up: FollowUp, note: str = "") -> None:
    """Raises Stale where somebody else was first, NotAllowed."""
    roles.require(acting_user, follow_up.clinic, "unreviewed")
    with transaction.atomic():
        if not FollowUp.objects.filter(pk=follow_up.pk, done_at=None).update(
            done_at=timezone.now(), done_by=acting_user, done_note=note[:200]
        ):
            raise Stale("Somebody has done this already.")
        _record("followup.done", follow_up.request, acting_user, due=follow_up.due_on.isoformat())


def tell_owner(*, acting_user: User, request: LabRequest, what: str) -> OwnerTold:
    """That person told the owner of the animal just now. Raises InvalidInput, NotAllowed."""
    roles.require(acting_user, request.clinic, "unreviewed")
    what = _as_counted(what)
    if not what or len(what) > LONGEST:
        raise InvalidInput(
            f"Say in at most {LONGEST} characters what the owner was told.", field="what"
        )
    if not request.runs.exists():
        raise InvalidInput("Nothing has come yet that an owner could be told.", field="what")
    with transaction.atomic():
        said: OwnerTold = OwnerTold.objects.create(
            clinic=request.clinic,
            request=request,
            what=what,
            version=request.version,
            told_by=acting_user,
            told_at=timezone.now(),
        )
        _record("result.owner_told", request, acting_user, version=request.version)
    return said


def hand_over(
    *, acting_user: User, request: LabRequest, to: User | None, note: str = ""
) -> HandOver:
    """From now on the review is that veterinarian's; every other one may still sign.

    Raises InvalidInput where it is no vet of the clinic or nothing is left to review, NotAllowed.
    """
    roles.require(acting_user, request.clinic, "review")
    if to is None or not vets_of(request.clinic).filter(user=to).exists():
        raise InvalidInput("Choose a veterinarian of this clinic.")
    if request.reviewed_at is not None:
        raise InvalidInput("It is reviewed already, so there is nothing to hand over.")
    with transaction.atomic():
        given: HandOver = HandOver.objects.create(
            clinic=request.clinic,
            request=request,
            given_by=acting_user,
            given_to=to,
            given_at=timezone.now(),
            note=_as_counted(note)[:LONGEST],
        )
        LabRequest.objects.filter(pk=request.pk).update(assigned_to=to)
        _record("review.handed_over", request, acting_user, to=to.pk)
    return given


def _as_counted(text: str) -> str:
    """A browser counts the end of a line as one character and sends two (HTML, "normalize
    newlines"): what just fitted its field would be refused, or lose its end."""
    return text.replace("\r\n", "\n").strip()


def _record(verb: str, request: LabRequest, acting_user: User, **data: object) -> None:
    record(verb, clinic=request.clinic, acting_user=acting_user, request=request, **data)
    # Lists look again; whoever is reading the result is not told that it changed, for it has not.
    LabRequest.objects.filter(pk=request.pk).update(updated_at=timezone.now())

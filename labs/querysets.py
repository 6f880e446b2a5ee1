"""Scope is where loading is: every read on behalf of a person goes through `for_user`."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self

from django.db import models
from django.db.models import Q
from django.utils import timezone

from labs import clock
from labs.errors import AppendOnly

if TYPE_CHECKING:
    from datetime import datetime

    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser


# Named one by one: what a state is not, no index finds, and every page counts these.
OPEN = ("queued", "sent", "accepted", "running", "partial", "needs_attention")
# Of a request in these no result is expected any more.
NOTHING_TO_COME = ("complete", "cancelled")
# An order that the laboratory has not taken by then is said to staff.
UNDELIVERED = timedelta(minutes=15)


def works_now(path: str = "", *, now: Any = None) -> Q:
    """Of a place at a clinic, reached by that lookup: its end, if it has one, is still to come.
    Give it to the same `filter()` as the person, or another colleague's place would do."""
    name = f"{path}__ends_at" if path else "ends_at"
    return Q(**{name: None}) | Q(**{f"{name}__gt": now or timezone.now()})


class ClinicQuerySet(models.QuerySet[Any]):
    """Rows that belong to a clinic. `clinic_path` is the lookup from the row to its clinic."""

    clinic_path = "clinic"

    def for_user(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        """Only rows of clinics in which that user works today; none for an anonymous or disabled
        one."""
        if not user.is_authenticated or not user.is_active:
            return self.none()
        place = f"{self.clinic_path}__membership"
        return self.filter(works_now(place), **{f"{place}__user": user})


class ClinicsQuerySet(models.QuerySet[Any]):
    def for_user(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        if not user.is_authenticated or not user.is_active:
            return self.none()
        return self.filter(works_now("membership"), membership__user=user)


class MembershipQuerySet(ClinicQuerySet):
    def of(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        """A person's own places, as far as they are open to them now."""
        if not user.is_authenticated or not user.is_active:
            return self.none()
        return self.filter(works_now(), user=user)

    def working(self) -> Self:
        """The places of which the end is still to come."""
        return self.filter(works_now())


class RequestQuerySet(ClinicQuerySet):
    def open(self) -> Self:
        """Not yet complete and not given up: a result for one of its tests may still come."""
        return self.filter(state__in=OPEN)

    def needing_a_person(self, *, sent_before: Any = None) -> Self:
        """Refused, held or given up; or not delivered for so long that staff should know, which is
        since `sent_before`."""
        at = sent_before or timezone.now() - UNDELIVERED
        late = Q(submission__first_attempt_at__lt=at) | Q(
            submission__first_attempt_at=None, submission__not_before__lt=at
        )
        return self.filter(Q(state="needs_attention") | Q(late, state__in=["queued", "sent"]))


class UnmatchedQuerySet(ClinicQuerySet):
    def waiting(self) -> Self:
        """Open or held: a person has still to say whose result it is."""
        return self.filter(state__in=["open", "held"])


class SubmissionQuerySet(ClinicQuerySet):
    def due(self, now: datetime | None = None) -> Self:
        """Rows to send now; costs one index range scan of (state, not_before)."""
        return self.filter(state__in=["queued", "unknown"], not_before__lte=now or clock.now())

    def lease_expired(self, now: datetime | None = None) -> Self:
        """Claimed by a worker that never came back, killed or frozen."""
        return self.filter(state="sending", lease_until__lt=now or clock.now())


class MessageQuerySet(ClinicQuerySet):
    def pending(self) -> Self:
        """Stored but not yet filed, unmatched or quarantined; the sweeper files them."""
        return self.filter(direction="in", state="received")


class EmergencyCodeQuerySet(ClinicQuerySet):
    def open(self, now: Any = None) -> Self:
        """Results that carry it are filed by it."""
        return self.filter(closed_at=None, expires_at__gt=now or timezone.now())


class AlarmQuerySet(ClinicQuerySet):
    def open(self) -> Self:
        """Nobody has acknowledged it. Of a result that was dismissed there is none."""
        return self.filter(
            Q(run__request__isnull=False) | Q(run__unmatched__state__in=["open", "held"]), ended=""
        )

    def shown_to(self, user: Any) -> Self:
        """Those of which that person has been told: as the one responsible, or with all others.
        `user`: the primary key."""
        told = self.model.objects.filter(ended="", notices__user=user).values("pk")
        return self.filter(Q(all_at__isnull=False) | Q(pk__in=told))


class AppendOnlyQuerySet(ClinicQuerySet):
    """Rows that are only ever added. Their tables' other writers do not exist."""

    def update(self, **kwargs: Any) -> int:
        raise AppendOnly(self.model._meta.label)

    def delete(self) -> tuple[int, dict[str, int]]:
        raise AppendOnly(self.model._meta.label)

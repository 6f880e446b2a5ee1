"""What people agree on about a result: that somebody looks after it later, that the owner was told,
and who is to review it."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q

from labs.querysets import ClinicQuerySet


class FollowUp(models.Model):
    """Something that a named person sees to by a day, because of a result. Done by whoever says
    so; nothing ever takes it off the list by itself."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    clinic = models.ForeignKey("labs.Clinic", on_delete=models.PROTECT, db_index=False)
    request = models.ForeignKey(
        "labs.LabRequest", on_delete=models.PROTECT, related_name="follow_ups"
    )
    what = models.CharField(max_length=200)
    assigned_to = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    due_on = models.DateField()
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    made_at = models.DateTimeField()
    done_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        related_name="+",
        db_index=False,
    )
    done_at = models.DateTimeField(null=True)
    done_note = models.CharField(max_length=200, blank=True)

    objects = ClinicQuerySet.as_manager()

    class Meta:
        ordering = ("due_on", "pk")
        indexes = (
            models.Index(
                fields=["clinic", "due_on"], condition=Q(done_at=None), name="follow_up_open"
            ),
        )

    def __str__(self) -> str:
        return f"{self.what}, by {self.due_on}"


class OwnerTold(models.Model):
    """That a person told the owner something of a result: by word, which no report records."""

    clinic = models.ForeignKey("labs.Clinic", on_delete=models.PROTECT, db_index=False)
    request = models.ForeignKey("labs.LabRequest", on_delete=models.PROTECT, related_name="told")
    what = models.TextField(max_length=1000)
    # As the page was when they were told: a correction afterwards shows that they know less.
    version = models.PositiveIntegerField()
    told_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    told_at = models.DateTimeField()

    objects = ClinicQuerySet.as_manager()

    class Meta:
        ordering = ("-told_at", "-pk")

    def __str__(self) -> str:
        return f"Owner told of {self.request} at {self.told_at:%Y-%m-%d %H:%M}"


class HandOver(models.Model):
    """That a review was given to a colleague. The newest one of a request counts."""

    clinic = models.ForeignKey("labs.Clinic", on_delete=models.PROTECT, db_index=False)
    request = models.ForeignKey(
        "labs.LabRequest", on_delete=models.PROTECT, related_name="hand_overs"
    )
    given_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    given_to = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    given_at = models.DateTimeField()
    note = models.TextField(blank=True, max_length=1000)

    objects = ClinicQuerySet.as_manager()

    class Meta:
        ordering = ("-given_at", "-pk")

    def __str__(self) -> str:
        return f"{self.request} given to {self.given_to}"

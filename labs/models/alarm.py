"""What no person may overlook: critical limits, and the alarms that stand until somebody says that
they have seen it."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q

from labs.querysets import AlarmQuerySet, ClinicQuerySet


class CriticalLimit(models.Model):
    """Of one analyte, species and unit. Without a clinic it is demo data from labs/data, for every
    clinic that has set none; a clinic's own with neither end switches the demo one off."""

    clinic = models.ForeignKey("labs.Clinic", on_delete=models.PROTECT, null=True)
    analyte = models.ForeignKey("labs.Analyte", on_delete=models.CASCADE, db_index=False)
    species = models.CharField(max_length=8)
    unit = models.CharField(max_length=32, blank=True)
    low = models.CharField(max_length=32, blank=True)
    high = models.CharField(max_length=32, blank=True)
    set_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True)
    set_at = models.DateTimeField(auto_now=True)

    objects = ClinicQuerySet.as_manager()

    class Meta:
        ordering = ("analyte__position", "species", "unit")
        constraints = (
            models.UniqueConstraint(
                fields=["analyte", "species", "unit"],
                condition=Q(clinic=None),
                name="demo_limit_once",
            ),
            models.UniqueConstraint(
                fields=["clinic", "analyte", "species", "unit"],
                condition=Q(clinic__isnull=False),
                name="limit_once_per_clinic",
            ),
        )

    def __str__(self) -> str:
        return f"{self.analyte.code}, {self.species}: {self.low or '…'} to {self.high or '…'}"


class Alarm(models.Model):
    """That a version of a run holds what a person has to acknowledge. A version whose alarming
    values differ from the acknowledged ones is another alarm; one run has one open at most."""

    class Ended(models.TextChoices):
        ACKNOWLEDGED = "acknowledged", "Acknowledged"
        CORRECTED = "corrected", "Corrected by the laboratory"
        # It turned out to be of an animal of another species, or of none that we know.
        REASSESSED = "reassessed", "Held against other limits"

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    clinic = models.ForeignKey("labs.Clinic", on_delete=models.PROTECT, db_index=False)
    run = models.ForeignKey("labs.TestRun", on_delete=models.PROTECT, related_name="alarms")
    # The newest version that says it: what is acknowledged.
    result = models.ForeignKey("labs.LabResult", on_delete=models.PROTECT, db_index=False)
    values = models.JSONField(default=list, help_text="Code, value, unit and why, of each")
    raised_at = models.DateTimeField()
    # When whoever is responsible was told, and when everybody.
    first_at = models.DateTimeField(null=True)
    all_at = models.DateTimeField(null=True)
    # Whether what it says is still what the run says.
    stands = models.BooleanField(default=True)
    ended = models.CharField(max_length=12, choices=Ended.choices, blank=True)
    ended_at = models.DateTimeField(null=True)
    ended_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True)
    note = models.TextField(blank=True, max_length=1000)

    objects = AlarmQuerySet.as_manager()

    class Meta:
        ordering = ("raised_at", "pk")
        constraints = (
            models.UniqueConstraint(
                fields=["run"], condition=Q(ended=""), name="one_open_alarm_per_run"
            ),
        )
        indexes = (models.Index(fields=["clinic"], condition=Q(ended=""), name="alarm_open"),)

    def __str__(self) -> str:
        return f"{self.run}, alarm of {self.raised_at:%Y-%m-%d %H:%M}"


class AlarmNotice(models.Model):
    """That a person is to know of an alarm: on every page, and by a letter where they have an
    address. A letter is sent once; `lease_until` says that somebody is sending it."""

    class Stage(models.TextChoices):
        FIRST = "first", "First"
        ALL = "all", "All"

    alarm = models.ForeignKey(
        Alarm, on_delete=models.PROTECT, related_name="notices", db_index=False
    )
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
    stage = models.CharField(max_length=5, choices=Stage.choices)
    address = models.EmailField(blank=True)
    not_before = models.DateTimeField()
    lease_until = models.DateTimeField(null=True)
    tries = models.PositiveSmallIntegerField(default=0)
    sent_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("pk",)
        constraints = (
            models.UniqueConstraint(
                fields=["alarm", "user", "stage"], name="notice_once_per_stage"
            ),
        )
        indexes = (
            models.Index(
                fields=["not_before"],
                condition=Q(sent_at=None) & ~Q(address=""),
                name="notice_to_send",
            ),
        )

    def __str__(self) -> str:
        return f"{self.stage} notice of {self.alarm_id} to {self.user_id}"

from __future__ import annotations

from django.db import models

from labs.querysets import ClinicQuerySet


class JournalCheck(models.Model):
    """What the last check of a clinic's journal found (services/intake/watch.py). One row a clinic,
    written anew each time."""

    clinic = models.OneToOneField("labs.Clinic", on_delete=models.PROTECT)
    checked_at = models.DateTimeField()
    holds = models.BooleanField(help_text="Received is what can be found, and no more")
    received = models.PositiveBigIntegerField()
    accounted = models.PositiveBigIntegerField()
    lost = models.JSONField(default=list, help_text="Receipts that are found nowhere, at most 20")

    objects = ClinicQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.clinic}, {self.received} received, {self.accounted} found"

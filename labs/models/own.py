"""What a clinic sets for itself beside the catalogue that all share. Nothing here takes the place
of what was delivered: it is shown beside it, with whose it is."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from labs.querysets import ClinicQuerySet


class OwnPanel(models.Model):
    """A clinic's own settings for a panel; without a row it is as in the catalogue."""

    clinic = models.ForeignKey("labs.Clinic", on_delete=models.PROTECT, db_index=False)
    panel = models.ForeignKey("labs.Panel", on_delete=models.PROTECT)
    favourite = models.BooleanField(default=False)
    billing_code = models.CharField(max_length=32, blank=True)
    # From ordering to the result; empty: what the clinic's own runs or the catalogue say.
    usual_minutes = models.PositiveSmallIntegerField(null=True, blank=True)

    objects = ClinicQuerySet.as_manager()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["clinic", "panel"], name="own_panel_once_per_clinic"),
        )

    def __str__(self) -> str:
        return f"{self.panel} at {self.clinic}"


class OwnInterval(models.Model):
    """A clinic's own reference interval. A row is never changed: it holds from `since` until
    `until`, and a result keeps the one that held when it came."""

    clinic = models.ForeignKey("labs.Clinic", on_delete=models.PROTECT, db_index=False)
    analyte = models.ForeignKey("labs.Analyte", on_delete=models.PROTECT)
    species = models.CharField(max_length=8)
    # Of the animal at the time of the run, in whole months: from the first to below the second.
    from_months = models.PositiveSmallIntegerField(default=0)
    to_months = models.PositiveSmallIntegerField(null=True, blank=True)
    unit = models.CharField(max_length=64, blank=True)
    # Canonical decimal text, as in Observation; empty: open at that end.
    low = models.CharField(max_length=64, blank=True)
    high = models.CharField(max_length=64, blank=True)
    source = models.CharField(max_length=200, blank=True, help_text="Where the interval is from")
    since = models.DateTimeField()
    until = models.DateTimeField(null=True, blank=True)
    set_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )
    ended_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )

    objects = ClinicQuerySet.as_manager()

    class Meta:
        ordering = ("analyte__position", "species", "from_months", "since")
        constraints = (
            models.UniqueConstraint(
                fields=["clinic", "analyte", "species", "from_months"],
                condition=Q(until=None),
                name="own_interval_once",
            ),
            models.CheckConstraint(
                condition=~Q(low="", high=""), name="own_interval_says_something"
            ),
            models.CheckConstraint(
                condition=Q(to_months=None) | Q(to_months__gt=F("from_months")),
                name="own_interval_ages_in_order",
            ),
        )
        indexes = (models.Index(fields=["clinic", "analyte", "species"], name="own_interval_of"),)

    def __str__(self) -> str:
        return f"{self.analyte.code}, {self.species}: {self.words}"

    @property
    def words(self) -> str:
        """`4.0 - 8.5`, `<15`, `>2`."""
        if self.low and self.high:
            return f"{self.low} - {self.high}"
        return f">={self.low}" if self.low else f"<={self.high}"

    @property
    def age_words(self) -> str:
        """`any age`, `under 12 months`, `from 12 months`, `from 2 to under 12 months`."""
        if not self.from_months and self.to_months is None:
            return "any age"
        if not self.from_months:
            return f"under {self.to_months} months"
        if self.to_months is None:
            return f"from {self.from_months} months"
        return f"from {self.from_months} to under {self.to_months} months"

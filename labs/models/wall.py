from __future__ import annotations

from django.conf import settings
from django.db import models

from labs.querysets import ClinicQuerySet


class WallScreen(models.Model):
    """A screen in the clinic that shows what waits and what runs, with nobody signed in. What it is
    known by lies hashed, and was shown once."""

    clinic = models.ForeignKey("labs.Clinic", on_delete=models.PROTECT)
    name = models.CharField(max_length=60)
    made_at = models.DateTimeField(auto_now_add=True)
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    # Of the link by which it is paired, until it was; then of what its browser keeps.
    digest = models.CharField(max_length=64, unique=True)
    pair_until = models.DateTimeField(null=True)
    seen_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    objects = ClinicQuerySet.as_manager()

    class Meta:
        ordering = ("pk",)

    def __str__(self) -> str:
        return self.name

    @property
    def is_paired(self) -> bool:
        return self.pair_until is None

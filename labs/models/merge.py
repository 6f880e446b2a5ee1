from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.db import models

from labs.errors import AppendOnly
from labs.models.indexes import filled
from labs.querysets import ClinicQuerySet


class Merge(models.Model):
    """That a person took two records for one animal. What went from one to the other is written
    here, row by row, so that taking it back needs no guess (labs/services/registry/merging.py)."""

    clinic = models.ForeignKey("labs.Clinic", on_delete=models.PROTECT)
    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    merged = models.ForeignKey("labs.Patient", on_delete=models.PROTECT, related_name="merges")
    into = models.ForeignKey("labs.Patient", on_delete=models.PROTECT, related_name="took_in")
    at = models.DateTimeField()
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        related_name="+",
        db_index=False,
    )
    moved = models.JSONField(default=dict, help_text="Primary keys of what moved, and what was")
    undone_at = models.DateTimeField(null=True)
    undone_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        related_name="+",
        db_index=False,
    )
    undone_reason = models.CharField(max_length=200, blank=True)
    # Primary keys of what came in between and a person has to look at once it is undone.
    came = models.JSONField(default=dict)

    objects = ClinicQuerySet.as_manager()

    class Meta:
        ordering = ("-pk",)
        constraints = (
            models.UniqueConstraint(
                fields=["merged"], condition=models.Q(undone_at=None), name="merged_once"
            ),
        )
        indexes = (filled("merge", "by"), filled("merge", "undone_by"))

    def __str__(self) -> str:
        return f"{self.merged} into {self.into}"

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        raise AppendOnly(self._meta.label)

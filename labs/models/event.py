from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models

from labs.errors import AppendOnly
from labs.models.indexes import filled
from labs.querysets import AppendOnlyQuerySet

# Of what happens these are few, beside what each order and result brings and each look at a record.
RARE = ("staff", "owner", "file", "emergency", "heska", "code", "audit", "clinic", "screen")


class LabEvent(models.Model):
    """The audit: who did what to which record, when. Append-only. Holds ids, never names; what a
    person wrote with it is in EventWords."""

    clinic = models.ForeignKey("labs.Clinic", on_delete=models.PROTECT, null=True, db_index=False)
    at = models.DateTimeField(auto_now_add=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, db_index=False
    )
    # Who acted where no person did: a vendor's name, `system`, or `command`.
    source = models.CharField(max_length=32, blank=True)
    verb = models.CharField(max_length=40)
    patient = models.ForeignKey("labs.Patient", on_delete=models.PROTECT, null=True)
    request = models.ForeignKey(
        "labs.LabRequest", on_delete=models.PROTECT, null=True, related_name="events"
    )
    unmatched = models.ForeignKey(
        "labs.UnmatchedResult",
        on_delete=models.PROTECT,
        null=True,
        related_name="events",
        db_index=False,
    )
    message = models.ForeignKey("labs.Message", on_delete=models.PROTECT, null=True, db_index=False)
    data = models.JSONField(default=dict)

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        ordering = ("pk",)
        indexes = (
            models.Index(fields=["clinic", "-at"], name="event_of_clinic"),
            # Who asks for one of these would have to read all of the others to find them.
            models.Index(
                fields=["clinic", "verb", "-at"],
                condition=models.Q(
                    *(("verb__startswith", f"{kind}.") for kind in RARE), _connector=models.Q.OR
                ),
                name="event_rare",
                opclasses=["int8_ops", "varchar_pattern_ops", "timestamptz_ops"],
            ),
            *(filled("event", name) for name in ("actor", "unmatched", "message")),
        )

    def __str__(self) -> str:
        return f"{self.verb} at {self.at:%Y-%m-%d %H:%M:%S}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.pk is not None:
            raise AppendOnly(self._meta.label)
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        raise AppendOnly(self._meta.label)


class EventWords(models.Model):
    """What a person wrote with what they did, such as why. Beside the audit's row and not in it:
    people write names, and an owner's go when they ask for it (services/privacy/erasing.py), while
    the row stays as it is. The database lets nothing else of it change."""

    LONGEST = 300  # as written; what stands for an erased name may be longer than it

    event = models.OneToOneField(
        LabEvent, on_delete=models.PROTECT, primary_key=True, related_name="words"
    )
    text = models.TextField()

    objects = AppendOnlyQuerySet.as_manager()

    def __str__(self) -> str:
        return self.text

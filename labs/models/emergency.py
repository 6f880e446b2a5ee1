from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from labs.models.indexes import filled
from labs.querysets import EmergencyCodeQuerySet


class EmergencyCode(models.Model):
    """A short code that is typed at the analyzer as the patient id before anybody knows whose
    sample it is. Results that carry it gather under it, and go to the patient chosen for it."""

    clinic = models.ForeignKey("labs.Clinic", on_delete=models.PROTECT)
    code = models.CharField(max_length=8)
    note = models.CharField(max_length=100, blank=True, help_text="Such as “dog, hit by a car”")
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )
    made_at = models.DateTimeField()
    # From then on a result that carries it is an ordinary unmatched result.
    expires_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)
    patient = models.ForeignKey(
        "labs.Patient", on_delete=models.PROTECT, null=True, db_index=False, related_name="+"
    )
    chosen_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )
    chosen_at = models.DateTimeField(null=True)
    # Of the form that asked for it, so that one that is sent twice gives one code.
    form_key = models.UUIDField(null=True, editable=False)
    # The request that its results are filed on, made with the first of them.
    request = models.OneToOneField(
        "labs.LabRequest", on_delete=models.PROTECT, null=True, related_name="emergency"
    )

    objects = EmergencyCodeQuerySet.as_manager()

    class Meta:
        ordering = ("made_at", "pk")
        constraints = (
            # For ever: a code that was used once is never given again.
            models.UniqueConstraint(fields=["clinic", "code"], name="emergency_code_once"),
            models.UniqueConstraint(fields=["clinic", "form_key"], name="emergency_form_once"),
            models.CheckConstraint(
                condition=Q(request=None) | Q(patient__isnull=False),
                name="emergency_request_has_patient",
            ),
        )
        indexes = (filled("emergency", "patient"),)

    def __str__(self) -> str:
        return self.code

from __future__ import annotations

from django.db import models

from labs.querysets import SubmissionQuerySet


class SubmissionState(models.TextChoices):
    QUEUED = "queued", "Queued"
    SENDING = "sending", "Sending"
    ACCEPTED = "accepted", "Accepted"
    REJECTED = "rejected", "Rejected"
    UNKNOWN = "unknown", "Outcome unknown"
    HELD = "held", "Waiting for the set-up"
    NEEDS_ATTENTION = "needs_attention", "Needs attention"
    CANCELLED = "cancelled", "Cancelled"


class Submission(models.Model):
    """The outbox. This row is the queue; Celery only wakes whoever claims it."""

    clinic = models.ForeignKey("labs.Clinic", on_delete=models.PROTECT)
    request = models.OneToOneField("labs.LabRequest", on_delete=models.PROTECT)
    vendor = models.CharField(max_length=32)
    state = models.CharField(
        max_length=16, choices=SubmissionState.choices, default=SubmissionState.QUEUED
    )
    attempts = models.PositiveIntegerField(default=0)
    first_attempt_at = models.DateTimeField(null=True)
    # Ends of processes in the middle of it, and faults of our own program.
    crashes = models.PositiveIntegerField(default=0)
    not_before = models.DateTimeField()
    woken_at = models.DateTimeField(null=True, help_text="When the sweep last asked a worker")
    lease = models.UUIDField(null=True, help_text="The claim of the worker that is sending it")
    lease_until = models.DateTimeField(null=True)
    # From the first call of which nobody knows that it failed: then the laboratory may have it.
    may_have_arrived = models.BooleanField(default=False)
    # What was sent, so that what is sent again under the same id is the same order.
    sent_body = models.TextField(blank=True)
    last_error = models.TextField(blank=True, help_text="One sentence for staff")
    provider_words = models.TextField(blank=True, help_text="What the laboratory itself said")
    external_id = models.CharField(max_length=100, blank=True)
    accepted_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = SubmissionQuerySet.as_manager()

    class Meta:
        ordering = ("pk",)
        indexes = (models.Index(fields=["state", "not_before"], name="submission_due"),)

    def __str__(self) -> str:
        return f"{self.request} to {self.vendor}"

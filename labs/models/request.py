from __future__ import annotations

from django.conf import settings
from django.db import models

from labs import ids
from labs.models.indexes import filled
from labs.querysets import RequestQuerySet


class RequestState(models.TextChoices):
    DRAFT = "draft", "Draft"
    QUEUED = "queued", "Queued"
    SENT = "sent", "Sent"
    ACCEPTED = "accepted", "Accepted"
    RUNNING = "running", "Running"
    PARTIAL = "partial", "Partial"
    COMPLETE = "complete", "Complete"
    CANCELLED = "cancelled", "Cancelled"
    NEEDS_ATTENTION = "needs_attention", "Needs attention"


class Priority(models.TextChoices):
    ROUTINE = "routine", "Routine"
    STAT = "stat", "STAT"


class Link(models.TextChoices):
    """Why a request stands beside the first one of its group."""

    ADD_ON = "add_on", "added tests"
    RERUN = "rerun", "run again"


class LabRequest(models.Model):
    """An order of laboratory tests for one patient. Its state is derived by
    `labs.services.orders.states` from its tests and its submission, and written nowhere else."""

    clinic = models.ForeignKey("labs.Clinic", on_delete=models.PROTECT, db_index=False)
    patient = models.ForeignKey("labs.Patient", on_delete=models.PROTECT, db_index=False)
    # Where it was moved to another patient after it had left: the one that the laboratory, and so
    # the analyzer, still has it under.
    sent_for = models.ForeignKey(
        "labs.Patient", on_delete=models.PROTECT, null=True, db_index=False, related_name="+"
    )
    lab_report_id = models.CharField(max_length=20, default=ids.lab_report_id)
    result_key = models.CharField(max_length=64, default=ids.result_key)
    state = models.CharField(
        max_length=16, choices=RequestState.choices, default=RequestState.DRAFT
    )
    priority = models.CharField(max_length=8, choices=Priority.choices, default=Priority.ROUTINE)
    notes = models.TextField(blank=True)
    doctor = models.CharField(max_length=100, blank=True)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True
    )
    # To whom the review was handed over; the newest HandOver says by whom and why.
    assigned_to = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )
    requested_at = models.DateTimeField()
    retrospective = models.BooleanField(
        default=False,
        help_text="Made when an unmatched result was put on the patient's record",
    )
    typed = models.BooleanField(
        default=False, editable=False, help_text="Made for a result that a person typed in"
    )
    # A group is its first request and all that name it here; of those nobody else names one.
    first = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="linked",
        db_index=False,
    )
    link = models.CharField(max_length=8, choices=Link.choices, blank=True)
    # Of the form that ordered it, so that one that is sent twice orders once; none for a command.
    form_key = models.UUIDField(null=True, blank=True, editable=False)
    cancelled_at = models.DateTimeField(null=True, blank=True)
    cancelled_reason = models.CharField(max_length=200, blank=True)
    reviewed_at = models.DateTimeField(null=True, blank=True)
    # When a person said that it is on the owner's bill; the events say who.
    charged_at = models.DateTimeField(null=True, blank=True)
    # Grows with each change that a person should see: pages poll with it and get 204 while it
    # stands.
    version = models.PositiveIntegerField(default=1)
    updated_at = models.DateTimeField(auto_now=True)

    objects = RequestQuerySet.as_manager()

    class Meta:
        ordering = ("-requested_at", "-pk")
        constraints = (
            models.UniqueConstraint(fields=["lab_report_id"], name="lab_report_id_once"),
            models.UniqueConstraint(fields=["result_key"], name="result_key_once"),
            models.UniqueConstraint(fields=["clinic", "form_key"], name="request_form_once"),
        )
        indexes = (
            models.Index(fields=["clinic", "state", "-requested_at"], name="request_worklist"),
            # The newest of a clinic, whatever their state: whom was ordered for, which doctors ask.
            models.Index(fields=["clinic", "-requested_at", "-id"], name="request_newest"),
            models.Index(fields=["patient", "-requested_at"], name="request_of_patient"),
            models.Index(
                fields=["first"], condition=models.Q(first__isnull=False), name="request_group"
            ),
            filled("request", "sent_for"),
            models.Index(
                fields=["clinic", "reviewed_at"],
                condition=models.Q(reviewed_at__isnull=False, charged_at=None),
                name="request_uncharged",
            ),
            # The worklist's last section, what was reviewed in a day.
            models.Index(
                fields=["clinic", "-reviewed_at"],
                condition=models.Q(reviewed_at__isnull=False),
                name="request_reviewed",
            ),
            # "Has anything changed?", asked by every open worklist every few seconds.
            models.Index(fields=["clinic", "-updated_at"], name="request_changes"),
        )

    def __str__(self) -> str:
        return self.lab_report_id


class Specimen(models.Model):
    """What was drawn from the animal for a request."""

    request = models.ForeignKey(LabRequest, on_delete=models.PROTECT)
    type = models.CharField(max_length=50)
    collected_at = models.DateTimeField(null=True, blank=True)
    collected_by = models.CharField(max_length=100, blank=True)
    label = models.CharField(max_length=50, blank=True, help_text="Such as “pre” or “4 h”")
    fasting = models.BooleanField(null=True, blank=True, help_text="Empty: not known")

    class Meta:
        ordering = ("pk",)

    def __str__(self) -> str:
        return f"{self.type} {self.label}".strip()


class TestState(models.TextChoices):
    REQUESTED = "requested", "Requested"
    RUNNING = "running", "Running"
    COMPLETE = "complete", "Complete"
    REFUSED = "refused", "Refused"
    CANCELLED = "cancelled", "Cancelled"


class RequestedTest(models.Model):
    """One panel of a request. A request is complete when each of these is complete or closed."""

    __test__ = False

    request = models.ForeignKey(
        LabRequest, on_delete=models.PROTECT, related_name="tests", db_index=False
    )
    panel = models.ForeignKey("labs.Panel", on_delete=models.PROTECT)
    specimen = models.ForeignKey(Specimen, on_delete=models.PROTECT, null=True, blank=True)
    position = models.PositiveIntegerField()
    test_request_id = models.CharField(max_length=24)
    state = models.CharField(max_length=10, choices=TestState.choices, default=TestState.REQUESTED)
    refusal = models.TextField(blank=True, help_text="The laboratory's own words")
    withdrawn = models.BooleanField(
        default=False, help_text="Taken out of the order before it left: it was run by hand"
    )
    # Of several runs of this test (a repeat), the one that a person chose to report. The others
    # stay visible, and count in no trend.
    reported_run = models.ForeignKey(
        "labs.TestRun", on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )

    class Meta:
        ordering = ("request", "position")
        constraints = (
            models.UniqueConstraint(fields=["request", "position"], name="test_position_once"),
            models.UniqueConstraint(fields=["test_request_id"], name="test_request_id_once"),
        )

    def __str__(self) -> str:
        return self.test_request_id

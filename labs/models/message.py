from __future__ import annotations

from django.db import models

from labs import ids
from labs.models.indexes import filled
from labs.querysets import MessageQuerySet


class MessageState(models.TextChoices):
    RECEIVED = "received", "Received"
    FILED = "filed", "Filed"
    UNMATCHED = "unmatched", "Unmatched"
    QUARANTINED = "quarantined", "Quarantined"
    SENT = "sent", "Sent"


class Blanked(models.TextChoices):
    """Why the body of a message is not there any more; its hash and ids are."""

    ERASED = "erased", "It named an owner whose data was erased."
    TIME = "time", "The clinic keeps the bodies of messages no longer than this."


class Message(models.Model):
    """The journal: every body that crossed the border, either way, byte for byte (I1).

    An inbound row is committed before anything in it is read. `dedupe_key` is the unique index that
    makes the same body at the same address for the same clinic one row, whoever comes first.
    """

    class Direction(models.TextChoices):
        IN = "in", "received"
        OUT = "out", "sent"

    direction = models.CharField(max_length=3, choices=Direction.choices)
    vendor = models.CharField(max_length=32)
    # Empty only while a vendor-wide sender's address resolves to no clinic.
    clinic = models.ForeignKey("labs.Clinic", on_delete=models.PROTECT, null=True, db_index=False)
    receipt_id = models.CharField(max_length=32, default=ids.receipt_id)
    state = models.CharField(
        max_length=12, choices=MessageState.choices, default=MessageState.RECEIVED
    )
    cause = models.TextField(blank=True, help_text="Why it is not filed, for people")
    sender = models.CharField(max_length=100, blank=True, help_text="The authenticated application")
    target = models.CharField(max_length=300, help_text="The address it was sent to")
    headers = models.JSONField(default=dict)
    raw = models.BinaryField()
    declared_size = models.BigIntegerField(null=True, help_text="Where the body was cut")
    # Of the body as it came, for ever: what is sent again is known by it.
    sha256 = models.CharField(max_length=64)
    # `raw` and `reply` are emptied by services/privacy/blanking.py alone, only of what is settled.
    blanked_at = models.DateTimeField(null=True, editable=False)
    blanked = models.CharField(max_length=6, choices=Blanked.choices, blank=True, editable=False)
    dedupe_key = models.CharField(max_length=64, null=True)  # noqa: DJ001 - unique
    redeliveries = models.PositiveIntegerField(default=0)
    received_at = models.DateTimeField(db_index=True)
    last_seen_at = models.DateTimeField()
    parent = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, related_name="parts", db_index=False
    )
    part = models.PositiveIntegerField(null=True, help_text="Position in the parent's array")
    # Filled in when it is read.
    message_id = models.CharField(max_length=200, blank=True)
    adapter_version = models.CharField(max_length=16, blank=True)
    extra = models.JSONField(default=dict, help_text="Leaves that no field takes, by JSON pointer")
    warnings = models.JSONField(default=list)
    # Counted and committed before each attempt at filing it (labs/services/intake/journal.py).
    attempts = models.PositiveIntegerField(default=0)
    not_before = models.DateTimeField(null=True)
    pending_since = models.DateTimeField(null=True, help_text="It was received, or replayed")
    request = models.ForeignKey(
        "labs.LabRequest", on_delete=models.PROTECT, null=True, db_index=False
    )
    unmatched = models.ForeignKey(
        "labs.UnmatchedResult",
        on_delete=models.PROTECT,
        null=True,
        related_name="messages",
        db_index=False,
    )
    # Outbound only.
    submission = models.ForeignKey(
        "labs.Submission",
        on_delete=models.PROTECT,
        null=True,
        related_name="messages",
        db_index=False,
    )
    call = models.CharField(max_length=8, blank=True, help_text="For a token, or for an order")
    reply_headers = models.JSONField(null=True)
    status_code = models.PositiveIntegerField(null=True)
    reply = models.BinaryField(null=True)
    milliseconds = models.PositiveIntegerField(null=True)

    objects = MessageQuerySet.as_manager()

    class Meta:
        ordering = ("-received_at", "-pk")
        # Not `unique=True`, which on PostgreSQL makes a second index, for LIKE.
        constraints = (
            models.UniqueConstraint(fields=["receipt_id"], name="receipt_once"),
            models.UniqueConstraint(fields=["dedupe_key"], name="message_once"),
        )
        # Each message is written twice on its way in, and each index with it: only what is looked
        # for, and only rows that can be found by it.
        indexes = (
            models.Index(fields=["clinic", "state", "-received_at"], name="message_by_state"),
            *(filled("message", name) for name in ("parent", "request", "unmatched", "submission")),
            models.Index(
                fields=["not_before"],
                condition=models.Q(direction="in", state="received"),
                name="message_pending",
            ),
        )

    def __str__(self) -> str:
        return self.receipt_id

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q

from labs.keys import is_placeholder, stored_id
from labs.models.derived import DerivedField
from labs.models.indexes import filled
from labs.querysets import AppendOnlyQuerySet, UnmatchedQuerySet


class UnmatchedState(models.TextChoices):
    OPEN = "open", "Open"
    HELD = "held", "Held"
    MATCHED = "matched", "Matched"
    DISMISSED = "dismissed", "Dismissed"


class UnmatchedReason(models.TextChoices):
    NO_REQUEST = "no_request", "Run without a request"
    UNKNOWN_KEY = (
        "unknown_key",
        "Sent to an address that belongs to no request of this clinic",
    )
    CONFLICT = "conflict", "Contradicts the request it was sent for"
    REQUEST_CANCELLED = "request_cancelled", "The request was cancelled here"


class UnmatchedResult(models.Model):
    """An orphan: results that nobody can file without a person's word."""

    clinic = models.ForeignKey("labs.Clinic", on_delete=models.PROTECT)
    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    vendor = models.CharField(max_length=32)
    external_id = models.CharField(max_length=100, blank=True, help_text="The vendor's report id")
    message_id = models.CharField(
        max_length=200,
        help_text="The sender's, else the body's SHA-256; of the first message",
    )
    state = models.CharField(
        max_length=10, choices=UnmatchedState.choices, default=UnmatchedState.OPEN
    )
    reason = models.CharField(max_length=20, choices=UnmatchedReason.choices)
    contradictions = models.JSONField(default=list, help_text="Sentences for people")
    # labs.report.Identity as it was typed at the analyzer. Never changed, also not by a match.
    typed = models.JSONField(default=dict)
    # Its patient id as the registry keeps ids: one that many animals bear says nothing.
    typed_id = DerivedField(max_length=64, editable=False, default="")
    # The request that a conflict was sent for: the first candidate, never a decision.
    suggested_request = models.ForeignKey(
        "labs.LabRequest",
        on_delete=models.PROTECT,
        null=True,
        related_name="contradicted_by",
    )
    # The emergency code that was typed as the patient id; it is filed by it only if nothing stands
    # in `contradictions`.
    emergency = models.ForeignKey(
        "labs.EmergencyCode",
        on_delete=models.PROTECT,
        null=True,
        related_name="results",
        db_index=False,
    )
    # The one that it was taken out of, because that held two animals: the first of the group.
    split_from = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, related_name="parts", db_index=False
    )
    held_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )
    state_reason = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    # The version on which rule A was tried: of each it says its word once.
    rule_tried = models.PositiveIntegerField(default=0, editable=False)
    # Two people at once: the second one's version no longer stands, and is told so.
    version = models.PositiveIntegerField(default=1)

    objects = UnmatchedQuerySet.as_manager()

    class Meta:
        ordering = ("created_at", "pk")
        indexes = (
            models.Index(fields=["clinic", "state", "created_at"], name="unmatched_queue"),
            models.Index(fields=["clinic", "external_id"], name="unmatched_external"),
            models.Index(fields=["clinic", "message_id"], name="unmatched_message"),
            models.Index(
                fields=["clinic", "typed_id", "-created_at"],
                condition=~Q(typed_id=""),
                name="unmatched_typed_id",
            ),
            filled("unmatched", "emergency"),
            filled("unmatched", "split_from"),
        )

    def __str__(self) -> str:
        return f"{self.typed.get('patient_name') or 'no name typed'}, {self.external_id}".strip(
            ", "
        )

    def derive_typed_id(self) -> str:
        text = self.typed.get("patient_id")
        return stored_id(text) if isinstance(text, str) and not is_placeholder(text) else ""


class MatchDecision(models.Model):
    """What was decided about an orphan. Append-only but for `active`, which the taking back of a
    match clears. What rule A did by itself says so for ever in `method`, and what was attached
    against a contradiction in `against`; that a person has looked at it is a decision of its own.
    """

    class Action(models.TextChoices):
        MATCH = "match", "Matched"
        UNMATCH = "unmatch", "Match taken back"
        HOLD = "hold", "Held"
        DISMISS = "dismiss", "Dismissed"
        REOPEN = "reopen", "Opened again"
        SPLIT = "split", "Split"
        CONFIRM = "confirm", "Automatic match looked at"
        CHECK = "check", "Checked by a second person"

    class Method(models.TextChoices):
        PERSON = "person", "A person or a command"
        AUTO = "auto", "Automatic: rule A"

    unmatched = models.ForeignKey(
        UnmatchedResult, on_delete=models.PROTECT, related_name="decisions"
    )
    action = models.CharField(max_length=8, choices=Action.choices)
    active = models.BooleanField(default=False, help_text="The match that stands now")
    method = models.CharField(max_length=6, choices=Method.choices, default=Method.PERSON)
    patient = models.ForeignKey("labs.Patient", on_delete=models.PROTECT, null=True)
    request = models.ForeignKey("labs.LabRequest", on_delete=models.PROTECT, null=True)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True)
    reason = models.CharField(max_length=200, blank=True)
    evidence = models.JSONField(default=dict, help_text="What the screen showed for and against")
    # A match although species, sex or weight differ or the animal is dead: a second person checks.
    against = models.BooleanField(default=False)
    at = models.DateTimeField(auto_now_add=True)

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        ordering = ("pk",)
        indexes = (
            models.Index(
                fields=["unmatched"],
                condition=Q(active=True, against=True),
                name="match_against",
            ),
            models.Index(
                fields=["unmatched"],
                condition=Q(active=True, method="auto"),
                name="match_automatic",
            ),
            # The queue shows what was matched lately, and counts it.
            models.Index(fields=["at"], condition=Q(active=True), name="match_lately"),
        )
        constraints = (
            models.UniqueConstraint(
                fields=["unmatched"], condition=Q(active=True), name="one_active_match"
            ),
        )

    def __str__(self) -> str:
        return f"{self.get_action_display()}: {self.unmatched}"

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone
from oauth2_provider.settings import oauth2_settings

from integrations.heska.fields import EncryptedTextField
from labs.querysets import ClinicQuerySet


class Connection(models.Model):
    """What a clinic shows to Heska: the pair that Heska gave it, and the token it got for it."""

    clinic = models.OneToOneField("labs.Clinic", on_delete=models.PROTECT)
    client_id = models.CharField(max_length=200, unique=True)
    client_secret = EncryptedTextField()
    token = EncryptedTextField(blank=True)
    token_expires_at = models.DateTimeField(null=True, blank=True)
    # Which token it is: a worker drops only the one that was refused, not its successor.
    token_id = models.UUIDField(null=True)
    # One worker calls for a token, the others wait for it (tokens.py).
    token_lease = models.UUIDField(null=True)
    token_lease_until = models.DateTimeField(null=True)
    # After a call that failed: no other before this, and what it failed of.
    token_not_before = models.DateTimeField(null=True)
    token_failures = models.PositiveIntegerField(default=0)
    token_error = models.TextField(blank=True)
    # Orders in a row that got a 401 for a token that had just been given.
    token_refusals = models.PositiveIntegerField(default=0)
    # Set when Heska refuses the credentials themselves: no order of this clinic is sent until an
    # administrator has given new ones, or somebody asks for another try.
    refused_at = models.DateTimeField(null=True, blank=True)
    refused_why = models.TextField(blank=True, help_text="One sentence for staff")
    refused_words = models.TextField(blank=True, help_text="What Heska itself said")
    # A digest of the settings with which orders were held: others, and they are tried again.
    held_with = models.CharField(max_length=64, blank=True)
    # When Heska first gave a token for this client id: until then anybody may have typed it.
    proven_at = models.DateTimeField(null=True, blank=True)
    # When Heska's pair was entered, and by whom; empty for a command.
    entered_at = models.DateTimeField(default=timezone.now)
    entered_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = ClinicQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.clinic} to Heska"


class InboundClient(models.Model):
    """An OAuth client with which Heska posts results here: bound to a clinic, or to none where
    Heska uses one for the whole installation. Several may stand side by side, for rotation."""

    application = models.OneToOneField(
        oauth2_settings.APPLICATION_MODEL,
        on_delete=models.PROTECT,
        related_name="inbound",
    )
    clinic = models.ForeignKey("labs.Clinic", on_delete=models.PROTECT, null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    # Of its calls for a token. What it posts is in the journal, under its client id.
    token_at = models.DateTimeField(null=True, blank=True)
    refused_at = models.DateTimeField(null=True, blank=True)
    refused_why = models.CharField(max_length=200, blank=True)

    objects = ClinicQuerySet.as_manager()

    def __str__(self) -> str:
        return f"Heska to {self.clinic or 'every clinic'}"


class Contact(models.Model):
    """When one kind of call last went well for a clinic, and when it last went wrong. Only kinds
    that are rare and in no journal: what each posted result says is read from there."""

    class Kind(models.TextChoices):
        TOKEN = "token", "Heska gives us a token"
        ADDRESS = "address", "Our public address answers"
        # Heska uses the pair that it gave the clinic, in the wrong direction.
        MIXED_UP = "mixed_up", "Heska's own client id, used with us"

    clinic = models.ForeignKey("labs.Clinic", on_delete=models.PROTECT, db_index=False)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    good_at = models.DateTimeField(null=True)
    bad_at = models.DateTimeField(null=True)
    bad_why = models.TextField(blank=True, help_text="One sentence for staff")
    bad_words = models.TextField(blank=True, help_text="What Heska itself said")

    objects = ClinicQuerySet.as_manager()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["clinic", "kind"], name="contact_once_per_kind"),
        )

    def __str__(self) -> str:
        return f"{self.get_kind_display()}, {self.clinic}"

from __future__ import annotations

from django.db import models
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
    # Set when Heska refuses the credentials themselves: no order of this clinic is sent until an
    # administrator has given new ones.
    refused_at = models.DateTimeField(null=True, blank=True)
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

    objects = ClinicQuerySet.as_manager()

    def __str__(self) -> str:
        return f"Heska to {self.clinic or 'every clinic'}"

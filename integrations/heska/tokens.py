"""The bearer token of a clinic, kept encrypted in its connection and renewed before it ends."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from integrations.heska import client
from integrations.heska.conf import endpoint
from integrations.heska.models import Connection

# A token that ends within this time is not used any more: it might end on the way.
EARLY = timedelta(seconds=60)


def token(connection: Connection) -> str:
    """The cached token, else a new one. Raises client.HeskaError."""
    expires_at = connection.token_expires_at
    if connection.token and expires_at and expires_at > timezone.now() + EARLY:
        return connection.token
    return fresh_token(connection)


def fresh_token(connection: Connection) -> str:
    """A new token, whatever is cached. Raises client.HeskaError."""
    value, expires_at = client.get_token(
        endpoint(),
        client_id=connection.client_id,
        client_secret=connection.client_secret,
    )
    connection.token = value
    connection.token_expires_at = expires_at
    connection.save(update_fields=["token", "token_expires_at", "updated_at"])
    return value

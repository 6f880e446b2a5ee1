"""Connecting clinics to Heska, both ways: credentials that we show, clients that we take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import transaction
from django.urls import reverse
from oauth2_provider.models import clear_expired, get_application_model

from integrations.heska.conf import VENDOR
from integrations.heska.models import Connection, InboundClient
from labs import roles
from labs.errors import InvalidInput
from labs.ids import readable
from labs.models import Clinic
from labs.services.events import record

if TYPE_CHECKING:
    from django.contrib.auth.models import User

Application = get_application_model()
# 128 characters: its hasher is quick because guessing such a secret is hopeless (hashers.py).
SECRET_LENGTH = 128


@dataclass(frozen=True, kw_only=True)
class Access:
    """What Heska is given for its way in. The secret is stored hashed only: this is the one time
    that it can be shown."""

    token_url: str
    client_id: str
    client_secret: str


def connect(
    *, acting_user: User | None, clinic: Clinic, client_id: str, client_secret: str
) -> Access:
    """Store what Heska gave the clinic, encrypted, and make a client for Heska's way in. Called
    again it replaces the one and adds another client beside the earlier ones, which stay valid
    until an administrator deletes them: so secrets can be rotated without a gap.

    Raises InvalidInput where one is empty or the client id is another clinic's; NotAllowed.
    """
    roles.require(acting_user, clinic, "administer")
    client_id, client_secret = client_id.strip(), client_secret.strip()
    if not client_id or not client_secret:
        raise InvalidInput("Both the client id and the secret that Heska gave are needed.")
    if len(client_id) > 200:
        raise InvalidInput("The client id is longer than 200 characters.")
    if Connection.objects.filter(client_id=client_id).exclude(clinic=clinic).exists():
        raise InvalidInput("Another clinic is connected with this client id. Check which is whose.")
    with transaction.atomic():
        # A new pair: the token got with the old one is dropped, and held orders may go again.
        Connection.objects.update_or_create(
            clinic=clinic,
            defaults={
                "client_id": client_id,
                "client_secret": client_secret,
                "token": "",
                "token_expires_at": None,
                "refused_at": None,
            },
        )
        access = create_client(acting_user=acting_user, clinic=clinic)
        record("heska.connected", clinic=clinic, acting_user=acting_user, source="command")
    return access


def create_client(*, acting_user: User | None, clinic: Clinic | None) -> Access:
    """An OAuth client (client credentials, no user) with which Heska posts results: for one clinic,
    or for the whole installation. Its secret is returned once."""
    client_id, client_secret = f"{VENDOR}-{readable(12).lower()}", readable(SECRET_LENGTH)
    with transaction.atomic():
        application = Application.objects.create(
            name=f"Heska, {clinic.public_id if clinic else 'every clinic'}",
            client_id=client_id,
            client_secret=client_secret,  # hashed when it is saved
            client_type=Application.CLIENT_CONFIDENTIAL,
            authorization_grant_type=Application.GRANT_CLIENT_CREDENTIALS,
            user=None,
        )
        InboundClient.objects.create(application=application, clinic=clinic)
        record(
            "heska.client_created",
            clinic=clinic,
            acting_user=acting_user,
            source="command",
            client_id=client_id,
        )
    return Access(token_url=token_url(), client_id=client_id, client_secret=client_secret)


def token_url() -> str:
    return f"{settings.PUBLIC_BASE_URL}{reverse('heska:token')}"


def forget_expired_tokens() -> None:
    """Delete bearer tokens that have expired, in batches of 10,000 with a pause between them
    (django-oauth-toolkit's own; CLEAR_EXPIRED_TOKENS_BATCH_SIZE)."""
    clear_expired()

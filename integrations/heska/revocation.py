"""Taking Heska's way in away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from oauth2_provider.models import get_access_token_model

from integrations.heska.models import InboundClient
from labs import roles
from labs.errors import NotAllowed
from labs.services.events import record

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def revoke(*, acting_user: User, inbound: InboundClient) -> None:
    """Delete an inbound client and its tokens: whoever holds them can post nothing more. What it
    sent stays. Raises NotAllowed; a client of the whole installation is a superuser's."""
    if not acting_user.is_superuser:
        if inbound.clinic is None:
            raise NotAllowed("This client serves every clinic; ask the operator.")
        roles.require(acting_user, inbound.clinic, "administer")
    application = inbound.application
    with transaction.atomic():
        tokens, _ = get_access_token_model().objects.filter(application=application).delete()
        inbound.delete()
        application.delete()
        record(
            "heska.client_revoked",
            clinic=inbound.clinic,
            acting_user=acting_user,
            client_id=application.client_id,
            tokens=tokens,
        )

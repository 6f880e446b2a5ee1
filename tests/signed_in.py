"""A test client that is signed in, with all that the sign-in asks of that person."""

from __future__ import annotations

from typing import Any

from django.test import Client

_with_a_password = Client.force_login


def force_login(client: Client, user: Any, backend: str | None = None) -> None:
    """Django's, and the second factor of whoever must have one."""
    from labs.models import SecondFactor
    from labs.services.people import second_factor
    from labs.views.access import PROVEN

    _with_a_password(client, user, backend)
    if second_factor.required(user):
        factor, _ = SecondFactor.objects.get_or_create(
            user=user, defaults={"key": "A" * 32, "confirmed": True}
        )
        session = client.session
        session[PROVEN] = factor.pk
        session.save()

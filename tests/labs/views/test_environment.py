"""Every page says where orders go, unless they go to the laboratory itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

SignIn = Callable[[User], Client]
PAGES = ["/", "/patients/", "/unmatched/", "/requests/new/", "/nothing-here/"]


@pytest.mark.parametrize("name", ["sandbox", "demo"])
def test_a_sandbox_is_named_on_every_page(
    name: str, ada: User, signed_in: SignIn, settings: Any
) -> None:
    settings.HESKA_ENVIRONMENT = name
    client = signed_in(ada)
    User.objects.filter(pk=ada.pk).update(is_staff=True)
    for page in [*PAGES, "/admin/"]:
        assert f">{name}</b>" in client.get(page).content.decode(), page
    # On paper too: a value from a test system must not be filed as a patient's.
    assert f"{name.upper()}: not for patients" in client.get("/").content.decode()
    assert f">{name}</b>" in Client().get("/login/").content.decode()


def test_production_has_no_badge_and_says_so_in_the_menu(ada: User, signed_in: SignIn) -> None:
    page = signed_in(ada).get("/").content.decode()
    assert 'class="env"' not in page and "not for patients" not in page
    assert "Production. Orders go to the laboratory." in page

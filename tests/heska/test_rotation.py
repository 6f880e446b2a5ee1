"""Keys are changed without a gap: two at once, re-encrypt, then the old one goes."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from cryptography.fernet import Fernet
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from pytest_django.fixtures import Settings

from integrations.heska.connections import connect
from integrations.heska.models import Connection
from tests.factories import make_clinic

pytestmark = pytest.mark.django_db
OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))


@pytest.fixture
def two(settings: Settings) -> None:
    settings.FIELD_ENCRYPTION_KEYS = [OLD]
    for name in ("elm", "oak"):
        connect(
            acting_user=None,
            clinic=make_clinic(name, public_id=f"clinic-{name}"),
            client_id=name,
            client_secret=f"secret of {name}",
        )
    oak = Connection.objects.get(client_id="oak")
    oak.token = "a token"
    oak.save()
    settings.FIELD_ENCRYPTION_KEYS = [NEW, OLD]


def run() -> dict[str, object]:
    out = StringIO()
    call_command("reencrypt", "--json", stdout=out)
    answer: dict[str, object] = json.loads(out.getvalue())
    return answer


def secrets() -> list[str]:
    return [each.client_secret for each in Connection.objects.order_by("client_id")]


def test_after_it_the_old_key_is_not_needed(two: None, settings: Settings) -> None:
    assert secrets() == ["secret of elm", "secret of oak"]  # both at once
    assert run() == {"rotated": 3, "already": 0, "unreadable": []}
    assert run() == {"rotated": 0, "already": 3, "unreadable": []}
    settings.FIELD_ENCRYPTION_KEYS = [NEW]
    assert secrets() == ["secret of elm", "secret of oak"]
    assert Connection.objects.get(client_id="oak").token == "a token"


def test_what_no_key_opens_is_said_and_left_as_it_is(two: None, settings: Settings) -> None:
    settings.FIELD_ENCRYPTION_KEYS = [NEW]
    with pytest.raises(CommandError, match="clinic-elm, clinic-oak"):
        run()
    settings.FIELD_ENCRYPTION_KEYS = [OLD]
    assert secrets() == ["secret of elm", "secret of oak"]


def test_no_secret_lies_in_the_database_in_clear(two: None) -> None:
    run()
    with connection.cursor() as cursor:
        cursor.execute("SELECT client_secret, token FROM heska_connection")
        stored = str(cursor.fetchall())
    assert "secret of" not in stored and "a token" not in stored

"""Tokens asked for too often: 429, counted by address and by client, and nobody else shut out."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.test import Client, RequestFactory
from oauth2_provider.models import get_access_token_model

from integrations.heska import rates
from integrations.heska.connections import create_client
from labs.address import client_address
from tests.factories import make_clinic

pytestmark = pytest.mark.django_db
AT = datetime(2026, 3, 2, 12, 0, 45, tzinfo=UTC)


@pytest.fixture(autouse=True)
def installation(settings: Any, tmp_path: Path) -> Any:
    """As it is by default, behind its one proxy; the clock stands."""
    settings.VAR_DIR = tmp_path
    settings.TOKEN_RATE_PER_MINUTE = 10
    settings.TOKEN_RATE_PER_MINUTE_PER_ADDRESS = 30
    settings.TRUSTED_PROXIES = 1
    with time_machine.travel(AT, tick=False) as clock:
        yield clock


@pytest.fixture
def access() -> Any:
    return create_client(acting_user=None, clinic=make_clinic())


def ask(access: Any, address: str = "192.0.2.1", secret: str = "", client_id: str = "") -> Any:
    form = {
        "client_id": client_id or access.client_id,
        "client_secret": secret or access.client_secret,
    }
    return Client().post(
        "/api/oauth/token",
        json.dumps(form),
        content_type="application/json",
        headers={"x-forwarded-for": address},
    )


def test_a_client_has_ten_a_minute(access: Any, installation: Any) -> None:
    assert [ask(access).status_code for _ in range(11)] == [200] * 10 + [429]
    refused = ask(access)
    assert refused["Retry-After"] == "15"
    assert refused["Cache-Control"] == "no-store"
    assert refused.json()["error"] == "temporarily_unavailable"
    # From another address it is the same client.
    assert ask(access, "192.0.2.2").status_code == 429
    assert get_access_token_model().objects.count() == 10
    other = create_client(acting_user=None, clinic=make_clinic("Oak"))
    assert ask(other).status_code == 200
    installation.shift(15)
    assert ask(access).status_code == 200


def test_an_address_has_thirty_a_minute(access: Any) -> None:
    answers = [ask(access, client_id=f"made-up-{number}").status_code for number in range(31)]
    assert answers == [401] * 30 + [429]
    assert ask(access).status_code == 429
    assert ask(access, "192.0.2.2").status_code == 200


def test_guesses_do_not_shut_out_who_has_the_secret(access: Any) -> None:
    guesses = [
        ask(access, f"198.51.100.{number % 9}", secret="wrong").status_code for number in range(99)
    ]
    assert Counter(guesses) == {401: 90, 429: 9}
    assert ask(access).status_code == 200


def test_the_address_cannot_be_made_up(access: Any) -> None:
    """Whatever a client writes, the proxy appends what it saw."""
    answers = [
        ask(access, f"10.0.0.{number}, 192.0.2.9", client_id=f"made-up-{number}").status_code
        for number in range(31)
    ]
    assert answers == [401] * 30 + [429]


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        (0, "192.0.2.1", "127.0.0.1"),
        (1, "", "127.0.0.1"),
        (1, "192.0.2.1", "192.0.2.1"),
        (1, "6.6.6.6, 192.0.2.1", "192.0.2.1"),
        (2, "6.6.6.6, 192.0.2.1, 10.0.0.1", "192.0.2.1"),
        (2, "192.0.2.1", "127.0.0.1"),  # the outer one was passed by
        (1, "192.0.2.1:5555", "192.0.2.1"),
        (1, "[2001:db8:1:2:3::4]:99", "2001:db8:1:2::/64"),
        (1, "2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        (1, "::ffff:192.0.2.1", "192.0.2.1"),
        (1, "../../etc/passwd", "unknown"),
        (1, "192.0.2.1,", "127.0.0.1"),
    ],
)
def test_whose_address_it_is(settings: Any, proxies: int, forwarded: str, address: str) -> None:
    settings.TRUSTED_PROXIES = proxies
    request = RequestFactory().post("/", headers={"x-forwarded-for": forwarded})
    assert client_address(request) == address


def test_who_cannot_be_counted_is_not_let_in(access: Any, settings: Any, tmp_path: Path) -> None:
    settings.VAR_DIR = tmp_path / "a file"
    settings.VAR_DIR.write_text("no folder")
    refused = ask(access)
    assert (refused.status_code, refused["Retry-After"]) == (503, "30")
    assert refused.json()["error"] == "temporarily_unavailable"
    assert not get_access_token_model().objects.exists()


COUNTING = """
import pathlib, sys
from django.conf import settings
settings.configure(VAR_DIR=pathlib.Path(sys.argv[1]))
from integrations.heska import rates
print(*[rates.count_of_minute("token", "key", 1) for _ in range(300)])
"""


def test_each_is_counted_once_by_several_processes(tmp_path: Path) -> None:
    command = [sys.executable, "-c", COUNTING, str(tmp_path)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(3)]
    places = [int(place) for each in processes for place in each.communicate()[0].split()]
    assert sorted(places) == list(range(1, 901))


def test_made_up_ids_are_not_kept(tmp_path: Path) -> None:
    for minute in (1, 2, 3, 4):
        for key in ("a", "b"):
            rates.count_of_minute("token", key, minute)
    kept = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*/[ab]"))
    assert kept == [f"rates/token/{minute}/{key}" for minute in (3, 4) for key in "ab"]

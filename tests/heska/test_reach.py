"""Whether our public address can be reached: its scheme, where its name leads, who answers."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.urls import reverse

from integrations.heska import reach, transport
from labs import ids
from labs.models import LabEvent
from tests import factories


def leads_to(monkeypatch: Any, *addresses: str) -> None:
    """What the resolver says; the only thing here that is not real."""
    found = [(2, 1, 6, "", (address, 443)) for address in addresses]
    monkeypatch.setattr(transport, "addresses", lambda *_: found)


def said(found: reach.Reach) -> str:
    return " ".join(found.problems)


@pytest.fixture
def demo(settings: Any) -> Any:
    settings.HESKA_ALLOW_INSECURE = True
    return settings


@pytest.mark.django_db(transaction=True)
def test_this_installation_answers(live_server: Any, demo: Any) -> None:
    demo.PUBLIC_BASE_URL = live_server.url
    found = reach.public_address()
    assert found.ok, found.problems
    assert found.addresses and found.milliseconds is not None


def answer(fake: Any, body: Any, status: int = 200, **headers: str) -> None:
    fake.on("/healthz", (status, body, headers))

    def by_path(path: str, nxt: Any = fake.next) -> Any:
        return nxt(path.partition("?")[0])

    fake.next = by_path


@pytest.mark.parametrize(
    ("status", "body", "headers", "words"),
    [
        (200, {"status": "ok"}, {}, "Something else answers there (status 200)"),
        (200, {"status": "ok", "proof": "0" * 64}, {}, "Something else answers"),
        (200, b"<html>parked", {}, "Something else answers"),
        (200, b"[" * 100_000, {}, "Something else answers"),
        (404, {}, {}, "Something else answers there (status 404)"),
        (301, {}, {"Location": "https://elsewhere.example/healthz"}, "answers with a redirect"),
    ],
)
def test_somebody_else_answers(
    demo: Any, fake_heska: Any, status: int, body: Any, headers: dict[str, str], words: str
) -> None:
    demo.PUBLIC_BASE_URL = fake_heska.url
    answer(fake_heska, body, status, **headers)
    assert words in said(reach.public_address())
    (call,) = fake_heska.calls
    assert re.fullmatch(r"/healthz\?nonce=[0-9a-f]{32}", call.path)
    assert "Ocp-Apim-Subscription-Key" not in call.headers, "no key of Heska's goes there"


def test_nobody_answers(demo: Any) -> None:
    demo.PUBLIC_BASE_URL = "http://127.0.0.1:9"
    assert "We could not reach it from here: nothing answers there." in said(reach.public_address())


def test_a_silent_one_is_not_waited_for(demo: Any, fake_heska: Any, monkeypatch: Any) -> None:
    import time

    demo.PUBLIC_BASE_URL = fake_heska.url
    monkeypatch.setattr(reach, "SECONDS", 0.3)
    fake_heska.next = lambda path: lambda handler: time.sleep(1)
    started = time.monotonic()
    assert "did not answer in time" in said(reach.public_address())
    assert time.monotonic() - started < 0.9


@pytest.mark.parametrize(
    "address", ["10.0.0.7", "192.168.1.2", "127.0.0.1", "169.254.1.1", "fd00::1", "100.64.0.1"]
)
def test_a_private_address_is_said(settings: Any, monkeypatch: Any, address: str) -> None:
    settings.PUBLIC_BASE_URL = "https://lab.example"
    leads_to(monkeypatch, address)
    monkeypatch.setattr(reach, "_who_answers", lambda url: "")
    assert f"leads to {address}, which is a private address" in said(reach.public_address())


def test_a_public_one_is_fine_and_http_is_not(settings: Any, monkeypatch: Any) -> None:
    leads_to(monkeypatch, "93.184.216.34", "2606:2800:220:1::1")
    monkeypatch.setattr(reach, "_who_answers", lambda url: "")
    settings.PUBLIC_BASE_URL = "https://lab.example"
    assert reach.public_address().ok
    settings.PUBLIC_BASE_URL = "http://lab.example"
    assert "It is http, not https" in said(reach.public_address())


def test_a_name_that_leads_nowhere(settings: Any) -> None:
    settings.PUBLIC_BASE_URL = "https://nothing.invalid"
    assert "leads nowhere" in said(reach.public_address())


def test_healthz_proves_itself_for_a_nonce_alone(client: Any) -> None:
    nonce = "0123456789abcdef" * 2
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/healthz", {"nonce": nonce}).json()["proof"] == ids.proof(nonce)
    for odd in ("", "x", nonce + "0", nonce.upper(), "é" * 32):
        assert client.get("/healthz", {"nonce": odd}).json() == {"status": "ok"}
    assert len(json.dumps(ids.proof(nonce))) == 66


@pytest.mark.django_db
def test_the_page_says_it_and_it_is_kept(client: Any, demo: Any) -> None:
    demo.PUBLIC_BASE_URL = "http://127.0.0.1:9"
    clinic = factories.make_clinic()
    client.force_login(factories.make_staff("admin", clinic=clinic))
    address = reverse("heska_pages:address", args=[clinic.public_id])
    page = client.post(address, follow=True).content.decode()
    assert "nothing answers there" in page and 'data-trouble="address"' in page
    event = LabEvent.objects.get(verb="heska.address_checked")
    assert event.data == {"ok": False}

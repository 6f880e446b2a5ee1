from __future__ import annotations

from django.test import Client
from django.urls import reverse

from labs.models import Clinic
from tests import factories


def test_sign_in_and_out(clinic: Clinic, client: Client) -> None:
    factories.make_staff(clinic=clinic, username="dora", password="long-enough-1")
    wrong = client.post(reverse("labs:login"), {"username": "dora", "password": "no"})
    assert wrong.status_code == 200
    assert "belong together" in wrong.content.decode()
    right = client.post(
        reverse("labs:login"),
        {"username": "dora", "password": "long-enough-1", "next": "/patients/"},
    )
    assert right["Location"] == "/patients/"
    assert client.get("/").status_code == 200
    assert client.get(reverse("labs:logout")).status_code == 405
    assert client.post(reverse("labs:logout"))["Location"] == "/login/"
    assert client.get("/").status_code == 302


def test_the_way_back_stays_on_this_site(clinic: Clinic, client: Client) -> None:
    factories.make_staff(clinic=clinic, username="dora", password="long-enough-1")
    response = client.post(
        reverse("labs:login"),
        {"username": "dora", "password": "long-enough-1", "next": "https://elsewhere.example/"},
    )
    assert response["Location"] == "/"

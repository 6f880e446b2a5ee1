"""Administrators make and change logins of their own clinic, and nothing beyond it."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from labs.models import Clinic, LabEvent, Membership, Role
from tests import factories

pytestmark = pytest.mark.django_db
ADD = "/admin/labs/membership/add/"
NEW = "a-long-enough-secret"


@pytest.fixture
def clinic() -> Clinic:
    return factories.make_clinic()


@pytest.fixture
def alice(clinic: Clinic) -> User:
    return factories.make_staff(Role.ADMIN, clinic=clinic, username="alice", is_staff=True)


@pytest.fixture
def client(alice: User) -> Client:
    client = Client()
    client.force_login(alice)
    return client


def form(clinic: Clinic, **fields: Any) -> dict[str, Any]:
    names = {
        "username": "dana",
        "first_name": "Dana",
        "last_name": "Reed",
        "email": "d@example.org",
    }
    return {"clinic": clinic.pk, "role": "vet", "password": NEW, **names, **fields}


def place(user: User) -> str:
    return reverse("admin:labs_membership_change", args=[user.membership_set.get().pk])


def login_form(user: User, **fields: Any) -> dict[str, Any]:
    user.refresh_from_db()
    names = {name: getattr(user, name) for name in ("first_name", "last_name", "email")}
    role = user.membership_set.first().role
    return {"role": role, "is_active": "on", "password": "", **names, **fields}


def test_an_administrator_adds_a_person_who_can_sign_in(clinic: Clinic, client: Client) -> None:
    assert client.post(ADD, form(clinic)).status_code == 302
    dana = User.objects.get(username="dana")
    assert (dana.email, dana.get_full_name()) == ("d@example.org", "Dana Reed")
    assert not dana.is_staff
    assert not dana.is_superuser
    assert dana.membership_set.get().role == Role.VET
    assert Client().login(username="dana", password=NEW)
    assert LabEvent.objects.get(verb="staff.created").data["user"] == dana.pk
    assert NEW not in str(list(LabEvent.objects.values()))


def test_a_new_administrator_may_enter_the_admin(clinic: Clinic, client: Client) -> None:
    client.post(ADD, form(clinic, role="admin"))
    assert User.objects.get(username="dana").is_staff


@pytest.mark.parametrize(
    "wrong",
    [
        {"username": "alice"},
        {"username": "ALICE"},
        {"username": "no spaces"},
        {"password": "short"},
        {"password": "dana-dana-dana", "username": "dana-dana-dana"},
        {"role": "superuser"},
        {"email": "nowhere"},
    ],
)
def test_what_does_not_fit_is_refused(
    clinic: Clinic, client: Client, wrong: dict[str, str]
) -> None:
    assert client.post(ADD, form(clinic, **wrong)).status_code == 200
    assert User.objects.count() == 1


def test_a_login_of_another_clinic_is_not_taken_over_even_with_its_password(
    clinic: Clinic, client: Client
) -> None:
    factories.make_staff(username="charlie", password=NEW)
    response = client.post(ADD, form(clinic, username="charlie"))
    assert "This username is taken" in response.content.decode()
    assert Membership.objects.filter(clinic=clinic).count() == 1


def test_nobody_is_made_a_superuser(clinic: Clinic, client: Client) -> None:
    client.post(ADD, form(clinic, is_superuser="on", is_staff="on"))
    bob = factories.make_staff(clinic=clinic)
    client.post(place(bob), login_form(bob, is_superuser="on", is_staff="on"))
    assert not User.objects.filter(is_superuser=True).exists()
    bob.refresh_from_db()
    assert not bob.is_staff


def test_role_and_login_of_a_colleague(clinic: Clinic, client: Client) -> None:
    bob = factories.make_staff(clinic=clinic, username="bob", password="the-old-secret-1")
    data = login_form(bob, role="admin", first_name="Bob", password=NEW)
    assert client.post(place(bob), data).status_code == 302
    bob.refresh_from_db()
    assert bob.is_staff
    assert bob.first_name == "Bob"
    assert bob.check_password(NEW)
    client.post(place(bob), login_form(bob, role="vet"))
    bob.refresh_from_db()
    assert not bob.is_staff
    assert bob.check_password(NEW)
    client.post(place(bob), {**login_form(bob), "is_active": ""})
    bob.refresh_from_db()
    assert not bob.is_active
    verbs = LabEvent.objects.values_list("verb", flat=True)
    assert list(verbs) == ["staff.role", "staff.login", "staff.role", "staff.login"]


def test_a_weak_new_password_is_refused(clinic: Clinic, client: Client) -> None:
    bob = factories.make_staff(clinic=clinic, password="the-old-secret-1")
    assert client.post(place(bob), login_form(bob, password="short")).status_code == 200
    bob.refresh_from_db()
    assert bob.check_password("the-old-secret-1")


def test_who_works_elsewhere_too_keeps_the_login(clinic: Clinic, client: Client) -> None:
    bob = factories.make_staff(clinic=clinic, username="bob", password="the-old-secret-1")
    url = place(bob)
    Membership.objects.create(user=bob, clinic=factories.make_clinic("B"), role=Role.VET)
    page = client.get(url).content.decode()
    assert "The operator changes this login" in page
    assert 'name="password"' not in page
    client.post(url, login_form(bob, role="vet", password=NEW, first_name="Owned"))
    bob.refresh_from_db()
    assert bob.check_password("the-old-secret-1")
    assert bob.first_name == ""
    assert Membership.objects.get(user=bob, clinic=clinic).role == Role.VET


def test_a_superusers_login_is_not_an_administrators(clinic: Clinic, client: Client) -> None:
    root = factories.make_staff(
        clinic=clinic, username="root", password="the-old-secret-1", is_superuser=True
    )
    client.post(place(root), login_form(root, password=NEW))
    root.refresh_from_db()
    assert root.check_password("the-old-secret-1")


def test_nobody_locks_themselves_out(clinic: Clinic, alice: User, client: Client) -> None:
    client.post(place(alice), {**login_form(alice), "role": "vet", "is_active": ""})
    alice.refresh_from_db()
    assert alice.membership_set.get().role == Role.ADMIN
    own = alice.membership_set.get().pk
    url = reverse("admin:labs_membership_delete", args=[own])
    assert client.post(url, {"post": "yes"}).status_code == 403
    assert Membership.objects.filter(pk=own).exists()


def test_taking_a_place_away_keeps_the_login(clinic: Clinic, client: Client) -> None:
    bob = factories.make_staff(Role.ADMIN, clinic=clinic, username="bob", is_staff=True)
    url = reverse("admin:labs_membership_delete", args=[bob.membership_set.get().pk])
    assert client.post(url, {"post": "yes"}).status_code == 302
    bob.refresh_from_db()
    assert not bob.membership_set.exists()
    assert not bob.is_staff
    assert LabEvent.objects.get(verb="staff.removed").data["user"] == bob.pk


def test_changing_ones_own_password_is_on_record_and_ends_other_sessions(alice: User) -> None:
    alice.set_password("the-old-secret-1")
    alice.save()
    here, there = Client(), Client()
    here.force_login(alice)
    there.force_login(alice)
    form = {"old_password": "wrong", "new_password1": NEW, "new_password2": NEW}
    assert here.post("/admin/password_change/", form).status_code == 200
    assert not LabEvent.objects.exists()
    form["old_password"] = "the-old-secret-1"
    assert here.post("/admin/password_change/", form).status_code == 302
    assert LabEvent.objects.get().verb == "staff.password_changed"
    assert here.get("/admin/").status_code == 200
    assert there.get("/admin/").status_code == 302


def test_django_own_pages_of_users_are_not_theirs(client: Client, alice: User) -> None:
    for url in ("/admin/auth/user/", f"/admin/auth/user/{alice.pk}/change/", "/admin/auth/group/"):
        assert client.get(url).status_code == 404

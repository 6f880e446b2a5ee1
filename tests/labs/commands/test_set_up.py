from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db.migrations.executor import MigrationExecutor
from django.db.utils import OperationalError

from labs.models import Clinic, LabEvent, Membership
from tests.factories import make_clinic, make_staff
from tests.shell import answer, said

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery\n"


def error(name: str, *args: str, stdin: str = "") -> str:
    with pytest.raises(CommandError) as caught:
        said(name, *args, stdin=stdin)
    assert caught.value.returncode == 1
    return str(caught.value)


def test_create_clinic() -> None:
    made = answer("create_clinic", "--name", "Elm", "--timezone", "America/Denver")
    clinic = Clinic.objects.get()
    assert made == {
        "public_id": clinic.public_id,
        "unmatched_url": "http://localhost:8000/api/unmatchedlabresults/" + clinic.public_id,
    }
    assert LabEvent.objects.get().verb == "clinic.created"


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--name", "Oak", "--public-id", "elm-1"], "already exists"),
        (["--name", "Oak", "--public-id", "a b/c"], "letters, numbers, underscores or hyphens"),
        (["--name", "Oak", "--timezone", "Mountain"], "no time zone"),
        (["--name", " "], "Name"),
    ],
)
def test_create_clinic_says_what_is_wrong(args: list[str], words: str) -> None:
    make_clinic(public_id="elm-1")
    assert words in error("create_clinic", *args)
    assert Clinic.objects.count() == 1


def test_create_staff() -> None:
    clinic = make_clinic()
    args = ["--clinic", clinic.public_id, "--username", "alice", "--role", "technician"]
    made = answer("create_staff", *args, "--password-stdin", stdin=PASSWORD)
    assert made == {"username": "alice", "role": "technician", "clinic": clinic.public_id}
    alice = User.objects.get()
    assert alice.check_password("correct horse battery")
    assert not alice.is_staff
    assert not alice.is_superuser
    assert Membership.objects.get().role == "technician"


def test_an_administrator_may_enter_the_admin() -> None:
    clinic = make_clinic()
    args = ["--clinic", clinic.public_id, "--username", "ada", "--role", "admin"]
    answer("create_staff", *args, "--password-stdin", stdin=PASSWORD)
    ada = User.objects.get()
    assert ada.is_staff
    assert not ada.is_superuser


def test_who_knows_the_password_may_work_at_a_second_clinic() -> None:
    here, there = make_clinic(), make_clinic("Oak")
    for clinic in (here, there, there):
        args = ["--clinic", clinic.public_id, "--username", "alice", "--role", "vet"]
        answer("create_staff", *args, "--password-stdin", stdin=PASSWORD)
    assert Membership.objects.count() == 2
    args[-1] = "admin"
    assert "already works at" in error("create_staff", *args, "--password-stdin", stdin=PASSWORD)
    assert not User.objects.get().is_staff


@pytest.mark.parametrize(
    ("username", "password", "words"),
    [
        ("bob", "another password altogether", "is taken"),
        ("alice", "short", "at least 12 characters"),
        ("alice", "", "No password"),
        ("al ice", "correct horse battery", "Username"),
    ],
)
def test_create_staff_says_what_is_wrong(username: str, password: str, words: str) -> None:
    clinic = make_clinic()
    make_staff(clinic=clinic, username="bob", password="something long enough")
    args = ["--clinic", clinic.public_id, "--username", username, "--role", "vet"]
    assert words in error("create_staff", *args, "--password-stdin", stdin=password)
    assert User.objects.count() == 1


def test_an_unknown_clinic_is_named_with_what_to_do() -> None:
    words = error("journal", "--clinic", "elm")
    assert "There is no clinic “elm”" in words
    assert "create_clinic" in words


def test_a_database_that_is_not_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MigrationExecutor, "migration_plan", lambda *_: ["a migration"])
    assert "python manage.py migrate" in error("sweep")


def test_a_database_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise OperationalError("connection refused\n")

    monkeypatch.setattr(MigrationExecutor, "migration_plan", broken)
    assert error("sweep") == "The database does not answer: connection refused"


def test_usage_errors_are_the_parsers() -> None:
    with pytest.raises(CommandError, match="--password-stdin"):
        call_command("create_staff", "--clinic", "x", "--username", "y", "--role", "vet")
    with pytest.raises(CommandError, match="invalid choice"):
        call_command(
            "create_staff",
            "--clinic=x",
            "--username=y",
            "--role=boss",
            "--password-stdin",
        )

"""A password is set by a mail: after it was forgotten, or by an invitation."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.core import mail
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from labs.errors import NotAllowed
from labs.models import Clinic, LabEvent, Membership, Role
from labs.services.people import letters
from tests import factories

OLD, NEW = "correct horse battery", "purple engine thursday"
ADD = "/admin/labs/membership/add/"
pytestmark = pytest.mark.django_db


@pytest.fixture
def clinic() -> Clinic:
    return factories.make_clinic()


@pytest.fixture
def dana(clinic: Clinic) -> User:
    return factories.make_staff(
        clinic=clinic, username="dana", email="Dana@example.org", password=OLD
    )


@pytest.fixture
def admin(clinic: Clinic) -> Client:
    client = Client()
    client.force_login(
        factories.make_staff(Role.ADMIN, clinic=clinic, username="ada", is_staff=True)
    )
    return client


def ask(typed: str, **headers: Any) -> Any:
    answer = Client().post("/login/forgotten/", {"login": typed}, **headers)
    letters.ask("").result(20)  # one thread: what was asked before has been done
    return answer


def link(number: int = -1) -> str:
    found = re.search(r"https?://\S+", str(mail.outbox[number].body))
    assert found
    assert found[0].startswith("http://localhost:8000/login/password/")
    return found[0].removeprefix("http://localhost:8000")


def set_password(address: str, password: str = NEW, client: Client | None = None) -> Any:
    client = client or Client()
    form = client.get(address)
    if form.status_code == 200:
        return form
    assert "made-up" not in form["Location"] and form["Location"].endswith("/set-password/")
    pair = {"new_password1": password, "new_password2": password}
    return client.post(form["Location"], pair)


def of(user: User) -> str:
    return f"/admin/labs/membership/{Membership.objects.get(user=user).pk}/change/"


def login_form(user: User, **fields: Any) -> dict[str, Any]:
    user.refresh_from_db()
    names = {name: getattr(user, name) for name in ("first_name", "last_name", "email")}
    return {"role": "vet", "is_active": "on", "password": "", **names, **fields}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("typed", ["dana", "dana@EXAMPLE.org"])
def test_who_forgot_it_sets_a_new_one(dana: User, typed: str) -> None:
    there = Client()
    there.force_login(dana)
    ask(typed, headers={"host": "localhost"})
    assert [letter.to for letter in mail.outbox] == [["Dana@example.org"]]
    done = set_password(link())
    assert done["Location"] == "/login/"
    dana.refresh_from_db()
    assert dana.check_password(NEW)
    assert there.get("/patients/").status_code == 302  # sessions end
    verbs = list(LabEvent.objects.order_by("pk").values_list("verb", "actor"))
    assert verbs == [("staff.mail_asked", None), ("staff.password_set", dana.pk)]
    assert NEW not in str(list(LabEvent.objects.values()))
    again = set_password(link(), "another good password")
    assert "This link works no more" in again.content.decode()


@pytest.mark.django_db(transaction=True)
def test_the_answer_tells_nobody_who_has_a_login(dana: User, clinic: Clinic) -> None:
    factories.make_staff(clinic=clinic, username="gone", email="gone@example.org", is_active=False)
    factories.make_staff(clinic=clinic, username="nomail")
    said, asked = set(), []
    for number, typed in enumerate(("dana", "gone", "gone@example.org", "nomail", "nobody")):
        with CaptureQueriesContext(connections["default"]) as captured:
            answer = ask(typed, REMOTE_ADDR=f"192.0.2.{number}")
        # The form's token is another one each time; nothing else is.
        said.add((answer.status_code, answer.content))
        asked.append([re.sub(r"'[^']*'", "?", query["sql"]) for query in captured])
    assert len(said) == 1
    assert len({len(each) for each in asked}) == 1
    assert [letter.to for letter in mail.outbox] == [["Dana@example.org"]]


@pytest.mark.django_db(transaction=True)
def test_a_link_ends_after_an_hour_with_a_sign_in_and_with_the_login(dana: User) -> None:
    ask("dana")
    with time_machine.travel(timezone.now() + timedelta(minutes=61)):
        assert set_password(link()).status_code == 200
    User.objects.filter(pk=dana.pk).update(is_active=False)
    assert set_password(link()).status_code == 200
    User.objects.filter(pk=dana.pk).update(is_active=True)
    assert Client().post("/login/", {"username": "dana", "password": OLD}).status_code == 302
    assert set_password(link()).status_code == 200
    dana.refresh_from_db()
    assert dana.check_password(OLD)


@pytest.mark.django_db(transaction=True)
def test_asking_again_and_again_sends_no_flood(dana: User) -> None:
    codes = [ask("dana").status_code for _ in range(6)]
    assert codes == [200, 200, 200, 429, 429, 429]
    assert len(mail.outbox) == 3
    other = [ask("nobody", REMOTE_ADDR="192.0.2.1").status_code for _ in range(6)]
    assert other == codes


@pytest.mark.django_db(transaction=True)
def test_a_mail_server_that_takes_nothing_is_not_told_to_strangers(
    dana: User, settings: Any, caplog: Any
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    assert ask("dana").content == ask("nobody", REMOTE_ADDR="192.0.2.1").content
    assert "could not be sent" in caplog.text


@pytest.mark.parametrize("bad", ["short", "Password1234!", "dana dana dana"])
def test_the_new_password_must_be_a_good_one(dana: User, bad: str) -> None:
    uid = letters._link(dana, letters.tokens.make_token(dana)).removeprefix("http://localhost:8000")
    answer = set_password(uid, bad)
    assert 'role="alert"' in answer.content.decode()
    dana.refresh_from_db()
    assert dana.check_password(OLD)


def test_statements_of_the_pages_that_anybody_may_ask_for(dana: User, client: Client) -> None:
    made_up = letters._link(dana, "made-up").removeprefix("http://localhost:8000")
    counts = {"/login/": 0, "/login/forgotten/": 0, made_up: 1}
    for address, expected in counts.items():
        with CaptureQueriesContext(connections["default"]) as captured:
            assert client.get(address).status_code == 200
        assert len(captured) == expected, address


def test_an_empty_form_and_another_method(client: Client) -> None:
    assert "Type your user name" in client.post("/login/forgotten/").content.decode()
    assert client.put("/login/forgotten/").status_code == 405
    assert client.put("/login/password/MQ/x-y/").status_code == 405


def test_whoever_is_added_without_a_password_is_invited(
    clinic: Clinic, admin: Client, django_capture_on_commit_callbacks: Any
) -> None:
    form = {"clinic": clinic.pk, "role": "vet", "username": "newcomer", "email": "n@example.org"}
    with django_capture_on_commit_callbacks(execute=True):
        assert admin.post(ADD, form).status_code == 302
    newcomer = User.objects.get(username="newcomer")
    assert not newcomer.has_usable_password()
    (letter,) = mail.outbox
    assert letter.to == ["n@example.org"] and "newcomer" in str(letter.body)
    with time_machine.travel(timezone.now() + timedelta(days=2, hours=23)):
        assert Client().get(link()).status_code == 302
    with time_machine.travel(timezone.now() + timedelta(days=3, minutes=1)):
        assert Client().get(link()).status_code == 200
    assert set_password(link())["Location"] == "/login/"
    assert Client().login(username="newcomer", password=NEW)
    verbs = list(LabEvent.objects.order_by("pk").values_list("verb", flat=True))
    assert verbs == ["staff.created", "staff.invited", "staff.password_set"]


def test_an_invitation_needs_an_address(clinic: Clinic, admin: Client) -> None:
    page = admin.post(ADD, {"clinic": clinic.pk, "role": "vet", "username": "newcomer"})
    assert "The invitation goes there" in page.content.decode()
    assert not User.objects.filter(username="newcomer").exists()


@pytest.mark.django_db(transaction=True)
def test_a_colleague_is_sent_a_mail_and_keeps_the_password_until_then(
    dana: User, admin: Client
) -> None:
    answer = admin.post(of(dana), login_form(dana, letter="on", email="new@example.org"))
    assert answer.status_code == 302
    # The address that was theirs hears of it, too.
    assert [each.to for each in mail.outbox] == [["Dana@example.org"], ["new@example.org"]]
    assert "A mail is on its way to new@example.org" in admin.get(of(dana)).content.decode()
    assert Client().login(username="dana", password=OLD)
    for wrong in ({"password": NEW}, {"email": ""}, {"is_active": ""}):
        assert admin.post(of(dana), login_form(dana, letter="on", **wrong)).status_code == 200
    assert len(mail.outbox) == 2


def test_who_works_elsewhere_too_is_not_sent_one(
    dana: User, admin: Client, django_capture_on_commit_callbacks: Any
) -> None:
    """Else whoever changes the address at one clinic opens the other (I3)."""
    url = of(dana)
    Membership.objects.create(user=dana, clinic=factories.make_clinic("B"), role=Role.VET)
    with django_capture_on_commit_callbacks(execute=True):
        admin.post(url, login_form(dana, letter="on", email="eve@example.org"))
    assert mail.outbox == []
    dana.refresh_from_db()
    assert dana.email == "Dana@example.org"


def test_the_service_itself_refuses_to_open_another_clinic(dana: User, clinic: Clinic) -> None:
    ada = factories.make_staff(Role.ADMIN, clinic=clinic)
    vet = factories.make_staff(Role.VET, clinic=clinic)
    place = Membership.objects.get(user=dana)
    assert letters.invitation(acting_user=ada, place=place).to == ["Dana@example.org"]
    with pytest.raises(NotAllowed):
        letters.invitation(acting_user=vet, place=place)
    Membership.objects.create(user=dana, clinic=factories.make_clinic("B"), role=Role.VET)
    with pytest.raises(NotAllowed):
        letters.invitation(acting_user=ada, place=place)
    assert LabEvent.objects.filter(verb="staff.invited").count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_mail_server_that_refuses_is_told_to_the_administrator(
    dana: User, admin: Client, settings: Any
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    admin.post(of(dana), login_form(dana, letter="on"))
    assert "The mail server did not take the mail" in admin.get(of(dana)).content.decode()

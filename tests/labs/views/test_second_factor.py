"""The second factor: nobody who must have it gets anywhere without, and no code is good twice."""

from __future__ import annotations

import base64
import re
from datetime import timedelta
from io import StringIO

import pytest
import time_machine
from cryptography.fernet import Fernet
from django.contrib.auth.models import User
from django.core import mail
from django.core.management import call_command
from django.db import connection
from django.test import Client, TestCase
from django.utils import timezone
from django_otp.oath import TOTP
from pytest_django.fixtures import Settings

from labs.errors import NotAllowed
from labs.models import BackupCode, Clinic, LabEvent, Membership, Role, SecondFactor, Tries
from labs.services.people import pins, second_factor
from labs.views.access import PROVEN
from tests import factories

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"


@pytest.fixture
def clinic() -> Clinic:
    return factories.make_clinic()


def person(clinic: Clinic, username: str, role: str = Role.ADMIN, **fields: object) -> User:
    fields.setdefault("is_staff", role == Role.ADMIN)
    return factories.make_staff(
        role,
        clinic=clinic,
        username=username,
        password=PASSWORD,
        email=f"{username}@x.org",
        **fields,
    )


def sign_in(username: str, client: Client | None = None, after: str = "/patients/") -> Client:
    """As far as the password leads."""
    client = client or Client()
    form = {"username": username, "password": PASSWORD, "next": after}
    client.last = client.post("/login/", form)  # type: ignore[attr-defined]
    return client


def code_of(user: User, seconds: int = 0) -> str:
    """What that person's app shows so many seconds from now."""
    app = TOTP(base64.b32decode(SecondFactor.objects.get(user=user).key))
    app.time = timezone.now().timestamp() + seconds
    return f"{app.token():06d}"


def enrolled(user: User) -> list[str]:
    """With backup codes; the code of a minute ago is spent."""
    second_factor.begin(user)
    codes = second_factor.confirm(user, code_of(user, -30))
    assert codes
    return codes


def verbs(user: User) -> list[str]:
    rows = LabEvent.objects.filter(verb__startswith="staff.", data__user=user.pk).order_by("pk")
    return [row.verb.removeprefix("staff.") for row in rows]


def test_an_administrator_is_led_to_set_it_up_and_reaches_nothing_before(clinic: Clinic) -> None:
    ana = person(clinic, "ana")
    client = sign_in("ana")
    assert client.last["Location"] == "/login/app/"  # type: ignore[attr-defined]
    for path in ("/", "/patients/", "/account/", "/admin/", "/admin/password_change/", "/audit/"):
        assert "/login/" in client.get(path)["Location"], path
    page = client.get("/login/app/").content.decode()
    assert 'src="data:image/svg+xml' in page
    key = "".join(re.search(r'id="key">([^<]+)<', page)[1].split())  # type: ignore[index]
    assert key == SecondFactor.objects.get(user=ana).key
    assert client.post("/login/app/", {"code": "000000"}).status_code == 200
    assert "/login/" in client.get("/")["Location"]
    with time_machine.travel(timezone.now() + timedelta(seconds=3), tick=False):
        shown = client.post("/login/app/", {"code": code_of(ana)})
        codes = re.findall(r"<li>([\w-]{19})</li>", shown.content.decode())
        assert len(set(codes)) == 10 and 'href="/patients/"' in shown.content.decode()
        assert client.get("/").status_code == 200 and client.get("/admin/").status_code == 200
    assert verbs(ana)[-2:] == ["factor_made", "signed_in"]


def test_who_has_it_gives_it_at_every_sign_in(clinic: Clinic) -> None:
    for name, role in (("ana", Role.ADMIN), ("toni", Role.TECHNICIAN)):
        user = person(clinic, name, role)
        enrolled(user)
        client = sign_in(name)
        assert client.last["Location"] == "/login/code/"  # type: ignore[attr-defined]
        assert "/login/" in client.get("/patients/")["Location"]
        assert client.post("/login/code/", {"code": code_of(user)})["Location"] == "/patients/"
        assert client.get("/patients/").status_code == 200


@pytest.mark.parametrize(
    "away",
    [
        *("https://example.org/", "//example.org/", "/\\example.org/", "\thttps://example.org/"),
        *("javascript:alert(1)", "https:example.org", "http://testserver@example.org/"),
    ],
)
def test_signing_in_leads_to_no_other_site(clinic: Clinic, away: str) -> None:
    """Neither after the password alone nor after the code."""
    person(clinic, "toni", Role.TECHNICIAN)
    assert sign_in("toni", after=away).last["Location"] == "/"  # type: ignore[attr-defined]
    ada = person(clinic, "ada", Role.ADMIN)
    enrolled(ada)
    client = sign_in("ada", after=away)
    answer = client.post("/login/code/", {"code": code_of(ada)})
    assert (answer.status_code, answer["Location"]) == (302, "/")


def test_nobody_else_is_asked(clinic: Clinic) -> None:
    person(clinic, "toni", Role.TECHNICIAN)
    assert sign_in("toni").last["Location"] == "/patients/"  # type: ignore[attr-defined]


def test_a_superuser_must_have_it_too_and_admin_is_no_side_door(clinic: Clinic) -> None:
    User.objects.create_superuser("root", password=PASSWORD)
    client = Client()
    assert client.get("/admin/login/?next=/admin/")["Location"].startswith("/login/?")
    assert (
        client.post("/admin/login/", {"username": "root", "password": PASSWORD}).status_code == 405
    )
    sign_in("root", client, "/admin/")
    assert client.last["Location"] == "/login/app/"  # type: ignore[attr-defined]
    assert client.get("/admin/").status_code == 302
    client.post("/login/app/", {"code": code_of(User.objects.get(username="root"))})
    assert client.get("/admin/").status_code == 200


def test_a_code_is_good_once(clinic: Clinic) -> None:
    ana = person(clinic, "ana")
    enrolled(ana)
    code = code_of(ana)
    assert sign_in("ana").post("/login/code/", {"code": code}).status_code == 302
    again = sign_in("ana").post("/login/code/", {"code": code})
    assert again.status_code == 200 and "used already" in again.content.decode()
    assert verbs(ana)[-1] == "factor_failed"


def test_an_older_code_than_the_last_is_refused(clinic: Clinic) -> None:
    ana = person(clinic, "ana")
    enrolled(ana)
    before = code_of(ana)
    with time_machine.travel(timezone.now() + timedelta(seconds=30), tick=False):
        assert second_factor.prove(ana, code_of(ana)).factor
        assert not second_factor.prove(ana, before).factor  # within the tolerance, and too late


def test_a_backup_code_is_good_once_and_lies_hashed(clinic: Clinic) -> None:
    ana = person(clinic, "ana")
    first, second, *_ = enrolled(ana)
    stored = list(BackupCode.objects.values_list("digest", flat=True))
    assert len(stored) == 10 and not any(first.replace("-", "") in each for each in stored)
    assert sign_in("ana").post("/login/code/", {"code": first.lower()}).status_code == 302
    assert sign_in("ana").post("/login/code/", {"code": first}).status_code == 200
    SecondFactor.objects.update(throttling_failure_count=0)
    assert sign_in("ana").post("/login/code/", {"code": second}).status_code == 302
    assert BackupCode.objects.count() == 8 and "backup_code_used" in verbs(ana)


def test_the_key_lies_sealed_and_is_rotated(clinic: Clinic, settings: Settings) -> None:
    ana = person(clinic, "ana")
    enrolled(ana)
    key = SecondFactor.objects.get().key

    def stored() -> str:
        with connection.cursor() as cursor:
            cursor.execute("SELECT key FROM labs_secondfactor")
            return str(cursor.fetchone()[0])

    assert key not in stored() and stored().startswith("gAAAA")
    new, was = Fernet.generate_key().decode(), stored()
    settings.FIELD_ENCRYPTION_KEYS = [new, *settings.FIELD_ENCRYPTION_KEYS]
    call_command("reencrypt", stdout=StringIO())
    settings.FIELD_ENCRYPTION_KEYS = [new]
    assert SecondFactor.objects.get().key == key and stored() != was


def test_guessing_codes_is_made_slow_and_nobody_is_shut_out_for_long(clinic: Clinic) -> None:
    ana = person(clinic, "ana")
    enrolled(ana)
    client = sign_in("ana")
    with time_machine.travel(timezone.now(), tick=False) as clock:
        waits = []
        for _ in range(20):
            answer = client.post("/login/code/", {"code": "000000"})
            if answer.status_code == 429:
                waits.append(int(answer["Retry-After"]))
                clock.shift(timedelta(seconds=waits[-1]))
        assert waits[:4] == [1, 2, 4, 8], "django-otp's own: 1, 2, 4 …"
        second_factor.prove(ana, "1")
    with time_machine.travel(timezone.now() + timedelta(hours=1), tick=False) as clock:
        for _ in range(40):
            SecondFactor.objects.get().throttle_increment()
        assert second_factor.prove(ana, code_of(ana)).wait <= 512
        clock.shift(timedelta(seconds=513))
        assert second_factor.prove(ana, code_of(ana)).factor


def test_the_half_way_ends(clinic: Clinic) -> None:
    ana = person(clinic, "ana")
    enrolled(ana)
    late, changed, disabled = sign_in("ana"), sign_in("ana"), sign_in("ana")
    with time_machine.travel(timezone.now() + timedelta(minutes=11), tick=False):
        assert late.post("/login/code/", {"code": code_of(ana)})["Location"] == "/login/"
    ana.is_active = False
    ana.save()
    assert disabled.post("/login/code/", {"code": code_of(ana)})["Location"] == "/login/"
    ana.is_active = True
    ana.set_password("another horse battery")
    ana.save()
    assert changed.post("/login/code/", {"code": code_of(ana)})["Location"] == "/login/"


def test_the_code_of_one_person_signs_in_no_other(clinic: Clinic) -> None:
    ana, ben = person(clinic, "ana"), person(clinic, "ben")
    enrolled(ana), enrolled(ben)
    assert sign_in("ben").post("/login/code/", {"code": code_of(ana)}).status_code == 200


def test_whoever_becomes_an_administrator_while_signed_in_signs_in_anew(clinic: Clinic) -> None:
    toni = person(clinic, "toni", Role.TECHNICIAN)
    client = sign_in("toni")
    assert client.get("/patients/").status_code == 200
    # The role alone first, as a faulty import might write it; then as the service does.
    Membership.objects.filter(user=toni).update(role=Role.ADMIN)
    assert client.get("/audit/")["Location"].startswith("/login/")
    client = sign_in("toni", Client())
    assert client.last["Location"] == "/login/app/"  # type: ignore[attr-defined]


def test_a_lost_one_is_taken_away_and_its_sessions_end(clinic: Clinic) -> None:
    ana, ben = person(clinic, "ana"), person(clinic, "ben")
    enrolled(ben)
    boss, lost = Client(), sign_in("ben")
    boss.force_login(ana)
    lost.post("/login/code/", {"code": code_of(ben)})
    assert lost.get("/audit/").status_code == 200
    place = ben.membership_set.get()
    url = f"/admin/labs/membership/{place.pk}/change/"
    form = {"role": "admin", "is_active": "on", "email": ben.email, "lost": "on"}
    form |= {"ends_at_0": "", "ends_at_1": "", "first_name": "", "last_name": ""}
    assert "lost second factor" in boss.get(url).content.decode()
    with_mail = len(mail.outbox)
    with TestCase.captureOnCommitCallbacks(execute=True):
        assert boss.post(url, form).status_code == 302
    assert not SecondFactor.objects.filter(user=ben).exists()
    assert lost.get("/audit/")["Location"].startswith("/login/")
    assert mail.outbox[with_mail].to == ["ben@x.org"] and verbs(ben)[-1] == "factor_reset"
    assert sign_in("ben").last["Location"] == "/login/app/"  # type: ignore[attr-defined]


def test_only_a_colleague_of_ones_own_clinic_may_take_it_away(clinic: Clinic) -> None:
    ana, ben = person(clinic, "ana"), person(clinic, "ben")
    other = factories.make_clinic("Oak")
    Membership.objects.create(user=ben, clinic=other, role=Role.VET)
    eve = person(other, "eve")
    root = User.objects.create_superuser("root")
    Membership.objects.create(user=root, clinic=clinic, role=Role.VET)
    for user in (ana, ben, eve, root):
        enrolled(user)
    for acting, user, place_clinic in (
        (ana, ben, clinic),  # works elsewhere too
        (ana, ana, clinic),  # one's own
        (ana, eve, other),
        (ana, root, clinic),
    ):
        place = user.membership_set.get(clinic=place_clinic)
        with pytest.raises(NotAllowed):
            second_factor.reset(acting_user=acting, place=place)
    assert SecondFactor.objects.filter(confirmed=True).count() == 4


def test_the_operator_takes_it_away_by_command(clinic: Clinic) -> None:
    ana = person(clinic, "ana")
    enrolled(ana)
    out = StringIO()
    call_command("reset_second_factor", "--username", "ana", "--json", stdout=out)
    assert '"had_one": true' in out.getvalue() and '"told_by_mail": true' in out.getvalue()
    assert not SecondFactor.objects.exists() and mail.outbox[-1].to == ["ana@x.org"]
    assert LabEvent.objects.filter(verb="staff.factor_reset", source="command").exists()


def test_one_switches_it_on_and_off_with_the_password_alone(clinic: Clinic) -> None:
    toni = person(clinic, "toni", Role.TECHNICIAN)
    client = sign_in("toni")
    assert client.post("/account/app/begin/", {"password": "no"}).status_code == 422
    assert not SecondFactor.objects.exists()
    assert client.post("/account/app/begin/", {"password": PASSWORD}).status_code == 302
    shown = client.post("/account/app/", {"code": code_of(toni, -30)})
    assert len(re.findall(r"<li>[\w-]{19}</li>", shown.content.decode())) == 10
    assert client.get("/account/").status_code == 200, "the session goes on"
    assert client.post("/account/codes/", {"password": PASSWORD}).status_code == 200
    assert client.post("/account/app/off/", {"password": "no"}).status_code == 422
    assert SecondFactor.objects.filter(confirmed=True).exists()
    assert client.post("/account/app/off/", {"password": PASSWORD}).status_code == 302
    assert not SecondFactor.objects.exists() and client.get("/account/").status_code == 200


def test_an_administrator_can_t_switch_it_off(clinic: Clinic) -> None:
    ana = person(clinic, "ana")
    client = Client()
    client.force_login(ana)
    assert client.post("/account/app/off/", {"password": PASSWORD}).status_code == 403
    assert SecondFactor.objects.filter(user=ana, confirmed=True).exists()


def test_the_demo_s_switch_lets_an_administrator_in(clinic: Clinic, settings: Settings) -> None:
    settings.SECOND_FACTOR_REQUIRED = False
    person(clinic, "ana")
    client = sign_in("ana")
    assert client.last["Location"] == "/patients/"  # type: ignore[attr-defined]
    assert client.get("/admin/").status_code == 200 and PROVEN not in client.session
    settings.SECOND_FACTOR_REQUIRED = True
    assert client.get("/admin/").status_code == 302


@pytest.mark.parametrize("after", ["nowhere", "healthz", "labs"])
def test_an_odd_way_back_stops_nobody(clinic: Clinic, after: str) -> None:
    """A word is no name of a page of ours to look up: that would be an error after the code."""
    ana = person(clinic, "ana")
    enrolled(ana)
    client = sign_in("ana", after=after)
    done = client.post("/login/code/", {"code": code_of(ana)})
    assert done.status_code == 302 and done["Location"] == after


def test_a_session_from_before_the_factor_ends_with_it(clinic: Clinic) -> None:
    """Somebody fears that their password is known: whoever signed in with it is out."""
    theo = person(clinic, "theo", Role.TECHNICIAN)
    thief, own = sign_in("theo"), sign_in("theo")
    assert own.post("/account/app/begin/", {"password": PASSWORD})["Location"] == "/account/app/"
    assert own.post("/account/app/", {"code": code_of(theo, -30)}).status_code == 200
    assert own.get("/patients/").status_code == 200
    assert "/login/" in thief.get("/patients/")["Location"]


@pytest.mark.parametrize("door", ["/account/codes/", "/account/app/off/"])
def test_password_and_pin_do_not_replace_the_factor(clinic: Clinic, door: str) -> None:
    """A colleague's PIN was seen and their password is known: no backup codes by that."""
    theo = person(clinic, "theo", Role.TECHNICIAN)
    person(clinic, "tim", Role.TECHNICIAN)
    enrolled(theo)
    pins.set_pin(theo, "830517")
    client = sign_in("tim")
    assert client.post("/switch/", {"who": theo.pk, "pin": "830517"}).status_code == 302
    before = list(BackupCode.objects.order_by("pk").values_list("digest", flat=True))
    refused = client.post(door, {"password": PASSWORD})
    assert refused.status_code == 403 and "sign in with" in refused.content.decode()
    assert second_factor.of(theo)
    assert list(BackupCode.objects.order_by("pk").values_list("digest", flat=True)) == before


def test_who_guesses_in_the_waiting_room_keeps_no_administrator_out(clinic: Clinic) -> None:
    """The same address as the clinic's: the counter's own browser does not wait for them, neither
    with the password nor with the code."""
    ana = person(clinic, "ana")
    enrolled(ana)
    counter = sign_in("ana")
    with time_machine.travel(timezone.now() + timedelta(minutes=2), tick=False):
        assert counter.post("/login/code/", {"code": code_of(ana)}).status_code == 302
    counter.post("/logout/")
    with time_machine.travel(timezone.now() + timedelta(minutes=4), tick=False):
        for number in range(40):
            Client().post("/login/", {"username": f"nobody{number}", "password": "wrong"})
        sign_in("ana", counter)
        done = counter.post("/login/code/", {"code": code_of(ana)})
        assert done.status_code == 302, done.content.decode()[-500:]


def test_whoever_is_to_lose_a_login_hears_of_it_at_their_own_address(clinic: Clinic) -> None:
    """An administrator writes their own address into a colleague's login and takes the factor: the
    letter that tells of it must not go to the administrator alone."""
    ana, ben = person(clinic, "ana"), person(clinic, "ben")
    enrolled(ben)
    boss = Client()
    boss.force_login(ana)
    url = f"/admin/labs/membership/{ben.membership_set.get().pk}/change/"
    form = {"role": "admin", "is_active": "on", "email": "ana2@x.org", "lost": "on"}
    form |= {"ends_at_0": "", "ends_at_1": "", "first_name": "", "last_name": ""}
    mail.outbox.clear()
    with TestCase.captureOnCommitCallbacks(execute=True):
        assert boss.post(url, form).status_code == 302
    assert ["ben@x.org"] in [letter.to for letter in mail.outbox]


def test_the_old_password_is_not_tried_out_in_the_administration(clinic: Clinic) -> None:
    ana = person(clinic, "ana")
    enrolled(ana)
    client = sign_in("ana")
    assert client.post("/login/code/", {"code": code_of(ana)}).status_code == 302
    new = "entirely another horse"
    form = {"old_password": "wrong", "new_password1": new, "new_password2": new}
    tried = [client.post("/admin/password_change/", form).status_code for _ in range(9)]
    assert tried[0] == 200 and 403 in tried
    form["old_password"] = PASSWORD
    assert client.post("/admin/password_change/", form).status_code == 403
    Tries.objects.update(last_at=timezone.now() - timedelta(minutes=2))
    assert client.post("/admin/password_change/", form).status_code == 302

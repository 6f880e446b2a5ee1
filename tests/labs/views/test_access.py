"""Each page for its owner, a colleague, a stranger and nobody."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from labs.models import Attachment, Clinic
from tests import factories

SignIn = Callable[[User], Client]
LISTS = [
    "worklist",
    "patients",
    "new_request",
    "new_patient",
    "unmatched",
    "typeahead",
    "nav",
    "clinic",
]


@pytest.fixture
def addresses(clinic: Clinic, alice: User) -> dict[str, str]:
    """One record of each kind, of alice's clinic."""
    request = factories.make_request(
        factories.make_patient(clinic), acting_user=alice, accepted=True
    )
    message = factories.make_result(
        request,
        factories.make_report([factories.make_run(files=(factories.make_picture(),))]),
    )
    unmatched = factories.make_unmatched(clinic)
    report_id, uuid = request.lab_report_id, request.patient.uuid
    return {
        "request": reverse("labs:request", args=[report_id]),
        "patient": reverse("labs:patient", args=[uuid]),
        "edit_patient": reverse("labs:edit_patient", args=[uuid]),
        "new_request": f"{reverse('labs:new_request')}?patient={uuid}",
        "unmatched_history": reverse("labs:unmatched_history", args=[unmatched.uuid]),
        "match": reverse("labs:match", args=[unmatched.uuid]),
        "attachment": reverse("labs:attachment", args=[Attachment.objects.get().uuid]),
        "message": reverse("labs:message", args=[message.receipt_id]),
        "message_body": reverse("labs:message_body", args=[message.receipt_id]),
    }


def test_records_are_their_clinics_only(
    addresses: dict[str, str], alice: User, bob: User, charlie: User, signed_in: SignIn
) -> None:
    wanted = {alice: 200, bob: 200, charlie: 404}
    got = {
        (user.username, name): signed_in(user).get(address).status_code
        for user in wanted
        for name, address in addresses.items()
        if not name.startswith("message")
    }
    assert got == {
        (user.username, name): status
        for user, status in wanted.items()
        for name in addresses
        if not name.startswith("message")
    }


def test_messages_are_for_administrators(
    addresses: dict[str, str], bob: User, ada: User, charlie: User, signed_in: SignIn
) -> None:
    for name in ("message", "message_body"):
        assert signed_in(ada).get(addresses[name]).status_code == 200
        assert signed_in(bob).get(addresses[name]).status_code == 403
        assert signed_in(charlie).get(addresses[name]).status_code == 404
    response = signed_in(bob).get(reverse("labs:messages"))
    assert response.status_code == 403
    assert "only an administrator" in response.content.decode()
    assert signed_in(ada).get(reverse("labs:messages")).status_code == 200


def test_nobody_signed_in_is_sent_to_the_login(addresses: dict[str, str], client: Client) -> None:
    for address in [*addresses.values(), *(reverse(f"labs:{name}") for name in LISTS)]:
        response = client.get(address)
        assert response.status_code == 302, address
        assert response["Location"].startswith("/login/?next="), address


def test_a_part_of_a_page_sends_the_whole_page_to_the_login(client: Client) -> None:
    response = client.get(
        reverse("labs:worklist"),
        {"v": "old"},
        headers={"HX-Request": "true", "HX-Current-URL": "http://testserver/?show=running"},
    )
    assert response["HX-Redirect"] == "/login/?next=/%3Fshow%3Drunning"
    assert response.content == b""


def test_lists_show_nothing_of_another_clinic(
    addresses: dict[str, str], charlie: User, signed_in: SignIn
) -> None:
    client = signed_in(charlie)
    for name in LISTS:
        page = client.get(reverse(f"labs:{name}"))
        assert page.status_code == 200, name
        assert "Biscuit" not in page.content.decode(), name
        assert "BISCUIT" not in page.content.decode(), name


@pytest.mark.parametrize("action", ["sign", "cancel", "resubmit"])
def test_a_stranger_can_do_nothing(
    action: str, addresses: dict[str, str], charlie: User, signed_in: SignIn
) -> None:
    address = addresses["request"] + f"{action}/"
    assert signed_in(charlie).post(address, {"version": "1"}).status_code == 404
    assert signed_in(charlie).get(address).status_code == 405


def test_a_login_without_a_clinic_is_told_so(db: None, signed_in: SignIn) -> None:
    user = User.objects.create(username="nobody")
    response = signed_in(user).get(reverse("labs:worklist"))
    assert response.status_code == 403
    assert "belong to no clinic" in response.content.decode()


def test_a_member_of_two_clinics_switches(clinic: Clinic, alice: User, signed_in: SignIn) -> None:
    other = factories.make_clinic("Zebra Clinic")
    other.membership_set.create(user=alice, role="vet")
    there = factories.make_patient(other, name="Zazu")
    client = signed_in(alice)
    assert "Zazu" not in client.get(reverse("labs:patients")).content.decode()
    # A record of the other clinic opens as that clinic's page, without switching for good.
    page = client.get(reverse("labs:patient", args=[there.uuid])).content.decode()
    assert "Zazu" in page and "Zebra Clinic" in page
    client.post(reverse("labs:clinic"), {"clinic": other.public_id})
    assert "Zazu" in client.get(reverse("labs:patients")).content.decode()
    strange = factories.make_clinic("Strange Clinic")
    assert client.post(reverse("labs:clinic"), {"clinic": strange.public_id}).status_code == 404


def test_a_disabled_login_sees_nothing(alice: User, signed_in: SignIn) -> None:
    client = signed_in(alice)
    User.objects.filter(pk=alice.pk).update(is_active=False)
    assert client.get(reverse("labs:worklist")).status_code == 302


def test_a_place_that_has_ended_shows_nothing_more(
    clinic: Clinic, alice: User, signed_in: SignIn
) -> None:
    """Within the session, and where another place of that person goes on."""
    other = factories.make_clinic("Zebra Clinic")
    other.membership_set.create(user=alice, role="vet")
    here = factories.make_patient(clinic, name="Hobbes")
    client = signed_in(alice)
    assert client.get(reverse("labs:patient", args=[here.uuid])).status_code == 200
    clinic.membership_set.filter(user=alice).update(ends_at=timezone.now() - timedelta(seconds=1))
    assert client.get(reverse("labs:patient", args=[here.uuid])).status_code == 404
    page = client.get(reverse("labs:patients")).content.decode()
    assert "Zebra Clinic" in page and "Hobbes" not in page and clinic.name not in page
    other.membership_set.filter(user=alice).update(ends_at=timezone.now())
    assert client.get(reverse("labs:patients")).status_code == 403

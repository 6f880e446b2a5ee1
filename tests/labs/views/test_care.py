"""What was typed into a form of the result page is not lost where it cannot be taken."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from labs.errors import NotAllowed
from labs.models import Clinic, FollowUp, LabRequest, OwnerTold
from tests import factories

SignIn = Callable[[User], Client]
TYPED = "Call about “PLT” & the <smear>"
STANDS = "Call about “PLT” &amp; the &lt;smear&gt;"


@pytest.fixture
def lab_request(clinic: Clinic) -> LabRequest:
    made = factories.make_request(factories.make_patient(clinic), accepted=True)
    factories.make_result(made)
    return made


def address(lab_request: LabRequest, name: str) -> str:
    return reverse(f"labs:{name}", args=[lab_request.lab_report_id])


def form(page: str, action: str) -> tuple[bool, str]:
    """Whether that form is unfolded, and the form."""
    found = re.search(
        r'<details class="cancel"( open)?><summary>[^<]*</summary>'
        rf'(<form[^>]*"{action}".*?</form>)',
        page,
        re.DOTALL,
    )
    assert found, page
    return bool(found[1]), found[2]


def beside(shown: str, name: str) -> str:
    """What is said to that field, which has the focus."""
    found = re.search(
        rf'<label[^>]*>(?:(?!</label>).)*<(?:input|select|textarea)[^>]* name="{name}"[^>]*'
        r' autofocus aria-invalid="true" aria-describedby="refused">(?:(?!</label>).)*'
        r'<small class="why" id="refused">([^<]*)</small></label>',
        shown,
        re.DOTALL,
    )
    assert found, shown
    return found[1]


@pytest.mark.parametrize(
    "day, said",
    [
        ("2026-03-01", "2026-03-01 is past. Give today or a later day."),
        ("2062-03-01", "Give a day within the next 5 years."),
        ("", "Give the day by which it is to be done."),
        ("soon", "Give the day by which it is to be done."),
    ],
)
@time_machine.travel("2026-03-02T12:00Z", tick=False)
def test_a_refused_follow_up_stands_as_it_was_typed(
    lab_request: LabRequest, alice: User, bob: User, signed_in: SignIn, day: str, said: str
) -> None:
    url = address(lab_request, "follow_up")
    typed = {"what": TYPED, "person": bob.pk, "due_on": day}
    answer = signed_in(alice).post(url, typed)
    assert answer.status_code == 422 and not FollowUp.objects.exists()
    page = answer.content.decode()
    unfolded, shown = form(page, url)
    assert unfolded
    assert f'value="{STANDS}"' in shown and f'value="{day}"' in shown
    assert f'<option value="{bob.pk}" selected>' in shown and shown.count(" selected") == 1
    assert beside(shown, "due_on") == said
    other, untouched = form(page, address(lab_request, "say_told"))
    assert not other and STANDS not in untouched and page.count("autofocus") == 1


def test_what_is_to_be_done_and_who_are_asked_for_by_name(
    lab_request: LabRequest, alice: User, charlie: User, signed_in: SignIn
) -> None:
    url, client = address(lab_request, "follow_up"), signed_in(alice)
    typed = {"what": " ", "person": alice.pk, "due_on": "2026-03-02"}
    _, shown = form(client.post(url, typed).content.decode(), url)
    assert beside(shown, "what") == "Say in at most 200 characters what is to be done."
    assert 'value="2026-03-02"' in shown
    stranger = typed | {"what": TYPED, "person": charlie.pk}
    _, shown = form(client.post(url, stranger).content.decode(), url)
    assert beside(shown, "person") == "Choose who of the clinic sees to it."
    assert STANDS in shown and f'"{charlie.pk}"' not in shown


def test_what_the_owner_was_told_stands_again_where_it_is_too_long(
    lab_request: LabRequest, alice: User, signed_in: SignIn
) -> None:
    url = address(lab_request, "say_told")
    text = f"\nFirst\n{TYPED}" + "!" * 1000
    answer = signed_in(alice).post(url, {"what": text})
    assert answer.status_code == 422 and not OwnerTold.objects.exists()
    page = answer.content.decode()
    unfolded, shown = form(page, url)
    assert unfolded
    assert beside(shown, "what") == "Say in at most 1000 characters what the owner was told."
    # The first line break in a text area is not of its text.
    assert f">\n\nFirst\n{STANDS}!!!" in shown
    assert not form(page, address(lab_request, "follow_up"))[0]


def test_what_the_owner_was_told_of_a_result_that_is_gone_meanwhile(
    clinic: Clinic, alice: User, signed_in: SignIn
) -> None:
    empty = factories.make_request(factories.make_patient(clinic), accepted=True)
    url, client = address(empty, "say_told"), signed_in(alice)
    assert url not in client.get(address(empty, "request")).content.decode()
    unfolded, shown = form(client.post(url, {"what": TYPED}).content.decode(), url)
    assert unfolded and STANDS in shown and "Nothing has come yet" in beside(shown, "what")


@pytest.mark.parametrize("name", ["follow_up", "say_told"])
def test_the_address_of_a_refused_form_leads_back_to_the_request(
    lab_request: LabRequest, alice: User, charlie: User, signed_in: SignIn, name: str
) -> None:
    """Where one signs in again or changes places there; and each link of the page holds there."""
    url, client = address(lab_request, name), signed_in(alice)
    assert client.get(url).headers["Location"] == address(lab_request, "request")
    assert signed_in(charlie).get(url).status_code == 404
    page = client.post(url, {}).content.decode()
    assert address(lab_request, "request") in page and 'href="?' not in page


def test_lines_of_what_just_fits_its_field_are_taken(
    lab_request: LabRequest, alice: User, signed_in: SignIn
) -> None:
    """A browser lets a person type 1,000 characters, and sends one more for each end of a line."""
    answer = signed_in(alice).post(
        address(lab_request, "say_told"), {"what": "\r\n".join(["a" * 499, "b" * 500])}
    )
    assert answer.status_code == 302
    assert OwnerTold.objects.get().what == "a" * 499 + "\n" + "b" * 500


def test_a_review_is_given_away_where_there_is_somebody_to_take_it(
    clinic: Clinic, lab_request: LabRequest, bob: User, signed_in: SignIn
) -> None:
    client = signed_in(bob)
    asked = address(lab_request, "hand_over")
    assert asked not in client.get(address(lab_request, "request")).content.decode()
    other = factories.make_staff("vet", clinic=clinic)
    _, shown = form(client.get(address(lab_request, "request")).content.decode(), asked)
    assert re.findall(r'<option value="(\d+)"', shown) == [str(other.pk)]


def test_who_was_chosen_and_is_gone_is_chosen_anew(
    lab_request: LabRequest, bob: User, charlie: User, signed_in: SignIn
) -> None:
    """Not the first of the list by itself, who would be given it with the next press."""
    answer = signed_in(bob).post(
        address(lab_request, "follow_up"),
        {"what": TYPED, "person": charlie.pk, "due_on": "2062-03-01"},
    )
    _, shown = form(answer.content.decode(), address(lab_request, "follow_up"))
    assert re.findall(r'<option value="([^"]*)" selected>', shown) == [""]


def test_a_refusal_that_blames_no_field_is_said(
    lab_request: LabRequest, bob: User, signed_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = signed_in(bob)

    def no_more(*_: object) -> None:
        raise NotAllowed("You do not work here any more.")

    monkeypatch.setattr("labs.services.reviews.care.roles.require", no_more)
    answer = client.post(address(lab_request, "say_told"), {"what": TYPED})
    assert answer.status_code == 422
    assert "You do not work here any more." in answer.content.decode()

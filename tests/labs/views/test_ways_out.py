"""Every way out of the queue but a card: undo, a new patient, a split, a move; word of others."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from labs.models import (
    Clinic,
    LabEvent,
    LabRequest,
    MatchDecision,
    Owner,
    Patient,
    UnmatchedResult,
)
from labs.queries.orphaned.candidates import candidates_for
from labs.queries.orphaned.orphans import runs_of
from labs.services.orphaned import matching
from labs.services.reviews import review
from tests import factories

pytestmark = pytest.mark.django_db
SignIn = Callable[[User], Client]


def address(orphan: UnmatchedResult, tail: str = "") -> str:
    return f"/unmatched/{orphan.uuid}/{tail}"


def post(client: Client, orphan: UnmatchedResult, tail: str = "", **data: Any) -> Any:
    orphan.refresh_from_db()
    return client.post(address(orphan, tail), {"version": orphan.version, **data})


def text(response: Any) -> str:
    return str(response.content.decode())


@pytest.fixture
def biscuit(clinic: Clinic) -> Patient:
    return factories.make_patient(clinic, patient_id="P-10482")


@pytest.fixture
def orphan(clinic: Clinic) -> UnmatchedResult:
    return factories.make_unmatched(clinic, owner_last_name="Example")


@pytest.fixture
def matched(alice: User, orphan: UnmatchedResult, biscuit: Patient) -> LabRequest:
    return matching.match(
        acting_user=alice, unmatched=orphan, patient=biscuit, expected_version=orphan.version
    )


# Undo.


def test_for_half_a_minute_one_key_takes_it_back_without_a_reason(
    alice: User, bob: User, signed_in: SignIn, orphan: UnmatchedResult, matched: LabRequest
) -> None:
    assert 'id="undo-now"' in text(signed_in(alice).get(address(orphan)))
    assert 'id="undo-now"' not in text(signed_in(bob).get(address(orphan)))
    assert post(signed_in(bob), orphan, "unmatch/", undo="1").status_code == 422
    assert post(signed_in(alice), orphan, "unmatch/", undo="1").status_code == 302
    assert orphan.decisions.last().reason == "Undone at once"


def test_after_half_a_minute_it_takes_a_reason(
    alice: User, signed_in: SignIn, orphan: UnmatchedResult, matched: LabRequest
) -> None:
    client = signed_in(alice)
    with time_machine.travel(timezone.now() + timedelta(seconds=31)):
        assert 'id="undo-now"' not in text(client.get(address(orphan)))
        assert post(client, orphan, "unmatch/", undo="1").status_code == 422
        assert post(client, orphan, "unmatch/", undo="1", reason="Wrong dog").status_code == 302


# A match taken back from the result, the patient and the audit page.


def test_failure_mode_17_each_page_that_shows_it_can_take_it_back_and_move_it(
    alice: User,
    signed_in: SignIn,
    orphan: UnmatchedResult,
    biscuit: Patient,
) -> None:
    client = signed_in(alice)
    pages = {
        "patient": f"/patients/{biscuit.uuid}/",
        "audit": address(orphan, "history/"),
        "result": "",
    }
    for name, page in pages.items():
        orphan.refresh_from_db()
        request = matching.match(
            acting_user=alice, unmatched=orphan, patient=biscuit, expected_version=orphan.version
        )
        page = page or f"/requests/{request.lab_report_id}/"
        shown = text(client.get(page))
        assert f'action="{address(orphan, "unmatch/")}"' in shown, name
        assert f'href="{address(orphan)}#undo">Move it to another animal' in shown, name
        assert f'name="version" value="{orphan.version}"' in shown, name
        assert post(client, orphan, "unmatch/", next=page).status_code == 422, "no reason"
        answer = post(client, orphan, "unmatch/", reason=f"From {name}", next=page)
        assert (answer.status_code, answer.url) == (302, page)
        assert orphan.decisions.last().reason == f"From {name}"


def test_who_has_viewed_printed_or_signed_it_is_named(
    alice: User, bob: User, signed_in: SignIn, orphan: UnmatchedResult, matched: LabRequest
) -> None:
    page = f"/requests/{matched.lab_report_id}/"
    client = signed_in(bob)
    for _ in range(3):
        client.get(page)
    assert client.post(f"{page}printed/").status_code == 204
    matched.refresh_from_db()
    review.sign(acting_user=bob, request=matched, expected_version=matched.version)
    assert LabEvent.objects.filter(verb="result.viewed", actor=bob).count() == 1
    for where in (address(orphan), page, address(orphan, "history/")):
        shown = text(signed_in(alice).get(where))
        for did in ("signed", "printed", "viewed"):
            assert f"<b>Bob</b> {did} it" in shown, (where, did)
    assert "result viewed" not in text(signed_in(alice).get(page)), "noise in the history"


@pytest.mark.parametrize(
    ("page", "did"),
    [("/patients/{}/", "saw it on the record"), ("/patients/{}/trends/", "saw it in the trends")],
)
def test_who_saw_it_on_the_record_or_in_its_trends_is_named_before_and_after(
    alice: User,
    bob: User,
    signed_in: SignIn,
    orphan: UnmatchedResult,
    biscuit: Patient,
    page: str,
    did: str,
) -> None:
    signed_in(bob).get(page.format(biscuit.uuid))  # before it stood there
    client = signed_in(alice)
    matching.match(
        acting_user=alice, unmatched=orphan, patient=biscuit, expected_version=orphan.version
    )
    assert "<b>Bob</b>" not in text(client.get(address(orphan)))
    other = factories.make_patient(biscuit.clinic)
    signed_in(bob).get(page.format(other.uuid))
    assert "<b>Bob</b>" not in text(client.get(address(orphan))), "of another animal"
    assert signed_in(bob).get(page.format(biscuit.uuid)).status_code == 200
    client.get(page.format(biscuit.uuid))
    assert f"<b>Bob</b> {did}" in text(client.get(address(orphan)))
    answer = post(client, orphan, "unmatch/", reason="Wrong dog", next="/unmatched/")
    said = text(client.get(answer.url))
    assert f"Tell who may have acted on it: Bob {did}" in said
    assert "alice" not in said.partition("Tell who")[2].partition("</p>")[0], "who does it knows"
    assert f"Meanwhile Bob {did}" in text(client.get(address(orphan))), "and it stays on record"


def test_who_may_see_signed_results_alone_has_seen_none_before_that(
    clinic: Clinic,
    alice: User,
    bob: User,
    signed_in: SignIn,
    orphan: UnmatchedResult,
    biscuit: Patient,
    matched: LabRequest,
) -> None:
    desk = factories.make_staff("reception", clinic=clinic, username="desk", first_name="Dee")
    signed_in(desk).get(f"/patients/{biscuit.uuid}/")
    assert "<b>Dee</b>" not in text(signed_in(alice).get(address(orphan)))
    vet = factories.make_staff("vet", clinic=clinic, username="vet")
    matched.refresh_from_db()
    review.sign(acting_user=vet, request=matched, expected_version=matched.version)
    assert "<b>Dee</b>" not in text(signed_in(alice).get(address(orphan)))
    signed_in(desk).get(f"/patients/{biscuit.uuid}/")
    assert "<b>Dee</b> saw it on the record" in text(signed_in(alice).get(address(orphan)))
    client = signed_in(alice)
    target = factories.make_patient(clinic, name="Biscuit")
    form = move_form(orphan, target)
    said = text(client.get(post(client, orphan, "move/", **form).url))
    assert "Tell who may have acted on it: vet signed it" in said and "Dee saw it" in said


def test_who_looked_before_the_match_has_seen_nothing_of_it(
    alice: User, bob: User, signed_in: SignIn, orphan: UnmatchedResult, biscuit: Patient
) -> None:
    request = factories.make_request(biscuit, panels=["HHEM-1", "HDC-3"], accepted=True)
    factories.make_result(request, factories.make_report([factories.make_run(test_code="HDC-3")]))
    signed_in(bob).get(f"/requests/{request.lab_report_id}/")
    matching.match(
        acting_user=alice,
        unmatched=orphan,
        patient=biscuit,
        request=request,
        expected_version=orphan.version,
    )
    assert "<b>Bob</b>" not in text(signed_in(alice).get(address(orphan)))


# Move.


def move_form(orphan: UnmatchedResult, patient: Patient, **data: Any) -> dict[str, Any]:
    found = candidates_for(orphan, runs=runs_of(orphan), chosen=patient.uuid)[0]
    return {"candidate": patient.uuid, "seen": found.seen_key, "reason": "It is hers", **data}


def test_a_match_is_moved_with_a_reason(
    clinic: Clinic, alice: User, signed_in: SignIn, orphan: UnmatchedResult, matched: LabRequest
) -> None:
    other = factories.make_patient(clinic, name="Biscuit", patient_id="P-2")
    client = signed_in(alice)
    page = text(client.get(address(orphan), {"candidate": other.uuid}))
    assert "Move it from Biscuit, P-10482 to Biscuit, Example, P-2" in page
    assert post(client, orphan, "move/", **move_form(orphan, other, reason="")).status_code == 422
    orphan.refresh_from_db()
    assert orphan.decisions.get(active=True).patient == matched.patient
    assert post(client, orphan, "move/", **move_form(orphan, other)).status_code == 302
    assert orphan.decisions.get(active=True).patient == other
    matched.refresh_from_db()
    assert (matched.state, matched.runs.count()) == ("cancelled", 0)
    assert [d.action for d in orphan.decisions.all()] == ["match", "unmatch", "match"]


def test_a_conflict_asks_for_the_name_here_too(
    clinic: Clinic, alice: User, signed_in: SignIn, orphan: UnmatchedResult, matched: LabRequest
) -> None:
    cat = factories.make_patient(clinic, name="Olive", species="cat")
    client = signed_in(alice)
    assert post(client, orphan, "move/", **move_form(orphan, cat)).status_code == 422
    form = move_form(orphan, cat, typed_name="olive")
    assert post(client, orphan, "move/", **form).status_code == 302


def test_a_running_request_is_moved_from_its_page(
    clinic: Clinic, alice: User, signed_in: SignIn, biscuit: Patient
) -> None:
    request = factories.make_request(biscuit, accepted=True)
    olive = factories.make_patient(clinic, name="Olive")
    page = f"/requests/{request.lab_report_id}/"
    client = signed_in(alice)
    assert f"{page}move/" in text(client.get(page))
    assert f"?patient={olive.uuid}" in text(client.get(f"{page}move/", {"q": "oli"}))
    shown = text(client.get(f"{page}move/", {"patient": olive.uuid}))
    assert "Move it to Olive, Example" in shown
    form = {"patient": olive.uuid, "version": request.version}
    assert client.post(f"{page}move/", form).status_code == 422, "no reason"
    assert client.post(f"{page}move/", {**form, "reason": "Wrong cage"}).status_code == 302
    told = text(client.get(page))
    assert "The analyzer still shows Biscuit: run it under that name." in told
    assert "Wrong cage" in told


def test_moving_a_request_to_another_species_asks_for_the_name(
    clinic: Clinic, alice: User, charlie: User, signed_in: SignIn, biscuit: Patient
) -> None:
    request = factories.make_request(biscuit, accepted=True)
    olive = factories.make_patient(clinic, name="Olive", species="cat")
    page = f"/requests/{request.lab_report_id}/move/"
    form = {"patient": olive.uuid, "version": request.version, "reason": "x"}
    assert signed_in(charlie).post(page, form).status_code == 404
    theirs = factories.make_patient()
    client = signed_in(alice)
    shown = text(client.get(page, {"patient": olive.uuid}))
    assert "It was ordered for a dog, and Olive is a cat" in shown
    assert client.post(page, {**form, "patient": theirs.uuid}).status_code == 404
    assert client.post(page, form).status_code == 422
    assert client.post(page, {**form, "typed_name": "Olive"}).status_code == 302


# Split.


def test_a_message_of_two_animals_is_split_on_its_page(
    clinic: Clinic, alice: User, signed_in: SignIn
) -> None:
    runs = [factories.make_run(test_code=code, test_name=code) for code in ("HHEM-1", "HDC-3")]
    orphan = factories.make_unmatched(clinic, factories.make_report(runs, external_id="1"))
    client = signed_in(alice)
    assert "Two animals in one message" in text(client.get(address(orphan)))
    assert post(client, orphan, "split/").status_code == 422
    assert post(client, orphan, "split/", run=[orphan.runs.last().pk]).status_code == 302
    part = UnmatchedResult.objects.get(split_from=orphan)
    assert "HDC-3" in text(client.get(address(part)))
    assert "held two animals" in text(client.get(address(part)))
    assert part.messages.count() == 0 and "Message" in text(client.get(address(part, "history/")))
    one_run = factories.make_unmatched(clinic)
    assert "Two animals in one message" not in text(client.get(address(one_run)))


# A new patient.

RECORD = {"name": "Zorro", "species": "dog", "sex": "M"}


def typed_orphan(clinic: Clinic) -> UnmatchedResult:
    return factories.make_unmatched(
        clinic,
        patient_name="ZORRO",
        patient_id="Z-77",
        sex="Male",
        sex_code="M",
        breed="Beagle",
        birth_date="2021-03-04",
        weight="22",
        weight_unit="lb",
        microchip="985 112 000 000 001",
        owner_first_name="DIEGO",
        owner_last_name="VEGA",
    )


def test_failure_mode_16_a_new_patient_is_filled_in_as_typed_and_gets_the_result(
    clinic: Clinic, alice: User, signed_in: SignIn
) -> None:
    orphan = typed_orphan(clinic)
    client = signed_in(alice)
    page = text(client.get(address(orphan, "new/")))
    for value in ("ZORRO", "Z-77", "Beagle", "2021-03-04", "985112000000001", "DIEGO", "VEGA"):
        assert f'value="{value}"' in page, value
    assert 'value="9.979"' in page, "the weight in kg"
    assert '<option value="dog" selected>' in page and '<option value="M" selected>' in page
    form = {**RECORD, "patient_id": "Z-77", "owner_last_name": "Vega", "weight_kg": "9.98"}
    assert post(client, orphan, "new/", **form).status_code == 302
    zorro = Patient.objects.get(name="Zorro")
    assert (zorro.owner.last_name, zorro.patient_id) == ("Vega", "Z-77")
    decision = orphan.decisions.get(active=True)
    assert (decision.patient, decision.evidence["found_by"]) == (zorro, "new")


def test_an_id_that_is_taken_or_a_placeholder_is_not_filled_in(
    clinic: Clinic, alice: User, signed_in: SignIn, biscuit: Patient
) -> None:
    for typed in ("p-10482", "1", "NONE"):
        orphan = factories.make_unmatched(clinic, patient_name="Zorro", patient_id=typed)
        page = text(signed_in(alice).get(address(orphan, "new/")))
        field = page.partition('name="patient_id"')[2].partition(">")[0]
        assert "value=" not in field, typed


def test_somebody_like_it_on_file_is_looked_at_first(
    clinic: Clinic, alice: User, signed_in: SignIn
) -> None:
    owner = factories.make_owner(clinic, last_name="Vega", first_name="Diego")
    known = factories.make_patient(clinic, name="Zoro", owner=owner)
    orphan = typed_orphan(clinic)
    client = signed_in(alice)
    page = text(client.get(address(orphan, "new/")))
    assert "Is it one of these?" in page and "similar name, same owner" in page
    form = {**RECORD, "owner_last_name": "Vega"}
    response = post(client, orphan, "new/", **form)
    assert response.status_code == 422 and "Choose the owner" in text(response)
    response = post(client, orphan, "new/", **form, owner=owner.owner_id)
    assert response.status_code == 422 and "none of the animals on file" in text(response)
    assert Patient.objects.count() == 1 and Owner.objects.count() == 1
    ruled = {**form, "owner": owner.owner_id, "ruled_out": str(known.uuid)}
    assert post(client, orphan, "new/", **ruled).status_code == 302
    zorro = Patient.objects.get(name="Zorro")
    assert zorro.owner == owner and Owner.objects.count() == 1
    assert MatchDecision.objects.get().evidence["ruled_out"] == [str(known.uuid)]


def test_another_owner_of_the_same_name_or_none_is_said_and_never_guessed(
    clinic: Clinic, alice: User, signed_in: SignIn
) -> None:
    factories.make_owner(clinic, last_name="Vega")
    client = signed_in(alice)
    for owner, count in (("new", 2), ("none", 2)):
        orphan = typed_orphan(clinic)
        form = {**RECORD, "name": f"Zorro {owner}", "owner_last_name": "Vega", "owner": owner}
        assert post(client, orphan, "new/", **form).status_code == 302
        assert Owner.objects.count() == count
    assert Patient.objects.get(name="Zorro none").owner is None


def test_a_new_patient_for_what_somebody_else_has_matched_is_not_left_behind(
    clinic: Clinic, alice: User, bob: User, signed_in: SignIn, biscuit: Patient
) -> None:
    orphan = typed_orphan(clinic)
    seen = orphan.version
    matching.match(acting_user=bob, unmatched=orphan, patient=biscuit, expected_version=seen)
    response = post(signed_in(alice), orphan, "new/", **RECORD, owner_last_name="Vega")
    assert response.status_code == 422 and "matched" in text(response)
    response = signed_in(alice).post(
        address(orphan, "new/"), {**RECORD, "owner_last_name": "Vega", "version": seen}
    )
    assert response.status_code == 409 and "bob" in text(response)
    assert not Patient.objects.filter(name="Zorro").exists()
    assert not Owner.objects.filter(last_name="Vega").exists()


def test_the_form_keeps_what_was_typed_when_it_is_refused(
    clinic: Clinic, alice: User, signed_in: SignIn
) -> None:
    orphan = typed_orphan(clinic)
    response = post(
        signed_in(alice), orphan, "new/", **{**RECORD, "name": ""}, owner_last_name="Vega"
    )
    assert response.status_code == 422
    assert 'value="Vega"' in text(response) and "This field is required" in text(response)


# Word of others.


def test_an_open_page_is_told_that_somebody_was_faster_and_keeps_its_cards(
    alice: User, bob: User, signed_in: SignIn, orphan: UnmatchedResult, biscuit: Patient
) -> None:
    client, shown = signed_in(alice), orphan.version
    part = {"HX-Request": "true"}
    page = address(orphan, "changed/")
    assert client.get(page, {"v": shown}, headers=part).status_code == 204
    matching.match(acting_user=bob, unmatched=orphan, patient=biscuit, expected_version=shown)
    response = client.get(page, {"v": shown}, headers=part)
    assert response.status_code == 200
    assert "Bob has attached it to Biscuit" in text(response)
    assert "m-card" not in text(response), "what the person is looking at is replaced"
    assert "every" not in text(response), "it is told once"


def test_a_part_of_the_admins_page_does_not_become_the_sign_in_form(
    ada: User, signed_in: SignIn, orphan: UnmatchedResult
) -> None:
    ada.is_staff = True
    ada.save()
    client = signed_in(ada)
    page = f"/admin/labs/unmatchedresult/{orphan.uuid}/"
    part = {"HX-Request": "true", "HX-Current-URL": f"http://testserver{page}"}
    assert "HX-Redirect" not in client.get(f"{page}search/?q=b", headers=part).headers
    client.logout()
    answer = client.get(f"{page}search/?q=b", headers=part)
    assert answer.headers["HX-Redirect"] == f"/admin/login/?next={page}"
    assert b"password" not in answer.content

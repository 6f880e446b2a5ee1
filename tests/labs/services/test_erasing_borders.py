"""Whose data it is: of two owners, of merged records, of what went astray, and in staff's words."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from labs.models import (
    Alarm,
    Attachment,
    EventWords,
    FollowUp,
    HandOver,
    LabEvent,
    LabRequest,
    Message,
    OwnerTold,
    Patient,
    Review,
    Role,
    Specimen,
    Submission,
    TestRun,
    UnmatchedResult,
)
from labs.queries.registry import owner_data, owner_words
from labs.services.events import record
from labs.services.orders import emergency, emergency_codes
from labs.services.orphaned import matching
from labs.services.privacy import erasing
from labs.services.registry import merging
from tests import factories
from tests.labs.services.test_erasing import (
    FIRST,
    LAST,
    MAIL,
    Held,
    erase,
    packed,
    traces,
)

pytestmark = pytest.mark.django_db
WORDS = f"Rang {FIRST.upper()} {LAST} on 555 017299, wrote to {MAIL}: fasting, again in a week"
CLEAN = "Rang [erased] [erased] on [erased], wrote to [erased]: fasting, again in a week"


@pytest.fixture
def held() -> Held:
    return Held()


def sent(request: Any, owner_id: str, **more: str) -> None:
    body = json.dumps({"Client": {"ClientId": owner_id, "LastName": "Other"}, "Patient": more})
    Submission.objects.filter(request=request).update(sent_body=body)


def exported(held: Held) -> tuple[dict[str, Any], str]:
    plain, page, _ = packed(erasing.export(acting_user=held.admin, owner=held.owner))
    return plain, page


def write(held: Held) -> None:
    """What people wrote about her result, with her name, phone and address in it."""
    vet = factories.make_staff(Role.VET, clinic=held.clinic)
    whose: dict[str, Any] = {"clinic": held.clinic, "request": held.request}
    now = timezone.now()
    OwnerTold.objects.create(**whose, what=WORDS, version=1, told_by=vet, told_at=now)
    HandOver.objects.create(**whose, given_by=vet, given_to=vet, given_at=now, note=WORDS)
    FollowUp.objects.create(
        **whose,
        what=WORDS,
        done_note=WORDS,
        assigned_to=vet,
        due_on=now.date(),
        made_by=vet,
        made_at=now,
        done_at=now,
    )
    run = TestRun.objects.get(request=held.request)
    Alarm.objects.create(
        clinic=held.clinic,
        run=run,
        result=run.versions.get(current=True),
        raised_at=now,
        ended=Alarm.Ended.ACKNOWLEDGED,
        note=WORDS,
    )


def test_what_staff_wrote_about_her_goes_out(held: Held) -> None:
    write(held)
    plain, page = exported(held)
    request = next(r for r in plain["requests"] if r["lab_report_id"] == held.request.lab_report_id)
    assert [row["what"] for row in request["told"]] == [WORDS]
    assert [row["note"] for row in request["hand_overs"]] == [WORDS]
    assert [(row["what"], row["done_note"]) for row in request["follow_ups"]] == [(WORDS, WORDS)]
    assert [row["note"] for row in request["alarms"]] == [WORDS]
    assert page.count(WORDS) == 5


def test_what_staff_wrote_stays_without_her_name(held: Held) -> None:
    write(held)
    erase(held)
    assert traces() == {}
    said = [OwnerTold.objects.get().what, HandOver.objects.get().note, Alarm.objects.get().note]
    follow_up = FollowUp.objects.get()
    assert {*said, follow_up.what, follow_up.done_note} == {CLEAN}


def everywhere(held: Held) -> None:
    """Each text that a person fills, with her name in it."""
    write(held)
    LabRequest.objects.filter(pk=held.request.pk).update(notes=WORDS, cancelled_reason=WORDS)
    Specimen.objects.create(request=held.request, type="blood", label=f"{LAST} 2")
    run = TestRun.objects.get(request=held.request)
    result = run.versions.get(current=True)
    Review.objects.create(
        clinic=held.clinic,
        run=run,
        result=result,
        reviewed_by=held.admin,
        reviewed_at=timezone.now(),
        note=WORDS,
    )
    run.versions.update(correction_reason=WORDS)
    Attachment.objects.update(file_name=f"{LAST}.png", description=f"of {FIRST} {LAST}")
    UnmatchedResult.objects.filter(pk=held.orphan.pk).update(state_reason=WORDS)
    held.orphan.refresh_from_db()
    for _ in range(2):
        matching.unmatch(
            acting_user=held.admin,
            unmatched=held.orphan,
            expected_version=held.orphan.version,
            reason=WORDS,
        )
        held.orphan.refresh_from_db()
        matching.match(
            acting_user=held.admin,
            unmatched=held.orphan,
            patient=held.patient,
            expected_version=held.orphan.version,
        )
        held.orphan.refresh_from_db()
    double = factories.make_patient(held.clinic, owner=None, name="Pip")
    merge = merging.merge(acting_user=held.admin, survivor=held.patient, merged=double)
    merging.undo(acting_user=held.admin, merge=merge, reason=WORDS)
    code = emergency_codes.give(acting_user=held.admin, clinic=held.clinic, note=f"cat of {LAST}")
    emergency.choose(acting_user=held.admin, code=code, patient=held.patient)


def test_she_goes_from_every_text_that_people_fill(held: Held) -> None:
    everywhere(held)
    texts = len(shown(held))
    kinds = {(place.row._meta.model_name, place.field) for place in shown(held)}
    assert len(kinds) == 17, sorted(kinds)
    erase(held)
    assert traces() == {}
    assert EventWords.objects.filter(text=CLEAN).count() == 4  # two unmatched, one undone in both
    data = LabEvent.objects.get(verb="owner.erased").data
    assert (data["texts"], data["texts_kept"]) == (texts, 0)


def shown(held: Held) -> list[owner_words.Place]:
    return owner_words.places(owner_data.held(held.owner))


def test_no_words_of_people_are_in_the_audit_itself(held: Held) -> None:
    """It is kept for years and nobody can change it: what names her must not be in it."""
    everywhere(held)
    assert not LabEvent.objects.filter(data__icontains=LAST).exists()
    assert "labs_labevent.data" not in traces() and "labs_eventwords.text" in traces()


def test_a_word_that_only_looks_like_her_name_stays(held: Held) -> None:
    held.owner.last_name = "White"
    held.owner.save()
    write(held)
    OwnerTold.objects.update(what="Few white blood cells")
    HandOver.objects.update(note="Mrs White waits")
    address = reverse("labs:owner_data", args=[held.owner.uuid])
    client = Client()
    client.force_login(held.admin)
    page = client.get(address).content.decode()
    assert "Few <mark>white</mark> blood cells" in page
    fields = re.findall(r'name="(seen|shown|words)" value="([^"]+)"', page)
    told = f"ownertold.what.{OwnerTold.objects.get().pk}"
    form = {
        "typed": held.owner.owner_id,
        "seen": dict(fields)["seen"],
        "shown": [value for name, value in fields if name == "shown"],
        "words": [value for name, value in fields if name == "words" and value != told],
    }
    assert told in form["shown"]
    gone = reverse("labs:erase_owner", args=[held.owner.uuid])

    OwnerTold.objects.update(what="Few white blood cells, said White")
    answer = client.post(gone, form, follow=True).content.decode()
    assert "Nothing was erased: somebody has just written" in answer
    held.owner.refresh_from_db()
    assert held.owner.last_name == "White"

    OwnerTold.objects.update(what="Few white blood cells")
    client.post(gone, form)
    held.owner.refresh_from_db()
    assert held.owner.erased_at is not None
    assert OwnerTold.objects.get().what == "Few white blood cells"
    assert HandOver.objects.get().note == "Mrs [erased] waits"


def test_only_whole_words_are_hers(held: Held) -> None:
    held.owner.last_name, held.owner.first_name = "Ann", "Li"
    held.owner.save()
    write(held)
    OwnerTold.objects.update(what="ann and LI: Annual limits")
    FollowUp.objects.update(what="Li " * 66)
    erase(held)
    assert OwnerTold.objects.get().what == "[erased] and [erased]: Annual limits"
    assert len(FollowUp.objects.get().what) <= 200


def test_a_name_at_the_end_of_the_longest_words_goes_too(held: Held) -> None:
    """What stands for it is longer. Cut to the old length it was no sign of an erasure any more:
    the database refused the change, and she could not be erased at all."""
    held.owner.last_name = "Li"
    held.owner.save()
    words = "a " * ((EventWords.LONGEST - 2) // 2) + "Li"
    record("request.moved", clinic=held.clinic, request=held.request, words=words)
    erase(held)
    assert EventWords.objects.get().text == words[:-2] + "[erased]"


def test_an_animal_that_bears_her_number_is_not_hers(held: Held) -> None:
    """Clinics count owners and animals alike: animal C-777 may be somebody else's."""
    stranger = factories.make_patient(held.clinic, patient_id="C-777")
    theirs = factories.make_request(stranger, accepted=True)
    sent(theirs, "C-1", PatientId="C-777")
    assert theirs not in owner_data.held(held.owner).requests
    assert theirs.lab_report_id not in exported(held)[1]
    erase(held)  # which an open request of hers would forbid
    assert "Other" in Submission.objects.get(request=theirs).sent_body


def test_a_number_that_is_written_otherwise_when_it_is_sent(held: Held) -> None:
    held.owner.owner_id = "Ü-7\\7"
    held.owner.save()
    sent(held.request, "Ü-7\\7")
    Patient.objects.filter(pk=held.patient.pk).update(owner=factories.make_owner(held.clinic))
    assert held.request in owner_data.held(held.owner).requests


def test_what_was_hers_for_an_hour_by_mistake_stays_its_owner_s(held: Held) -> None:
    """A result of another's animal was put on hers and taken back: it neither goes out to her nor
    is emptied with her data. What the screen of that match said of her goes."""
    vet = factories.make_staff(Role.VET, clinic=held.clinic)
    astray = factories.make_unmatched(held.clinic, owner_last_name="Other", patient_name="Rex")
    for patient in (held.patient, held.other):
        matching.match(
            acting_user=vet,
            unmatched=astray,
            patient=patient,
            expected_version=astray.version,
            evidence={"why": LAST if patient == held.patient else "number"},
        )
        astray.refresh_from_db()
        if patient == held.patient:
            matching.unmatch(
                acting_user=vet, unmatched=astray, expected_version=astray.version, reason="wrong"
            )
            astray.refresh_from_db()
    plain, page = exported(held)
    assert "Rex" not in page and [o["typed"]["patient_name"] for o in plain["unmatched_results"]]
    erase(held)
    assert UnmatchedResult.objects.get(pk=astray.pk).typed["owner_last_name"] == "Other"
    assert not Message.objects.filter(unmatched=astray).exclude(blanked_at=None).exists()
    assert not any("evidence" in column for column in traces())


def test_what_went_out_under_another_owner_is_not_given_to_her(held: Held) -> None:
    """Her dog was somebody else's when it was ordered: the results are the dog's, the name in what
    was sent is not hers to read."""
    before = factories.make_request(held.patient, accepted=True)
    sent(before, "C-1")
    body = Submission.objects.get(request=before).sent_body
    answer = factories.make_message(held.clinic, raw=body.encode())
    factories.make_result(before, message=answer)
    plain, page = exported(held)
    assert before.lab_report_id in page and "Other" not in page
    given = next(r for r in plain["requests"] if r["lab_report_id"] == before.lab_report_id)
    assert given["sent_to_the_laboratory"] == "" and given["results"]


@pytest.mark.parametrize("undone", [False, True])
def test_a_record_that_was_merged_away(held: Held, undone: bool) -> None:
    """Her animal turns out to be one of another's: what stood on her record is found all the same,
    also what never went out under her number."""
    write(held)
    Submission.objects.filter(request=held.request).update(sent_body="")
    vet = factories.make_staff(Role.ADMIN, clinic=held.clinic)
    merge = merging.merge(acting_user=vet, survivor=held.other, merged=held.patient)
    if undone:
        merging.undo(acting_user=vet, merge=merge, reason="two dogs")
    plain, page = exported(held)
    assert held.request.lab_report_id in page and WORDS in page
    assert [animal["name"] for animal in plain["animals"]] == ["Pip"]
    erase(held)
    assert traces() == {}
    held.other.refresh_from_db()
    assert held.other.owner is not None and held.other.owner.last_name, "the other's stays"


def test_a_record_that_took_another_in(held: Held) -> None:
    write(held)
    vet = factories.make_staff(Role.ADMIN, clinic=held.clinic)
    double = factories.make_patient(held.clinic, owner=None, name="Pip")
    merging.merge(acting_user=vet, survivor=double, merged=held.patient)
    double.refresh_from_db()
    assert double.owner == held.owner, "filled in"
    plain, _ = exported(held)
    assert len(plain["animals"]) == 2 and len(plain["requests"]) == len(
        {request["lab_report_id"] for request in plain["requests"]}
    )
    erase(held)
    assert traces() == {}

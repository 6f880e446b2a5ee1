"""What is held on an owner leaves the house, or goes for good; the animals' records stay."""

from __future__ import annotations

import io
import json
import re
import zipfile
from dataclasses import fields
from typing import Any

import pytest
from django.apps import apps
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from labs.errors import InvalidInput, NotAllowed
from labs.models import (
    LabEvent,
    LabRequest,
    LabResult,
    Message,
    Observation,
    Owner,
    Patient,
    Role,
    Submission,
    UnmatchedResult,
)
from labs.queries.orphaned import vocabulary
from labs.report import Identity
from labs.services.intake import journal
from labs.services.orphaned import matching
from labs.services.orphaned.decisions import SEPARATED
from labs.services.privacy import erasing
from labs.services.registry import imports
from tests import factories

pytestmark = pytest.mark.django_db
FIRST, LAST, PHONE, MAIL = "Wilhelmina", "Zwanenburg", "555-0172-99", "wz@zwanenburg.example"
TRACES = [FIRST, LAST, PHONE, MAIL]


class Held:
    """An owner with everything: animals, an order that left, results, an orphan that was matched
    from a message of several, a report that was printed."""

    def __init__(self) -> None:
        self.clinic = factories.make_clinic()
        self.admin = factories.make_staff(Role.ADMIN, clinic=self.clinic)
        vet = factories.make_staff(Role.VET, clinic=self.clinic)
        self.owner = factories.make_owner(
            self.clinic,
            owner_id="C-777",
            first_name=FIRST,
            last_name=LAST,
            phone=PHONE,
            email=MAIL,
        )
        self.patient = factories.make_patient(self.clinic, owner=self.owner, name="Pip")
        self.other = factories.make_patient(self.clinic, name="Nobody's")
        raw = json.dumps({"Client": {"FirstName": FIRST, "LastName": LAST}}).encode()
        self.request = factories.make_request(self.patient, accepted=True)
        self.message = factories.make_result(
            self.request,
            factories.make_report(
                [factories.make_run(files=(factories.make_picture(),))],
                extra={"/Client/Phone": PHONE},
                identity=Identity(owner_last_name=LAST, patient_name="Pip"),
            ),
            message=factories.make_message(self.clinic, raw=raw),
        )
        sent = json.dumps({"Client": {"ClientId": "C-777", "LastName": LAST}})
        Submission.objects.filter(request=self.request).update(
            sent_body=sent, provider_words=f"Thank you, {LAST}"
        )
        submission = Submission.objects.get(request=self.request)
        self.sent = Message.objects.create(
            direction=Message.Direction.OUT,
            vendor=factories.VENDOR,
            clinic=self.clinic,
            state="sent",
            target="/labreports",
            raw=sent.encode(),
            reply=f"For {LAST}".encode(),
            sha256="0" * 64,
            received_at=timezone.now(),
            last_seen_at=timezone.now(),
            request=self.request,
            submission=submission,
        )
        # An array: hers and another owner's.
        self.array = factories.make_message(self.clinic, raw=b"[" + raw + b', {"other": 1}]')
        with transaction.atomic():
            hers, theirs = journal.split(message=self.array, parts=[raw, b'{"other": 1}'])
        self.orphan = factories.make_unmatched(
            self.clinic, patient_name="Pip", owner_last_name=LAST, owner_first_name=FIRST
        )
        first = self.orphan.messages.get()
        Message.objects.filter(pk=first.pk).update(parent=self.array, part=5)
        other_request = factories.make_request(self.other, accepted=True)
        factories.make_result(other_request, message=theirs)
        factories.make_result(other_request, message=hers)
        Message.objects.filter(pk=hers.pk).update(request=self.request)
        Message.objects.filter(pk=self.array.pk).update(state="filed")
        self.theirs = theirs
        matching.match(
            acting_user=vet,
            unmatched=self.orphan,
            patient=self.patient,
            expected_version=self.orphan.version,
            evidence={"fields": [{"typed": LAST}], "why": LAST, "grade": 3},
        )
        LogEntry.objects.create(
            user=self.admin,
            content_type=ContentType.objects.get_for_model(Owner),
            object_id=str(self.owner.pk),
            object_repr=str(self.owner),
            action_flag=CHANGE,
        )


@pytest.fixture
def held() -> Held:
    return Held()


def traces() -> dict[str, list[str]]:
    """In which columns of which tables anything of hers stands, read past the models."""
    found: dict[str, list[str]] = {}
    with connection.cursor() as cursor:
        for model in apps.get_models(include_auto_created=True):
            table = model._meta.db_table
            cursor.execute(f"SELECT * FROM {table}")
            names = [column[0] for column in cursor.description]
            for row in cursor.fetchall():
                for name, value in zip(names, row, strict=True):
                    text = value
                    if isinstance(value, bytes | memoryview):
                        text = bytes(value).decode("utf-8", "replace")
                    hits = [t for t in TRACES if t.casefold() in str(text).casefold()]
                    if hits:
                        found.setdefault(f"{table}.{name}", []).extend(hits)
    return found


def clinical() -> list[Any]:
    return [
        list(Patient.objects.order_by("pk").values("pk", "name", "patient_id", "species", "owner")),
        list(LabRequest.objects.order_by("pk").values("pk", "state", "patient", "lab_report_id")),
        list(LabResult.objects.order_by("pk").values()),
        list(Observation.objects.order_by("pk").values()),
        list(
            Message.objects.order_by("pk").values(
                *("pk", "receipt_id", "state", "sha256", "dedupe_key", "request", "unmatched")
            )
        ),
        list(LabEvent.objects.exclude(verb__startswith="owner.").order_by("pk").values()),
    ]


def erase(held: Held) -> None:
    erasing.erase(acting_user=held.admin, owner=held.owner, typed="C-777")


def test_nothing_of_hers_is_left_anywhere_and_the_records_are(held: Held) -> None:
    places = traces()
    for column in (
        *("labs_owner.last_name", "labs_owner.phone", "labs_patient.surname_key"),
        *("labs_message.raw", "labs_message.reply", "labs_message.extra"),
        *("labs_unmatchedresult.typed", "labs_matchdecision.evidence", "labs_namecount.key"),
        *("labs_submission.sent_body", "labs_submission.provider_words"),
        "django_admin_log.object_repr",
    ):
        assert column in places, column  # else the test would prove nothing of it
    before = clinical()

    erase(held)

    assert traces() == {}
    assert clinical() == before
    assert vocabulary.differences(held.clinic) == []


def test_the_other_owner_s_part_of_a_shared_message_stays(held: Held) -> None:
    erase(held)
    for message in (held.array, held.theirs):
        message.refresh_from_db()
    assert bytes(held.array.raw) == b"" and held.array.blanked == "erased"
    assert bytes(held.theirs.raw) == b'{"other": 1}' and held.theirs.blanked_at is None


def test_it_is_on_record_by_ids_and_once_only(held: Held) -> None:
    erase(held)
    event = LabEvent.objects.get(verb="owner.erased")
    assert event.actor == held.admin and event.data["owner"] == held.owner.pk
    assert event.data["messages"] >= 4
    with pytest.raises(InvalidInput, match="before"):
        erase(held)


@pytest.mark.parametrize("typed", ["", "C-778", LAST, "yes"])
def test_only_with_the_owner_s_id_typed(held: Held, typed: str) -> None:
    with pytest.raises(InvalidInput, match="Type C-777 to confirm"):
        erasing.erase(acting_user=held.admin, owner=held.owner, typed=typed)
    held.owner.refresh_from_db()
    assert held.owner.last_name == LAST


@pytest.mark.parametrize("role", [Role.VET, Role.TECHNICIAN, Role.RECEPTION])
def test_only_by_an_administrator_of_that_clinic(held: Held, role: Role) -> None:
    for user in (
        factories.make_staff(role, clinic=held.clinic),
        factories.make_staff(Role.ADMIN, clinic=factories.make_clinic("Oak")),
    ):
        with pytest.raises(NotAllowed):
            erasing.erase(acting_user=user, owner=held.owner, typed="C-777")
        with pytest.raises(NotAllowed):
            erasing.export(acting_user=user, owner=held.owner)


def open_request(held: Held) -> None:
    factories.make_request(held.patient, accepted=True)


def open_orphan(held: Held) -> None:
    factories.make_unmatched(held.clinic, owner_id="C-777")


def dismissed_orphan(held: Held) -> None:
    orphan = factories.make_unmatched(held.clinic, owner_id="C-777")
    UnmatchedResult.objects.filter(pk=orphan.pk).update(state="dismissed")


def quarantined(held: Held) -> None:
    bad = factories.make_message(held.clinic, raw=f'{{"x": "{LAST.upper()}'.encode())
    journal.quarantine(message=bad, cause="Not JSON")


def not_read_yet(held: Held) -> None:
    factories.make_message(held.clinic, raw=f'{{"x": "{MAIL}"}}'.encode())


@pytest.mark.parametrize(
    "make", [open_request, open_orphan, dismissed_orphan, quarantined, not_read_yet]
)
def test_what_is_not_settled_is_said_and_loses_nothing(held: Held, make: Any) -> None:
    """I1: what came and is not filed stays as it is, and so does all the rest."""
    make(held)
    before = traces()
    with pytest.raises(InvalidInput, match=r"^Nothing was erased\. "):
        erase(held)
    assert traces() == before


def test_a_file_of_the_practice_s_does_not_bring_it_back(held: Held) -> None:
    erase(held)
    line = f"P-new,Pup,dog,C-777,{FIRST},{LAST},{PHONE},{MAIL}"
    head = "patient_id,name,species,owner_id"
    head += ",owner_first_name,owner_last_name,owner_phone,owner_email"
    text = f"{head}\n{line}\n"
    imports.import_patients(acting_user=None, clinic=held.clinic, content=text.encode())
    held.owner.refresh_from_db()
    assert Patient.objects.get(patient_id="P-new").owner == held.owner
    assert str(held.owner) == "erased" and traces() == {}


def test_an_animal_that_has_another_owner_by_now(held: Held) -> None:
    """What went out under her id is hers all the same."""
    Patient.objects.filter(pk=held.patient.pk).update(owner=factories.make_owner(held.clinic))
    erase(held)
    left = traces()
    assert "labs_submission.sent_body" not in left and "labs_message.raw" not in left


def test_later_results_of_an_erased_orphan_are_still_asked_who_they_are(held: Held) -> None:
    """I2: without what was typed, the animal's own record is what contradicts."""
    erase(held)
    held.orphan.refresh_from_db()
    assert "owner_last_name" not in held.orphan.typed and "patient_name" not in held.orphan.typed
    assert held.orphan.state == "matched" and held.orphan.runs.exists()


def test_a_match_against_a_contradiction_is_still_checked_by_a_second_person(held: Held) -> None:
    """Of the decision stays what it was judged by: the page that shows it, and the queue, read it.
    And who had seen a match that was taken back, and that records were separated."""
    vet = factories.make_staff(Role.VET, clinic=held.clinic, username="second")
    held.orphan.refresh_from_db()
    matching.unmatch(
        acting_user=held.admin,
        unmatched=held.orphan,
        expected_version=held.orphan.version,
        reason="Two animals",
        evidence={SEPARATED: "that merge"},
    )
    seen_by = held.orphan.decisions.get(action="unmatch").evidence["seen_by"]
    matching.match(
        acting_user=held.admin,
        unmatched=held.orphan,
        patient=held.patient,
        expected_version=held.orphan.version,
        evidence={"serious": ["species"], "why": LAST},
    )
    erase(held)
    client = Client()
    client.force_login(vet)
    for address in (f"/unmatched/{held.orphan.uuid}/", "/unmatched/?state=matched"):
        answer = client.get(address)
        assert answer.status_code == 200 and "Species differs." in answer.content.decode()
    back = held.orphan.decisions.get(action="unmatch")
    assert back.evidence == {"seen_by": seen_by, SEPARATED: "that merge"}


def test_each_field_of_what_is_typed_is_decided() -> None:
    assert {field.name for field in fields(Identity)} == {*erasing.NAMING, *erasing.CLINICAL}
    assert not set(erasing.NAMING) & set(erasing.CLINICAL)


def packed(content: bytes) -> tuple[dict[str, Any], str, list[str]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        plain = json.loads(archive.read("owner.json"))
        return plain, archive.read("owner.html").decode(), archive.namelist()


def test_the_export_holds_all_of_it_to_read_and_for_a_program(held: Held) -> None:
    plain, page, names = packed(erasing.export(acting_user=held.admin, owner=held.owner))
    assert plain["owner"]["last_name"] == LAST and plain["owner"]["email"] == MAIL
    assert [animal["name"] for animal in plain["animals"]] == ["Pip"]
    requests = {request["lab_report_id"]: request for request in plain["requests"]}
    own = requests[held.request.lab_report_id]
    assert own["results"][0]["rows"][0]["value_text"] == "6.13"
    assert LAST in own["sent_to_the_laboratory"]
    assert [o["typed"]["owner_last_name"] for o in plain["unmatched_results"]] == [LAST]
    bodies = [message["body"] for message in plain["messages"]]
    assert None in bodies and not any("other" in body for body in bodies if body)
    assert any("patient's record" in event["what"] for event in plain["on_record"])
    for trace in TRACES:
        assert trace in page
    assert sum(name.startswith("files/") for name in names) == 1
    event = LabEvent.objects.get(verb="owner.exported")
    assert event.data == {"owner": held.owner.pk} and event.actor == held.admin
    # No key with which somebody could post, and no key of the database.
    assert held.request.result_key not in json.dumps(plain)


def test_the_readable_page_escapes(held: Held) -> None:
    Owner.objects.filter(pk=held.owner.pk).update(first_name="<script>alert(1)</script>")
    held.owner.refresh_from_db()
    _, page, _ = packed(erasing.export(acting_user=held.admin, owner=held.owner))
    assert "<script" not in page and "&lt;script&gt;" in page


def sign_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_the_page_tells_before_and_after(held: Held) -> None:
    client = sign_in(held.admin)
    record = client.get(reverse("labs:patient", args=[held.patient.uuid])).content.decode()
    address = reverse("labs:owner_data", args=[held.owner.uuid])
    assert address in record
    answer = client.get(address)
    page = answer.content.decode()
    assert "no-store" in answer["Cache-Control"]
    for what, why in erasing.KEPT:
        assert what.replace("'", "&#x27;") in page and why in page
    export = client.get(reverse("labs:owner_export", args=[held.owner.uuid]))
    assert "no-store" in export["Cache-Control"] and export["Content-Type"] == "application/zip"
    gone = reverse("labs:erase_owner", args=[held.owner.uuid])
    assert (
        "Type C-777 to confirm" in client.post(gone, {"typed": "x"}, follow=True).content.decode()
    )
    (seen,) = re.findall(r'name="seen" value="(\w+)"', page)
    form = {"typed": "C-777", "seen": seen}
    done = client.post(gone, form, follow=True).content.decode()
    assert "The data of owner C-777 was erased." in done and LAST not in done
    vet = sign_in(factories.make_staff(Role.VET, clinic=held.clinic))
    assert (
        address not in vet.get(reverse("labs:patient", args=[held.patient.uuid])).content.decode()
    )


def test_the_page_says_what_is_in_the_way(held: Held) -> None:
    open_request(held)
    page = sign_in(held.admin).get(reverse("labs:owner_data", args=[held.owner.uuid]))
    text = page.content.decode()
    assert "Results are still to come for" in text and "Erase for good" not in text


@pytest.mark.django_db(transaction=True)
def test_a_process_that_knew_the_name_forgets_it() -> None:
    held = Held()
    known = vocabulary.registry_of(held.clinic.pk)
    assert any(LAST.casefold() in key for key in known.surnames.counts)
    erase(held)
    again = vocabulary.registry_of(held.clinic.pk)
    assert not any(LAST.casefold() in key for key in again.surnames.counts)

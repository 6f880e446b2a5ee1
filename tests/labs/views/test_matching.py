"""The matching screen by both doors. alice runs clinic A, bob works there, charlie elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from labs.models import (
    Clinic,
    LabEvent,
    LabRequest,
    MatchDecision,
    Patient,
    RequestState,
    Role,
    UnmatchedResult,
    Visit,
    Weight,
)
from labs.queries.orphaned.candidate_search import NAMESAKES
from labs.queries.orphaned.candidates import candidates_for
from labs.queries.orphaned.orphans import runs_of
from labs.services.orphaned import matching
from tests import factories

pytestmark = pytest.mark.django_db
STAFF, ADMIN = "/unmatched/{}/", "/admin/labs/unmatchedresult/{}/"
DOORS = pytest.mark.parametrize("door", [STAFF, ADMIN], ids=["staff", "admin"])


@dataclass
class World:
    clinic: Clinic
    alice: User
    bob: User
    charlie: User
    biscuit: Patient
    orphan: UnmatchedResult
    client: Client

    def as_(self, user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    def page(self, door: str = STAFF, tail: str = "", **query: str) -> Any:
        return self.client.get(door.format(self.orphan.uuid) + tail, query)

    def post(self, door: str = STAFF, tail: str = "", **data: Any) -> Any:
        self.orphan.refresh_from_db()
        data.setdefault("version", self.orphan.version)
        return self.client.post(door.format(self.orphan.uuid) + tail, data)

    def attach(self, patient: Patient, door: str = STAFF, **data: Any) -> Any:
        """What the card's form posts."""
        found = candidates_for(self.orphan, runs=runs_of(self.orphan), chosen=patient.uuid)
        data = {"candidate": patient.uuid, "seen": found[0].seen_key, **data}
        return self.post(door, **data)


@pytest.fixture
def world() -> World:
    clinic = factories.make_clinic()
    alice = factories.make_staff(Role.ADMIN, clinic=clinic, username="alice", is_staff=True)
    bob = factories.make_staff(Role.TECHNICIAN, clinic=clinic, username="bob")
    other = factories.make_clinic("Harbor Animal Hospital")
    charlie = factories.make_staff(Role.ADMIN, clinic=other, username="charlie", is_staff=True)
    client = Client()
    client.force_login(alice)
    return World(
        clinic=clinic,
        alice=alice,
        bob=bob,
        charlie=charlie,
        biscuit=factories.make_patient(clinic, patient_id="P-10482", sex="M"),
        orphan=factories.make_unmatched(clinic, owner_last_name="EXAMPLE", patient_id="1"),
        client=client,
    )


@DOORS
def test_both_doors_show_the_same_page(world: World, door: str) -> None:
    response = world.page(door)
    assert response.status_code == 200
    assert "labs/match.html" in [template.name for template in response.templates]
    page = response.content.decode()
    assert "Attach to Biscuit, Example, P-10482" in page
    assert "placeholder, ignored" in page
    assert "Run without a request" in page


def test_the_door_decides_what_is_around_the_page(world: World) -> None:
    names = {template.name for template in world.page(ADMIN).templates}
    assert "admin/base_site.html" in names
    assert "base.html" not in names
    assert "base.html" in {template.name for template in world.page(STAFF).templates}


@DOORS
def test_another_clinics_orphan_is_missing_like_one_that_never_was(world: World, door: str) -> None:
    client = world.as_(world.charlie)
    never = "00000000-0000-4000-8000-000000000000"
    for uuid in (world.orphan.uuid, never):
        assert client.get(door.format(uuid)).status_code == 404
        for tail in ("search/?q=b", ""):
            assert client.get(door.format(uuid) + tail).status_code == 404
        for tail in ("", "hold/", "dismiss/", "reopen/", "unmatch/"):
            data = {"version": world.orphan.version, "reason": "x", "why": "Duplicate"}
            assert client.post(door.format(uuid) + tail, data).status_code == 404
    world.orphan.refresh_from_db()
    assert world.orphan.state == "open"


@DOORS
def test_without_a_login_it_asks_for_one(world: World, door: str) -> None:
    response = Client().get(door.format(world.orphan.uuid))
    assert response.status_code == 302
    assert "login" in response.url


def test_a_technician_matches_by_the_staff_door_and_may_not_enter_the_admin(world: World) -> None:
    client = world.as_(world.bob)
    assert client.get(STAFF.format(world.orphan.uuid)).status_code == 200
    assert client.get(ADMIN.format(world.orphan.uuid)).status_code == 302


def test_staff_with_the_right_enter_by_the_admin_where_they_may(world: World) -> None:
    world.bob.is_staff = True
    world.bob.save()
    assert world.as_(world.bob).get(ADMIN.format(world.orphan.uuid)).status_code == 200


@DOORS
def test_match_undo_and_match_again_each_on_the_record(world: World, door: str) -> None:
    typed = dict(world.orphan.typed)
    response = world.attach(world.biscuit, door)
    assert response.status_code == 302
    assert response.url == door.format(world.orphan.uuid)
    request = LabRequest.objects.get()
    assert request.patient == world.biscuit
    assert request.retrospective
    assert request.state == RequestState.COMPLETE
    assert (
        request.lab_report_id
        in world.client.get(f"/patients/{world.biscuit.uuid}/").content.decode()
    )
    page = world.page(door).content.decode()
    assert "Attached to Biscuit" in page
    assert f"/requests/{request.lab_report_id}/" in page
    assert f"/patients/{world.biscuit.uuid}/" in page

    assert world.post(door, "unmatch/", reason="Wrong Biscuit").status_code == 302
    request.refresh_from_db()
    assert request.state == RequestState.CANCELLED
    assert not request.runs.exists()
    page = world.page(door).content.decode()
    assert "Wrong Biscuit" in page
    assert "Attach to Biscuit" not in page, "a refused pair is proposed again"
    looked_up = world.page(door, candidate=str(world.biscuit.uuid)).content.decode()
    assert "Attach to Biscuit" in looked_up
    assert "This match was taken back before by alice: Wrong Biscuit." in looked_up

    world.attach(world.biscuit, door)
    verbs = ["unmatched.match", "unmatched.unmatch", "unmatched.match"]
    events = LabEvent.objects.filter(unmatched=world.orphan, verb__in=verbs)
    assert [event.verb for event in events] == verbs
    assert {event.actor for event in events} == {world.alice}
    assert [d.action for d in world.orphan.decisions.all()] == ["match", "unmatch", "match"]
    world.orphan.refresh_from_db()
    assert world.orphan.typed == typed


def test_what_stood_on_the_screen_is_kept_with_the_decision(world: World) -> None:
    namesake = factories.make_patient(world.clinic)
    world.attach(world.biscuit)
    evidence = MatchDecision.objects.get().evidence
    assert (evidence["comparison"], evidence["weights"]) == ("compare-2", "weights-2")
    by_key = {field["key"]: field for field in evidence["fields"]}
    assert by_key["patient_name"]["typed"] == "BISCUIT"
    assert by_key["patient_name"]["sign"] == "agree"
    assert by_key["patient_id"] == {
        "key": "patient_id",
        "label": "Patient id",
        "typed": "1",
        "on_file": "P-10482",
        "sign": "none",
        "note": "placeholder, ignored",
        "bits": 0.0,
    }
    assert [other["patient"] for other in evidence["others"]] == [str(namesake.uuid)]


def test_an_open_request_with_the_same_tests_is_offered_and_taken(world: World) -> None:
    request = factories.make_request(world.biscuit, accepted=True)
    factories.make_request(world.biscuit, panels=["HTR-1"], accepted=True)
    page = world.page().content.decode()
    assert f'value="{request.lab_report_id}" checked' in page
    assert page.count('name="request"') == 2  # the one with the same test, and none
    world.attach(world.biscuit, request=request.lab_report_id)
    request.refresh_from_db()
    assert request.state == RequestState.COMPLETE
    assert LabRequest.objects.count() == 2


def test_a_request_that_is_no_longer_waiting_is_refused(world: World) -> None:
    response = world.attach(world.biscuit, request="VL-GONE")
    assert response.status_code == 409
    assert "no longer waiting" in response.content.decode()
    assert not MatchDecision.objects.exists()


def test_failure_mode_22_a_stale_page_is_refused_and_told_who_was_first(world: World) -> None:
    shown = world.orphan.version
    matching.match(
        acting_user=world.bob,
        unmatched=world.orphan,
        patient=world.biscuit,
        expected_version=shown,
    )
    other = factories.make_patient(world.clinic)
    response = world.attach(other, version=shown)
    assert response.status_code == 409
    page = response.content.decode()
    assert "bob" in page
    assert "matched" in page
    assert "Nothing was attached" in page
    assert MatchDecision.objects.get().patient == world.biscuit


def test_the_same_click_twice_is_one_match_and_no_refusal(world: World) -> None:
    """A double click, or an answer that was lost; another window is told, and so is a colleague."""
    request = factories.make_request(world.biscuit, acting_user=world.alice, accepted=True)
    click = {"click": "0b9d4f5e-7f8a-4d63-9f0e-1c9a2f3b4d5e", "version": world.orphan.version}
    form = click | {"request": request.lab_report_id}
    first = world.attach(world.biscuit, **form)
    again = world.attach(world.biscuit, **form)
    assert (first.status_code, again.status_code) == (302, 302)
    assert first["Location"] == again["Location"]
    assert MatchDecision.objects.get().request == request
    other = factories.make_patient(world.clinic)
    for sent in (
        click | {"click": "another window"},
        {"version": world.orphan.version - 1},
        click | {"candidate": other.uuid},
    ):
        answer = world.attach(world.biscuit, **{"version": 1} | sent)
        assert answer.status_code in (409, 422), sent
        assert "Nothing was attached" in answer.content.decode()
    world.client = world.as_(world.bob)
    assert world.attach(world.biscuit, **form).status_code == 409
    assert MatchDecision.objects.count() == 1


def test_each_page_has_a_click_of_its_own(world: World) -> None:
    found = {world.page().content.decode().partition('name="click" value="')[2][:36] for _ in "ab"}
    assert len(found) == 2 and all(len(click) == 36 for click in found)


def test_after_a_refusal_the_cards_stand_in_the_order_they_had(world: World) -> None:
    other = factories.make_patient(world.clinic, name="Biscuit", deceased=True)
    page = world.attach(other, typed_name="Rex").content.decode()
    assert page.index("P-10482</button>") < page.index(f"{other.patient_id}</button>")
    looked_up = world.attach(other, typed_name="Rex", found_by="search").content.decode()
    assert looked_up.index(f"{other.patient_id}</button>") < looked_up.index("P-10482</button>")


def test_a_record_that_changed_meanwhile_is_shown_again(world: World) -> None:
    seen = candidates_for(world.orphan, runs=[], chosen=world.biscuit.uuid)[0].seen_key
    Patient.objects.update(name="Brisket")
    response = world.post(candidate=world.biscuit.uuid, seen=seen)
    assert response.status_code == 409
    assert "changed while you were looking" in response.content.decode()
    assert not MatchDecision.objects.exists()


@pytest.mark.parametrize(
    ("typed_name", "status"), [("", 422), ("Bisquit", 422), ("biscuit ", 302), ("Biscuit", 302)]
)
@pytest.mark.parametrize(
    "record",
    [{"species": "cat"}, {"sex": "F"}, {"deceased": True}],
    ids=["species", "sex", "deceased"],
)
def test_a_contradiction_asks_for_the_animals_name(
    world: World, record: dict[str, Any], typed_name: str, status: int
) -> None:
    world.orphan.typed |= {"sex": "M", "sex_code": "M"}
    world.orphan.save()
    Patient.objects.filter(pk=world.biscuit.pk).update(**record)
    assert 'name="typed_name"' in world.page().content.decode()
    assert world.attach(world.biscuit, typed_name=typed_name).status_code == status
    assert MatchDecision.objects.exists() is (status == 302)


def test_without_a_contradiction_nothing_is_asked(world: World) -> None:
    assert 'name="typed_name"' not in world.page().content.decode()


@pytest.mark.parametrize(
    "form", [{}, {"candidate": "x"}, {"candidate": "x", "version": "y"}, {"version": ""}]
)
def test_a_broken_form_says_so_and_does_nothing(world: World, form: dict[str, str]) -> None:
    assert world.post(**form).status_code == 422
    assert not MatchDecision.objects.exists()


def test_another_clinics_patient_is_no_candidate(world: World) -> None:
    stranger = factories.make_patient(Clinic.objects.exclude(pk=world.clinic.pk).get())
    response = world.post(candidate=stranger.uuid, seen="")
    assert response.status_code == 422
    assert "no such animal" in response.content.decode()
    assert str(stranger.uuid) not in world.page(candidate=str(stranger.uuid)).content.decode()
    assert stranger.patient_id not in world.page(tail="search/", q="Biscuit").content.decode()


def test_search_finds_by_name_owner_id_and_chip_and_leads_to_the_card(world: World) -> None:
    rocky = factories.make_patient(world.clinic, name="Rocky", microchip="985112000000001")
    for query in ("rock", rocky.patient_id, "985112000000001", "Rocky Example"):
        page = world.page(tail="search/", q=query).content.decode()
        assert f"?candidate={rocky.uuid}" in page, query
    assert "Nobody found" in world.page(tail="search/", q="zzz").content.decode()
    assert f"?candidate={rocky.uuid}" in world.page(q="rock").content.decode()  # without JS
    page = world.page(candidate=str(rocky.uuid)).content.decode()
    assert page.index("Attach to Rocky") < page.index("Attach to Biscuit")
    world.attach(rocky, found_by="search")
    assert MatchDecision.objects.get().evidence["found_by"] == "search"


def test_hold_says_who_and_why_and_can_be_taken_back(world: World) -> None:
    assert world.post(tail="hold/", reason="").status_code == 422
    assert world.post(tail="hold/", reason="For Bob").status_code == 302
    world.orphan.refresh_from_db()
    assert (world.orphan.state, world.orphan.held_by) == ("held", world.alice)
    page = world.page().content.decode()
    assert "For Bob" in page
    assert "held by" in page
    world.post(tail="reopen/")
    world.orphan.refresh_from_db()
    assert world.orphan.state == "open"


def test_dismissing_takes_a_reason_and_stays_reversible(world: World) -> None:
    for form in ({}, {"why": "Because"}, {"why": "Other"}):
        assert world.post(tail="dismiss/", **form).status_code == 422
    world.post(tail="dismiss/", why="Other", words="A training run")
    world.orphan.refresh_from_db()
    assert (world.orphan.state, world.orphan.state_reason) == (
        "dismissed",
        "Other: A training run",
    )
    assert "A training run" in world.page().content.decode()
    world.post(tail="reopen/")
    world.orphan.refresh_from_db()
    assert world.orphan.state == "open"
    verbs = LabEvent.objects.filter(unmatched=world.orphan).values_list("verb", flat=True)
    decided = [verb for verb in verbs if verb != "unmatched.viewed"]
    assert decided[-2:] == ["unmatched.dismiss", "unmatched.reopen"]


def test_a_nul_in_a_form_is_no_error_of_ours(world: World) -> None:
    assert world.page(tail="search/", q="bis\0cuit").status_code == 200
    assert world.post(tail="hold/", reason="For\0 Bob").status_code == 302
    assert world.orphan.decisions.get().reason == "For\ufffd Bob"


def test_taking_a_match_back_needs_a_reason(world: World) -> None:
    world.attach(world.biscuit)
    response = world.post(tail="unmatch/", reason=" ")
    assert response.status_code == 422
    assert "Say why" in response.content.decode()
    assert MatchDecision.objects.get().active


def test_after_an_undo_from_elsewhere_it_goes_back_there_and_nowhere_outside(world: World) -> None:
    world.attach(world.biscuit)
    back = f"/patients/{world.biscuit.uuid}/"
    assert world.post(tail="unmatch/", reason="x", next=back).url == back
    world.attach(world.biscuit)
    away = world.post(tail="unmatch/", reason="x", next="https://example.org/")
    assert away.url == STAFF.format(world.orphan.uuid)


def test_a_conflict_shows_why_and_its_own_patient_first(world: World) -> None:
    request = factories.make_request(world.biscuit, accepted=True)
    run = factories.make_run()
    identity = factories.Identity(patient_name="Rocky", species="Feline", species_code="cat")
    factories.make_patient(world.clinic, name="Rocky", species="cat")
    factories.make_result(request, factories.make_report([run], identity=identity))
    world.orphan = UnmatchedResult.objects.get(reason="conflict")
    page = world.page().content.decode()
    assert "Name Rocky; the request is for Biscuit." in page
    assert page.index("Attach to Biscuit") < page.index("Attach to Rocky")
    assert f'value="{request.lab_report_id}" checked' in page


def test_nobody_found_still_leaves_every_way_out(world: World) -> None:
    world.orphan = factories.make_unmatched(world.clinic, patient_name="Zorro")
    page = world.page().content.decode()
    assert "Nobody found" in page
    for words in ("Search any patient", "Hold for later", "Dismiss"):
        assert words in page


def test_of_many_namesakes_the_one_that_was_here_is_among_those_looked_at(world: World) -> None:
    here = None
    for _ in range(NAMESAKES + 10):
        here = factories.make_patient(world.clinic, name="Bella", owner=None)
    assert here is not None
    Visit.objects.create(clinic=world.clinic, patient=here, at=timezone.now())
    world.orphan = factories.make_unmatched(world.clinic, patient_name="Bella")
    page = world.page().content.decode()
    assert page.partition("Attach to ")[2].startswith(f"Bella, {here.patient_id}")


def test_a_code_of_a_request_typed_as_the_patient_finds_its_patient(world: World) -> None:
    rocky = factories.make_patient(world.clinic, name="Rocky")
    request = factories.make_request(rocky, accepted=True)
    for code in ("VL-3F7K2M9Q", "VL-ABCDEFGH"):  # some codes have no digit at all
        LabRequest.objects.filter(pk=request.pk).update(lab_report_id=code)
        for typed in ({"patient_id": code.lower()}, {"patient_name": code}):
            world.orphan = factories.make_unmatched(world.clinic, **{"patient_name": "", **typed})
            assert "Attach to Rocky" in world.page().content.decode()


@pytest.mark.parametrize("typed", ["P-10482", "p-10482", "10482", "0010482"])
def test_ids_are_found_however_they_are_typed(world: World, typed: str) -> None:
    world.orphan = factories.make_unmatched(world.clinic, patient_name="", patient_id=typed)
    assert "Attach to Biscuit" in world.page().content.decode()


def test_umlauts_are_found_in_capitals_on_every_database(world: World) -> None:
    factories.make_patient(world.clinic, name="Käthe")
    world.orphan = factories.make_unmatched(world.clinic, patient_name="KÄTHE")
    assert "Attach to Käthe" in world.page().content.decode()


def test_markup_in_what_was_typed_stays_text(world: World) -> None:
    world.orphan = factories.make_unmatched(world.clinic, patient_name="<script>alert(1)</script>")
    page = world.page().content.decode()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_critical_values_are_told_first(world: World) -> None:
    rows = [
        factories.make_row("GLU", "95", name="Glucose"),
        factories.make_row("K+", "7.9", name="Potassium", flag="HH"),
        factories.make_row("Na+", "Failed iQC", name="Sodium"),
    ]
    report = factories.make_report(
        [factories.make_run(rows)], identity=factories.Identity(patient_name="Biscuit")
    )
    world.orphan = factories.make_unmatched(world.clinic, report)
    page = world.page().content.decode()
    assert "1 critical value" in page
    assert page.index("Potassium") < page.index("Glucose")
    assert "quality control failed" in page


def test_neighbours_lead_through_the_queue_of_this_clinic_alone(world: World) -> None:
    factories.make_unmatched(Clinic.objects.exclude(pk=world.clinic.pk).get())
    second = factories.make_unmatched(world.clinic)
    page = world.page().content.decode()
    assert "1 of 2" in page
    assert f'href="/unmatched/{second.uuid}/" data-key="j"' in page
    world.orphan = second
    assert 'data-key="k"' in world.page().content.decode()


def test_a_superuser_may_look_through_the_admin_and_decides_nothing(world: World) -> None:
    root = User.objects.create_superuser("root", password="x")
    client = world.as_(root)
    url = ADMIN.format(world.orphan.uuid)
    assert client.get(url).status_code == 404
    enter = reverse("admin:labs_clinic_enter", args=[world.clinic.pk])
    client.post(enter, {"reason": "Asked for help by the clinic"})
    page = client.get(url).content.decode()
    assert "you need a place at" in page
    assert "m-attach" not in page
    found = candidates_for(world.orphan, runs=[], chosen=world.biscuit.uuid)[0]
    form = {"candidate": world.biscuit.uuid, "seen": found.seen_key, "version": 1}
    form["version"] = world.orphan.version
    assert client.post(url, form).status_code == 403
    assert not MatchDecision.objects.exists()


@pytest.mark.parametrize(("door", "statements"), [(STAFF, 28), (ADMIN, 30)])
def test_the_page_costs_the_same_however_many_rows_there_are(
    world: World, door: str, statements: int, django_assert_num_queries: Any
) -> None:
    factories.make_request(world.biscuit, accepted=True)
    world.page(door)  # the first look is put on record, by one statement more
    with django_assert_num_queries(statements):
        world.page(door)
    for number in range(12):
        patient = factories.make_patient(world.clinic, name="Biscuit")
        Weight.objects.create(patient=patient, kg=number + 1, measured_on="2026-01-01")
        Visit.objects.create(clinic=world.clinic, patient=patient, at=timezone.now())
        factories.make_request(patient, accepted=True)
        factories.make_unmatched(world.clinic)
    with django_assert_num_queries(statements):
        world.page(door)

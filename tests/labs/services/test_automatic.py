"""Automatic matching that is on: what it attaches, what it never does, and how it goes off."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from django.db import OperationalError, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from labs.errors import InvalidInput, NotAllowed, Stale
from labs.models import (
    Automatic,
    Clinic,
    LabEvent,
    MatchDecision,
    Membership,
    Patient,
    TestRun,
    UnmatchedResult,
)
from labs.queries.orphaned import shadow
from labs.queries.orphaned.automatic import MODEL
from labs.services.orphaned import automatic, automatic_switch, matching, splitting
from pims.celery_settings import settings as celery
from pims.tasks import match_automatically
from tests import factories

pytestmark = pytest.mark.django_db
TYPED = {"owner_last_name": "Example", "patient_id": "P-10482", "sex_code": "M"}


@pytest.fixture
def clinic() -> Clinic:
    return factories.make_clinic(
        automatic="on",
        automatic_since=timezone.now() - timedelta(hours=1),
        automatic_model=MODEL,
    )


@pytest.fixture
def biscuit(clinic: Clinic) -> Patient:
    patient = factories.make_patient(clinic, patient_id="P-10482", sex="M")
    factories.make_patient(clinic, name="Olive", patient_id="P-77777")
    return patient


@pytest.fixture
def ana(clinic: Clinic) -> Any:
    return factories.make_staff(clinic=clinic, username="ana")


def orphan(clinic: Clinic, **typed: str) -> UnmatchedResult:
    return factories.make_unmatched(clinic, **(TYPED | typed))


def standing(unmatched: UnmatchedResult) -> MatchDecision | None:
    return MatchDecision.objects.filter(unmatched=unmatched, active=True).first()


def left(unmatched: UnmatchedResult) -> bool:
    """Whether it waits for a person after the rule has said its word."""
    assert automatic.sweep() == 0
    unmatched.refresh_from_db()
    return unmatched.state == "open" and standing(unmatched) is None


def test_what_the_rule_allows_is_attached_with_its_evidence_and_still_reviewed(
    clinic: Clinic, biscuit: Patient
) -> None:
    waiting = orphan(clinic)
    assert waiting.state == "open"  # filing attaches nothing by itself
    assert automatic.sweep() == 1
    decision = standing(waiting)
    assert decision is not None
    assert (decision.method, decision.patient, decision.actor) == ("auto", biscuit, None)
    assert decision.evidence["model"] == MODEL
    assert decision.evidence["grade"] == "certain" and decision.evidence["fields"]
    assert decision.evidence["probability"] >= 0.999
    run = TestRun.objects.get(unmatched=waiting)
    assert run.request == decision.request and run.review_state == "waiting"
    event = LabEvent.objects.get(verb="unmatched.match")
    assert event.source == "automatic" and event.actor is None
    assert automatic.sweep() == 0


def test_an_open_request_that_waits_for_the_test_gets_it(
    clinic: Clinic, biscuit: Patient, ana: Any
) -> None:
    first = factories.make_request(biscuit, acting_user=ana, accepted=True, panels=["HHEM-1"])
    waiting = orphan(clinic)
    targets = _targets(waiting)
    assert automatic.sweep() == 1
    decision = standing(waiting)
    assert decision is not None and decision.request is not None
    assert targets and decision.request == first


def test_never_where_two_open_requests_wait_for_the_test(
    clinic: Clinic, biscuit: Patient, ana: Any
) -> None:
    for _ in range(2):
        factories.make_request(biscuit, acting_user=ana, accepted=True, panels=["HHEM-1"])
    waiting = orphan(clinic)
    assert len(_targets(waiting)) == 2
    assert left(waiting)


def _targets(waiting: UnmatchedResult) -> Any:
    from labs.queries.orphaned.candidates import rank
    from labs.queries.orphaned.orphans import runs_of

    return rank(waiting, runs=runs_of(waiting)).found[0].targets


def test_a_beat_runs_it_and_no_request_that_receives_a_result_does() -> None:
    tasks = [each["task"] for each in celery["beat_schedule"].values()]
    assert tasks.count(match_automatically.name) == 1


@pytest.mark.parametrize("mode", ["off", "shadow"])
def test_where_it_is_not_on_nothing_is_attached(
    clinic: Clinic, biscuit: Patient, mode: str
) -> None:
    Clinic.objects.update(automatic=mode)
    assert left(orphan(clinic))


# What the rule asks the database.


def test_never_what_came_before_it_was_switched_on(clinic: Clinic, biscuit: Patient) -> None:
    Patient.objects.update(created_at=timezone.now() - timedelta(days=9))
    assert left(
        factories.make_unmatched(clinic, received_at=timezone.now() - timedelta(hours=2), **TYPED)
    )


def test_never_with_a_critical_value(clinic: Clinic, biscuit: Patient) -> None:
    waiting = orphan(clinic)
    row = TestRun.objects.get(unmatched=waiting).observations.filter(current=True)[0]
    type(row).objects.filter(pk=row.pk).update(flag_delivered="HH")
    assert row.__class__.objects.get(pk=row.pk).is_critical
    assert left(waiting)


def test_never_onto_a_patient_added_for_it(clinic: Clinic) -> None:
    waiting = orphan(clinic)
    factories.make_patient(clinic, patient_id="P-10482", sex="M")
    assert left(waiting)


def test_never_where_there_is_a_namesake(clinic: Clinic, biscuit: Patient) -> None:
    factories.make_patient(clinic, patient_id="P-2", sex="M", owner=biscuit.owner, deceased=True)
    assert left(orphan(clinic))


@pytest.mark.parametrize(
    ("mine", "typed", "other"),
    [
        ("Example-Jones", "Example", "Example"),
        ("Example Jones", "Jones", "Jones"),
        ("Example", "Example", "Example-Jones"),
        ("Jones", "Jones", "Example-Jones"),
    ],
)
def test_never_by_a_left_over_id_where_a_namesakes_owner_has_one_part_of_the_name(
    clinic: Clinic, mine: str, typed: str, other: str
) -> None:
    """The analyzer kept the id of the run before, and both animals are called the same."""
    one, two = (factories.make_owner(clinic, last_name=surname) for surname in (mine, other))
    factories.make_patient(clinic, patient_id="P-10482", sex="M", owner=one)
    factories.make_patient(clinic, patient_id="P-20999", sex="M", owner=two)
    Patient.objects.update(created_at=timezone.now() - timedelta(days=9))
    assert left(orphan(clinic, owner_last_name=typed))


def test_never_on_the_day_on_which_the_scoring_changed(clinic: Clinic, biscuit: Patient) -> None:
    Clinic.objects.update(automatic_model="rule-a-0")
    assert left(orphan(clinic))
    clinic.refresh_from_db()
    assert clinic.automatic_model == MODEL and clinic.automatic_model_changed is not None
    assert left(orphan(clinic))
    Clinic.objects.update(automatic_model_changed=timezone.now() - timedelta(days=1, minutes=1))
    orphan(clinic)
    assert automatic.sweep() == 1


def test_never_what_a_person_has_touched(clinic: Clinic, biscuit: Patient, ana: Any) -> None:
    held, back = orphan(clinic), orphan(clinic)
    matching.hold(acting_user=ana, unmatched=held, expected_version=held.version, reason="Ask")
    matching.reopen(acting_user=ana, unmatched=held, expected_version=held.version)
    matching.match(acting_user=ana, unmatched=back, patient=biscuit, expected_version=back.version)
    matching.unmatch(
        acting_user=ana, unmatched=back, expected_version=back.version, reason="Not his"
    )
    assert left(held) and left(back)


def facts(unmatched: UnmatchedResult) -> str:
    from labs.queries.orphaned.automatic import would_be
    from labs.queries.orphaned.candidates import rank
    from labs.queries.orphaned.orphans import runs_of

    unmatched.refresh_from_db()
    runs = runs_of(unmatched)
    return " ".join(would_be(unmatched, runs, rank(unmatched, runs=runs))[1])


def test_the_rule_is_told_what_was_taken_back_refused_and_split(
    clinic: Clinic, biscuit: Patient, ana: Any
) -> None:
    """Also where the sweep would not have asked it."""
    waiting = orphan(clinic)
    assert facts(waiting) == ""
    matching.match(
        acting_user=ana, unmatched=waiting, patient=biscuit, expected_version=waiting.version
    )
    matching.unmatch(
        acting_user=ana, unmatched=waiting, expected_version=waiting.version, reason="Not his"
    )
    assert "taken back" in facts(waiting) and "refused" in facts(waiting)
    runs = [factories.make_run(key=key) for key in ("one", "two")]
    identity = factories.make_unmatched(clinic, **TYPED).typed
    from labs.report import Identity

    two = factories.make_unmatched(
        clinic, factories.make_report(runs, external_id="UM-two", identity=Identity(**identity))
    )
    assert facts(two) == ""
    part = splitting.split(
        acting_user=ana,
        unmatched=two,
        runs=[two.runs.order_by("pk")[0].pk],
        expected_version=two.version,
    )
    assert "more than one animal" in facts(two) and "more than one animal" in facts(part)


@pytest.mark.skipif("connections['default'].vendor != 'postgresql'", reason="SQLite serialises")
@pytest.mark.django_db(transaction=True)
def test_never_while_patients_are_imported_and_then_it_is_tried_again() -> None:
    """The import holds the clinic's lock until its end; on SQLite nobody else writes meanwhile."""
    from threading import Event, Thread

    from django.db import transaction

    clinic = factories.make_clinic(
        automatic="on", automatic_since=timezone.now() - timedelta(hours=1), automatic_model=MODEL
    )
    factories.make_patient(clinic, patient_id="P-10482", sex="M")
    factories.make_patient(clinic, name="Olive")
    waiting = orphan(clinic)
    running, done = Event(), Event()

    def importing() -> None:
        with transaction.atomic():
            Clinic.objects.select_for_update(no_key=True).get(pk=clinic.pk)
            running.set()
            done.wait(30)
        connections.close_all()

    other = Thread(target=importing)
    other.start()
    running.wait(30)
    try:
        assert automatic.sweep() == 0
        assert standing(waiting) is None
    finally:
        done.set()
        other.join()
    assert automatic.sweep() == 1


# On and off.


def prove(clinic: Clinic, biscuit: Patient, times: int, did: Patient | None = None) -> None:
    for _ in range(times):
        waiting = factories.make_unmatched(clinic)
        noted = {"patient": str(biscuit.uuid), "against": [], "model": MODEL}
        matching.match(
            acting_user=None,
            unmatched=waiting,
            patient=did or biscuit,
            expected_version=waiting.version,
            evidence={"shadow": noted},
        )


@pytest.fixture
def admin(clinic: Clinic) -> Any:
    ada = factories.make_staff("admin", clinic=clinic, username="ada")
    ada.is_staff = True
    ada.save(update_fields=["is_staff"])
    return ada


def to_shadow(clinic: Clinic, admin: Any) -> None:
    automatic_switch.switch(acting_user=admin, clinic=clinic, to="shadow")
    clinic.refresh_from_db()


def test_it_goes_on_only_where_shadow_has_proven_it(
    clinic: Clinic, biscuit: Patient, admin: Any, ana: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shadow.NEEDED == 300
    monkeypatch.setattr(shadow, "NEEDED", 3)
    automatic_switch.switch(acting_user=admin, clinic=clinic, to="off")
    with pytest.raises(InvalidInput, match="shadow first"):
        automatic_switch.switch(acting_user=admin, clinic=clinic, to="on")
    to_shadow(clinic, admin)
    prove(clinic, biscuit, 2)
    with pytest.raises(InvalidInput, match="2 of 3"):
        automatic_switch.switch(acting_user=admin, clinic=clinic, to="on")
    prove(clinic, biscuit, 1)
    with pytest.raises(NotAllowed):
        automatic_switch.switch(acting_user=ana, clinic=clinic, to="on")
    automatic_switch.switch(acting_user=admin, clinic=clinic, to="on")
    clinic.refresh_from_db()
    assert clinic.automatic == "on"
    assert LabEvent.objects.get(verb="automatic.on").actor == admin


def test_one_disagreement_keeps_it_off_until_it_is_proven_anew(
    clinic: Clinic, biscuit: Patient, admin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shadow, "NEEDED", 2)
    to_shadow(clinic, admin)
    prove(clinic, biscuit, 2)
    prove(clinic, biscuit, 1, did=Patient.objects.get(name="Olive"))
    with pytest.raises(InvalidInput, match="1 differ"):
        automatic_switch.switch(acting_user=admin, clinic=clinic, to="on")
    automatic_switch.switch(acting_user=admin, clinic=clinic, to="off")
    to_shadow(clinic, admin)
    with pytest.raises(InvalidInput, match="0 of 2"):
        automatic_switch.switch(acting_user=admin, clinic=clinic, to="on")
    # Another way of scoring has proven nothing.
    prove(clinic, biscuit, 2)
    monkeypatch.setattr("labs.queries.orphaned.automatic.MODEL", "another")
    assert shadow.shadow(clinic).agree == 0  # type: ignore[union-attr]


def test_the_form_of_the_admin_asks_the_same(
    clinic: Clinic, biscuit: Patient, admin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shadow, "NEEDED", 1)
    to_shadow(clinic, admin)
    client = Client()
    client.force_login(admin)
    address = f"/admin/labs/clinic/{clinic.pk}/change/"
    form = {
        "name": clinic.name,
        "timezone": clinic.timezone,
        "automatic": "on",
        "idle_minutes": "30",
    }
    refused = client.post(address, form)
    assert refused.status_code == 200 and "0 of 1" in refused.content.decode()
    prove(clinic, biscuit, 1)
    assert client.post(address, form).status_code == 302
    clinic.refresh_from_db()
    assert clinic.automatic == "on"
    assert LabEvent.objects.filter(verb="automatic.on", actor=admin).count() == 1


def stopped(clinic: Clinic) -> bool:
    clinic.refresh_from_db()
    event = LabEvent.objects.filter(verb="automatic.stopped", clinic=clinic)
    assert event.exists() is (clinic.automatic == "off") is bool(clinic.automatic_stopped)
    return clinic.automatic == "off"


def test_an_undo_by_one_key_switches_it_off_and_says_so(
    clinic: Clinic, biscuit: Patient, ana: Any
) -> None:
    waiting, other = orphan(clinic), orphan(clinic)
    assert automatic.sweep() == 2
    client = Client()
    client.force_login(ana)
    page = client.get("/unmatched/?state=automatic").content.decode()
    assert page.count("data-press=") == 4 and automatic.TAKEN_BACK in page
    waiting.refresh_from_db()
    answer = client.post(
        f"/unmatched/{waiting.uuid}/unmatch/",
        {
            "version": waiting.version,
            "reason": automatic.TAKEN_BACK,
            "next": "/unmatched/?state=automatic",
        },
    )
    assert answer.status_code == 302 and answer["Location"] == "/unmatched/?state=automatic"
    assert stopped(clinic)
    assert LabEvent.objects.get(verb="automatic.stopped").actor == ana
    page = client.get("/unmatched/").content.decode()
    assert "Automatic matching has switched itself off" in page
    assert "An automatic match was taken back." in page
    # The other one stands, and is still to be looked at. Nothing new is attached.
    assert standing(other) is not None
    assert left(orphan(clinic))


def test_taking_it_back_or_moving_it_in_any_other_way_counts_too(
    clinic: Clinic, biscuit: Patient, ana: Any
) -> None:
    waiting = orphan(clinic)
    assert automatic.sweep() == 1
    waiting.refresh_from_db()
    matching.move(
        acting_user=ana,
        unmatched=waiting,
        patient=Patient.objects.get(name="Olive"),
        expected_version=waiting.version,
        reason="Hers",
    )
    assert stopped(clinic)


def test_a_person_who_matches_otherwise_than_the_rule_would_switches_it_off(
    clinic: Clinic, biscuit: Patient
) -> None:
    prove(clinic, biscuit, 1)
    assert not stopped(clinic)
    prove(clinic, biscuit, 1, did=Patient.objects.get(name="Olive"))
    assert stopped(clinic)


def test_taking_back_what_the_rule_had_agreed_with_switches_it_off(
    clinic: Clinic, biscuit: Patient, ana: Any
) -> None:
    prove(clinic, biscuit, 1)
    agreed = UnmatchedResult.objects.get()
    matching.unmatch(
        acting_user=ana, unmatched=agreed, expected_version=agreed.version, reason="Not his"
    )
    assert stopped(clinic)


def test_what_a_person_takes_back_of_a_persons_own_is_no_disagreement(
    clinic: Clinic, biscuit: Patient, ana: Any
) -> None:
    waiting = orphan(clinic, patient_id="")
    matching.match(
        acting_user=ana, unmatched=waiting, patient=biscuit, expected_version=waiting.version
    )
    matching.unmatch(
        acting_user=ana, unmatched=waiting, expected_version=waiting.version, reason="Not his"
    )
    assert not stopped(clinic)


# A person looks at each.


def test_a_person_confirms_it_once_and_then_it_is_off_the_list(
    clinic: Clinic, biscuit: Patient, ana: Any
) -> None:
    waiting = orphan(clinic)
    assert automatic.sweep() == 1
    waiting.refresh_from_db()
    client = Client()
    client.force_login(ana)
    assert "1 matched automatically" in client.get("/unmatched/").content.decode()
    page = client.get(f"/unmatched/{waiting.uuid}/").content.decode()
    assert 'id="looked"' in page and "Automatically, by the rule" in page
    decision = standing(waiting)
    assert decision is not None and decision.request is not None
    seen = client.get(f"/requests/{decision.request.lab_report_id}/").content.decode()
    assert "was matched automatically" in seen
    assert "matched automatically" in client.get(f"/patients/{biscuit.uuid}/").content.decode()
    version = waiting.version
    form = {"version": version, "next": "/unmatched/"}
    assert client.post(f"/unmatched/{waiting.uuid}/confirm/", form).status_code == 302
    with pytest.raises(Stale):
        automatic.confirm(acting_user=ana, unmatched=waiting, expected_version=version)
    waiting.refresh_from_db()
    with pytest.raises(InvalidInput, match="looked at it already"):
        automatic.confirm(acting_user=ana, unmatched=waiting, expected_version=waiting.version)
    assert "matched automatically" not in client.get("/unmatched/").content.decode()
    page = client.get(f"/unmatched/{waiting.uuid}/").content.decode()
    assert 'id="looked"' not in page and "A person has looked at it" in page
    # It stays marked as automatic on the record, and what a person matched is not.
    assert "matched automatically" in client.get(f"/patients/{biscuit.uuid}/").content.decode()
    own = orphan(clinic)
    request = matching.match(
        acting_user=ana, unmatched=own, patient=biscuit, expected_version=own.version
    )
    seen = client.get(f"/requests/{request.lab_report_id}/").content.decode()
    assert "was matched automatically" not in seen and "by a person" in seen


def test_what_a_person_matched_cannot_be_confirmed(
    clinic: Clinic, biscuit: Patient, ana: Any
) -> None:
    own = orphan(clinic)
    matching.match(acting_user=ana, unmatched=own, patient=biscuit, expected_version=own.version)
    with pytest.raises(InvalidInput, match="not automatic"):
        automatic.confirm(acting_user=ana, unmatched=own, expected_version=own.version)
    stranger = factories.make_staff(clinic=factories.make_clinic(), username="other")
    with pytest.raises(NotAllowed):
        automatic.confirm(acting_user=stranger, unmatched=own, expected_version=own.version)
    assert Membership.objects.filter(user=stranger).count() == 1


# Failures and haste.


def test_a_person_who_is_faster_wins(
    clinic: Clinic, biscuit: Patient, ana: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the weighing and the attaching."""
    waiting = orphan(clinic)
    olive = Patient.objects.get(name="Olive")
    attach = automatic._attach

    def late(mine: UnmatchedResult) -> bool:
        theirs = UnmatchedResult.objects.get(pk=mine.pk)
        matching.match(
            acting_user=ana, unmatched=theirs, patient=olive, expected_version=theirs.version
        )
        return attach(mine)

    monkeypatch.setattr(automatic, "_attach", late)
    assert automatic.sweep() == 0
    decision = standing(waiting)
    assert decision is not None and (decision.patient, decision.method) == (olive, "person")


@pytest.mark.django_db(transaction=True)
def test_a_person_and_the_rule_at_the_same_moment_end_with_one_match() -> None:
    clinic = factories.make_clinic(
        automatic="on", automatic_since=timezone.now() - timedelta(hours=1), automatic_model=MODEL
    )
    factories.make_patient(clinic, patient_id="P-10482", sex="M")
    olive = factories.make_patient(clinic, name="Olive")
    bea = factories.make_staff(clinic=clinic, username="bea")
    for number in range(8):
        waiting = orphan(clinic)
        ready = Barrier(2)

        def by_rule(ready: Barrier = ready) -> int:
            ready.wait(30)
            try:
                return automatic.sweep()
            finally:
                connections.close_all()

        def by_hand(
            ready: Barrier = ready, waiting: UnmatchedResult = waiting, number: int = number
        ) -> bool:
            mine = UnmatchedResult.objects.select_related("clinic").get(pk=waiting.pk)
            ready.wait(30)
            time.sleep(0.01 * number)
            try:
                matching.match(
                    acting_user=bea, unmatched=mine, patient=olive, expected_version=mine.version
                )
            except Stale:
                return False
            finally:
                connections.close_all()
            return True

        with ThreadPoolExecutor(2) as pool:
            rule, hand = pool.submit(by_rule), pool.submit(by_hand)
            attached, won = rule.result(), hand.result()
        assert attached + won == 1
        decision = MatchDecision.objects.get(unmatched=waiting)
        assert (decision.method, decision.patient == olive) == (
            ("person", True) if won else ("auto", False)
        )


def test_a_person_who_holds_it_meanwhile_keeps_it(
    clinic: Clinic, biscuit: Patient, ana: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is held may be matched: only the version says that somebody has been there."""
    waiting = orphan(clinic)
    attach = automatic._attach

    def late(mine: UnmatchedResult) -> bool:
        theirs = UnmatchedResult.objects.get(pk=mine.pk)
        version = theirs.version
        matching.hold(acting_user=ana, unmatched=theirs, expected_version=version, reason="Ask")
        return attach(mine)

    monkeypatch.setattr(automatic, "_attach", late)
    assert automatic.sweep() == 0
    waiting.refresh_from_db()
    assert (waiting.state, waiting.held_by) == ("held", ana)


def test_one_that_fails_is_left_to_a_person_and_the_others_go_on(
    clinic: Clinic, biscuit: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison, sound = orphan(clinic), orphan(clinic)
    rank, tried = automatic.rank, []

    def sometimes(unmatched: UnmatchedResult, **known: Any) -> Any:
        tried.append(unmatched.pk)
        if unmatched.pk == poison.pk:
            raise ZeroDivisionError
        return rank(unmatched, **known)

    monkeypatch.setattr(automatic, "rank", sometimes)
    assert automatic.sweep() == 1
    assert standing(sound) is not None and standing(poison) is None
    assert automatic.sweep() == 0 and tried.count(poison.pk) == 1


def test_a_busy_database_is_no_word_of_the_rule(
    clinic: Clinic, biscuit: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = orphan(clinic)

    def busy(*_: Any, **__: Any) -> Any:
        raise OperationalError("database is locked")

    with monkeypatch.context() as broken:
        broken.setattr(automatic, "rank", busy)
        assert automatic.sweep() == 0
    assert automatic.sweep() == 1
    assert standing(waiting) is not None


def test_of_what_is_for_a_person_it_says_its_word_once_to_each_version(
    clinic: Clinic, biscuit: Patient
) -> None:
    waiting = orphan(clinic, patient_id="")
    assert left(waiting)
    with CaptureQueriesContext(connections["default"]) as asked:
        assert automatic.sweep() == 0
    assert len(asked) == 2, [query["sql"] for query in asked.captured_queries]
    UnmatchedResult.objects.update(version=waiting.version + 1)
    with CaptureQueriesContext(connections["default"]) as asked:
        automatic.sweep()
    assert len(asked) > 5
    Clinic.objects.update(automatic=Automatic.OFF)
    with CaptureQueriesContext(connections["default"]) as asked:
        automatic.sweep()
    assert len(asked) == 1


def test_another_clinics_patients_and_results_are_not_touched(
    clinic: Clinic, biscuit: Patient
) -> None:
    other = factories.make_clinic()
    theirs = factories.make_patient(other, patient_id="P-10482", sex="M")
    factories.make_patient(other, name="Olive")
    waiting, mine = orphan(other), orphan(clinic)
    assert automatic.sweep() == 1
    assert standing(waiting) is None
    decision = standing(mine)
    assert decision is not None and decision.patient == biscuit != theirs

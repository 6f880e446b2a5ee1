"""What no person may overlook: raised when it is filed, told to one and then to all, until a named
person says that they have seen that version."""

from __future__ import annotations

import smtplib
import threading
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from labs.errors import InvalidInput, NotAllowed, Stale
from labs.models import Alarm, AlarmNotice, CriticalLimit, LabEvent, Observation, Role
from labs.queries.overview.nav import nav
from labs.queries.readings.observations import of_request
from labs.queries.readings.summary import summaries
from labs.report import Identity
from labs.services.intake import results
from labs.services.orders import moving
from labs.services.orphaned import matching
from labs.services.registry import merging
from labs.services.reviews import alarms, escalation, limits, review
from tests.factories import (
    make_clinic,
    make_message,
    make_patient,
    make_report,
    make_request,
    make_row,
    make_run,
    make_staff,
    make_typed,
    make_unmatched,
)

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 3, 2, 19, 0, tzinfo=UTC)
K = {"code": "K", "unit": "mmol/L", "low": "3.6", "high": "5.5"}
LIPASE = {"unit": "ug/L", "low": "50", "high": "2000", "range_kind": "measuring"}
MEASURED = {"code": "Ca++", "unit": "mmol/L", "low": "0.25", "high": "4.00"}


@pytest.fixture
def clinic():
    return make_clinic()


@pytest.fixture
def alice(clinic):
    return make_staff(Role.VET, clinic=clinic, username="alice", email="alice@example.org")


@pytest.fixture
def bob(clinic):
    return make_staff(Role.VET, clinic=clinic, username="bob", email="bob@example.org")


@pytest.fixture
def tess(clinic):
    return make_staff(Role.TECHNICIAN, clinic=clinic, username="tess", email="tess@example.org")


@pytest.fixture
def lab_request(clinic, alice):
    return make_request(make_patient(clinic), acting_user=alice, accepted=True)


def file(request, *rows, version=1, status="final", key="run", **fields):
    filed = make_report([make_run(rows, key=key, status=status, **fields)], version=version)
    assert not results.file_report(
        message=make_message(request.clinic), report=filed, result_key=request.result_key
    ).held
    request.refresh_from_db()
    return request.runs.get(run_key=key)


def sweep(at):
    with time_machine.travel(at, tick=False):
        return escalation.sweep()


def told():
    return sorted(letter.to[0] for letter in mail.outbox)


@pytest.fixture
def alarm(lab_request):
    with time_machine.travel(NOON, tick=False):
        file(lab_request, make_row(value="7.9", flag="H", **K))
    return Alarm.objects.get()


# What is alarming


@pytest.mark.parametrize(
    ("row", "why", "source"),
    [
        # Delivered first: its flag, then the limits that came with the value.
        (make_row(value="6.0", flag="HH", **K), "critical", "demo"),
        (make_row(value="6.0", critical_high="5.9", **K), "critical", "delivered"),
        (make_row(value="7.9", critical_high="9", **K), "", "delivered"),
        # Then ours, also where the analyzer's own flag says less.
        (make_row(value="7.9", flag="H", **K), "critical", "demo"),
        (make_row(value="7.9", flag="N", **K), "critical", "demo"),
        (make_row(value="2.4", **K), "critical", "demo"),
        (make_row(value="<2.5", **K), "critical", "demo"),
        (make_row(value="7.5", flag="H", **K), "", "demo"),
        # What lies outside of what can be measured, with or without limits.
        (make_row(value="< 0.25", range_kind="measuring", **MEASURED), "critical", "demo"),
        (make_row("fPL", "<50", **LIPASE), "beyond", ""),
        (make_row("fPL", "40", **LIPASE), "beyond", ""),
        (make_row("fPL", "60", **LIPASE), "", ""),
        (make_row(value="<4.0", **K), "beyond", "demo"),
        (make_row("CREA", "<0.2", unit="mg/dL", low="0.5", high="1.6"), "", "demo"),
        (make_row("CREA", ">9.0", unit="mg/dL", low="0.5", high="1.6"), "beyond", "demo"),
        (make_row("K", ">9.0", unit="mg/L", low="1", high="2"), "beyond", "open"),
        (make_row("TBIL", "<0.1", unit="mg/dL", low="0.1", high="0.3"), "", ""),
        # Quality control, where it matters.
        (make_row(value="Failed iQC", **K), "quality_control", "demo"),
        (make_row("TBIL", "Failed iQC", unit="mg/dL", low="", high=""), "", ""),
        (make_row(value="*****", **K), "", "demo"),
        # Never by a limit of another unit, and it is said.
        (make_row("K", "79", unit="mg/L", low="", high=""), "", "open"),
        (make_row("K", "7,9", unit="mmol/L", low="", high=""), "", "open"),
        (make_row("NOBODY", "7.9", unit="mmol/L", low="", high=""), "", ""),
    ],
)
def test_what_is_alarming(lab_request, row, why, source):
    file(lab_request, row)
    stored = Observation.objects.get()
    assert (stored.alarming, stored.critical_source) == (why, source)
    raised = [value["why"] for alarm in Alarm.objects.all() for value in alarm.values]
    assert raised == ([why] if why else [])
    not_assessed = any("Not assessed against critical limits" in text for text in stored.warnings)
    assert not_assessed == (source == "open")


def test_a_row_beyond_a_limit_is_critical_wherever_that_is_asked(lab_request):
    """The database's way to ask and the row's own are one."""
    from labs.models.result import is_critical

    rows = [
        make_row("A", "1", flag="HH", sequence="1"),
        make_row("B", "1", flag="H", sequence="2"),
        make_row("K", "7.9", unit="mmol/L", flag="H", sequence="3"),
        make_row("K", "7.9", unit="mmol/L", flag="N", sequence="4"),
        make_row("C", "1", sequence="5"),
    ]
    run = file(lab_request, *rows)
    asked = set(run.observations.filter(is_critical()).values_list("pk", flat=True))
    assert asked == {row.pk for row in run.observations.all() if row.is_critical}
    assert len(asked) == 3


def test_of_an_animal_of_unknown_species_it_is_said_that_nothing_was_assessed(clinic):
    row = make_row(value="7.9", **K)
    make_unmatched(clinic, report=make_report([make_run([row])]))
    stored = Observation.objects.get()
    assert stored.critical_source == "open"
    assert "the species is not known" in stored.warnings[-1]


# Limits


def test_a_clinics_limit_beats_the_demo_one_and_only_there(clinic, lab_request):
    ada = make_staff(Role.ADMIN, clinic=clinic)
    own = {"analyte": "K", "species": "dog", "unit": "mmol/L"}
    limits.set_limit(acting_user=ada, clinic=clinic, low="", high="6.0", **own)
    elsewhere = make_request(make_patient(make_clinic("Harbour")), accepted=True)
    for request in (lab_request, elsewhere):
        file(request, make_row(value="6.5", **K))
    assert [alarm.clinic for alarm in Alarm.objects.all()] == [clinic]
    assert Observation.objects.get(critical_source="clinic").flag == "HH"
    # Without ends it is switched off; taken away, the demo one is back.
    limits.set_limit(acting_user=ada, clinic=clinic, low="", high="", **own)
    file(lab_request, make_row(value="9", **K), key="off")
    assert Alarm.objects.count() == 1
    limits.remove_limit(
        acting_user=ada, own=CriticalLimit.objects.get(clinic=clinic, analyte__code="K")
    )
    file(lab_request, make_row(value="9", **K), key="back")
    assert Alarm.objects.count() == 2
    verbs = LabEvent.objects.filter(verb__startswith="limit.").order_by("pk")
    assert [event.verb for event in verbs] == ["limit.set", "limit.set", "limit.removed"]


def test_one_limit_for_one_unit_however_it_is_written(clinic):
    ada = make_staff(Role.ADMIN, clinic=clinic)
    given = {"acting_user": ada, "clinic": clinic, "analyte": "PLT", "species": "dog", "high": ""}
    limits.set_limit(unit="10³/µL", low="30", **given)
    limits.set_limit(unit="10^3/uL", low="40", **given)
    assert [limit.low for limit in CriticalLimit.objects.filter(clinic=clinic)] == ["40"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"analyte": "NOBODY"},
        {"species": "axolotl"},
        {"low": "2,5"},
        {"low": "8", "high": "2"},
        {"unit": "x" * 33},
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(clinic, wrong):
    given = {"analyte": "K", "species": "dog", "unit": "mmol/L", "low": "2", "high": "8", **wrong}
    with pytest.raises(InvalidInput):
        limits.set_limit(acting_user=None, clinic=clinic, **given)


def test_limits_are_the_administrators(clinic, alice):
    with pytest.raises(NotAllowed):
        limits.set_limit(
            acting_user=alice,
            clinic=clinic,
            analyte="K",
            species="dog",
            unit="mmol/L",
            low="1",
            high="",
        )


# Whom it is told


def test_first_the_vet_then_everybody_and_each_once(clinic, alarm, alice, bob, tess):
    make_staff(Role.RECEPTION, clinic=clinic, email="desk@example.org")
    assert sweep(NOON) == 1
    assert told() == ["alice@example.org"], "who ordered it"
    assert [nav(clinic, who).alarms for who in (alice, bob, tess)] == [1, 0, 0]
    assert sweep(NOON + timedelta(minutes=14, seconds=59)) == 0
    assert sweep(NOON + timedelta(minutes=15)) == 3
    assert told() == ["alice@example.org"] * 2 + ["bob@example.org", "tess@example.org"]
    assert [nav(clinic, who).alarms for who in (alice, bob, tess)] == [1, 1, 1]
    assert sweep(NOON + timedelta(hours=5)) == 0
    letter = mail.outbox[-1]
    assert "/alarms/" in letter.body and "15 minutes" in letter.body
    for secret in ("7.9", "K ", "mmol", "Biscuit", "Example", lab_id(alarm)):
        assert secret not in letter.body.replace(str(clinic), "") + letter.subject
    assert len({letter.extra_headers["Message-ID"] for letter in mail.outbox}) == 4


def lab_id(alarm):
    return alarm.run.request.lab_report_id


def test_the_vet_on_duty_where_nobody_responsible_is_a_vet(clinic, bob, tess):
    escalation.set_duty_vet(acting_user=tess, clinic=clinic, vet=bob)
    request = make_request(make_patient(clinic), acting_user=tess, accepted=True)
    with time_machine.travel(NOON, tick=False):
        file(request, make_row(value="7.9", **K))
    assert sweep(NOON) == 1
    assert told() == ["bob@example.org"]
    assert LabEvent.objects.filter(verb="duty.changed", actor=tess).exists()
    with pytest.raises(InvalidInput):
        escalation.set_duty_vet(acting_user=tess, clinic=clinic, vet=tess)


def test_whoever_left_is_not_waited_for(clinic, alarm, alice, tess):
    alice.membership_set.update(ends_at=NOON - timedelta(days=1))
    assert sweep(NOON) == 1
    assert told() == ["tess@example.org"], "everybody at once: nobody responsible is there"


def test_a_clinic_sets_after_how_long(clinic, alarm, alice, bob):
    ada = make_staff(Role.ADMIN, clinic=clinic)
    escalation.set_wait(acting_user=ada, clinic=clinic, minutes=5)
    sweep(NOON)
    assert sweep(NOON + timedelta(minutes=5)) == 2
    with pytest.raises(InvalidInput):
        escalation.set_wait(acting_user=ada, clinic=clinic, minutes=0)


def test_nothing_of_another_clinic(clinic, alarm, alice):
    other = make_clinic("Harbour")
    hana = make_staff(Role.VET, clinic=other, email="hana@example.org")
    sweep(NOON)
    sweep(NOON + timedelta(hours=1))
    assert "hana@example.org" not in told()
    assert nav(other, hana).alarms == 0
    with pytest.raises(NotAllowed):
        alarms.acknowledge(acting_user=hana, alarm=alarm, expected_result=alarm.result_id)


def test_a_letter_that_the_server_refuses_is_sent_later_and_keeps_nobody_waiting(
    clinic, alarm, alice, bob, monkeypatch
):
    escalation.set_duty_vet(acting_user=alice, clinic=clinic, vet=bob)
    send = EmailBackend.send_messages

    def refuses_alice(self, letters):
        if letters[0].to == ["alice@example.org"]:
            raise smtplib.SMTPServerDisconnected
        return send(self, letters)

    monkeypatch.setattr(EmailBackend, "send_messages", refuses_alice)
    assert sweep(NOON) == 1
    assert told() == ["bob@example.org"]
    monkeypatch.undo()
    assert sweep(NOON + timedelta(seconds=30)) == 0
    assert sweep(NOON + timedelta(seconds=61)) == 1
    assert told() == ["alice@example.org", "bob@example.org"]


def test_a_letter_whose_sender_died_is_sent_again_as_the_same_one(clinic, alarm, monkeypatch):
    """Killed between the mail server's answer and the commit: nobody knows whether it went."""
    real = AlarmNotice.objects.filter

    def send_and_die(self, letters):
        mail.outbox.extend(letters)
        raise KeyboardInterrupt

    monkeypatch.setattr(EmailBackend, "send_messages", send_and_die)
    with pytest.raises(KeyboardInterrupt):
        sweep(NOON)
    monkeypatch.undo()
    assert sweep(NOON + timedelta(seconds=90)) == 0, "somebody may still be sending it"
    assert sweep(NOON + timedelta(seconds=121)) == 1
    assert len(mail.outbox) == 2
    assert len({letter.extra_headers["Message-ID"] for letter in mail.outbox}) == 1
    assert real(sent_at=None).count() == 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer")
def test_two_sweepers_send_one_letter(clinic, alarm, alice):
    start = threading.Barrier(4)

    def run():
        start.wait()
        try:
            escalation.sweep()
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # The alarm is of a day long past, so that both stages are due.
    letters = [letter.extra_headers["Message-ID"] for letter in mail.outbox]
    assert len(letters) == len(set(letters)) == AlarmNotice.objects.exclude(address="").count()


# Acknowledging


def test_a_person_acknowledges_the_version_that_they_saw(clinic, alarm, alice, tess):
    sweep(NOON)
    with time_machine.travel(NOON + timedelta(minutes=3), tick=False):
        alarms.acknowledge(
            acting_user=tess, alarm=alarm, expected_result=alarm.result_id, note="told Dr Hart"
        )
    assert sweep(NOON + timedelta(minutes=15)) == 0, "nobody else is woken"
    assert nav(clinic, alice).alarms == 0
    alarm.refresh_from_db()
    assert (alarm.ended, alarm.ended_by, alarm.note) == ("acknowledged", tess, "told Dr Hart")
    event = LabEvent.objects.get(verb="alarm.acknowledged")
    assert event.actor == tess and event.data == {"version": alarm.result_id, "codes": ["K"]}
    with pytest.raises(Stale):
        alarms.acknowledge(acting_user=alice, alarm=alarm, expected_result=alarm.result_id)


def test_the_front_desk_does_not(clinic, alarm):
    desk = make_staff(Role.RECEPTION, clinic=clinic)
    with pytest.raises(NotAllowed):
        alarms.acknowledge(acting_user=desk, alarm=alarm, expected_result=alarm.result_id)


def test_a_corrected_value_opens_it_again(clinic, alarm, lab_request, alice):
    alarms.acknowledge(acting_user=alice, alarm=alarm, expected_result=alarm.result_id)
    with time_machine.travel(NOON + timedelta(hours=1), tick=False):
        file(lab_request, make_row(value="8.4", flag="H", **K), version=2, status="corrected")
    again = Alarm.objects.get(ended="")
    assert again.result.report_version == 2
    assert again.values[0]["value"] == "8.4"
    mail.outbox.clear()
    assert sweep(NOON + timedelta(hours=1)) == 1


def test_a_version_that_says_the_same_wakes_nobody_twice(alarm, lab_request, alice):
    shown = alarm.result_id
    row = make_row(value="7.9", flag="H", **K)
    file(lab_request, row, make_row("Cl", "100", sequence="2"), version=2, status="corrected")
    alarm.refresh_from_db()
    assert alarm.ended == "" and alarm.result.report_version == 2
    # But what was on the screen is the first version: look once more.
    with pytest.raises(Stale):
        alarms.acknowledge(acting_user=alice, alarm=alarm, expected_result=shown)
    alarms.acknowledge(acting_user=alice, alarm=alarm, expected_result=alarm.result_id)
    file(lab_request, row, make_row("Cl", "99", sequence="2"), version=3, status="corrected")
    assert not Alarm.objects.filter(ended="").exists()


def test_what_is_corrected_to_harmless_ends_and_back_again_is_a_new_alarm(
    alarm, lab_request, alice
):
    alarms.acknowledge(acting_user=alice, alarm=alarm, expected_result=alarm.result_id)
    file(lab_request, make_row(value="4.4", **K), version=2, status="corrected")
    assert not Alarm.objects.filter(ended="").exists()
    file(lab_request, make_row(value="7.9", flag="H", **K), version=3, status="corrected")
    assert Alarm.objects.filter(ended="").count() == 1
    file(lab_request, make_row(value="4.4", **K), version=4, status="corrected")
    assert Alarm.objects.filter(ended="corrected").count() == 1
    assert LabEvent.objects.filter(verb="alarm.corrected").count() == 1


def test_an_older_version_that_comes_late_changes_nothing(lab_request):
    file(lab_request, make_row(value="4.4", **K), version=2)
    file(lab_request, make_row(value="7.9", **K), version=1)
    assert not Alarm.objects.exists()


def test_whoever_signs_has_seen_it(alarm, lab_request, alice):
    review.sign(acting_user=alice, request=lab_request, expected_version=lab_request.version)
    alarm.refresh_from_db()
    assert (alarm.ended, alarm.ended_by) == ("acknowledged", alice)


def test_a_cancelled_test_alarms_nobody(lab_request):
    file(lab_request, make_row(value="7.9", **K), status="cancelled")
    assert not Alarm.objects.exists()


def test_what_is_on_no_animals_record_wakes_everybody_until_it_is_put_away(clinic, alice, tess):
    row = make_row(value="9.9", flag="HH", **K)
    with time_machine.travel(NOON, tick=False):
        orphan = make_unmatched(clinic, report=make_report([make_run([row])]))
    assert sweep(NOON) == 2
    assert nav(clinic, tess).alarms == 1
    type(orphan).objects.filter(pk=orphan.pk).update(state="dismissed")
    assert nav(clinic, tess).alarms == 0
    type(orphan).objects.filter(pk=orphan.pk).update(state="open")
    assert nav(clinic, tess).alarms == 1


def test_what_a_person_typed_alarms_as_what_an_analyzer_sent(clinic, alice):
    make_typed(make_patient(clinic), acting_user=alice, PLT="12")
    assert Alarm.objects.get().values[0]["value"] == "12"


@pytest.mark.parametrize("way", ["request", "orphan", "typed"])
def test_its_audit_is_there_once_whichever_way_it_came(clinic, lab_request, alice, way):
    row = make_row(value="9.9", flag="HH", **K)
    if way == "request":
        file(lab_request, row)
    elif way == "orphan":
        make_unmatched(clinic, report=make_report([make_run([row])]))
    else:
        make_typed(make_patient(clinic), acting_user=alice, PLT="12")
    alarm, event = Alarm.objects.get(), LabEvent.objects.get(verb="alarm.raised")
    assert event.clinic == clinic
    assert (event.request, event.unmatched) == (alarm.run.request, alarm.run.unmatched)
    codes = [value["code"] for value in alarm.values]
    assert event.data == {"version": alarm.result_id, "codes": codes}


def test_it_costs_the_way_in_one_statement(clinic, alice):
    """Its own row. What was ordered and who had it is known, and the audit goes with the rest."""
    counted = []
    for value in ("4.5", "7.9"):
        request = make_request(make_patient(clinic), acting_user=alice, accepted=True)
        with CaptureQueriesContext(connection) as statements:
            file(request, make_row(value=value, **K))
        counted.append(len(statements))
    assert Alarm.objects.count() == 1
    assert counted[1] == counted[0] + 1


# The result turns out to be another animal's.


def seen(run, by):
    alarm = Alarm.objects.get(run=run, ended="")
    alarms.acknowledge(acting_user=by, alarm=alarm, expected_result=alarm.result_id, note="Called")


def again(run):
    """The one open alarm of that run, which has been told to nobody yet."""
    alarm = Alarm.objects.get(run=run, ended="")
    assert (alarm.first_at, alarm.all_at) == (None, None)
    assert alarm.values[0]["code"] == "K" and alarm.result.current
    return alarm


def put_on(orphan, patient, by):
    orphan.refresh_from_db()
    return matching.match(
        acting_user=by, unmatched=orphan, patient=patient, expected_version=orphan.version
    )


@pytest.fixture
def orphan(clinic):
    row = make_row(value="9.9", flag="HH", **K)
    return make_unmatched(clinic, report=make_report([make_run([row])]))


def test_acknowledged_for_the_wrong_animal_it_stands_again_when_the_match_is_taken_back(
    clinic, orphan, alice, bob
):
    run = orphan.runs.get()
    put_on(orphan, make_patient(clinic), alice)
    seen(run, alice)
    orphan.refresh_from_db()
    matching.unmatch(
        acting_user=bob, unmatched=orphan, expected_version=orphan.version, reason="Not hers"
    )
    again(run)
    right = put_on(orphan, make_patient(clinic, name="Olive"), bob)
    assert again(run).run.request == right
    assert Alarm.objects.filter(run=run).count() == 2
    assert LabEvent.objects.filter(verb="alarm.raised").count() == 2


def test_acknowledged_before_it_was_on_any_record_it_stays_so(clinic, orphan, alice):
    """Whoever saw it knew of no animal: nothing that they said was said of the wrong one."""
    seen(orphan.runs.get(), alice)
    put_on(orphan, make_patient(clinic), alice)
    orphan.refresh_from_db()
    matching.unmatch(
        acting_user=alice, unmatched=orphan, expected_version=orphan.version, reason="Slip"
    )
    assert not Alarm.objects.filter(ended="").exists()


def test_it_follows_a_request_that_is_moved_and_stands_again(alarm, lab_request, alice, clinic):
    seen(alarm.run, alice)
    olive = make_patient(clinic, name="Olive")
    lab_request.refresh_from_db()
    moving.move_request(
        acting_user=alice,
        request=lab_request,
        patient=olive,
        expected_version=lab_request.version,
        reason="Wrong cage card",
    )
    assert again(alarm.run).run.request.patient == olive


def test_nobody_has_seen_it_yet_and_whoever_is_responsible_now_is_told(clinic, orphan, alice, bob):
    wrong, right = make_patient(clinic), make_patient(clinic, name="Olive")
    theirs = make_request(right, acting_user=bob, accepted=True)
    put_on(orphan, wrong, alice)
    assert sweep(timezone.now()) == 1  # the letter to her
    orphan.refresh_from_db()
    matching.move(
        acting_user=alice,
        unmatched=orphan,
        patient=right,
        request=theirs,
        expected_version=orphan.version,
        reason="Not hers",
    )
    assert sweep(timezone.now()) == 1
    told = AlarmNotice.objects.filter(alarm__run=orphan.runs.get(), stage="first")
    assert {notice.user for notice in told} == {alice, bob}


def test_acknowledged_while_two_records_were_one_it_stands_again_when_they_are_two(
    lab_request, clinic, alice
):
    survivor = make_patient(clinic, name="Biscuit")
    merge = merging.merge(acting_user=alice, survivor=survivor, merged=lab_request.patient)
    run = file(lab_request, make_row(value="7.9", flag="H", **K))
    seen(run, alice)
    merging.undo(acting_user=alice, merge=merge, reason="Two animals")
    assert again(run).run.request.patient == merge.merged


# Typed without a species, or with another one's


OWN = ("critical_low", "critical_high", "critical_source", "flag_computed", "warnings")


def typed_as(clinic, species, row):
    typed = Identity(patient_name="BISCUIT", species_code=species)
    orphan = make_unmatched(clinic, make_report([make_run([row])], identity=typed))
    return orphan, orphan.runs.get()


def stored(run):
    return Observation.objects.values(*OWN, "flag_delivered", "low", "high").get(
        run=run, current=True
    )


def take_back(orphan, by):
    orphan.refresh_from_db()
    matching.unmatch(
        acting_user=by, unmatched=orphan, expected_version=orphan.version, reason="Not hers"
    )


@pytest.mark.parametrize("species", ["", "horse"])
def test_once_matched_it_is_held_against_the_animals_limits_and_no_more_when_taken_back(
    clinic, alice, species
):
    orphan, run = typed_as(clinic, species, make_row(value="7.9", flag="H", **K))
    filed = stored(run)
    already = Alarm.objects.count()
    lab_request = put_on(orphan, make_patient(clinic), alice)
    now = stored(run)
    assert (now["flag_computed"], now["critical_source"]) == ("HH", "demo")
    assert not any("species is not known" in sentence for sentence in now["warnings"])
    assert [now[name] for name in ("flag_delivered", "low", "high")] == ["H", "3.6", "5.5"]
    assert Alarm.objects.get(ended="").values == [
        {"code": "K", "value": "7.9", "unit": "mmol/L", "why": "critical"}
    ]
    assert not review.together(type(lab_request).objects.filter(pk=lab_request.pk))
    take_back(orphan, alice)
    assert stored(run) == filed
    assert Alarm.objects.filter(ended="").count() == already
    # A horse of 7.9 is one to look at too: then the alarm of before goes on.
    assert LabEvent.objects.filter(verb="alarm.reassessed").exists() == (not already)


def test_an_alarm_of_the_match_that_somebody_acknowledged_does_not_stand_when_it_is_taken_back(
    clinic, alice
):
    orphan, run = typed_as(clinic, "", make_row(value="7.9", **K))
    put_on(orphan, make_patient(clinic), alice)
    seen(run, alice)
    take_back(orphan, alice)
    assert not run.alarms.filter(stands=True).exists()


def test_what_is_critical_for_the_species_typed_and_not_for_the_animals_ends_by_the_match(
    clinic, alice, tess
):
    ada = make_staff(Role.ADMIN, clinic=clinic, username="ada")
    given = {"acting_user": ada, "clinic": clinic, "analyte": "K", "unit": "mmol/L", "low": "1"}
    limits.set_limit(**given, species="dog", high="9")
    limits.set_limit(**given, species="cat", high="6")
    orphan, run = typed_as(clinic, "cat", make_row(value="7.9", **K))
    alarm = run.alarms.get(ended="")
    put_on(orphan, make_patient(clinic), alice)
    alarm.refresh_from_db()
    assert (alarm.ended, alarm.stands) == ("reassessed", False)
    take_back(orphan, alice)
    assert run.alarms.get(ended="").pk != alarm.pk


def test_what_the_analyzer_called_critical_stays_a_reason_to_look(clinic, alice):
    """Its flag is struck through; nobody has looked at the value for all that. Nor are limits that
    came with it any of ours."""
    for row in (
        make_row(value="6.0", flag="HH", **K),
        make_row(value="6.0", critical_high="5.9", **(K | {"code": "no-limits-of-ours"})),
    ):
        orphan, run = typed_as(clinic, "", row)
        put_on(orphan, make_patient(clinic), alice)
        assert run.alarms.get(ended="")
        assert Observation.objects.get(run=run).own_flag == ""


def test_delivered_limits_give_way_to_ours_for_the_animal(clinic, alice):
    orphan, run = typed_as(clinic, "", make_row(value="7.9", critical_high="9", **K))
    filed = stored(run)
    put_on(orphan, make_patient(clinic), alice)
    assert (stored(run)["flag_computed"], stored(run)["critical_source"]) == ("HH", "demo")
    take_back(orphan, alice)
    assert stored(run) == filed
    assert (filed["critical_high"], filed["critical_source"]) == ("9", "delivered")


def test_a_later_version_of_a_matched_orphan_is_held_against_the_animals_limits(clinic, alice):
    ada = make_staff(Role.ADMIN, clinic=clinic, username="ada")
    given = {"acting_user": ada, "clinic": clinic, "analyte": "K", "unit": "mmol/L", "low": "1"}
    limits.set_limit(**given, species="cat", high="9")
    typed = Identity(patient_name="BISCUIT", species_code="cat")

    def said(value, version):
        return make_report(
            [make_run([make_row(value=value, **K)], key="run")],
            version=version,
            external_id="R-1",
            identity=typed,
        )

    orphan = make_unmatched(clinic, said("5.0", 1))
    put_on(orphan, make_patient(clinic), alice)
    assert not Alarm.objects.exists()
    results.file_report(message=make_message(clinic), report=said("7.9", 2), result_key=None)
    assert Alarm.objects.get(ended="").run == orphan.runs.get()


def test_a_request_that_moves_to_another_species_takes_its_own_limits_along(clinic, alice):
    ada = make_staff(Role.ADMIN, clinic=clinic, username="ada")
    given = {"acting_user": ada, "clinic": clinic, "analyte": "K", "unit": "mmol/L", "low": "1"}
    limits.set_limit(**given, species="cat", high="6")
    limits.set_limit(**given, species="dog", high="9")
    lab_request = make_request(make_patient(clinic), acting_user=alice, accepted=True)
    run = file(lab_request, make_row(value="7.9", **K))
    result = run.versions.get()
    type(result).objects.filter(pk=result.pk).update(species="dog")
    moving.move_request(
        acting_user=alice,
        request=lab_request,
        patient=make_patient(clinic, name="Mia", species="cat"),
        expected_version=lab_request.version,
        reason="Wrong animal",
    )
    assert Observation.objects.get(run=run).own_flag == "HH"
    assert run.alarms.get(ended="")


def test_the_page_strikes_out_what_came_and_shows_what_our_limits_say(clinic, alice, client):
    orphan, _ = typed_as(clinic, "", make_row(value="7.9", flag="H", range_text="3.6-5.5", **K))
    lab_request = put_on(orphan, make_patient(clinic), alice)
    client.force_login(alice)
    page = client.get(f"/requests/{lab_request.lab_report_id}/").content.decode()
    assert '<s class="soft">high</s>' in page
    assert "critical high</span>" in page and "demo critical limits" in page
    assert summaries([lab_request])[lab_request.pk].critical == ["K 7.9"]
    assert of_request(lab_request)[0]["flag_computed"] == "HH"

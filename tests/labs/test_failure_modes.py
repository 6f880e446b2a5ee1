"""What went wrong elsewhere with results that nobody had ordered (the study's table of failure
modes): a test each, by its number there. Others stand where their subject is tested: grep for
`test_failure_mode_`."""

from __future__ import annotations

import itertools
import threading
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.db import connections
from django.db.models import ProtectedError
from django.test import Client

from integrations.heska import tasks
from labs.errors import AppendOnly, InvalidInput
from labs.models import (
    Clinic,
    LabEvent,
    LabRequest,
    Message,
    Observation,
    Owner,
    Patient,
    TestRun,
    UnmatchedResult,
    Visit,
)
from labs.queries.overview.nav import nav
from labs.queries.readings.history import history
from labs.report import File, Identity, Report, Run
from labs.services.intake import results
from labs.services.orphaned import matching, splitting
from labs.services.reviews import review
from tests import factories

pytestmark = pytest.mark.django_db
DOG = {"species": "Canine", "species_code": "dog"}
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@pytest.fixture
def clinic() -> Clinic:
    return factories.make_clinic()


@pytest.fixture
def alice(clinic: Clinic) -> User:
    return factories.make_staff("vet", clinic=clinic, username="alice")


@pytest.fixture
def biscuit(clinic: Clinic) -> Patient:
    return factories.make_patient(clinic)


@pytest.fixture
def client(alice: User) -> Client:
    client = Client()
    client.force_login(alice)
    return client


def run(code: str = "HHEM-1", value: str = "6.13", **fields: Any) -> Run:
    rows = [factories.make_row(value=value)]
    return factories.make_run(rows, key=f"run-{code}", test_code=code, test_name=code, **fields)


def report(*runs: Run, external_id: str = "94912", version: int = 1, **typed: str) -> Report:
    return factories.make_report(
        runs, external_id=external_id, version=version, identity=Identity(**{**DOG, **typed})
    )


def file(clinic: Clinic, sent: Report, key: str | None = None) -> Message:
    message = factories.make_message(clinic)
    results.file_report(message=message, report=sent, result_key=key)
    message.refresh_from_db()
    return message


def match(user: User, orphan: UnmatchedResult, patient: Patient, **options: Any) -> LabRequest:
    orphan.refresh_from_db()
    return matching.match(
        acting_user=user,
        unmatched=orphan,
        patient=patient,
        expected_version=orphan.version,
        **options,
    )


def unmatch(user: User, orphan: UnmatchedResult, reason: str = "Not his") -> None:
    orphan.refresh_from_db()
    matching.unmatch(
        acting_user=user, unmatched=orphan, expected_version=orphan.version, reason=reason
    )


def page(client: Client, orphan: UnmatchedResult, tail: str = "") -> str:
    return str(client.get(f"/unmatched/{orphan.uuid}/{tail}").content.decode())


@pytest.mark.django_db(transaction=True)
def test_failure_mode_05_a_match_stands_although_what_hangs_on_it_fails(
    clinic: Clinic,
    alice: User,
    biscuit: Patient,
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broken = File(file_name="report.pdf", content=b"%PDF-1.7 cut sho", content_type="text/odd")
    orphan = factories.make_unmatched(clinic, report(run(files=(broken,))))
    order = factories.make_request(biscuit)
    match(alice, orphan, biscuit, request=order)
    shown = client.get(f"/requests/{order.lab_report_id}/").content.decode()
    assert "6.13" in shown and "report.pdf" in shown

    # Taking it back orders again what was run by hand, and nobody can be woken for that.
    def no_broker(*_: Any, **__: Any) -> None:
        raise ConnectionError("the broker is down")

    monkeypatch.setattr(tasks.deliver, "apply_async", no_broker)
    unmatch(alice, orphan)
    orphan.refresh_from_db()
    order.refresh_from_db()
    assert (orphan.state, order.state, order.runs.count()) == ("open", "queued", 0)
    assert "Whose result is this?" in page(client, orphan)


def test_failure_mode_06_of_a_report_with_several_tests_each_arrives_and_closes_its_own(
    clinic: Clinic, alice: User, biscuit: Patient
) -> None:
    codes = ["HHEM-1", "HDC-3", "HTR-1", "HDC-2"]
    orphan = factories.make_unmatched(clinic, report(*map(run, codes)))
    order = factories.make_request(biscuit, panels=["HHEM-1", "HDC-3", "HAIM-1"], accepted=True)

    def where() -> dict[str, int]:
        ours = TestRun.objects.filter(clinic=clinic)
        return {
            "here": ours.filter(unmatched=orphan).count(),
            "split": ours.filter(unmatched__split_from=orphan).count(),
            "on": ours.filter(request=order).count(),
        }

    match(alice, orphan, biscuit, request=order)
    states = {test.panel.code: test.state for test in order.tests.all()}
    assert states == {"HHEM-1": "complete", "HDC-3": "complete", "HAIM-1": "requested"}
    assert where() == {"here": 4, "split": 0, "on": 4}
    unmatch(alice, orphan)
    assert {test.state for test in order.tests.all()} == {"requested"}
    assert where() == {"here": 4, "split": 0, "on": 0}
    two = orphan.runs.filter(test_code__in=codes[:2]).values_list("pk", flat=True)
    orphan.refresh_from_db()
    part = splitting.split(
        acting_user=alice, unmatched=orphan, runs=two, expected_version=orphan.version
    )
    assert where() == {"here": 2, "split": 2, "on": 0}
    match(alice, part, biscuit, request=order)
    assert where() == {"here": 2, "split": 2, "on": 2}


def test_failure_mode_08_what_nobody_knows_is_in_the_queue_and_not_only_in_a_log(
    clinic: Clinic, client: Client
) -> None:
    unknown = [
        (report(run(), external_id="1", patient_name="SAMPLE 4711"), "no-such-key"),
        (report(run("NO-SUCH-TEST"), external_id="2", patient_name="ODD TEST"), None),
        (report(external_id="3", patient_name="NO RUN AT ALL"), None),
    ]
    for sent, key in unknown:
        assert file(clinic, sent, key).state == "unmatched"
    shown = client.get("/unmatched/").content.decode()
    for name in ("SAMPLE 4711", "ODD TEST", "NO RUN AT ALL"):
        assert name in shown
    assert nav(clinic).unmatched == 3


def test_failure_mode_09_what_came_in_cannot_be_deleted(
    clinic: Clinic, alice: User, biscuit: Patient
) -> None:
    message = file(clinic, report(run()))
    orphan = message.unmatched
    assert orphan is not None
    match(alice, orphan, biscuit)
    unmatch(alice, orphan)
    for row in (message, orphan, orphan.runs.get(), clinic):
        with pytest.raises(ProtectedError):
            row.delete()
    for rows in (orphan.decisions.all(), LabEvent.objects.all()):
        with pytest.raises(AppendOnly):
            rows.delete()
    assert bytes(Message.objects.get(pk=message.pk).raw) == bytes(message.raw)


def test_failure_mode_15_nobody_is_made_up_for_an_ambiguous_result(
    clinic: Clinic, client: Client, biscuit: Patient
) -> None:
    factories.make_patient(clinic, name="Biscuit")
    before = [model.objects.count() for model in (Patient, Owner, Visit, LabRequest)]
    for typed in ({}, {"patient_name": "BISCUIT"}, {"patient_name": "ZORRO"}):
        file(clinic, report(run(), external_id=str(len(typed)), **typed))
    orphan = UnmatchedResult.objects.get(typed__patient_name="BISCUIT")
    shown = page(client, orphan, "new/")
    assert "Is it one of these?" in shown and shown.count("same name, no owner to compare") == 2
    answer = client.post(
        f"/unmatched/{orphan.uuid}/new/",
        {"version": orphan.version, "name": "Biscuit", "species": "dog", "sex": "U"},
    )
    assert answer.status_code == 422
    assert [model.objects.count() for model in (Patient, Owner, Visit, LabRequest)] == before
    assert set(UnmatchedResult.objects.values_list("state", flat=True)) == {"open"}


def test_failure_mode_18_a_match_taken_back_leaves_trends_and_the_requests_state(
    clinic: Clinic, alice: User, biscuit: Patient, client: Client
) -> None:
    for number, value in enumerate(("5.00", "5.50")):
        own = factories.make_request(biscuit, accepted=True)
        runs = [factories.make_run([factories.make_row(value=value)], key=f"own-{number}")]
        file(clinic, factories.make_report(runs, identity=Identity(**DOG)), own.result_key)
    order = factories.make_request(biscuit, accepted=True)
    orphan = factories.make_unmatched(clinic, report(run(value="77.7"), patient_name="BISCUIT"))
    patient = f"/patients/{biscuit.uuid}/"
    before = (history(biscuit), order.state, client.get(patient).content.count(b"77.7"))
    match(alice, orphan, biscuit, request=order)
    order.refresh_from_db()
    (values,) = history(biscuit).values()
    assert "77.7" in [value.text for value in values]
    assert b"77.7" in client.get(patient).content
    review.sign(acting_user=alice, request=order, expected_version=order.version)
    order.refresh_from_db()
    assert order.state == "complete" and order.reviewed_at
    unmatch(alice, orphan)
    order.refresh_from_db()
    assert (history(biscuit), order.state, client.get(patient).content.count(b"77.7")) == before
    assert order.reviewed_at is None
    assert nav(clinic).review == 2, "of the two that are Biscuit's own"
    assert not TestRun.objects.filter(requested_test__request=order).exists()


def test_failure_mode_19_a_refused_pair_is_not_proposed_again(
    clinic: Clinic, alice: User, biscuit: Patient, client: Client
) -> None:
    olive = factories.make_patient(clinic, name="Olive")
    orphan = factories.make_unmatched(clinic, report(run(), patient_name="BISCUIT"))
    card = f"Attach to {biscuit.name}"
    assert card in page(client, orphan)
    match(alice, orphan, biscuit)
    unmatch(alice, orphan)
    file(clinic, report(run(value="9"), version=2, patient_name="BISCUIT"))
    orphan.refresh_from_db()
    assert orphan.runs.get().versions.count() == 2
    assert card not in page(client, orphan), "after a new version"
    match(alice, orphan, olive)
    unmatch(alice, orphan)
    shown = page(client, orphan)
    assert card not in shown and "Attach to Olive" not in shown
    assert "Taken back before, and not proposed again" in shown
    file(clinic, report(run(), version=3, patient_name="BISCUIT", patient_id="P-77"))
    later = UnmatchedResult.objects.exclude(pk=orphan.pk).get()
    assert card not in page(client, later), "by a version that became a result of its own"


@pytest.mark.django_db(transaction=True)
def test_failure_mode_22_two_messages_of_one_orphan_at_once_make_one(clinic: Clinic) -> None:
    messages = [factories.make_message(clinic) for _ in range(2)]
    both, failed = threading.Barrier(2), []

    def work(number: int) -> None:
        try:
            both.wait()
            sent = report(run(value=str(number)), version=number, patient_name="BISCUIT")
            results.file_report(message=messages[number - 1], report=sent, result_key=None)
        except Exception as error:
            failed.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work, args=(number,)) for number in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    orphan = UnmatchedResult.objects.get()
    assert orphan.runs.get().versions.count() == 2
    shown = Observation.objects.get(run__unmatched=orphan, current=True)
    assert shown.value_text == "2"


@pytest.mark.parametrize(
    "order", list(itertools.permutations(["preliminary", "final", "corrected", "cancelled"]))[::5]
)
def test_failure_mode_24_a_correction_erases_nothing(
    clinic: Clinic, alice: User, biscuit: Patient, order: tuple[str, ...]
) -> None:
    version = {"preliminary": 1, "final": 2, "corrected": 3, "cancelled": 4}

    def sent(status: str) -> Report:
        number = version[status]
        value = run(value=f"{number}.0", status=status)
        return report(value, version=number, patient_name="BISCUIT")

    first, *rest = order
    orphan = factories.make_unmatched(clinic, sent(first))
    request = match(alice, orphan, biscuit)
    review.sign(acting_user=alice, request=request, expected_version=request.version)
    signed = orphan.runs.get().reviews.get()
    for status in rest:
        file(clinic, sent(status))
    (stored,) = orphan.runs.all()
    assert sorted(each.status for each in stored.versions.all()) == sorted(order)
    assert stored.versions.get(current=True).status == "cancelled"
    kept = stored.reviews.get()
    assert (kept.result.status, kept.seen) == (first, signed.seen)
    texts = Observation.objects.filter(run=stored).values_list("value_text", flat=True)
    assert sorted(texts) == ["1.0", "2.0", "3.0", "4.0"]


def test_failure_mode_25_versions_hours_and_days_apart_follow_the_same_decision(
    clinic: Clinic, alice: User, biscuit: Patient
) -> None:
    with time_machine.travel(NOON, tick=False):
        orphan = factories.make_unmatched(clinic, report(run(), patient_name="BISCUIT"))
        request = match(alice, orphan, biscuit)
    for number, later in enumerate((timedelta(hours=5), timedelta(days=3)), start=2):
        with time_machine.travel(NOON + later, tick=False):
            file(clinic, report(run(value=f"{number}"), version=number, patient_name="BISCUIT"))
    file(clinic, report(run("HDC-3"), version=4, patient_name="BISCUIT"))
    assert UnmatchedResult.objects.count() == 1
    assert sorted(each.versions.count() for each in request.runs.all()) == [1, 3]
    unmatch(alice, orphan)
    assert request.runs.count() == 0
    assert sum(each.versions.count() for each in orphan.runs.all()) == 4


def test_failure_mode_26_a_record_that_is_closed_gets_no_result_unasked(
    clinic: Clinic, alice: User, client: Client
) -> None:
    """Records are not merged here; closed are those of animals that died, and the one of test
    orders, which is no animal."""
    gone = factories.make_patient(clinic, name="Biscuit", deceased=True, owner=None)
    orphan = factories.make_unmatched(clinic, report(run(), patient_name="BISCUIT"))
    shown = page(client, orphan)
    assert "deceased" in shown and "Recorded as deceased." in shown
    seen = shown.partition('name="seen" value="')[2].partition('"')[0]
    form = {"version": orphan.version, "candidate": gone.uuid, "seen": unescape(seen)}
    address = f"/unmatched/{orphan.uuid}/"
    assert client.post(address, form).status_code == 422
    no_animal = factories.make_patient(clinic, name="Biscuit", is_test=True, owner=None)
    with pytest.raises(InvalidInput, match="no animal"):
        match(alice, orphan, no_animal)
    assert str(no_animal.uuid) not in page(client, orphan)
    assert client.post(address, {**form, "typed_name": "Biscuit"}).status_code == 302


def test_failure_mode_29_nothing_is_put_away_without_a_reason_and_a_name(
    clinic: Clinic, alice: User, client: Client
) -> None:
    orphan = factories.make_unmatched(clinic)
    for action in (matching.dismiss, matching.hold):
        for reason in ("", "  "):
            with pytest.raises(InvalidInput, match="reason"):
                action(
                    acting_user=alice,
                    unmatched=orphan,
                    expected_version=orphan.version,
                    reason=reason,
                )
    matching.dismiss(
        acting_user=alice, unmatched=orphan, expected_version=orphan.version, reason="Test run"
    )
    decision = orphan.decisions.get()
    assert (decision.actor, decision.reason) == (alice, "Test run")
    assert "Test run" in client.get("/unmatched/?state=dismissed").content.decode()
    orphan.refresh_from_db()
    client.post(f"/unmatched/{orphan.uuid}/reopen/", {"version": orphan.version})
    orphan.refresh_from_db()
    assert orphan.state == "open" and orphan.runs.count() == 1
    assert [d.action for d in orphan.decisions.all()] == ["dismiss", "reopen"]


def test_failure_mode_30_the_oldest_is_seen_on_every_page_by_its_age(
    clinic: Clinic, client: Client
) -> None:
    orphan = factories.make_unmatched(clinic, received_at=NOON)
    pages = ["/", "/unmatched/", "/patients/", "/requests/new/", f"/unmatched/{orphan.uuid}/"]
    for waited, tone, said in (
        (timedelta(hours=2, seconds=-1), "due", "1 h 59"),
        (timedelta(hours=2), "amber", "2 h 00"),
        (timedelta(hours=24, seconds=-1), "amber", "23 h 59"),
        (timedelta(hours=24), "red", "1 day"),
    ):
        with time_machine.travel(NOON + waited, tick=False):
            client.force_login(User.objects.get(username="alice"))
            for address in pages:
                shown = client.get(address).content.decode()
                badge = f'<b class="count {tone}" title="1 waiting, the oldest for {said}'
                assert badge in shown, (address, waited)
    row = factories.make_row("K+", "7.9", flag="HH")
    factories.make_unmatched(clinic, factories.make_report([factories.make_run([row])]))
    client.force_login(User.objects.get(username="alice"))
    assert "critical" in client.get("/").content.decode().partition('id="tab-unmatched"')[2][:600]


def test_failure_mode_30_a_critical_value_on_nobodys_record_does_not_wait_for_its_age(
    clinic: Clinic, client: Client
) -> None:
    """Red at the very moment it comes, and no colour once it is put away."""
    rows = {"7.9": "HH", "4.1": "N"}
    found = [
        factories.make_unmatched(
            clinic,
            factories.make_report(
                [factories.make_run([factories.make_row("K+", value, flag=flag)])],
                external_id=value,
            ),
            received_at=NOON,
        )
        for value, flag in rows.items()
    ]
    with time_machine.travel(NOON, tick=False):
        client.force_login(User.objects.get(username="alice"))
        assert '<b class="count red" title="2 waiting' in client.get("/").content.decode()
        UnmatchedResult.objects.filter(pk=found[0].pk).update(state="dismissed")
        assert '<b class="count due" title="1 waiting' in client.get("/").content.decode()

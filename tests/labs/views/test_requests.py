from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from labs import vendors
from labs.models import Clinic, LabRequest, Message, Review, Submission
from labs.queries.orders.request_page import head
from labs.report import Identity
from labs.services.orders import submissions
from labs.services.reviews import review
from tests import factories

SignIn = Callable[[User], Client]
HTMX = {"HX-Request": "true"}


def address(request: LabRequest, action: str = "request") -> str:
    return reverse(f"labs:{action}", args=[request.lab_report_id])


@pytest.fixture
def running(clinic: Clinic, alice: User) -> LabRequest:
    return factories.make_request(factories.make_patient(clinic), acting_user=alice, accepted=True)


def shown(client: Client, request: LabRequest) -> str:
    response = client.get(address(request))
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


def test_values_stand_as_they_were_sent(running: LabRequest, bob: User, signed_in: SignIn) -> None:
    rows = [
        factories.make_row("WBC", "6.130", flag="N"),
        factories.make_row("PLT", "<2", low="126", high="660", flag="LL", comments=("Clumps.",)),
        factories.make_row("HGB", "17.1", low="0", high="27", range_kind="measuring"),
        factories.make_row("MPV", "*****"),
        factories.make_row("GLU", "Failed iQC"),
        factories.make_row("ALB", None),
        factories.make_row("K", "9.9", low="3.5", high="5.8"),
        factories.make_row("TP", "1,2"),
        factories.make_row("Na", "141", flag="zz"),
    ]
    factories.make_result(running, factories.make_report([factories.make_run(rows)]))
    page = shown(signed_in(bob), running)
    assert "6.130" in page
    assert "&lt;2" in page and "critical low" in page and "Clumps." in page
    assert "not assessed: only a measuring range" in page and 'class="range measuring"' in page
    assert "*****" in page and "could not calculate it" in page
    assert "Failed iQC" in page and "quality control failed" in page
    assert "the analyzer sent no value" in page
    assert "computed" in page
    assert "A comma may mean" in page
    assert "unknown flag “zz”" in page


def test_ranges_of_another_species_are_struck_through(
    running: LabRequest, bob: User, signed_in: SignIn
) -> None:
    run = factories.make_run([factories.make_row("PLT", "9", low="126", high="660", flag="LL")])
    factories.make_result(running, factories.make_report([run], identity=Identity(species="?")))
    page = shown(signed_in(bob), running)
    assert "species that we can&#x27;t tell" in page
    assert '<s class="soft">critical low</s>' in page and "<s>126 - 660</s>" in page
    assert 'class="critical"' not in page and 'class="range' not in page


@pytest.mark.parametrize(
    ("species", "words"), [("cat", "a cat"), ("other", "an animal of another kind")]
)
def test_it_is_said_for_whom_it_was_measured_and_who_it_is(
    running: LabRequest, bob: User, signed_in: SignIn, species: str, words: str
) -> None:
    run = factories.make_run([factories.make_row("PLT", "9", low="126", high="660", flag="LL")])
    identity = Identity(species="Canine", species_code="dog")
    factories.make_result(running, factories.make_report([run], identity=identity))
    type(running.patient).objects.filter(pk=running.patient.pk).update(species=species)
    page = shown(signed_in(bob), running)
    assert f"measured for a dog, but {running.patient.name} is {words}." in page
    assert f"critical limits are those for {words}." in page


def test_a_correction_shows_what_it_was(running: LabRequest, bob: User, signed_in: SignIn) -> None:
    rows = [factories.make_row("WBC", "6.13"), factories.make_row("PLT", "2")]
    run = factories.make_run(rows)
    factories.make_result(running, factories.make_report([run]))
    review.sign(acting_user=bob, request=running, expected_version=running.version)
    corrected = factories.make_run(
        [factories.make_row("PLT", "143")], key=run.key, status="corrected"
    )
    factories.make_result(
        running,
        factories.make_report(
            [corrected], version=2, status="corrected", correction_reason="Counted by hand"
        ),
    )
    page = shown(signed_in(bob), running)
    assert "was 2" in page and "Counted by hand" in page
    assert "changed after review" in page and "1 earlier" in page
    assert page.count('class="ver"') == 2  # the row that was not sent again, and the explanation


def test_previous_value_is_of_the_same_unit_and_analyzer(
    clinic: Clinic, bob: User, signed_in: SignIn
) -> None:
    patient = factories.make_patient(clinic)
    now = timezone.now()
    for days, model, value in ((30, "Element HT5", "7.90"), (5, "Other analyzer", "99.9")):
        earlier = factories.make_request(patient, accepted=True)
        run = factories.make_run(
            [factories.make_row("WBC", value)],
            analyzer_model=model,
            run_at=now - timedelta(days=days),
        )
        factories.make_result(earlier, factories.make_report([run]))
    latest = factories.make_request(patient, accepted=True)
    factories.make_result(latest, factories.make_report([factories.make_run()]))
    page = shown(signed_in(bob), latest)
    assert "7.90" in page and "99.9" not in page and 'class="spark"' in page


@pytest.mark.usefixtures("still_clock")
def test_polling_answers_204_until_something_changes(
    running: LabRequest, bob: User, signed_in: SignIn
) -> None:
    client = signed_in(bob)
    version = f"{running.version}-{timezone.now():%H%M}"
    poll = {"v": version, "seen": str(running.version)}
    assert client.get(address(running), poll, headers=HTMX).status_code == 204
    assert client.get(address(running), {"v": version}).status_code == 200
    factories.make_result(running, factories.make_report())
    response = client.get(address(running), poll, headers=HTMX)
    assert response.status_code == 200
    part = response.content.decode()
    assert "<html" not in part and "6.13" in part
    assert "Read it again before you sign" in part


@pytest.mark.usefixtures("still_clock")
def test_what_is_held_or_not_understood_shows_at_once(
    running: LabRequest, bob: User, signed_in: SignIn
) -> None:
    """Nothing of the request's own rows says it, so that the page would wait for the minute."""
    client = signed_in(bob)

    def asked() -> int:
        running.refresh_from_db()
        return client.get(address(running), {"v": version}, headers=HTMX).status_code

    version = head(running)
    assert asked() == 204
    another = factories.make_report(identity=Identity(patient_name="Smokey", species_code="cat"))
    factories.make_result(running, another)
    assert asked() == 200
    running.refresh_from_db()
    version = head(running)
    assert asked() == 204
    body = b'{"LabReportId": "%s", "Tests": "none"}' % running.lab_report_id.encode()
    message = factories.make_message(running.clinic, raw=body)
    Message.objects.filter(pk=message.pk).update(target=f"/api/labresults/{running.result_key}")
    vendors.default().refile(message.pk)
    message.refresh_from_db()
    assert (message.state, message.request) == ("quarantined", running)
    assert asked() == 200


def test_only_what_was_seen_is_signed(running: LabRequest, bob: User, signed_in: SignIn) -> None:
    factories.make_result(running, factories.make_report())
    client = signed_in(bob)
    late = client.post(address(running, "sign"), {"version": str(running.version - 1)}, follow=True)
    assert "changed while you were reading" in late.content.decode()
    assert not Review.objects.exists()
    right = client.post(
        address(running, "sign"),
        {"version": str(running.version), "note": "Recheck in May"},
        follow=True,
    )
    assert "Signed: 1 result." in right.content.decode()
    assert "Recheck in May" in right.content.decode()
    assert Review.objects.get().reviewed_by == bob


def test_a_technician_is_not_offered_to_sign(
    running: LabRequest, alice: User, signed_in: SignIn
) -> None:
    factories.make_result(running, factories.make_report())
    client = signed_in(alice)
    assert "A veterinarian of the clinic signs it" in shown(client, running)
    refused = client.post(address(running, "sign"), {"version": str(running.version)}, follow=True)
    assert "ask a veterinarian" in refused.content.decode()
    assert not Review.objects.exists()


def test_cancelling_says_what_it_does_not_do(
    running: LabRequest, alice: User, signed_in: SignIn
) -> None:
    response = signed_in(alice).post(
        address(running, "cancel"), {"reason": "Wrong animal"}, follow=True
    )
    assert "remove it at the analyzer too" in response.content.decode()
    running.refresh_from_db()
    assert running.state == "cancelled" and running.cancelled_reason == "Wrong animal"


def test_where_an_order_is_stuck_stands_in_one_sentence(
    clinic: Clinic, alice: User, signed_in: SignIn
) -> None:
    request = factories.make_request(factories.make_patient(clinic), acting_user=alice)
    claim = submissions.claim(request.submission.pk)
    assert claim is not None
    submissions.settle_rejected(claim, error="The laboratory refused it.", words="400: breed")
    client = signed_in(alice)
    page = shown(client, request)
    assert "The laboratory refused it." in page and "400: breed" in page
    assert "Nothing more is tried" in page and "Send again" in page
    client.post(address(request, "resubmit"))
    assert Submission.objects.get().state == "queued"


def test_an_order_that_nobody_takes_up_says_so(
    clinic: Clinic, alice: User, signed_in: SignIn
) -> None:
    request = factories.make_request(factories.make_patient(clinic), acting_user=alice)
    assert "leaves within seconds" in shown(signed_in(alice), request)
    Submission.objects.update(not_before=timezone.now() - timedelta(minutes=7))
    assert "not sent for 7 min" in shown(signed_in(alice), request)


def test_times_are_in_the_clinics_zone(running: LabRequest, bob: User, signed_in: SignIn) -> None:
    at = running.requested_at.astimezone(running.clinic.zone)
    assert f"{at:%H:%M:%S %Z}" in shown(signed_in(bob), running)


def test_history_says_who_did_what(
    running: LabRequest, alice: User, bob: User, signed_in: SignIn
) -> None:
    page = shown(signed_in(bob), running)
    assert "<b>alice</b> placed the request" in page
    assert "<b>Heska</b> accepted the order" in page


def test_of_a_repeat_a_veterinarian_chooses(
    running: LabRequest, alice: User, bob: User, signed_in: SignIn
) -> None:
    test = running.tests.get()
    for value in ("2", "14"):
        run = factories.make_run(
            [factories.make_row("WBC", value)], test_request_id=test.test_request_id
        )
        factories.make_result(running, factories.make_report([run]))
    assert shown(signed_in(bob), running).count("none chosen yet") == 2
    assert "Report this run" not in shown(signed_in(alice), running)
    chosen = running.runs.order_by("pk").last()
    assert chosen is not None
    data = {"run": str(chosen.pk), "version": str(running.version)}
    page = signed_in(bob).post(address(running, "choose"), data, follow=True).content.decode()
    assert "run 2 of 2, reported" in page and "run 1 of 2, not reported" in page
    assert "<b>Bob</b> chose which run to report" in page
    refused = signed_in(alice).post(address(running, "choose"), data, follow=True)
    assert "ask a veterinarian" in refused.content.decode()

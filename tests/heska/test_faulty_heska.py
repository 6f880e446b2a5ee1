"""Each fault of the simulator, met by our own delivery: an order ends where the contract says, with
a sentence for staff and the provider's own words beside it, and is never there twice."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from integrations.heska import client
from integrations.heska.connections import connect
from integrations.heska.models import Connection
from integrations.heska.services import delivery
from labs.models import LabRequest, Submission
from labs.services.orders import outbox
from tests.factories import make_clinic, make_patient, make_request
from tests.simulator import Simulator, running

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def _process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    with running(tmp_path_factory.mktemp("simulator"), delay_seconds=[3600, 3600]) as simulator:
        yield simulator


@pytest.fixture
def simulator(_process: Simulator, settings: Any) -> Iterator[Simulator]:
    """One process for all tests here, without faults at the beginning of each."""
    settings.HESKA_BASE_URL = _process.url
    settings.HESKA_SUBSCRIPTION_KEY = _process.told["subscription_key"]
    settings.HESKA_ALLOW_INSECURE = True
    settings.PUBLIC_BASE_URL = "https://pims.example"
    yield _process
    _process.mend()


@pytest.fixture
def placed(simulator: Simulator) -> LabRequest:
    """An order of a clinic that the simulator knows, not sent yet."""
    clinic = make_clinic()
    simulator.simulate(
        "clinic",
        clinic_id=clinic.public_id,
        client_id=f"out-{clinic.public_id}",
        client_secret="out-secret",
        pims_token_url="https://pims.example/api/oauth/token",
        pims_unmatched_url="https://pims.example/api/unmatchedlabresults/x",
        pims_client_id="in",
        pims_client_secret="in-secret",
    )
    connect(
        acting_user=None,
        clinic=clinic,
        client_id=f"out-{clinic.public_id}",
        client_secret="out-secret",
    )
    return make_request(make_patient(clinic))


def send(request: LabRequest) -> dict[str, Any]:
    """One attempt now, whenever it would be due; what `show_request` says afterwards."""
    Submission.objects.filter(request=request).update(not_before=timezone.now())
    Connection.objects.filter(clinic=request.clinic).update(token_not_before=None)
    delivery.deliver(request.submission.pk)
    return shown(request)


def shown(request: LabRequest) -> dict[str, Any]:
    out = StringIO()
    call_command("show_request", request.lab_report_id, json=True, stdout=out)
    row = Submission.objects.get(request=request)
    told = json.loads(out.getvalue())
    return told | {
        "state": told["state"].casefold().replace(" ", "_"),
        "outbox": row.state,
        "words": row.provider_words,
        "wait": row.not_before - timezone.now(),
    }


def at_heska(simulator: Simulator, request: LabRequest) -> int:
    ids = [each["lab_report_id"] for each in simulator.state()["worklist"]]
    return ids.count(request.lab_report_id)


PASSING = [
    # fault, outbox, sentence, Heska's words, whether Heska has it
    ({"do": "busy"}, "queued", "busy", "Rate limit is exceeded", 0),
    ({"do": "unavailable"}, "unknown", "not available", "Internal server error", 0),
    ({"do": "unavailable", "taken": "yes"}, "unknown", "not available", "", 1),
    ({"do": "html", "status": 503}, "unknown", "not available", "", 0),
    ({"do": "html"}, "unknown", "web page", "", 0),
    ({"do": "html", "taken": "yes"}, "unknown", "web page", "", 1),
    ({"do": "quota"}, "queued", "quota", "Out of call volume quota", 0),
    ({"do": "wrong_id"}, "unknown", "another order", "", 1),
    ({"do": "huge"}, "unknown", "too long", "", 1),
    ({"do": "cut"}, "unknown", "", "", 1),
    ({"do": "cut", "taken": "no"}, "unknown", "", "", 0),
    ({"do": "reset"}, "unknown", "", "", 1),
    ({"do": "silent"}, "unknown", "in time", "", 1),
    ({"do": "slow", "seconds": "20"}, "unknown", "in time", "", 1),
    ({"do": "drip", "seconds": "0.1"}, "unknown", "in time", "", 1),
]


@pytest.mark.parametrize(("fault", "outbox", "sentence", "words", "there"), PASSING)
def test_a_passing_fault_is_sent_again_under_the_same_id(
    simulator: Simulator, placed: LabRequest, monkeypatch: pytest.MonkeyPatch,
    fault: dict[str, str], outbox: str, sentence: str, words: str, there: int,
) -> None:  # fmt: skip
    monkeypatch.setattr(client, "READ_SECONDS", 0.5)
    monkeypatch.setattr(client, "TOTAL_SECONDS", 0.8)
    simulator.simulate("fault", **fault, first=1)
    began = time.monotonic()
    after = send(placed)
    assert time.monotonic() - began < 4  # by our own clock, however slowly Heska drips
    assert after["outbox"] == outbox
    assert after["state"] in ("queued", "sent")
    assert after["last_error"]
    assert sentence in after["last_error"]
    assert words in after["words"]
    assert timedelta(0) < after["wait"] < timedelta(seconds=30)
    assert at_heska(simulator, placed) == there
    # It passes: the same order, the same id, and there once, whether it had arrived or not.
    after = send(placed)
    assert (after["outbox"], after["state"], after["last_error"]) == ("accepted", "accepted", None)
    assert after["attempts"] == 2
    assert at_heska(simulator, placed) == 1


LASTING = [
    # fault, outbox, sentence, Heska's words
    ({"do": "missing_key"}, "held", "subscription key", "missing subscription key"),
    ({"do": "invalid_key"}, "held", "subscription key", "invalid subscription key"),
    ({"do": "wrong_credentials"}, "held", "client id and secret", "Invalid User"),
    ({"do": "not_found"}, "held", "address or path", "Resource not found"),
    (
        {"do": "redirect", "to": "http://127.0.0.1:9/"},
        "held",
        "address",
        "",
    ),
    ({"do": "refused"}, "rejected", "refused", "Patient.Species: The Species field is required."),
    ({"do": "refused", "status": "422"}, "rejected", "refused", "The Species field is required."),
    ({"do": "refused", "shape": "wrapped"}, "rejected", "refused", "Invalid BreedId 370"),
    ({"do": "refused", "shape": "text"}, "rejected", "refused", "TestCode:ZZZ is not valid"),
    ({"do": "refused", "shape": "plain"}, "rejected", "refused", "not accepted"),
]


@pytest.mark.parametrize(("fault", "outbox", "sentence", "words"), LASTING)
def test_a_lasting_fault_waits_for_a_person(
    simulator: Simulator, placed: LabRequest, fault: dict[str, str], outbox: str, sentence: str,
    words: str,
) -> None:  # fmt: skip
    simulator.simulate("fault", **fault)
    after = send(placed)
    assert after["outbox"] == outbox
    assert after["state"] == "needs_attention"
    assert sentence in after["last_error"]
    assert words in after["words"]
    assert at_heska(simulator, placed) == 0


TAKEN = [{"do": "empty"}, {"do": "garbled"}, {"do": "already_there", "taken": "yes"}]


@pytest.mark.parametrize("fault", TAKEN)
def test_an_answer_without_a_receipt_is_an_acceptance(
    simulator: Simulator, placed: LabRequest, fault: dict[str, str]
) -> None:
    simulator.simulate("fault", **fault)
    after = send(placed)
    assert (after["outbox"], after["state"]) == ("accepted", "accepted")
    assert at_heska(simulator, placed) == 1


def test_one_stale_token_costs_one_token_and_one_replay(
    simulator: Simulator, placed: LabRequest
) -> None:
    assert send(placed)["state"] == "accepted"
    simulator.simulate("fault", do="stale_token", first=1)
    other = make_request(placed.patient)
    after = send(other)
    assert (after["state"], after["attempts"]) == ("accepted", 1)
    rule = simulator.state()["faults"][0]
    assert (rule["acted"], rule["met"]) == (1, 2)


def test_a_storm_of_stale_tokens_stops_at_two_and_says_whom_to_ask(
    simulator: Simulator, placed: LabRequest
) -> None:
    simulator.simulate("fault", do="stale_token")
    first = send(placed)
    assert (first["outbox"], first["words"]) == ("queued", "Access token is missing.")
    second = send(placed)
    assert second["outbox"] == "held"
    assert "client id and secret" in second["last_error"]
    assert simulator.state()["faults"][0]["acted"] <= 3
    assert at_heska(simulator, placed) == 0
    simulator.mend()
    outbox.resubmit(acting_user=None, submission=placed.submission)
    assert send(placed)["state"] == "accepted"


@pytest.mark.parametrize(
    ("given", "low", "high"),
    [
        ("25", 20, 26),
        ("date+40", 35, 41),
        ("99999999999", 3590, 3601),
        ("date+9999999", 3590, 3601),
        ("soon", 0, 10),
        ("-5", 0, 10),
        ("0", 0, 10),
    ],
)
@pytest.mark.parametrize("do", ["busy", "unavailable"])
def test_retry_after_is_kept_within_reason(
    simulator: Simulator, placed: LabRequest, do: str, given: str, low: float, high: float
) -> None:
    simulator.simulate("fault", do=do, retry_after=given)
    wait = send(placed)["wait"].total_seconds()
    assert low <= wait <= high


@pytest.mark.parametrize("kind", ["self-signed", "expired", "wrong-host", "private"])
def test_no_certificate_that_is_bad_gets_a_key_or_an_order(
    simulator: Simulator, placed: LabRequest, settings: Any, kind: str
) -> None:
    settings.HESKA_BASE_URL = simulator.told["tls_base_url"].replace("127.0.0.1", "localhost")
    simulator.simulate("fault", do="bad_certificate", kind=kind)
    before = simulator.state()["counts"].get("tokens", 0)
    after = send(placed)
    assert "certificate" in after["last_error"]
    assert after["outbox"] in ("queued", "needs_attention")  # surely not there
    assert simulator.state()["counts"].get("tokens", 0) == before
    assert at_heska(simulator, placed) == 0


def test_a_redirect_takes_no_key_to_another_host(simulator: Simulator, placed: LabRequest) -> None:
    heard: list[str] = []

    class Thief(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(str(self.headers))
            self.send_response(200)
            self.end_headers()

        do_GET = do_POST

        def log_message(self, format: str, *args: object) -> None:
            pass

    thief = ThreadingHTTPServer(("127.0.0.1", 0), Thief)
    threading.Thread(target=thief.serve_forever, args=(0.02,), daemon=True).start()
    try:
        for on in ("token", "order"):
            to = f"http://127.0.0.1:{thief.server_port}/"
            simulator.simulate("fault", do="redirect", on=on, to=to, first=1)
            assert send(placed)["state"] == "needs_attention"
            outbox.resubmit(acting_user=None, submission=placed.submission)
    finally:
        thief.shutdown()
        thief.server_close()
    assert heard == []


@pytest.mark.parametrize(
    "fault",
    [
        {"do": "unavailable"},
        {"do": "busy"},
        {"do": "reset"},
        {"do": "cut"},
        {"do": "html"},
        {"do": "garbled"},
        {"do": "silent"},
    ],
)
def test_a_fault_of_the_token_call_leaves_the_order_surely_unsent(
    simulator: Simulator,
    placed: LabRequest,
    monkeypatch: pytest.MonkeyPatch,
    fault: dict[str, str],
) -> None:
    monkeypatch.setattr(client, "READ_SECONDS", 0.5)
    simulator.simulate("fault", **fault, on="token", first=1)
    after = send(placed)
    assert after["outbox"] == "queued"
    assert after["last_error"]
    assert send(placed)["state"] == "accepted"
    assert at_heska(simulator, placed) == 1

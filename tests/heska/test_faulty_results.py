"""What the simulator's faults of messages do to a real web server of ours: the round from an order
to its result, with the result lost, late, twice, out of order, corrected, at another's address."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from integrations.heska.connections import connect
from integrations.heska.services import delivery
from labs import vendors
from labs.models import LabRequest, LabResult, Message, TestRun, UnmatchedResult
from tests.factories import make_clinic, make_patient, make_request
from tests.simulator import Simulator, running

pytestmark = pytest.mark.django_db(transaction=True)
Order = Callable[..., LabRequest]


@pytest.fixture(scope="module")
def _process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    with running(tmp_path_factory.mktemp("simulator"), delay_seconds=[0, 0]) as simulator:
        yield simulator


@pytest.fixture
def simulator(_process: Simulator, settings: Any, live_server: Any) -> Iterator[Simulator]:
    settings.HESKA_BASE_URL = _process.url
    settings.HESKA_SUBSCRIPTION_KEY = _process.told["subscription_key"]
    settings.HESKA_ALLOW_INSECURE = True
    settings.PUBLIC_BASE_URL = live_server.url
    yield _process
    _process.mend()


@pytest.fixture
def order(simulator: Simulator) -> Order:
    """Orders a blood count for an animal of a clinic that both sides know."""
    known: dict[int, bool] = {}

    def place(clinic: Any = None, panels: tuple[str, ...] = ("HHEM-1",)) -> LabRequest:
        clinic = clinic or make_clinic()
        if clinic.pk not in known:
            known[clinic.pk] = True
            out = f"out-{clinic.public_id}"
            access = connect(
                acting_user=None, clinic=clinic, client_id=out, client_secret="out-secret"
            )
            simulator.simulate(
                "clinic",
                clinic_id=clinic.public_id,
                client_id=out,
                client_secret="out-secret",
                pims_token_url=access.token_url,
                pims_unmatched_url=vendors.get("heska").unmatched_endpoint(clinic),
                pims_client_id=access.client_id,
                pims_client_secret=access.client_secret,
            )
        request = make_request(make_patient(clinic), panels=panels)
        delivery.deliver(request.submission.pk)
        return request

    return place


def until(request: LabRequest, true: Callable[[], Any]) -> LabRequest:
    ends = time.monotonic() + 15
    while not true():
        assert time.monotonic() < ends, list(Message.objects.values("state", "cause", "call"))
        time.sleep(0.02)
    request.refresh_from_db()
    return request


def inbound() -> Any:
    return Message.objects.filter(direction="in")


def test_twice_is_one_result(simulator: Simulator, order: Order) -> None:
    simulator.simulate("fault", do="twice", times=3)
    request = until(order(), lambda: inbound().filter(redeliveries=2).exists())
    assert request.state == "complete"
    assert LabResult.objects.count() == 1


def test_out_of_order_the_newest_is_current(simulator: Simulator, order: Order) -> None:
    simulator.simulate("fault", do="swapped", first=1, seconds=60)
    request = until(order(panels=("HDC-3",)), lambda: LabResult.objects.count() == 2)
    assert request.state == "complete"
    assert LabResult.objects.get(current=True).status == "final"
    assert [m.results.get().status for m in inbound().order_by("pk")] == ["final", "preliminary"]


@pytest.mark.parametrize("fault", ["broken_off", "late"])
def test_what_comes_in_the_end_is_filed(simulator: Simulator, order: Order, fault: str) -> None:
    seconds = {"seconds": "0.5"} if fault == "late" else {}
    simulator.simulate("fault", do=fault, first=1, **seconds)
    request = order()
    assert request.state in ("queued", "accepted")
    assert until(request, lambda: LabResult.objects.exists()).state == "complete"
    assert LabResult.objects.count() == 1


def test_a_correction_is_the_current_version(simulator: Simulator, order: Order) -> None:
    simulator.simulate("fault", do="corrected", seconds="0.1")
    until(order(), lambda: LabResult.objects.filter(status="corrected", current=True).exists())
    assert TestRun.objects.count() == 1


def test_a_cancelled_result_stays_to_be_seen(simulator: Simulator, order: Order) -> None:
    simulator.simulate("fault", do="cancelled", seconds="0.1")
    request = until(order(), lambda: LabResult.objects.filter(status="cancelled").exists())
    assert LabResult.objects.get(current=True).status == "cancelled"
    assert LabResult.objects.filter(status="final").exists()
    assert TestRun.objects.get().request == request


def test_another_run_stands_beside_the_first(simulator: Simulator, order: Order) -> None:
    simulator.simulate("fault", do="run_again", seconds="0.1")
    request = until(order(), lambda: TestRun.objects.count() == 2)
    assert request.state == "complete"
    assert {run.requested_test for run in TestRun.objects.all()} == {request.tests.get()}


def test_a_lost_result_leaves_the_order_open(simulator: Simulator, order: Order) -> None:
    simulator.simulate("fault", do="lost")
    request = order()
    until(request, lambda: simulator.state()["fault_log"])
    time.sleep(0.3)
    request.refresh_from_db()
    assert (request.state, inbound().count()) == ("accepted", 0)


def test_at_another_clinics_address_it_is_nobodys_there(simulator: Simulator, order: Order) -> None:
    """I3: the sender's own clinic has it as an orphan, the other one nothing."""
    elm, oak = make_clinic("Elm"), make_clinic("Oak")
    theirs = order(oak)
    until(theirs, lambda: LabResult.objects.exists())
    simulator.simulate("fault", do="misdirected", to=oak.public_id, clinic_id=elm.public_id)
    request = order(elm)
    until(request, lambda: UnmatchedResult.objects.exists())
    assert UnmatchedResult.objects.get().clinic == elm
    assert request.state == "accepted"
    assert LabResult.objects.filter(run__request=theirs).count() == 1
    assert inbound().filter(clinic=oak).count() == 1

"""Orders that Heska breaks, each in its own way, as the clinic's people meet them: the page of the
request alone says why nothing has come and what to do, and doing it mends it."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.test import Client

from integrations.heska import client as heska_client
from integrations.heska import connections
from integrations.heska.models import Connection
from integrations.heska.services import delivery
from labs.models import Clinic, LabRequest, Patient, Role, Submission
from labs.services.orders.codes import remove_code, set_code
from tests.factories import make_clinic, make_patient, make_request, make_staff
from tests.simulator import Simulator, running

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    with running(tmp_path_factory.mktemp("simulator"), delay_seconds=[3600, 3600]) as simulator:
        yield simulator


@dataclass(frozen=True, kw_only=True)
class Place:
    """A clinic that works with the simulator, an order that has not left, and its technician."""

    simulator: Simulator
    clinic: Clinic
    request: LabRequest
    browser: Client
    settings: Any

    @property
    def secret(self) -> tuple[str, str]:
        return f"out-{self.clinic.public_id}", "out-secret"

    def connect(self) -> None:
        client_id, secret = self.secret
        connections.store(
            acting_user=None, clinic=self.clinic, client_id=client_id, client_secret=secret
        )

    def attempt(self) -> None:
        """What a worker does, of what is due."""
        for submission in Submission.objects.order_by("pk"):
            delivery.deliver(submission.pk)

    def page(self, request: LabRequest | None = None) -> str:
        number = (request or self.request).lab_report_id
        page = self.browser.get(f"/requests/{number}/").content.decode()
        page, aside, _ = page.partition('<div class="aside">')  # its history says all of it too
        assert aside
        words = re.sub(r"<(script|style)\b.*?</\1>|<[^>]+>", " ", page, flags=re.DOTALL)
        return " ".join(html.unescape(words).split())

    def press(self, button: str) -> None:
        """The button that sends the order, which must be there and say that."""
        path = f"/requests/{self.request.lab_report_id}/"
        page = self.browser.get(path).content.decode()
        form = re.search(r'<form method="post" action="([^"]+/resubmit/)".*?</form>', page, re.S)
        assert form and f">{button}</button>" in form[0]
        assert self.browser.post(form[1]).status_code == 302

    def at_heska(self) -> list[str]:
        worklist = self.simulator.state()["worklist"]
        ours = set(LabRequest.objects.values_list("lab_report_id", flat=True))
        return [o["lab_report_id"] for o in worklist if o["lab_report_id"] in ours]


@pytest.fixture
def place(process: Simulator, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setattr(heska_client, "READ_SECONDS", 0.5)
    settings.HESKA_BASE_URL = process.url
    settings.HESKA_SUBSCRIPTION_KEY = process.told["subscription_key"]
    settings.HESKA_ALLOW_INSECURE = True
    settings.PUBLIC_BASE_URL = "https://pims.example"
    clinic = make_clinic()
    browser = Client()
    browser.force_login(make_staff(Role.TECHNICIAN, clinic=clinic))
    made = Place(
        simulator=process,
        clinic=clinic,
        request=make_request(make_patient(clinic), panels=("HHEM-1", "HDC-3")),
        browser=browser,
        settings=settings,
    )
    process.simulate(
        "clinic",
        clinic_id=clinic.public_id,
        client_id=made.secret[0],
        client_secret=made.secret[1],
        pims_token_url="https://pims.example/api/oauth/token",
        pims_unmatched_url="https://pims.example/api/unmatchedlabresults/x",
        pims_client_id="in",
        pims_client_secret="in-secret",
    )
    made.connect()
    yield made
    process.mend()


Act = Callable[[Place], None]


def fault(**rule: object) -> Act:
    return lambda place: place.simulator.simulate("fault", **rule) and None


def mended_and(button: str) -> Act:
    def act(place: Place) -> None:
        place.simulator.mend()
        place.settings.HESKA_BASE_URL = place.simulator.url
        place.press(button)

    return act


def down(place: Place) -> None:
    place.settings.HESKA_BASE_URL = "http://127.0.0.1:9"


def bad_certificate(place: Place) -> None:
    tls = place.simulator.told["tls_base_url"].replace("127.0.0.1", "localhost")
    place.settings.HESKA_BASE_URL = tls
    place.simulator.simulate("fault", do="bad_certificate", kind="expired")


def secret_replaced_at_heska(place: Place) -> None:
    row = Connection.objects.get()
    row.client_secret = "the one before"
    row.save()


def disconnected(place: Place) -> None:
    Connection.objects.all().delete()


def entered_by_the_administrator(place: Place) -> None:
    place.connect()


def species_corrected_to_a_strange_one(place: Place) -> None:
    Patient.objects.update(species="other", breed="Holland Lop")


def record_corrected(place: Place) -> None:
    Patient.objects.update(species="dog", breed="Beagle")
    place.press("Send again")


def code_unknown_at_heska(place: Place) -> None:
    set_code(acting_user=None, clinic=place.clinic, kind="test", word="HDC-3", code="ZZZ")


OURS_AGAIN = "under the same id, so it can't be there twice"
BY_ITSELF = "It goes by itself: next try"
NOTHING_MORE = "Nothing more is tried until somebody acts."
GOES_ONCE = "The order waits, and goes by itself once that is mended."
BROKEN: dict[str, tuple[Act, list[str], Act]] = {
    # what is broken, what the page says, how it is mended from there
    "never answers": (
        fault(do="silent"),
        ["Heska did not answer in time.", OURS_AGAIN, BY_ITSELF],
        mended_and("Try now"),
    ),
    "down": (
        down,
        ["Heska can't be reached.", "No token", "Not sent", BY_ITSELF],
        mended_and("Try now"),
    ),
    "secret refused": (
        secret_replaced_at_heska,
        [
            "waiting for the set-up",
            "Heska refuses this clinic's credentials. An administrator enters the client id and "
            "secret again.",
            "Invalid User or Password",
            GOES_ONCE,
        ],
        entered_by_the_administrator,
    ),
    "subscription key missing": (
        fault(do="missing_key"),
        [
            "does not accept the subscription key. The operator sets HESKA_SUBSCRIPTION_KEY.",
            "Access denied due to missing subscription key.",
            GOES_ONCE,
        ],
        mended_and("Try again"),
    ),
    "subscription key invalid": (
        fault(do="invalid_key"),
        [
            "does not accept the subscription key. The operator sets HESKA_SUBSCRIPTION_KEY.",
            "Access denied due to invalid subscription key.",
            GOES_ONCE,
        ],
        mended_and("Try again"),
    ),
    "too many calls": (
        fault(do="busy", retry_after="600"),
        ["Heska is busy.", "Rate limit is exceeded.", "Not sent", BY_ITSELF, "attempt 2"],
        mended_and("Try now"),
    ),
    "a proxy's page": (
        fault(do="html", status=503),
        ["Heska is not available (error 503).", OURS_AGAIN, BY_ITSELF],
        mended_and("Try now"),
    ),
    "order refused": (
        fault(do="refused", status=422, shape="text"),
        [
            "Heska refused the order.",
            "TestCode:ZZZ is not valid",
            NOTHING_MORE,
            "Correct the record",
        ],
        mended_and("Send again"),
    ),
    "another order's receipt": (
        fault(do="wrong_id"),
        ["Heska answered about another order than the one sent.", OURS_AGAIN, BY_ITSELF],
        mended_and("Try now"),
    ),
    "species without a code": (
        species_corrected_to_a_strange_one,
        [
            "Heska has no code for the species of Biscuit.",
            "Nothing was sent",
            "Correct the patient's record",
            "Not sent",
        ],
        record_corrected,
    ),
    "not connected": (
        disconnected,
        [
            "This clinic is not connected to Heska. An administrator enters its client id and "
            "secret.",
            GOES_ONCE,
        ],
        entered_by_the_administrator,
    ),
    "wrong address": (
        fault(do="not_found"),
        ["Heska's address or path is wrong. The operator checks HESKA_BASE_URL", GOES_ONCE],
        mended_and("Try again"),
    ),
    "certificate": (
        bad_certificate,
        ["Heska's certificate can't be trusted", "nothing was sent. Tell the operator.", BY_ITSELF],
        mended_and("Try now"),
    ),
}


@pytest.mark.parametrize(("breaks", "said", "mend"), BROKEN.values(), ids=list(BROKEN))
def test_the_page_says_why_and_how_it_is_mended(
    place: Place, breaks: Act, said: list[str], mend: Act
) -> None:
    breaks(place)
    place.attempt()
    page = place.page()
    for words in said:
        assert words in page
    mend(place)
    place.attempt()
    page = place.page()
    assert "At the analyzer" in page and "accepted" in page
    for words in said:
        assert words not in page
    assert place.at_heska() == [place.request.lab_report_id]  # and once


def test_one_test_refused_of_two_is_ordered_again_beside_the_other(place: Place) -> None:
    code_unknown_at_heska(place)
    place.attempt()
    page = place.page()
    assert "The laboratory refused Kidney panel: no result will come of it." in page
    assert "No analyzer at this clinic offers ZZZ" in page
    assert "The other tests are not touched by it." in page
    own = place.clinic.cliniccode_set.get()
    remove_code(acting_user=None, own=own)
    path = f"/requests/{place.request.lab_report_id}/"
    link = re.search(r'href="([^"]+)">Order it again</a>', place.browser.get(path).content.decode())
    assert link
    form = place.browser.get(html.unescape(link[1])).content.decode()
    (ticked,) = re.findall(r'name="panels" value="([^"]+)" checked', form)
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]+)">', form))
    answer = place.browser.post(
        "/requests/new/", hidden | {"panels": ticked, "priority": "routine"}
    )
    assert answer.status_code == 302
    place.attempt()
    again = LabRequest.objects.exclude(pk=place.request.pk).get()
    assert [test.panel.code for test in again.tests.all()] == ["HDC-3"]
    assert "accepted" in place.page(again)
    assert "no result will come of it" not in place.page()
    assert len(place.at_heska()) == 2

"""A message that cannot be filed, by our own fault, ends in quarantine and stops no other."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from labs.models import LabEvent, Message
from labs.services.intake import journal, replaying, results
from tests.factories import make_clinic, make_staff
from tests.heska import examples
from tests.heska.test_rereading import make_order, post, story

pytestmark = pytest.mark.django_db


def due() -> None:
    Message.objects.filter(state="received").update(not_before=timezone.now())


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Filing fails of reports with a comment; returns how to repair it."""
    file = results.file_report

    def fails(*, report: Any, **given: Any) -> Any:
        if "poison" in report.comments:
            raise KeyError("nothing for people")
        return file(report=report, **given)

    with monkeypatch.context() as patch:
        patch.setattr(results, "file_report", fails)
        yield patch.undo


def poisoned(body: Any) -> Any:
    return body | {"Comments": ["poison"]}


def test_after_five_attempts_it_is_in_quarantine_with_its_cause(broken: Any) -> None:
    clinic = make_clinic()
    request = make_order(clinic)
    message = post(clinic, poisoned(examples.load("06")), request)
    assert (message.state, message.attempts) == ("received", 1)
    for attempts in range(2, 6):
        journal.sweep()  # not due yet: its time has not come
        due()
        assert journal.sweep() == 1
        message.refresh_from_db()
        assert message.attempts == attempts
    assert message.state == "quarantined"
    assert message.cause == (
        "Filing it was tried 5 times. The last time: Filing failed: KeyError. The fault is the "
        "program's and not the laboratory's; the message is kept. Ask your operator, then replay "
        "it."
    )
    # The sender posts it again, for days: it is not tried again.
    assert post(clinic, poisoned(examples.load("06")), request).state == "quarantined"
    # A person's replay is one attempt.
    assert replaying.replay(message.pk).after == "quarantined"
    broken()
    assert replaying.replay(message.pk).after == "filed"
    message.refresh_from_db()
    assert message.cause == ""


def test_of_an_array_only_that_part(broken: Any) -> None:
    clinic = make_clinic()
    request = make_order(clinic)
    first, second, third = story()
    array = post(clinic, [first, poisoned(second), third], request)
    assert array.state == "received"
    states = list(array.parts.order_by("part").values_list("state", flat=True))
    assert states == ["filed", "received", "filed"]
    for _ in range(4):
        due()
        journal.sweep()
    array.refresh_from_db()
    bad = array.parts.get(part=1)
    assert (array.state, bad.state, bad.attempts) == ("quarantined", "quarantined", 5)
    broken()
    # Replayed alone, its parent is as far as it is.
    assert replaying.replay(bad.pk).after == "filed"
    array.refresh_from_db()
    assert (array.state, array.cause) == ("filed", "")


def test_a_database_that_was_away_is_no_attempt_of_the_message(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def away(**_: Any) -> None:
        raise OperationalError("the database system is starting up")

    clinic = make_clinic()
    request = make_order(clinic)
    with monkeypatch.context() as patch:
        patch.setattr(results, "file_report", away)
        message = post(clinic, examples.raw("06"), request)
        for _ in range(9):
            due()
            assert journal.sweep() == 1
        message.refresh_from_db()
        assert (message.state, message.attempts) == ("received", 0)
    due()
    journal.sweep()
    message.refresh_from_db()
    assert message.state == "filed"


def test_two_sweeps_at_once_count_one_attempt(broken: Any) -> None:
    clinic = make_clinic()
    message = post(clinic, poisoned(examples.load("06")), make_order(clinic))
    due()
    assert journal.take_up(message.pk)
    assert not journal.take_up(message.pk)
    message.refresh_from_db()
    assert message.attempts == 2


def test_an_impatient_sender_does_not_use_up_the_attempts_of_one_at_work() -> None:
    """64 copies at once: the first is being filed, and must not find itself in quarantine."""
    clinic = make_clinic()
    message = post(clinic, {"nothing": "yet"})
    Message.objects.filter(pk=message.pk).update(
        state="received", attempts=1, not_before=timezone.now() + journal.REFILE_WAIT
    )
    taken = [journal.take_up(message.pk, early=True) for _ in range(64)]
    assert taken.count(True) == journal.MAX_ATTEMPTS - 1
    message.refresh_from_db()
    assert message.state == "received"


def test_an_administrator_replays_one_and_all(broken: Any, client: Client) -> None:
    clinic, other = make_clinic(), make_clinic("Oak")
    request = make_order(clinic)
    mine = [post(clinic, poisoned(body), request) for body in story()[:2]]
    theirs = post(other, poisoned(examples.load("08")))
    for _ in range(4):
        due()
        journal.sweep()
    assert set(Message.objects.filter(direction="in").values_list("state", flat=True)) == {
        "quarantined"
    }
    broken()
    one = reverse("labs:replay", args=[mine[0].receipt_id])
    client.force_login(make_staff("vet", clinic=clinic))
    assert client.post(one).status_code == client.post(reverse("labs:replay_all")).status_code
    assert client.post(one).status_code == 403
    client.force_login(make_staff("admin", clinic=clinic))
    page = client.get(reverse("labs:messages"), {"state": "quarantined"}).content.decode()
    assert "Replay all" in page and "tried 5 times" in page
    assert "it is filed now" in client.post(one, follow=True).content.decode()
    answer = client.post(reverse("labs:replay_all"), follow=True).content.decode()
    assert "1 message is read again from now on" in answer
    # The row is the queue: the sweeper files it, and no broker is asked.
    mine[1].refresh_from_db()
    assert mine[1].state == "received"
    assert journal.sweep() == 1
    mine[1].refresh_from_db()
    theirs.refresh_from_db()
    assert (mine[1].state, theirs.state) == ("filed", "quarantined")
    events = LabEvent.objects.filter(verb="message.replayed")
    assert [event.data.get("messages") for event in events] == [None, 1]
    assert "Nothing here can be read again" in (
        client.post(reverse("labs:replay_all"), follow=True).content.decode()
    )


def test_what_was_cut_at_the_door_is_not_read_again() -> None:
    clinic = make_clinic()
    message, _ = journal.receive(
        vendor="heska", clinic=clinic, sender="x", target="/api/labresults/k", headers={},
        raw=b"{", declared_size=10**9,
    )  # fmt: skip
    journal.quarantine(message=message, cause="The body is over the limit")
    admin = make_staff("admin", clinic=clinic)
    assert replaying.replay_all(acting_user=admin, clinic=clinic) == 0

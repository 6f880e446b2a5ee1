"""Every five minutes: nothing that was received is lost, and nothing waits long to be filed."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from labs.models import Attachment, JournalCheck, LabResult, Message, Observation, TestRun
from labs.queries.records import journal as queries
from labs.services.intake import journal, watch
from pims.celery_settings import settings as celery
from pims.tasks import check_journal
from tests.factories import make_clinic, make_message, make_result, make_staff, make_unmatched

pytestmark = pytest.mark.django_db


def lose(message: Message) -> None:
    Observation.objects.filter(result__message=message).delete()
    LabResult.objects.filter(message=message).delete()


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    found = [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR]
    caplog.clear()
    return found


def test_all_is_well(caplog: pytest.LogCaptureFixture) -> None:
    filed = make_result()
    assert filed.clinic is not None
    make_unmatched(filed.clinic)
    make_message(filed.clinic)  # pending, since a moment ago
    make_clinic("Oak")  # to which nothing ever came
    check_journal()
    assert errors(caplog) == []
    assert list(JournalCheck.objects.values_list("holds", "received", "accounted")) == [
        (True, 3, 3),
        (True, 0, 0),
    ]
    check_journal()
    assert JournalCheck.objects.count() == 2


def test_a_message_that_is_nowhere_is_an_error_of_its_clinic_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    filed, other = make_result(), make_result()
    assert filed.clinic is not None and other.clinic is not None
    lose(filed)
    (found,) = watch.check()
    assert (found.clinic, found.balance.lost) == (filed.clinic.public_id, (filed.receipt_id,))
    (said,) = errors(caplog)
    assert said == (
        f"The journal of {filed.clinic.public_id} does not balance: 1 received, 0 found; "
        f"not found: {filed.receipt_id}"
    )
    assert JournalCheck.objects.get(clinic=other.clinic).holds


def test_what_belongs_to_no_clinic_is_watched_too(caplog: pytest.LogCaptureFixture) -> None:
    message, _ = journal.receive(
        vendor="heska", clinic=None, sender="x", target="/api/x", headers={}, raw=b"{}"
    )
    Message.objects.filter(pk=message.pk).update(state="filed")
    (found,) = watch.check()
    assert (found.clinic, found.balance.lost) == ("", (message.receipt_id,))
    assert "The journal of no clinic does not balance" in errors(caplog)[0]


def test_what_waits_longer_than_five_minutes_is_an_error(caplog: pytest.LogCaptureFixture) -> None:
    clinic = make_clinic()
    late, recent, replayed = (make_message(clinic) for _ in range(3))
    long_ago = timezone.now() - timedelta(minutes=6)
    Message.objects.filter(pk__in=[late.pk, replayed.pk]).update(
        received_at=long_ago, pending_since=long_ago
    )
    # It came long ago, but waits only since somebody had it read again.
    journal.quarantine(message=replayed, cause="Not understood.")
    journal.reopen_all(Message.objects.filter(pk=replayed.pk))
    assert [message.pk for message in queries.late()] == [late.pk]
    (found,) = watch.check()
    assert (found.late, found.balance.holds) == (1, True)
    assert errors(caplog) == [
        f"1 messages of {clinic.public_id} wait to be filed for more than 5 minutes"
    ]
    assert recent.pk


def test_administrators_see_it_and_others_do_not(client: Client) -> None:
    filed = make_result()
    clinic = filed.clinic
    assert clinic is not None
    late = make_message(clinic)
    Message.objects.filter(pk=late.pk).update(pending_since=timezone.now() - timedelta(minutes=6))
    other = make_clinic("Oak")
    lose(filed)
    client.force_login(make_staff("admin", clinic=clinic))
    page = client.get(reverse("labs:messages")).content.decode()
    assert "The journal was not checked yet" in page
    watch.check()
    page = client.get(reverse("labs:messages")).content.decode()
    assert "<b>The journal does not balance.</b> 2 messages were received and 1 can be" in page
    assert filed.receipt_id in page and late.receipt_id in page
    assert "message waits to be filed for more than 5 minutes" in page
    assert ">2</b>" in page.split('id="tab-messages"')[1].split("</a>")[0]
    JournalCheck.objects.update(checked_at=timezone.now() - timedelta(minutes=20))
    assert "the scheduler may stand still" in client.get(reverse("labs:messages")).content.decode()
    # The installation itself is ready: a restart would mend nothing.
    assert client.get("/readyz").status_code == 200
    client.force_login(make_staff("admin", clinic=other))
    page = client.get(reverse("labs:messages")).content.decode()
    assert late.receipt_id not in page and "does not balance" not in page


def test_the_schedule_has_it_every_five_minutes() -> None:
    entries = [each for each in celery["beat_schedule"].values() if "check_journal" in each["task"]]
    assert [(each["task"], each["schedule"]) for each in entries] == [
        ("pims.tasks.check_journal", 300.0)
    ]


def test_many_messages_are_balanced_in_a_moment() -> None:
    """Looking each of them up took 29 s for 10,000 on PostgreSQL; joined, 100,000 take 0.3 s."""
    filed = make_result()
    clinic, request = filed.clinic, filed.request
    assert clinic is not None and request is not None
    now = timezone.now()
    many = 5_000
    messages = Message.objects.bulk_create(
        (Message(
            direction="in", vendor="heska", clinic=clinic, receipt_id=f"rcpt_{n}", state="filed",
            target="", raw=b"", sha256="", received_at=now, last_seen_at=now, request=request,
        )
        for n in range(many)),
        batch_size=500,
    )  # fmt: skip
    runs = TestRun.objects.bulk_create(
        (TestRun(clinic=clinic, request=request, run_key=f"run {n}") for n in range(many)),
        batch_size=500,
    )
    LabResult.objects.bulk_create(
        (
            LabResult(clinic=clinic, run=run, message=message, status="final", current=True)
            for run, message in zip(runs[1:], messages[1:], strict=True)
        ),
        batch_size=500,
    )
    # Nothing but a file came with the first one.
    Attachment.objects.create(message=messages[0], content_type="x", size=0, sha256="", content=b"")
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")  # an autovacuum sees none of these rows, and thinks of none
    # On PostgreSQL a statement that takes 5 s ends in an error.
    found = queries.balance()
    assert (found.received, found.filed, found.holds) == (many + 1, many + 1, True)

"""One call for a token, however many want one: real processes, real HTTP, the real database."""

from __future__ import annotations

import multiprocessing
import threading
import time
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection as database
from django.db import connections
from django.utils import timezone

from integrations.heska import client, tokens
from integrations.heska.answers import HeskaError
from integrations.heska.connections import connect
from integrations.heska.models import Connection
from integrations.heska.services import delivery
from labs.models import Submission
from tests.factories import make_clinic, make_patient, make_request
from tests.heska.conftest import TOKEN

WORKERS = 50


def left() -> float:
    return 20.0


@pytest.fixture
def connection(connected: Any) -> Connection:
    connected(make_clinic())
    return Connection.objects.get()


def slow_token(fake_heska: Any, *, status: int = 200, seconds: float = 0.5) -> list[str]:
    """Each call is given another token, after a while. What was given."""
    given: list[str] = []

    def answer(handler: Any) -> None:
        time.sleep(seconds)
        given.append(f"jwt-{len(given) + 1}")
        body = b'{"access_token": "%s", "expires_in": 3600}' % given[-1].encode()
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    fake_heska.on("/oauth/token", answer)
    return given


def together(connection: Connection, workers: int, lease_always_granted: bool = False) -> list[str]:
    """What each of so many threads got, with connections of their own."""
    start = threading.Barrier(workers)
    got: list[str] = []

    def worker() -> None:
        try:
            start.wait()
            got.append(tokens.get(connection, left).value)
        except HeskaError as error:
            got.append(str(error))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=worker) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return got


def in_a_process(pk: int, name: str, start: Any, got: Any) -> None:
    connections["default"].settings_dict["NAME"] = name
    start.wait()
    got.put(tokens.get(Connection.objects.get(pk=pk), left).value)
    connections.close_all()


@pytest.mark.django_db(transaction=True)
def test_fifty_processes_with_a_cold_cache_make_one_call(connection, fake_heska):
    given = slow_token(fake_heska)
    name = connections["default"].settings_dict["NAME"]
    connections.close_all()
    # Forked, so that fifty of them cost a second; each opens its own connection.
    context = multiprocessing.get_context("fork")
    start, got = context.Barrier(WORKERS), context.Queue()
    processes = [
        context.Process(target=in_a_process, args=(connection.pk, str(name), start, got))
        for _ in range(WORKERS)
    ]
    for process in processes:
        process.start()
    found = [got.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    assert set(found) == {"jwt-1"}
    assert given == ["jwt-1"]


@pytest.mark.django_db(transaction=True)
def test_when_it_ends_for_all_at_once_it_is_called_for_once_more(connection, fake_heska):
    given = slow_token(fake_heska, seconds=0.2)
    assert set(together(connection, 8)) == {"jwt-1"}
    Connection.objects.update(token_expires_at=timezone.now())
    assert set(together(connection, 8)) == {"jwt-2"}
    assert len(given) == 2


@pytest.mark.django_db(transaction=True)
def test_with_the_token_call_down_one_worker_asks_and_the_others_do_not(connection, fake_heska):
    given = slow_token(fake_heska, status=503, seconds=0.2)
    assert set(together(connection, 8)) == {"Heska is not available (error 503)."}
    assert len(given) == 1
    # Each step of its own schedule is one question.
    for failures, wait in [(1, 5), (2, 30), (3, 120), (4, 600), (5, 600)]:
        connection.refresh_from_db()
        assert connection.token_failures == failures
        rest = (connection.token_not_before - timezone.now()).total_seconds()
        assert wait - 4 < rest <= wait
        Connection.objects.update(token_not_before=timezone.now())
        together(connection, 2)
    assert len(given) == 6


@pytest.mark.django_db(transaction=True)
def test_correct_though_every_lease_is_granted_twice(connection, fake_heska, monkeypatch):
    """Then there are more calls, and each caller has a token that Heska gave. Nothing else."""
    given = slow_token(fake_heska, seconds=0.1)

    def always(row: Connection) -> uuid.UUID:
        lease = uuid.uuid4()
        Connection.objects.filter(pk=row.pk).update(token_lease=lease)
        return lease

    monkeypatch.setattr(tokens, "_claim", always)
    assert set(together(connection, 5)) <= set(given)
    assert len(given) == 5
    connection.refresh_from_db()
    assert connection.token in given


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_died_in_flight_is_waited_for_no_longer_than_its_lease(
    connection, fake_heska
):
    slow_token(fake_heska, seconds=0)
    Connection.objects.update(
        token_lease=uuid.uuid4(), token_lease_until=timezone.now() + timedelta(seconds=1)
    )
    began = time.monotonic()
    assert tokens.get(connection, left).value == "jwt-1"
    assert 0.5 < time.monotonic() - began < 4


@pytest.mark.django_db
@pytest.mark.parametrize(("patience", "seconds"), [(0.3, 50.0), (10.0, 0.5)])
def test_who_waits_too_long_has_sent_nothing(connection, monkeypatch, patience, seconds):
    monkeypatch.setattr(tokens, "PATIENCE_SECONDS", patience)
    Connection.objects.update(
        token_lease=uuid.uuid4(), token_lease_until=timezone.now() + timedelta(seconds=40)
    )
    with pytest.raises(HeskaError) as error:
        tokens.get(connection, lambda: seconds)
    assert (error.value.permanent, error.value.outcome_unknown) == (False, False)


@pytest.mark.django_db
def test_a_token_of_credentials_that_were_replaced_meanwhile_is_not_kept(connection, fake_heska):
    def replaced(handler: Any) -> None:
        connection = Connection.objects.get()
        connect(acting_user=None, clinic=connection.clinic, client_id="new", client_secret="new")

    original = client.get_token

    def get_token(*args: Any, **named: Any) -> Any:
        answer = original(*args, **named)
        replaced(None)
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "get_token", get_token)
        assert tokens.get(connection, left).value == "jwt-1"
    connection.refresh_from_db()
    assert (connection.client_id, connection.token, connection.token_id) == ("new", "", None)


@pytest.mark.django_db
def test_only_the_token_that_was_refused_is_dropped(connection, fake_heska):
    old = tokens.get(connection, left)
    tokens.drop(connection, old)
    fake_heska.on("/oauth/token", (200, TOKEN | {"access_token": "jwt-2"}, {}))
    new = tokens.get(connection, left)
    tokens.drop(connection, old)  # another worker's 401, for the old one
    assert tokens.get(connection, left).value == new.value == "jwt-2"
    assert len(fake_heska.calls) == 2


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("holds", "still", "no_more"),
    [(3600, 3530, 3545), (120, 55, 65), (90, 40, 50), (20, 8, 12), (0, -1, 0.1)],
)
def test_early_expiry(connection, fake_heska, holds, still, no_more):
    """A minute early; one that holds for less than two is used for half of its time."""
    fake_heska.on("/oauth/token", (200, TOKEN | {"expires_in": holds}, {}))
    tokens.get(connection, left)
    fetched = Connection.objects.get().token_expires_at
    calls = 1
    for passed, again in [(still, False), (no_more, True)]:
        Connection.objects.update(token_expires_at=fetched - timedelta(seconds=passed))
        if passed >= 0:
            tokens.get(connection, left)
            calls += again
        assert len(fake_heska.calls) == calls


@pytest.mark.django_db
def test_a_call_for_a_token_holds_no_transaction(connection, fake_heska, monkeypatch):
    monkeypatch.setattr("integrations.heska.client.get_token", lambda *_, **__: in_atomic())
    depth = len(database.savepoint_ids)

    def in_atomic() -> Any:
        assert len(database.savepoint_ids) == depth
        return "jwt-1", timedelta(seconds=3600)

    delivery.deliver(make_request(make_patient(connection.clinic)).submission.pk)
    assert Submission.objects.get().state == "accepted"


@pytest.mark.django_db
def test_no_token_and_no_secret_in_the_database_in_clear(connection, fake_heska):
    fake_heska.on("/oauth/token", (503, b"", {}))
    with pytest.raises(HeskaError):
        tokens.get(connection, left)
    Connection.objects.update(token_not_before=None)
    fake_heska.on("/oauth/token", (200, TOKEN, {}))
    tokens.get(connection, left)
    with database.cursor() as cursor:
        cursor.execute("SELECT * FROM heska_connection")
        row = repr(cursor.fetchall())
    assert "c-secret" not in row
    assert "jwt-1" not in row
    assert "c-secret" not in repr(connection)

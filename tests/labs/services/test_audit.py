"""The audit cannot be edited: the database refuses, whoever asks and however."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from labs.models import EventWords, LabEvent, append_only
from labs.services.events import record
from labs.services.privacy.retention import forget_old_events
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def event() -> LabEvent:
    record("patient.changed", clinic=factories.make_clinic())
    return LabEvent.objects.get()


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE labs_labevent SET verb = 'nothing'",
        "UPDATE labs_labevent SET actor_id = NULL WHERE id = {pk}",
        "DELETE FROM labs_labevent",
        "DELETE FROM labs_labevent WHERE id = {pk}",
    ],
)
def test_raw_sql_is_refused(event: LabEvent, sql: str) -> None:
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        connection.cursor().execute(sql.format(pk=event.pk))
    assert LabEvent.objects.get().verb == "patient.changed"


def test_a_plain_manager_is_refused_too(event: LabEvent) -> None:
    rows = LabEvent._base_manager.all()
    for change in (lambda: rows.update(verb="nothing"), rows.delete):
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            change()


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE labs_eventwords SET text = 'because I say so'",
        "UPDATE labs_eventwords SET text = ''",
        "DELETE FROM labs_eventwords",
    ],
)
def test_what_was_written_with_it_is_not_rewritten(sql: str) -> None:
    record("request.moved", clinic=factories.make_clinic(), words="Wrong cage card")
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        connection.cursor().execute(sql)
    assert EventWords.objects.get().text == "Wrong cage card"


def test_only_an_erasure_that_shows_changes_what_was_written() -> None:
    record("request.moved", clinic=factories.make_clinic(), words="Smith's other dog")
    words = EventWords.objects.get()
    words.text = "[erased]'s other dog"
    words.save()
    assert EventWords.objects.get().text == "[erased]'s other dog"


@pytest.mark.parametrize(
    "sql",
    [
        "TRUNCATE labs_labevent, labs_eventwords",
        "TRUNCATE labs_eventwords",
        "TRUNCATE labs_labevent CASCADE",
        "TRUNCATE labs_message CASCADE",
        "TRUNCATE labs_clinic RESTART IDENTITY CASCADE",
    ],
)
def test_emptying_the_table_is_refused(event: LabEvent, sql: str) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("TRUNCATE is PostgreSQL's own")
    with connection.cursor() as cursor:  # the rows just made wait for their foreign keys
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        connection.cursor().execute(sql)
    assert LabEvent.objects.get().verb == "patient.changed"


@pytest.mark.parametrize("name", append_only.ON_POSTGRESQL)
@pytest.mark.parametrize(
    "how", ["DROP TRIGGER {name} ON {table}", "{alter} DISABLE TRIGGER {name}"]
)
def test_a_trigger_that_is_gone_is_seen_and_made_anew(name: str, how: str) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has triggers of its own")
    table = append_only.WORDS if name.startswith(append_only.WORDS) else append_only.TABLE
    with connection.cursor() as cursor:
        cursor.execute(how.format(name=name, table=table, alter=f"ALTER TABLE {table}"))
    assert not append_only.installed(connection)
    append_only.install(connection)
    assert append_only.installed(connection)


def test_replace_is_refused(event: LabEvent) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("REPLACE is SQLite's own")
    sql = f"INSERT OR REPLACE INTO labs_labevent (id, at, source, verb, data) VALUES ({event.pk}"
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        connection.cursor().execute(f"{sql}, '2026-01-01', '', 'nothing', '{{}}')")
    assert LabEvent.objects.get().verb == "patient.changed"


def test_what_is_older_than_it_is_kept_may_go(event: LabEvent, settings: object) -> None:
    days = 6 * 365 + 2
    for age in (days + 1, days - 1):
        row = LabEvent(verb=f"{age} days old", clinic=event.clinic)
        row.save()
        EventWords.objects.create(event=row, text=f"{age} days old")
        _made(row, age)
    assert forget_old_events() == 1
    assert sorted(LabEvent.objects.values_list("verb", flat=True)) == [
        f"{days - 1} days old",
        "patient.changed",
    ]
    assert EventWords.objects.get().text == f"{days - 1} days old"


def _made(row: LabEvent, age: int) -> None:
    """Put its day back, which only an owner of the database can who lifts the triggers."""
    at = connection.ops.adapt_datetimefield_value(timezone.now() - timedelta(days=age))
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(f"DROP TRIGGER {append_only.TRIGGERS[0]}")
        else:
            cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("UPDATE labs_labevent SET at = %s WHERE id = %s", [at, row.pk])
        if connection.vendor != "sqlite":
            cursor.execute("SET LOCAL session_replication_role = origin")
    append_only.install(connection)


@pytest.mark.django_db(transaction=True)
def test_triggers_stand_again_after_a_test_that_commits() -> None:
    record("patient.changed", clinic=None)
    assert append_only.installed(connection)


def test_and_here_is_the_test_after_it(event: LabEvent) -> None:
    assert append_only.installed(connection)
    with pytest.raises(IntegrityError), transaction.atomic():
        LabEvent._base_manager.all().delete()

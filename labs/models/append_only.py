"""The audit's table refuses UPDATE, DELETE and TRUNCATE in the database itself, whoever asks. What
people wrote with it may only lose words, and shows that it did.

Installed after every `migrate` (labs/apps.py) and not by a migration: SQLite drops triggers when a
later migration rebuilds the table. A row older than AUDIT_RETENTION_DAYS may be deleted, so that
keeping no longer than that needs no door in the wall.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from django.conf import settings

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

TABLE = "labs_labevent"
REFUSED = f"{TABLE} is append-only"
# What people wrote with it: a change must say so, as that of an erasure does. They go with the row.
WORDS = "labs_eventwords"
ERASED = "[erased]"
MAY_CHANGE = f"NEW.event_id = OLD.event_id AND NEW.text LIKE '%{ERASED}%'"
TRIGGERS = (
    *(f"{TABLE}_no_update", f"{TABLE}_no_delete", f"{TABLE}_no_replace"),
    *(f"{WORDS}_no_update", f"{WORDS}_no_delete"),
)
# PostgreSQL's, with the table of each: the first is for UPDATE and DELETE. TRUNCATE fires no
# trigger of rows; with CASCADE that of another table reaches this one too.
ON_POSTGRESQL = (
    *(TRIGGERS[0], f"{TABLE}_no_truncate"),
    *(f"{WORDS}_no_update", f"{WORDS}_no_truncate"),
)


def install(connection: BaseDatabaseWrapper) -> None:
    """Safe to repeat; on PostgreSQL without a lock on the table where all is as it should be."""
    days = int(settings.AUDIT_RETENTION_DAYS)
    if connection.vendor == "postgresql":
        _install_postgresql(connection, days)
    elif connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            for name, sql in zip(TRIGGERS, _sqlite(days), strict=True):
                cursor.execute(f"DROP TRIGGER IF EXISTS {name}")
                cursor.execute(f"CREATE TRIGGER {name} {sql}")


@contextmanager
def lifted(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """For the demo alone, whose made-up past moves with the day; in the caller's transaction, so
    that nobody else sees the table without its guard."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # A row that waits for its foreign keys to be looked at lets nobody alter its table.
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute(f"ALTER TABLE {TABLE} DISABLE TRIGGER {TRIGGERS[0]}")
        else:
            for name in TRIGGERS:
                cursor.execute(f"DROP TRIGGER IF EXISTS {name}")
        yield
        if connection.vendor == "postgresql":
            cursor.execute(f"ALTER TABLE {TABLE} ENABLE TRIGGER {TRIGGERS[0]}")
            cursor.execute("SET CONSTRAINTS ALL DEFERRED")
        else:
            install(connection)


def installed(connection: BaseDatabaseWrapper) -> bool:
    """Whether the database refuses today. One statement."""
    if connection.vendor == "postgresql":
        # 'A' fires in a session that replicates, too; 'R' in no other, 'D' never.
        sql = (
            "SELECT tgname FROM pg_trigger WHERE tgenabled IN ('O', 'A') "
            "AND tgrelid IN (%s::regclass, %s::regclass)"
        )
        wanted = set(ON_POSTGRESQL)
    else:
        sql = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name IN (%s, %s)"
        wanted = set(TRIGGERS)
    with connection.cursor() as cursor:
        cursor.execute(sql, [TABLE, WORDS])
        return wanted <= {name for (name,) in cursor.fetchall()}


def _sqlite(days: int) -> tuple[str, ...]:
    refuse = f"BEGIN SELECT RAISE(ABORT, '{REFUSED}'); END"
    known = f"EXISTS (SELECT 1 FROM {TABLE} WHERE id = NEW.id)"  # noqa: S608 - a name of our own
    young = (
        f"EXISTS (SELECT 1 FROM {TABLE} WHERE id = OLD.event_id "  # noqa: S608 - ours
        f"AND at > datetime('now', '-{days} days'))"
    )
    return (
        f"BEFORE UPDATE ON {TABLE} {refuse}",
        f"BEFORE DELETE ON {TABLE} WHEN OLD.at > datetime('now', '-{days} days') {refuse}",
        # REPLACE deletes the row of that key, and no trigger hears of it.
        f"BEFORE INSERT ON {TABLE} WHEN {known} {refuse}",
        f"BEFORE UPDATE ON {WORDS} WHEN NOT ({MAY_CHANGE}) {refuse}",
        f"BEFORE DELETE ON {WORDS} WHEN {young} {refuse}",
    )


def _install_postgresql(connection: BaseDatabaseWrapper, days: int) -> None:
    function = f"""
        CREATE OR REPLACE FUNCTION {TABLE}_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'DELETE' THEN
                IF OLD.at < now() - interval '{days} days' THEN
                    RETURN OLD;
                END IF;
            END IF;
            RAISE EXCEPTION '{REFUSED}' USING ERRCODE = 'integrity_constraint_violation';
        END $$"""
    of_words = f"""
        CREATE OR REPLACE FUNCTION {WORDS}_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'UPDATE' THEN
                IF {MAY_CHANGE} THEN
                    RETURN NEW;
                END IF;
            ELSIF TG_OP = 'DELETE' THEN
                IF NOT EXISTS (
                    SELECT 1 FROM {TABLE} WHERE id = OLD.event_id
                    AND at >= now() - interval '{days} days'
                ) THEN
                    RETURN OLD;
                END IF;
            END IF;
            RAISE EXCEPTION '{REFUSED}' USING ERRCODE = 'integrity_constraint_violation';
        END $$"""  # noqa: S608 - names of our own
    wanted = (
        (TABLE, "UPDATE OR DELETE", "ROW"),
        (TABLE, "TRUNCATE", "STATEMENT"),
        (WORDS, "UPDATE OR DELETE", "ROW"),
        (WORDS, "TRUNCATE", "STATEMENT"),
    )
    with connection.cursor() as cursor:
        cursor.execute(function)
        cursor.execute(of_words)
    if not installed(connection):
        with connection.cursor() as cursor:
            for name, (table, when, each) in zip(ON_POSTGRESQL, wanted, strict=True):
                cursor.execute(
                    f"CREATE OR REPLACE TRIGGER {name} BEFORE {when} ON {table} "
                    f"FOR EACH {each} EXECUTE FUNCTION {table}_refuse()"
                )
                cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER {name}")

"""A message's body and hash are never changed, in the database itself, but for the one change that
labs/services/privacy/blanking.py makes: a body that was filed is emptied, and the row says when.

Installed as the audit's triggers are (labs/models/append_only.py). A trigger of these columns costs
statements that do not name them nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

TABLE = "labs_message"
NAME = f"{TABLE}_body_kept"
REFUSED = "a message keeps its body"
SETTLED = "('filed', 'unmatched', 'sent')"
EMPTIED = (
    f"length(NEW.raw) = 0 AND NEW.blanked_at IS NOT NULL AND OLD.state IN {SETTLED} "
    "AND NEW.sha256 = OLD.sha256"
)


def install(connection: BaseDatabaseWrapper) -> None:
    """Safe to repeat; on PostgreSQL without a lock on the table where all is as it should be."""
    if connection.vendor == "postgresql":
        if not installed(connection):
            _install_postgresql(connection)
    elif connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TRIGGER IF EXISTS {NAME}")
            cursor.execute(
                f"CREATE TRIGGER {NAME} BEFORE UPDATE OF raw, sha256 ON {TABLE} "
                "WHEN (NEW.raw IS NOT OLD.raw OR NEW.sha256 IS NOT OLD.sha256) "
                f"AND NOT ({EMPTIED}) BEGIN SELECT RAISE(ABORT, '{REFUSED}'); END"
            )


def installed(connection: BaseDatabaseWrapper) -> bool:
    """Whether the database refuses today. One statement."""
    if connection.vendor == "postgresql":
        sql = (
            "SELECT 1 FROM pg_trigger "
            "WHERE tgenabled IN ('O', 'A') AND tgname = %s AND tgrelid = %s::regclass"
        )
    else:
        sql = "SELECT 1 FROM sqlite_master WHERE type = 'trigger' AND name = %s AND tbl_name = %s"
    with connection.cursor() as cursor:
        cursor.execute(sql, [NAME, TABLE])
        return cursor.fetchone() is not None


def _install_postgresql(connection: BaseDatabaseWrapper) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            CREATE OR REPLACE FUNCTION {TABLE}_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                RAISE EXCEPTION '{REFUSED}' USING ERRCODE = 'integrity_constraint_violation';
            END $$"""
        )
        cursor.execute(
            f"CREATE OR REPLACE TRIGGER {NAME} BEFORE UPDATE OF raw, sha256 ON {TABLE} "
            "FOR EACH ROW WHEN ((NEW.raw IS DISTINCT FROM OLD.raw "
            f"OR NEW.sha256 IS DISTINCT FROM OLD.sha256) AND NOT ({EMPTIED})) "
            f"EXECUTE FUNCTION {TABLE}_refuse()"
        )
        cursor.execute(f"ALTER TABLE {TABLE} ENABLE TRIGGER {NAME}")

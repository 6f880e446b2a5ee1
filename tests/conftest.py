"""What tests in more than one room share."""

from __future__ import annotations

import os
import shutil
from typing import Any

import pytest
from django.core.management.commands import flush
from django.core.management.sql import sql_flush
from django.test import Client

from tests.signed_in import force_login

TRIGGERS = [
    *(f"labs_labevent_no_{what}" for what in ("update", "delete", "replace")),
    *(f"labs_eventwords_no_{what}" for what in ("update", "delete")),
]
NO_TRUNCATE = ("labs_labevent", "labs_eventwords")


def _flush_sql(style: Any, connection: Any, **options: Any) -> list[str]:
    """A test that commits is cleaned up by deleting all rows, on PostgreSQL by TRUNCATE, which the
    audit refuses; after the flush its triggers are made anew, as after `migrate`."""
    sql = list(sql_flush(style, connection, **options))
    if connection.vendor == "sqlite":
        return [*(f"DROP TRIGGER IF EXISTS {name}" for name in TRIGGERS), *sql]
    dropped = (f"DROP TRIGGER IF EXISTS {name}_no_truncate ON {name}" for name in NO_TRUNCATE)
    return [*dropped, *sql]


flush.sql_flush = _flush_sql  # type: ignore[attr-defined]


# `force_login` stands for the whole sign-in: with the second factor of whoever must have one.
# What a password alone opens is tested through the page (tests/labs/views/test_second_factor).
Client.force_login = force_login  # type: ignore[method-assign]


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of an installed browser, for Playwright's `executable_path`."""
    path = find_chromium()
    assert path, "tests that use a browser are marked e2e, and skipped where there is none"
    return path


def find_chromium() -> str | None:
    """CHROMIUM where it is set, else what the system calls it."""
    names = [os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome"]
    return next((path for name in names if name and (path := shutil.which(name))), None)


# Start a whole installation on the database that DATABASE_URL names.
ON_THE_SERVER = ("tests/blackbox/", "tests/e2e/test_main_job.py")
# Who gets what at every address, with which headers, what a page says of what queries found, and
# what a browser does with it: of people and pages, not of a database. The statements themselves are
# asked on both, by the tests of services, queries, commands and administration, with odd input and
# by many at one moment; a browser sees a whole installation on PostgreSQL in ON_THE_SERVER. Those
# that are named run on either.
ON_ONE = ("tests/http/", "tests/labs/views/", "tests/e2e/", "tests/payloads/")
ON_BOTH = tuple(
    f"tests/labs/views/test_{name}.py"
    for name in ("odd_input", "added_once", "sent_twice", "guessing")
)
DATABASE = {"db", "transactional_db", "live_server"}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if os.environ.get("DATABASE_URL"):
        _only_what_differs(config, items)
    in_browser = [item for item in items if item.get_closest_marker("e2e")]
    if not in_browser or find_chromium():
        return
    if os.environ.get("REQUIRE_BROWSER") == "1":
        raise pytest.UsageError("REQUIRE_BROWSER=1, but there is no chromium; name it in CHROMIUM.")
    for item in in_browser:
        item.add_marker(pytest.mark.skip(reason="no chromium on this machine"))


def _only_what_differs(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of the half on PostgreSQL: what knows no database, or starts one of its own, says the same in
    the half on SQLite. A test without the mark cannot reach the suite's database at all. A file or
    test that is named is run all the same."""
    if config.args_source is not pytest.Config.ArgsSource.TESTPATHS:
        return
    kept = [item for item in items if _differs(item)]
    config.hook.pytest_deselected(items=[item for item in items if not _differs(item)])
    items[:] = kept


def _differs(item: pytest.Item) -> bool:
    if item.nodeid.startswith(ON_THE_SERVER):
        return True
    if item.nodeid.startswith(ON_ONE) and not item.nodeid.startswith(ON_BOTH):
        return False
    return item.get_closest_marker("django_db") is not None or bool(
        DATABASE & set(getattr(item, "fixturenames", ()))
    )

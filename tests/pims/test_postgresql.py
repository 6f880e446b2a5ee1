"""A kept connection is given up when its server has hung up, and only then."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection, connections

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif("connection.vendor != 'postgresql'", reason="needs PostgreSQL"),
]


def backend() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    return int(pid)


def next_request() -> None:
    connection.close_if_unusable_or_obsolete()
    connection.health_check_done = False


def test_a_connection_is_kept() -> None:
    connection.health_check_enabled = True
    first = backend()
    next_request()
    assert connection.is_usable()
    assert backend() == first


def test_after_the_server_has_hung_up_there_is_a_new_one() -> None:
    connection.health_check_enabled = True
    first = backend()
    other: Any = connections.create_connection("default")
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [first])
    finally:
        other.close()
    next_request()
    assert not connection.is_usable()
    assert backend() != first  # and no error for whoever asked


def test_a_closed_one_is_none() -> None:
    backend()
    connection.close()
    assert not connection.is_usable()

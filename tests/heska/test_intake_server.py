"""The way in over the real web server: what only a socket can show."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pims.run import granian
from tests.heska import examples

ROOT = Path(__file__).parents[2]
LIMIT = 5_000_000
SET_UP = """
import django
django.setup()
from django.core.management import call_command
from io import StringIO
call_command("migrate", verbosity=0)
call_command("create_clinic", name="Elm", public_id="clinic-0042", json=True, stdout=StringIO())
options = {"clinic": "clinic-0042", "client_id": "c", "client_secret_stdin": True}
call_command("connect_heska", **options, json=True)
"""
UNMATCHED = "/api/unmatchedlabresults/clinic-0042"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """(port, bearer token, database file) of an installation of its own."""
    var = tmp_path_factory.mktemp("server")
    env = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "REDIS_URL")}
    env |= {"VAR_DIR": str(var), "DJANGO_SETTINGS_MODULE": "pims.settings", "DEBUG": "0"}
    env["INTAKE_MAX_BYTES"] = str(LIMIT)

    # One process for all of it: each start of Django costs more than the rest.
    done = subprocess.run(
        [sys.executable, "-c", SET_UP],
        cwd=ROOT,
        env=env,
        input="secret\n",
        text=True,
        capture_output=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    access = json.loads(done.stdout)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        granian("127.0.0.1", port, "1"),
        cwd=ROOT,
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                assert call(port, "GET", "/healthz", b"", {})[0] == 200
                break
            except OSError:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.1)
        credentials = {name: access[name] for name in ("client_id", "client_secret")}
        status, body, _ = call(
            port,
            "POST",
            "/api/oauth/token/",
            json.dumps(credentials).encode(),
            {"Content-Type": "application/json"},
        )
        assert status == 200, body
        yield port, json.loads(body)["access_token"], var / "db.sqlite3"
    finally:
        process.terminate()
        process.wait(20)


def call(port, method, path, body, headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, path, body=body, headers=headers)
    answer = connection.getresponse()
    read = answer.read()
    connection.close()
    return answer.status, read, dict(answer.getheaders())


def post(server, body, path=UNMATCHED, **headers):
    port, token, _ = server
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", **headers}
    status, read, answered = call(port, "POST", path, body, headers)
    assert "Location" not in answered
    return status, json.loads(read)


def stored(server, receipt):
    with sqlite3.connect(server[2]) as database:
        (raw,) = database.execute(
            "SELECT raw FROM labs_message WHERE receipt_id = ?", [receipt]
        ).fetchone()
    return bytes(raw)


def big(size, marker):
    body = examples.load("08") | {"MessageId": marker, "Padding": "x" * size}
    return json.dumps(body).encode()


def test_both_slash_forms_are_one_address(server):
    status, first = post(server, examples.raw("08"))
    assert (status, first["Status"]) == (201, "Stored")
    status, again = post(server, examples.raw("08"), f"{UNMATCHED}/")
    assert (status, again) == (200, {**first, "Status": "Duplicate"})


@pytest.mark.parametrize("size", [70_000, 1_500_000, 4_900_000])
def test_a_large_body_arrives_whole(server, size):
    body = big(size, f"large-{size}")
    status, answer = post(server, body)
    assert (status, answer["Status"]) == (201, "Stored")
    assert hashlib.sha256(stored(server, answer["ReceiptId"])).digest() == (
        hashlib.sha256(body).digest()
    )


def test_a_chunked_body_arrives_whole(server):
    body = big(300_000, "chunked")
    chunks = [body[n : n + 10_000] for n in range(0, len(body), 10_000)]
    status, answer = post(server, iter(chunks))
    assert (status, answer["Status"]) == (201, "Stored")
    assert stored(server, answer["ReceiptId"]) == body


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_refused_and_its_beginning_kept(server, chunked):
    body = b'{"a": "' + (b"c" if chunked else b"x") * (LIMIT + 100_000) + b'"}'
    pieces = (body[n : n + 65_536] for n in range(0, len(body), 65_536))
    status, answer = post(server, pieces if chunked else body)
    assert (status, answer["type"]) == (413, "about:blank#too-large")
    assert stored(server, answer["ReceiptId"]) == body[: 64 * 1024]


def test_a_slow_sender_is_read_to_its_end(server):
    port, token, _ = server
    body = big(0, "slow")
    head = (
        f"POST {UNMATCHED} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        "Connection: close\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(head.encode())
        for start in range(0, len(body), 500):
            connection.sendall(body[start : start + 500])
            time.sleep(0.03)
        answer = b""
        while part := connection.recv(65_536):
            answer += part
    assert answer.startswith(b"HTTP/1.1 201")


def test_a_sender_that_goes_away_in_the_middle_is_answered_nothing_good(server):
    """And the whole body, sent again, is stored as if nothing had been."""
    port, token, _ = server
    body = big(100_000, "broken off")
    head = (
        f"POST {UNMATCHED} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(head.encode() + body[:50_000])
        connection.shutdown(socket.SHUT_WR)
        answer = connection.recv(65_536)
    assert not answer.startswith(b"HTTP/1.1 2")
    status, answer = post(server, body)
    assert (status, answer["Status"]) == (201, "Stored")


def test_without_a_token_nothing_is_stored(server):
    status, answer = post(server, big(0, "nobody"), Authorization="Bearer nonsense")
    assert (status, answer["type"]) == (401, "about:blank#invalid-token")
    with sqlite3.connect(server[2]) as database:
        found = database.execute(
            "SELECT count(*) FROM labs_message WHERE raw LIKE '%nobody%'"
        ).fetchone()
    assert found == (0,)

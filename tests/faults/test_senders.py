"""Senders that are slow, stop half way, or do not say how much they send."""

from __future__ import annotations

import contextlib
import os
import socket
import time

import pytest

from pims import gate
from tests.faults import bodies
from tests.faults.oracle import Log, Sent, judge
from tests.faults.report import report
from tests.faults.stack import Answer, Stack
from tests.faults.test_database import message, send_once
from tests.faults.test_together import together

HALF_SENT = 200
HESKA_WAITS = 5  # seconds, by the contract
CONNECTIONS = gate.TOGETHER + 3  # and a few of the test's own


def head(stack: Stack, target: str, *lines: str) -> bytes:
    first = [f"POST {target} HTTP/1.1", f"Host: 127.0.0.1:{stack.port}"]
    token = [f"Authorization: Bearer {stack.tokens[0]}", "Content-Type: application/json"]
    return "\r\n".join([*first, *token, *lines, "", ""]).encode()


def send_as_heska(stack: Stack, log: Log, sent: Sent) -> tuple[Answer, float, int]:
    """Once more where no answer comes within five seconds, with how often that was."""
    for again in range(3):
        try:
            return (*send_once(stack, log, sent, patience=HESKA_WAITS), again)
        except TimeoutError:
            log.cut()
    raise AssertionError(f"no answer, sent three times:\n{stack.web.tail()}")


def test_half_sent_bodies_starve_nobody(stack: Stack, log: Log, full: bool) -> None:
    """A request that granian leaves without a thread (see `pims.run.granian`) waits for the next
    one, and the next one is that same result, sent again."""
    target = f"/api/labresults/{stack.clinics[0]['requests'][0]['key']}"
    with contextlib.ExitStack() as opened:
        for _ in range(HALF_SENT):
            slow = opened.enter_context(socket.create_connection(("127.0.0.1", stack.port)))
            slow.sendall(head(stack, target, "Content-Length: 4000") + b'{"Tests": [')
        time.sleep(0.5)
        took, again = [], 0
        for number in range(200 if full else 20):
            answer, seconds, more = send_as_heska(stack, log, message(stack, "good", number))
            assert answer.status == 201 or more
            took.append(seconds)
            again += more
        [(connections,)] = stack.postgres.query(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        )
    found = judge(log, stack.postgres)
    report("half-sent", log, found, slowest=max(took), again=again, connections=connections)
    assert max(took) < 2
    assert again <= 1
    assert connections <= CONNECTIONS
    time.sleep(0.5)
    assert judge(log, stack.postgres) == [], "a half of a body is no message"


def test_more_senders_than_database_connections(stack: Stack) -> None:
    """150 at once: all are served, with fewer connections than PostgreSQL has to give."""
    clinic = stack.clinics[0]
    posts = []
    for number in range(150):
        request = clinic["requests"][number % len(clinic["requests"])]
        posts.append(
            (f"/api/labresults/{request['key']}", bodies.result(clinic, request, f"many-{number}"))
        )
    answers = together(stack, posts)
    [(connections,)] = stack.postgres.query(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    )
    # 503 where this machine cannot do so many in 4.5 s; never anything worse.
    assert {answer.status for answer in answers} <= {201, 503}
    assert connections <= CONNECTIONS


def test_a_chunked_body_is_stored_whole(stack: Stack, log: Log) -> None:
    sent = message(stack, "chunked", value=os.urandom(20_000).hex())
    log.sending(sent)
    with socket.create_connection(("127.0.0.1", stack.port), timeout=20) as connection:
        connection.sendall(head(stack, sent.target, "Transfer-Encoding: chunked"))
        rest, size = sent.body, 1
        while rest:
            piece, rest = rest[:size], rest[size:]
            connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
            size = size * 3 % 70_001
        connection.sendall(b"0\r\n\r\n")
        status = connection.recv(4096).split(b" ")[1]
    assert status == b"201"
    log.acked[sent.number] = {stack.postgres.query("SELECT receipt_id FROM labs_message")[0][0]}
    assert judge(log, stack.postgres) == []


def test_a_chunked_body_without_end_is_cut(stack: Stack, full: bool) -> None:
    """Over the limit its beginning is kept, and the sender is told."""
    if not full:
        pytest.skip("26 MB; FULL=1")
    target = f"/api/unmatchedlabresults/{stack.clinics[0]['public_id']}"
    chunk = b"%x\r\n%s\r\n" % (1 << 20, b" " * (1 << 20))
    with socket.create_connection(("127.0.0.1", stack.port), timeout=60) as connection:
        connection.sendall(head(stack, target, "Transfer-Encoding: chunked"))
        with contextlib.suppress(OSError):  # the server need not listen to the end
            for _ in range(26):
                connection.sendall(chunk)
            connection.sendall(b"0\r\n\r\n")
        assert connection.recv(4096).split(b" ")[1] == b"413"
    [(kept, declared)] = stack.postgres.query("SELECT length(raw), declared_size FROM labs_message")
    assert (kept, declared) == (64 * 1024, 25 * 1024 * 1024 + 1)

"""Each promise broken on purpose: the same oracle must see it, or its silence means nothing."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from tests.faults import bodies, storm
from tests.faults.oracle import Log, Sent, judge
from tests.faults.report import report
from tests.faults.stack import Stack
from tests.faults.test_database import message
from tests.faults.test_together import AT_ONCE, together


@pytest.fixture(scope="module")
def saboteur(installation: Stack) -> Iterator[Stack]:
    file = installation.directory / "sabotage"
    installation.restart(application="tests.faults.sabotage:application", SABOTAGE=str(file))
    yield installation
    installation.restart()


@pytest.fixture
def sabotage(saboteur: Stack, stack: Stack) -> Iterator[object]:
    file = stack.directory / "sabotage"
    yield file.write_text
    file.unlink(missing_ok=True)


def send(stack: Stack, log: Log, messages: Sequence[Sent]) -> None:
    connection = stack.connect()
    for each in messages:
        connection = storm.deliver(stack, log, each, connection, time.monotonic() + 60)
    connection.close()


def ten(stack: Stack, name: str) -> list[Sent]:
    return [message(stack, name, number) for number in range(10)]


def verdict(name: str, stack: Stack, log: Log) -> list[str]:
    found = judge(log, stack.postgres)
    report(f"control: {name}", log, found)
    return found


def kinds(found: Sequence[str]) -> set[str]:
    return {each.split(":")[0] for each in found}


def test_unharmed_the_same_messages_pass(sabotage: object, stack: Stack, log: Log) -> None:
    send(stack, log, ten(stack, "control"))
    stack.web.kill_all()
    stack.web.revive()

    assert judge(log, stack.postgres) == []


def test_acknowledged_before_commit_is_seen(sabotage, stack: Stack, log: Log) -> None:
    sabotage("acknowledge before commit")
    send(stack, log, ten(stack, "early"))
    stack.web.kill_all()
    stack.web.revive()

    assert "lost" in kinds(verdict("acknowledge before commit", stack, log))


def test_commits_that_are_not_durable_are_seen(saboteur: Stack, stack: Stack, log: Log) -> None:
    """The process that would write them a moment later has not come by yet."""
    stack.postgres.configure("synchronous_commit", "off")
    [(writer,)] = stack.postgres.query(
        "SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'"
    )
    os.kill(writer, signal.SIGSTOP)
    try:
        send(stack, log, ten(stack, "volatile"))
    finally:
        stack.postgres.crash(writer)
        stack.postgres.start()
        stack.postgres.configure("synchronous_commit", None)
    assert "lost" in kinds(verdict("synchronous_commit=off", stack, log))


@contextlib.contextmanager
def without_unique_index(stack: Stack) -> Iterator[None]:
    [(name,)] = stack.postgres.query(
        "SELECT conname FROM pg_constraint WHERE conrelid = 'labs_message'::regclass "
        "AND contype = 'u' AND pg_get_constraintdef(oid) = 'UNIQUE (dedupe_key)'"
    )
    stack.postgres.query(f"ALTER TABLE labs_message DROP CONSTRAINT {name}")
    try:
        yield
    finally:
        stack.clear()
        stack.postgres.query(f"ALTER TABLE labs_message ADD CONSTRAINT {name} UNIQUE (dedupe_key)")


def test_a_dropped_unique_index_is_seen(sabotage, stack: Stack, log: Log) -> None:
    sabotage("no unique index")
    sent = message(stack, "index")
    with without_unique_index(stack):
        send(stack, log, [sent, replace(sent, number=1)])
        assert "twice" in kinds(verdict("unique index dropped", stack, log))


def test_without_its_unique_index_nothing_is_taken(stack: Stack, log: Log) -> None:
    """Not even by the product as it is: rather 503 than the same result twice."""
    sent = message(stack, "index")
    with without_unique_index(stack):
        assert stack.post(sent.target, sent.body).status == 503
    assert stack.post(sent.target, sent.body).status == 201


def test_look_then_insert_is_seen(sabotage, stack: Stack, log: Log) -> None:
    sabotage("look, then insert")
    sent = message(stack, "race")
    log.sending(sent)
    with without_unique_index(stack):
        answers = together(stack, [(sent.target, sent.body)] * AT_ONCE)
        for answer in answers:
            log.answered(sent, answer.status, answer.receipt, "30")
        assert "twice" in kinds(verdict("look, then insert", stack, log))


def test_a_clinic_taken_from_the_payload_is_seen(sabotage, stack: Stack, log: Log) -> None:
    sabotage("clinic from the payload")
    clinic, other = stack.clinics[:2]
    request = clinic["requests"][0]
    body = bodies.result(clinic, request, "claimed", claims=other["public_id"])
    send(stack, log, [replace(message(stack, "claimed"), body=body, run="claimed")])

    assert "wrong clinic" in kinds(verdict("clinic from the payload", stack, log))


def test_arrival_that_decides_is_seen(sabotage, stack: Stack, log: Log) -> None:
    sabotage("arrival decides")
    first = message(stack, "order")
    clinic = stack.clinics[0]
    request = clinic["requests"][0]
    for version in (2, 1):
        body = bodies.result(clinic, request, first.run, version=version)
        send(stack, log, [replace(first, number=version, body=body, version=version)])

    found = verdict("arrival decides", stack, log)
    assert any("shows version [1], newest is 2" in each for each in found)


def test_what_was_never_filed_is_seen(saboteur: Stack, stack: Stack, log: Log) -> None:
    """Killed after the commit, not sent again, not swept."""
    sent = message(stack, "pending")
    stack.failpoint.write_text("committed")
    stop = time.monotonic() + 60
    storm.deliver(stack, log, sent, stack.connect(), stop, again=lambda: False).close()

    assert "pending after the sweep" in kinds(verdict("never filed", stack, log))
    stack.sweep()
    assert "pending after the sweep" not in kinds(judge(log, stack.postgres))

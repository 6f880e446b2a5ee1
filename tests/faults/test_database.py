"""A database that refuses or is silent: 503 with Retry-After within 5 s, never a 2xx, and back to
work by itself."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from tests.faults import bodies, storm
from tests.faults import stack as stacks
from tests.faults.oracle import Log, Sent, judge
from tests.faults.report import report
from tests.faults.stack import Answer, Stack

WITHIN = 6  # seconds: 5 are promised, one is for a machine that does other things too


def message(stack: Stack, name: str, number: int = 0, value: str = "") -> Sent:
    clinic = stack.clinics[number % len(stack.clinics)]
    request = clinic["requests"][number % len(clinic["requests"])]
    run = f"{name}-{number}"
    return Sent(
        number=number,
        clinic=clinic["pk"],
        target=f"/api/labresults/{request['key']}",
        body=bodies.result(clinic, request, run, value=value),
        kind="result",
        run=run,
        request=request["pk"],
    )


def send_once(stack: Stack, log: Log, sent: Sent, patience: float = 60) -> tuple[Answer, float]:
    index = next(i for i, c in enumerate(stack.clinics) if c["pk"] == sent.clinic)
    log.sending(sent)
    began = time.monotonic()
    answer = stack.post(sent.target, sent.body, clinic=index, patience=patience)
    log.answered(sent, answer.status, answer.receipt, answer.headers.get("retry-after"))
    return answer, time.monotonic() - began


def refused_then_well(
    stack: Stack, log: Log, fault: contextlib.AbstractContextManager[object], name: str, many: int
) -> None:
    """While the fault lasts `many` posts at once all get 503 in time; afterwards they all pass."""
    messages = [message(stack, name, number) for number in range(many)]
    for each in messages:  # connections are open before it happens, as on any working day
        before = message(stack, f"{name}-before", many + each.number)
        assert send_once(stack, log, before)[0].status == 201
    with ThreadPoolExecutor(many) as senders, fault:
        seen = list(senders.map(lambda each: send_once(stack, log, each), messages))
        ready = _ready(stack)

    assert {answer.status for answer, _ in seen} == {503}
    assert all(answer.headers["retry-after"] == "30" for answer, _ in seen)
    assert all(b'"type":' in answer.body.replace(b" ", b"") for answer, _ in seen)
    slowest = max(seconds for _, seconds in seen)
    assert slowest < WITHIN
    assert ready == 503
    stop = time.monotonic() + 60
    connection = stack.connect()
    for each in messages:
        connection = storm.deliver(stack, log, each, connection, stop)
    connection.close()
    stack.sweep()
    found = judge(log, stack.postgres)
    report(name, log, found, slowest=slowest)
    assert found == []
    assert len(log.acked) == 2 * many


def _ready(stack: Stack) -> int:
    time.sleep(1.1)  # a success is believed for a second
    connection = stack.connect()
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status
    finally:
        connection.close()


@contextlib.contextmanager
def locked(stack: Stack) -> Iterator[None]:
    with psycopg.connect(stack.postgres.url) as connection:
        connection.execute("LOCK TABLE labs_message, django_migrations IN ACCESS EXCLUSIVE MODE")
        yield


@contextlib.contextmanager
def read_only(stack: Stack) -> Iterator[None]:
    stack.postgres.configure("default_transaction_read_only", "on")
    time.sleep(0.2)
    try:
        yield
    finally:
        # The server itself may still be told; only rows may not be written.
        stack.postgres.configure("default_transaction_read_only", None)


@contextlib.contextmanager
def down(stack: Stack) -> Iterator[None]:
    stack.postgres.crash()
    try:
        yield
    finally:
        stack.postgres.start()


@contextlib.contextmanager
def frozen(stack: Stack, seconds: float) -> Iterator[None]:
    with stack.postgres.frozen():
        began = time.monotonic()
        yield
        time.sleep(max(0, seconds - (time.monotonic() - began)))


def test_locked(stack: Stack, log: Log, full: bool) -> None:
    refused_then_well(stack, log, locked(stack), "locked", 40 if full else 3)


def test_read_only(stack: Stack, log: Log, full: bool) -> None:
    refused_then_well(stack, log, read_only(stack), "read-only", 40 if full else 3)


def test_down(stack: Stack, log: Log, full: bool) -> None:
    refused_then_well(stack, log, down(stack), "down", 40 if full else 3)


def test_frozen(stack: Stack, log: Log, full: bool) -> None:
    refused_then_well(stack, log, frozen(stack, 30 if full else 0), "frozen", 200 if full else 3)


def test_disk_full(stack: Stack, log: Log, full: bool) -> None:
    with small_disk(4) as disk:
        owner = os.stat(f"/proc/{stack.postgres.pid}")
        os.chown(disk, owner.st_uid, owner.st_gid)
        stack.postgres.query(f"CREATE TABLESPACE small LOCATION '{disk}'")
        stack.postgres.query("ALTER TABLE labs_message SET TABLESPACE small")
        try:
            until_full(stack, log, disk, rounds=3 if full else 1)
        finally:
            stack.clear()
            stack.postgres.query("ALTER TABLE labs_message SET TABLESPACE pg_default")
            stack.postgres.query("DROP TABLESPACE small")


def until_full(stack: Stack, log: Log, disk: Path, *, rounds: int) -> None:
    number = 0
    for size in range(1, rounds + 1):
        refused = None
        while refused is None:
            number += 1
            noise = os.urandom(60_000).hex()  # nothing that PostgreSQL could compress away
            sent = message(stack, "full", number, value=noise[:15_000])
            answer, seconds = send_once(stack, log, sent)
            assert answer.status in {201, 202, 503}
            assert seconds < WITHIN
            if answer.status == 503:
                refused = sent
        subprocess.run(["mount", "-o", f"remount,size={4 + 8 * size}m", disk], check=True)
        assert send_once(stack, log, refused)[0].status == 201
    stack.sweep()
    found = judge(log, stack.postgres)
    report("disk full", log, found)
    assert found == []


def test_disk_full_under_everything(log: Log, full: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL's log of changes, its tables, our own log and uploads all on the full disk."""
    if not full:
        pytest.skip("an installation of its own; FULL=1")
    with small_disk(400) as disk:
        monkeypatch.setattr(tempfile, "tempdir", str(disk))
        disk.chmod(0o1777)
        filler = disk / "filler"
        with stacks.running() as stack:
            number = 0
            for _ in range(3):
                space = os.statvfs(disk)
                filler.write_bytes(bytes(space.f_bavail * space.f_frsize - 2_000_000))
                answer = None
                while answer is None or answer.status != 503:
                    number += 1
                    sent = message(stack, "full", number, value=os.urandom(8_000).hex())
                    answer, _ = send_once(stack, log, sent)
                    assert answer.status in {201, 202, 503}
                filler.unlink()
                stack.postgres.revive()
                storm.deliver(stack, log, sent, stack.connect(), time.monotonic() + 60).close()
            stack.sweep()
            found = judge(log, stack.postgres)
            report("disk full under everything", log, found)
            assert found == []


@contextlib.contextmanager
def small_disk(megabytes: int) -> Iterator[Path]:
    """A tmpfs, where we may mount one."""
    folder = Path(tempfile.mkdtemp(prefix="pims-disk-"))
    folder.chmod(0o711)
    mounted = False
    try:
        if not shutil.which("mount"):
            pytest.skip("no mount")
        command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", folder]
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        if made.returncode:
            pytest.skip(f"no disk of our own to fill: {made.stderr.strip()}")
        mounted = True
        yield folder
    finally:
        if mounted:
            subprocess.run(["umount", folder], check=True)
        folder.rmdir()


def test_connections_killed_under_it(stack: Stack, log: Log, full: bool) -> None:
    """No poisoned connection is left: after each the next post passes."""
    for number in range(30 if full else 3):
        assert send_once(stack, log, message(stack, "kill", number))[0].status == 201
        stack.postgres.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert judge(log, stack.postgres) == []

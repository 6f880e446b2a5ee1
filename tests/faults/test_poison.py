"""A message in which the process ends each time stops no other, and ends in quarantine; and what
lies in quarantine by the thousand is read again in minutes."""

from __future__ import annotations

import http.client
import json
import resource
import subprocess
import sys
import time
from typing import Any

import psycopg
import pytest

from pims import run
from tests.faults import bodies
from tests.faults.oracle import Log, Sent
from tests.faults.report import report
from tests.faults.stack import Stack
from tests.faults.test_database import message, send_once

PLACE = "filed, not committed"


def sweep(stack: Stack) -> int:
    done = subprocess.run(
        [sys.executable, "manage.py", "sweep"],
        env=stack.env,
        cwd=run.ROOT,
        capture_output=True,
        check=False,
    )
    return done.returncode


def row(stack: Stack, receipt: str) -> tuple[Any, ...]:
    sql = "SELECT state, attempts, cause FROM labs_message WHERE receipt_id = %s"
    return stack.postgres.query(sql, receipt)[0]


def due(stack: Stack, *receipts: str) -> None:
    stack.postgres.query(
        "UPDATE labs_message SET not_before = now() - interval '1 minute' "
        "WHERE state = 'received' AND receipt_id = ANY(%s)",
        list(receipts),
    )


def killed_in(stack: Stack, log: Log, sent: Sent, place: str) -> str:
    """The web server's process dies there with it; the receipt that nobody got."""
    stack.failpoint.write_text(place)
    with pytest.raises((OSError, http.client.HTTPException)):
        send_once(stack, log, sent)
    stack.web.kill_all()  # the rest of it, which would end by itself a little later
    stack.web.revive()
    assert not stack.failpoint.exists()
    sql = "SELECT receipt_id FROM labs_message ORDER BY id DESC LIMIT 1"
    return str(stack.postgres.query(sql)[0][0])


def test_a_message_in_which_the_process_dies_each_time(stack: Stack, log: Log) -> None:
    poison = message(stack, "poison")
    receipt = killed_in(stack, log, poison, PLACE)
    assert row(stack, receipt)[:2] == ("received", 1)

    for attempts in range(2, 6):
        # Stored, and then nothing came of it.
        waiting = killed_in(stack, log, message(stack, "waiting", attempts), "committed")
        due(stack, receipt)
        stack.failpoint.write_text(PLACE)
        assert sweep(stack) == 70  # the poisoned one is first, and the sweep dies
        assert row(stack, receipt)[:2] == ("received", attempts)
        assert "the program ended in the middle of it" in row(stack, receipt)[2]
        due(stack, waiting)
        assert sweep(stack) == 0  # the others go on, the poisoned one waits longer
        assert row(stack, waiting)[0] == "filed"
        assert row(stack, receipt)[:2] == ("received", attempts)

    due(stack, receipt)
    assert sweep(stack) == 0  # nobody dies in it a sixth time
    state, attempts, cause = row(stack, receipt)
    assert (state, attempts) == ("quarantined", 5)
    assert "tried 5 times" in cause and "the program ended in the middle of it" in cause
    # Its sender posts it once more, and a process would die in it again.
    stack.failpoint.write_text(PLACE)
    answer, _ = send_once(stack, log, poison)
    assert (answer.status, answer.receipt) == (200, receipt)
    assert stack.failpoint.exists()
    stack.failpoint.unlink()
    # The program was repaired.
    assert stack.manage("replay", receipt)["state"] == "Filed"


def test_a_replay_in_which_the_process_dies_is_one_attempt(stack: Stack, log: Log) -> None:
    answer, _ = send_once(stack, log, message(stack, "replayed"))
    sql = "UPDATE labs_message SET state = 'quarantined', attempts = 5 WHERE receipt_id = %s"
    stack.postgres.query(sql, answer.receipt)
    stack.postgres.query(
        "DELETE FROM labs_alarm; DELETE FROM labs_observation; DELETE FROM labs_labresult;"
    )
    stack.failpoint.write_text(PLACE)
    dead = subprocess.run(
        [sys.executable, "manage.py", "replay", answer.receipt],
        env=stack.env,
        cwd=run.ROOT,
        capture_output=True,
        check=False,
    )
    assert dead.returncode == 70
    assert row(stack, answer.receipt)[:2] == ("received", 5)
    due(stack, answer.receipt)
    assert sweep(stack) == 0
    assert row(stack, answer.receipt)[0] == "quarantined"


def test_replay_of_all_that_is_in_quarantine(stack: Stack, log: Log, full: bool) -> None:
    """10,000 in under five minutes, in constant memory; interrupted in the middle of a message,
    started again, and two at once. What the interrupted one had in hand is back in quarantine by
    the sweep, as an attempt in which the program ended, and the next replay files it."""
    many = 10_000 if full else 60
    quarantine(stack, many)
    command = [sys.executable, "manage.py", "replay", "--quarantined", "--json"]
    began = time.monotonic()
    first = subprocess.Popen(command, env=stack.env, cwd=run.ROOT, stdout=subprocess.PIPE)
    assert first.stdout is not None
    done = [json.loads(first.stdout.readline()) for _ in range(many // 3)]
    stack.failpoint.write_text(PLACE)  # as an operator's Ctrl-C at the worst moment
    first.stdout.read()
    assert first.wait() == 70
    first.stdout.close()
    assert {line["state"] for line in done} == {"Unmatched"}
    assert 0 < left(stack) < many

    both = [
        subprocess.Popen(command, env=stack.env, cwd=run.ROOT, stdout=subprocess.DEVNULL)
        for _ in range(2)
    ]
    assert [each.wait() for each in both] == [0, 0]
    seconds = time.monotonic() - began
    assert left(stack) == 0
    stack.sweep()
    assert left(stack) == 1
    assert stack.postgres.query(
        "SELECT count(*) FROM labs_message WHERE state = 'quarantined' AND cause LIKE "
        "'%the program ended in the middle of it%'"
    ) == [(1,)]
    subprocess.run(command, env=stack.env, cwd=run.ROOT, stdout=subprocess.DEVNULL, check=True)

    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    report("replay of quarantine", log, [], messages=many, seconds=seconds, largest_mib=memory)
    assert stack.postgres.query("SELECT count(*) FROM labs_message WHERE state <> 'unmatched'") == [
        (0,)
    ]
    assert stack.postgres.query("SELECT count(*) FROM labs_labresult") == [(many,)]
    assert stack.manage("reconcile")["holds"] is True
    assert seconds < (300 if full else 60)


def left(stack: Stack) -> int:
    sql = "SELECT count(*) FROM labs_message WHERE state = 'quarantined'"
    return int(stack.postgres.query(sql)[0][0])


def quarantine(stack: Stack, many: int) -> None:
    """Results that an older version did not understand."""
    clinic = stack.clinics[0]
    target = f"/api/unmatchedlabresults/{clinic['public_id']}"
    rows = [
        (
            clinic["pk"],
            f"rcpt_{number:012}",
            target,
            bodies.result(clinic, None, f"run-{number}", external_id=f"HR-{number}"),
            *[f"{number:064}"] * 2,
        )
        for number in range(many)
    ]
    with psycopg.connect(stack.postgres.url) as connection:
        connection.cursor().executemany(
            "INSERT INTO labs_message (direction, vendor, clinic_id, receipt_id, state, cause, "
            "sender, target, headers, raw, sha256, dedupe_key, redeliveries, received_at, "
            "last_seen_at, message_id, adapter_version, extra, warnings, attempts, call, blanked) "
            "VALUES "
            "('in', 'heska', %s, %s, 'quarantined', 'Not understood.', 'x', %s, '{}', %s, %s, "
            "%s, 0, now(), now(), '', '', '{}', '[]', 0, '', '')",
            rows,
        )

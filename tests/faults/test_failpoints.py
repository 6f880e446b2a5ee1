"""The process dies at each place where it could matter, between receiving and answering."""

from __future__ import annotations

import time

import pytest

from tests.faults import storm
from tests.faults.oracle import Log, judge
from tests.faults.report import report
from tests.faults.stack import Stack

BEFORE_COMMIT = ("received",)
AFTER_COMMIT = ("committed", "filed, not committed", "filed", "answering")


@pytest.mark.parametrize("point", BEFORE_COMMIT + AFTER_COMMIT)
def test_killed_at(point: str, stack: Stack, log: Log, full: bool) -> None:
    kills = 100 if full else 1
    messages = storm.plan(stack, kills * 2, seed=3, fresh=point)
    began = time.monotonic()
    killed, kept_though_killed = 0, 0
    connection = stack.connect()

    for message in messages:
        if killed < kills and message.kind in {"result", "correction", "orphan"}:
            stack.failpoint.write_text(point)
        cuts, rows = log.statuses["cut"], _rows(stack)

        def again(cuts: int = cuts, rows: int = rows) -> bool:
            nonlocal killed, kept_though_killed
            if log.statuses["cut"] > cuts and not stack.failpoint.exists():
                killed += 1
                kept_though_killed += _rows(stack) - rows
                stack.failpoint.write_text("nowhere")  # counted: not this death once more
            stack.web.revive()
            return True

        connection = storm.deliver(
            stack, log, message, connection, time.monotonic() + 60, again=again
        )
        stack.failpoint.unlink(missing_ok=True)
    connection.close()
    stack.sweep()

    found = judge(log, stack.postgres)
    report(f"killed at “{point}”", log, found, kills=killed, seconds=time.monotonic() - began)
    assert found == []
    assert killed >= kills - (5 if full else 0)  # a redelivery passes no place of filing
    # What the place means: nothing is stored before the commit, everything after it.
    assert kept_though_killed == (0 if point in BEFORE_COMMIT else killed)


def _rows(stack: Stack) -> int:
    return int(stack.postgres.query("SELECT count(*) FROM labs_message")[0][0])

"""Nothing lost, nothing twice, nothing at the wrong clinic, whatever is killed (I1, I2, I3)."""

from __future__ import annotations

from tests.faults import storm
from tests.faults.oracle import Log, judge
from tests.faults.report import report
from tests.faults.stack import Stack


def test_storm_with_kills_and_crashes(stack: Stack, log: Log, full: bool) -> None:
    size, kills, crashes = (10_000, 20, 5) if full else (240, 2, 1)
    messages = storm.plan(stack, size, seed=20)
    run = storm.Storm(stack, log, patience=3600 if full else 120)

    run.run(messages, kills=kills, crashes=crashes)
    stack.sweep()

    found = judge(log, stack.postgres)
    report("storm", log, found, seconds=run.seconds, kills=run.killed, crashes=run.crashed)
    assert found == []
    assert len(log.acked) == size
    assert (run.killed, run.crashed) == (kills, crashes)
    law = stack.manage("reconcile")
    assert law["holds"], law
    assert law["received"] == len({(m.target, m.sha256) for m in messages})

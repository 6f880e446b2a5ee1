"""Many senders at once, each of which sends until it is told that what it sent was kept."""

from __future__ import annotations

import http.client
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from pims import run
from pims.guard import die_with_me
from tests.faults import bodies
from tests.faults.oracle import KEPT, Log, Sent
from tests.faults.stack import Stack

GARBAGE = (b'{"Tests": [', b"\xff\xfe{}", b'{"Value": NaN}', b"[" * 65 + b"]" * 65)


def plan(stack: Stack, size: int, seed: int, *, fresh: str = "") -> list[Sent]:
    """`size` messages of four clinics: 10 % redelivered, 5 % corrected, 5 % orphans, 1 % garbage,
    1 % to another clinic's key. A tenth names another clinic in its body, which means nothing.
    `fresh` keeps the runs of two plans apart."""
    chance = random.Random(seed)
    planned: list[Sent] = []
    newest: dict[tuple[int, str], Sent] = {}
    for number in range(size):
        index = chance.randrange(len(stack.clinics))
        clinic = stack.clinics[index]
        lot, run = chance.random(), f"{fresh}run-{seed}-{number}"
        claims = chance.choice(stack.clinics)["public_id"] if chance.random() < 0.1 else ""
        known = [each for each in planned[-200:] if each.clinic == clinic["pk"]]
        runs = [each for each in known if each.kind in {"result", "correction"}]
        request = chance.choice(clinic["requests"])
        target = f"/api/labresults/{request['key']}"
        orphanage = f"/api/unmatchedlabresults/{clinic['public_id']}"
        made = Sent(
            number,
            clinic["pk"],
            target,
            bodies.result(clinic, request, run, claims=claims),
            "result",
            run,
            1,
            request["pk"],
        )
        if lot < 0.10 and known:
            made = replace(chance.choice(known), number=number)
        elif lot < 0.15 and runs:
            before = newest[clinic["pk"], chance.choice(runs).run]
            version = before.version + 1
            request = next(r for r in clinic["requests"] if r["pk"] == before.request)
            body = bodies.result(clinic, request, before.run, version=version, claims=claims)
            made = replace(before, number=number, body=body, kind="correction", version=version)
        elif lot < 0.20:
            body = bodies.result(clinic, None, run, external_id=run, claims=claims)
            made = replace(made, target=orphanage, body=body, kind="orphan", request=0)
        elif lot < 0.21:
            body = chance.choice(GARBAGE) + str(number).encode()
            made = replace(made, body=body, kind="garbage", run="", request=0)
        elif lot < 0.22:
            stranger = chance.choice([c for c in stack.clinics if c is not clinic])["requests"][0]
            made = replace(
                made, target=f"/api/labresults/{stranger['key']}", kind="stranger", request=0
            )
        if made.kind in {"result", "correction"}:
            newest[clinic["pk"], made.run] = max(
                made, newest.get((clinic["pk"], made.run), made), key=lambda each: each.version
            )
        planned.append(made)
    return planned


@dataclass
class Storm:
    """`kills` of web workers and of the whole web server, and `crashes` of the database, spread
    evenly over the messages. Run it from the main thread."""

    stack: Stack
    log: Log
    senders: int = 8
    patience: float = 900
    seconds: float = 0
    killed: int = 0
    crashed: int = 0
    _done: int = 0
    _sweep: subprocess.Popen[bytes] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, messages: Sequence[Sent], *, kills: int = 0, crashes: int = 0) -> None:
        chance = random.Random(len(messages))
        queue = iter(messages)
        began = time.monotonic()
        stop = began + self.patience
        threads = [
            threading.Thread(target=self._sender, args=(queue, stop), daemon=True)
            for _ in range(self.senders)
        ]
        for thread in threads:
            thread.start()
        faults = sorted(
            [(len(messages) * (i + 1) // (kills + 1), "kill") for i in range(kills)]
            + [(len(messages) * (2 * i + 1) // (2 * crashes), "crash") for i in range(crashes)]
        )
        while any(thread.is_alive() for thread in threads) and time.monotonic() < stop:
            time.sleep(0.02)
            self.stack.web.revive()
            while faults and self._done >= faults[0][0]:
                self._strike(faults.pop(0)[1], chance)
        for thread in threads:
            thread.join(30)
        if self._sweep:
            self._sweep.wait()
        self.seconds = time.monotonic() - began

    def _start_sweep(self) -> None:
        """The scheduler's, while senders send the same messages again."""
        if self._sweep is None or self._sweep.poll() is not None:
            self.stack.hurry()
            self._sweep = subprocess.Popen(
                [sys.executable, "manage.py", "sweep"],
                env=self.stack.env,
                cwd=run.ROOT,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                preexec_fn=die_with_me(),
            )

    def _strike(self, fault: str, chance: random.Random) -> None:
        if fault == "crash":
            self.stack.postgres.crash()
            time.sleep(0.3)
            self.stack.postgres.start()
            self.crashed += 1
            self._start_sweep()
            return
        if self.killed % 5 == 4:  # the master and all its workers at once
            self.stack.web.kill_all()
            self.stack.web.revive()
        else:
            while not self.stack.web.kill_one(chance):
                self.stack.web.revive()
                time.sleep(0.05)
        self.killed += 1
        if self.killed % 4 == 0:
            self._start_sweep()

    def _sender(self, queue: Iterator[Sent], stop: float) -> None:
        connection = self.stack.connect()
        while time.monotonic() < stop:
            with self._lock:
                message = next(queue, None)
            if message is None:
                break
            connection = deliver(self.stack, self.log, message, connection, stop)
            with self._lock:
                self._done += 1
        connection.close()


def deliver(
    stack: Stack,
    log: Log,
    message: Sent,
    connection: http.client.HTTPConnection,
    stop: float,
    again: Callable[[], bool] = lambda: True,
) -> http.client.HTTPConnection:
    """Send it until it is kept. Returns the connection that is good now."""
    clinic = next(i for i, c in enumerate(stack.clinics) if c["pk"] == message.clinic)
    log.sending(message)
    while time.monotonic() < stop:
        try:
            answer = stack.post(message.target, message.body, clinic=clinic, connection=connection)
        except (OSError, http.client.HTTPException):
            log.cut()
            connection.close()
            connection = stack.connect()
            time.sleep(0.1)
        else:
            log.answered(message, answer.status, answer.receipt, answer.headers.get("retry-after"))
            if answer.status in KEPT:
                break
            time.sleep(0.2)  # Retry-After says 30 s; an impatient sender is the harder case
        if not again():
            break
    return connection

"""The DCU and its analyzers: side by side, one test at a time on each, one message from each."""

from __future__ import annotations

import logging
import queue
import random
import threading
import time
from itertools import groupby

from .bodies import message, preliminary, run_id, test_block, with_printed_report
from .catalogue import LabTest
from .cloud import Cloud, Item, Json, Order, delivery_of, new_message_id, now
from .courier import Courier
from .draw import Draw

logger = logging.getLogger(__name__)

PRELIMINARY_AT = 0.6  # share of a test's time after which its first rows are known

Job = tuple[Order, list[tuple[Item, LabTest]]]
Jobs = queue.SimpleQueue[Job | None]  # None: go home


class Dcu:
    """Hands the worklist to the analyzers; a clinic has one of each model."""

    def __init__(self, cloud: Cloud, courier: Courier) -> None:
        self._cloud = cloud
        self._courier = courier
        self._queues: dict[tuple[str, str], Jobs] = {}
        self._lock = threading.Lock()

    def run(self, order: Order) -> None:
        """Start the tests of an order, each on its analyzer."""
        wanted = [(item, item.test) for item in order.items if item.test]
        wanted.sort(key=lambda pair: (pair[1].model, pair[0].sequence))
        for model, group in groupby(wanted, key=lambda pair: pair[1].model):
            self._queue(order.clinic.clinic_id, model).put((order, list(group)))

    def close(self) -> None:
        """Let the analyzers go, each after what it has at hand."""
        with self._lock:
            for jobs in self._queues.values():
                jobs.put(None)

    def _queue(self, clinic_id: str, model: str) -> Jobs:
        with self._lock:
            if (clinic_id, model) not in self._queues:
                jobs: Jobs = queue.SimpleQueue()
                self._queues[clinic_id, model] = jobs
                threading.Thread(
                    target=self._work, args=(jobs,), name=f"{clinic_id} {model}", daemon=True
                ).start()
            return self._queues[clinic_id, model]

    def _work(self, jobs: Jobs) -> None:
        while job := jobs.get():
            order, tests = job
            try:
                self._run(order, tests)
            except Exception:
                logger.exception("analyzer broke on %s", order.lab_report_id)
                for item, _ in tests:
                    self._cloud.set_state(item, "failed")

    def _run(self, order: Order, tests: list[tuple[Item, LabTest]]) -> None:
        blocks: list[Json] = []
        for item, test in tests:
            self._cloud.set_state(item, "running")
            draw = _draw(self._cloud, order, item)
            block = _block(order, item, test, draw)
            seconds = self._seconds(order, item)
            if test.preliminary and not blocks:
                time.sleep(seconds * PRELIMINARY_AT)
                self._send(order, "Preliminary", [preliminary(block)], None)
                seconds *= 1 - PRELIMINARY_AT
            time.sleep(seconds)
            blocks.append(block)
        for item, _ in tests:
            self._cloud.set_state(item, "done")
        self._send(order, "Final", blocks, draw)

    def _seconds(self, order: Order, item: Item) -> float:
        script = self._cloud.script
        key = f"{script.seed}|time|{order.lab_report_id}|{item.sequence}"
        return random.Random(key).uniform(*script.delay_seconds)  # noqa: S311 - a waiting time

    def _send(self, order: Order, status: str, blocks: list[Json], printed: Draw | None) -> None:
        running = any(item.state in ("waiting", "running") for item in order.items)
        built = message(
            message_id=new_message_id(),
            lab_report_id=order.lab_report_id,
            heska_report_id=order.heska_report_id,
            version=self._cloud.next_version(order.heska_report_id),
            status=status,
            clinic_id=order.clinic_id,
            reported_at=now(),
            people=order.people,
            tests=blocks,
            comments=["More of this request is still running"] if running else None,
        )
        if printed:
            built = with_printed_report(built, printed)
        self._courier.send(delivery_of(built, order.endpoint, "result", order.clinic))


def _draw(cloud: Cloud, order: Order, item: Item) -> Draw:
    patient = order.people.get("Patient") or {}
    return Draw(
        seed=cloud.script.seed,
        animal=f"{order.clinic.clinic_id}|{patient.get('PatientId')}|{order.species}",
        run=f"{order.lab_report_id}|{item.sequence}",
    )


def _block(order: Order, item: Item, test: LabTest, draw: Draw) -> Json:
    started = now().astimezone(order.zone)
    return test_block(
        test=test,
        species=order.species,
        draw=draw,
        clinic_id=order.clinic.clinic_id,
        ident=run_id(test, order.heska_report_id, item.sequence, started),
        run_at=started.isoformat(timespec="seconds"),
        ordered=item.ordered,
    )

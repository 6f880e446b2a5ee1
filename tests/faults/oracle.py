"""What was sent and what was answered, in a file of its own, and the judgement of the database by
it. Knows the tables and nothing of the application: it must not share its mistakes."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.faults.postgres import Postgres

KEPT = {200, 201, 202, 400}  # 400: not JSON, but its bytes are kept and the answer names a receipt


@dataclass(frozen=True)
class Sent:
    """One message as the sender means it. `run` is empty where no result is to be made of it."""

    number: int
    clinic: int  # the primary key of the clinic whose token it is sent with
    target: str
    body: bytes
    kind: str  # result, correction, orphan, stranger, garbage
    run: str = ""
    version: int = 1
    request: int = 0  # primary key; 0 where it belongs to none

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.body).hexdigest()


class Log:
    """Append-only and flushed to the disk before anything is sent."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._lock = threading.Lock()
        self.sent: dict[int, Sent] = {}
        self.acked: dict[int, set[str]] = defaultdict(set)  # receipts by number
        self.deliveries: Counter[int] = Counter()  # answered 2xx or kept
        self.statuses: Counter[str] = Counter()
        self.wrong: list[str] = []

    def sending(self, message: Sent) -> None:
        written = asdict(message) | {"body": message.body.hex(), "sha256": message.sha256}
        self._write({"sending": written})
        with self._lock:
            self.sent[message.number] = message

    def answered(self, message: Sent, status: int, receipt: str, retry_after: str | None) -> None:
        self._write({"answered": message.number, "status": status, "receipt": receipt})
        with self._lock:
            self.statuses[str(status)] += 1
            if status == 503 and not retry_after:
                self.wrong.append(f"{message.number}: 503 without Retry-After")
            elif status >= 500 and status != 503:
                self.wrong.append(f"{message.number}: answered {status}")
            if status in KEPT:
                self.deliveries[message.number] += 1
                self.acked[message.number].add(receipt)

    def cut(self) -> None:
        """The connection broke: nobody knows what became of it."""
        with self._lock:
            self.statuses["cut"] += 1

    def close(self) -> None:
        os.close(self._file)

    def _write(self, line: dict[str, Any]) -> None:
        os.write(self._file, json.dumps(line).encode() + b"\n")
        os.fdatasync(self._file)


def judge(log: Log, postgres: Postgres) -> list[str]:
    """Everything that is not as it must be; empty when all is well. After the last sweep."""
    return [*log.wrong, *_journal(log, postgres), *_results(log, postgres), *_audit(log, postgres)]


def _journal(log: Log, postgres: Postgres) -> list[str]:
    """What was acknowledged is stored, byte for byte, once, for the sender's own clinic."""
    found: list[str] = []
    rows: dict[tuple[str, str], list[tuple[Any, ...]]] = defaultdict(list)
    for row in postgres.query(
        "SELECT target, sha256, raw, clinic_id, receipt_id, state, redeliveries FROM labs_message "
        "WHERE direction = 'in' AND parent_id IS NULL"
    ):
        rows[row[0], row[1]].append(row)
    known = {(sent.target, sent.sha256): sent for sent in log.sent.values()}
    deliveries: Counter[tuple[str, str]] = Counter()
    for number, count in log.deliveries.items():
        deliveries[log.sent[number].target, log.sent[number].sha256] += count
    for number, receipts in log.acked.items():
        sent = log.sent[number]
        stored = rows.get((sent.target, sent.sha256), [])
        if not stored:
            found.append(f"lost: {number} ({sent.kind}) was acknowledged")
        for _, _, raw, clinic, receipt, _, _ in stored:
            if bytes(raw) != sent.body:
                found.append(f"altered: {number}")
            if clinic != sent.clinic:
                found.append(f"wrong clinic: {number} was sent by {sent.clinic}, kept for {clinic}")
            if receipts != {receipt}:
                found.append(f"receipts differ: {number} got {receipts}, stored is {receipt}")
    for key, stored in rows.items():
        if key not in known:
            found.append(f"never sent: {stored[0][4]}")
            continue
        if len(stored) > 1:
            found.append(f"twice: {known[key].number} has {len(stored)} rows")
        if stored[0][5] == "received":
            found.append(f"pending after the sweep: {known[key].number}")
        if stored[0][6] + 1 < deliveries[key]:
            found.append(f"miscounted: {known[key].number}")
    return found


def _results(log: Log, postgres: Postgres) -> list[str]:
    """Each run stands once, on the request it was sent for, and its newest version is current."""
    found: list[str] = []
    expected: dict[tuple[int, str], set[int]] = defaultdict(set)
    place: dict[tuple[int, str], tuple[int, str]] = {}
    for number in log.acked:
        sent = log.sent[number]
        if sent.run:
            expected[sent.clinic, sent.run].add(sent.version)
            place[sent.clinic, sent.run] = (sent.request, sent.kind)
    stored: dict[tuple[int, str], list[tuple[Any, ...]]] = defaultdict(list)
    for row in postgres.query(
        "SELECT t.clinic_id, t.run_key, t.request_id, t.unmatched_id, "
        "array_agg(r.report_version ORDER BY r.report_version), "
        "array_agg(r.report_version) FILTER (WHERE r.current) "
        "FROM labs_testrun t JOIN labs_labresult r ON r.run_id = t.id GROUP BY t.id"
    ):
        stored[row[0], row[1]].append(row)
    sent_runs = {(sent.clinic, sent.run) for sent in log.sent.values() if sent.run}
    found += [f"a run that nobody sent: {run}" for run in stored.keys() - sent_runs]
    for run, versions in expected.items():
        rows = stored.get(run, [])
        if len(rows) != 1:
            found.append(f"{run} is there {len(rows)} times")
            continue
        _, _, request, unmatched, held, current = rows[0]
        if held != sorted(versions):
            found.append(f"{run} has versions {held}, sent were {sorted(versions)}")
        if current != [max(versions)]:
            found.append(f"{run} shows version {current}, newest is {max(versions)}")
        wanted, kind = place[run]
        if (request or 0) != wanted or bool(unmatched) != (not wanted):
            found.append(f"{run} ({kind}) is on request {request}, sent for {wanted or 'none'}")
    return found


def _audit(log: Log, postgres: Postgres) -> list[str]:
    """One event for each filed message, and one for each orphan."""
    filed = {
        (sent.target, sent.sha256): sent.request
        for number in log.acked
        if (sent := log.sent[number]).request
    }
    wanted = Counter(filed.values())
    events = dict(
        postgres.query(
            "SELECT request_id, count(*) FROM labs_labevent WHERE verb = 'result.filed' GROUP BY 1"
        )
    )
    found = [
        f"request {request}: {wanted[request]} filings, {events.get(request, 0)} in the audit"
        for request in wanted.keys() | events.keys()
        if wanted[request] != events.get(request, 0)
    ]
    orphans, noted = postgres.query(
        "SELECT (SELECT count(*) FROM labs_unmatchedresult), "
        "(SELECT count(DISTINCT unmatched_id) FROM labs_labevent "
        "WHERE verb = 'unmatched.received')"
    )[0]
    if orphans != noted:
        found.append(f"{orphans} orphans, {noted} in the audit")
    return found

"""What Heska Vet Cloud remembers: clinics, worklist, sent messages. Thread-safe and bounded."""

from __future__ import annotations

import datetime
import itertools
import secrets
import threading
import uuid
from collections import Counter, OrderedDict, deque
from dataclasses import dataclass, field
from typing import Any

from .bodies import encode
from .catalogue import LabTest
from .script import Clinic, Script

Json = dict[str, Any]

KEPT = 1_000  # newest orders and deliveries on the page
KEPT_IDS = 100_000  # report ids known for the 409 and for version numbers
_EPOCH = datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC)


def now() -> datetime.datetime:
    """The time, aware, in UTC."""
    return datetime.datetime.now(datetime.UTC)


@dataclass
class Item:
    """A test on the worklist: `waiting`, `running`, `done`, `rejected` or `failed`."""

    ordered: Json
    test: LabTest | None
    sequence: int
    state: str


@dataclass
class Order:
    """A lab report request that was taken."""

    clinic: Clinic
    lab_report_id: str
    heska_report_id: str
    endpoint: str = field(repr=False)
    clinic_id: str
    species: str
    people: Json
    zone: datetime.tzinfo
    items: list[Item]
    received_at: datetime.datetime = field(default_factory=now)


@dataclass
class Delivery:
    """A message to a PIMS: `waiting`, `sending`, `retrying`, `delivered`, `gave up` or `lost`.

    By a fault: `held` until another message of its report is there, or to be `broken_off` once.
    """

    clinic: Clinic
    kind: str
    url: str = field(repr=False)
    body: bytes = field(repr=False)
    message_id: str
    lab_report_id: str | None
    heska_report_id: str
    summary: str
    created_at: datetime.datetime = field(default_factory=now)
    state: str = "waiting"
    attempts: int = 0
    http_status: int | None = None
    receipt_id: str | None = None
    receipt_status: str | None = None
    error: str | None = None
    next_at: datetime.datetime | None = None
    tried: threading.Event = field(default_factory=threading.Event, repr=False)
    held: bool = False
    broken_off: bool = False


def delivery_of(built: Json, url: str, kind: str, clinic: Clinic) -> Delivery:
    """A message ready to be sent."""
    names = ", ".join(str(block["TestName"]) for block in built["Tests"])
    return Delivery(
        clinic=clinic,
        kind=kind,
        url=url,
        body=encode(built),
        message_id=built["MessageId"],
        lab_report_id=built["LabReportId"],
        heska_report_id=built["HeskaReportId"],
        summary=f"{names} · {built['Status']} · version {built['ReportVersion']}",
    )


def copy_of(sent: Delivery) -> Delivery:
    """The same message once more, byte for byte, to where it went."""
    return Delivery(
        clinic=sent.clinic,
        kind="resend",
        url=sent.url,
        body=sent.body,
        message_id=sent.message_id,
        lab_report_id=sent.lab_report_id,
        heska_report_id=sent.heska_report_id,
        summary=sent.summary,
    )


class Cloud:
    """The state. `lock` guards everything that changes; hold it briefly and never across a call."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.secret = secrets.token_bytes(32)
        self.lock = threading.Lock()
        self.counts: Counter[str] = Counter()
        self.orders: deque[Order] = deque(maxlen=KEPT)
        self.deliveries: deque[Delivery] = deque(maxlen=KEPT)
        self._clinics = {clinic.clinic_id: clinic for clinic in script.clinics}
        self._reports: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._versions: OrderedDict[str, int] = OrderedDict()
        # Grows over restarts too, so that a report id is not used for two reports of one clinic.
        self._numbers = itertools.count(int((now() - _EPOCH).total_seconds() * 10))

    def clinics(self) -> list[Clinic]:
        """All clinics, in the order in which they came."""
        with self.lock:
            return list(self._clinics.values())

    def clinic(self, clinic_id: str) -> Clinic | None:
        """The clinic with this public id."""
        with self.lock:
            return self._clinics.get(clinic_id)

    def clinic_of_client(self, client_id: str) -> Clinic | None:
        """The clinic that was given this client id."""
        return next((each for each in self.clinics() if each.client_id == client_id), None)

    def add_clinic(self, clinic: Clinic) -> bool:
        """Take up a clinic; False if its id or client id is already there."""
        with self.lock:
            ids = {(c.clinic_id, c.client_id) for c in self._clinics.values()}
            if any(clinic.clinic_id == a or clinic.client_id == b for a, b in ids):
                return False
            self._clinics[clinic.clinic_id] = clinic
            return True

    def known_report(self, clinic: Clinic, lab_report_id: str) -> str | None:
        """The Heska report id that this request was given before."""
        with self.lock:
            known = self._reports.get((clinic.clinic_id, lab_report_id))
            self.counts["duplicate_orders"] += known is not None
            return known

    def take(self, order: Order) -> str | None:
        """Put an order on the worklist; the id it already has, if another thread was faster."""
        key = (order.clinic.clinic_id, order.lab_report_id)
        with self.lock:
            if key in self._reports:
                self.counts["duplicate_orders"] += 1
                return self._reports[key]
            self._reports[key] = order.heska_report_id
            _trim(self._reports)
            self.orders.append(order)
            self.counts["orders"] += 1
            return None

    def endpoint_of(self, clinic_id: str) -> str | None:
        """Where the results of that clinic's newest request go."""
        with self.lock:
            found = (o.endpoint for o in reversed(self.orders) if o.clinic.clinic_id == clinic_id)
            return next(found, None)

    def new_report_id(self) -> str:
        """A Heska report id."""
        with self.lock:
            return str(next(self._numbers))

    def next_version(self, heska_report_id: str, at_least: int = 1) -> int:
        """The next ReportVersion: it grows with each message of a report."""
        with self.lock:
            version = max(self._versions.get(heska_report_id, 0) + 1, at_least)
            self._versions[heska_report_id] = version
            self._versions.move_to_end(heska_report_id)
            _trim(self._versions)
            return version

    def log(self, delivery: Delivery) -> Delivery:
        """Remember a message that is to be sent."""
        with self.lock:
            self.deliveries.append(delivery)
            self.counts["deliveries"] += 1
        return delivery

    def sent(self, message_id: str) -> Delivery | None:
        """The newest delivery of this message."""
        with self.lock:
            found = (each for each in reversed(self.deliveries) if each.message_id == message_id)
            return next(found, None)

    def set_state(self, thing: Item | Delivery, state: str) -> None:
        """Move an item or a delivery on."""
        with self.lock:
            thing.state = state
            if isinstance(thing, Delivery) and state in ("delivered", "gave up"):
                self.counts[state.replace(" ", "_")] += 1

    def snapshot(self) -> Json:
        """Everything as JSON, newest first, without secrets."""
        with self.lock:
            return {
                "clinics": list(self._clinics),
                "counts": dict(self.counts),
                "worklist": [_order(each) for each in reversed(self.orders)],
                "deliveries": [_delivery(each) for each in reversed(self.deliveries)],
            }


def new_message_id() -> str:
    """A message id; never seeded, as no two runs may share one."""
    return str(uuid.uuid4())


def _trim(kept: OrderedDict[Any, Any]) -> None:
    while len(kept) > KEPT_IDS:
        kept.popitem(last=False)


def _order(order: Order) -> Json:
    patient = order.people.get("Patient") or {}
    return {
        "clinic_id": order.clinic.clinic_id,
        "lab_report_id": order.lab_report_id,
        "heska_report_id": order.heska_report_id,
        "received_at": order.received_at.isoformat(),
        "patient_id": patient.get("PatientId"),
        "patient_name": patient.get("Name"),
        "species": order.species,
        "tests": [
            {
                "test_request_id": item.ordered.get("TestRequestId"),
                "test_code": item.ordered.get("TestCode"),
                "analyzer": item.test.model if item.test else None,
                "state": item.state,
            }
            for item in order.items
        ],
    }


def _delivery(delivery: Delivery) -> Json:
    return {
        "message_id": delivery.message_id,
        "kind": delivery.kind,
        "clinic_id": delivery.clinic.clinic_id,
        "url": delivery.url,
        "lab_report_id": delivery.lab_report_id,
        "heska_report_id": delivery.heska_report_id,
        "summary": delivery.summary,
        "status": delivery.state,
        "attempts": delivery.attempts,
        "http_status": delivery.http_status,
        "receipt_id": delivery.receipt_id,
        "receipt_status": delivery.receipt_status,
        "error": delivery.error,
        "created_at": delivery.created_at.isoformat(),
        "next_at": delivery.next_at.isoformat() if delivery.next_at else None,
        "bytes": len(delivery.body),
    }

"""Delivers messages to a PIMS: gets its token, posts, and tries again until a 2xx or too late."""

from __future__ import annotations

import datetime
import email.utils
import heapq
import io
import itertools
import json
import logging
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import requests

from . import mishaps
from .cloud import Cloud, Delivery, now
from .faults import Faults
from .rules import MESSAGES
from .script import Clinic

logger = logging.getLogger(__name__)

WORKERS = 8
BACKOFF = (1, 2, 5, 10, 20, 40, 60, 60, 60)  # seconds before each further attempt
LONGEST_WAIT = 120.0  # seconds; a longer Retry-After is taken for this
TIMEOUT = (5, 15)  # seconds to connect, and for each read
TOTAL = 30.0  # seconds for a whole answer
REPLY_LIMIT = 64 * 1024


@dataclass(frozen=True)
class Reply:
    """What a PIMS answered; `body` is cut at REPLY_LIMIT."""

    status: int
    retry_after: float | None
    body: bytes

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300


class NoToken(Exception):
    """The PIMS gave no token; `reply` is what it said."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(f"no token: HTTP {reply.status}")
        self.reply = reply


class Courier:
    """Deliveries wait in a heap by due time; messages of one report go one after the other."""

    def __init__(self, cloud: Cloud, faults: Faults) -> None:
        self._cloud = cloud
        self._faults = faults
        self._tokens = PimsTokens()
        self._heap: list[tuple[float, int, Delivery]] = []
        self._numbers = itertools.count()
        self._busy: set[str] = set()
        self._changed = threading.Condition()
        self._closed = False
        for i in range(WORKERS):
            threading.Thread(target=self._work, name=f"courier-{i}", daemon=True).start()

    def send(self, delivery: Delivery) -> None:
        """Log a message and deliver it as soon as possible, unless a fault has other plans."""
        rule = None
        if delivery.kind in MESSAGES and self._faults:
            rule = self._faults.choose(mishaps.event_of(delivery))
        for each, wait in mishaps.planned(self._cloud, delivery, rule):
            self._put(self._cloud.log(each), wait)

    def close(self) -> None:
        """Let the workers go; what was not delivered stays so."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _put(self, delivery: Delivery, wait: float) -> None:
        with self._changed:
            heapq.heappush(self._heap, (time.monotonic() + wait, next(self._numbers), delivery))
            self._changed.notify()

    def _let_go(self, heska_report_id: str) -> None:
        """Send what was held until another message of its report is there."""
        with self._changed:
            for i, (_, number, each) in enumerate(self._heap):
                if each.held and each.heska_report_id == heska_report_id:
                    self._heap[i] = (0.0, number, each)
            heapq.heapify(self._heap)
            self._changed.notify_all()

    def _next(self) -> Delivery | None:
        with self._changed:
            while not self._closed:
                passed, found = [], None
                while self._heap and self._heap[0][0] <= time.monotonic():
                    entry = heapq.heappop(self._heap)
                    if entry[2].heska_report_id not in self._busy:
                        found = entry[2]
                        break
                    passed.append(entry)
                wait = self._heap[0][0] - time.monotonic() if self._heap else None
                for entry in passed:
                    heapq.heappush(self._heap, entry)
                if found:
                    self._busy.add(found.heska_report_id)
                    return found
                self._changed.wait(max(0.0, wait) if wait is not None else None)
            return None

    def _work(self) -> None:
        session = requests.Session()
        session.trust_env = False
        while delivery := self._next():
            try:
                self._attempt(session, delivery)
            except Exception:
                logger.exception("delivery of %s broke", delivery.message_id)
                self._cloud.set_state(delivery, "gave up")
            finally:
                delivery.tried.set()
                with self._changed:
                    self._busy.discard(delivery.heska_report_id)
                    self._changed.notify_all()

    def _attempt(self, session: requests.Session, delivery: Delivery) -> None:
        self._cloud.set_state(delivery, "sending")
        delivery.attempts += 1
        delivery.next_at = None
        reply: Reply | None = None
        try:
            reply = self._post(session, delivery)
            error = None if reply.ok else f"HTTP {reply.status}"
        except NoToken as refusal:
            reply, error = refusal.reply, str(refusal)
        except (requests.RequestException, TimeoutError) as failure:
            error = type(failure).__name__
        delivery.http_status = reply.status if reply else None
        delivery.error = error
        if reply:
            delivery.receipt_id, delivery.receipt_status = receipt(reply.body)
        log = logger.info if error is None else logger.warning
        log(
            "%s %s: %s", delivery.kind, delivery.message_id, error or f"HTTP {delivery.http_status}"
        )
        if error is None:
            self._cloud.set_state(delivery, "delivered")
            self._let_go(delivery.heska_report_id)
        elif delivery.attempts > len(BACKOFF):
            self._cloud.set_state(delivery, "gave up")
        else:
            asked = reply.retry_after if reply else None
            wait = BACKOFF[delivery.attempts - 1] if asked is None else min(asked, LONGEST_WAIT)
            delivery.next_at = now() + datetime.timedelta(seconds=wait)
            self._cloud.set_state(delivery, "retrying")
            self._put(delivery, wait)

    def _post(self, session: requests.Session, delivery: Delivery) -> Reply:
        token = self._tokens.get(session, delivery.clinic)
        reply = _post_result(session, delivery, token)
        if reply.status == 401:
            self._tokens.drop(delivery.clinic, token)
            reply = _post_result(session, delivery, self._tokens.get(session, delivery.clinic))
        return reply


class PimsTokens:
    """The tokens that PIMS gave Heska, one a clinic, kept until shortly before they expire."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[str, float]] = {}
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def get(self, session: requests.Session, clinic: Clinic) -> str:
        """A token that is good now.

        Raises NoToken, requests.RequestException.
        """
        with self._locks[clinic.clinic_id]:
            token, until = self._kept.get(clinic.clinic_id, ("", 0.0))
            if time.monotonic() < until:
                return token
            form = {
                "grant_type": "client_credentials",
                "client_id": clinic.pims.client_id,
                "client_secret": clinic.pims.client_secret,
            }
            reply = call(session, clinic.pims.token_url, data=form)
            token, lifetime = _read_token(reply)
            self._kept[clinic.clinic_id] = (token, time.monotonic() + max(0, lifetime - 30))
            return token

    def drop(self, clinic: Clinic, token: str) -> None:
        """Forget a token that was refused, unless another thread has already replaced it."""
        with self._locks[clinic.clinic_id]:
            if self._kept.get(clinic.clinic_id, ("", 0.0))[0] == token:
                del self._kept[clinic.clinic_id]


def call(
    session: requests.Session,
    url: str,
    *,
    data: dict[str, str] | bytes | BrokenOff,
    headers: dict[str, str] | None = None,
) -> Reply:
    """The only way out of this program: one POST, certificate checked, no redirect followed.

    Raises requests.RequestException, TimeoutError.
    """
    deadline = time.monotonic() + TOTAL
    with session.post(
        url,
        data=data,
        headers=headers,
        timeout=TIMEOUT,
        allow_redirects=False,
        stream=True,
        verify=True,
    ) as response:
        body = b""
        for part in response.iter_content(8192):
            body += part
            if len(body) >= REPLY_LIMIT:
                break
            if time.monotonic() > deadline:
                raise TimeoutError(f"no whole answer within {TOTAL:.0f} s")
        wait = read_retry_after(response.headers.get("Retry-After"), now())
        return Reply(response.status_code, wait, body[:REPLY_LIMIT])


def read_retry_after(text: str | None, moment: datetime.datetime) -> float | None:
    """Seconds to wait (RFC 9110, 10.2.3: seconds or a date); None if there is nothing to read."""
    if text is None:
        return None
    if text.strip().isdecimal():
        return float(text)
    try:
        date = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    aware = date if date.tzinfo else date.replace(tzinfo=datetime.UTC)
    return max(0.0, (aware - moment).total_seconds())


def receipt(body: bytes) -> tuple[str | None, str | None]:
    """ReceiptId and Status of an answer, as far as it has them."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return None, None
    if not isinstance(data, dict):
        return None, None
    found = (data.get("ReceiptId"), data.get("Status"))
    ident, status = (each if isinstance(each, str) else None for each in found)
    return ident, status


def _post_result(session: requests.Session, delivery: Delivery, token: str) -> Reply:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    body: bytes | BrokenOff = delivery.body
    if delivery.broken_off:
        delivery.broken_off = False
        body = BrokenOff(delivery.body)
    return call(session, delivery.url, data=body, headers=headers)


class BrokenOff:
    """A body that promises its whole length and ends in the middle, with the connection."""

    def __init__(self, whole: bytes) -> None:
        self._length = len(whole)
        self._half = io.BytesIO(whole[: len(whole) // 2])

    def __len__(self) -> int:
        return self._length

    def read(self, size: int = -1) -> bytes:
        part = self._half.read(size)
        if not part:
            raise ConnectionAbortedError("broken off by a fault")
        return part

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._half)


def _read_token(reply: Reply) -> tuple[str, float]:
    try:
        data = json.loads(reply.body)
        token, lifetime = data["access_token"], float(data.get("expires_in", 600))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise NoToken(reply) from error
    if not reply.ok or not isinstance(token, str) or not token.isascii() or not token.isprintable():
        raise NoToken(reply)
    return token, lifetime

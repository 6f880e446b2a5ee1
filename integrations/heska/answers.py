"""What Heska's answer to a call means (contract, "Heska answers"): pure, no HTTP, no database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from integrations.heska.wire import outbound

TRANSIENT = {408, 425, 429}


class HeskaError(Exception):
    """A call that did not succeed. `str()` is one sentence for staff, `words` what Heska said,
    `reply` its bytes.

    `permanent`: the same call would fail again, so a person must act; else it is sent again later,
    and `outcome_unknown` says that it may have arrived. `set_up`: credentials, key or address are
    to be mended, the order itself is not refused; `stops_clinic`: no order of this clinic can get
    through before that; `credentials`: it is the clinic's pair that is refused, not the operator's
    key. `stale_token`: a 401 that a new token may mend.
    """

    def __init__(
        self,
        sentence: str,
        *,
        permanent: bool,
        words: str = "",
        outcome_unknown: bool = False,
        retry_after: timedelta | None = None,
        not_sooner: timedelta = timedelta(0),
        set_up: bool = False,
        stops_clinic: bool = False,
        stale_token: bool = False,
        credentials: bool = False,
    ) -> None:
        super().__init__(sentence)
        self.permanent = permanent
        self.words = words
        self.outcome_unknown = outcome_unknown
        self.retry_after = retry_after
        self.not_sooner = not_sooner
        self.set_up = set_up
        self.stops_clinic = stops_clinic
        self.stale_token = stale_token
        self.credentials = credentials
        self.status: int | None = None
        self.reply = b""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """`body` as it came, never unpacked: nothing but plain bytes was asked for."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def packed(self) -> bool:
        return self.headers.get("content-encoding", "identity").strip().lower() != "identity"

    @property
    def is_page(self) -> bool:
        kind = self.headers.get("content-type", "")
        return outbound.is_html(self.body) or bool(self.body and "html" in kind.lower())


def refuses_key(reply: Reply) -> bool:
    if reply.status not in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return False
    if reply.packed or reply.is_page:
        return False
    words = outbound.error_words(reply.body).casefold()
    return "subscription key" in words and "quota" not in words


def refusal(reply: Reply, *, token_call: bool = False) -> HeskaError:
    return said(reply, _meaning(reply, token_call=token_call))


def said(reply: Reply, error: HeskaError) -> HeskaError:
    error.status, error.reply = reply.status, reply.body
    return error


def _meaning(reply: Reply, *, token_call: bool) -> HeskaError:
    """The contract's table "Heska answers", and example 05's bodies."""
    words = "" if reply.packed else outbound.error_words(reply.body)
    status = reply.status
    if 300 <= status < 400 or (status == HTTPStatus.NOT_FOUND and not reply.is_page):
        return HeskaError(
            "Heska's address or path is wrong. The operator checks HESKA_BASE_URL and the paths.",
            permanent=True,
            words=words,
            set_up=True,
        )
    # Below 200 it is no answer to an order at all (RFC 9110, 15.2).
    if status in TRANSIENT or status >= 500 or status < 200:
        return HeskaError(
            "Heska is busy." if status == 429 else f"Heska is not available (error {status}).",
            permanent=False,
            words=words,
            outcome_unknown=status >= 500 or status < 200 or status == 408,
            retry_after=retry_after(reply),
        )
    if reply.is_page:
        # Not Heska's: it answers in JSON or plain text. A page says nothing of clinic or order.
        return HeskaError(
            f"Something between us and Heska answered with a web page (error {status}).",
            permanent=False,
            retry_after=retry_after(reply),
        )
    if refuses_key(reply):
        return HeskaError(
            "Heska does not accept the subscription key. The operator sets HESKA_SUBSCRIPTION_KEY.",
            permanent=True,
            words=words,
            set_up=True,
            stops_clinic=True,
        )
    if status == HTTPStatus.FORBIDDEN and "quota" in words.casefold():
        return HeskaError(
            "The quota with Heska is used up.",
            permanent=False,
            words=words,
            retry_after=retry_after(reply),
        )
    if token_call or status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return HeskaError(
            "Heska refuses this clinic's credentials. An administrator enters the client id and "
            "secret again.",
            permanent=True,
            words=words,
            set_up=True,
            stops_clinic=True,
            stale_token=status == HTTPStatus.UNAUTHORIZED and not token_call,
            credentials=True,
        )
    return HeskaError("Heska refused the order.", permanent=True, words=words)


def retry_after(reply: Reply) -> timedelta | None:
    """`Retry-After` in seconds or as a date (RFC 9110, 10.2.3), clamped to 1 s … 1 h."""
    text = reply.headers.get("retry-after", "").strip()
    if not text:
        return None
    try:
        if text.isascii() and text.isdecimal():
            seconds = float(text)
        else:
            seconds = (_moment(text) - _their_now(reply)).total_seconds()
    except (ValueError, OverflowError):
        return None
    return timedelta(seconds=min(max(seconds, 1.0), 3600.0))


def _their_now(reply: Reply) -> datetime:
    """By the answer's own `Date`: their clock and ours may be a day apart."""
    try:
        return _moment(reply.headers.get("date", ""))
    except (ValueError, OverflowError):
        return datetime.now(UTC)


def _moment(text: str) -> datetime:
    moment = parsedate_to_datetime(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

"""The only caller of Heska's addresses. Knows HTTP and which answer means what, and no database."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError

from integrations.heska.conf import Endpoint
from integrations.heska.wire import outbound
from labs.order import Receipt

CONNECT_SECONDS = 5
READ_SECONDS = 15
TOTAL_SECONDS = 30
MAX_REPLY = 1024 * 1024
LOOPBACK = {"localhost", "127.0.0.1", "::1"}
TRANSIENT = {408, 425, 429}


class HeskaError(Exception):
    """A call that did not succeed. `str()` is one sentence for staff, `words` what Heska said.

    `permanent`: the same call would fail again, so a person must act; else it is sent again later,
    and `outcome_unknown` says that it may have arrived. `set_up`: credentials, key or address are
    to be mended, the order itself is not refused. `stale_token`: a 401 that a new token may mend.
    """

    def __init__(
        self,
        sentence: str,
        *,
        permanent: bool,
        words: str = "",
        outcome_unknown: bool = False,
        retry_after: timedelta | None = None,
        set_up: bool = False,
        stale_token: bool = False,
    ) -> None:
        super().__init__(sentence)
        self.permanent = permanent
        self.words = words
        self.outcome_unknown = outcome_unknown
        self.retry_after = retry_after
        self.set_up = set_up
        self.stale_token = stale_token
        self.status: int | None = None


@dataclass(frozen=True, kw_only=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes


def get_token(endpoint: Endpoint, *, client_id: str, client_secret: str) -> tuple[str, datetime]:
    """A bearer token and when it ends. Raises HeskaError."""
    content_type, body = outbound.token_body(endpoint.token_encoding, client_id, client_secret)
    reply = _post(endpoint, endpoint.token_path, body, {"Content-Type": content_type})
    if not 200 <= reply.status < 300:
        raise _refusal(reply, token_call=True)
    token = outbound.read_token(reply.body, time.time())
    if token is None:
        raise HeskaError(
            "Heska answered the request for a token with something that holds none.",
            permanent=False,
            words=outbound.error_words(reply.body),
        )
    return token[0], datetime.fromtimestamp(token[1], UTC)


def submit(
    endpoint: Endpoint, *, token: str, lab_report_id: str, body: str
) -> tuple[Reply, outbound.Answer]:
    """Send one order. A 409 is an acceptance: it is already there. Raises HeskaError."""
    reply = _post(
        endpoint,
        endpoint.submit_path,
        body,
        {
            "Content-Type": "application/json",
            "Authorization": f"Bearer {token}",
            outbound.IDEMPOTENCY_HEADER: lab_report_id,
        },
    )
    if reply.status == HTTPStatus.CONFLICT:
        known = Receipt(external_id=outbound.known_id(reply.body))
        return reply, outbound.Answer(receipt=known)
    if not 200 <= reply.status < 300:
        raise _refusal(reply)
    if outbound.is_html(reply.body) or (
        reply.body and "html" in reply.headers.get("content-type", "")
    ):
        # A proxy's page with a 200: nobody knows whether Heska ever saw the order.
        raise HeskaError(
            "Something between us and Heska answered with a web page.",
            permanent=False,
            outcome_unknown=True,
        )
    answer = outbound.read_answer(reply.body, lab_report_id)
    if answer.names_another:
        raise HeskaError(
            "Heska answered about another order than the one sent.",
            permanent=False,
            outcome_unknown=True,
        )
    return reply, answer


def _post(endpoint: Endpoint, path: str, body: str, headers: dict[str, str]) -> Reply:
    url = _url(endpoint, path)
    deadline = time.monotonic() + TOTAL_SECONDS
    with requests.Session() as session:
        # No .netrc, proxy or CA bundle from the environment; no redirect, which would carry the
        # subscription key to another host and turn the order into an empty GET.
        session.trust_env = False
        try:
            with session.post(
                url,
                data=body.encode(),
                headers={
                    **headers,
                    outbound.SUBSCRIPTION_HEADER: endpoint.subscription_key,
                    "Accept": "application/json",
                    "Accept-Encoding": "identity",
                },
                timeout=(CONNECT_SECONDS, READ_SECONDS),
                allow_redirects=False,
                verify=True,
                stream=True,
            ) as response:
                return Reply(
                    status=response.status_code,
                    headers={k.lower(): v for k, v in response.headers.items()},
                    body=_read(response, deadline),
                )
        except (requests.ConnectTimeout, requests.exceptions.SSLError) as error:
            raise HeskaError(
                "Heska's certificate is not valid for its address."
                if isinstance(error, requests.exceptions.SSLError)
                else "Heska can't be reached.",
                permanent=False,
            ) from error
        except requests.ConnectionError as error:
            # It may have broken after the order was sent: only a connection that was never made is
            # surely unsent, and requests does not tell the two apart by type.
            never_sent = "NewConnectionError" in repr(error) or "NameResolution" in repr(error)
            raise HeskaError(
                "Heska can't be reached.",
                permanent=False,
                outcome_unknown=not never_sent,
            ) from error
        except (requests.RequestException, HTTPError) as error:
            raise HeskaError(
                "Heska did not answer in time.", permanent=False, outcome_unknown=True
            ) from error


def _read(response: requests.Response, deadline: float) -> bytes:
    """At most 1 MB, and not longer than our own clock allows: the read timeout is per packet, and
    only `read1` comes back with what has arrived so far."""
    body = bytearray()
    while chunk := response.raw.read1(65_536, decode_content=True):
        body += chunk
        if len(body) > MAX_REPLY:
            raise HeskaError("Heska's answer is too long.", permanent=False, outcome_unknown=True)
        if time.monotonic() > deadline:
            raise HeskaError("Heska did not answer in time.", permanent=False, outcome_unknown=True)
    return bytes(body)


def _url(endpoint: Endpoint, path: str) -> str:
    base = urlsplit(endpoint.base_url)
    if not endpoint.base_url:
        raise HeskaError(
            "Heska's address is not set. The operator sets HESKA_BASE_URL.",
            permanent=True,
            set_up=True,
        )
    secure = base.scheme == "https" and base.hostname not in LOOPBACK
    if base.username or base.password or base.fragment or not base.hostname:
        secure = False
    if not secure and not (endpoint.allow_insecure and base.scheme in ("http", "https")):
        raise HeskaError(
            "Heska's address must begin with https:// and name another machine. The operator sets "
            "HESKA_BASE_URL.",
            permanent=True,
            set_up=True,
        )
    return endpoint.base_url + path


def _refusal(reply: Reply, *, token_call: bool = False) -> HeskaError:
    error = _meaning(reply, token_call=token_call)
    error.status = reply.status
    return error


def _meaning(reply: Reply, *, token_call: bool) -> HeskaError:
    """The contract's table "Heska answers", and example 05's bodies."""
    words = outbound.error_words(reply.body)
    status = reply.status
    if status == HTTPStatus.UNAUTHORIZED and "subscription key" in words.casefold():
        return HeskaError(
            "Heska does not accept the subscription key. The operator sets HESKA_SUBSCRIPTION_KEY.",
            permanent=True,
            words=words,
            set_up=True,
        )
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        if status == HTTPStatus.FORBIDDEN and "quota" in words.casefold():
            return HeskaError(
                "The quota with Heska is used up.",
                permanent=False,
                words=words,
                retry_after=retry_after(reply),
            )
        return HeskaError(
            "Heska does not accept this clinic's client id and secret. An administrator enters "
            "them again.",
            permanent=True,
            words=words,
            set_up=True,
            stale_token=status == HTTPStatus.UNAUTHORIZED and not token_call,
        )
    if status in TRANSIENT or status >= 500:
        return HeskaError(
            "Heska is busy." if status == 429 else f"Heska is not available (error {status}).",
            permanent=False,
            words=words,
            outcome_unknown=status >= 500 or status == 408,
            retry_after=retry_after(reply),
        )
    if status == HTTPStatus.NOT_FOUND or 300 <= status < 400:
        return HeskaError(
            "Heska's address or path is wrong. The operator checks HESKA_BASE_URL and the paths.",
            permanent=True,
            words=words,
            set_up=True,
        )
    if token_call:
        return HeskaError(
            "Heska does not accept this clinic's client id and secret. An administrator enters "
            "them again.",
            permanent=True,
            words=words,
            set_up=True,
        )
    return HeskaError("Heska refused the order.", permanent=True, words=words)


def retry_after(reply: Reply) -> timedelta | None:
    """`Retry-After` in seconds or as a date (RFC 9110, 10.2.3), clamped to 1 s … 1 h."""
    text = reply.headers.get("retry-after", "").strip()
    if not text:
        return None
    try:
        seconds = float(text) if text.isdecimal() else _seconds_until(text)
    except (ValueError, OverflowError):
        return None
    return timedelta(seconds=min(max(seconds, 1.0), 3600.0))


def _seconds_until(text: str) -> float:
    moment = parsedate_to_datetime(text)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (moment - datetime.now(UTC)).total_seconds()

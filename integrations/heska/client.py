"""The only caller of Heska's addresses: HTTP, and no database. What an answer means: `answers`."""

from __future__ import annotations

import logging
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

from integrations.heska import recording, transport
from integrations.heska.answers import HeskaError, Reply, refusal, refuses_key, said
from integrations.heska.conf import Endpoint
from integrations.heska.transport import Watch
from integrations.heska.wire import masking, outbound, receipts
from labs.order import Receipt

log = logging.getLogger(__name__)
READ_SECONDS = 15
TOTAL_SECONDS = 30
MAX_REPLY = 1024 * 1024
LOOPBACK = {"localhost", "127.0.0.1", "::1"}


SHORTEST_SECRET = 8  # a shorter one is a word of the language, and hides nothing


def _without(body: bytes, endpoint: Endpoint, secret: str) -> bytes:
    secrets = (endpoint.subscription_key, endpoint.next_key, secret)
    return masking.without(body, [each for each in secrets if len(each) >= SHORTEST_SECRET])


@contextmanager
def _hushed(endpoint: Endpoint, secret: str) -> Iterator[None]:
    """Heska's words go to pages and into mail: what it repeats there of a secret is taken out."""
    try:
        yield
    except HeskaError as error:
        error.words = _without(error.words.encode(), endpoint, secret).decode(errors="replace")
        error.reply = _without(error.reply, endpoint, secret)
        raise


def get_token(
    endpoint: Endpoint, *, client_id: str, client_secret: str, seconds: float = TOTAL_SECONDS
) -> tuple[str, timedelta]:
    """A bearer token and how long it holds. `seconds`: what is left for the call. Raises
    HeskaError."""
    with _hushed(endpoint, client_secret):
        return _get_token(endpoint, client_id, client_secret, seconds)


def _get_token(
    endpoint: Endpoint, client_id: str, client_secret: str, seconds: float
) -> tuple[str, timedelta]:
    content_type, body = outbound.token_body(endpoint.token_encoding, client_id, client_secret)
    reply = _post(
        endpoint,
        endpoint.token_path,
        body,
        {"Content-Type": content_type},
        client_secret,
        seconds,
    )
    if not 200 <= reply.status < 300:
        raise refusal(reply, token_call=True)
    token = None if reply.packed else outbound.read_token(reply.body, time.time())
    if token is None:
        raise said(
            reply,
            HeskaError(
                "Heska answered the request for a token with something that holds none.",
                permanent=False,
                words=outbound.error_words(reply.body),
            ),
        )
    return token[0], timedelta(seconds=token[1])


def submit(
    endpoint: Endpoint,
    *,
    token: str,
    lab_report_id: str,
    body: str,
    seconds: float = TOTAL_SECONDS,
) -> tuple[Reply, receipts.Answer]:
    """Send one order. A 409 is an acceptance: it is already there. `seconds`: what is left for the
    call. Raises HeskaError."""
    with _hushed(endpoint, token):
        return _submit(endpoint, token, lab_report_id, body, seconds)


def _submit(
    endpoint: Endpoint, token: str, lab_report_id: str, body: str, seconds: float
) -> tuple[Reply, receipts.Answer]:
    reply = _post(
        endpoint,
        endpoint.submit_path,
        body,
        {
            "Content-Type": "application/json",
            "Authorization": f"Bearer {token}",
            outbound.IDEMPOTENCY_HEADER: lab_report_id,
        },
        token,
        seconds,
    )
    there = reply.status == HTTPStatus.CONFLICT or _is_duplicate(reply)
    if not there and not 200 <= reply.status < 300:
        raise refusal(reply)
    unclear = ""
    if reply.is_page:
        # A proxy's page with a 200: nobody knows whether Heska ever saw the order.
        unclear = "Something between us and Heska answered with a web page."
    elif reply.packed:
        unclear = "Heska's answer is packed in a way that was not asked for."
    elif receipts.names_another(reply.body, lab_report_id):
        unclear = "Heska answered about another order than the one sent."
    if unclear:
        raise said(reply, HeskaError(unclear, permanent=False, outcome_unknown=True))
    if there:
        known = Receipt(external_id=receipts.known_id(reply.body), already_there=True)
        return reply, receipts.Answer(receipt=known)
    # What it says of single tests is shown too.
    answer = receipts.read_answer(_without(reply.body, endpoint, token), body)
    if answer.status:
        # An error inside a success: what the gateway wraps, it answers with 200.
        raise refusal(Reply(status=answer.status, headers=reply.headers, body=reply.body))
    if answer.refused:
        words = outbound.error_words(reply.body)
        raise said(reply, HeskaError("Heska refused the order.", permanent=True, words=words))
    return reply, answer


def _is_duplicate(reply: Reply) -> bool:
    """It says in its body that the order is there already, whatever its status."""
    readable = not (reply.packed or reply.is_page) and reply.status < HTTPStatus.UNAUTHORIZED
    return readable and receipts.is_duplicate(reply.body)


class _Adapter(HTTPAdapter):
    """Connections of this one call, under its watch. No retries: those are the outbox's."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        super().__init__(max_retries=0)

    def get_connection_with_tls_context(self, *args: Any, **named: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **named)
        kind = transport.Secure if pool.scheme == "https" else transport.Plain
        pool.ConnectionCls = partial(_watched, kind, self._watch)
        return pool


def _watched(kind: Any, watch: Watch, *args: Any, **named: Any) -> Any:
    made = kind(*args, **named)
    made.watch = watch
    return made


def _post(
    endpoint: Endpoint,
    path: str,
    body: str,
    headers: dict[str, str],
    secret: str,
    seconds: float,
) -> Reply:
    """`secret`: what must not be kept of the call, beside the subscription key. With the second of
    those, once, where Heska does not accept the first: what it refused for its key it has not
    taken."""
    ends = time.monotonic() + min(seconds, TOTAL_SECONDS)
    reply = _send(endpoint, endpoint.subscription_key, path, body, headers, secret, seconds)
    if not endpoint.next_key or not refuses_key(reply):
        return reply
    log.warning("HESKA_SUBSCRIPTION_KEY is refused; asking with HESKA_SUBSCRIPTION_KEY_NEXT.")
    return _send(endpoint, endpoint.next_key, path, body, headers, secret, ends - time.monotonic())


def _send(
    endpoint: Endpoint,
    key: str,
    path: str,
    body: str,
    headers: dict[str, str],
    secret: str,
    seconds: float,
) -> Reply:
    """One call, and one record of it."""
    sent = {
        **headers,
        outbound.SUBSCRIPTION_HEADER: key,
        "Accept": "application/json",
        "Accept-Encoding": "identity",
    }
    url = _url(endpoint, path)
    call = recording.Call(
        kind="token" if path == endpoint.token_path else "order",
        path=path,
        headers=sent,
        body=body,
        secrets=[key, secret],
    )
    try:
        reply = _exchange(url, body, sent, seconds)
    except HeskaError as error:
        call.over(str(error))
        raise
    call.answered(reply.status, reply.headers, reply.body)
    call.over()
    return reply


def _exchange(url: str, body: str, headers: dict[str, str], seconds: float) -> Reply:
    with Watch(min(seconds, TOTAL_SECONDS)) as watch:
        try:
            return _speak("POST", url, body.encode(), headers, watch)
        except (requests.RequestException, HTTPError, OSError) as error:
            raise _broken(error, watch) from error


def ask_ourselves(url: str, *, seconds: float) -> Reply:
    """GET an address of our own, by the same rules. Raises OSError; its text says why, for people.
    No key of anybody's goes there."""
    with Watch(seconds) as watch:
        try:
            return _speak("GET", url, None, {"Accept-Encoding": "identity"}, watch)
        except (requests.RequestException, HTTPError, OSError, HeskaError) as error:
            if why := _distrust(error):
                raise OSError(f"its certificate is not trusted ({why})") from error
            if watch.over or isinstance(error, requests.Timeout):
                raise OSError("it did not answer in time") from error
            if watch.sent:
                raise OSError("the connection broke before it answered") from error
            raise OSError("nothing answers there") from error


class _Session(requests.Session):
    """Knows of no redirect. With `allow_redirects=False` alone requests still looks where one
    leads, and for that reads all of its body and unpacks it, before we could count the bytes:
    0.1 MB of gzip became 300 MB."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


def _speak(
    method: str, url: str, body: bytes | None, headers: dict[str, str], watch: Watch
) -> Reply:
    with _Session() as session:
        # No .netrc, proxy or CA bundle from the environment; no redirect, which would carry the
        # subscription key to another host and turn the order into an empty GET.
        session.trust_env = False
        session.mount("https://", _Adapter(watch))
        session.mount("http://", _Adapter(watch))
        with session.request(
            method,
            url,
            data=body,
            headers=headers,
            timeout=(transport.CONNECT_SECONDS, READ_SECONDS),
            allow_redirects=False,
            verify=True,
            stream=True,
        ) as response:
            return Reply(
                status=response.status_code,
                headers={k.lower(): v for k, v in response.headers.items()},
                body=_read(response, watch),
            )


def _broken(error: Exception, watch: Watch) -> HeskaError:
    """No answer. What never left is surely not there, all else may be."""
    if watch.sent:
        slow = watch.over or isinstance(error, requests.Timeout)
        return HeskaError(
            "Heska did not answer in time."
            if slow
            else "The connection to Heska broke before it answered.",
            permanent=False,
            outcome_unknown=True,
        )
    if why := _distrust(error):
        return HeskaError(
            # Not as `words`: it is our own OpenSSL that says it.
            f"Heska's certificate can't be trusted ({why}), so nothing was sent. Tell the "
            "operator.",
            permanent=False,
        )
    return HeskaError("Heska can't be reached.", permanent=False)


def _distrust(error: BaseException | None) -> str:
    """What is wrong with the peer's certificate, in OpenSSL's words; "" where nothing is. It lies
    some wrappings deep."""
    for _ in range(8):
        if error is None:
            return ""
        if isinstance(error, ssl.SSLCertVerificationError):
            return str(error.verify_message)
        inner = getattr(error, "reason", None) or next(iter(error.args), None)
        error = inner if isinstance(inner, BaseException) else error.__context__
    return ""


def _read(response: requests.Response, watch: Watch) -> bytes:
    """At most 1 MB, as it arrives: only `read1` comes back with what is there so far."""
    body = bytearray()
    while chunk := response.raw.read1(65_536, decode_content=False):
        body += chunk
        if len(body) > MAX_REPLY:
            raise HeskaError("Heska's answer is too long.", permanent=False, outcome_unknown=True)
        watch.left()
    watch.left()  # a socket that the watch shut looks like an end
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

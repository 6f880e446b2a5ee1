"""Peers that can't be trusted or never come to an end: real sockets, real TLS."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from integrations.heska import client, transport
from integrations.heska.answers import HeskaError
from integrations.heska.conf import Endpoint
from integrations.heska.simulator.certificates import Certificates

RECEIPT = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@contextlib.contextmanager
def listening(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server that gives each connection to `serve`; its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = listener.accept()
                threading.Thread(target=one, args=(peer,), daemon=True).start()

    def one(peer: socket.socket) -> None:
        with contextlib.suppress(OSError), peer:
            serve(peer)

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.close()


def endpoint(base_url: str) -> Endpoint:
    return Endpoint(
        base_url=base_url,
        subscription_key="key",
        token_path="/oauth/token",
        submit_path="/labreports",
        token_encoding="form",
        allow_insecure=True,
    )


def submit(base_url: str) -> None:
    client.submit(endpoint(base_url), token="jwt", lab_report_id="VL-1", body="{}")


def failure(base_url: str) -> HeskaError:
    with pytest.raises(HeskaError) as error:
        submit(base_url)
    return error.value


# Certificates.


@pytest.fixture(scope="module")
def certificates() -> Certificates:
    return Certificates("localhost")


@contextlib.contextmanager
def secure(context: ssl.SSLContext) -> Iterator[tuple[str, list[bytes]]]:
    """An HTTPS server with that certificate; its address, and what it was sent."""
    heard: list[bytes] = []

    def serve(peer: socket.socket) -> None:
        with context.wrap_socket(peer, server_side=True) as stream:
            said = b""
            while b"{}" not in said:
                said += stream.recv(65_536)
            heard.append(said)
            stream.sendall(RECEIPT)

    with listening(serve) as port:
        yield f"https://localhost:{port}", heard


@pytest.fixture
def trusted(certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The authority of these certificates stands in for the world's."""
    bundle = tmp_path / "authorities.pem"
    bundle.write_bytes(certificates.authority)
    monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", str(bundle))


def test_a_good_certificate_is_taken(certificates: Certificates, trusted: None) -> None:
    with secure(certificates.context("private")) as (url, heard):
        submit(url)
    assert heard[0].startswith(b"POST /labreports")


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("self-signed", "self-signed certificate"),
        ("expired", "certificate has expired"),
        ("wrong-host", "Hostname mismatch"),
    ],
)
def test_a_bad_certificate_is_refused_for_what_it_is(
    certificates: Certificates, trusted: None, kind: str, why: str
) -> None:
    with secure(certificates.context(kind)) as (url, heard):
        error = failure(url)
    assert (error.permanent, error.outcome_unknown) == (False, False)
    assert f"certificate can't be trusted ({why}" in str(error)
    assert not any(heard)


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_an_unknown_authority_is_refused_whatever_the_environment_says(
    certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    bundle = tmp_path / "authorities.pem"
    bundle.write_bytes(certificates.authority)
    monkeypatch.setenv(variable, str(bundle))
    with secure(certificates.context("private")) as (url, heard):
        error = failure(url)
    assert "unable to get local issuer certificate" in str(error)
    assert not any(heard)


def test_no_version_of_tls_below_1_2(certificates: Certificates, trusted: None) -> None:
    context = Certificates("localhost").context("private")
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning):
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with secure(context) as (url, heard):
        assert not failure(url).outcome_unknown
    assert not any(heard)


# Our own clock. Each of these keeps well within the read timeout, or has none.


def drip(peer: socket.socket, begin: bytes, each: bytes) -> None:
    peer.sendall(begin)
    for _ in range(200):
        peer.sendall(each)
        time.sleep(0.1)


def after_request(begin: bytes, each: bytes) -> Callable[[socket.socket], None]:
    def serve(peer: socket.socket) -> None:
        while b"{}" not in peer.recv(65_536):
            pass
        drip(peer, begin, each)

    return serve


OK = b"HTTP/1.1 200 OK\r\n"
ENDLESS = {
    "a status line": after_request(b"HTTP/1.1 200 ", b"O"),
    "one header": after_request(OK + b"X-Padding: ", b"x"),
    "many headers": after_request(OK, b"X-Padding: x\r\n"),
    "a hundred-continue": after_request(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "a body": after_request(OK + b"Content-Length: 9999\r\n\r\n", b" "),
    "a body without a length": after_request(OK + b"\r\n", b" "),
    "a body in chunks": after_request(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "the trailer of a body": after_request(
        OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X-Padding: x\r\n"
    ),
}


@pytest.mark.parametrize("endless", ENDLESS)
def test_an_answer_that_drips_is_over_at_the_deadline(
    endless: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "TOTAL_SECONDS", 1.5)
    began = time.monotonic()
    with listening(ENDLESS[endless]) as port:
        error = failure(f"http://127.0.0.1:{port}")
    assert time.monotonic() - began < 10
    assert (error.permanent, error.outcome_unknown) == (False, True)
    assert "in time" in str(error)


def test_a_handshake_that_drips_is_over_at_the_deadline_and_nothing_was_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client, "TOTAL_SECONDS", 1.5)
    began = time.monotonic()
    # The beginning of a record of 16 kB that never comes to its end.
    with listening(lambda peer: drip(peer, b"\x16\x03\x03\x40\x00", b"\x02")) as port:
        error = failure(f"https://localhost:{port}")
    assert time.monotonic() - began < 10
    assert (error.permanent, error.outcome_unknown) == (False, False)


def test_a_peer_that_takes_nothing_is_over_at_the_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The order does not fit into the buffers between us, and nobody reads."""
    monkeypatch.setattr(client, "TOTAL_SECONDS", 1.5)
    with listening(lambda peer: time.sleep(5)) as port:
        began = time.monotonic()
        with pytest.raises(HeskaError) as error:
            client.submit(
                endpoint(f"http://127.0.0.1:{port}"),
                token="jwt",
                lab_report_id="VL-1",
                body="x" * 50_000_000,
            )
    assert time.monotonic() - began < 3
    assert error.value.outcome_unknown


def test_a_name_that_is_not_found_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """`getaddrinfo` can't be broken off, and has no timeout of its own."""
    monkeypatch.setattr(transport, "CONNECT_SECONDS", 0.3)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(3))
    began = time.monotonic()
    error = failure("https://heska.example")
    assert time.monotonic() - began < 2
    assert (error.permanent, error.outcome_unknown) == (False, False)


def test_an_address_that_swallows_everything_leaves_time_for_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A listener whose queue is full answers no connection at all."""
    monkeypatch.setattr(transport, "CONNECT_SECONDS", 1.0)
    full = socket.socket()
    full.bind(("127.0.0.1", 0))
    full.listen(0)
    waiting = [socket.socket() for _ in range(3)]
    for each in waiting:
        each.setblocking(False)
        each.connect_ex(full.getsockname())

    def serve(peer: socket.socket) -> None:
        peer.recv(65_536)
        peer.sendall(RECEIPT)

    with listening(serve) as port, contextlib.ExitStack() as opened:
        for each in [full, *waiting]:
            opened.enter_context(each)
        found = [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", at))
            for at in (full.getsockname()[1], port)
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        began = time.monotonic()
        submit("http://heska.example")
        assert 0.3 < time.monotonic() - began < 1.5


def test_what_could_not_be_sent_any_more_is_surely_unsent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        transport, "_connect", lambda *_: time.sleep(0.5) or socket.create_connection(address)
    )
    heard: list[bytes] = []
    with listening(lambda peer: heard.append(peer.recv(9999))) as port:
        address = ("127.0.0.1", port)
        with pytest.raises(HeskaError) as error:
            client.submit(
                endpoint(f"http://127.0.0.1:{port}"),
                token="jwt",
                lab_report_id="VL-1",
                body="{}",
                seconds=0.2,
            )
    assert not error.value.outcome_unknown
    assert not any(heard)


def test_a_call_leaves_no_socket_and_no_timer_behind() -> None:
    ended: list[bytes] = []

    def serve(peer: socket.socket) -> None:
        peer.settimeout(5)
        while b"{}" not in peer.recv(65_536):
            pass
        peer.sendall(RECEIPT)
        ended.append(peer.recv(1))  # nothing, as soon as the last handle on it is closed

    with listening(serve) as port:
        for _ in range(5):
            submit(f"http://127.0.0.1:{port}")
        deadline = time.monotonic() + 3
        while len(ended) < 5 and time.monotonic() < deadline:
            time.sleep(0.02)
    assert ended == [b""] * 5
    assert not [each for each in threading.enumerate() if isinstance(each, threading.Timer)]

"""Bodies over a raw socket to a real web server, since a test client cannot send one."""

from __future__ import annotations

import http.client
import io
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pims.buffering import buffered

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 200_000

# Reads as Django does: as far as CONTENT_LENGTH says.
APP = f"""
import hashlib, json
from pims.buffering import buffered

def inner(environ, start_response):
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({{
        "length": len(body), "declared": environ.get("CONTENT_LENGTH"),
        "sha": hashlib.sha256(body).hexdigest(), "te": environ.get("HTTP_TRANSFER_ENCODING"),
    }}).encode()]

app = buffered(inner, {LIMIT})
"""


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("chunked")
    (folder / "chunked_app.py").write_text(APP)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["granian", "--interface", "wsgi", "--port", str(port), "--working-dir", str(folder)]
    server = subprocess.Popen(
        [sys.executable, "-m", *command, "chunked_app:app"],
        env={"PYTHONPATH": f"{ROOT}:{folder}"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(600):  # a busy machine
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.1)
        yield port
    finally:
        server.terminate()
        server.wait()


def send(port: int, *parts: bytes, pause: float = 0) -> dict[str, object]:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        for part in parts:
            connection.sendall(part)
            time.sleep(pause)
        response = http.client.HTTPResponse(connection)
        response.begin()
        return json.loads(response.read())


def head(*lines: str) -> bytes:
    return "\r\n".join(["POST /x HTTP/1.1", "Host: x", *lines, "", ""]).encode()


CHUNKED = head("Transfer-Encoding: chunked")


def test_chunks_become_one_body_with_its_length(port: int) -> None:
    answer = send(port, CHUNKED, b"5\r\nhello\r\n", b"6\r\n world\r\n", b"0\r\n\r\n", pause=0.05)

    assert answer["length"] == 11
    assert answer["declared"] == "11"
    assert answer["te"] is None


def test_an_empty_chunked_body(port: int) -> None:
    assert send(port, CHUNKED, b"0\r\n\r\n")["declared"] == "0"


def test_a_body_with_a_length_passes_as_it_is(port: int) -> None:
    answer = send(port, head("Content-Length: 5"), b"hello")

    assert (answer["length"], answer["declared"]) == (5, "5")


def test_over_the_limit_is_declared_as_one_byte_too_many(port: int) -> None:
    """The application then refuses it exactly as it refuses too large a Content-Length."""
    chunk = b"%x\r\n%s\r\n" % (50_000, b"x" * 50_000)

    answer = send(port, CHUNKED, *[chunk] * 5, b"0\r\n\r\n")

    assert answer["declared"] == str(LIMIT + 1)


def test_an_end_is_put_to_an_endless_body() -> None:
    class Endless:
        taken = 0

        def read(self, size: int) -> bytes:
            self.taken += size
            return b"x" * size

    source = Endless()
    app = buffered(lambda environ, _: [environ["CONTENT_LENGTH"].encode()], 3_000_000)
    environ = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input": source}

    answer = app(environ, lambda *_: None)

    assert list(answer) == [b"3000001"]
    assert source.taken == 12_000_000
    answer.close()
    assert environ["wsgi.input"].closed


def test_a_body_that_ends_early_goes_no_further() -> None:
    said: list[str] = []
    app = buffered(lambda *_: pytest.fail("the application saw it"), LIMIT)
    environ = {"CONTENT_LENGTH": "9", "wsgi.input": io.BytesIO(b"half")}

    app(environ, lambda status, headers: said.append(status))

    assert said == ["400 Bad Request"]


def test_of_a_body_over_the_limit_the_beginning_is_there() -> None:
    length = str(LIMIT * 2)
    environ = {"CONTENT_LENGTH": length, "wsgi.input": io.BytesIO(b"x" * LIMIT * 2)}

    answer = buffered(lambda environ, _: [environ["wsgi.input"].read()], LIMIT)(
        environ, lambda *_: None
    )

    assert environ["CONTENT_LENGTH"] == length
    assert len(b"".join(answer)) == LIMIT + 1
    answer.close()


def test_who_was_not_waited_for_reads_nothing() -> None:
    environ = {"CONTENT_LENGTH": "4", "wsgi.input": io.BytesIO(b"late")}
    buffered(lambda *_: [b""], LIMIT)(environ, lambda *_: None).close()

    with pytest.raises(OSError, match="Nobody waits"):
        environ["wsgi.input"].read()

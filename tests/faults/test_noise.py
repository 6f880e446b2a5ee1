"""Whatever is thrown at the three addresses: an answer, and no 5xx. What is JSON and comes with a
token is always taken; what is not is kept all the same."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.faults import bodies
from tests.faults.conftest import FULL
from tests.faults.stack import Stack

WORDS = (
    *("MessageId", "LabReportId", "HeskaReportId", "ReportVersion", "Status", "Patient", "Tests"),
    *("Results", "Value", "AnalyteCode", "Sequence", "TestRunId", "RunAt", "Attachments", "Data"),
    *("Comments", "Name", "Species", "ReportedAt", "AbnormalFlag", "ReferenceLow", "LabReports"),
)
text = st.text(st.characters(exclude_categories=()), max_size=40)  # NUL and surrogates too
numbers = st.sampled_from(["9.0", "1e400", "-0", "1" * 70, "1e-999999", "6,62", "NaN"])
leaves = st.none() | st.booleans() | st.integers() | st.floats() | text | numbers
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(WORDS) | text, inner, max_size=6)
    ),
    max_leaves=25,
)


@st.composite
def shaken(draw: st.DrawFn) -> bytes:
    """A good message with one to three leaves or branches replaced by anything."""
    patient = {"PatientId": "P-0", "Name": "Animal 0"}
    body = json.loads(
        bodies.result({"public_id": "clinic-0000", "patient": patient}, None, draw(text))
    )
    for _ in range(draw(st.integers(1, 3))):
        place: Any = body
        while True:
            names: list[Any] = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not names:
                break
            name = draw(st.sampled_from(names))
            if not isinstance(place[name], dict | list) or draw(st.booleans()):
                place[name] = draw(values)
                break
            place = place[name]
    return json.dumps(body).encode()


sent = st.one_of(shaken(), values.map(json.dumps).map(str.encode), st.binary(max_size=300))
visible = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=60)
headers = st.fixed_dictionaries(
    {},
    optional={
        "Content-Type": st.sampled_from(
            ["application/json", "text/plain", "application/json; charset=latin-1", "x", "multi/"]
        )
        | visible,
        "Content-Encoding": st.sampled_from(["identity", "gzip", "br"]),
        "Accept": st.sampled_from(["*/*", "text/html", "application/xml"]) | visible,
        "X-Request-ID": visible,
        "Authorization": visible
        | st.sampled_from(["Bearer", "Basic Og==", "Basic %%", "bearer x"]),
        "Expect": st.just("100-continue"),
    },
)
targets = st.sampled_from(
    [
        *(
            "/api/oauth/token",
            "/api/oauth/token/",
            "/api/labresults/{key}",
            "/api/labresults/{key}/",
        ),
        *("/api/labresults/unknown", "/api/unmatchedlabresults/{clinic}", "/api/labresults/%00"),
        *("/api/unmatchedlabresults/%F0%9F%90%B6", "/api/unmatchedlabresults/{other}/"),
        *("/api/labresults/%FF?format=api", "/api/labresults/" + "k" * 2000),
    ]
)
methods = st.sampled_from(["POST"] * 12 + ["GET", "PUT", "OPTIONS", "DELETE", "TRACE", "PROPFIND"])


@settings(
    max_examples=5_000 if FULL else 120,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(target=targets, method=methods, body=sent, given_headers=headers)
def test_no_answer_is_a_5xx(
    installation: Stack, target: str, method: str, body: bytes, given_headers: dict[str, str]
) -> None:
    clinic, other = installation.clinics[:2]
    target = target.format(
        key=clinic["requests"][0]["key"], clinic=clinic["public_id"], other=other["public_id"]
    )
    token = {
        "Authorization": f"Bearer {installation.tokens[0]}",
        "Content-Type": "application/json",
    }
    connection = installation.connect()
    try:
        connection.request(method, target, body, token | given_headers)
        answer = connection.getresponse()
        said = answer.read()
    finally:
        connection.close()

    assert answer.status < 500, (answer.status, said)
    assert answer.status not in {301, 302, 307, 308}
    asked_well = method == "POST" and given_headers.keys() <= {"Accept", "X-Request-ID", "Expect"}
    if asked_well and "results" in target:
        expected = {200, 201, 202} if _is_json(body) else {400}
        if "unmatched" in target and clinic["public_id"] not in target:
            expected = {403}
        assert answer.status in expected, (answer.status, said)
        assert b"eceipt" in said


def _is_json(body: bytes) -> bool:
    def refuse(name: str) -> None:
        raise ValueError(name)

    try:
        json.loads(body.decode("utf-8-sig"), parse_constant=refuse)
    except (ValueError, RecursionError):
        return False
    return True


@pytest.mark.parametrize(
    "noise", [b"\x16\x03\x01\x02\x00", b"POST\r\n\r\n", b"POST / HTTP/9\r\n\r\n"]
)
def test_what_is_no_request_harms_nobody(installation: Stack, noise: bytes) -> None:
    with socket.create_connection(("127.0.0.1", installation.port), timeout=5) as connection:
        connection.sendall(noise)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(100)[:12] in {b"", b"HTTP/1.1 400"}
    installation.web.wait_until_alive(5)

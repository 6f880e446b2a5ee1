"""Heska's answer to an order, in our words. Names and shapes [assumed], by examples 04 and 05."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from integrations.heska.wire.outbound import MAX_WORDS, read_object
from integrations.heska.wire.reader import Reader
from labs.order import Receipt, TestOutcome

REFUSALS = {"rejected", "refused", "declined", "failed", "error", "invalid"}
WELL = {"", "accepted", "ok", "success", "received", "created", "queued", "pending", "ordered"}
DUPLICATE = "duplicate_lab_report"
# In a receipt that is no JSON, the id that it names.
NAMED = re.compile(rb'"lab_?report_?id"\s*:\s*"([^"]{1,100})"', re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A 2xx. `refused`: it says no all the same; `status`: the error that is wrapped in it."""

    receipt: Receipt
    refused: bool = False
    status: int = 0


@dataclass(frozen=True, kw_only=True)
class _Layer:
    """The body, or what the gateway wraps in its `value` (example 05): each field read once."""

    status: int
    refused: bool
    code: str
    external_id: str
    tests: tuple[Reader, ...]


def read_answer(body: bytes, sent: str) -> Answer:
    """An empty or unreadable body is an acceptance all the same, with a note. `sent`: the order, by
    which a test is known that the answer names by its code alone."""
    if not body.strip():
        return Answer(receipt=Receipt())
    reader = read_object(body)
    if reader is None:
        return Answer(receipt=Receipt(note="Accepted, but the receipt was not understood."))
    layers = _layers(reader)
    outcomes, note = _known([_outcome(test) for each in layers for test in each.tests], sent)
    return Answer(
        receipt=Receipt(external_id=_external_id(layers), tests=outcomes, note=note),
        refused=any(each.refused for each in layers),
        status=next((each.status for each in layers if 400 <= each.status < 600), 0),
    )


def is_duplicate(body: bytes) -> bool:
    """It is there already: the code of example 05, or a 409 wrapped in another status."""
    reader = read_object(body)
    layers = _layers(reader) if reader else []
    return any(each.code.casefold() == DUPLICATE or each.status == 409 for each in layers)


def known_id(body: bytes) -> str:
    """Heska's own id of an order that it says is already there."""
    reader = read_object(body)
    return _external_id(_layers(reader)) if reader else ""


def names_another(body: bytes, lab_report_id: str) -> bool:
    """It speaks of an order that is not the one sent, be it readable or not."""
    reader = read_object(body)
    if reader is not None:
        inner = reader.child("value")
        named = [each.text("LabReportId") for each in (reader, inner) if each is not None]
    else:
        named = [text.decode("utf-8", "replace") for text in NAMED.findall(body)]
    return any(name and name.casefold() != lab_report_id.casefold() for name in named)


def _layers(reader: Reader) -> list[_Layer]:
    inner = reader.child("value")
    return [_layer(each) for each in (reader, inner) if each is not None]


def _layer(reader: Reader) -> _Layer:
    said = reader.text("Status")
    status = reader.number("statusCode") or reader.number("HttpStatusCode") or 0
    # Both may stand there: `"StatusCode": 0, "HttpStatusCode": 400`.
    if said.isascii() and said.isdecimal() and len(said) == 3:
        status = int(said)
    failed = reader.literal("isSuccess") == ("false", False)
    return _Layer(
        status=status,
        refused=failed or said.casefold() in REFUSALS,
        code=reader.text("Code"),
        external_id=reader.text("HeskaReportId")[:100],
        tests=tuple(reader.children("Tests")),
    )


def _external_id(layers: list[_Layer]) -> str:
    return next((each.external_id for each in layers if each.external_id), "")


@dataclass(frozen=True, kw_only=True)
class _Outcome:
    test_request_id: str
    test_code: str
    status: str
    words: str


def _outcome(test: Reader) -> _Outcome:
    return _Outcome(
        test_request_id=test.text("TestRequestId"),
        test_code=test.text("TestCode"),
        status=test.text("Status"),
        words=(test.text("Message") or test.text("Code"))[:MAX_WORDS],
    )


def _known(outcomes: list[_Outcome], sent: str) -> tuple[tuple[TestOutcome, ...], str]:
    """What it says of each test that was sent, and a note for staff of what fits none, or of a
    status that is neither a yes nor a no and comes with words: a test that will never be run must
    not look as if it were waited for."""
    tests = json.loads(sent).get("Tests", [])
    ids = {test["TestRequestId"].casefold(): test["TestRequestId"] for test in tests}
    codes = [test["TestCode"].casefold() for test in tests]
    known, odd = [], []
    for each in outcomes:
        accepted = each.status.casefold() not in REFUSALS
        test_request_id = ids.get(each.test_request_id.casefold(), "")
        code = each.test_code.casefold()
        if not test_request_id and codes.count(code) == 1:
            test_request_id = tests[codes.index(code)]["TestRequestId"]
        if test_request_id:
            known.append(
                TestOutcome(test_request_id=test_request_id, accepted=accepted, words=each.words)
            )
        unclear = each.words and each.status.casefold() not in WELL
        if (not accepted and not test_request_id) or (accepted and unclear):
            name = each.test_code or each.test_request_id or "one test"
            odd.append(f"Of {name} it says: {each.status} {each.words}".strip())
    note = " ".join(dict.fromkeys(odd))[:MAX_WORDS]
    return tuple(known), note

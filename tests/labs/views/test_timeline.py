"""“Where is my result?” on the page of a request, at each place where it can be."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from labs.models import Clinic, LabRequest, Message, Submission, Turnaround
from labs.services.orders import submissions
from labs.services.reviews import review
from tests import factories

SignIn = Callable[[User], Client]


@pytest.fixture
def request_(clinic: Clinic, alice: User) -> LabRequest:
    return factories.make_request(
        factories.make_patient(clinic), acting_user=alice, panels=("HHEM-1", "HDC-3")
    )


def page(client: Client, request: LabRequest) -> str:
    answer = client.get(reverse("labs:request", args=[request.lab_report_id]))
    return " ".join(answer.content.decode().split())


def steps(client: Client, request: LabRequest) -> list[tuple[str, str, str]]:
    """State, word and detail of each step."""
    found = page(client, request).partition('<ol class="steps"')[2].partition("</ol>")[0]
    pattern = r'<li class="(\w+)"><b>([^<]*)</b>.*?(?:<small>([^<]*)</small>)?</li>'
    return re.findall(pattern, found)


def words(client: Client, request: LabRequest) -> list[str]:
    return [f"{state} {word}" for state, word, _ in steps(client, request)]


def call(request: LabRequest, kind: str, status: int | None) -> Message:
    message = factories.make_message(request.clinic)
    Message.objects.filter(pk=message.pk).update(
        direction="out",
        state="sent",
        call=kind,
        request=request,
        submission=request.submission,
        status_code=status,
        milliseconds=120,
        cause="" if status else "Heska can't be reached.",
    )
    return message


def results_of(request: LabRequest, *codes: str) -> None:
    runs = [
        factories.make_run(
            test_code=test.panel.code,
            test_name=test.panel.name,
            analyzer_model=test.panel.analyzer_model,
        )
        for test in request.tests.select_related("panel")
        if test.panel.code in codes
    ]
    factories.make_result(request, factories.make_report(runs))


def test_from_ordered_to_reviewed(request_: LabRequest, bob: User, signed_in: SignIn) -> None:
    client = signed_in(bob)
    rest = ["todo Accepted", "todo At the analyzer", "todo Complete", "todo Review"]
    assert words(client, request_) == ["done Ordered", "now Queued", *rest]
    factories.accept(request_)
    assert words(client, request_) == [
        *("done Ordered", "done Sent", "done Accepted"),
        *("now At the analyzer", "todo Complete", "todo Review"),
    ]
    results_of(request_, "HHEM-1")
    found = steps(client, request_)
    assert [f"{state} {word}" for state, word, _ in found][3:5] == [
        "done At the analyzer",
        "now Partial",
    ]
    assert found[4][2].startswith("1 of 2 tests in, Element DCX, usually ")
    results_of(request_, "HDC-3")
    assert words(client, request_)[3:] == ["done First result", "done Complete", "now Review"]
    request_.refresh_from_db()
    review.sign(acting_user=bob, request=request_, expected_version=request_.version)
    assert words(client, request_)[-1] == "done Reviewed"


def test_what_waits_for_a_token_says_so_and_when_it_is_tried_again(
    request_: LabRequest, alice: User, signed_in: SignIn
) -> None:
    claim = submissions.claim(request_.submission.pk)
    assert claim is not None
    call(request_, "token", 503)
    submissions.settle_retry(claim, error="The laboratory is not available.", outcome_unknown=False)
    found = steps(signed_in(alice), request_)
    assert [each[:2] for each in found[:4]] == [
        ("done", "Ordered"),
        ("warn", "No token"),
        ("warn", "Not sent"),
        ("todo", "Accepted"),
    ]
    assert found[1][2] == "answered 503"
    request_.submission.refresh_from_db()
    at = timezone.localtime(request_.submission.not_before, request_.clinic.zone)
    assert found[2][2] == f"next at {at:%H:%M}"


def test_a_token_that_came_is_no_trouble(
    request_: LabRequest, alice: User, signed_in: SignIn
) -> None:
    assert submissions.claim(request_.submission.pk) is not None
    call(request_, "token", 200)
    assert words(signed_in(alice), request_)[:3] == ["done Ordered", "done Token", "done Sent"]
    call(request_, "order", None)
    assert not [each for each in words(signed_in(alice), request_) if "oken" in each]


def test_overdue_says_by_whose_clock(request_: LabRequest, alice: User, signed_in: SignIn) -> None:
    factories.accept(request_)
    LabRequest.objects.update(requested_at=timezone.now() - timedelta(minutes=40))
    Submission.objects.update(accepted_at=timezone.now() - timedelta(minutes=40))
    client = signed_in(alice)
    state, word, detail = steps(client, request_)[3]
    assert (state, word) == ("warn", "At the analyzer")
    assert detail.startswith("overdue by 1")
    assert detail.endswith("min by the catalogue")
    for model in ("Element HT5", "Element DCX"):
        Turnaround.objects.create(
            clinic=request_.clinic,
            analyzer_model=model,
            runs=25,
            usual_seconds=3000,
            slow_seconds=3600,
            learnt_at=timezone.now(),
        )
    state, word, detail = steps(client, request_)[3]
    assert state == "now"
    assert detail.endswith(", usually 50 min here, by the last 25 runs")


def test_the_calls_are_for_administrators(
    request_: LabRequest, ada: User, bob: User, signed_in: SignIn
) -> None:
    call(request_, "token", 200)
    order = call(request_, "order", None)
    shown = page(signed_in(ada), request_)
    assert "Asked for a token</a>, answered 200 after 120 ms" in shown
    assert "Sent the order</a>, no answer after 120 ms" in shown
    assert "Heska can&#x27;t be reached." in shown
    assert order.receipt_id in shown
    assert order.receipt_id not in page(signed_in(bob), request_)


def test_headers_stand_on_the_page_of_a_call(
    request_: LabRequest, ada: User, signed_in: SignIn
) -> None:
    message = call(request_, "order", 200)
    Message.objects.filter(pk=message.pk).update(
        headers={"authorization": "(hidden)"}, reply_headers={"x-request": "abc<"}
    )
    shown = signed_in(ada).get(reverse("labs:message", args=[message.receipt_id])).content.decode()
    assert "(hidden)" in shown and "abc&lt;" in shown

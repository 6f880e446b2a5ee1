"""Orders that have not come back: from the page alone a person can tell why, and mend it."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from labs.models import Clinic, LabRequest, Submission
from labs.order import Receipt
from labs.services import matching, ordering, submissions
from tests import factories

SignIn = Callable[[User], Client]


def placed(clinic: Clinic, *codes: str) -> LabRequest:
    return factories.make_request(
        factories.make_patient(clinic), panels=codes or ("HHEM-1", "HDC-3")
    )


def claimed(request: LabRequest) -> submissions.Claim:
    claim = submissions.claim(request.submission.pk)
    assert claim is not None
    return claim


def later(request: LabRequest, minutes: int) -> None:
    """As if it had been tried for the first time so long ago."""
    Submission.objects.filter(request=request).update(
        first_attempt_at=timezone.now() - timedelta(minutes=minutes)
    )


def text(client: Client, request: LabRequest) -> str:
    """The page's words, as they are read."""
    page = client.get(reverse("labs:request", args=[request.lab_report_id])).content.decode()
    words = re.sub(r"<(script|style)\b.*?</\1>|<[^>]+>", " ", page, flags=re.DOTALL)
    return " ".join(html.unescape(words).split())


def busy(request: LabRequest) -> None:
    submissions.settle_retry(claimed(request), error="Heska is busy.", outcome_unknown=False)


def busy_for_long(request: LabRequest) -> None:
    busy(request)
    later(request, 26)


def silent(request: LabRequest) -> None:
    submissions.settle_retry(
        claimed(request), error="Heska did not answer in time.", outcome_unknown=True
    )


def refused(request: LabRequest) -> None:
    submissions.settle_rejected(
        claimed(request), error="Heska refused the order.", words="Invalid BreedId 370"
    )


def held(request: LabRequest) -> None:
    submissions.settle_blocked(
        claimed(request),
        error="Heska refuses this clinic's credentials.",
        words="Invalid User or Password",
    )


def given_up(request: LabRequest) -> None:
    claim = claimed(request)
    claim.submission.attempts = 11
    Submission.objects.update(attempts=11)
    submissions.settle_retry(
        submissions.Claim(
            submission=claim.submission, lease=claim.lease, elapsed=timedelta(hours=24)
        ),
        error="Heska can't be reached.",
        outcome_unknown=False,
    )


def crashed(request: LabRequest) -> None:
    for _ in range(5):
        Submission.objects.update(not_before=timezone.now())
        submissions.settle_retry(
            claimed(request), error="Failed.", outcome_unknown=False, crashed=True
        )


def nobody_sends(request: LabRequest) -> None:
    Submission.objects.update(not_before=timezone.now() - timedelta(minutes=20))


def cancelled_too_late(request: LabRequest) -> None:
    submissions.settle_accepted(claimed(request), Receipt(external_id="94877"))
    ordering.cancel_request(acting_user=None, request=request, reason="wrong animal")


def run_twice(request: LabRequest) -> None:
    submissions.settle_accepted(claimed(request), Receipt(external_id="94877"))
    orphan = factories.make_unmatched(request.clinic)
    matching.match(
        acting_user=None,
        unmatched=orphan,
        patient=request.patient,
        request=request,
        expected_version=orphan.version,
    )


BY_HAND = "run the tests at the analyzer by hand"
BROKEN = [
    # what happened, what the page says, what it offers
    (busy, ["Heska is busy.", "next try", "attempt 2", "Not sent"], "Try now"),
    (busy_for_long, ["Not delivered for 26 min: Heska is busy.", "next try", BY_HAND], "Try now"),
    (
        silent,
        ["did not answer in time", "may have arrived", "under the same id", "can't be there twice"],
        "Try now",
    ),
    (
        refused,
        ["Heska refused the order.", "Invalid BreedId 370", "Correct what the laboratory names"],
        "Send again",
    ),
    (
        held,
        [
            "waiting for the set-up",
            "refuses this clinic's credentials",
            "Invalid User or Password",
            "goes by itself once",
        ],
        "Try again",
    ),
    (given_up, ["Heska can't be reached.", "tried 11 times", BY_HAND], "Send again"),
    (crashed, ["our own program failed 5 times", "Tell the operator"], "Send again"),
    (
        nobody_sends,
        [
            "for 20 min: The order has not left yet.",
            "nothing is being sent for 20 min",
            "tell your administrator",
        ],
        "Try now",
    ),
    (cancelled_too_late, ["Cancelled here.", "remove it at the analyzer", "is held under"], ""),
    (run_twice, ["CBC had been sent before", "remove it at the analyzer"], ""),
]


@pytest.mark.parametrize(
    ("happen", "said", "offered"), BROKEN, ids=[row[0].__name__ for row in BROKEN]
)
def test_the_page_says_why_and_what_to_do(
    clinic: Clinic,
    alice: User,
    signed_in: SignIn,
    happen: Callable[[LabRequest], None],
    said: list[str],
    offered: str,
) -> None:
    request = placed(clinic)
    happen(request)
    page = text(signed_in(alice), request)
    for words in said:
        assert words.casefold() in page.casefold()
    offers = {"Try now", "Try again", "Send again"} & set(re.findall("Try now|Send again", page))
    if "Try again" in page.replace("“Try again”", ""):
        offers.add("Try again")
    assert offers == ({offered} if offered else set())


@pytest.mark.parametrize(
    ("happen", "offered"), [(each, o) for each, _, o in BROKEN if o and each is not held]
)
def test_what_it_offers_works(
    clinic: Clinic,
    alice: User,
    signed_in: SignIn,
    happen: Callable[[LabRequest], None],
    offered: str,
) -> None:
    request = placed(clinic)
    happen(request)
    client = signed_in(alice)
    client.post(reverse("labs:resubmit", args=[request.lab_report_id]))
    row = Submission.objects.get()
    assert row.state in ("queued", "unknown")
    assert row.not_before <= timezone.now()
    submissions.settle_accepted(claimed(request), Receipt())
    request.refresh_from_db()
    assert request.state == "accepted"


def test_while_it_is_being_sent_nothing_is_offered(
    clinic: Clinic, alice: User, signed_in: SignIn
) -> None:
    request = placed(clinic)
    claimed(request)
    client = signed_in(alice)
    assert "Try now" not in text(client, request)
    answer = client.post(
        reverse("labs:resubmit", args=[request.lab_report_id]), follow=True
    ).content.decode()
    assert "not waiting to be sent" in answer


def test_after_15_minutes_the_worklist_says_so(
    clinic: Clinic, alice: User, signed_in: SignIn
) -> None:
    request = placed(clinic)
    busy(request)
    client = signed_in(alice)

    def lanes() -> tuple[bool, bool]:
        page = client.get(reverse("labs:worklist")).content.decode()
        return tuple(
            request.lab_report_id in page.partition(f'id="t-{lane}"')[2].partition("</section>")[0]
            for lane in ("running", "attention")
        )

    later(request, 14)
    assert lanes() == (True, False)
    later(request, 16)
    assert lanes() == (False, True)
    page = html.unescape(client.get(reverse("labs:worklist")).content.decode())
    assert "not delivered for 16 min" in page
    assert "Heska is busy, next try" in page
    assert BY_HAND in page
    # Counted where everybody looks, and found by the poll.
    assert re.search(r"Needs attention[^0-9]*1", re.sub(r"<[^>]+>", " ", page))
    submissions.resubmit(acting_user=None, submission=request.submission)
    assert lanes() == (True, False)


def test_cancelling_says_beforehand_what_it_does(
    clinic: Clinic, alice: User, signed_in: SignIn
) -> None:
    request = placed(clinic)
    client = signed_in(alice)
    assert "has not reached the laboratory" in text(client, request)
    silent(request)
    assert "It is cancelled here only" in text(client, request)
    ordering.cancel_request(acting_user=None, request=request, reason="x")
    assert "may be at the analyzer" in text(client, request)


def test_a_test_taken_out_and_taken_back_is_not_forgotten(
    clinic: Clinic, alice: User, signed_in: SignIn
) -> None:
    request = placed(clinic)
    orphan = factories.make_unmatched(clinic)
    matching.match(
        acting_user=None,
        unmatched=orphan,
        patient=request.patient,
        request=request,
        expected_version=orphan.version,
    )
    client = signed_in(alice)
    assert "took what was run by hand out of the order" in text(client, request)
    factories.accept(request)
    orphan.refresh_from_db()
    matching.unmatch(
        acting_user=None, unmatched=orphan, expected_version=orphan.version, reason="no"
    )
    page = text(client, request)
    assert "not ordered" in page
    assert "Order it again if it is still wanted" in page

"""Orders that have not come back: from the page alone a person can tell why, and mend it."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db.models import F
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from labs.models import Clinic, LabRequest, Message, Submission
from labs.order import Receipt, TestOutcome
from labs.report import Identity
from labs.services.intake import journal
from labs.services.orders import ordering, outbox, submissions
from labs.services.orphaned import matching
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


def text(client: Client, request: LabRequest, *, history: bool = True) -> str:
    """The page's words, as they are read."""
    page = client.get(reverse("labs:request", args=[request.lab_report_id])).content.decode()
    if not history:
        page, aside, _ = page.partition('<div class="aside">')
        assert aside
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


def nobody_sends_for_minutes(request: LabRequest) -> None:
    Submission.objects.update(not_before=timezone.now() - timedelta(minutes=3))


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


def cannot_be_made(request: LabRequest) -> None:
    submissions.settle_unsendable(claimed(request), error="There is no code for the species.")


def refused_after_silence(request: LabRequest) -> None:
    silent(request)
    Submission.objects.update(not_before=timezone.now())
    refused(request)


def silent_and_given_up(request: LabRequest) -> None:
    silent(request)
    later(request, 26)
    Submission.objects.update(state="needs_attention", attempts=11)


def refused_in_part(request: LabRequest) -> None:
    accepted(request, refused="HDC-3")


def refused_altogether(request: LabRequest) -> None:
    accepted(request, refused="HHEM-1 HDC-3")


def accepted(request: LabRequest, refused: str = "") -> None:
    outcomes = tuple(
        TestOutcome(test_request_id=test.test_request_id, accepted=False, words="No analyzer.")
        for test in request.tests.select_related("panel")
        if test.panel.code in refused.split()
    )
    factories.accept(request, outcomes=outcomes)


def ordered_before(request: LabRequest, minutes: int) -> None:
    """As if all of it had been so long ago."""
    span = timedelta(minutes=minutes)
    LabRequest.objects.update(requested_at=F("requested_at") - span)
    Submission.objects.update(
        accepted_at=F("accepted_at") - span, first_attempt_at=F("first_attempt_at") - span
    )


def overdue(request: LabRequest) -> None:
    accepted(request)
    ordered_before(request, 60)
    factories.make_unmatched(request.clinic)  # so the laboratory can reach us


def overdue_and_nothing_comes(request: LabRequest) -> None:
    accepted(request)
    ordered_before(request, 60)
    factories.make_unmatched()  # at another clinic


def contradicted(request: LabRequest) -> None:
    accepted(request)
    another = factories.make_report(identity=Identity(patient_name="Smokey", species_code="cat"))
    factories.make_result(request, another)
    ordered_before(request, 60)


def cancelled_and_came(request: LabRequest) -> None:
    accepted(request)
    ordering.cancel_request(acting_user=None, request=request, reason="wrong animal")
    factories.make_result(request)


def unreadable(request: LabRequest) -> None:
    accepted(request)
    message = factories.make_message(request.clinic)
    Message.objects.filter(pk=message.pk).update(request=request)
    message.refresh_from_db()
    journal.quarantine(message=message, cause="No tests were found in it.")


def being_sent(request: LabRequest) -> None:
    claimed(request)
    ordering.cancel_request(acting_user=None, request=request, reason="wrong animal")


BY_HAND = "run the tests at the analyzer by hand"
BROKEN = [
    # what happened, what the page says, what it offers
    (
        busy,
        ["Heska is busy.", "It goes by itself: next try", "attempt 2", "Not sent"],
        "Try now",
    ),
    (busy_for_long, ["Not delivered for 26 min: Heska is busy.", "next try", BY_HAND], "Try now"),
    (
        silent,
        ["did not answer in time", "may have arrived", "under the same id", "can't be there twice"],
        "Try now",
    ),
    (
        refused,
        [
            "Heska refused the order.",
            "Invalid BreedId 370",
            "Correct what the laboratory names",
            "Correct the record",
            "Sent",
        ],
        "Send again",
    ),
    (
        refused_after_silence,
        [
            "Heska refused the order. But it may have arrived before that.",
            "Invalid BreedId 370",
            "Look at the analyzer. If the order is there, leave it",
            "If it is not there, correct what the laboratory names",
            "may be at the analyzer all the same",
            "It is not at the analyzer: send it corrected",
        ],
        "",
    ),
    (
        cannot_be_made,
        [
            "There is no code for the species.",
            "Nothing was sent",
            "Correct the patient's record",
            "Not sent",
            "Correct the record",
        ],
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
            "Nothing has been sent for 20 min",
            "the program that sends stands still",
            "tell your administrator",
        ],
        "Try now",
    ),
    (
        nobody_sends_for_minutes,
        ["The order has not left yet.", "Nothing has been sent for 3 min", "tell your admin"],
        "Try now",
    ),
    (cancelled_too_late, ["Cancelled here.", "remove it at the analyzer", "is held under"], ""),
    (
        silent_and_given_up,
        [
            "tried 11 times",
            "may have arrived",
            "look whether the analyzer has the order; if not",
        ],
        "Send again",
    ),
    (
        refused_in_part,
        [
            "The laboratory refused Kidney panel: no result will come of it.",
            "No analyzer.",
            "The other tests are not touched by it.",
            "Order it again",
        ],
        "",
    ),
    (
        refused_altogether,
        ["every test refused", "refused CBC and Kidney panel", "Order it again"],
        "",
    ),
    (
        overdue,
        [
            "No result of CBC and Kidney panel yet, overdue by 3",
            "Look at Element HT5 and Element DCX",
            "Unmatched results",
        ],
        "",
    ),
    (
        overdue_and_nothing_comes,
        ["overdue by", "nothing at all has come from the laboratory", "tell your administrator"],
        "",
    ),
    (
        contradicted,
        [
            "result held",
            "is held, because it contradicts this order",
            "Name Smokey; the request is for Biscuit.",
            "Say whose it is",
        ],
        "",
    ),
    (
        cancelled_and_came,
        ["all the same, after the cancelling, and is held", "Say whose it is"],
        "",
    ),
    (
        unreadable,
        [
            "result not read",
            "that could not be read. No tests were found in it.",
            "nothing has to be run again",
        ],
        "",
    ),
    (being_sent, ["Cancelled here.", "remove it at the analyzer", "CBC cancelled"], ""),
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
    page = text(signed_in(alice), request, history=False)
    for words in said:
        assert words.casefold() in page.casefold()
    # As buttons: in quotes they are spoken of.
    offers = {o for o in ("Try now", "Try again", "Send again") if o in page.replace(f"“{o}”", "")}
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


def test_refused_after_silence_it_is_sent_corrected_by_who_has_looked(
    clinic: Clinic, alice: User, signed_in: SignIn
) -> None:
    request = placed(clinic)
    refused_after_silence(request)
    client = signed_in(alice)
    assert "It is cancelled here only: remove it at the analyzer too." in text(client, request)
    worklist = html.unescape(client.get(reverse("labs:worklist")).content.decode())
    assert "It may be at the analyzer from an earlier attempt" in worklist
    address = reverse("labs:resubmit", args=[request.lab_report_id])
    told = client.post(address, follow=True).content.decode()  # a page from before the refusal
    assert "Look at the analyzer first" in told
    assert Submission.objects.get().state == "rejected"
    form = re.search(rf'<form method="post" action="{address}".*?</form>', told, flags=re.DOTALL)
    assert form
    fields = dict(re.findall(r'name="(not_there)" value="(\d)"', form[0]))
    client.post(address, fields)
    row = Submission.objects.get()
    assert (row.state, row.may_have_arrived) == ("unknown", True)
    assert "having looked at the analyzer, that it is not there" in text(client, request)

    there = "had this order from an earlier attempt all the same"
    assert there not in text(client, request)
    submissions.settle_accepted(claimed(request), Receipt(already_there=True))
    assert there in text(client, request)


def test_already_there_without_a_correction_is_no_news(
    clinic: Clinic, alice: User, signed_in: SignIn
) -> None:
    request = placed(clinic)
    submissions.settle_accepted(claimed(request), Receipt(already_there=True))
    assert "had this order from an earlier attempt" not in text(signed_in(alice), request)


def test_what_was_run_without_a_request_is_not_sent(
    clinic: Clinic, alice: User, signed_in: SignIn
) -> None:
    orphan = factories.make_unmatched(clinic)
    request = matching.match(
        acting_user=None,
        unmatched=orphan,
        patient=factories.make_patient(clinic),
        expected_version=orphan.version,
    )
    address = reverse("labs:resubmit", args=[request.lab_report_id])
    answer = signed_in(alice).post(address, follow=True)
    assert "Nothing was ever sent here" in html.unescape(answer.content.decode())


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
    outbox.resubmit(acting_user=None, submission=request.submission)
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


def links(client: Client, request: LabRequest) -> dict[str, str]:
    """Of the troubles on its page: words and address."""
    page = client.get(reverse("labs:request", args=[request.lab_report_id])).content.decode()
    ways = "".join(re.findall(r'<div class="ways">(.*?)</div>', page, flags=re.DOTALL))
    found = re.findall(r'<a class="btn[^"]*" href="([^"]+)">([^<]+)</a>', ways)
    return {words: html.unescape(address) for address, words in found}


def test_only_an_administrator_is_led_where_only_one_may_go(
    clinic: Clinic, alice: User, ada: User, signed_in: SignIn
) -> None:
    request = placed(clinic)
    held(request)
    assert links(signed_in(alice), request) == {}
    leads = links(signed_in(ada), request)
    assert signed_in(ada).get(leads["Connection to the laboratory"]).status_code == 200

    request = placed(clinic)
    refused(request)
    assert set(links(signed_in(alice), request)) == {"Correct the record"}
    assert set(links(signed_in(ada), request)) == {"Correct the record", "Codes"}

    request = placed(clinic)
    unreadable(request)
    assert links(signed_in(alice), request) == {}
    page = signed_in(ada).get(links(signed_in(ada), request)["Look at it"]).content.decode()
    assert "No tests were found in it." in page


def test_a_held_result_is_decided_from_the_page(
    clinic: Clinic, alice: User, signed_in: SignIn
) -> None:
    request = placed(clinic)
    contradicted(request)
    client = signed_in(alice)
    assert client.get(links(client, request)["Say whose it is"]).status_code == 200
    worklist = html.unescape(client.get(reverse("labs:worklist")).content.decode())
    assert "result held" in worklist
    assert "contradicts the order: somebody says whose it is" in worklist
    orphan = request.contradicted_by.get()
    matching.match(
        acting_user=alice,
        unmatched=orphan,
        patient=request.patient,
        request=request,
        expected_version=orphan.version,
    )
    page = text(client, request)
    assert "contradicts this order" not in page
    assert "1 of 2 tests in" in page


def test_a_refused_test_is_ordered_again_beside_its_request(
    clinic: Clinic, alice: User, signed_in: SignIn
) -> None:
    request = placed(clinic)
    refused_in_part(request)
    client = signed_in(alice)
    form = client.get(links(client, request)["Order it again"]).content.decode()
    ticked = re.findall(r'name="panels" value="([^"]+)" checked', form)
    assert ticked == ["HDC-3"]
    again = ordering.place_request(
        acting_user=alice,
        patient=request.patient,
        panels=[test.panel for test in request.tests.all() if test.panel.code in ticked],
        beside=request,
    )
    assert "no result will come of it" not in text(client, request)
    ordering.cancel_request(acting_user=None, request=again, reason="no")
    assert "no result will come of it" in text(client, request)


def test_what_is_late_at_the_analyzer_is_not_put_on_the_connection(
    clinic: Clinic, alice: User, signed_in: SignIn
) -> None:
    request = placed(clinic)
    overdue(request)
    page = text(signed_in(alice), request)
    assert "overdue by" in page
    assert "nothing at all has come" not in page


def test_what_was_delivered_late_is_not_late_at_the_analyzer(
    clinic: Clinic, alice: User, signed_in: SignIn
) -> None:
    request = placed(clinic)
    LabRequest.objects.update(requested_at=timezone.now() - timedelta(hours=1))
    accepted(request)
    client = signed_in(alice)
    assert "overdue" not in text(client, request)
    assert "overdue" not in client.get(reverse("labs:worklist")).content.decode()


def test_an_order_refused_altogether_can_be_put_away_once_it_is_ordered_again(
    clinic: Clinic, alice: User, signed_in: SignIn
) -> None:
    request = placed(clinic)
    refused_altogether(request)
    again = ordering.place_request(
        acting_user=alice,
        patient=request.patient,
        panels=[test.panel for test in request.tests.all()],
        beside=request,
    )
    client = signed_in(alice)
    page = text(client, request)
    assert f"they are on order again as {again.lab_report_id}" in page
    assert "nothing to remove at the analyzer" in page
    said = ordering.cancel_request(acting_user=alice, request=request, reason="ordered again")
    assert "nothing to remove" in said
    assert "remove it at the analyzer" not in text(client, request)
    attention = client.get(reverse("labs:worklist") + "?show=attention").content.decode()
    assert request.lab_report_id not in attention


def test_another_requests_results_and_decided_ones_say_nothing_here(
    clinic: Clinic, alice: User, signed_in: SignIn
) -> None:
    request = placed(clinic)
    contradicted(placed(clinic))
    unreadable(placed(clinic))
    contradicted(request)
    client = signed_in(alice)
    assert text(client, request).count("is held, because it contradicts") == 1
    assert "could not be read" not in text(client, request)
    orphan = request.contradicted_by.get()
    matching.dismiss(
        acting_user=alice, unmatched=orphan, expected_version=orphan.version, reason="Control"
    )
    assert "is held, because it contradicts" not in text(client, request)

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from labs.models import Clinic, LabRequest, LabResult, Submission
from labs.queries.overview import worklist
from labs.services.intake import journal
from labs.services.orders import submissions
from labs.services.reviews import review
from tests import factories

SignIn = Callable[[User], Client]
HTMX = {"HX-Request": "true"}


def names(page: str, section: str) -> list[str]:
    """The animals of one section, from top to bottom."""
    part = page.partition(f'id="t-{section}"')[2].partition("</section>")[0]
    return re.findall(r'class="strong open"[^>]*>([^<]+)<', part)


def result(
    clinic: Clinic, name: str, value: str, *, flag: str = "N", minutes: int = 0
) -> LabRequest:
    request = factories.make_request(factories.make_patient(clinic, name=name), accepted=True)
    run = factories.make_run([factories.make_row("PLT", value, flag=flag, low="126", high="660")])
    factories.make_result(request, factories.make_report([run]))
    LabResult.objects.filter(run__request=request).update(
        received_at=timezone.now() - timedelta(minutes=minutes)
    )
    return request


def test_critical_first_then_changed_then_what_waits_longest(
    clinic: Clinic, bob: User, signed_in: SignIn
) -> None:
    result(clinic, "Young", "300", minutes=1)
    result(clinic, "Old", "300", minutes=50)
    changed = result(clinic, "Changed", "2")
    review.sign(acting_user=bob, request=changed, expected_version=changed.version)
    run = changed.runs.get()
    factories.make_result(
        changed,
        factories.make_report(
            [
                factories.make_run(
                    [factories.make_row("PLT", "143", low="126", high="660")],
                    key=run.run_key,
                    status="corrected",
                )
            ],
            version=2,
            status="corrected",
        ),
    )
    result(clinic, "Critical", "9", flag="LL")
    page = signed_in(bob).get("/").content.decode()
    assert names(page, "review") == ["Critical", "Changed", "Old", "Young"]
    assert "critical: PLT 9" in page
    assert "changed after review: PLT 2 → 143" in page


def test_late_first_and_what_happens_next(clinic: Clinic, bob: User, signed_in: SignIn) -> None:
    now = timezone.now()
    # A thyroid takes 25 minutes, a blood count 4: what was ordered first is not what is late first.
    thyroid = factories.make_request(
        factories.make_patient(clinic, name="Slow"), panels=["HIP-1"], accepted=True
    )
    LabRequest.objects.filter(pk=thyroid.pk).update(requested_at=now - timedelta(minutes=30))
    count = factories.make_request(factories.make_patient(clinic, name="Late"), accepted=True)
    LabRequest.objects.filter(pk=count.pk).update(requested_at=now - timedelta(minutes=25))
    for late in (thyroid, count):
        late.refresh_from_db()
        Submission.objects.filter(request=late).update(accepted_at=late.requested_at)
    stuck = factories.make_request(factories.make_patient(clinic, name="Stuck"), priority="stat")
    claim = submissions.claim(stuck.submission.pk)
    assert claim is not None
    submissions.settle_retry(claim, error="Heska is not reachable.", outcome_unknown=False)
    # Ordered first of all, and the laboratory has it only now.
    through = factories.make_request(
        factories.make_patient(clinic, name="Through"), panels=["HIP-1"], accepted=True
    )
    LabRequest.objects.filter(pk=through.pk).update(requested_at=now - timedelta(hours=2))
    page = signed_in(bob).get("/").content.decode()
    assert names(page, "running") == ["Late", "Slow", "Stuck", "Through"]
    assert "overdue by 6 min" in page and "Element HT5, look at the analyzer" in page
    assert "Heska is not reachable, next try " in page and "attempt 2" in page
    assert "STAT" in page


def test_needs_attention_has_its_own_section_and_count(
    clinic: Clinic, bob: User, signed_in: SignIn
) -> None:
    request = factories.make_request(factories.make_patient(clinic, name="Refused"))
    claim = submissions.claim(request.submission.pk)
    assert claim is not None
    submissions.settle_rejected(claim, error="The breed is not known.")
    page = signed_in(bob).get("/").content.decode()
    assert names(page, "attention") == ["Refused"] and names(page, "running") == []
    only = signed_in(bob).get("/?show=attention").content.decode()
    assert names(only, "attention") == ["Refused"] and 'id="t-review"' not in only
    assert "The breed is not known." in only


def test_what_was_reviewed_leaves_the_list(clinic: Clinic, bob: User, signed_in: SignIn) -> None:
    request = result(clinic, "Done", "300")
    review.sign(acting_user=bob, request=request, expected_version=request.version)
    page = signed_in(bob).get("/").content.decode()
    assert names(page, "review") == [] and names(page, "recent") == ["Done"]
    assert "Nothing waits for review" in page


@pytest.mark.usefixtures("still_clock")
def test_polling_answers_204_until_something_changes(
    clinic: Clinic, bob: User, signed_in: SignIn
) -> None:
    client = signed_in(bob)
    page = client.get("/").content.decode()
    found = re.search(r'\{"v": "([^"]+)"\}', page)
    assert found is not None
    assert client.get("/", {"v": found[1]}, headers=HTMX).status_code == 204
    result(clinic, "New", "300")
    changed = client.get("/", {"v": found[1]}, headers=HTMX)
    assert changed.status_code == 200
    assert "<html" not in changed.content.decode() and "New" in changed.content.decode()


@pytest.mark.usefixtures("still_clock")
def test_the_navigation_counts_and_tells_the_oldest_age(
    clinic: Clinic, bob: User, ada: User, signed_in: SignIn
) -> None:
    factories.make_unmatched(clinic, received_at=timezone.now() - timedelta(hours=3))
    factories.make_unmatched(clinic)
    journal.quarantine(message=factories.make_message(clinic), cause="No JSON.")
    page = signed_in(bob).get(reverse("labs:patients")).content.decode()
    assert "2 waiting, the oldest for 3 h 00" in page and "count amber" in page
    assert "in quarantine" not in page
    assert "1 in quarantine" in signed_in(ada).get("/").content.decode()
    client = signed_in(bob)
    poll = re.search(r'hx-get="(/nav/[^"]+)"', page)
    assert poll is not None
    assert client.get(poll[1].replace("&amp;", "&"), headers=HTMX).status_code == 204
    factories.make_unmatched(clinic)
    again = client.get(poll[1].replace("&amp;", "&"), headers=HTMX)
    assert again.status_code == 200 and 'aria-current="page"' in again.content.decode()


def test_a_long_list_has_pages(clinic: Clinic, bob: User, signed_in: SignIn) -> None:
    for number in range(53):
        factories.make_request(factories.make_patient(clinic, name=f"Rex{number:02}"))
    client = signed_in(bob)
    assert "Show all 53" in client.get("/").content.decode()
    first = client.get("/?show=running").content.decode()
    second = client.get("/?show=running&page=2").content.decode()
    assert len(names(first, "running")) == 50 and len(names(second, "running")) == 3
    assert client.get("/?show=running&page=x").status_code == 200


@pytest.mark.parametrize("address", ["/", "/?show=review"])
def test_a_critical_result_is_marked_as_such(
    clinic: Clinic, alice: User, signed_in: SignIn, address: str
) -> None:
    result(clinic, "Quiet", "300")
    result(clinic, "Loud", "12", flag="LL")
    page = signed_in(alice).get(address).content.decode()
    assert re.findall(
        r'data-row class="critical".*?class="strong open"[^>]*>([^<]+)<', page, re.S
    ) == ["Loud"]


def test_the_first_rows_are_those_of_the_section_s_own_page(clinic: Clinic, alice: User) -> None:
    """Composed once or each time: the same animals with all that is shown of them."""
    result(clinic, "Quiet", "300")
    result(clinic, "Loud", "12", flag="LL")
    refused = factories.make_request(factories.make_patient(clinic, name="Refused"))
    LabRequest.objects.filter(pk=refused.pk).update(state="needs_attention")
    signed = result(clinic, "Done", "300")
    LabRequest.objects.filter(pk=signed.pk).update(reviewed_at=timezone.now())
    at = timezone.now() - timedelta(hours=1)
    for name, rows in worklist.ROWS.items():
        whole = list(rows(clinic, worklist.EVERYTHING, at))
        values = {"clinic": clinic.pk} | ({"at": at} if name in worklist.AGO else {})
        first = worklist.FIRST[name].all(**values)
        assert whole and [vars(row).keys() for row in first] == [vars(row).keys() for row in whole]
        for one, other in zip(first, whole, strict=True):
            assert {k: v for k, v in vars(one).items() if k != "_state"} == {
                k: v for k, v in vars(other).items() if k != "_state"
            }
            assert one._state.fields_cache == other._state.fields_cache

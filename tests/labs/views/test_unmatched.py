from __future__ import annotations

import os
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from labs.models import Clinic, TestRun, UnmatchedResult
from labs.queries.orphaned import unmatched as queries
from labs.report import Identity
from labs.services.orphaned import matching
from tests import factories

FULL = os.environ.get("FULL") == "1"
SignIn = Callable[[User], Client]
HTMX = {"HX-Request": "true"}


def queue(client: Client, state: str = "waiting") -> str:
    return client.get(reverse("labs:unmatched"), {"state": state}).content.decode()


def test_the_queue_shows_what_was_typed_and_how_long_it_waits(
    clinic: Clinic, alice: User, signed_in: SignIn
) -> None:
    now = timezone.now()
    factories.make_unmatched(
        clinic,
        patient_name="TYPED",
        patient_id="000000",
        owner_last_name="FERRI",
        received_at=now - timedelta(hours=25),
    )
    factories.make_unmatched(clinic, patient_name="", received_at=now - timedelta(hours=3))
    factories.make_unmatched(clinic)
    page = queue(signed_in(alice))
    assert "TYPED" in page and "000000" in page and "FERRI" in page
    assert "no name typed" in page and "Run without a request" in page
    assert 'chip age red">1 day' in page and 'chip age amber">3 h 00' in page
    assert "Element HT5" in page and "1 value" in page


def test_a_contradiction_is_said_in_words(clinic: Clinic, alice: User, signed_in: SignIn) -> None:
    request = factories.make_request(
        factories.make_patient(clinic, name="Moss", species="cat"), accepted=True
    )
    factories.make_result(
        request,
        factories.make_report(
            identity=Identity(patient_name="TIGER", species="Canine", species_code="dog")
        ),
    )
    page = queue(signed_in(alice))
    assert "Contradicts the request it was sent for" in page
    assert request.lab_report_id in page and "Name TIGER; the request is for Moss." in page


def test_each_state_has_its_list(clinic: Clinic, alice: User, signed_in: SignIn) -> None:
    patient = factories.make_patient(clinic, name="Record")
    held, matched, dismissed = (
        factories.make_unmatched(clinic, patient_name=name) for name in ("HELD", "GONE", "QC")
    )
    matching.hold(acting_user=alice, unmatched=held, expected_version=held.version, reason="Ask")
    matching.match(
        acting_user=alice, unmatched=matched, patient=patient, expected_version=matched.version
    )
    matching.dismiss(
        acting_user=alice, unmatched=dismissed, expected_version=dismissed.version, reason="QC run"
    )
    client = signed_in(alice)
    assert "HELD" in queue(client) and "by alice: Ask" in queue(client)
    assert "GONE" not in queue(client) and "QC" not in queue(client, "held")
    assert "GONE" in queue(client, "matched") and "Record" in queue(client, "matched")
    assert "QC run" in queue(client, "dismissed")
    address = reverse("labs:unmatched_history", args=[matched.uuid])
    history = client.get(address).content.decode()
    assert "<b>alice</b> put the result on the patient&#x27;s record" in history
    assert "<b>Heska</b> delivered a result that belongs to no request" in history


@pytest.mark.usefixtures("still_clock")
def test_polling_answers_204_until_something_changes(
    clinic: Clinic, alice: User, signed_in: SignIn
) -> None:
    client = signed_in(alice)
    found = re.search(r'\{"v": "([^"]+)"\}', queue(client))
    assert found is not None
    address = reverse("labs:unmatched")
    assert client.get(address, {"v": found[1]}, headers=HTMX).status_code == 204
    factories.make_unmatched(clinic)
    changed = client.get(address, {"v": found[1]}, headers=HTMX)
    assert changed.status_code == 200 and "BISCUIT" in changed.content.decode()


def test_it_is_filtered_by_analyzer_age_and_holder(
    clinic: Clinic, alice: User, bob: User, signed_in: SignIn
) -> None:
    old = factories.make_unmatched(
        clinic, patient_name="OLD", received_at=timezone.now() - timedelta(hours=3)
    )
    run = factories.make_run(analyzer_model="Element DC5X")
    report = factories.make_report([run], identity=Identity(patient_name="CHEM"))
    chem = factories.make_unmatched(clinic, report)
    matching.hold(acting_user=bob, unmatched=chem, expected_version=chem.version, reason="Ask")
    client, address = signed_in(alice), reverse("labs:unmatched")

    def names(**given: str) -> list[str]:
        page = client.get(address, given).content.decode()
        return [name for name in ("OLD", "CHEM") if f">{name}</a>" in page]

    assert names() == ["OLD", "CHEM"]
    assert names(analyzer="Element DC5X") == ["CHEM"]
    assert names(analyzer="Element HT5") == ["OLD"]
    assert names(age="2h") == ["OLD"]
    assert names(age="24h") == []
    assert names(held_by="bob") == ["CHEM"]
    assert names(held_by="bob", age="2h") == []
    assert names(age="nonsense", analyzer="") == ["OLD", "CHEM"]
    page = client.get(address, {"age": "2h"}).content.decode()
    assert "1 found" in page and 'hx-get="/unmatched/?age=2h"' in page, "polls what is shown"
    assert old.state == "open"


def test_another_clinics_analyzers_and_holders_are_no_filter(
    clinic: Clinic, alice: User, charlie: User, signed_in: SignIn
) -> None:
    theirs = Clinic.objects.exclude(pk=clinic.pk).get()
    run = factories.make_run(analyzer_model="Secret analyzer")
    orphan = factories.make_unmatched(theirs, factories.make_report([run]))
    matching.hold(
        acting_user=charlie, unmatched=orphan, expected_version=orphan.version, reason="x"
    )
    factories.make_unmatched(clinic)
    page = queue(signed_in(alice))
    assert "Secret analyzer" not in page and "charlie" not in page


def test_quality_control_is_put_away_together_from_its_page(
    clinic: Clinic, alice: User, signed_in: SignIn
) -> None:
    control = factories.make_unmatched(clinic, patient_name="QC")
    bella = factories.make_unmatched(clinic, patient_name="BELLA")
    client, address = signed_in(alice), reverse("labs:unmatched_quality")
    assert address in queue(client)
    page = client.get(address).content.decode()
    assert f'value="{control.uuid}:{control.version}"' in page and "BELLA" not in page
    form = {"run": [f"{orphan.uuid}:{orphan.version}" for orphan in (control, bella)] + ["x"]}
    said = client.post(address, form, follow=True).content.decode()
    assert "1 dismissed as quality control" in said and "BELLA" in said
    assert [orphan.state for orphan in type(bella).objects.order_by("pk")] == ["dismissed", "open"]


def many(clinic: Clinic, count: int) -> None:
    rows = UnmatchedResult.objects.bulk_create(
        [
            UnmatchedResult(
                clinic=clinic,
                vendor="heska",
                message_id=f"m{number}",
                reason="no_request",
                typed={"patient_name": f"PET {number}"},
            )
            for number in range(count)
        ],
        batch_size=1000,
    )
    TestRun.objects.bulk_create(
        [
            TestRun(clinic=clinic, unmatched=row, run_key="r", analyzer_model="Element HT5")
            for row in rows
        ],
        batch_size=1000,
    )


def test_failure_mode_23_ten_thousand_are_counted_and_paged_without_a_cut(
    clinic: Clinic, alice: User, signed_in: SignIn, django_assert_max_num_queries: Any
) -> None:
    """A list cut at a hundred rows hid what was older."""
    many(clinic, 10_000)
    if connection.vendor == "postgresql":
        # As in test_query_counts: a table taken for empty is planned for none.
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
    client, address = signed_in(alice), reverse("labs:unmatched")
    with django_assert_max_num_queries(13):
        first = client.get(address).content.decode()
    assert '<b class="count">10000</b>' in first and "10000 results" in first
    with django_assert_max_num_queries(13):
        last = client.get(address, {"page": "200"}).content.decode()
    assert "PET 9999" in last and 'rel="next"' not in last
    assert "10000 found" in client.get(address, {"analyzer": "Element HT5"}).content.decode()
    seen: list[int] = []
    numbers = range(1, 202) if FULL else (1, 2, 3, 100, 199, 200, 201)
    for number in numbers:
        seen += [row.orphan.pk for row in queries.queue(clinic, "waiting", number).page.rows]
    assert len(seen) == len(set(seen)) == 50 * (len(numbers) - 1)

"""No page does more SQL statements than its committed count, and none does more for more rows.

After a change that is meant, write the counts anew: UPDATE_QUERY_COUNTS=1 pytest this file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from labs.models import (
    Analyte,
    Analyzer,
    Attachment,
    Clinic,
    EmergencyCode,
    LabRequest,
    Merge,
    Patient,
    TestRun,
    UnmatchedResult,
)
from labs.services import own
from labs.services.orders import emergency_codes
from labs.services.orders.codes import set_code
from labs.services.orphaned import matching
from labs.services.people import pins, wall
from labs.services.registry import merging
from labs.services.reviews import care, escalation, review
from labs.services.reviews.limits import set_limit
from tests import factories

COUNTS = Path(__file__).parent.parent / "query_counts.json"
UPDATE = os.environ.get("UPDATE_QUERY_COUNTS") == "1"


def fill(clinic: Clinic, vet: User, rows: int) -> None:
    """So many of everything that a page lists, in one clinic."""
    codes = [f"A{number}" for number in range(rows)]
    runs = [factories.make_row(code) for code in codes]
    runs += [factories.make_row("PLT", "2", sequence="99")]  # alarming
    biscuit = factories.make_patient(clinic, patient_id="P-BISCUIT")
    for index in range(rows):
        factories.make_patient(clinic, breed=f"Breed {index}", owner=biscuit.owner)
        twice = factories.make_patient(clinic, name=f"Bis {index}")
        factories.make_request(twice)
        merging.merge(acting_user=None, survivor=biscuit, merged=twice)
        set_limit(
            acting_user=None,
            clinic=clinic,
            analyte="K",
            species="dog",
            unit=f"unit {index}",
            low="1",
            high="",
        )
        set_code(acting_user=None, clinic=clinic, kind="sex", word=f"word {index}", code="X")
    for index in range(rows):
        patient = factories.make_patient(clinic, name=f"Rex {index}")
        factories.make_request(patient, acting_user=vet, panels=["HHEM-1", "HDC-3"])
        factories.make_request(patient, acting_user=vet, accepted=True)
        for animal in (patient, biscuit):
            # All of Biscuit's are one group, beside its first.
            beside = LabRequest.objects.filter(patient=animal, patient__name="Biscuit").first()
            request = factories.make_request(animal, acting_user=vet, accepted=True, beside=beside)
            run = factories.make_run(runs, files=(factories.make_picture(),), comments=("one",))
            factories.make_result(request, factories.make_report([run]))
            care.tell_owner(acting_user=vet, request=request, what="told")
            care.follow_up(
                acting_user=vet,
                request=request,
                what="Call",
                assigned_to=vet,
                due_on=timezone.localdate() + timedelta(days=2 * (index % 2)),
            )
            care.hand_over(acting_user=vet, request=request, to=vet)
            if index % 2:
                review.sign(acting_user=vet, request=request, expected_version=request.version)
                corrected = factories.make_run(runs[:2], key=run.key, status="corrected")
                factories.make_result(
                    request, factories.make_report([corrected], version=2, status="corrected")
                )
        factories.make_typed(biscuit, acting_user=vet)
        for model in ("Element HT5", "Element DCX"):
            Analyzer.objects.create(clinic=clinic, model=model, serial_number=f"{index}")
        own.set_interval(
            acting_user=None,
            clinic=clinic,
            analyte=Analyte.objects.filter(kind="num")[index],
            species="dog",
            low="1",
            high="2",
            unit=Analyte.objects.filter(kind="num")[index].unit,
        )
        code = emergency_codes.give(acting_user=None, clinic=clinic)
        factories.make_unmatched(clinic, patient_id=code.code)
        orphan = factories.make_unmatched(clinic)
        if index % 2:
            matching.match(
                acting_user=vet,
                unmatched=orphan,
                patient=biscuit,
                expected_version=orphan.version,
            )


def addresses(clinic: Clinic) -> dict[str, str]:
    """Every page, by the name under which its count is committed."""
    biscuit = Patient.objects.get(clinic=clinic, patient_id="P-BISCUIT")
    request = LabRequest.objects.filter(patient=biscuit, retrospective=False).order_by("pk").last()
    orphan = UnmatchedResult.objects.filter(clinic=clinic, state="open").first()
    code = EmergencyCode.objects.filter(clinic=clinic).latest("pk")
    assert request is not None and orphan is not None
    message = request.runs.get().versions.all()[0].message
    by_hand = LabRequest.objects.filter(patient=biscuit, typed=True).first()
    assert by_hand is not None
    typed = by_hand.lab_report_id, by_hand.runs.get().pk
    file = Attachment.objects.filter(message__clinic=clinic).first()
    assert file is not None
    merge = Merge.objects.filter(clinic=clinic).latest("-pk")
    escalation.sweep()
    corrected = TestRun.objects.filter(request__patient=biscuit, review_state="changed")[0]
    assert corrected.request is not None
    return {
        "merge": reverse("labs:merge_patient", args=[biscuit.uuid]),
        "merge, side by side": reverse("labs:merge_patient", args=[biscuit.uuid])
        + f"?with={Patient.objects.get(clinic=clinic, name='Rex 0').uuid}",
        "owner": reverse("labs:owner", args=[biscuit.owner.uuid]),
        "edit owner": reverse("labs:edit_owner", args=[biscuit.owner.uuid]),
        "litter": reverse("labs:litter", args=[biscuit.owner.uuid]),
        "merged": reverse("labs:merge", args=[merge.uuid]),
        "worklist": reverse("labs:worklist"),
        "worklist, one section": reverse("labs:worklist") + "?show=review",
        "worklist, filtered": reverse("labs:worklist")
        + "?species=dog&doctor=x&analyzer=Element+HT5&on=2026-01-01&mine=1",
        "reconciliation": reverse("labs:reconciliation"),
        "navigation": reverse("labs:nav"),
        "patients": reverse("labs:patients"),
        "import patients": reverse("labs:import_patients"),
        "patients, searched": reverse("labs:patients") + "?q=rex+example",
        "patient": reverse("labs:patient", args=[biscuit.uuid]),
        "trends": reverse("labs:trends", args=[biscuit.uuid]),
        "owner report": reverse("labs:owner_report", args=[request.lab_report_id]),
        "edit patient": reverse("labs:edit_patient", args=[biscuit.uuid]),
        "choose patient": reverse("labs:new_request"),
        "typeahead": reverse("labs:typeahead") + "?q=rexx",
        "new request": reverse("labs:new_request") + f"?patient={biscuit.uuid}",
        "request": reverse("labs:request", args=[request.lab_report_id]),
        "attachment": reverse("labs:attachment", args=[file.uuid]),
        "emergency": reverse("labs:emergency", args=[code.code]),
        "emergency, patients": reverse("labs:emergency_hits", args=[code.code]) + "?q=rexx",
        "unmatched": reverse("labs:unmatched"),
        "unmatched, matched": reverse("labs:unmatched") + "?state=matched",
        "unmatched history": reverse("labs:unmatched_history", args=[orphan.uuid]),
        "messages": reverse("labs:messages"),
        "audit": reverse("labs:audit") + "?patient=P-BISCUIT",
        "catalogue": reverse("labs:catalogue"),
        "reference ranges": reverse("labs:own_ranges"),
        "tube labels": reverse("labs:tube_labels", args=[request.lab_report_id]),
        "type a result": reverse("labs:type_result", args=[biscuit.uuid]) + "?panel=HHEM-1",
        "correct what was typed": reverse("labs:correct_typed", args=typed),
        "codes": reverse("labs:codes"),
        "versions": reverse("labs:versions", args=[corrected.request.lab_report_id, corrected.pk]),
        "sign several": reverse("labs:review_many"),
        "alarms": reverse("labs:alarms"),
        "critical limits": reverse("labs:limits"),
        "set-up": reverse("heska_pages:health", args=[clinic.public_id]),
        "account": reverse("labs:account"),
        "switch": reverse("labs:switch"),
        "wall screens": reverse("labs:screens"),
        "wall": reverse("labs:wall"),
        "message": reverse("labs:message", args=[message.receipt_id]),
    }


def statements(client: Client, address: str, **headers: str) -> list[str]:
    with CaptureQueriesContext(
        connection,
    ) as captured:
        response = client.get(address, headers=headers)
    assert response.status_code in (200, 204), address
    return [query["sql"] for query in captured.captured_queries]


@pytest.fixture
def count_all(db: None) -> Callable[[int], dict[str, list[str]]]:
    def count(rows: int) -> dict[str, list[str]]:
        clinic = factories.make_clinic()
        user = factories.make_staff("vet", clinic=clinic)
        admin = factories.make_staff("admin", clinic=clinic)
        fill(clinic, user, rows)
        if connection.vendor == "postgresql":
            # Nobody else sees this test's rows: an autovacuum that came by meanwhile has taken the
            # tables for empty, and a page was planned for none and timed out.
            with connection.cursor() as cursor:
                cursor.execute("ANALYZE")
        client = Client()
        client.force_login(admin)
        _, token = wall.make(acting_user=admin, clinic=clinic, name="Laboratory")
        client.cookies[settings.WALL_COOKIE_NAME] = wall.pair(token) or ""
        for number in range(rows):
            wall.make(acting_user=admin, clinic=clinic, name=f"Screen {number}")
            colleague = factories.make_staff("vet", clinic=clinic)
            pins.set_pin(colleague, "830517")
        vet = Client()
        vet.force_login(user)
        found = {
            name: statements(vet if name == "sign several" else client, url)
            for name, url in addresses(clinic).items()
        }
        with time_machine.travel(timezone.now(), tick=False):  # ages change with the minute
            for name in ("worklist", "request", "unmatched"):
                url = addresses(clinic)[name]
                page = client.get(url).content.decode()
                version = page.partition('{"v": "')[2].partition('"')[0]
                assert version, name
                sep = "&" if "?" in url else "?"
                found[f"{name}, polled"] = statements(
                    client, f"{url}{sep}v={version}", **{"HX-Request": "true"}
                )
        return found

    return count


def test_every_page_keeps_to_its_committed_count(
    count_all: Callable[[int], dict[str, list[str]]],
) -> None:
    few, many = count_all(3), count_all(30)
    for name, queries in many.items():
        # One less where enough fit as they were typed, and no wrong letter is looked for.
        assert len(queries) <= len(few[name]), f"{name} grows with its rows:\n" + "\n".join(queries)
    if UPDATE:
        COUNTS.write_text(
            json.dumps({name: len(found) for name, found in sorted(few.items())}, indent=2) + "\n"
        )
    committed = json.loads(COUNTS.read_text())
    for name, queries in few.items():
        assert len(queries) == committed.get(name), (
            f"{name}: {len(queries)} statements, {committed.get(name)} committed:\n"
            + "\n".join(queries)
        )
    assert set(committed) == set(few)

"""Rows that the messages are about: four clinics, each with a client of Heska's and one patient,
and a request for every message. The first prints the clients' credentials as JSON.

    python -m bench.intake.seed                  tables and clinics, under `pims.settings`
    python -m bench.intake.seed FIRST COUNT      requests for the messages from FIRST on
"""

from __future__ import annotations

import json
import sys

import django
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from bench.intake import bodies

BATCH = 5000


def main(arguments: list[str]) -> None:
    if not arguments:
        call_command("migrate", verbosity=0)
        json.dump(clinics(), sys.stdout)
        return
    first, count = map(int, arguments)
    for start in range(first, first + count, BATCH):
        requests(range(start, min(start + BATCH, first + count)))
    with connection.cursor() as cursor:
        # Autovacuum would else do it in the middle of somebody's round.
        cursor.execute("VACUUM ANALYZE")


def clinics() -> list[dict[str, str]]:
    from integrations.heska.connections import create_client
    from labs.models import Clinic, Owner, Patient

    access = []
    for number in range(bodies.CLINICS):
        clinic = Clinic.objects.create(
            name=f"Clinic {number}", public_id=bodies.clinic_id(number), timezone="America/Denver"
        )
        owner = Owner.objects.create(
            clinic=clinic, owner_id="C-2207", first_name="Ana", last_name="Example"
        )
        Patient.objects.create(
            clinic=clinic,
            owner=owner,
            patient_id="P-10482",
            name="Biscuit",
            species="dog",
            sex="M",
            neutered=True,
        )
        client = create_client(acting_user=None, clinic=clinic)
        access.append({"client_id": client.client_id, "client_secret": client.client_secret})
    return access


def requests(numbers: range) -> None:
    from labs.models import LabRequest, Panel, Patient, RequestedTest, Submission

    patients = list(Patient.objects.select_related("clinic").order_by("clinic"))
    panel = Panel.objects.get(code="HHEM-1")
    now = timezone.now()
    made = LabRequest.objects.bulk_create(
        LabRequest(
            clinic=patients[number % bodies.CLINICS].clinic,
            patient=patients[number % bodies.CLINICS],
            lab_report_id=f"BN-{number:010d}",
            result_key=bodies.result_key(number),
            state="accepted",
            requested_at=now,
        )
        for number in numbers
    )
    RequestedTest.objects.bulk_create(
        RequestedTest(
            request=request,
            panel=panel,
            position=1,
            test_request_id=f"{request.lab_report_id}-1",
        )
        for request in made
    )
    Submission.objects.bulk_create(
        Submission(
            clinic=request.clinic,
            request=request,
            vendor="heska",
            state="accepted",
            not_before=now,
            external_id=f"9{number:010d}",
            accepted_at=now,
        )
        for number, request in zip(numbers, made, strict=True)
    )


if __name__ == "__main__":
    django.setup()
    main(sys.argv[1:])

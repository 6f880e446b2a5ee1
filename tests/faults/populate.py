"""`python -m tests.faults.populate CLINICS REQUESTS`: a database to shoot at, described on stdout.

A process of its own: the suite's own Django has other settings and another database.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import django


def main(clinics: int, requests: int) -> list[dict[str, Any]]:
    """So many clinics, each with so many accepted requests of one CBC."""
    from django.core.management import call_command

    from integrations.heska import connections
    from labs.models import Panel
    from labs.services.orders import ordering
    from tests import factories

    call_command("migrate", verbosity=0)
    panel = Panel.objects.get(code="HHEM-1")
    made = []
    for number in range(clinics):
        clinic = factories.make_clinic(f"Clinic {number}", public_id=f"clinic-{number:04}")
        access = connections.create_client(acting_user=None, clinic=clinic)
        patient = factories.make_patient(clinic, name=f"Animal {number}", patient_id=f"P-{number}")
        placed = [
            ordering.place_request(acting_user=None, patient=patient, panels=[panel])
            for _ in range(requests)
        ]
        made.append(
            {
                "pk": clinic.pk,
                "public_id": clinic.public_id,
                "client_id": access.client_id,
                "client_secret": access.client_secret,
                "patient": {"PatientId": patient.patient_id, "Name": patient.name},
                "requests": [
                    {"pk": r.pk, "key": r.result_key, "lab_report_id": r.lab_report_id}
                    for r in placed
                ],
            }
        )
    return made


if __name__ == "__main__":
    django.setup()
    print(json.dumps(main(int(sys.argv[1]), int(sys.argv[2]))))

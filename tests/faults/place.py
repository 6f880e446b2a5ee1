"""`python -m tests.faults.place CLINICS ORDERS [SECONDS]`: connected clinics and orders, as the
order form places them, so many seconds apart. Prints their ids and how long the slowest took."""

from __future__ import annotations

import json
import os
import sys
import time

import django


def main(clinics: int, orders: int, every: float) -> None:
    from integrations.heska import connections
    from labs import vendors
    from labs.models import Clinic, Panel, Patient
    from labs.services.orders import ordering
    from tests import factories

    panels = list(Panel.objects.filter(code__in=("HHEM-1", "HDC-3")))
    patients = []
    for number in range(clinics):
        name = f"out-{number}"
        clinic = Clinic.objects.filter(public_id=name).first()
        if clinic is None:
            clinic = factories.make_clinic(f"Clinic {number}", public_id=name)
            connections.connect(
                acting_user=None, clinic=clinic, client_id=name, client_secret=f"secret-{name}"
            )
            factories.make_patient(clinic, patient_id=f"P-{name}")
        patients.append(Patient.objects.get(clinic=clinic))
    # Two workers hear of each order at once.
    twice = os.environ.get("SABOTAGE") == "wake twice"
    ids, slowest = [], 0.0
    for number in range(orders):
        began = time.monotonic()
        request = ordering.place_request(
            acting_user=None, patient=patients[number % clinics], panels=panels
        )
        slowest = max(slowest, time.monotonic() - began)
        if twice:
            vendors.default().wake(request.submission.pk)
        ids.append(request.lab_report_id)
        time.sleep(every)
    print(json.dumps({"ids": ids, "slowest": slowest}))


if __name__ == "__main__":
    django.setup()
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]) if len(sys.argv) > 3 else 0)

"""A marked test order, end to end.

The contract knows no order that is only a test, and no way to take one back. So it is an order like
any other for Heska and the analyzers: it stands in their worklists under a name that nobody takes
for an animal's, until somebody removes it there. What is run for it all the same comes back under
its key and its name, and nothing would contradict it; therefore nothing that comes for this patient
is ever filed, but waits in the unmatched queue for a person (labs/services/intake/results.py; I2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from integrations.heska.models import Connection
from labs import roles
from labs.errors import InvalidInput
from labs.models import Clinic, LabRequest, Panel, Patient, Species
from labs.services.events import record
from labs.services.orders.ordering import place_request

if TYPE_CHECKING:
    from django.contrib.auth.models import User

PATIENT_ID = "TEST-CONNECTION"
NAME = "TEST DO NOT RUN"
NOTES = "Test of the connection. There is no sample. Do not run; remove it at the analyzer."


def order(*, acting_user: User | None, clinic: Clinic, panel: Panel) -> LabRequest:
    """Send one, if no other is open. Raises InvalidInput, NotAllowed; Unreadable where the key for
    the clinic's secret is lost, because the order would not leave."""
    roles.require(acting_user, clinic, "administer")
    with transaction.atomic():
        # The lock: two clicks at one moment send one.
        if not list(Connection.objects.select_for_update().filter(clinic=clinic)):
            raise InvalidInput("Enter the client id and secret that Heska gave you first.")
        before = latest(clinic)
        if before is not None and before.cancelled_at is None:
            raise InvalidInput(
                f"The test order {before} is still open. Remove it at the analyzer and cancel it "
                "here before you send another."
            )
        request = place_request(
            acting_user=acting_user,
            patient=_patient(clinic),
            panels=[panel],
            notes=NOTES,
            test=True,
        )
        record(
            "request.test",
            clinic=clinic,
            acting_user=acting_user,
            source="command",
            request=request,
        )
    return request


def latest(clinic: Clinic) -> LabRequest | None:
    """The newest test order, with its submission. One statement."""
    return (
        LabRequest.objects.filter(clinic=clinic, patient__is_test=True)
        .select_related("submission")
        .order_by("-pk")
        .first()
    )


def _patient(clinic: Clinic) -> Patient:
    known: Patient | None = Patient.objects.filter(clinic=clinic, patient_id=PATIENT_ID).first()
    if known is None:
        known = Patient(
            clinic=clinic, patient_id=PATIENT_ID, name=NAME, species=Species.DOG, is_test=True
        )
        known.save()
    elif not known.is_test:
        raise InvalidInput(
            f"{known} has the id that the patient of test orders would have. Give it another."
        )
    else:
        # Whatever became of the record: nobody may take this order for an animal's.
        known.name, known.species, known.breed, known.owner = NAME, Species.DOG, "", None
        known.deceased, known.deceased_on = False, None
        known.save()
    return known

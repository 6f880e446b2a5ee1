"""Counting a clinic's names anew, for a database that something else wrote in."""

from __future__ import annotations

from django.db import transaction

from labs.models import Clinic, NameCount, Patient
from labs.models.vocabulary import COLUMNS, Tally, change, lock, tally


def rebuild(clinic: Clinic) -> None:
    """Give every animal the keys of its record, and count all names anew, in one transaction."""
    with transaction.atomic():
        lock(clinic.pk)
        rows = Patient.objects.filter(clinic=clinic).order_by().select_related("owner")
        for patient in rows.iterator():
            derived = {
                "name_key": patient.derive_name_key()[:200],
                "surname_key": patient.derive_surname_key()[:200],
                "id_key": patient.derive_id_key()[:64],
                "chip_key": patient.derive_chip_key()[:32],
            }
            if any(getattr(patient, name) != text for name, text in derived.items()):
                Patient.objects.filter(pk=patient.pk).update(**derived)
        stored = Tally()
        for kind, key, count in NameCount.objects.filter(clinic=clinic).values_list(
            "kind", "key", "count"
        ):
            stored[kind, key] = count
        real = tally(rows.values_list(*COLUMNS).iterator())
        change(clinic.pk, stored, real)

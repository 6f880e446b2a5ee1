from __future__ import annotations

from django.utils import timezone

from labs.models import LabRequest, Specimen
from labs.tube_labels import TubeLabel


def labels_of(request: LabRequest) -> list[TubeLabel]:
    """One for each specimen of the request, and one where none is recorded. One statement.
    `request` with patient and owner."""
    patient = request.patient
    specimens = list(Specimen.objects.filter(request=request)) or [Specimen(type="")]
    return [
        TubeLabel(
            code=request.lab_report_id,
            animal=patient.name,
            patient_id=patient.patient_id,
            owner=str(patient.owner) if patient.owner else "",
            what=_what(request, specimen),
        )
        for specimen in specimens
    ]


def _what(request: LabRequest, specimen: Specimen) -> str:
    drawn = timezone.localtime(specimen.collected_at or request.requested_at)
    parts = [specimen.label, specimen.type, f"{drawn:%Y-%m-%d %H:%M}"]
    return " · ".join(part for part in parts if part)

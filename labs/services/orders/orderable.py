"""Whether a test can be ordered for an animal at all: the clinic has an analyzer for it that runs,
and the laboratory has a code for the species."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from labs import roles, vendors
from labs.errors import InvalidInput
from labs.models import Analyzer, Panel, Patient
from labs.order import Codes
from labs.services.events import record
from labs.services.orders import codes

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def require_analyzers(patient: Patient, panels: Sequence[Panel]) -> None:
    """Raises InvalidInput where a panel's analyzer is not there, not connected or down. One query.
    A clinic with none listed may order every panel."""
    analyzers = list(Analyzer.objects.filter(clinic=patient.clinic, in_use=True))
    for panel in panels if analyzers else []:
        of_model = [each for each in analyzers if each.model == panel.analyzer_model]
        if not of_model:
            raise InvalidInput(
                f"{patient.clinic} has no {panel.analyzer_model} in use for {panel.name}. "
                "An administrator can add the analyzer."
            )
        if running(of_model):
            continue
        if not any(each.connected for each in of_model):
            raise InvalidInput(
                f"The {panel.analyzer_model} is not connected, so {panel.name} can't be ordered "
                "from here. Run it at the analyzer and type the result in."
            )
        raise InvalidInput(
            f"The {panel.analyzer_model} is marked as down, so {panel.name} can't be ordered now. "
            "Choose another test, or mark it as running again under Catalogue."
        )


def running(analyzers: Iterable[Analyzer]) -> bool:
    """Whether one of them takes orders now."""
    return any(each.connected and each.down_since is None for each in analyzers)


def mark_down(*, acting_user: User, analyzer: Analyzer, reason: str) -> None:
    """Nothing more is ordered from it until `mark_running`; what was ordered stays. Raises
    InvalidInput without a reason, NotAllowed."""
    roles.require(acting_user, analyzer.clinic, "order")
    reason = " ".join(reason.split())[:200]
    if not reason:
        raise InvalidInput("Say what is wrong with it, so that others know.")
    with transaction.atomic():
        marked = Analyzer.objects.filter(pk=analyzer.pk, down_since=None).update(
            down_since=timezone.now(), down_reason=reason
        )
        if marked:
            record(
                "analyzer.down",
                clinic=analyzer.clinic,
                acting_user=acting_user,
                row=analyzer.pk,
                words=reason,
            )


def mark_running(*, acting_user: User, analyzer: Analyzer) -> None:
    """It takes orders again. Raises NotAllowed."""
    roles.require(acting_user, analyzer.clinic, "order")
    with transaction.atomic():
        marked = Analyzer.objects.filter(pk=analyzer.pk, down_since__isnull=False).update(
            down_since=None, down_reason=""
        )
        if marked:
            record(
                "analyzer.running",
                clinic=analyzer.clinic,
                acting_user=acting_user,
                row=analyzer.pk,
            )


def require_species(patient: Patient) -> None:
    """Raises InvalidInput where the laboratory has no code for the animal's species: an order that
    it can only refuse is not taken. One query, and only there."""
    vendor = vendors.default()

    def can_go(own: Codes) -> bool:
        sent = vendor.sent_as(
            species=patient.species,
            breed=patient.breed,
            sex=patient.sex,
            neutered=patient.neutered,
            codes=own,
        )
        return all(each.how != "none" for each in sent)

    if not can_go({}) and not can_go(codes.of_clinic(patient.clinic, vendor.name)):
        raise InvalidInput(no_species(vendor.label, patient))


def no_species(label: str, patient: Patient) -> str:
    return (
        f"{label} has no code for the species of {patient.name}. Run the test at the analyzer by "
        "hand and match the result when it comes, or have an administrator enter a code."
    )

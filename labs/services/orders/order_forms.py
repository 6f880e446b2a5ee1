"""A form that is sent twice, by a second click or because the answer to the first was lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from labs.errors import SentBefore
from labs.models import LabRequest, Panel, Patient

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def made_before(
    form_key: UUID | None,
    *,
    acting_user: User | None,
    patient: Patient,
    panels: Sequence[Panel],
    specimen: dict[str, Any],
    **fields: Any,
) -> LabRequest | None:
    """The request that this form made when it came for the first time; None where it made none.
    `specimen` and `fields`: columns, as they would be written now.

    Raises SentBefore where the form says something else by now: someone went back to it and chose
    more, or it is somebody else's. Nothing is said of that request then, not even whose it is.
    """
    made: LabRequest | None = LabRequest.objects.filter(
        clinic=patient.clinic, form_key=form_key
    ).first()
    if form_key is None or made is None:
        return None
    fields |= {"requested_by": acting_user, "patient": patient}
    same = (
        all(getattr(made, name) == value for name, value in fields.items())
        and {test.panel_id for test in made.tests.all()} == {panel.pk for panel in panels}
        and all(
            getattr(each, name) == value
            for each in made.specimen_set.all()
            for name, value in specimen.items()
        )
    )
    if not same:
        raise SentBefore(
            "Nothing was ordered now: this form was sent before, and says something else since. "
            f"Look at what is on order for {patient.name}; if this is wanted besides, order it."
        )
    return made

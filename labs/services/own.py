"""A clinic's own settings beside the catalogue: favourites, billing codes, usual times, and its own
reference intervals. All are its administrators'; each change is on record, and none touches what
was delivered or what an earlier result was judged by."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from labs import roles, values
from labs.errors import InvalidInput
from labs.models import Analyte, Clinic, OwnInterval, OwnPanel, Panel, Species
from labs.services.events import record

if TYPE_CHECKING:
    from django.contrib.auth.models import User

LONGEST_BILLING = 32
LONGEST_MINUTES = 14 * 24 * 60  # two weeks: what is sent away
OLDEST_MONTHS = 600


def set_panel(
    *,
    acting_user: User | None,
    clinic: Clinic,
    panel: Panel,
    favourite: bool,
    billing_code: str = "",
    usual_minutes: int | None = None,
) -> OwnPanel:
    """Raises InvalidInput for a code or a time that can't be, NotAllowed."""
    roles.require(acting_user, clinic, "administer")
    billing_code = " ".join(billing_code.split())
    if len(billing_code) > LONGEST_BILLING:
        raise InvalidInput(f"A billing code has at most {LONGEST_BILLING} characters.")
    if usual_minutes is not None and not 0 < usual_minutes <= LONGEST_MINUTES:
        raise InvalidInput("The usual time is a number of minutes from 1 to 20160 (two weeks).")
    wanted = {
        "favourite": favourite,
        "billing_code": billing_code,
        "usual_minutes": usual_minutes,
    }
    with transaction.atomic():
        own: OwnPanel
        own, made = OwnPanel.objects.select_for_update().get_or_create(
            clinic=clinic, panel=panel, defaults=wanted
        )
        was = {name: None if made else getattr(own, name) for name in wanted}
        changed = {name: value for name, value in wanted.items() if was[name] != value}
        if changed and not made:
            for name, value in changed.items():
                setattr(own, name, value)
            own.save(update_fields=list(changed))
        if changed:
            record(
                "catalogue.panel",
                clinic=clinic,
                acting_user=acting_user,
                test=panel.code,
                now=changed,
                was={name: was[name] for name in changed},
            )
    return own


def set_interval(
    *,
    acting_user: User | None,
    clinic: Clinic,
    analyte: Analyte,
    species: str,
    low: str,
    high: str,
    unit: str,
    from_months: int = 0,
    to_months: int | None = None,
    source: str = "",
) -> OwnInterval:
    """From now on that interval of the clinic's holds for those animals, in the place of the one
    that began at the same age; that one stays with the results that came before.

    Raises InvalidInput where the unit is not the analyte's, an end is no number, low is not below
    high, the species is not known or the ages overlap another interval's; NotAllowed.
    """
    roles.require(acting_user, clinic, "administer")
    if species not in Species.values:
        raise InvalidInput("Choose the species.")
    if analyte.kind != "num":
        raise InvalidInput(f"{analyte.code} is no number and has no interval.")
    if not values.same_unit(unit.strip(), analyte.unit):
        raise InvalidInput(
            f"{analyte.code} is measured in {analyte.unit or 'no unit'}. Give the interval in that "
            "unit; values are never converted here."
        )
    low, high = _ends(low, high)
    if not 0 <= from_months <= OLDEST_MONTHS or (
        to_months is not None and not from_months < to_months <= OLDEST_MONTHS
    ):
        raise InvalidInput("The ages are whole months, the first below the second.")
    with transaction.atomic():
        # Of two administrators at one moment the second one waits, and sees the first one's.
        Clinic.objects.select_for_update().get(pk=clinic.pk)
        others = list(
            OwnInterval.objects.filter(clinic=clinic, analyte=analyte, species=species, until=None)
        )
        replaced = [each for each in others if each.from_months == from_months]
        for other in others:
            if other not in replaced and _overlap(other, from_months, to_months):
                raise InvalidInput(
                    f"For {analyte.code} there is one for {other.age_words} already. End that one "
                    "first, or choose ages that do not overlap."
                )
        now = timezone.now()
        for other in replaced:
            other.until, other.ended_by = now, acting_user
            other.save(update_fields=["until", "ended_by"])
        own = OwnInterval.objects.create(
            clinic=clinic,
            analyte=analyte,
            species=species,
            from_months=from_months,
            to_months=to_months,
            unit=analyte.unit,
            low=low,
            high=high,
            source=" ".join(source.split())[:200],
            since=now,
            set_by=acting_user,
        )
        _record("interval.set", own, acting_user, was=[each.words for each in replaced])
    return own


def end_interval(*, acting_user: User | None, own: OwnInterval) -> None:
    """It holds for no result that comes from now on. Raises NotAllowed."""
    roles.require(acting_user, own.clinic, "administer")
    with transaction.atomic():
        ended = OwnInterval.objects.filter(pk=own.pk, until=None).update(
            until=timezone.now(), ended_by=acting_user
        )
        if ended:
            _record("interval.ended", own, acting_user, was=[own.words])


def _ends(low: str, high: str) -> tuple[str, str]:
    read: list[Decimal | None] = []
    for name, text in (("low", low), ("high", high)):
        number = values.read_number(text) if text.strip() else None
        if text.strip() and number is None:
            raise InvalidInput(f"The {name} end, “{text.strip()[:40]}”, is no number. Write 4.5.")
        read.append(number)
    lowest, highest = read
    if lowest is None and highest is None:
        raise InvalidInput("Give the low end, the high end, or both.")
    if lowest is not None and highest is not None and lowest >= highest:
        raise InvalidInput("The low end must be below the high end.")
    return (
        "" if lowest is None else values.canonical(lowest),
        "" if highest is None else values.canonical(highest),
    )


def _overlap(other: OwnInterval, start: int, end: int | None) -> bool:
    ends_after = other.to_months is None or start < other.to_months
    return ends_after and (end is None or other.from_months < end)


def _record(verb: str, own: OwnInterval, acting_user: User | None, *, was: list[str]) -> None:
    record(
        verb,
        clinic=own.clinic,
        acting_user=acting_user,
        row=own.pk,
        analyte=own.analyte.code,
        species=own.species,
        ages=own.age_words,
        interval=own.words if verb == "interval.set" else "",
        was=was,
    )

"""A clinic's own codes: what goes out under another code than the vendor's table says, and which
entry of the catalogue takes a delivered code that it does not know."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from labs import roles, vendors
from labs.errors import InvalidInput
from labs.models import Analyte, Clinic, ClinicCode, CodeKind, Message, Panel, Species
from labs.order import Codes, folded
from labs.quick import Compiled, Given
from labs.report import Report
from labs.services.events import record
from labs.services.intake.rows import Known, analytes_by_code
from labs.services.reviews.limits import with_limits

if TYPE_CHECKING:
    from django.contrib.auth.models import User

LONGEST = 20  # characters of a code that goes out


def of_clinic(clinic: Clinic, vendor: str) -> Codes:
    """By kind, species and folded word. One query."""
    rows = ClinicCode.objects.filter(clinic=clinic, vendor=vendor).exclude(kind=CodeKind.ANALYTE)
    return {
        (kind, species, key): code
        for kind, species, key, code in rows.values_list("kind", "species", "key", "code")
    }


CODES = Compiled(
    ClinicCode.objects.filter(clinic=Given("clinic"), kind=CodeKind.ANALYTE, vendor=Given("vendor"))
    .order_by()
    .values_list("key", "code")
)


def analytes_for(message: Message, report: Report, species: str) -> dict[str, Known]:
    """The catalogue by delivered code, with the clinic's critical limits for an animal of that
    species ("" is not known), and what the message's clinic says of codes that are not in it. A
    third query only where the report has such a code."""
    known = with_limits(analytes_by_code(), message.clinic_id, species)
    codes = {row.code for run in report.runs for row in run.rows if row.code}
    strange = {folded(code): code for code in codes if not (code in known or code.upper() in known)}
    if not strange or message.clinic_id is None:
        return known
    own = CODES.rows(clinic=message.clinic_id, vendor=message.vendor)
    taken = {key: known[code] for key, code in own if code in known}
    return known | {code: taken[folded(code)] for code in codes if folded(code) in taken}


def panel_behind(clinic: Clinic, vendor: str, code: str) -> str:
    """Our code of the test that this clinic orders under the laboratory's `code`; empty if none. It
    answers under the same code. One query."""
    found = ClinicCode.objects.filter(
        clinic=clinic, vendor=vendor, kind=CodeKind.TEST, code=code
    ).first()
    return found.word if found else ""


def set_code(
    *, acting_user: User | None, clinic: Clinic, kind: str, word: str, code: str, species: str = ""
) -> ClinicCode:
    """From now on that word of this clinic is that code. What was sent or stored stays as it is.

    Raises InvalidInput where word or code can't be one, NotAllowed.
    """
    roles.require(acting_user, clinic, "administer")
    word, code = " ".join(word.split()), code.strip()
    kind, species = _checked(kind, word, code, species)
    vendor = vendors.default().name
    with transaction.atomic():
        own: ClinicCode
        own, created = ClinicCode.objects.select_for_update().get_or_create(
            clinic=clinic,
            vendor=vendor,
            kind=kind,
            species=species,
            key=folded(word),
            defaults={"word": word, "code": code, "set_by": acting_user},
        )
        was = "" if created else own.code
        if was == code:
            return own
        if not created:
            own.word, own.code, own.set_by = word, code, acting_user
            own.save()
        _record("code.set", own, acting_user, was=was)
    return own


def remove_code(*, acting_user: User | None, own: ClinicCode) -> None:
    """The vendor's table, or the catalogue, is asked again. Raises NotAllowed."""
    roles.require(acting_user, own.clinic, "administer")
    with transaction.atomic():
        deleted, _ = ClinicCode.objects.filter(pk=own.pk).delete()
        if deleted:
            _record("code.removed", own, acting_user, was=own.code)


def _checked(kind: str, word: str, code: str, species: str) -> tuple[str, str]:
    if kind not in CodeKind.values:
        raise InvalidInput("Choose what the code is for.")
    if not word or len(word) > 100:
        raise InvalidInput("Give the word as it stands in the records; at most 100 characters.")
    if kind == CodeKind.BREED and species not in Species.values:
        raise InvalidInput("Choose the species of the breed.")
    if kind == CodeKind.TEST and not Panel.objects.filter(code=word).exists():
        raise InvalidInput(f"There is no test “{word}” in the catalogue.")
    if kind == CodeKind.ANALYTE:
        if not Analyte.objects.filter(code=code).exists():
            raise InvalidInput(f"There is no value “{code}” in the catalogue.")
    elif not code or len(code) > LONGEST or not code.isascii() or not code.isprintable():
        raise InvalidInput(
            f"Give the laboratory's code: at most {LONGEST} letters, digits and signs."
        )
    return kind, species if kind == CodeKind.BREED else ""


def _record(verb: str, own: ClinicCode, acting_user: User | None, *, was: str) -> None:
    record(
        verb,
        clinic=own.clinic,
        acting_user=acting_user,
        source="command",
        kind=own.kind,
        species=own.species,
        word=own.word,
        code=own.code if verb == "code.set" else "",
        was=was,
    )

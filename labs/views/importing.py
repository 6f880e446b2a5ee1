"""A file of the practice's own program: checked line by line, then imported. Nothing is kept of it
between the two; the second time the browser sends the file again."""

from __future__ import annotations

import hashlib
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.views.decorators.http import require_http_methods
from django_htmx.http import HttpResponseClientRedirect

from labs.errors import InvalidInput, LabError
from labs.forms.fields import FormKey
from labs.models import Clinic
from labs.services.registry import csv_patients
from labs.services.registry.csv_file import ImportRefused
from labs.services.registry.imports import check_patients, import_patients
from labs.views.access import StaffRequest, right_required, staff_required

ONLY_ADMINISTRATORS = "Only an administrator of the clinic may import patients."
MAX_BYTES = 20 * 1024 * 1024
MOST_PROBLEMS = 200
MOST_MERGED = 20
COLUMNS = {
    "patient_id": "Your own program's id of the animal; a known one is updated. Empty: it gets one",
    "name": "Of the animal",
    "species": "dog, cat or horse; any other word is kept as the breed",
    "breed": "In your own words",
    "sex": "M, F, MN (male neutered), FS (female spayed) or U (unknown)",
    "neutered": "yes or no; not needed with MN or FS",
    "birth_date": "2019-04-02; 2019-04 or 2019 is taken as an estimate",
    "weight_kg": "Such as 31.4, with a point; it counts as weighed today",
    "microchip": "Letters and digits; in Excel format the column as text, or it writes 9.85E+14",
    "deceased": "yes, no, or the date",
    "owner_id": "Your own program's id of the owner; keeps two owners of one name apart",
    "owner_first_name": "May be empty",
    "owner_last_name": "Where there is no owner_id, both names tell who it is",
    "owner_phone": "The owner is found by it when somebody orders",
    "owner_email": "Where the report for the owner goes",
}


@require_http_methods(["GET", "POST"])
@staff_required
def page(request: StaffRequest) -> HttpResponse:
    right_required(request, "administer", ONLY_ADMINISTRATORS)
    if request.method == "GET":
        return _answer(request, {})
    try:
        name, content = _file(request)
        if "checked" not in request.POST:
            return _checked(request, name, content)
        if request.POST["checked"] != digest(request.clinic, content):
            raise InvalidInput(
                f"“{name}” is not the file that was checked for {request.clinic}. Nothing was "
                "imported. Check the file first."
            )
        report = import_patients(
            acting_user=request.user,
            clinic=request.clinic,
            content=content,
            form_key=FormKey(request.POST).key(),
        )
    except ImportRefused:
        # It was in order when it was checked, and the clinic's records are others by now.
        return _checked(request, name, content)
    except LabError as error:
        return _answer(request, {"refused": error.message})
    messages.success(
        request,
        "Imported: {created} new, {updated} changed, {unchanged} as they were; {weights} weights "
        "noted.".format(**report),
    )
    target = reverse("labs:patients")
    return HttpResponseClientRedirect(target) if request.htmx else redirect(target)


def _file(request: StaffRequest) -> tuple[str, bytes]:
    """Its name and bytes. Raises InvalidInput."""
    # Of a body over the server's own limit only the beginning is here (pims/buffering.py): a part
    # of a file must never pass for the whole.
    limit = min(MAX_BYTES, settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
    sent = int(request.META.get("CONTENT_LENGTH") or 0)
    found = request.FILES.get("file")
    if sent > settings.DATA_UPLOAD_MAX_MEMORY_SIZE or (found and (found.size or 0) > limit):
        raise InvalidInput(
            f"The file is larger than {filesizeformat(limit)}. Divide it, each part with the line "
            "of column names, and import one after the other."
        )
    if found is None:
        raise InvalidInput("Choose the CSV file first.")
    return str(found.name), found.read()


def digest(clinic: Clinic, content: bytes) -> str:
    """Of the file and whose it is: whoever works at two clinics may have changed places between the
    check and the import."""
    return hashlib.sha256(clinic.public_id.encode() + b"\n" + content).hexdigest()


def _checked(request: StaffRequest, name: str, content: bytes) -> HttpResponse:
    check = check_patients(acting_user=request.user, clinic=request.clinic, content=content)
    merged = check.report.get("merged", []) if check.report else []
    return _answer(
        request,
        {
            "file_name": name,
            "check": check,
            "problems": check.problems[:MOST_PROBLEMS],
            "more_problems": len(check.problems) - MOST_PROBLEMS,
            "merged": merged[:MOST_MERGED],
            "more_merged": len(merged) - MOST_MERGED,
            "digest": digest(request.clinic, content),
        },
    )


def _answer(request: StaffRequest, context: dict[str, Any]) -> HttpResponse:
    """Of htmx's requests only what is answered with 200 is shown."""
    bad = context.get("refused") or context.get("problems")
    if request.htmx:
        return render(request, "labs/import_outcome.html", context)
    context |= {"columns": COLUMNS, "header": ",".join(csv_patients.COLUMNS)}
    return render(request, "labs/import_patients.html", context, status=422 if bad else 200)

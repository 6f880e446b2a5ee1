"""Ways out of the queue other than a card: a new patient, a split, and word of what changed."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from labs import roles
from labs.errors import LabError
from labs.forms.registry import PatientForm
from labs.matching.reading import is_placeholder, weight_kg
from labs.models import Patient, Sex, Species, UnmatchedResult
from labs.models.patient import with_own_id
from labs.queries.registry.duplicates import Duplicate, duplicates, owners_called
from labs.queries.words import listed
from labs.services.orphaned import newcomers, presence, splitting
from labs.views.match_act import STATUS, act, load_orphan, version_of
from labs.views.match_page import STAFF, Door, said, urls
from labs.views.numbers import number
from labs.views.polling import unchanged

if TYPE_CHECKING:
    from django.contrib.auth.models import User

NEW_OWNER, NO_OWNER = "new", "none"


@require_POST
def split(request: HttpRequest, uuid: UUID, door: Door = STAFF) -> HttpResponse:
    """Two animals in one message: the chosen tests become a result of their own."""

    def split_it(post: Any, unmatched: UnmatchedResult, user: User, version: int) -> None:
        splitting.split(
            acting_user=user,
            unmatched=unmatched,
            runs=[number(pk) for pk in post.getlist("run")],
            expected_version=version,
            reason=said(post, "reason"),
        )

    return act(request, load_orphan(request, uuid, door), door, split_it)


@require_GET
def changed(request: Any, uuid: UUID, door: Door = STAFF) -> HttpResponse:
    """Asked every few seconds by a page that is open: 204 until somebody decides, a message comes,
    or a colleague looks at it too. It then says so and changes nothing of what the person is
    looking at. `active`: the person did something since it was last asked."""
    unmatched = load_orphan(request, uuid, door)
    if request.GET.get("active"):
        presence.is_here(user=request.user, unmatched=unmatched)
    if unchanged(request, str(unmatched.version)):
        others = presence.others(user=request.user, unmatched=unmatched)
        key = "-".join(str(user.pk) for user in others)
        if key == request.GET.get("here", ""):
            return HttpResponse(status=204)
        names = [user.get_full_name() or user.get_username() for user in others]
        context = {
            "unmatched": unmatched,
            "here": key,
            "names": listed(names) if names else "",
            "several": len(others) > 1,
        }
        return render(request, "labs/match_here.html", context | urls(unmatched, door))
    last = unmatched.decisions.select_related("actor", "patient").last()
    context = {"unmatched": unmatched, "last": last, **urls(unmatched, door)}
    return render(request, "labs/match_changed.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def new_patient(request: HttpRequest, uuid: UUID, door: Door = STAFF) -> HttpResponse:
    """A patient with what was typed, after a look at whom it may be on file; the result goes onto
    the new record in the same step."""
    unmatched = load_orphan(request, uuid, door)
    with timezone.override(unmatched.clinic.zone):
        if request.method != "POST":
            form = PatientForm(initial=prefill(unmatched))
            return _page(request, unmatched, door, form, form.initial)
        return _add(request, unmatched, door)


def _add(request: Any, unmatched: UnmatchedResult, door: Door) -> HttpResponse:
    post = request.POST.copy()
    owner = post.get("owner", "")
    if owner == NO_OWNER:
        post.update(dict.fromkeys([*PatientForm.OWNER, "owner_id"], ""))
    elif owner and owner != NEW_OWNER:
        post.update(dict.fromkeys(PatientForm.OWNER, "") | {"owner_id": owner})
    form, shown_form = PatientForm(post), PatientForm(request.POST)
    if not form.is_valid():
        return _page(request, unmatched, door, shown_form, request.POST, status=422)
    found = _duplicates(unmatched, request.POST)
    shown = set(request.POST.getlist("ruled_out"))
    problem = ""
    if owners_called(unmatched.clinic, said(request.POST, "owner_last_name")) and not owner:
        problem = "Choose the owner: somebody of that name is on file."
    elif any(str(each.patient.uuid) not in shown for each in found):
        problem = "Say that it is none of the animals on file below, or choose one of them."
    if problem:
        return _page(
            request, unmatched, door, shown_form, request.POST, problem=problem, status=422
        )
    try:
        newcomers.add_and_match(
            acting_user=request.user,
            unmatched=unmatched,
            expected_version=version_of(request.POST),
            add=lambda: form.create(request.user, unmatched.clinic),
            ruled_out=[str(each.patient.uuid) for each in found],
        )
    except LabError as error:
        fresh = load_orphan(request, unmatched.uuid, door)
        status = STATUS.get(error.code, 400)
        words = f"{error.message} Nothing was added."
        return _page(request, fresh, door, shown_form, request.POST, problem=words, status=status)
    return HttpResponseRedirect(door.url("match", unmatched))


def _page(
    request: Any,
    unmatched: UnmatchedResult,
    door: Door,
    form: PatientForm,
    given: Any,
    *,
    problem: str = "",
    status: int = 200,
) -> HttpResponse:
    if not roles.may(request.user, unmatched.clinic, "match"):
        raise PermissionDenied(f"To add a patient, you need a place at {unmatched.clinic}.")
    context = {
        "unmatched": unmatched,
        "form": form,
        "problem": problem,
        "duplicates": _duplicates(unmatched, given),
        "owners": owners_called(unmatched.clinic, str(given.get("owner_last_name") or "")),
        "owner": given.get("owner", ""),
        "ruled_out": given.getlist("ruled_out") if hasattr(given, "getlist") else [],
        "door": door,
        "base_template": door.base,
        **urls(unmatched, door),
    }
    if door.is_admin:
        context |= admin.site.each_context(request) | {"is_nav_sidebar_enabled": False}
    return render(request, "labs/match_new.html", context, status=status)


def _duplicates(unmatched: UnmatchedResult, given: Any) -> list[Duplicate]:
    def text(name: str) -> str:
        return str(given.get(name) or "")

    return duplicates(
        unmatched.clinic,
        name=text("name"),
        surname=text("owner_last_name"),
        patient_id=text("patient_id"),
        microchip=text("microchip"),
    )


def prefill(unmatched: UnmatchedResult) -> dict[str, Any]:
    """What was typed as a new patient's record. An id is taken over only where it can be one, and
    is nobody's: what stands on file is never written over."""
    typed = unmatched.typed
    own_id = typed.get("patient_id", "").strip()
    is_code = unmatched.emergency_id is not None
    taken = Patient.objects.filter(with_own_id(own_id), clinic=unmatched.clinic_id)
    if is_placeholder(own_id) or is_code or taken.exists():
        own_id = ""
    weight = weight_kg(typed.get("weight", ""), typed.get("weight_unit", ""))
    code, sex = typed.get("species_code", ""), typed.get("sex_code", "")
    return {
        "name": typed.get("patient_name", "").strip(),
        "patient_id": own_id,
        "species": code if code in Species.values else "",
        "breed": typed.get("breed", "").strip(),
        "sex": sex if sex in Sex.values else Sex.UNKNOWN,
        "birth_date": _day(typed.get("birth_date", "")),
        "microchip": typed.get("microchip", "").replace(" ", ""),
        "weight_kg": f"{weight[0]:.3f}".rstrip("0").rstrip(".") if weight else "",
        "owner_first_name": typed.get("owner_first_name", "").strip(),
        "owner_last_name": typed.get("owner_last_name", "").strip(),
    }


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text.strip()[:10])
    except ValueError:
        return None

"""What a form of each page sends, so that whoever may do it does it: a test in which everybody is
refused for an empty form would prove nothing."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from labs.models import Panel, Patient
from labs.services.intake.typed import Line, lines_of
from labs.services.registry import merging
from labs.views import importing
from labs.views.typed import ENDS, seal
from tests.heska import examples
from tests.http.world import Place, World

PATIENT = {"name": "Rocky", "species": "dog", "sex": "U", "neutered": "unknown"}
OWNED = {**PATIENT, "neutered": "yes", "owner_first_name": "Lea", "owner_last_name": "Example"}
FORMSET = {"weight_set-TOTAL_FORMS": "0", "weight_set-INITIAL_FORMS": "0"}


def data(world: World, name: str, role: str, whose: str) -> Any:
    """For an object that does not exist the same as for another clinic's."""
    place = world.own if whose == "own" else world.other
    fields = _fields(world, place, name, role)
    return {
        key: value if isinstance(value, SimpleUploadedFile) else str(value)
        for key, value in fields.items()
    }


def _fields(world: World, place: Place, name: str, role: str) -> dict[str, Any]:
    rows: dict[str, Any] = place.rows
    panel = Panel.objects.get(code="HHEM-1")
    match name.partition(":")[2] or name:
        case "clinic":
            return {"clinic": place.clinic.public_id}
        case "new_patient":
            return OWNED
        case "import_patients":
            content = b"patient_id,name,species\nP-77,Rocky,dog\n"
            checked = importing.digest(place.clinic, content)
            return {"file": SimpleUploadedFile("patients.csv", content), "checked": checked}
        case "new_screen":
            return {"name": "Surgery"}
        case "edit_patient":
            return {**OWNED, "patient_id": rows["patient"].patient_id}
        case "merge_patient":
            one, other = rows["patient"], rows["second"]
            seen = merging.seen_key(*(Patient.objects.get(pk=each.pk) for each in (one, other)))
            return {"with": other.uuid, "seen": seen, "typed_name": one.name}
        case "edit_owner":
            return {"last_name": "Moser"}
        case "litter":
            return {"stem": "Pup", "species": "dog", "marks": "red, blue"}
        case "merge":
            return {"reason": "Two sisters"}
        case "match_new" | "labs_unmatchedresult_match_new":
            known = rows["patient"].uuid
            version = rows["orphan"].version
            return {**OWNED, "owner": "new", "version": version, "ruled_out": known}
        case "match_move" | "labs_unmatchedresult_match_move":
            second, version = rows["second"], rows["matched"].version
            return {
                **match_form(world, place, "matched", second),
                "reason": "x",
                "version": version,
            }
        case "move_request":
            version = rows["request"].version
            return {"patient": rows["second"].uuid, "version": version, "reason": "Wrong animal"}
        case "match_split" | "labs_unmatchedresult_match_split":
            return {"version": rows["orphan"].version}
        case "new_request":
            return {"patient": rows["patient"].uuid, "panels": panel.code, "priority": "routine"}
        case "type_result":
            lines = typed_lines(lines_of(panel), "6.1")
            return {"panel": panel.code, "run_at": "2026-11-02T10:00", "save": "1", **lines}
        case "correct_typed":
            run = rows["typed"].runs.get()
            version = run.versions.get(current=True).pk
            lines = typed_lines(lines_of(panel, run), "7.2")
            return {"reason": "misread", "expected": version, "save": "1", **lines}
        case "send_report":
            return {
                "version": rows["request"].version,
                "address": rows["request"].patient.owner.email,
                "confirmed": "1",
            }
        case "charge":
            return {"request": rows["signed"].lab_report_id}
        case "sign":
            return {"version": rows["request"].version}
        case "choose":
            return {"version": rows["request"].version, "run": rows["request"].runs.get().pk}
        case "cancel":
            return {"reason": "Entered twice"}
        case "follow_up":
            day = timezone.localdate() + timedelta(days=2)
            return {"what": "Call", "person": rows["vet"].pk, "due_on": day}
        case "say_told":
            return {"what": "All fine"}
        case "hand_over":
            return {"person": rows["vet"].pk}
        case "review_many":
            return {"sign": f"{rows['open'].lab_report_id}:1"}
        case "acknowledge":
            return {"result": rows["alarm"].result_id}
        case "duty":
            return {"vet": ""}
        case "set_limit":
            own = {"analyte": "K", "species": "cat", "unit": "mmol/L"}
            return {**own, "low": "2", "high": "8"}
        case "escalate_wait":
            return {"minutes": "20"}
        case "choose_emergency":
            return {"patient": rows["patient"].uuid}
        case "own_panel":
            return {
                "panel": "HHEM-1",
                "favourite": "1",
                "billing_code": "B-1",
                "usual_minutes": "20",
            }
        case "add_range":
            wbc = {"analyte": "WBC", "unit": "10^3/uL", "low": "4", "high": "14"}
            return {**wbc, "species": "cat"}
        case "analyzer_state":
            return {"down": "1", "reason": "Lamp broken"}
        case "assign_code":
            return {"kind": "sex", "word": "chap", "code": "M"}
        case "match" | "labs_unmatchedresult_match":
            return match_form(world, place)
        case "labs_clinic_enter":
            return {"reason": "Asked by the clinic's administrator"}
        case "hold" | "labs_unmatchedresult_hold":
            return {"version": rows["orphan"].version, "reason": "Asked the owner"}
        case "dismiss" | "labs_unmatchedresult_dismiss":
            return {"version": rows["orphan"].version, "why": "Test run"}
        case "reopen" | "labs_unmatchedresult_reopen":
            return {"version": rows["held"].version}
        case "match_confirm" | "labs_unmatchedresult_match_confirm":
            return {"version": rows["matched"].version}
        case "unmatch" | "labs_unmatchedresult_unmatch":
            return {"version": rows["matched"].version, "reason": "Wrong animal"}
        case "credentials":
            return {"client_id": "", "client_secret": ""}
        case "test_order":
            return {"panel": panel.code, "agreed": "on"}
        case "hours":
            return {"days": "1", "opens": "08:00", "closes": "18:00", "quiet_hours": "4"}
        case "token":
            access = world.clients.get(role)
            if access is None:
                return {"client_id": "nobody", "client_secret": "nothing"}
            return {"client_id": access.client_id, "client_secret": access.client_secret}
        case _:
            return _admin_fields(place, name)


def typed_lines(lines: list[Line], value: str) -> dict[str, str]:
    """The first analyte's value, as somebody looked at it before."""
    lines = [replace(line, value="" if index else value) for index, line in enumerate(lines)]
    return {
        **{f"{name}-{line.analyte.pk}": getattr(line, name) for line in lines for name in ENDS},
        "looked_at": seal(lines),
    }


def _admin_fields(place: Place, name: str) -> dict[str, Any]:
    clinic = place.clinic.pk
    rows: dict[str, Any] = place.rows
    if name.endswith("_delete"):
        return {"post": "yes"}
    match name.removeprefix("admin:"):
        case "labs_analyzer_add" | "labs_analyzer_change":
            return {"clinic": clinic, "model": "Element DC5X", "in_use": "on"}
        case "labs_owner_add" | "labs_owner_change":
            return {"clinic": clinic, "owner_id": "C-new", "last_name": "Example"}
        case "labs_patient_add":
            return {"clinic": clinic, "patient_id": "P-new", **PATIENT, **FORMSET}
        case "labs_patient_change":
            return {
                "clinic": clinic,
                "patient_id": rows["patient"].patient_id,
                **PATIENT,
                **FORMSET,
            }
        case "labs_visit_add" | "labs_visit_change":
            patient = rows["patient"].pk
            return {"clinic": clinic, "patient": patient, "at_0": "2026-11-02", "at_1": "10:00"}
        case "labs_membership_add":
            words = "correct horse battery"
            return {"clinic": clinic, "role": "vet", "username": "newcomer", "password": words}
        case "labs_membership_change":
            return {"role": "vet", "is_active": "on", "ends_at_0": "", "ends_at_1": ""}
        case "labs_clinic_change" | "labs_clinic_add":
            form = {"name": "Elm", "timezone": "UTC", "public_id": "clinic-new"}
            return {**form, "automatic": "off", "idle_minutes": "30"}
        case _:
            return {}


def match_form(
    world: World, place: Place, orphan: str = "orphan", chosen: Any = None
) -> dict[str, Any]:
    """The first candidate's form as the page has it, or that of the animal that was looked up."""
    if (asked := (orphan, chosen and chosen.pk)) not in place.forms:
        place.forms[asked] = _match_form(world, place, orphan, chosen)
    return place.forms[asked]


def _match_form(world: World, place: Place, orphan: str, chosen: Any) -> dict[str, Any]:
    vet = Client()
    vet.force_login(place.clinic.membership_set.get(user__username=f"vet-{place.word}").user)
    query = {"candidate": chosen.uuid} if chosen else {}
    page = vet.get(reverse("labs:match", args=place.objects[orphan]), query).content.decode()
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page))
    return {**fields, "typed_name": chosen.name if chosen else place.word}


def body(name: str) -> bytes:
    """What Heska posts there."""
    return examples.raw("08" if name.endswith("unmatched") else "06")

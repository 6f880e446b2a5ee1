"""Results that a person types in: first what was understood of them, then they are saved."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from labs.errors import InvalidInput, LabError, SentBefore
from labs.forms.fields import LOCAL_TIME, FormKey
from labs.models import Analyzer, LabRequest, Panel, Patient, TestRun
from labs.queries.readings.typed import understood_words
from labs.queries.registry.patients import with_weight
from labs.services.intake import typed
from labs.services.intake.typed import Line, lines_of, understood
from labs.views.access import StaffRequest, laboratory_required, load, right_required
from labs.views.numbers import number

ENDS = ("value", "low", "high")
NOT_YOURS = "Technicians, veterinarians and administrators of the clinic type results in."


@require_http_methods(["GET", "POST"])
@laboratory_required
def type_result(request: StaffRequest, uuid: UUID) -> HttpResponse:
    """For a patient: first which test, then its values."""
    rows = with_weight(Patient.objects.for_user(request.user).select_related("owner", "clinic"))
    patient = load(request, rows, uuid=uuid)
    right_required(request, "order", NOT_YOURS)
    code = request.POST.get("panel") or request.GET.get("panel") or ""
    panel = Panel.objects.filter(code=code[:32]).first()
    if panel is None:
        context = {"patient": patient, "panels": Panel.objects.all()}
        return render(request, "labs/type_result_panel.html", context)
    form_key = FormKey(request.POST).key() or uuid4()
    page = _page(request, lines_of(panel))
    models = Analyzer.objects.filter(clinic=patient.clinic).values_list("model", flat=True)
    page |= {
        "patient": patient,
        "panel": panel,
        "form_key": form_key,
        "models": list(dict.fromkeys(models.order_by("connected", "model"))),
        "analyzer": request.POST.get("analyzer", panel.analyzer_model),
        "run_at": request.POST.get("run_at") or timezone.localtime().strftime(LOCAL_TIME),
    }
    if page["save"]:
        try:
            made = typed.type_result(
                acting_user=request.user,
                patient=patient,
                panel=panel,
                lines=page["lines"],
                run_at=_run_at(page["run_at"]),
                analyzer=" ".join(page["analyzer"].split()),
                form_key=form_key,
            )
        except SentBefore as error:
            page["error"] = error.message
            page["form_key"] = uuid4()  # pressed once more, it is meant
        except LabError as error:
            page["error"] = error.message
        else:
            messages.success(request, "Saved as typed. A veterinarian reviews it like any other.")
            return redirect("labs:request", lab_report_id=made.lab_report_id)
    status = 422 if page["error"] else 200
    return render(request, "labs/type_result.html", page, status=status)


@require_http_methods(["GET", "POST"])
@laboratory_required
def correct(request: StaffRequest, lab_report_id: str, pk: int) -> HttpResponse:
    """What was typed, once more: a new version with its reason."""
    requests = LabRequest.objects.for_user(request.user).select_related("patient__owner", "clinic")
    lab_request = load(request, requests, lab_report_id=lab_report_id)
    right_required(request, "order", NOT_YOURS)
    runs = TestRun.objects.for_user(request.user).filter(request=lab_request)
    typed_runs = runs.filter(versions__typed_by__isnull=False).distinct()
    run = load(request, typed_runs.select_related("requested_test__panel", "request"), pk=pk)
    current = run.versions.get(current=True)
    panel = run.requested_test.panel if run.requested_test else None
    page = _page(request, lines_of(panel, run))
    page |= {
        "patient": lab_request.patient,
        "panel": panel,
        "lab_request": lab_request,
        "expected": number(request.POST.get("expected", "")) if request.POST else current.pk,
        "reason": request.POST.get("reason", ""),
    }
    if page["save"]:
        try:
            typed.correct(
                acting_user=request.user,
                run=run,
                lines=page["lines"],
                reason=page["reason"],
                expected=page["expected"],
            )
        except LabError as error:
            page["error"] = error.message
        else:
            messages.success(request, "Corrected. The earlier version is kept.")
            return redirect("labs:request", lab_report_id=lab_request.lab_report_id)
    status = 422 if page["error"] else 200
    return render(request, "labs/type_result.html", page, status=status)


def _page(request: StaffRequest, asked: list[Line]) -> dict[str, Any]:
    """The lines as they were typed, what was understood of each, and whether exactly that was
    looked at before."""
    post = request.POST
    lines = asked
    if post:
        lines = [
            Line(
                analyte=line.analyte,
                **{end: post.get(f"{end}-{line.analyte.pk}", "") for end in ENDS},
            )
            for line in asked
        ]
    read = [understood(line) for line in lines]
    wrong = any(each.wrong for each in read)
    empty = not any(line.value.strip() for line in lines)
    said = seal(lines)
    looked_at = post.get("looked_at") == said
    error = ""
    if post and wrong:
        error = "Nothing was saved. Look at what is marked below."
    elif post and empty:
        error = "Nothing was saved. Type at least one value."
    return {
        "lines": lines,
        "rows": [(each, understood_words(each)) for each in read],
        "looked_at": said if post and not error else "",
        "save": looked_at and "save" in post and not error,
        "error": error,
    }


def seal(lines: list[Line]) -> str:
    """Of what is typed: what is saved is what somebody has looked at."""
    said = [(line.analyte.pk, *(getattr(line, name) for name in ENDS)) for line in lines]
    return hashlib.sha256(repr(said).encode()).hexdigest()


def _run_at(text: str) -> datetime:
    """In the clinic's own time. Raises InvalidInput."""
    try:
        return timezone.make_aware(datetime.strptime(text[:16], LOCAL_TIME))  # noqa: DTZ007 - below
    except ValueError:
        raise InvalidInput("Give the time of the run as date and time.") from None

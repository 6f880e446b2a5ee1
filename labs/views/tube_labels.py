from __future__ import annotations

from django.http import HttpResponse
from django.views.decorators.http import require_GET

from labs import tube_labels
from labs.models import LabRequest
from labs.queries.orders.tube_labels import labels_of
from labs.views.access import StaffRequest, laboratory_required, load
from labs.views.attachments import safe

LAST_SIZE = "tube_label"  # the session's key: what was printed last on this computer


@require_GET
@laboratory_required
def as_pdf(request: StaffRequest, lab_report_id: str) -> HttpResponse:
    """One label for each specimen, in the size that was asked for or else the last one."""
    rows = LabRequest.objects.for_user(request.user).select_related("patient__owner", "clinic")
    lab_request = load(request, rows, lab_report_id=lab_report_id)
    size = request.GET.get("size", "")
    if size in tube_labels.SIZES:
        request.session[LAST_SIZE] = size
    size = request.session.get(LAST_SIZE, tube_labels.USUAL)
    content = tube_labels.sheet(labels_of(lab_request), size)
    answer = HttpResponse(content, content_type="application/pdf")
    return safe(answer, f"label-{lab_request.lab_report_id}.pdf", inline=True)

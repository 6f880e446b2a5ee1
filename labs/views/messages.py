"""The journal, for administrators of a clinic."""

from __future__ import annotations

from datetime import date

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from labs.models import Message, MessageState
from labs.queries import messages as queries
from labs.queries.paging import page_number
from labs.views.access import StaffRequest, load, right_required, staff_required
from labs.views.attachments import safe

ONLY_ADMINISTRATORS = (
    "Messages hold everything that the laboratory sent; only an administrator of the clinic may "
    "read them."
)


@require_GET
@staff_required
def index(request: StaffRequest) -> HttpResponse:
    right_required(request, "administer", ONLY_ADMINISTRATORS)
    try:
        day = date.fromisoformat(request.GET.get("day", ""))
    except ValueError:
        day = timezone.localdate()
    state = request.GET.get("state", "")
    state = state if state in MessageState.values else ""
    context = {
        "day": queries.messages_of(
            request.clinic, day, state, page_number(request.GET.get("page"))
        ),
        "state": state,
        "today": timezone.localdate(),
    }
    return render(request, "labs/messages.html", context)


@require_GET
@staff_required
def page(request: StaffRequest, receipt_id: str) -> HttpResponse:
    message = _message(request, receipt_id)
    text, cut = queries.shown_text(message.raw)
    reply, _ = queries.shown_text(message.reply or b"")
    # The end of the address is the request's key, and whoever has it may post there.
    head, _, tail = message.target.rpartition("/")
    context = {
        "message": message,
        "text": text,
        "cut": cut,
        "reply": reply,
        "target": f"{head}/{tail[:4]}…" if len(tail) > 8 else message.target,
    }
    return render(request, "labs/message.html", context)


@require_GET
@staff_required
def body(request: StaffRequest, receipt_id: str) -> HttpResponse:
    """The bytes as they came."""
    message = _message(request, receipt_id)
    response = HttpResponse(bytes(message.raw), content_type="application/octet-stream")
    return safe(response, f"{message.receipt_id}.json", inline=False)


def _message(request: StaffRequest, receipt_id: str) -> Message:
    message: Message = load(
        request,
        Message.objects.for_user(request.user).select_related(
            "request", "unmatched", "submission__request", "parent"
        ),
        receipt_id=receipt_id,
    )
    right_required(request, "administer", ONLY_ADMINISTRATORS)
    return message

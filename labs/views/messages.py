"""The journal, for administrators of a clinic."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.contrib import messages as notices
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from labs import vendors
from labs.errors import InvalidInput
from labs.models import Message, MessageState
from labs.queries.paging import page_number
from labs.queries.records import messages as queries
from labs.services.events import record
from labs.services.intake import replaying, rereading
from labs.services.privacy import blanking
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
    record("message.viewed", clinic=message.clinic, acting_user=request.user, message=message)
    text, cut = queries.shown_text(message.raw)
    reply, _ = queries.shown_text(message.reply or b"")
    # The end of an address of ours is the request's key, and whoever has it may post there.
    ours = message.direction == Message.Direction.IN
    head, _, tail = message.target.rpartition("/")
    context = {
        "message": message,
        "text": text,
        "cut": cut,
        "reply": reply,
        "target": f"{head}/{tail[:4]}…" if ours and len(tail) > 8 else message.target,
        "parts": queries.parts_of(message),
        "today": _read_today(message),
        "keeps": blanking.kept_until(message),
    }
    return render(request, "labs/message.html", context)


def _read_today(message: Message) -> dict[str, Any] | None:
    """Of a filed message that an older adapter read: today's version, and what it reads otherwise.
    Costs reading it, and nine statements."""
    inbound = message.direction == Message.Direction.IN
    if not inbound or message.state not in (MessageState.FILED, MessageState.UNMATCHED):
        return None
    version = vendors.get(message.vendor).adapter_version
    emptied = message.blanked_at is not None
    if emptied or message.adapter_version in ("", version) or message.parts.exists():
        return None
    return {"version": version, "differs": rereading.compare(message.pk)}


@require_POST
@staff_required
def replay(request: StaffRequest, receipt_id: str) -> HttpResponse:
    message = _message(request, receipt_id)
    if gone := _gone(request, message):
        return gone
    replayed = replaying.replay_one(
        acting_user=request.user, clinic=request.clinic, message=message
    )
    if replayed.after in (MessageState.FILED, MessageState.UNMATCHED):
        notices.success(request, f"Read again: it is {replayed.after.label.lower()} now.")
    else:
        notices.error(
            request, "Read again, and it could not be filed. Why is said below; nothing is lost."
        )
    return redirect("labs:message", receipt_id=receipt_id)


@require_POST
@staff_required
def replay_all(request: StaffRequest) -> HttpResponse:
    right_required(request, "administer", ONLY_ADMINISTRATORS)
    number = replaying.replay_all(acting_user=request.user, clinic=request.clinic)
    if number:
        notices.success(
            request,
            f"{number} {'message is' if number == 1 else 'messages are'} read again from now on. "
            "The counts below say how far it is; you need not wait here.",
        )
    else:
        notices.error(request, "Nothing here can be read again.")
    return redirect(f"{reverse('labs:messages')}?state={MessageState.QUARANTINED}")


@require_POST
@staff_required
def reread(request: StaffRequest, receipt_id: str) -> HttpResponse:
    """Put in place what the page listed. It names what it saw, so that nobody agrees to another
    difference than the one that was shown."""
    message = _message(request, receipt_id)
    if gone := _gone(request, message):
        return gone
    difference = rereading.compare(message.pk)
    if difference is None:
        notices.success(request, "It is read the same way today: nothing had to change.")
    elif request.POST.get("shown") != difference.digest:
        notices.error(request, "What differs has changed meanwhile. Look at it again.")
    else:
        _, applied = rereading.apply(message.pk, acting_user=request.user, although=True)
        if applied:
            notices.success(request, "Stored as it is read today. What was read before is kept.")
        else:
            notices.error(request, "It can't be read today; nothing was changed.")
    return redirect("labs:message", receipt_id=receipt_id)


@require_GET
@staff_required
def body(request: StaffRequest, receipt_id: str) -> HttpResponse:
    """The bytes as they came."""
    message = _message(request, receipt_id)
    if gone := _gone(request, message):
        return gone
    record("message.exported", clinic=message.clinic, acting_user=request.user, message=message)
    response = HttpResponse(bytes(message.raw), content_type="application/octet-stream")
    return safe(response, f"{message.receipt_id}.json", inline=False)


def _gone(request: StaffRequest, message: Message) -> HttpResponse | None:
    """Its page with what became of its body; None where it is there."""
    try:
        replaying.require_body(message)
    except InvalidInput as error:
        notices.error(request, error.message)
        return redirect("labs:message", receipt_id=message.receipt_id)
    return None


def _message(request: StaffRequest, receipt_id: str) -> Message:
    message: Message = load(
        request,
        Message.objects.for_user(request.user).select_related(
            "clinic", "request", "unmatched", "submission__request", "parent"
        ),
        receipt_id=receipt_id,
    )
    right_required(request, "administer", ONLY_ADMINISTRATORS)
    return message

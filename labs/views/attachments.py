from __future__ import annotations

from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.views.decorators.http import require_GET

from labs.models import Attachment, Message, ReviewState
from labs.services.reviews import viewing
from labs.views.access import (
    NOT_FOR_THE_DESK,
    StaffRequest,
    load,
    rights_of,
    staff_required,
)

IMAGES = {"image/png", "image/jpeg", "image/gif"}


@require_GET
@staff_required
def attachment(request: StaffRequest, uuid: UUID) -> HttpResponse:
    """A file that came with a result. Only what is an image or a PDF by its bytes is ever shown in
    the browser; everything else is downloaded."""
    messages = Message.objects.for_user(request.user)
    files = Attachment.objects.filter(message__in=messages.values("pk"))
    file = load(
        request, files.select_related("message__clinic", "result__run__request__patient"), uuid=uuid
    )
    if "unreviewed" not in _rights(request, file) and not _is_reviewed(file):
        raise PermissionDenied(NOT_FOR_THE_DESK)
    viewing.opened(acting_user=request.user, file=file)
    response = HttpResponse(bytes(file.content), content_type=file.content_type)
    shown = file.content_type in IMAGES or file.content_type == "application/pdf"
    return safe(response, file.file_name or file.attachment_id or "file", inline=shown)


def _rights(request: StaffRequest, file: Attachment) -> frozenset[str]:
    """What the person may do at the clinic whose file it is: a file has no clinic of its own."""
    place = next(m for m in request.memberships if m.clinic_id == file.message.clinic_id)
    return rights_of(place)


def _is_reviewed(file: Attachment) -> bool:
    return file.result is not None and file.result.run.review_state == ReviewState.REVIEWED


def safe(response: HttpResponse, name: str, *, inline: bool) -> HttpResponse:
    """Headers under which bytes of a stranger can do nothing in the name of this site."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in name)[:100]
    response["Content-Disposition"] = f'{"inline" if inline else "attachment"}; filename="{plain}"'
    response["X-Content-Type-Options"] = "nosniff"
    response["Cross-Origin-Resource-Policy"] = "same-origin"
    response["Cache-Control"] = "private, no-store"
    policy = "default-src 'none'; frame-ancestors 'none'"
    if response["Content-Type"] != "application/pdf":
        # Browsers refuse to show a PDF in a sandbox; its viewer runs none of this site's scripts.
        policy += "; sandbox"
    response["Content-Security-Policy"] = policy
    return response

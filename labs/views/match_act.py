"""What every decision on the matching page shares: whose result it is, and what becomes of a
refusal. Nothing here knows what is decided."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.utils.http import url_has_allowed_host_and_scheme

from labs.errors import InvalidInput, LabError
from labs.models import UnmatchedResult
from labs.queries.orphaned import orphans
from labs.views.access import clinics_with, load
from labs.views.match_page import Door, page

if TYPE_CHECKING:
    from django.contrib.auth.models import User

STATUS = {"stale": 409, "not_allowed": 403, "invalid": 422}
Decision = Callable[[Any, UnmatchedResult, "User", int], None]


def load_orphan(request: Any, uuid: UUID, door: Door) -> UnmatchedResult:
    """Of a clinic where the person works, or 404. A superuser may look through the admin, and
    decides nothing without a place at the clinic (labs.roles)."""
    if not door.is_admin:
        mine: UnmatchedResult = load(request, orphans.orphans().for_user(request.user), uuid=uuid)
        return mine
    rows = orphans.orphans().filter(clinic__in=clinics_with(request, "match"))
    found: UnmatchedResult = get_object_or_404(rows, uuid=uuid)
    return found


def version_of(post: Any) -> int:
    """The version that was shown. Raises InvalidInput."""
    try:
        return int(post.get("version", ""))
    except ValueError:
        raise InvalidInput("The form was incomplete. Try again.") from None


def act(
    request: Any,
    unmatched: UnmatchedResult,
    door: Door,
    decide: Decision,
    *,
    refused: str = "",
) -> HttpResponse:
    """Do it and show what came of it; a refusal shows the page as it is now, with the reason and
    `refused`, what was not done."""
    try:
        decide(request.POST, unmatched, request.user, version_of(request.POST))
    except LabError as problem:
        fresh = load_orphan(request, unmatched.uuid, door)
        words = f"{problem.message} {refused}".strip()
        return page(request, fresh, door, problem=words, status=STATUS.get(problem.code, 400))
    after = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(after, allowed_hosts=None):
        after = door.url("match", unmatched)
    return HttpResponseRedirect(after)

"""Whose result is this? One page with two doors: the staff site and the Django admin."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import URLPattern, path
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from labs.errors import InvalidInput, LabError, Stale
from labs.matching.compare import VERSION
from labs.matching.reading import plain
from labs.models import LabRequest, UnmatchedResult
from labs.queries import orphans
from labs.queries.candidates import Candidate, candidates_for
from labs.services import matching
from labs.views.access import load, staff_required
from labs.views.match_page import DISMISSALS, OTHER, STAFF, Door, page, said, search, urls

if TYPE_CHECKING:
    from django.contrib.auth.models import User

STATUS = {"stale": 409, "not_allowed": 403, "invalid": 422}
NOTHING_WRITTEN = "Nothing was attached."


def patterns(door: Door = STAFF, wrap: Callable[..., Any] | None = None) -> list[URLPattern]:
    """The page's addresses below the queue's own; `wrap` is who asks for the login."""
    wrap = wrap or staff_required
    prefix = door.names.partition(":")[2]
    views = {
        "match": ("", match_unmatched),
        "match_search": ("search/", search_patients),
        "hold": ("hold/", hold_unmatched),
        "dismiss": ("dismiss/", dismiss_unmatched),
        "reopen": ("reopen/", reopen_unmatched),
        "unmatch": ("unmatch/", unmatch),
    }
    return [
        path(f"<uuid:uuid>/{tail}", wrap(view), {"door": door}, name=prefix + name)
        for name, (tail, view) in views.items()
    ]


@require_http_methods(["GET", "HEAD", "POST"])
def match_unmatched(request: HttpRequest, uuid: UUID, door: Door = STAFF) -> HttpResponse:
    """GET: the orphan beside its candidates; `?candidate=` puts one that was found by search first.
    POST: attach it to the candidate that was shown."""
    unmatched = _load(request, uuid, door)
    if request.method == "POST":
        return _decide(request, unmatched, door, _attach)
    return page(request, unmatched, door)


@require_GET
def search_patients(request: HttpRequest, uuid: UUID, door: Door = STAFF) -> HttpResponse:
    """The list under the search box, as the person types."""
    unmatched = _load(request, uuid, door)
    return render(
        request,
        "labs/match_found.html",
        {"found": search(unmatched, said(request.GET, "q")), **urls(unmatched, door)},
    )


@require_POST
def hold_unmatched(request: HttpRequest, uuid: UUID, door: Door = STAFF) -> HttpResponse:
    def hold(post: Any, unmatched: UnmatchedResult, user: User, version: int) -> None:
        matching.hold(
            acting_user=user,
            unmatched=unmatched,
            expected_version=version,
            reason=said(post, "reason"),
        )

    return _decide(request, _load(request, uuid, door), door, hold)


@require_POST
def dismiss_unmatched(request: HttpRequest, uuid: UUID, door: Door = STAFF) -> HttpResponse:
    def dismiss(post: Any, unmatched: UnmatchedResult, user: User, version: int) -> None:
        why, words = said(post, "why"), said(post, "words")
        if why == OTHER and not words:
            raise InvalidInput("Say in a few words why it is dismissed.")
        if why not in (*DISMISSALS, OTHER):
            raise InvalidInput("Choose why it is dismissed.")
        matching.dismiss(
            acting_user=user,
            unmatched=unmatched,
            expected_version=version,
            reason=f"{why}: {words}" if words else why,
        )

    return _decide(request, _load(request, uuid, door), door, dismiss)


@require_POST
def reopen_unmatched(request: HttpRequest, uuid: UUID, door: Door = STAFF) -> HttpResponse:
    def reopen(post: Any, unmatched: UnmatchedResult, user: User, version: int) -> None:
        matching.reopen(acting_user=user, unmatched=unmatched, expected_version=version)

    return _decide(request, _load(request, uuid, door), door, reopen)


@require_POST
def unmatch(request: HttpRequest, uuid: UUID, door: Door = STAFF) -> HttpResponse:
    """Take a match back. Other pages may post here too, with `version`, `reason` and `next`."""

    def take_back(post: Any, unmatched: UnmatchedResult, user: User, version: int) -> None:
        matching.unmatch(
            acting_user=user,
            unmatched=unmatched,
            expected_version=version,
            reason=said(post, "reason"),
        )

    return _decide(request, _load(request, uuid, door), door, take_back)


def _load(request: Any, uuid: UUID, door: Door) -> UnmatchedResult:
    """Of a clinic where the person works, or 404. A superuser may look through the admin, and
    decides nothing without a place at the clinic (labs.roles)."""
    if not door.is_admin:
        mine: UnmatchedResult = load(request, orphans.orphans().for_user(request.user), uuid=uuid)
        return mine
    rows = orphans.orphans()
    if not request.user.is_superuser:
        rows = rows.for_user(request.user)
    found: UnmatchedResult = get_object_or_404(rows, uuid=uuid)
    return found


def _decide(
    request: Any,
    unmatched: UnmatchedResult,
    door: Door,
    decide: Callable[[Any, UnmatchedResult, User, int], None],
) -> HttpResponse:
    """Do it and show what came of it; a refusal shows the page as it is now, with the reason."""
    try:
        try:
            version = int(request.POST.get("version", ""))
        except ValueError:
            raise InvalidInput("The form was incomplete. Try again.") from None
        decide(request.POST, unmatched, request.user, version)
    except LabError as problem:
        fresh = _load(request, unmatched.uuid, door)
        return page(
            request,
            fresh,
            door,
            problem=f"{problem.message} {NOTHING_WRITTEN}"
            if decide is _attach
            else problem.message,
            status=STATUS.get(problem.code, 400),
        )
    after = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(after, allowed_hosts=None):
        after = door.url("match", unmatched)
    return HttpResponseRedirect(after)


def _attach(post: Any, unmatched: UnmatchedResult, user: User, version: int) -> None:
    candidate, found = _candidate_of(post, unmatched)
    patient = candidate.patient
    if post.get("seen", "") != candidate.seen_key:
        raise Stale(f"The record of {patient} changed while you were looking at it.")
    if candidate.must_type_name and plain(said(post, "typed_name")) != plain(patient.name):
        raise InvalidInput(
            f"{candidate.comparison.serious_words} Type the animal's name, {patient.name}, to "
            "attach it all the same."
        )
    matching.match(
        acting_user=user,
        unmatched=unmatched,
        patient=patient,
        request=_target_of(post, candidate),
        expected_version=version,
        evidence=_evidence(candidate, found, post),
    )


def _candidate_of(post: Any, unmatched: UnmatchedResult) -> tuple[Candidate, list[Candidate]]:
    try:
        uuid = UUID(post.get("candidate", ""))
    except ValueError:
        raise InvalidInput("Choose an animal.") from None
    found = candidates_for(unmatched, runs=orphans.runs_of(unmatched), chosen=uuid)
    if not found or found[0].patient.uuid != uuid:
        raise InvalidInput("There is no such animal in this clinic.")
    return found[0], found[1:]


def _target_of(post: Any, candidate: Candidate) -> LabRequest | None:
    wanted = post.get("request", "")
    if not wanted:
        return None
    for target in candidate.targets:
        if target.request.lab_report_id == wanted:
            return target.request
    raise Stale(f"Request {wanted} is no longer waiting for these tests.")


def _evidence(candidate: Candidate, others: list[Candidate], post: Any) -> dict[str, Any]:
    """What stood on the screen: kept with the decision, whatever becomes of the records."""
    return {
        **candidate.comparison.as_json(),
        "comparison": VERSION,
        "found_by": "search" if post.get("found_by") == "search" else "list",
        "name_typed": candidate.must_type_name,
        "others": [
            {"patient": str(other.patient.uuid), "points": other.comparison.points}
            for other in others
        ],
    }

"""Whose result is this? One page with two doors: the staff site and the Django admin."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from labs.errors import InvalidInput, Stale
from labs.matching.reading import plain
from labs.models import LabRequest, MatchDecision, UnmatchedResult
from labs.queries.orphaned import orphans, shadow
from labs.queries.orphaned.candidates import Candidate, beside, candidates_for
from labs.queries.orphaned.second_look import to_check
from labs.queries.orphaned.witnesses import Witness
from labs.services.orphaned import automatic, matching, second_look
from labs.services.reviews import viewing
from labs.views import ways_out
from labs.views.access import laboratory_required
from labs.views.match_act import act, load_orphan
from labs.views.match_page import (
    DISMISSALS,
    OTHER,
    STAFF,
    Door,
    page,
    said,
    search,
    undo_seconds,
    urls,
)

if TYPE_CHECKING:
    from django.contrib.auth.models import User

UNDONE = "Undone at once"


def patterns(door: Door = STAFF, wrap: Callable[..., Any] | None = None) -> list[URLPattern]:
    """The page's addresses below the queue's own; `wrap` is who asks for the login."""
    wrap = wrap or laboratory_required
    prefix = door.names.partition(":")[2]
    views = {
        "match": ("", match_unmatched),
        "match_search": ("search/", search_patients),
        "hold": ("hold/", hold_unmatched),
        "dismiss": ("dismiss/", dismiss_unmatched),
        "reopen": ("reopen/", reopen_unmatched),
        "unmatch": ("unmatch/", unmatch),
        "match_move": ("move/", move),
        "match_split": ("split/", ways_out.split),
        "match_new": ("new/", ways_out.new_patient),
        "match_changed": ("changed/", ways_out.changed),
        "match_confirm": ("confirm/", confirm),
    }
    return [
        path(f"<uuid:uuid>/{tail}", wrap(view), {"door": door}, name=prefix + name)
        for name, (tail, view) in views.items()
    ]


@require_http_methods(["GET", "HEAD", "POST"])
def match_unmatched(request: HttpRequest, uuid: UUID, door: Door = STAFF) -> HttpResponse:
    """GET: the orphan beside its candidates; `?candidate=` puts one that was found by search first.
    POST: attach it to the candidate that was shown."""
    unmatched = load_orphan(request, uuid, door)
    if request.method == "POST":
        return act(request, unmatched, door, _attach, refused="Nothing was attached.")
    viewing.read(acting_user=cast("User", request.user), unmatched=unmatched)
    return page(request, unmatched, door)


@require_GET
def search_patients(request: HttpRequest, uuid: UUID, door: Door = STAFF) -> HttpResponse:
    """The list under the search box, as the person types."""
    unmatched = load_orphan(request, uuid, door)
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

    return act(request, load_orphan(request, uuid, door), door, hold)


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

    return act(request, load_orphan(request, uuid, door), door, dismiss)


@require_POST
def reopen_unmatched(request: HttpRequest, uuid: UUID, door: Door = STAFF) -> HttpResponse:
    def reopen(post: Any, unmatched: UnmatchedResult, user: User, version: int) -> None:
        matching.reopen(acting_user=user, unmatched=unmatched, expected_version=version)

    return act(request, load_orphan(request, uuid, door), door, reopen)


@require_POST
def unmatch(request: HttpRequest, uuid: UUID, door: Door = STAFF) -> HttpResponse:
    """Take a match back. Other pages may post here too, with `version`, `reason` and `next`."""

    def take_back(post: Any, unmatched: UnmatchedResult, user: User, version: int) -> None:
        at_once = post.get("undo") and undo_seconds(unmatched, user)
        matching.unmatch(
            acting_user=user,
            unmatched=unmatched,
            expected_version=version,
            reason=said(post, "reason") or (UNDONE if at_once else ""),
        )
        _tell(request, unmatched)

    return act(request, load_orphan(request, uuid, door), door, take_back)


def _tell(request: HttpRequest, unmatched: UnmatchedResult) -> None:
    """Name the others who may have acted on what was taken back, on whichever page comes next."""
    back = unmatched.decisions.filter(action=MatchDecision.Action.UNMATCH).last()
    seen_by = [Witness.from_json(each) for each in back.evidence["seen_by"]] if back else []
    others = [each for each in seen_by if each.user != request.user.pk]
    if others:
        words = ", ".join(each.words(unmatched.clinic.zone) for each in others)
        messages.warning(request, f"Tell who may have acted on it: {words}.")


@require_POST
def confirm(request: HttpRequest, uuid: UUID, door: Door = STAFF) -> HttpResponse:
    """A person has looked at what rule A attached, or at what another person attached against a
    contradiction, and it is right."""

    def look(post: Any, unmatched: UnmatchedResult, user: User, version: int) -> None:
        waits = to_check(unmatched.clinic_id).filter(unmatched=unmatched).exists()
        confirm_it = second_look.check if waits else automatic.confirm
        confirm_it(acting_user=user, unmatched=unmatched, expected_version=version)

    return act(request, load_orphan(request, uuid, door), door, look)


@require_POST
def move(request: HttpRequest, uuid: UUID, door: Door = STAFF) -> HttpResponse:
    """From the animal that it was matched to onto the one that was looked up."""

    def move_there(post: Any, unmatched: UnmatchedResult, user: User, version: int) -> None:
        candidate, found = _confirmed(post, unmatched)
        matching.move(
            acting_user=user,
            unmatched=unmatched,
            patient=candidate.patient,
            expected_version=version,
            reason=said(post, "reason"),
            request=_target_of(post, candidate),
            evidence=_evidence(candidate, found, post),
        )
        _tell(request, unmatched)

    orphan = load_orphan(request, uuid, door)
    return act(request, orphan, door, move_there, refused="It stays where it is.")


def _attach(post: Any, unmatched: UnmatchedResult, user: User, version: int) -> None:
    try:
        candidate, found = _confirmed(post, unmatched)
        matching.match(
            acting_user=user,
            unmatched=unmatched,
            patient=candidate.patient,
            request=_target_of(post, candidate),
            expected_version=version,
            evidence=_evidence(candidate, found, post) | shadow.judged(unmatched),
        )
    except Stale:
        if not _same_click(post, unmatched, user):
            raise


def _same_click(post: Any, unmatched: UnmatchedResult, user: User) -> bool:
    """Whether this very form was sent before, such as by a double click or a connection that broke
    before the answer: what the person wanted is done, and a refusal would say the opposite."""
    click = said(post, "click")[:36]
    done = unmatched.decisions.filter(active=True, actor=user, evidence__click=click)
    standing = done.select_related("patient").first() if click else None
    if standing is None or standing.patient is None:
        return False
    return str(standing.patient.uuid) == said(post, "candidate")


def _confirmed(post: Any, unmatched: UnmatchedResult) -> tuple[Candidate, list[Candidate]]:
    """The animal that was shown, if its record still reads so and, where something contradicts it,
    its name was typed; and the others."""
    candidate, found = _candidate_of(post, unmatched)
    patient = candidate.patient
    if post.get("seen", "") != candidate.seen_key:
        raise Stale(f"The record of {patient} changed while you were looking at it.")
    if candidate.must_type_name and plain(said(post, "typed_name")) != plain(patient.name):
        raise InvalidInput(
            f"{candidate.comparison.serious_words} Type the animal's name, {patient.name}, to "
            "attach it all the same."
        )
    return candidate, found


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
        **candidate.evidence,
        "found_by": "search" if post.get("found_by") == "search" else "list",
        "name_typed": candidate.must_type_name,
        "click": said(post, "click")[:36],
        "others": beside(others),
    }

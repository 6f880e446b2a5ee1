"""Whose result is this? One page with two doors: the staff site and the Django admin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from labs import roles
from labs.errors import InvalidInput, LabError, Stale
from labs.matching.compare import VERSION
from labs.matching.reading import plain
from labs.models import LabRequest, MatchDecision, Patient, UnmatchedResult, UnmatchedState
from labs.queries import orphans
from labs.queries.candidates import Candidate, candidates_for
from labs.queries.words import duration
from labs.services import matching
from labs.views.access import load, staff_required

if TYPE_CHECKING:
    from django.contrib.auth.models import User

CARDS = 3
DISMISSALS = ("Quality control run", "Test run", "Duplicate", "Not ours", "Unusable")
OTHER = "Other"
STATUS = {"stale": 409, "not_allowed": 403, "invalid": 422}
NOTHING_WRITTEN = "Nothing was attached."


@dataclass(frozen=True, kw_only=True)
class Door:
    """By which site a person came in: what the page extends and where its links lead."""

    base: str
    names: str
    queue: str

    @property
    def is_admin(self) -> bool:
        return self.names.startswith("admin:")

    def url(self, action: str, unmatched: UnmatchedResult) -> str:
        return reverse(self.names + action, args=[unmatched.uuid])


STAFF = Door(base="base.html", names="labs:", queue="labs:unmatched")
ADMIN = Door(
    base="admin/base_site.html",
    names="admin:labs_unmatchedresult_",
    queue="admin:labs_unmatchedresult_changelist",
)


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
    return _page(request, unmatched, door)


@require_GET
def search_patients(request: HttpRequest, uuid: UUID, door: Door = STAFF) -> HttpResponse:
    """The list under the search box, as the person types."""
    unmatched = _load(request, uuid, door)
    return render(
        request,
        "labs/match_found.html",
        {"found": _search(unmatched, said(request.GET, "q")), **_urls(unmatched, door)},
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


def said(post: Any, name: str) -> str:
    """A field of a form as text that the database takes: PostgreSQL refuses NUL."""
    text: str = post.get(name, "")
    return text.replace("\0", "").strip()


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
        return _page(
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


def _page(
    request: Any,
    unmatched: UnmatchedResult,
    door: Door,
    *,
    problem: str = "",
    status: int = 200,
) -> HttpResponse:
    with timezone.override(unmatched.clinic.zone):
        context = _context(request, unmatched) | {"problem": problem}
        context |= {"door": door, "base_template": door.base, **_urls(unmatched, door)}
        if door.is_admin:
            context |= admin.site.each_context(request) | {"is_nav_sidebar_enabled": False}
        return render(request, "labs/match.html", context, status=status)


def _context(request: Any, unmatched: UnmatchedResult) -> dict[str, Any]:
    chosen = _chosen(request)
    runs = orphans.runs_of(unmatched)
    shown = [orphans.shown(run) for run in runs]
    lines = orphans.typed_lines(unmatched, shown)
    keys = [line.key for line in lines]
    decisions = orphans.decisions_of(unmatched)
    active = next((decision for decision in decisions if decision.active), None)
    waits = unmatched.state in (UnmatchedState.OPEN, UnmatchedState.HELD)
    found = _found(unmatched, runs, chosen, active, waits)
    query = said(request.GET, "q")
    waited = timezone.now() - unmatched.created_at
    readings = orphans.first_readings(shown, 100)
    critical = sum(reading.shape == "critical" for reading in readings)
    return {
        "unmatched": unmatched,
        "waits": waits,
        "runs": shown,
        "lines": lines,
        "cards": [(c, _cells(c, keys)) for c in found[:CARDS]],
        "columns": max(1 if waits else 0, len(found[:CARDS])),
        "leads": bool(found) and _leads(found),
        "further": found[CARDS:],
        "readings": readings[:5],
        "more_readings": max(0, len(readings) - 5),
        "critical": critical,
        "decisions": decisions,
        "active": active,
        "place": orphans.place_of(unmatched),
        "may_match": roles.may(request.user, unmatched.clinic, "match"),
        "waited": duration(waited),
        "late": "late" if waited.days else "due" if waited.seconds >= 7200 or critical else "",
        "query": query,
        "found": _search(unmatched, query) if query else [],
        "dismissals": DISMISSALS,
        "other": OTHER,
    }


def _chosen(request: Any) -> UUID | None:
    """The animal that a person looked up. After a refusal the cards stand in the order they had."""
    source = request.GET
    if request.method == "POST":
        source = request.POST if request.POST.get("found_by") == "search" else {}
    try:
        return UUID(source.get("candidate", ""))
    except ValueError:
        return None


def _found(
    unmatched: UnmatchedResult,
    runs: list[Any],
    chosen: UUID | None,
    active: MatchDecision | None,
    waits: bool,
) -> list[Candidate]:
    """Whom to set beside it: all while it waits, then the one it was attached to, else nobody."""
    if waits:
        return candidates_for(unmatched, runs=runs, chosen=chosen)
    if active is None or active.patient is None:
        return []
    return candidates_for(unmatched, runs=runs, chosen=active.patient.uuid)[:1]


def _leads(found: list[Candidate]) -> bool:
    """Whether the first one stands out, so that its button may: a tie is shown as a tie."""
    points = [candidate.comparison.points for candidate in found]
    return points[0] > 0 and (len(points) == 1 or points[0] > max(points[1:]))


def _cells(candidate: Candidate, keys: list[str]) -> list[Any]:
    """The candidate's fields line by line as on the left; a line that it lacks stays empty."""
    fields = {field.key: field for field in candidate.comparison.fields}
    return [fields[key] for key in keys]


def _search(unmatched: UnmatchedResult, text: str) -> QuerySet[Patient] | list[Patient]:
    """At most eight animals of the orphan's own clinic."""
    if not text:
        return []
    rows = Patient.objects.filter(clinic=unmatched.clinic_id)
    return rows.search(text[:100]).select_related("owner")[:8]


def _urls(unmatched: UnmatchedResult, door: Door) -> dict[str, str]:
    names = ("match", "match_search", "hold", "dismiss", "reopen", "unmatch")
    return {f"{name}_url": door.url(name, unmatched) for name in names} | {
        "queue_url": reverse(door.queue)
    }

"""The matching page itself: what it shows, and by which of its two doors a person came in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from django.contrib import admin
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from labs import roles
from labs.matching.compare import serious_words
from labs.models import MatchDecision, Patient, UnmatchedResult, UnmatchedState
from labs.queries.orphaned import orphans
from labs.queries.orphaned.candidates import Candidate, candidates_for, rank, separated
from labs.queries.orphaned.refused import refused
from labs.queries.orphaned.witnesses import witnesses
from labs.queries.registry import patients
from labs.queries.words import duration
from labs.services.orphaned import second_look
from labs.services.orphaned.automatic import TAKEN_BACK

CARDS = 3
DISMISSALS = ("Quality control run", "Test run", "Duplicate", "Not ours", "Unusable")
OTHER = "Other"
# A slip of the hand is noticed at once: for so long it is taken back by one key, without a reason.
UNDO = timedelta(seconds=30)


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


def said(post: Any, name: str) -> str:
    """A field of a form, trimmed."""
    text: str = post.get(name, "")
    return text.strip()


def page(
    request: Any,
    unmatched: UnmatchedResult,
    door: Door,
    *,
    problem: str = "",
    status: int = 200,
) -> HttpResponse:
    """All of it, around the refusal that there may be."""
    with timezone.override(unmatched.clinic.zone):
        context = _context(request, unmatched) | {"problem": problem}
        context |= {"door": door, "base_template": door.base, **urls(unmatched, door)}
        if door.is_admin:
            context |= admin.site.each_context(request) | {"is_nav_sidebar_enabled": False}
        return render(request, "labs/match.html", context, status=status)


def _context(request: Any, unmatched: UnmatchedResult) -> dict[str, Any]:
    chosen = _chosen(request)
    runs = orphans.runs_of(unmatched)
    shown = [orphans.shown(run) for run in runs]
    decisions = orphans.decisions_of(unmatched)
    active = next((decision for decision in decisions if decision.active), None)
    waits = unmatched.state in (UnmatchedState.OPEN, UnmatchedState.HELD)
    back = refused(unmatched) if waits else {}
    found, nobody = _found(unmatched, runs, chosen, active, waits, set(back))
    compared = [field for each in found[:CARDS] for field in each.comparison.fields]
    lines = orphans.typed_lines(unmatched, shown, {f.key for f in compared if f.on_file})
    keys = [line.key for line in lines]
    seen_by = witnesses(active.request, active.at) if active else []
    query = said(request.GET, "q")
    waited = timezone.now() - unmatched.created_at
    readings = orphans.first_readings(shown, 100)
    critical = sum(reading.shape == "critical" for reading in readings)
    return {
        "unmatched": unmatched,
        "waits": waits,
        # One for each time that the page is shown: a form that is sent twice is done once.
        "click": uuid4(),
        "runs": shown,
        "lines": lines,
        "cards": [(c, _cells(c, keys)) for c in found[:CARDS]],
        "columns": max(1 if waits else 0, len(found[:CARDS])),
        "leads": bool(found) and _leads(found),
        "further": found[CARDS:],
        "nobody_words": nobody,
        "readings": readings[:5],
        "more_readings": max(0, len(readings) - 5),
        "critical": critical,
        "decisions": decisions,
        "active": active,
        "to_look_at": _to_look_at(active, decisions),
        "taken_back": TAKEN_BACK,
        "to_check": bool(active and active.against) and not _looked(active, decisions),
        "against": serious_words(active.evidence["serious"]) if active and active.against else "",
        "checked_back": second_look.TAKEN_BACK,
        "place": orphans.place_of(unmatched),
        "may_match": roles.may(request.user, unmatched.clinic, "match"),
        "waited": duration(waited),
        "late": "late" if waited.days else "due" if waited.seconds >= 7200 or critical else "",
        "query": query,
        "found": search(unmatched, query) if query else [],
        "dismissals": DISMISSALS,
        "other": OTHER,
        "refused": back.values(),
        "again": next((d for d in back.values() if waits and found and _is(found[0], d)), None),
        "seen_by": seen_by,
        "undo_seconds": undo_seconds(unmatched, request.user, active) if active else 0,
        "moves_to": found[0] if not waits and found and chosen and found[0].chosen else None,
    }


def _to_look_at(active: MatchDecision | None, decisions: list[MatchDecision]) -> bool:
    """Whether an automatic match stands that no person has looked at."""
    if active is None or active.method != MatchDecision.Method.AUTO:
        return False
    return not _looked(active, decisions)


def _looked(active: MatchDecision | None, decisions: list[MatchDecision]) -> bool:
    """Whether somebody has said since then that it is right."""
    said = (MatchDecision.Action.CONFIRM, MatchDecision.Action.CHECK)
    return any(active and each.action in said and each.pk > active.pk for each in decisions)


def undo_seconds(unmatched: UnmatchedResult, user: Any, active: MatchDecision | None = None) -> int:
    """For how long that person may still take their own match back without a reason."""
    active = active or unmatched.decisions.filter(active=True).first()
    if active is None or active.actor_id != user.pk:
        return 0
    return max(0, int((active.at + UNDO - timezone.now()).total_seconds()))


def _is(candidate: Candidate, decision: MatchDecision) -> bool:
    return candidate.chosen and candidate.patient == (decision.patient and decision.patient.now)


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
    back: set[int],
) -> tuple[list[Candidate], str]:
    """Whom to set beside it: while it waits all but those that it was taken from, unless a person
    looks one of them up; then the one it was attached to, or is to be moved to; else nobody. And in
    words, while it waits, how likely it is that the animal is not in the records."""
    if waits:
        ranked = rank(unmatched, runs=runs, chosen=chosen)
        left = [c for c in ranked.found if c.chosen or c.patient.pk not in back]
        # What separates it from 1 is said of the one that stands first now.
        found = separated(left) if len(left) < len(ranked.found) else left
        return found, ranked.nobody_words if left else ""
    if active is None or active.patient is None:
        return [], ""
    standing = active.patient.now.uuid
    if chosen not in (None, standing):
        every = candidates_for(unmatched, runs=runs, chosen=chosen)
        return [c for c in every[:1] if c.chosen], ""
    return candidates_for(unmatched, runs=runs, chosen=standing)[:1], ""


def _leads(found: list[Candidate]) -> bool:
    """Whether the first one stands out, so that its button may: a tie is shown as a tie."""
    first = found[0]
    if first.tied or first.comparison.points <= 0:
        return False
    return all(first.comparison.points > other.comparison.points for other in found[1:])


def _cells(candidate: Candidate, keys: list[str]) -> list[Any]:
    """The candidate's fields line by line as on the left; a line that it lacks stays empty."""
    fields = {field.key: field for field in candidate.comparison.fields}
    return [fields[key] for key in keys]


def search(unmatched: UnmatchedResult, text: str) -> list[Patient]:
    """At most eight animals of the orphan's own clinic."""
    if not text:
        return []
    rows = Patient.objects.filter(clinic=unmatched.clinic_id)
    return patients.search(unmatched.clinic_id, rows, text[:100], 1, 8).rows


def urls(unmatched: UnmatchedResult, door: Door) -> dict[str, str]:
    names = (
        *("match", "match_search", "hold", "dismiss", "reopen", "unmatch"),
        *("match_move", "match_split", "match_new", "match_changed", "match_confirm"),
    )
    return {f"{name}_url": door.url(name, unmatched) for name in names} | {
        "queue_url": reverse(door.queue)
    }

"""Which animals an orphan is held against: found by id, chip and names through ordinary indexes, in
a bounded number of statements, on SQLite and PostgreSQL alike. What is not looked at is counted all
the same (labs/matching/score.py)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from labs import vendors
from labs.errors import NoVendor
from labs.keys import id_key, plain, stored_id
from labs.matching.names import CUT, EXACT, NEAR, NICKNAME, PART, WEAK
from labs.matching.presence import learn_aliases
from labs.matching.sides import (
    OnFile,
    Orphan,
    Surroundings,
    believed,
)
from labs.models import (
    LabRequest,
    MatchDecision,
    Sex,
    TestRun,
    UnmatchedResult,
    UnmatchedState,
)
from labs.queries.orphaned.candidate_ranges import HERE, Search, how_many_here
from labs.queries.orphaned.on_file import ANIMALS, on_file, standing
from labs.queries.orphaned.vocabulary import registry_of
from labs.services.orders import codes

# How many of one search's animals are looked at: the latest seen first.
NAMESAKES, UNLIKE, HOUSEHOLDS, NEAR_IDS = 300, 100, 100, 60
LATELY = timedelta(days=2)
# Names looked up together with surnames, so that their pairs stay few.
NAMES, SURNAMES = 100, 60
STRONG = (EXACT, NEAR, CUT, NICKNAME, PART)
SURNAME_STRONG = (EXACT, NEAR, CUT, PART)
# An id under which more than so many animals came within 30 days is a habit and names nobody.
SHARED_BY, SHARED_WITHIN = 3, timedelta(days=30)


def identifying(unmatched: UnmatchedResult) -> dict[str, str]:
    """What was typed, but for an emergency code: that is nobody's patient id."""
    typed: dict[str, str] = unmatched.typed
    return typed if unmatched.emergency_id is None else {**typed, "patient_id": ""}


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """`asked_for`: keys of those that a person or a request named, however little fits."""

    orphan: Orphan
    animals: list[OnFile]
    asked_for: frozenset[int] = frozenset()


def gather(
    unmatched: UnmatchedResult,
    runs: Iterable[TestRun] = (),
    panels: frozenset[int] = frozenset(),
    *,
    suggested: int | None = None,
    chosen: int | None = None,
) -> Gathered:
    """`unmatched` comes with its clinic; `panels` are those that its runs are of; `suggested` and
    `chosen` are animals' keys."""
    typed = identifying(unmatched)
    clinic_id = unmatched.clinic_id
    came = unmatched.created_at
    at = believed(max(_run_times(runs), default=None), came)
    hours, visits, requests = how_many_here(clinic_id, at)
    registry = registry_of(clinic_id)
    total = registry.total
    around = Surroundings(
        at=at.astimezone(unmatched.clinic.zone),
        visits_known=visits > 0,
        seen_share=min(1.0, (hours if visits else requests) / total),
        day_share=min(1.0, (visits - hours) / total),
        ignored=frozenset({plain(unmatched.clinic.name)}),
        aliases=_aliases(clinic_id) if (typed.get("doctor") or "").strip() else {},
    )
    orphan = Orphan(typed, registry, around)
    of_request = _of_request(orphan, clinic_id)
    asked_for = _asked_for(suggested, chosen) | of_request
    rows = _rows(orphan, clinic_id, at, asked_for)
    asked_for = frozenset(standing(rows[pk]) if pk in rows else pk for pk in asked_for)
    shared = _shared_ids(orphan, clinic_id, came, rows)
    breeds = _breeds(unmatched, orphan, rows) if orphan.breed else {}
    orphan.around = Surroundings(
        **{**_as_dict(around), "shared_ids": shared, "breeds": breeds, "of_request": of_request}
    )
    return Gathered(orphan=orphan, animals=on_file(orphan, rows, at, panels), asked_for=asked_for)


def _as_dict(around: Surroundings) -> dict[str, Any]:
    return {name: getattr(around, name) for name in Surroundings.__dataclass_fields__}


def _run_times(runs: Iterable[TestRun]) -> Iterator[datetime]:
    """Where the runs were read with their current versions."""
    for run in runs:
        for version in getattr(run, "shown", ()):
            if version.run_at is not None:
                yield version.run_at


def _rows(
    orphan: Orphan, clinic_id: int, at: datetime, asked_for: frozenset[int]
) -> dict[int, tuple[Any, ...]]:
    ids = {text for _, key, number in orphan.ids for text in (key, number) if text}
    chips = {orphan.chip, *(key for _, key, _ in orphan.ids if len(key) >= 9)} - {""}
    names = _keys(orphan, "names", (*STRONG, WEAK), NAMES)
    surnames = _keys(orphan, "surnames", (*SURNAME_STRONG, WEAK), SURNAMES)
    search = Search(clinic_id)
    search.add(id_key=ids)
    search.add(chip_key=chips)
    search.add(name_key=names, surname_key=surnames)
    lately = at - LATELY if orphan.around.visits_known else None
    search.latest(NEAR_IDS, since=lately, id_key=_near_ids(orphan))
    alike = search.alike(
        NAMESAKES,
        names=_keys(orphan, "names", STRONG, NAMES),
        species=orphan.said("species_code"),
        sex=sex if (sex := orphan.said("sex_code")) in ("M", "F") else "",
        born=orphan.born_between(),
    )
    search.latest(
        UNLIKE if alike else NAMESAKES,
        name_key=_keys(orphan, "names", (EXACT, NEAR), NAMES) or names,
    )
    search.latest(HERE, since=at - LATELY, name_key=names)
    exact = _keys(orphan, "surnames", (EXACT,), SURNAMES)
    search.latest(HOUSEHOLDS, surname_key=exact or surnames)
    search.latest(HERE, since=at - LATELY, surname_key=surnames)
    if not orphan.named:
        # Nobody is named at all: whoever was here is all there is to go by.
        search.visitors(at)
    pks = asked_for | set(search.pks())
    rows = {row[0]: row for row in ANIMALS.rows(list(pks), clinic=clinic_id)}
    if behind := {standing(row) for row in rows.values()} - set(rows):
        # Found by a record that was merged away: the one that stands for it.
        rows |= {row[0]: row for row in ANIMALS.rows(list(behind), clinic=clinic_id)}
    return rows


def _near_ids(orphan: Orphan) -> list[str]:
    """What the registry keeps of every id that is one wrong digit, or two exchanged ones, from what
    was typed."""
    found: dict[str, None] = {}
    for typed_in, _, _ in orphan.ids:
        text = orphan.said(typed_in)
        if not 4 <= sum(c.isdigit() for c in text) <= 12:
            continue
        for place, digit in enumerate(text):
            if not digit.isdigit():
                continue
            for other in "0123456789":
                found[stored_id(text[:place] + other + text[place + 1 :])] = None
            after = text[place + 1 : place + 2]
            if after.isdigit():
                found[stored_id(text[:place] + after + digit + text[place + 2 :])] = None
    return list(found)


def _of_request(orphan: Orphan, clinic_id: int) -> frozenset[int]:
    """The animal of the request whose code was typed where the patient id or the name belongs."""
    codes_ = _request_codes(orphan)
    if not codes_:
        return frozenset()
    requests = LabRequest.objects.filter(clinic=clinic_id, lab_report_id__in=codes_)
    return frozenset(requests.values_list("patient_id", flat=True))


def _asked_for(suggested: int | None, chosen: int | None) -> frozenset[int]:
    """Whom a conflict's request or a person names."""
    named = {suggested} if suggested is not None else set()
    if chosen is not None:
        named.add(chosen)
    return frozenset(named)


def _keys(orphan: Orphan, which: str, levels: Sequence[str], most: int) -> list[str]:
    """Names of those levels by any way to read what was typed, the nearest levels first."""
    found: dict[str, None] = {}
    for level in levels:
        for way in orphan.readings:
            known = getattr(way, which)
            for key in known.keys(level) if known else ():
                found[key] = None
    return list(found)[:most]


def _request_codes(orphan: Orphan) -> list[str]:
    """What may be the code of a request."""
    texts = (orphan.said("patient_id"), orphan.said("patient_name"))
    return [text.upper() for text in texts if "-" in text and len(text) <= 20]


def _shared_ids(
    orphan: Orphan, clinic_id: int, came: datetime, rows: Mapping[int, tuple[Any, ...]]
) -> dict[str, str]:
    """Ids that say nothing, and why: borne by several patients, or seen on several animals."""
    shared: dict[str, str] = {}
    bearers: dict[str, set[int]] = {}
    exactly: dict[str, set[int]] = {}
    typed = {key for _, each, number in orphan.ids for key in (each, number) if key}
    for row in rows.values() if typed else ():
        own_key = id_key(row[4])
        exactly.setdefault(own_key, set()).add(standing(row))
        for key in {row[5], own_key}:
            bearers.setdefault(key, set()).add(standing(row))
    for key in typed:
        if len(bearers.get(key, ())) > 1 and len(exactly.get(key, ())) != 1:
            shared[key] = f"shared by {len(bearers[key])} patients, ignored"
    chip = orphan.said("microchip")
    chipped = {standing(row) for row in rows.values() if row[11] == chip}
    if orphan.chip and len(chipped) > 1:
        shared[orphan.chip] = "shared by several patients, ignored"
    own = stored_id(orphan.said("patient_id"))
    if own and any(typed_in == "patient_id" for typed_in, _, _ in orphan.ids):
        others = UnmatchedResult.objects.filter(
            clinic=clinic_id, typed_id=own, created_at__gte=came - SHARED_WITHIN
        ).order_by("-created_at")[:100]
        animals = {
            plain(typed.get("patient_name") or "")
            for typed in others.values_list("typed", flat=True)
        } - {""}
        if len(animals) > SHARED_BY:
            why = f"typed for {len(animals)} animals within 30 days, ignored"
            shared |= {own: why, id_key(orphan.said("patient_id")): why}
    return shared


def _aliases(clinic_id: int) -> dict[str, frozenset[str]]:
    """What doctors are called at this clinic's analyzers, from the matches of the last 300 results
    that have one. By the clinic's own results, as they have an index: a decision names no clinic,
    and for a small clinic those of all the others were walked through to find 300."""
    pairs = []
    matched = UnmatchedResult.objects.filter(clinic=clinic_id, state=UnmatchedState.MATCHED)
    decisions = MatchDecision.objects.filter(
        active=True,
        unmatched__in=matched.order_by("-created_at").values("pk")[:300],
        action=MatchDecision.Action.MATCH,
    )
    for evidence in decisions.order_by("pk").values_list("evidence", flat=True):
        for line in evidence.get("fields", ()):
            if line.get("key") == "doctor" and line.get("typed") and line.get("on_file"):
                pairs.append((line["typed"], line["on_file"]))
    return learn_aliases(pairs)


def _breeds(
    unmatched: UnmatchedResult, orphan: Orphan, rows: Mapping[int, tuple[Any, ...]]
) -> dict[str, str]:
    """The laboratory's code of what was typed and of each breed on file, in plain text. A code that
    stands for "none of ours" is none."""
    try:
        vendor = vendors.get(unmatched.vendor)
    except NoVendor:
        return {}
    own = codes.of_clinic(unmatched.clinic, vendor.name)
    species = orphan.said("species_code")
    words = {(species, orphan.said("breed"))} | {
        (row[6], row[8]) for row in rows.values() if row[8]
    }
    known = {}
    for of_species, breed in words:
        for sent in vendor.sent_as(
            species=of_species, breed=breed, sex=Sex.UNKNOWN, neutered=None, codes=own
        ):
            if sent.kind == "breed" and sent.how in ("code", "own"):
                known[plain(breed)] = sent.code
            elif sent.kind == "breed" and sent.how == "words":
                # What was typed may be the code itself.
                known.setdefault(plain(breed), breed)
    return known

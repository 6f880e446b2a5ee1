"""Which animals an orphan is held against: found by id, chip and names through ordinary indexes, in
a bounded number of statements, on SQLite and PostgreSQL alike. What is not looked at is counted all
the same (labs/matching/score.py)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Count, Q

from labs import vendors
from labs.errors import NoVendor
from labs.keys import id_key, plain, stored_id
from labs.matching.evidence import (
    HOURS,
    NEAR_IN_TIME,
    OnFile,
    Orphan,
    Surroundings,
    believed,
    learn_aliases,
)
from labs.matching.names import CUT, EXACT, NEAR, NICKNAME, PART, WEAK
from labs.models import (
    LabRequest,
    MatchDecision,
    Patient,
    RequestState,
    Sex,
    TestRun,
    TestState,
    UnmatchedResult,
    Visit,
    Weight,
)
from labs.queries.vocabulary import registry_of
from labs.services import codes

# How many of one search's animals are looked at: the latest seen first.
NAMESAKES, HOUSEHOLDS, HERE = 300, 100, 300
LATELY = timedelta(days=2)
# Names looked up together with surnames, so that their pairs stay few.
NAMES, SURNAMES = 100, 60
STRONG = (EXACT, NEAR, CUT, NICKNAME, PART)
SURNAME_STRONG = (EXACT, NEAR, CUT, PART)
# An id under which more than so many animals came within 30 days is a habit and names nobody.
SHARED_BY, SHARED_WITHIN = 3, timedelta(days=30)
COLUMNS = (
    *("pk", "name", "name_key", "surname_key", "patient_id", "id_key", "species", "sex"),
    *("breed", "birth_date", "birth_date_estimated", "microchip", "deceased", "deceased_on"),
    *("owner_id", "owner__owner_id", "owner__first_name", "owner__last_name", "latest_visit"),
)
CLOSED = (RequestState.DRAFT, RequestState.COMPLETE, RequestState.CANCELLED)
TESTS_CLOSED = (TestState.COMPLETE, TestState.REFUSED, TestState.CANCELLED)


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
    chosen: UUID | None = None,
) -> Gathered:
    """`unmatched` comes with its clinic; `panels` are those that its runs are of."""
    typed = identifying(unmatched)
    clinic_id = unmatched.clinic_id
    came = unmatched.created_at
    at = believed(max(_run_times(runs), default=None), came)
    hours, visits, requests = _here(clinic_id, at)
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
    asked_for = _asked_for(clinic_id, suggested, chosen) | of_request
    rows = _rows(orphan, clinic_id, at, asked_for)
    shared = _shared_ids(orphan, clinic_id, came, rows)
    breeds = _breeds(unmatched, orphan, rows) if orphan.breed else {}
    orphan.around = Surroundings(
        **{**_as_dict(around), "shared_ids": shared, "breeds": breeds, "of_request": of_request}
    )
    return Gathered(orphan=orphan, animals=_animals(orphan, rows, at, panels), asked_for=asked_for)


def _as_dict(around: Surroundings) -> dict[str, Any]:
    return {name: getattr(around, name) for name in Surroundings.__dataclass_fields__}


def _run_times(runs: Iterable[TestRun]) -> Iterator[datetime]:
    """Where the runs were read with their current versions."""
    for run in runs:
        for version in getattr(run, "shown", ()):
            if version.run_at is not None:
                yield version.run_at


def _here(clinic_id: int, at: datetime) -> tuple[int, int, int]:
    """Visits within hours of the run, and within a day; and where there are none, requests."""
    window = (at - NEAR_IN_TIME, at + NEAR_IN_TIME)
    hours = Q(at__range=(at - HOURS, at + HOURS))
    visits = Visit.objects.filter(clinic=clinic_id, at__range=window).aggregate(
        hours=Count("pk", filter=hours), day=Count("pk")
    )
    requests = LabRequest.objects.filter(
        clinic=clinic_id, requested_at__range=window, retrospective=False
    )
    return visits["hours"], visits["day"], requests.count()


def _rows(
    orphan: Orphan, clinic_id: int, at: datetime, asked_for: frozenset[int]
) -> dict[int, tuple[Any, ...]]:
    ids = {text for _, key, number in orphan.ids for text in (key, number) if text}
    chips = {orphan.chip, *(key for _, key, _ in orphan.ids if len(key) >= 9)} - {""}
    names = _keys(orphan, "names", (*STRONG, WEAK), NAMES)
    surnames = _keys(orphan, "surnames", (*SURNAME_STRONG, WEAK), SURNAMES)
    search = _Search(clinic_id)
    search.add(id_key=ids)
    search.add(chip_key=chips)
    search.add(name_key=names, surname_key=surnames)
    search.latest(NAMESAKES, name_key=_keys(orphan, "names", (EXACT, NEAR), NAMES) or names)
    search.latest(HERE, since=at - LATELY, name_key=names)
    exact = _keys(orphan, "surnames", (EXACT,), SURNAMES)
    search.latest(HOUSEHOLDS, surname_key=exact or surnames)
    search.latest(HERE, since=at - LATELY, surname_key=surnames)
    if not orphan.named:
        # Nobody is named at all: whoever was here is all there is to go by.
        search.visitors(at)
    pks = asked_for | set(search.pks())
    animals = Patient.objects.filter(pk__in=pks, clinic=clinic_id, is_test=False)
    return {row[0]: row for row in animals.order_by().values_list(*COLUMNS)}


def _of_request(orphan: Orphan, clinic_id: int) -> frozenset[int]:
    """The animal of the request whose code was typed where the patient id or the name belongs."""
    codes_ = _request_codes(orphan)
    if not codes_:
        return frozenset()
    requests = LabRequest.objects.filter(clinic=clinic_id, lab_report_id__in=codes_)
    return frozenset(requests.values_list("patient_id", flat=True))


def _asked_for(clinic_id: int, suggested: int | None, chosen: UUID | None) -> frozenset[int]:
    """Whom a conflict's request or a person names."""
    named = {suggested} if suggested is not None else set()
    if chosen is not None:
        rows = Patient.objects.filter(clinic=clinic_id, uuid=chosen)
        named |= set(rows.values_list("pk", flat=True))
    return frozenset(named)


class _Search:
    """One statement of all the ways to find an animal; each alone is one range of an index. By
    hand, because composing seven of them takes longer than running them. What it gives are keys
    alone, so no value needs to be read the one database's way or the other's."""

    def __init__(self, clinic_id: int) -> None:
        self.clinic_id = clinic_id
        self.parts: list[str] = []
        self.values: list[Any] = []

    def add(self, **columns: Iterable[str]) -> None:
        """Animals whose columns each have one of the values."""
        if found := self._where(columns):
            self.parts.append(f"SELECT id FROM {PATIENTS} WHERE {found}")  # noqa: S608 - ours

    def latest(self, most: int, *, since: datetime | None = None, **columns: Sequence[str]) -> None:
        """So many of them, those first who were here last; `since`: only those here since."""
        if found := self._where(columns):
            if since is not None:
                found += " AND latest_visit >= %s"
                self.values.append(connection.ops.adapt_datetimefield_value(since))
            self.parts.append(
                f"SELECT id FROM (SELECT id FROM {PATIENTS} WHERE {found} "  # noqa: S608
                f"ORDER BY latest_visit DESC NULLS LAST LIMIT {most}) AS latest"
            )

    def visitors(self, at: datetime) -> None:
        """Those who were here within a day, the last before the run first."""
        adapt = connection.ops.adapt_datetimefield_value
        self.values += [self.clinic_id, adapt(at - NEAR_IN_TIME), adapt(at + NEAR_IN_TIME)]
        self.parts.append(
            f"SELECT patient_id FROM (SELECT patient_id FROM {VISITS} "  # noqa: S608
            "WHERE clinic_id = %s AND at BETWEEN %s AND %s "
            f"ORDER BY at DESC LIMIT {HERE}) AS here"
        )

    def pks(self) -> list[int]:
        if not self.parts:
            return []
        with connection.cursor() as cursor:
            cursor.execute(" UNION ".join(self.parts), self.values)
            return [row[0] for row in cursor.fetchall()]

    def _where(self, columns: Mapping[str, Iterable[str]]) -> str:
        """Empty where there is nothing to look for."""
        given = {name: list(values) for name, values in columns.items()}
        if not all(given.values()):
            return ""
        found = ["clinic_id = %s"]
        self.values.append(self.clinic_id)
        for name, values in given.items():
            found.append(f"{name} IN ({', '.join(['%s'] * len(values))})")
            self.values += values
        return " AND ".join(found)


PATIENTS, VISITS = Patient._meta.db_table, Visit._meta.db_table


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
    for row in rows.values():
        for key in {row[5], id_key(row[4])}:
            bearers.setdefault(key, set()).add(row[0])
    typed = {key for _, each, number in orphan.ids for key in (each, number) if key}
    for key in typed:
        exact = [pk for pk in bearers.get(key, ()) if id_key(rows[pk][4]) == key]
        if len(bearers.get(key, ())) > 1 and len(exact) != 1:
            shared[key] = f"shared by {len(bearers[key])} patients, ignored"
    chips: dict[str, int] = {}
    for row in rows.values():
        chips[row[11]] = chips.get(row[11], 0) + 1
    if orphan.chip and chips.get(orphan.said("microchip"), 0) > 1:
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
    """What doctors are called at this clinic's analyzers, from its last 300 matches."""
    pairs = []
    decisions = MatchDecision.objects.filter(
        active=True, unmatched__clinic=clinic_id, action=MatchDecision.Action.MATCH
    ).order_by("-pk")
    for evidence in decisions.values_list("evidence", flat=True)[:300]:
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


@dataclass
class _Requests:
    doctors: list[str] = field(default_factory=list)
    latest: datetime | None = None
    panels: set[int] = field(default_factory=set)
    names: list[str] = field(default_factory=list)


def _animals(
    orphan: Orphan,
    rows: Mapping[int, tuple[Any, ...]],
    at: datetime,
    panels: frozenset[int],
) -> list[OnFile]:
    if not rows:
        return []
    pks = list(rows)
    visits = _visits(pks, at)
    requests = _requests(pks)
    kilos = weights_of(pks, at.date()) if orphan.weight else {}
    today = orphan.around.at.date()
    return [_on_file(row, visits, requests, kilos, panels, today) for row in rows.values()]


def _visits(pks: Sequence[int], at: datetime) -> dict[int, tuple[datetime, str]]:
    """Of each animal the visit nearest to the run, within a day."""
    window = (at - NEAR_IN_TIME, at + NEAR_IN_TIME)
    found: dict[int, tuple[datetime, str]] = {}
    for pk, when, doctor in (
        Visit.objects.filter(patient__in=pks, at__range=window)
        .order_by()
        .values_list("patient_id", "at", "doctor")
    ):
        if pk not in found or abs(when - at) < abs(found[pk][0] - at):
            found[pk] = when, doctor
    return found


def _requests(pks: Sequence[int]) -> dict[int, _Requests]:
    found: dict[int, _Requests] = {}
    for pk, doctor, when, panel, state, name in (
        LabRequest.objects.filter(patient__in=pks, retrospective=False)
        .exclude(state__in=CLOSED)
        .order_by()
        .values_list(
            "patient_id",
            "doctor",
            "requested_at",
            "tests__panel",
            "tests__state",
            "tests__panel__name",
        )
    ):
        each = found.setdefault(pk, _Requests())
        if doctor and doctor not in each.doctors:
            each.doctors.append(doctor)
        each.latest = max(when, each.latest or when)
        if panel is not None and state not in TESTS_CLOSED and panel not in each.panels:
            each.panels.add(panel)
            each.names.append(name)
    return found


def weights_of(pks: Sequence[int], day: date) -> dict[int, Decimal]:
    """Of each animal the weighing nearest to that day."""
    found: dict[int, tuple[int, Decimal]] = {}
    for pk, kg, on in (
        Weight.objects.filter(patient__in=pks)
        .order_by()
        .values_list("patient_id", "kg", "measured_on")
    ):
        off = abs((day - on).days)
        if pk not in found or off <= found[pk][0]:
            found[pk] = off, kg
    return {pk: kg for pk, (_, kg) in found.items()}


def _on_file(
    row: tuple[Any, ...],
    visits: Mapping[int, tuple[datetime, str]],
    requests: Mapping[int, _Requests],
    kilos: Mapping[int, Decimal],
    panels: frozenset[int],
    today: date,
) -> OnFile:
    (pk, name, name_key, surname_key, patient_id, _, species, sex, breed, born, estimated) = row[
        :11
    ]
    chip, deceased, deceased_on, owner, owner_id, first, last, latest = row[11:]
    seen, doctor = visits.get(pk, (None, ""))
    open_ = requests.get(pk)
    doctors = [doctor] if doctor else []
    tests = None
    if open_ is not None:
        doctors += [each for each in open_.doctors if each != doctor]
        seen = seen or open_.latest
        if open_.panels and panels:
            tests = len(panels & open_.panels) / len(panels)
    return OnFile(
        key=pk,
        name=name,
        name_key=name_key,
        surname_key=surname_key,
        patient_id=patient_id,
        species=species,
        sex=sex,
        breed=breed,
        birth_date=born,
        birth_estimated=estimated,
        weight_kg=kilos.get(pk),
        microchip=chip,
        deceased=deceased,
        deceased_on=deceased_on,
        household=owner,
        owner_id=owner_id or "",
        owner_first_name=first or "",
        owner_last_name=last or "",
        last_seen=seen or latest,
        doctors=tuple(doctors),
        open_request=open_ is not None,
        tests=tests,
        tests_words=", ".join(open_.names) if open_ else "",
    )


def namesakes(clinic_id: int, first: OnFile, registry: Any) -> dict[int, OnFile]:
    """Animals that a person could take for that one, by their records alone, the deceased too: two
    statements."""
    own, surname = first.name_key or "", first.surname_key or ""
    names = registry.names.classify(own, weak=False).keys(EXACT, NEAR, CUT)
    surnames = registry.surnames.classify(surname, weak=False).keys(EXACT, NEAR, CUT)
    same = Q(name_key__in=names) & Q(surname_key__in=[*surnames, ""])
    if not surname:
        same = Q(name_key__in=names)
    animals = Patient.objects.filter(clinic=clinic_id, is_test=False).exclude(pk=first.key)
    rows = list(animals.filter(same).order_by()[:50].values_list(*COLUMNS))
    if first.household is not None:
        rows += animals.filter(owner=first.household).order_by().values_list(*COLUMNS)
    return {row[0]: _on_file(row, {}, {}, {}, frozenset(), date.min) for row in rows}

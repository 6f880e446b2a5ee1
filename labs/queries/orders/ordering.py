"""What the order page offers: the clinic's favourites and what it used last first, the rest by
analyzer; what is already on order for the patient; and what can't be ordered now, with the way
round."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from django.db.models import QuerySet

from labs.models import (
    Analyzer,
    Clinic,
    LabRequest,
    OwnPanel,
    Panel,
    PanelAnalyte,
    Patient,
    RequestedTest,
)
from labs.queries.orders.progress import OPEN_TESTS
from labs.queries.words import clock, listed
from labs.services.orders.orderable import running

# Of the newest orders, and of what was on them: shown first.
LOOKED_AT = 40
USED_LAST = 4
FIRST = "Favourites and last used"
# Of so many of the newest orders the patients are proposed: a clinic of ten years had all of them
# grouped, 0.7 s for a page that proposes eight. Where these were for fewer animals, as after many
# orders for one in the ward, fewer are proposed; the search finds the rest.
PROPOSED_OF = 400
# A weight from which a dose or a range is read must not be older; a young animal grows.
WEIGHT_HOLDS_DAYS = 90
WEIGHT_HOLDS_DAYS_YOUNG = 14
YOUNG_DAYS = 183


@dataclass(frozen=True, kw_only=True)
class Open:
    """The same test on order already. `label`: of its specimen, such as “pre”."""

    at: str
    label: str
    key: str  # of the label, as `label_key` has it


@dataclass(frozen=True, kw_only=True)
class Tile:
    """`stopped`: why it can't be ordered now; `way`: what measures some of it."""

    panel: Panel
    minutes: int
    already: list[Open]
    favourite: bool = False
    stopped: str = ""
    way: str = ""
    by_hand: bool = False


@dataclass(frozen=True, kw_only=True)
class Tiles:
    """`groups`: first what the clinic uses most, then by analyzer model. `panels`: what may be
    ordered at all."""

    groups: dict[str, list[Tile]] = field(default_factory=dict)

    @property
    def panels(self) -> list[Panel]:
        return [tile.panel for tiles in self.groups.values() for tile in tiles if not tile.stopped]


def tiles(patient: Patient) -> Tiles:
    """Panels of the analyzers in use at the patient's clinic (of all, where none is listed). Five
    statements, one more where an analyzer is down or not connected."""
    analyzers: dict[str, list[Analyzer]] = defaultdict(list)
    for analyzer in Analyzer.objects.filter(clinic=patient.clinic_id, in_use=True):
        analyzers[analyzer.model].append(analyzer)
    own = {row.panel_id: row for row in OwnPanel.objects.filter(clinic=patient.clinic_id)}
    waiting = _waiting(patient)
    used = _used_last(patient.clinic_id)
    panels = [
        panel for panel in Panel.objects.all() if not analyzers or panel.analyzer_model in analyzers
    ]
    stopped = {
        panel.pk: _stopped(analyzers[panel.analyzer_model])
        for panel in panels
        if analyzers and not running(analyzers[panel.analyzer_model])
    }
    ways = _ways(panels, stopped) if stopped else {}
    found = {
        panel.pk: Tile(
            panel=panel,
            minutes=_minutes(panel, own.get(panel.pk)),
            already=waiting.get(panel.pk, []),
            favourite=panel.pk in own and own[panel.pk].favourite,
            stopped=stopped.get(panel.pk, ""),
            way=ways.get(panel.pk, ""),
            by_hand=panel.pk in stopped,
        )
        for panel in panels
    }
    first = [pk for pk, tile in found.items() if tile.favourite]
    first += [pk for pk in used if pk in found and pk not in first][:USED_LAST]
    groups: dict[str, list[Tile]] = {FIRST: [found[pk] for pk in first]} if first else {}
    for pk, tile in found.items():
        if pk not in first:
            groups.setdefault(tile.panel.analyzer_model, []).append(tile)
    return Tiles(groups=groups)


def _minutes(panel: Panel, own: OwnPanel | None) -> int:
    return (own and own.usual_minutes) or panel.usual_minutes


def _waiting(patient: Patient) -> dict[int, list[Open]]:
    """What is on order for it, by panel: one statement."""
    waiting: dict[int, list[Open]] = defaultdict(list)
    for test in (
        RequestedTest.objects.filter(request__patient=patient, state__in=OPEN_TESTS)
        .filter(request__in=LabRequest.objects.filter(patient=patient).open())
        .select_related("request", "specimen")
        .order_by("-request__requested_at")
    ):
        label = test.specimen.label if test.specimen else ""
        seen = {each.key for each in waiting[test.panel_id]}
        if label_key(label) not in seen:
            at = clock(test.request.requested_at)
            waiting[test.panel_id].append(Open(at=at, label=label, key=label_key(label)))
    return waiting


def label_key(label: str) -> str:
    """Of a specimen's label: “Pre ” and “pre” are one specimen, “pre” and “post” are two."""
    return " ".join(label.split()).casefold()


def _used_last(clinic_id: int) -> list[int]:
    """Panels of the newest orders, the newest first; one statement, along an index."""
    newest = LabRequest.objects.filter(clinic=clinic_id).order_by("-updated_at")[:LOOKED_AT]
    rows = (
        RequestedTest.objects.filter(request__in=list(newest.values_list("pk", flat=True)))
        .order_by("-request__requested_at", "position")
        .values_list("panel", flat=True)
    )
    return list(dict.fromkeys(rows))


def _stopped(analyzers: Iterable[Analyzer]) -> str:
    down = [
        (each.down_since, each.down_reason)
        for each in analyzers
        if each.connected and each.down_since is not None
    ]
    if not down:
        return "not connected: its results are typed in"
    since, reason = max(down)
    return f"down since {clock(since)}: {reason}"


def _ways(panels: Iterable[Panel], stopped: Mapping[int, str]) -> dict[int, str]:
    """Of each panel that can't be ordered: which others measure some of it. One statement."""
    by_pk = {panel.pk: panel for panel in panels}
    # By name: analyzers write sodium as Na and as Na+. A dipstick's glucose is no number, and none
    # of the blood's.
    names: dict[int, list[str]] = defaultdict(list)
    for panel_pk, name in (
        PanelAnalyte.objects.filter(panel__in=list(by_pk), analyte__kind="num")
        .order_by("analyte__position")
        .values_list("panel", "analyte__name")
    ):
        names[panel_pk].append(name)
    ways = {}
    for pk in stopped:
        others = []
        for other, panel in by_pk.items():
            shared = [name.lower() for name in names[pk] if name in names[other]]
            if shared and other not in stopped:
                others.append((len(shared), f"{panel.name} measures {listed(shared)} of it"))
        if others:
            ways[pk] = max(others)[1]
    return ways


def weight_is_old(patient: Any, today: date) -> bool:
    """Whether to ask for a weighing; `patient` loaded `with_weight`."""
    weighed: date | None = patient.weighed_on
    if weighed is None:
        return True
    born = patient.birth_date
    young = born is not None and (today - born).days < YOUNG_DAYS
    return (today - weighed).days > (WEIGHT_HOLDS_DAYS_YOUNG if young else WEIGHT_HOLDS_DAYS)


def recent_patients(clinic: Clinic, patients: QuerySet[Any], limit: int) -> list[Patient]:
    """Those for whom something was ordered last: the likeliest to be ordered for again."""
    newest = (
        LabRequest.objects.filter(clinic=clinic)
        .order_by("-requested_at", "-pk")
        .values_list("patient", "requested_at")[:PROPOSED_OF]
    )
    last: dict[int, datetime] = {}
    for key, at in newest:
        last.setdefault(key, at)
    # Some of them may have died since.
    likely = list(last)[: 4 * limit]
    found = list(
        patients.filter(pk__in=likely, deceased=False, is_test=False).select_related("owner")
    )
    for patient in found:
        patient.last_lab = last[patient.pk]
    return sorted(found, key=lambda patient: likely.index(patient.pk))[:limit]

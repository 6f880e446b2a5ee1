"""What a person wants to see of the worklist. It lives in the address, so that it outlives a
refresh and can be kept as a bookmark."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.contrib.auth.models import User
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from labs.models import Clinic, LabRequest, Panel, RequestedTest, Species

DOCTORS = timedelta(days=90)  # whoever asked for nothing since is not offered
MOST = 100
# And so many of the newest requests are asked: of a large hospital's 90 days all were read for each
# worklist, 0.2 s. A doctor whose last request is older than these two thousand is not offered.
ASKED = 2000


@dataclass(frozen=True, kw_only=True)
class Filters:
    """Empty: everything. `on`: ordered that day by the clinic's clock. `mine`: to whom the
    review was given; else whose names a request's doctor may bear, or who ordered it."""

    species: str = ""
    doctor: str = ""
    analyzer: str = ""
    on: date | None = None
    mine: User | None = None

    def __bool__(self) -> bool:
        return bool(self.species or self.doctor or self.analyzer or self.on or self.mine)

    def q(self) -> Q:
        """On LabRequest; by an index of the clinic's own rows like the lists that it narrows."""
        wanted = Q()
        if self.species:
            wanted &= Q(patient__species=self.species)
        if self.doctor:
            wanted &= Q(doctor=self.doctor)
        if self.analyzer:
            tests = RequestedTest.objects.filter(request=OuterRef("pk"))
            wanted &= Q(Exists(tests.filter(panel__analyzer_model=self.analyzer)))
        if self.on:
            start = timezone.make_aware(datetime.combine(self.on, datetime.min.time()))
            end = timezone.make_aware(
                datetime.combine(self.on + timedelta(days=1), datetime.min.time())
            )
            wanted &= Q(requested_at__gte=start, requested_at__lt=end)
        if self.mine:
            by_name = Q(requested_by=self.mine) | Q(doctor__in=names_of(self.mine))
            # What was given to a colleague is theirs.
            wanted &= Q(assigned_to=self.mine) | (Q(assigned_to=None) & by_name)
        return wanted


@dataclass(frozen=True, kw_only=True)
class Choices:
    species: list[tuple[str, str]]
    doctors: list[str]
    analyzers: list[str]


def names_of(user: User) -> list[str]:
    """As the order form writes a doctor, and as other systems do."""
    first, last = user.first_name, user.last_name
    return [name for name in (f"{last}, {first}", f"{first} {last}") if first and last]


def read(query: Mapping[str, str], user: User) -> Filters:
    """What an address asks for; what makes no sense there asks for nothing."""
    species, day = query.get("species", ""), query.get("on", "")
    try:
        on = date.fromisoformat(day) if day else None
        # The first and last days that a calendar knows have no day before or after.
        on = on if on and 1900 <= on.year <= 2200 else None
    except ValueError:
        on = None
    return Filters(
        species=species if species in Species.values else "",
        doctor=query.get("doctor", "").replace("\0", "")[:100],
        analyzer=query.get("analyzer", "").replace("\0", "")[:100],
        on=on,
        mine=user if query.get("mine") == "1" else None,
    )


def choices(clinic: Clinic, chosen: Filters) -> Choices:
    """Two statements. What is chosen is always among them."""
    recent: QuerySet[LabRequest] = LabRequest.objects.filter(
        clinic=clinic, requested_at__gte=timezone.now() - DOCTORS
    )
    newest = recent.order_by("-requested_at", "-pk").values_list("doctor", flat=True)[:ASKED]
    doctors = set([name for name in dict.fromkeys(newest) if name][:MOST])
    analyzers = set(Panel.objects.order_by().values_list("analyzer_model", flat=True).distinct())
    return Choices(
        species=list(Species.choices),
        doctors=sorted(doctors | ({chosen.doctor} - {""})),
        analyzers=sorted(analyzers | ({chosen.analyzer} - {""})),
    )

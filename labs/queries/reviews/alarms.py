"""Alarms as people see them: what stands, who was told, and who acknowledged what."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Prefetch, prefetch_related_objects
from django.utils import timezone

from labs.models import Alarm, AlarmNotice, Clinic, LabRequest, Membership
from labs.quick import Given, Records
from labs.services.reviews import escalation

SHOWN = 100
LATELY = timedelta(days=7)
WHY = {
    "critical": "critical",
    "beyond": "beyond what the analyzer can measure",
    "quality_control": "quality control failed, so there is no value",
}


@dataclass(frozen=True, kw_only=True)
class Value:
    """Why somebody has to look: `K 7.9 mmol/L, critical`."""

    code: str
    text: str
    unit: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Shown:
    alarm: Alarm
    values: list[Value]
    told: list[AlarmNotice]

    @property
    def told_words(self) -> str:
        """Whom, by their names; empty before the first sweep, which comes within seconds."""
        if self.alarm.all_at is not None:
            return "everybody"
        names = [n.user.get_full_name() or n.user.get_username() for n in self.told]
        return " and ".join(dict.fromkeys(names))

    @property
    def unsent(self) -> bool:
        """Whether a letter is still to go to somebody, after a try that failed."""
        return any(n.address and n.sent_at is None and n.tries for n in self.told)

    @property
    def mailed(self) -> int:
        return len({n.user_id for n in self.told if n.sent_at is not None})


@dataclass(frozen=True, kw_only=True)
class AlarmsPage:
    open: list[Shown]
    ended: list[Shown]
    vets: list[Membership]


def alarms_page(clinic: Clinic) -> AlarmsPage:
    """Five statements."""
    rows = (
        Alarm.objects.filter(clinic=clinic)
        .select_related("run__request__patient__owner", "run__unmatched", "result", "ended_by")
        .prefetch_related(Prefetch("notices", AlarmNotice.objects.select_related("user")))
    )
    lately = rows.exclude(ended="").filter(ended_at__gte=timezone.now() - LATELY)
    return AlarmsPage(
        open=[_shown(alarm) for alarm in rows.open().order_by("raised_at", "pk")[:SHOWN]],
        ended=[_shown(alarm) for alarm in lately.order_by("-ended_at")[:20]],
        vets=list(escalation.vets_of(clinic).select_related("user").order_by("user__last_name")),
    )


OF_REQUEST = Records(
    Alarm.objects.filter(run__request=Given("request")).order_by("-pk"),
    run=(),
    run__request=(),
    run__request__patient=(),
    ended_by=(),
    result=(),
)


def of_request(request: LabRequest) -> list[Shown]:
    """The newest first. Two statements, one where there is none."""
    alarms = OF_REQUEST.all(request=request.pk)
    told = Prefetch("notices", AlarmNotice.objects.select_related("user"))
    prefetch_related_objects(alarms, told)
    return [_shown(alarm) for alarm in alarms]


def _shown(alarm: Alarm) -> Shown:
    return Shown(
        alarm=alarm,
        values=[
            Value(
                code=value["code"],
                text=value["value"],
                unit=value["unit"],
                why=WHY.get(value["why"], value["why"]),
            )
            for value in alarm.values
        ],
        told=list(alarm.notices.all()),
    )

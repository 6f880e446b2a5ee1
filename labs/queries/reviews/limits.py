"""Critical limits of a clinic, and the demo ones that count where it has set none."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Q

from labs.models import Analyte, Clinic, CriticalLimit, Species


@dataclass(frozen=True, kw_only=True)
class Line:
    """What counts for one analyte, species and unit. `own`: the clinic's, if it set one; `demo`:
    what is delivered, if anything is."""

    analyte: Analyte
    species: str
    unit: str
    own: CriticalLimit | None
    demo: CriticalLimit | None

    @property
    def counts(self) -> CriticalLimit | None:
        """None: nothing is critical there."""
        limit = self.own or self.demo
        return limit if limit and (limit.low or limit.high) else None


@dataclass(frozen=True, kw_only=True)
class LimitsPage:
    lines: list[Line]
    analytes: list[Analyte]

    @property
    def demo_only(self) -> int:
        return sum(line.own is None for line in self.lines)


def limits_page(clinic: Clinic) -> LimitsPage:
    """Two statements."""
    rows = (
        CriticalLimit.objects.filter(Q(clinic=clinic) | Q(clinic=None))
        .select_related("analyte", "set_by")
        .order_by("analyte__position", "species", "unit")
    )
    by: dict[tuple[int, str, str], list[CriticalLimit]] = {}
    for row in rows:
        by.setdefault((row.analyte_id, row.species, row.unit), []).append(row)
    return LimitsPage(
        lines=[
            Line(
                analyte=found[0].analyte,
                species=Species(species).label,
                unit=unit,
                own=next((row for row in found if row.clinic_id), None),
                demo=next((row for row in found if not row.clinic_id), None),
            )
            for (_, species, unit), found in by.items()
        ],
        analytes=list(Analyte.objects.filter(kind="num")),
    )

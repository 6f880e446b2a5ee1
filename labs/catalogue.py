"""Loads the test catalogue from labs/data into its tables, after every migration."""

from __future__ import annotations

import csv
from pathlib import Path

from django.db import transaction

from labs.models import Analyte, CriticalLimit, Panel, PanelAnalyte, ReferenceInterval

DATA = Path(__file__).parent / "data"
SPECIES_COLUMNS = ("dog", "cat", "horse")


def rows(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def load(*, using: str = "default") -> None:
    """Upsert analytes, panels, demo intervals and demo limits. A dozen statements, safe to
    repeat."""
    analyte_rows = rows("analyte-catalogue.csv")
    panel_rows = rows("panels.csv")
    with transaction.atomic(using=using):
        Analyte.objects.using(using).bulk_create(
            [
                Analyte(
                    code=row["code"],
                    name=row["name"],
                    group=row["panel"],
                    unit=row["unit"],
                    kind=row["kind"],
                    position=position,
                    note=row["note"] or "",
                )
                for position, row in enumerate(analyte_rows)
            ],
            update_conflicts=True,
            unique_fields=["code"],
            update_fields=["name", "group", "unit", "kind", "position", "note"],
        )
        analytes = {analyte.code: analyte for analyte in Analyte.objects.using(using).all()}
        ReferenceInterval.objects.using(using).bulk_create(
            [
                ReferenceInterval(analyte=analytes[row["code"]], species=species, text=row[species])
                for row in analyte_rows
                for species in SPECIES_COLUMNS
                if row[species]
            ],
            update_conflicts=True,
            unique_fields=["analyte", "species"],
            update_fields=["text"],
        )
        # Those of no clinic. Nothing points to one: what they were stands with each value.
        CriticalLimit.objects.using(using).filter(clinic=None).delete()
        CriticalLimit.objects.using(using).bulk_create(
            [
                CriticalLimit(
                    analyte=analytes[row["code"]],
                    species=row["species"],
                    unit=row["unit"],
                    low=row["low"],
                    high=row["high"],
                )
                for row in rows("critical-limits.csv")
            ]
        )
        Panel.objects.using(using).bulk_create(
            [
                Panel(
                    code=row["code"],
                    name=row["name"],
                    analyzer_model=row["analyzer_model"],
                    specimen_type=row["specimen_type"],
                    usual_minutes=int(row["usual_minutes"]),
                    position=position,
                )
                for position, row in enumerate(panel_rows)
            ],
            update_conflicts=True,
            unique_fields=["code"],
            update_fields=[
                "name",
                "analyzer_model",
                "specimen_type",
                "usual_minutes",
                "position",
            ],
        )
        panels = {panel.code: panel for panel in Panel.objects.using(using).all()}
        PanelAnalyte.objects.using(using).bulk_create(
            [
                PanelAnalyte(panel=panels[row["code"]], analyte=analytes[code])
                for row in panel_rows
                for code in row["analytes"].split()
                or [a["code"] for a in analyte_rows if a["panel"] == row["group"]]
            ],
            ignore_conflicts=True,
        )

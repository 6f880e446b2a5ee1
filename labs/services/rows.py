"""From delivered rows to stored ones: values, ranges and flags read, everything made to fit."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict

from django.db import models

from labs import values
from labs.models import Analyte, LabResult, Observation, TestRun
from labs.report import Row, Run

SMALL_NUMBER = re.compile(r"\d{1,6}", re.ASCII)


def digest(run: Run) -> str:
    """SHA-256 of what a run says: two messages of one version either agree in it or contradict."""
    said = {
        "status": run.status,
        "comments": run.comments,
        "rows": [asdict(r) for r in run.rows],
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def fit(instance: models.Model) -> list[str]:
    """Cut texts that are longer than their columns (PostgreSQL would refuse the row) and name the
    columns. The journal still holds every byte."""
    cut = []
    for field in instance._meta.concrete_fields:
        limit = field.max_length
        if limit and isinstance(field, models.CharField):
            text = getattr(instance, field.attname)
            if text and len(text) > limit:
                setattr(instance, field.attname, text[:limit])
                cut.append(str(field.verbose_name))
    return cut


def observations(
    *, result: LabResult, run: TestRun, rows: Iterable[Row], analytes: dict[str, Analyte]
) -> list[Observation]:
    """Unsaved rows of one version, in the order delivered. `analytes` by code and by upper-case
    code; an unknown code is stored all the same, without an analyte."""
    seen: Counter[tuple[str, str]] = Counter()
    stored = []
    for index, row in enumerate(rows, start=1):
        seen[row.code, row.sequence] += 1
        made = observation(result=result, run=run, row=row, analytes=analytes)
        # A correction lists only some rows: by their sequence they keep their place in the panel.
        made.position = int(row.sequence) if SMALL_NUMBER.fullmatch(row.sequence) else index
        made.occurrence = seen[row.code, row.sequence]
        stored.append(made)
    return stored


def observation(
    *, result: LabResult, run: TestRun, row: Row, analytes: dict[str, Analyte]
) -> Observation:
    value = values.read_value(row.value, literal=row.literal, reason=row.not_reported_reason)
    kind = value.kind
    if row.attachment and kind == "missing":
        kind, value = "attachment", values.Value(text="", kind="attachment")
    bounds = values.read_range(row.low, row.high, row.range_text)
    critical_low, critical_high = (
        "" if (number := values.read_number(text)) is None else values.canonical(number)
        for text in (row.critical_low, row.critical_high)
    )
    flag = values.read_flag(row.flag)
    warnings = [*value.warnings, *bounds.warnings]
    if flag == "?":
        warnings.append(f"The analyzer's flag “{row.flag}” is not known.")
    if values.implausible(value, bounds, row.range_kind):
        warnings.append("More than ten times outside its range: check sample and unit.")
    analyte = analytes.get(row.code) or analytes.get(row.code.upper())
    if analyte and analyte.unit and row.unit and not values.same_unit(row.unit, analyte.unit):
        warnings.append(f"The unit is not the usual {analyte.unit}.")
    stored = Observation(
        result=result,
        run=run,
        analyte=analyte,
        sequence=row.sequence,
        code=row.code,
        name=row.name,
        status=row.status,
        value_text=value.text,
        value_kind=kind,
        number=value.number,
        qualifier=value.qualifier,
        unit=row.unit,
        not_reported_reason=value.not_reported,
        low=bounds.low,
        high=bounds.high,
        range_text=bounds.text,
        range_kind=row.range_kind,
        critical_low=critical_low,
        critical_high=critical_high,
        flag_delivered=flag,
        flag_delivered_text=row.flag,
        flag_computed=values.compute_flag(
            value, bounds, row.range_kind, critical_low, critical_high
        ),
        comments=list(row.comments),
    )
    cut = fit(stored)
    stored.warnings = warnings + [f"The {name} was too long and is shown cut." for name in cut]
    return stored


def analytes_by_code() -> dict[str, Analyte]:
    """Every analyte under its code, and under its code in capitals where that is no other's."""
    by_code = {analyte.code: analyte for analyte in Analyte.objects.all()}
    return {code.upper(): analyte for code, analyte in by_code.items()} | by_code

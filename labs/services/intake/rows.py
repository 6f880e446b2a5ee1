"""From delivered rows to stored ones: values, ranges and flags read, everything made to fit."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable
from functools import cache
from typing import Any, NamedTuple

from django.db import models

from labs import limits, values
from labs.models import Analyte, LabResult, Observation, TestRun
from labs.quick import Compiled
from labs.report import Row, Run

SMALL_NUMBER = re.compile(r"\d{1,6}", re.ASCII)


def digest(run: Run) -> str:
    """SHA-256 of what a run says: two messages of one version either agree in it or contradict."""
    said = {
        "status": run.status,
        "comments": run.comments,
        "rows": run.rows,
    }
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


@cache
def _limits(model: type[models.Model]) -> list[tuple[str, int, str]]:
    """Attribute, longest text and name of each column that has a limit."""
    return [
        (field.attname, field.max_length, str(field.verbose_name))
        for field in model._meta.concrete_fields
        if isinstance(field, models.CharField) and field.max_length
    ]


def fit(instance: models.Model) -> list[str]:
    """Cut texts that are longer than their columns (PostgreSQL would refuse the row) and name the
    columns. The journal still holds every byte."""
    cut = []
    for attribute, limit, name in _limits(type(instance)):
        text = getattr(instance, attribute)
        if text and len(text) > limit:
            setattr(instance, attribute, text[:limit])
            cut.append(name)
    return cut


def observations(
    *, result: LabResult, run: TestRun, rows: Iterable[Row], analytes: dict[str, Known]
) -> list[dict[str, Any]]:
    """The rows of one version as columns of Observation, in the order delivered. `analytes` by code
    and by upper-case code; an unknown code is stored all the same, without an analyte."""
    seen: Counter[tuple[str, str]] = Counter()
    stored = []
    for index, row in enumerate(rows, start=1):
        seen[row.code, row.sequence] += 1
        made = observation(row, analytes.get(row.code) or analytes.get(row.code.upper()))
        # A correction lists only some rows: by their sequence they keep their place in the panel.
        made["position"] = int(row.sequence) if SMALL_NUMBER.fullmatch(row.sequence) else index
        made["occurrence"] = seen[row.code, row.sequence]
        made["result_id"], made["run_id"], made["current"] = result.pk, run.pk, True
        stored.append(made)
    return stored


def observation(row: Row, analyte: Known | None) -> dict[str, Any]:
    value = values.read_value(row.value, literal=row.literal, reason=row.not_reported_reason)
    kind = value.kind
    if row.attachment and kind == "missing":
        kind, value = "attachment", values.Value(text="", kind="attachment")
    bounds = values.read_range(row.low, row.high, row.range_text)
    critical_low, critical_high = (
        "" if (number := values.read_number(text)) is None else values.canonical(number)
        for text in (row.critical_low, row.critical_high)
    )
    held = limits.held_against(
        analyte.limits if analyte else (),
        analyte.species if analyte else "",
        row.unit,
        # Of what was not reported no number is to be expected.
        readable=bool(value.number or value.not_reported),
        low=critical_low,
        high=critical_high,
    )
    flag = values.read_flag(row.flag)
    warnings = [*value.warnings, *bounds.warnings]
    if flag == "?":
        warnings.append(f"The analyzer's flag “{row.flag}” is not known.")
    if values.implausible(value, bounds, row.range_kind):
        warnings.append("More than ten times outside its range: check sample and unit.")
    if analyte and analyte.unit and row.unit and not values.same_unit(row.unit, analyte.unit):
        warnings.append(f"The unit is not the usual {analyte.unit}.")
    if held.warning and not value.not_reported:
        warnings.append(held.warning)
    stored: dict[str, Any] = {
        "analyte_id": analyte.pk if analyte else None,
        "sequence": row.sequence,
        "code": row.code,
        "name": row.name,
        "status": row.status,
        "value_text": value.text,
        "value_kind": kind,
        "number": value.number,
        "qualifier": value.qualifier,
        "unit": row.unit,
        "not_reported_reason": value.not_reported,
        "low": bounds.low,
        "high": bounds.high,
        "range_text": bounds.text,
        "range_kind": row.range_kind,
        "critical_low": held.low,
        "critical_high": held.high,
        "critical_source": held.source,
        "flag_delivered": flag,
        "flag_delivered_text": row.flag,
        "flag_computed": values.compute_flag(value, bounds, row.range_kind, held.low, held.high),
        "comments": list(row.comments),
        "warnings": warnings,
    }
    for column, limit, name in _limits(Observation):
        if len(stored[column]) > limit:
            stored[column] = stored[column][:limit]
            warnings.append(f"The {name} was too long and is shown cut.")
    return stored


class Known(NamedTuple):
    """An analyte of the catalogue, as far as it takes to read a row of it: with the critical limits
    of one clinic, and the species of the animal that it is read for."""

    pk: int
    code: str
    unit: str
    limits: tuple[limits.Limit, ...] = ()
    species: str = ""


ANALYTES = Compiled(Analyte.objects.order_by().values_list("pk", "code", "unit"))


def analytes_by_code() -> dict[str, Known]:
    """Every analyte under its code, and under its code in capitals where that is no other's."""
    by_code = {code: Known(pk, code, unit) for pk, code, unit in ANALYTES.rows()}
    return {code.upper(): analyte for code, analyte in by_code.items()} | by_code

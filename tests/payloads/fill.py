"""Puts the payloads into every column that holds a text of a person's or a laboratory's.

By the models and not by a list of fields: a column that is added tomorrow is filled tomorrow. Past
the forms, because what a form refuses today may be in the database since yesterday.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.apps import apps
from django.contrib.auth.models import User
from django.db import models, transaction

from labs.models import EventWords, LabEvent
from labs.models.derived import DerivedField
from labs.services.events import record
from tests.payloads.strings import PAYLOADS

# Ours, and made by us: part of an address, a key, a word of a state, a choice without a list.
OURS = {
    *("lab_report_id", "receipt_id", "result_key", "public_id", "test_request_id", "content_type"),
    *("vendor", "timezone", "verb", "open_days", "state", "direction", "kind", "species", "sex"),
    *("moved", "came"),  # primary keys
    *("key", "adapter_version", "sha256", "digest", "client_secret", "password", "flag", "status"),
    # Read by us from what came, and a number or nothing; what came is beside it, and is filled.
    *("number", "qualifier", "low", "high", "critical_low", "critical_high", "range_kind"),
    "critical_source",
}
CATALOGUE = {"analyte", "panel", "panelanalyte", "referencetext"}


def columns(model: type[models.Model]) -> list[Any]:
    if model is User:
        return [User._meta.get_field(n) for n in ("username", "first_name", "last_name", "email")]
    return [
        field
        for field in model._meta.concrete_fields
        if isinstance(field, models.CharField | models.TextField | models.JSONField)
        and not isinstance(field, DerivedField | models.SlugField)
        and not field.choices
        and not field.primary_key
        and field.name not in OURS
        and (model._meta.model_name, field.name) != ("emergencycode", "code")
    ]


# Can't be changed; `events` adds rows of its own.
AUDIT = (LabEvent, EventWords)


def filled() -> list[type[models.Model]]:
    own = [*apps.get_app_config("labs").get_models(), *apps.get_app_config("heska").get_models()]
    return [User, *(m for m in own if m._meta.model_name not in CATALOGUE and m not in AUDIT)]


@transaction.atomic  # one commit for some ten thousand cells
def fill() -> Counter[str]:
    """Every row; its column has another payload than its neighbour's. How many by column."""
    count: Counter[str] = Counter()
    for model in filled():
        for index, row in enumerate(model._default_manager.order_by("pk")):
            found = {
                field.attname: value(row, field, PAYLOADS[(index + 7 * place) % len(PAYLOADS)])
                for place, field in enumerate(columns(model))
            }
            model._base_manager.filter(pk=row.pk).update(**found)
            count.update(f"{model._meta.model_name}.{name}" for name in found)
    return count


def value(row: models.Model, field: Any, payload: str) -> Any:
    if isinstance(field, models.JSONField):
        return leaves(getattr(row, field.name), payload)
    if getattr(row, field.name) is None:
        return None
    size = field.max_length or 1000
    # Of a short column the payload is cut off, and may then open no element.
    return f"{payload[: size - 8]}{row.pk}" if unique(row, field) else payload[:size]


def unique(row: models.Model, field: Any) -> bool:
    constraints = row._meta.constraints
    return bool(field.unique) or any(
        isinstance(each, models.UniqueConstraint) and field.name in each.fields
        for each in constraints
    )


def leaves(value: Any, payload: str) -> Any:
    """The same with the payload for each text in it; a list of texts gets one more."""
    if isinstance(value, dict):
        ours = {name: leaves(each, payload) for name, each in value.items() if name not in OURS}
        return {**value, **ours}
    if isinstance(value, list):
        return (
            [payload, *(leaves(each, payload) for each in value if isinstance(each, str))]
            if (not any(isinstance(each, dict | list) for each in value))
            else [leaves(each, payload) for each in value]
        )
    return payload if isinstance(value, str) else value


def events(clinic: Any, patient: Any) -> None:
    """The audit can't be changed; what is in it comes in by rows of its own."""
    for payload in PAYLOADS:
        what = {"clinic": clinic, "patient": patient, "source": payload[:32]}
        record("patient.changed", **what, text=payload, words=payload)

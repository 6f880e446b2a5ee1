"""Changing the key under which secrets lie: put the new one first in FIELD_ENCRYPTION_KEYS and
restart, re-encrypt, then take the old one out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from cryptography.fernet import Fernet, InvalidToken
from django.apps import apps
from django.conf import settings
from django.db.models import Model, TextField, Value
from django.db.models.functions import Cast

from labs.sealed import SealedTextField, current_cipher


@dataclass(kw_only=True)
class Rotated:
    """How many secrets, and whose is under none of the keys: a clinic's public id, or a person's
    user name."""

    rotated: int = 0
    already: int = 0
    unreadable: list[str] = field(default_factory=list)


def reencrypt() -> Rotated:
    """Every stored secret under the first key. May be repeated and interrupted, and runs beside
    workers: a token that changes meanwhile is left, the new one is under the first key by itself.
    """
    done = Rotated()
    newest = Fernet(settings.FIELD_ENCRYPTION_KEYS[0])
    for model, name, whose in sealed():
        # As text, because the field itself would decrypt it.
        rows = model._default_manager.annotate(stored=Cast(name, TextField()))
        stored = rows.exclude(stored="").values_list("pk", whose, "stored")
        for pk, who, text in list(stored.order_by("pk")):
            if _opens(newest, text):
                done.already += 1
                continue
            try:
                fresh = current_cipher().rotate(text.encode()).decode()
            except InvalidToken:
                done.unreadable.append(who)
                continue
            changed = rows.filter(pk=pk, stored=text)
            done.rotated += changed.update(**{name: Value(fresh, output_field=TextField())})
    done.unreadable = sorted(set(done.unreadable))
    return done


def sealed() -> Iterator[tuple[type[Model], str, str]]:
    """Every sealed field of every table, and the lookup that says whose it is."""
    for model in apps.get_models():
        for each in model._meta.concrete_fields:
            if isinstance(each, SealedTextField):
                of_person = any(other.name == "user" for other in model._meta.concrete_fields)
                yield model, each.name, "user__username" if of_person else "clinic__public_id"


def _opens(key: Fernet, text: str) -> bool:
    try:
        key.decrypt(text.encode())
    except InvalidToken:
        return False
    return True

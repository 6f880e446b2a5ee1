"""Changing the key under which secrets lie: put the new one first in FIELD_ENCRYPTION_KEYS and
restart, re-encrypt, then take the old one out."""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings
from django.db.models import TextField, Value
from django.db.models.functions import Cast

from integrations.heska.fields import current_cipher
from integrations.heska.models import Connection

SECRETS = ("client_secret", "token")


@dataclass(kw_only=True)
class Rotated:
    """How many secrets, and the clinics of which one is under none of the keys."""

    rotated: int = 0
    already: int = 0
    unreadable: list[str] = field(default_factory=list)


def reencrypt() -> Rotated:
    """Every stored secret under the first key. May be repeated and interrupted, and runs beside
    workers: a token that changes meanwhile is left, the new one is under the first key by itself.
    """
    done = Rotated()
    newest = Fernet(settings.FIELD_ENCRYPTION_KEYS[0])
    for name in SECRETS:
        # As text, because the field itself would decrypt it.
        rows = Connection.objects.annotate(stored=Cast(name, TextField()))
        stored = rows.exclude(stored="").values_list("pk", "clinic__public_id", "stored")
        for pk, clinic, text in list(stored.order_by("pk")):
            if _opens(newest, text):
                done.already += 1
                continue
            try:
                fresh = current_cipher().rotate(text.encode()).decode()
            except InvalidToken:
                done.unreadable.append(clinic)
                continue
            changed = rows.filter(pk=pk, stored=text)
            done.rotated += changed.update(**{name: Value(fresh, output_field=TextField())})
    done.unreadable = sorted(set(done.unreadable))
    return done


def _opens(key: Fernet, text: str) -> bool:
    try:
        key.decrypt(text.encode())
    except InvalidToken:
        return False
    return True

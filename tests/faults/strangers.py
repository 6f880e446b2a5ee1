"""`python -m tests.faults.strangers`: four clinics with one of everything, each text of which holds
that clinic's own word, described on stdout with the cookies and tokens of whoever works there.

A process of its own, as tests.faults.populate."""

from __future__ import annotations

import json
import time
from importlib import import_module
from typing import Any

import django

NAMES = {"Marigold": "Elm", "Hushpuppy": "Harbor", "Quicksilver": "Oak", "Thunderbolt": "Pine"}
CSRF = "a" * 32


def main() -> dict[str, Any]:
    from django.conf import settings
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.auth.models import User
    from django.urls import reverse

    from labs.models import Role, SecondFactor
    from labs.services.people import second_factor
    from labs.views.access import PROVEN
    from pims.idle import BEGAN, USED
    from tests import factories
    from tests.http.cells import lines
    from tests.http.world import CATALOGUE, MISSING, make_place

    def session_of(user: User) -> str:
        store = import_module(settings.SESSION_ENGINE).SessionStore()
        store.update(
            {
                SESSION_KEY: str(user.pk),
                HASH_SESSION_KEY: user.get_session_auth_hash(),
                BACKEND_SESSION_KEY: settings.AUTHENTICATION_BACKENDS[0],
                # Nobody is idle in it: a session that is written would differ from one that is not.
                BEGAN: int(time.time()),
                USED: int(time.time()) + 3600,
            }
        )
        if second_factor.required(user):
            factor, _ = SecondFactor.objects.get_or_create(
                user=user, defaults={"key": "A" * 32, "confirmed": True}
            )
            store[PROVEN] = factor.pk
        store.create()
        return str(store.session_key)

    places = [make_place(f"{name} {word}", word) for word, name in NAMES.items()]
    for place in places:
        spread(place)
    made = []
    for place in places:
        staff = {
            role: factories.make_staff(
                role,
                clinic=place.clinic,
                username=f"storm-{role}-{place.word}",
                is_staff=role == Role.ADMIN,
            )
            for role in Role.values
        }
        access: Any = place.rows["access"]
        made.append(
            {
                "pk": place.clinic.pk,
                "word": place.word,
                "public_id": place.clinic.public_id,
                "markers": sorted({m for m in place.ids() if len(m) > 6}),
                "sessions": {role: session_of(user) for role, user in staff.items()},
                "client_id": access.client_id,
                "client_secret": access.client_secret,
                "objects": {kind: [str(a) for a in args] for kind, args in place.objects.items()},
                "key": place.objects["key"][0],
            }
        )
    addresses = []
    for line in lines():
        if line.kind in {"-", "app", "link", *CATALOGUE} or line.name == "labs:logout":
            continue
        expected = line.expected("admin")
        if expected["other"] != expected["missing"]:
            continue  # no clinic's yet: the code on a screen that waits for one

        def address(of: Any, kind: str = line.kind, name: str = line.name, own: Any = None) -> str:
            args = of.get(kind, (987_654_321,))
            if kind == "client":
                args = (own, *args)
            return reverse(name, args=args)

        addresses.append(
            {
                "name": line.name,
                "method": line.method,
                "kind": line.kind,
                "of": [address(p.objects, own=p.clinic.public_id) for p in places],
                "missing": address(MISSING, own=places[0].clinic.public_id),
            }
        )
    open_ = [
        reverse(line.name)
        for line in lines()
        if line.kind == "-" and line.method == "GET" and line.audience != "public"
    ]
    return {"clinics": made, "addresses": addresses, "open": open_, "csrf": CSRF}


def spread(place: Any) -> None:
    """The clinic's word into each text of its rows that is empty."""
    from django.db import models

    from labs.models import LabEvent
    from tests.payloads.fill import columns

    for row in {
        (type(r), r.pk): r for r in place.rows.values() if isinstance(r, models.Model)
    }.values():
        if isinstance(row, LabEvent):
            continue
        found = {
            field.attname: f"{place.word}@example.com"
            if isinstance(field, models.EmailField)
            else place.word
            for field in columns(type(row))
            if not isinstance(field, models.JSONField)
            and getattr(row, field.attname) == ""
            and (field.max_length or 99) > len(place.word) + 12
            and not field.unique
        }
        if found and hasattr(type(row), "objects"):
            type(row)._base_manager.filter(pk=row.pk).update(**found)


if __name__ == "__main__":
    django.setup()
    print(json.dumps(main()))

"""A browser remembers who has signed in there, so that wrong passwords typed elsewhere make nobody
wait there (services/people/guessing.py). It opens nothing: a password is asked for all the same."""

from __future__ import annotations

import secrets
from typing import Any

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse

from labs.services.people.guessing import account_hash

SALT = "labs.devices"
AGE = 180 * 24 * 60 * 60  # seconds
PEOPLE = 30  # of a shared workstation; whoever has not signed in for longest is forgotten first


def known(request: HttpRequest, username: str) -> str:
    """The browser's own name, where that account has signed in; else empty."""
    name, people = _read(request)
    return name if account_hash(username) in people else ""


def remember(request: HttpRequest, response: HttpResponse, username: str) -> str:
    """Returns the browser's own name."""
    name, people = _read(request)
    name = name or secrets.token_urlsafe(16)
    account = account_hash(username)
    people = [account, *(each for each in people if each != account)][:PEOPLE]
    response.set_cookie(
        settings.DEVICE_COOKIE_NAME,
        signing.dumps([name, people], salt=SALT),
        max_age=AGE,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )
    return name


def _read(request: HttpRequest) -> tuple[str, list[str]]:
    try:
        found: Any = signing.loads(
            request.COOKIES.get(settings.DEVICE_COOKIE_NAME, ""), salt=SALT, max_age=AGE
        )
    except signing.BadSignature:
        return "", []
    name, people = found
    return name, people

"""A session that nobody uses ends: whoever walks away from the counter is signed out there.

What a page asks by itself every few seconds is no use of it (labs/views/polling.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth import SESSION_KEY, logout
from django.contrib.auth.signals import user_logged_in
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse

from labs.views.access import BEGAN, IDLE

# The session's keys, in seconds. BEGAN, because Django counts the twelve hours anew whenever a
# session is written.
USED = "used_at"  # when a person last did something
LONGEST = 240  # minutes; what a clinic's form allows
# Written at most so often: each time is a statement.
STEP = 60


@receiver(user_logged_in)
def begin(request: HttpRequest | None, **_: Any) -> None:
    if request is not None:
        request.session[BEGAN] = request.session[USED] = int(time.time())


class IdleSessions:
    """Middleware, after Django's session and authentication. No statement but once a minute."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        # Without a cookie the session is not even looked at: no answer to the laboratory depends
        # on one.
        if settings.SESSION_COOKIE_NAME in request.COOKIES and SESSION_KEY in request.session:
            now = time.time()
            idle, age = (now - request.session.get(key, 0) for key in (USED, BEGAN))
            minutes = min(request.session.get(IDLE, settings.SESSION_IDLE_MINUTES), LONGEST)
            if idle > minutes * 60 or age > settings.SESSION_COOKIE_AGE:
                logout(request)
            elif idle > STEP and not _asked_by_itself(request):
                request.session[USED] = int(time.time())
        return self.get_response(request)


def _asked_by_itself(request: HttpRequest) -> bool:
    """A page that stays fresh asks with the version that it shows."""
    return request.method == "GET" and "HX-Request" in request.headers and "v" in request.GET

"""No session of an administrator or an operator stands on a password alone, however it began: also
of one who became an administrator while signed in, and of one whose factor was taken away."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth import SESSION_KEY, logout
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse

from labs.quick import Given, Records
from labs.views.proof import proven

PERSON = Records(
    User.objects.filter(pk=Given("pk")),
    second_factor=("user_id", "confirmed", "made_at"),  # and not its key, which no page needs
)


class Backend(ModelBackend):
    """Django's. Brings a person's second factor with the person: no statement more."""

    def get_user(self, user_id: Any) -> User | None:
        found: User | None = PERSON.first(pk=user_id)
        return found if found is not None and self.user_can_authenticate(found) else None


class SecondFactor:
    """Middleware, after Django's authentication. No statement beyond those for session and person,
    and none at all for whoever brings no session: the laboratory."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if (
            settings.SESSION_COOKIE_NAME in request.COOKIES
            and SESSION_KEY in request.session
            and not proven(request)
        ):
            logout(request)
        return self.get_response(request)

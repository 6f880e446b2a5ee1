"""Who posts: a bearer token of a registered client, decided before the body is read."""

from __future__ import annotations

import hashlib
import time
from typing import Any, cast

from django.conf import settings
from oauth2_provider.models import get_access_token_model
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from integrations.heska import rates
from integrations.heska.conf import SCOPE
from labs.quick import Given, Records

NO_TOKEN = 'Bearer realm="api"'  # noqa: S105 - a challenge, no secret
INVALID = 'Bearer realm="api", error="invalid_token"'


class InvalidToken(AuthenticationFailed):
    """Missing in our books, expired, revoked, malformed: the same words for all."""

    default_detail = "The access token is not valid"
    default_code = "invalid-token"


TOKEN = Records(
    get_access_token_model().objects.filter(token_checksum=Given("checksum")),
    application=("client_id",),
    application__inbound=("application_id", "clinic_id"),
    application__inbound__clinic=(),
)


def _holds(token: Any, request: Request) -> bool:
    """What django-oauth-toolkit asks of a token, and that its client is one of Heska's."""
    application = token.application
    return (
        token.is_valid([])
        and (not token.resource or token.allows_audience(request.build_absolute_uri(request.path)))
        and application.is_usable(request)
        and getattr(application, "inbound", None) is not None
    )


class BearerAuthentication(BaseAuthentication):
    """django-oauth-toolkit's rules, for the Authorization header alone, in one statement: its own
    DRF class would parse the body first, and take a token from it."""

    def authenticate(self, request: Request) -> tuple[None, Any] | None:
        header = request.headers.get("Authorization", "")
        if not header.lower().startswith("bearer "):
            return None
        checksum = hashlib.sha256(header[len("bearer ") :].strip().encode()).hexdigest()
        token = TOKEN.first(checksum=checksum)
        if token is None or not _holds(token, request):
            raise InvalidToken
        # A client-credentials token has no user; the application is who it is.
        return None, token

    def authenticate_header(self, request: Request) -> str:
        return INVALID if request.headers.get("Authorization") else NO_TOKEN


class InsufficientScope(PermissionDenied):
    default_detail = "This token may not post results."
    default_code = "insufficient-scope"
    auth_header = f'Bearer realm="api", error="insufficient_scope", scope="{SCOPE}"'


class MayPostResults(BasePermission):
    def has_permission(self, request: Request, view: APIView) -> bool:
        if request.auth is None:
            return False
        if not cast("Any", request.auth).allow_scopes([SCOPE]):
            raise InsufficientScope
        return True


class ApplicationRate(BaseThrottle):
    """INTAKE_RATE_PER_MINUTE for each application, whatever address it posts from: all clinics may
    come from Heska's one."""

    def allow_request(self, request: Request, view: APIView) -> bool:
        minute, self._spent = divmod(time.time(), 60)
        limit: int = settings.INTAKE_RATE_PER_MINUTE
        return rates.count(cast("Any", request.auth).application_id, int(minute)) <= limit

    def wait(self) -> float:
        """Seconds until the next minute."""
        return 60 - self._spent

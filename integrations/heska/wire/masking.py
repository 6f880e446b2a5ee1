"""What of a call may be kept: everything but what would let somebody else make it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from urllib.parse import quote_plus

from integrations.heska.wire import strict

HIDDEN = "(hidden)"
SECRET_HEADERS = {
    "authorization",
    "proxy-authorization",
    "ocp-apim-subscription-key",
    "cookie",
    "set-cookie",
}
# As JSON has them, case and underscores aside.
SECRET_FIELDS = {"accesstoken", "refreshtoken", "idtoken", "token", "clientsecret", "secret"}
KEPT_HEADER = 300


def headers(given: Iterable[tuple[str, str]], secrets: Iterable[str]) -> dict[str, str]:
    """Names in lower case; a value says only that it was there where it is a secret."""
    secrets = list(secrets)
    return {
        name.lower(): HIDDEN
        if name.lower() in SECRET_HEADERS
        else strict.safe(without(value.encode(), secrets).decode(errors="replace"))[:KEPT_HEADER]
        for name, value in given
    }


def without(body: bytes, secrets: Iterable[str]) -> bytes:
    """The body with each of the secrets gone, as it is, in a form, and in JSON."""
    for secret in secrets:
        for form in (secret, quote_plus(secret), json.dumps(secret)[1:-1]):
            if form:
                body = body.replace(form.encode(), HIDDEN.encode())
    return body


def token_reply(body: bytes) -> bytes:
    """The answer to a call for a token. What is no JSON may hold one at any place."""
    try:
        value = strict.loads(body)
    except (strict.NotJson, strict.Ambiguous):
        return f"(not kept: {len(body)} bytes that may hold a token)".encode() if body else b""
    return strict.dumps(_hidden(value))


def _hidden(value: object) -> object:
    if isinstance(value, dict):
        return {
            name: HIDDEN
            if str(name).replace("_", "").casefold() in SECRET_FIELDS
            else _hidden(inner)
            for name, inner in value.items()
        }
    return [_hidden(inner) for inner in value] if isinstance(value, list) else value

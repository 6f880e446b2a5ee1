"""Typed access to the settings of this integration."""

from __future__ import annotations

import hashlib
from dataclasses import astuple, dataclass

from django.conf import settings

VENDOR = "heska"
SCOPE = "results:write"
# Goes with each stored message, so that all can be read again when the wire module changes.
ADAPTER_VERSION = "0"


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Where Heska is. From the environment only, never from a form or the database (SSRF)."""

    base_url: str
    subscription_key: str
    token_path: str
    submit_path: str
    token_encoding: str
    allow_insecure: bool
    # The second subscription key while it is being replaced, or empty.
    next_key: str = ""


def settings_digest() -> str:
    """Tells the settings with which an order is sent from others, without saying what they are."""
    used = (astuple(endpoint()), settings.FIELD_ENCRYPTION_KEYS)
    return hashlib.sha256(repr(used).encode()).hexdigest()


def endpoint() -> Endpoint:
    return Endpoint(
        base_url=settings.HESKA_BASE_URL,
        subscription_key=settings.HESKA_SUBSCRIPTION_KEY,
        token_path=settings.HESKA_TOKEN_PATH,
        submit_path=settings.HESKA_SUBMIT_PATH,
        token_encoding=settings.HESKA_TOKEN_ENCODING,
        allow_insecure=settings.HESKA_ALLOW_INSECURE,
        next_key=settings.HESKA_SUBSCRIPTION_KEY_NEXT,
    )

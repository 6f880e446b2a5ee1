"""Bearer tokens in the shape of a JWT (RFC 7519, HS256), made and read without a library."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import uuid
from typing import Any

LIFETIME = 3600


def issue(secret: bytes, subject: str, now: float) -> str:
    """A token for `subject` (a clinic's client id), good for LIFETIME seconds from `now`."""
    claims = {
        "iss": "heska-simulator",
        "aud": "heska-vet-cloud",
        "sub": subject,
        "iat": int(now),
        "exp": int(now) + LIFETIME,
        "jti": uuid.uuid4().hex,
    }
    head = _part({"alg": "HS256", "typ": "JWT"}) + "." + _part(claims)
    return f"{head}.{_signature(secret, head)}"


def subject(secret: bytes, token: str, now: float) -> str | None:
    """Whose token it is; None if it is not ours, was changed, or has expired."""
    head, _, signature = token.rpartition(".")
    if not token.isascii() or not hmac.compare_digest(_signature(secret, head), signature):
        return None
    payload = head.partition(".")[2]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return str(claims["sub"]) if claims["exp"] > now else None


def _part(data: dict[str, Any]) -> str:
    return _encode(json.dumps(data, separators=(",", ":")).encode())


def _signature(secret: bytes, head: str) -> str:
    return _encode(hmac.new(secret, head.encode(), hashlib.sha256).digest())


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")

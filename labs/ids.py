"""Identifiers that people read aloud and type, and keys that nobody can guess."""

from __future__ import annotations

import secrets

from django.utils.crypto import salted_hmac

# No 0/O, 1/I/L: what is left can be told apart in handwriting and over the phone.
READABLE = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"


def readable(length: int) -> str:
    return "".join(secrets.choice(READABLE) for _ in range(length))


def lab_report_id() -> str:
    """`VL-` and eight characters; at most 20 of `A-Z 0-9 -` (contract, "Outbound")."""
    return f"VL-{readable(8)}"


def result_key() -> str:
    """24 URL-safe characters, 144 bits: whoever has it may file results on one request."""
    return secrets.token_urlsafe(18)


def receipt_id() -> str:
    return f"rcpt_{readable(12)}"


def proof(nonce: str) -> str:
    """What only an installation with our SECRET_KEY answers to that nonce: so that we know who
    answers at our own public address."""
    return salted_hmac("labs.ids.proof", nonce, algorithm="sha256").hexdigest()


def clinic_public_id() -> str:
    return f"clinic-{readable(8).lower()}"

"""Misconfigurations with stable ids. `make check` and an operator's `manage.py check --deploy` run
them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connections


@register(Tags.database)
def sqlite_pragmas(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """E001: options in the wrong place are ignored in silence, so the database itself is asked."""
    problems: list[CheckMessage] = []
    for alias in databases or []:
        connection = connections[alias]
        if connection.vendor != "sqlite":
            continue
        with connection.cursor() as cursor:
            journal = cursor.execute("PRAGMA journal_mode").fetchone()[0]
            synchronous = cursor.execute("PRAGMA synchronous").fetchone()[0]
        mode = getattr(connection, "transaction_mode", None)
        in_memory = getattr(connection, "is_in_memory_db", bool)()
        if (journal != "wal" and not in_memory) or synchronous != 2 or mode != "IMMEDIATE":
            found = f"journal_mode={journal}, synchronous={synchronous}, transaction_mode={mode}"
            problems.append(
                Error(
                    f"SQLite does not run as it must: {found}.",
                    hint="Wanted: wal, 2 (FULL), IMMEDIATE. "
                    "WAL does not work on a network disk: move VAR_DIR.",
                    id="pims.E001",
                )
            )
    return problems


@register(Tags.security, deploy=True)
def insecure_heska(**_: Any) -> list[CheckMessage]:
    """E002: the permission to speak plain HTTP is for the simulator."""
    if not settings.HESKA_ALLOW_INSECURE:
        return []
    return [
        Error(
            "HESKA_ALLOW_INSECURE is set: secrets and results would cross the network in clear.",
            hint="Take HESKA_ALLOW_INSECURE out of the environment.",
            id="pims.E002",
        )
    ]


@register(Tags.security, deploy=True)
def public_base_url_https(**_: Any) -> list[CheckMessage]:
    """E003: Heska posts results and its secret to this address."""
    if settings.PUBLIC_BASE_URL.startswith("https://"):
        return []
    return [
        Error(
            f"PUBLIC_BASE_URL is {settings.PUBLIC_BASE_URL}, which is not https.",
            hint="Put a TLS proxy in front and set PUBLIC_BASE_URL=https://…",
            id="pims.E003",
        )
    ]


@register(Tags.urls)
def public_base_url_shape(**_: Any) -> list[CheckMessage]:
    """E004: result addresses are made by appending to it."""
    parts = urlsplit(settings.PUBLIC_BASE_URL)
    plain = not (parts.path or parts.query or parts.fragment or parts.username)
    if parts.scheme in {"http", "https"} and parts.hostname and plain:
        return []
    return [
        Error(
            f"PUBLIC_BASE_URL is {settings.PUBLIC_BASE_URL!r}; wanted is scheme and host only.",
            hint="For example PUBLIC_BASE_URL=https://lab.example.org",
            id="pims.E004",
        )
    ]


@register(Tags.security)
def encryption_keys(**_: Any) -> list[CheckMessage]:
    """E005: without a good key no stored credential can be read or written."""
    try:
        for key in settings.FIELD_ENCRYPTION_KEYS:
            Fernet(key)
        if settings.FIELD_ENCRYPTION_KEYS:
            return []
    except ValueError:  # the message would contain the key's peculiarities; ours says what to do
        pass
    return [
        Error(
            "FIELD_ENCRYPTION_KEYS is not a comma-separated list of Fernet keys.",
            hint="Make one: python -c 'from cryptography.fernet import Fernet; "
            "print(Fernet.generate_key().decode())'",
            id="pims.E005",
        )
    ]


@register(Tags.security, deploy=True)
def failpoint_armed(**_: Any) -> list[CheckMessage]:
    """E006: with it processes kill themselves, for the tests in tests/faults."""
    if not os.environ.get("FAILPOINT"):
        return []
    return [
        Error(
            "FAILPOINT is set: this process would end itself in the middle of its work.",
            hint="Take FAILPOINT out of the environment; it is for the project's own tests.",
            id="pims.E006",
        )
    ]


@register(Tags.security)
def token_encoding(**_: Any) -> list[CheckMessage]:
    """E007: the call for a token has three known forms."""
    if settings.HESKA_TOKEN_ENCODING in {"form", "json", "json-pascal"}:
        return []
    return [
        Error(
            f"HESKA_TOKEN_ENCODING is {settings.HESKA_TOKEN_ENCODING!r}.",
            hint="It is form, json or json-pascal.",
            id="pims.E007",
        )
    ]


@register(Tags.security)
def environment(**_: Any) -> list[CheckMessage]:
    """E008: every page says whether orders reach the clinics' analyzers; a typing error must not
    make a sandbox look like production."""
    if settings.HESKA_ENVIRONMENT in {"production", "sandbox", "demo"}:
        return []
    return [
        Error(
            f"HESKA_ENVIRONMENT is {settings.HESKA_ENVIRONMENT!r}.",
            hint="It is production, sandbox or demo.",
            id="pims.E008",
        )
    ]

"""What a production installation must not be, each with an id: `manage.py check --deploy`, and with
`--database default` what the database itself says."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connections

from labs.models import append_only, kept_bodies

MIB = 1024 * 1024
SECONDS_APART = 30
# Each of them makes a committed row one that may be gone after a crash.
DURABLE = {"fsync": "on", "full_page_writes": "on"}


def _problem(number: str, said: str, hint: str) -> list[CheckMessage]:
    return [Error(said, hint=hint, id=f"pims.{number}")]


@register(Tags.security, deploy=True)
def debug(**_: Any) -> list[CheckMessage]:
    """E009: a page that shows the settings and a patient's data to whoever meets an error."""
    if not settings.DEBUG:
        return []
    return _problem("E009", "DEBUG is on.", "Take DEBUG out of the environment.")


@register(Tags.security, deploy=True)
def generated_secrets(**_: Any) -> list[CheckMessage]:
    """E010: a demo's keys lie beside its data: whoever copies the folder has both."""
    keys = {
        "SECRET_KEY": settings.SECRET_KEY,
        "FIELD_ENCRYPTION_KEYS": ",".join(settings.FIELD_ENCRYPTION_KEYS),
    }
    folder = settings.VAR_DIR / "secrets"
    lying = [
        name
        for name, value in keys.items()
        if (file := folder / name.lower()).exists() and file.read_text().strip() == value
    ]
    if not lying:
        return []
    return _problem(
        "E010",
        f"{' and '.join(lying)} was generated into {folder}, beside the data.",
        "Give it in the environment, from where secrets are kept.",
    )


@register(Tags.security, deploy=True)
def guessable_key(**_: Any) -> list[CheckMessage]:
    """E018: whoever guesses it signs a session of anybody; Django only warns."""
    key = str(settings.SECRET_KEY)
    if len(key) >= 50 and len(set(key)) >= 5 and not key.startswith("django-insecure-"):
        return []
    return _problem(
        "E018",
        "SECRET_KEY is short, repeats itself, or is one that Django made for development.",
        "At least 50 random characters: "
        "python -c 'import secrets; print(secrets.token_urlsafe(50))'",
    )


@register(Tags.security, deploy=True)
def wildcard_hosts(**_: Any) -> list[CheckMessage]:
    """E011: with another's Host header a link in a mail would lead to that other."""
    wild = [host for host in settings.ALLOWED_HOSTS if "*" in host or host.startswith(".")]
    if not wild:
        return []
    return _problem(
        "E011",
        f"ALLOWED_HOSTS takes any host: {', '.join(wild)}.",
        "Name each host in full, for example ALLOWED_HOSTS=lab.example.org",
    )


@register(Tags.security, deploy=True)
def body_limits(**_: Any) -> list[CheckMessage]:
    """E012: results with their pictures are some MiB; without a limit one body takes all memory."""
    limits = (settings.INTAKE_MAX_BYTES, settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
    if all(limit is not None and MIB <= limit <= 100 * MIB for limit in limits):
        return []
    return _problem(
        "E012",
        f"INTAKE_MAX_BYTES is {settings.INTAKE_MAX_BYTES}.",
        "Between 1 and 100 MiB; the default is 25 MiB.",
    )


@register(Tags.security, deploy=True)
def zone(**_: Any) -> list[CheckMessage]:
    """E013: a vendor's time without a zone would be read in another one than is said."""
    if settings.TIME_ZONE == "UTC" and settings.USE_TZ:
        return []
    return _problem(
        "E013",
        f"TIME_ZONE is {settings.TIME_ZONE}, USE_TZ {settings.USE_TZ}.",
        "UTC and True; each clinic has a zone of its own.",
    )


@register(Tags.security, deploy=True)
def audit_retention(**_: Any) -> list[CheckMessage]:
    """E014: an audit that is gone before a question is asked is none."""
    if settings.AUDIT_RETENTION_DAYS >= 365:
        return []
    return _problem(
        "E014",
        f"AUDIT_RETENTION_DAYS is {settings.AUDIT_RETENTION_DAYS}.",
        "At least 365; six years are the default.",
    )


@register(Tags.security, deploy=True)
def second_factor(**_: Any) -> list[CheckMessage]:
    """E019: with an administrator's password alone whoever has it reads and changes everything."""
    if settings.SECOND_FACTOR_REQUIRED:
        return []
    return _problem(
        "E019",
        "SECOND_FACTOR_REQUIRED is off: administrators sign in with a password alone.",
        "Take SECOND_FACTOR_REQUIRED out of the environment; it is for the demo.",
    )


@register(Tags.database, deploy=True)
def durable(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """E015: a 2xx to the laboratory says that the result is stored (I1). Measured with
    synchronous_commit off: 49 of 6,000 acknowledged results lost in a crash."""
    found: dict[str, str] = {}
    for alias in databases or []:
        if connections[alias].vendor != "postgresql":
            continue
        with connections[alias].cursor() as cursor:
            for name in (*DURABLE, "synchronous_commit"):
                cursor.execute(f"SHOW {name}")
                found[name] = cursor.fetchone()[0]
    weak = [f"{name}={found[name]}" for name in DURABLE if found.get(name, "on") != "on"]
    if found.get("synchronous_commit", "on") == "off":
        weak.append("synchronous_commit=off")
    if not weak:
        return []
    return _problem(
        "E015",
        f"The database may lose what it has committed: {', '.join(weak)}.",
        "Set them on in postgresql.conf, and look for ALTER ROLE and ALTER DATABASE.",
    )


@register(Tags.database, deploy=True)
def clocks(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """E016: tokens and leases are measured by both clocks."""
    for alias in databases or []:
        if connections[alias].vendor != "postgresql":
            continue
        with connections[alias].cursor() as cursor:
            cursor.execute("SELECT extract(epoch FROM clock_timestamp())")
            apart = abs(float(cursor.fetchone()[0]) - datetime.now(UTC).timestamp())
        if apart > SECONDS_APART:
            return _problem(
                "E016",
                f"This machine's clock and the database's are {apart:.0f} seconds apart.",
                "Let both keep time by NTP.",
            )
    return []


@register(Tags.database, deploy=True)
def audit_guarded(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """E017: the triggers of the audit, or of the messages' bodies, were dropped or disabled."""
    for alias in databases or []:
        tables = connections[alias].introspection.table_names()
        bare = [
            guard.TABLE
            for guard in (append_only, kept_bodies)
            if guard.TABLE in tables and not guard.installed(connections[alias])
        ]
        if bare:
            return _problem(
                "E017",
                f"{' and '.join(bare)} can be changed: not all of their triggers are there.",
                "Find out who removed them, then run migrate, which makes them anew.",
            )
    return []

"""Whether Heska can reach us: what our public address is, and who answers there."""

from __future__ import annotations

import ipaddress
import json
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from django.conf import settings

from integrations.heska import client, contacts, transport
from labs import ids, roles
from labs.services.events import record

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from labs.models import Clinic

SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class Reach:
    """`problems`: sentences for people, empty where Heska should be able to post."""

    url: str
    problems: tuple[str, ...]
    addresses: tuple[str, ...] = ()
    milliseconds: int | None = None

    @property
    def ok(self) -> bool:
        return not self.problems


def look(*, acting_user: User | None, clinic: Clinic) -> Reach:
    """The same, noted for the clinic. Raises NotAllowed."""
    roles.require(acting_user, clinic, "administer")
    found = public_address()
    if found.ok:
        contacts.went_well(clinic.pk, contacts.Kind.ADDRESS)
    else:
        contacts.went_wrong(clinic.pk, contacts.Kind.ADDRESS, " ".join(found.problems))
    record(
        "heska.address_checked",
        clinic=clinic,
        acting_user=acting_user,
        source="command",
        ok=found.ok,
    )
    return found


def public_address() -> Reach:
    """Is it https, does its name lead to a public address, and do we answer there ourselves? The
    address comes from the environment only. At most 10 seconds.

    A call from this machine can't prove that the way from outside is open: a firewall may let us
    through and nobody else.
    """
    url: str = settings.PUBLIC_BASE_URL
    local = bool(settings.HESKA_ALLOW_INSECURE)  # the demo, where Heska is on this machine too
    parts = urlsplit(url)
    problems = []
    if parts.scheme != "https" and not local:
        problems.append(f"It is {parts.scheme}, not https: secrets would cross the net in clear.")
    found, said = _resolve(parts.hostname or "", parts.port or 443)
    if said:
        problems.append(said)
    inside = [address for address in found if not ipaddress.ip_address(address).is_global]
    if inside and not local:
        problems.append(
            f"Its name leads to {inside[0]}, which is a private address: nobody outside reaches it."
        )
    milliseconds = None
    if found:
        started = time.monotonic()
        if why := _who_answers(url):
            problems.append(why)
        else:
            milliseconds = round((time.monotonic() - started) * 1000)
    return Reach(
        url=url,
        problems=tuple(problems),
        addresses=tuple(found),
        milliseconds=milliseconds,
    )


def _resolve(host: str, port: int) -> tuple[list[str], str]:
    try:
        found = transport.addresses(host, port, SECONDS)
    except OSError:
        return [], f"The name {host} leads nowhere. Check PUBLIC_BASE_URL and the DNS entry."
    # An IPv6 address may bear the name of its interface.
    return list(dict.fromkeys(str(each[4][0]).partition("%")[0] for each in found)), ""


def _who_answers(url: str) -> str:
    """Empty where it is us."""
    nonce = secrets.token_hex(16)
    try:
        reply = client.ask_ourselves(f"{url}/healthz?nonce={nonce}", seconds=SECONDS)
    except OSError as error:
        return f"We could not reach it from here: {error}."
    try:
        said = json.loads(reply.body)
        proof = said.get("proof") if reply.status == 200 else None
    except (ValueError, AttributeError, RecursionError):
        proof = None
    if proof == ids.proof(nonce):
        return ""
    if 300 <= reply.status < 400:
        return (
            f"It answers with a redirect ({reply.status}), which loses what Heska posts. Let the "
            "proxy pass it on."
        )
    return f"Something else answers there (status {reply.status}), not this installation."

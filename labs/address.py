"""From where a request comes."""

from __future__ import annotations

import ipaddress

from django.conf import settings
from django.http import HttpRequest


def client_address(request: HttpRequest) -> str:
    """Who asks: the peer, or, behind TRUSTED_PROXIES proxies, the address that the outermost of
    them saw, which is that many from the right. What stands further left the client wrote itself.
    Of IPv6 the network of 64 bits, of which one customer has all addresses."""
    peer = request.META.get("REMOTE_ADDR") or ""
    said = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",")]
    proxies: int = settings.TRUSTED_PROXIES
    if 0 < proxies <= len(said):
        peer = said[-proxies] or peer
    return _network(peer)


def _network(text: str) -> str:
    for candidate in (text, text.rpartition(":")[0].strip("[]")):  # some proxies add the port
        try:
            address = ipaddress.ip_address(candidate)
        except ValueError:
            continue
        if isinstance(address, ipaddress.IPv4Address):
            return str(address)
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((int(address), 64), strict=False))
    return "unknown"

"""How often a token may be asked for: each call costs some milliseconds of hashing, and each wrong
one may be a guess.

Two counts come before the secret is looked at: of the address, and of the address with that client
id. So wrong guesses from elsewhere do not shut out who has the right secret. Tokens given to a
client are counted apart, which only who has its secret can use up.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse

from integrations.heska import rates
from labs.address import client_address


def limited(request: HttpRequest, client_id: str, give: Callable[[], HttpResponse]) -> HttpResponse:
    """What `give` answers, or 429 where it was asked too often in this minute: of a client beyond
    TOKEN_RATE_PER_MINUTE, from an address beyond TOKEN_RATE_PER_MINUTE_PER_ADDRESS. 503 where
    nobody can count: unlike results, tokens are then not given out."""
    now = time.time()
    address = client_address(request)
    limits = (
        (settings.TOKEN_RATE_PER_MINUTE_PER_ADDRESS, "address", address),
        (settings.TOKEN_RATE_PER_MINUTE, "asked", client_id, address),
    )
    for limit, *counted in limits:
        if (refusal := _refusal(limit, now, *counted)) is not None:
            return refusal
    with transaction.atomic():
        answer = give()
        if answer.status_code != 200:
            return answer
        refusal = _refusal(settings.TOKEN_RATE_PER_MINUTE, now, "given", client_id)
        if refusal is not None:
            transaction.set_rollback(True)  # that token was never given
            return refusal
    return answer


def _refusal(limit: int, now: float, *counted: str) -> HttpResponse | None:
    minute, spent = divmod(now, 60)
    # Ids and addresses are whatever somebody sent: neither names of files nor to be kept.
    key = hashlib.sha256("\0".join(counted).encode()).hexdigest()[:32]
    place = rates.count_of_minute("token", key, int(minute))
    if place == 0:
        return _problem(503, 30, "Nobody can be counted just now.")
    if place > limit:
        return _problem(
            429, max(1, round(60 - spent)), "Asked for too often; wait, then ask again."
        )
    return None


def _problem(status: int, seconds: int, words: str) -> HttpResponse:
    """In the shape of RFC 6749, 5.2, which has no word of its own for this."""
    return JsonResponse(
        {"error": "temporarily_unavailable", "error_description": words},
        status=status,
        headers={"Retry-After": str(seconds), "Cache-Control": "no-store", "Pragma": "no-cache"},
    )

"""Guessing passwords is made slow, and nobody is locked out by it.

The tries are counted of an account from one place, and of the place. A place is an address, or a
browser where that person has signed in before: the stranger who types a colleague's name into the
sign-in page a thousand times makes that colleague wait at the stranger's address and nowhere else,
and at the clinic's own computers not even if the stranger sits in its waiting room (OWASP's device
cookies). Nothing is ever shut for longer than a minute.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.crypto import salted_hmac

from labs import clock
from labs.models import Tries

LONGEST = 60  # seconds that anybody is ever made to wait
OF_ACCOUNT = 5  # tries of one account from one place, until each makes the next one wait
OF_ADDRESS = 30  # of all accounts from one address: a whole clinic may sit behind it
OF_LETTERS = 3  # mails to one address
FORGOTTEN = timedelta(minutes=15)  # after so long without a try counting begins anew
KEPT = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Turn:
    """Whether one may try now. `wait`: seconds until one may; 0 is now. `last_free`: the last one
    that counts for nothing; after it one waits."""

    wait: int = 0
    last_free: bool = False
    keys: tuple[str, ...] = ()


def turn(account: str, *, address: str, device: str = "") -> Turn:
    """Count a try of that account before it is looked at, so that a thousand at once are a thousand
    and not the first. `device`: of a browser where that account has signed in before."""
    if device:
        return _take({_key("device", account, device): OF_ACCOUNT})
    return _take(
        {_key("account", account, address): OF_ACCOUNT, _key("address", address): OF_ADDRESS}
    )


def code(account: str, *, address: str, device: str = "") -> Turn:
    """The same of a code of the second factor, for all accounts from one address: each account's
    own count is kept with its factor (labs/models/account.py). A known browser has its own count
    here too, or who guesses in the waiting room keeps an administrator from the second step."""
    key = _key("code", account, device) if device else _key("address", address)
    return _take({key: OF_ADDRESS})


def right_code(taken: Turn) -> None:
    Tries.objects.filter(key__in=taken.keys, count__gt=0).update(count=F("count") - 1)


def letter(to: str, *, address: str) -> Turn:
    """The same of a mail that somebody asks for at the sign-in page."""
    return _take({_key("letter", to): OF_LETTERS, _key("address", address): OF_ADDRESS})


def right(taken: Turn) -> None:
    """It was no guess: the account's count begins anew, the address's is as if nobody had tried."""
    own, *shared = taken.keys
    Tries.objects.filter(key=own).delete()
    Tries.objects.filter(key__in=shared, count__gt=0).update(count=F("count") - 1)


def account_hash(username: str) -> str:
    """Names an account where its name is not to be read: in a browser's cookie."""
    return _key("name", username)[:24]


def pin_key(user_id: int, workstation: str) -> str:
    """Under which wrong PINs of a person at one workstation are counted; see `pins`."""
    return _key("pin", str(user_id), workstation)


def waiting_time(count: int, free: int) -> int:
    """Seconds after the `count`th try in a row: 1, 2, 4 and so on, and at most a minute."""
    return 0 if count < free else int(min(LONGEST, 2 ** min(count - free, 10)))


def _take(limits: dict[str, int]) -> Turn:
    keys = tuple(limits)
    with transaction.atomic():
        now = clock.read()
        rows, is_new = [], False
        for key in keys:  # the address last, so that no two wait for each other
            row, made = Tries.objects.select_for_update().get_or_create(
                key=key, defaults={"count": 0, "last_at": now}
            )
            if now - row.last_at > FORGOTTEN:
                row.count = 0
            rows.append(row)
            is_new = is_new or made
        left = max(
            row.last_at + timedelta(seconds=waiting_time(row.count, limits[row.key])) - now
            for row in rows
        )
        if left > timedelta(0):
            # Not counted: whoever waits as long as they were told to is not told to again.
            return Turn(wait=math.ceil(left.total_seconds()), keys=keys)
        for row in rows:
            row.count, row.last_at = row.count + 1, now
            row.save(update_fields=["count", "last_at"])
    if is_new:
        Tries.objects.filter(last_at__lt=timezone.now() - KEPT).delete()
    return Turn(keys=keys, last_free=any(row.count == limits[row.key] for row in rows))


def _key(*parts: str) -> str:
    # As the sign-in form compares names, and coarser: of `dora` and `DORA` only one exists.
    text = "\0".join(part.strip().casefold() for part in parts)
    return salted_hmac("labs.guessing", text, algorithm="sha256").hexdigest()

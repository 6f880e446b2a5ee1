"""The second factor: a code of an authenticator app (TOTP), or one of the codes on paper.

Whoever administers a clinic and whoever operates the installation must have it; everybody may. Who
has it gives it after the password, at every sign-in.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.utils import timezone
from django_otp.util import random_hex

from labs import ids, roles
from labs.errors import InvalidInput, NotAllowed
from labs.models import BackupCode, Membership, Role, SecondFactor
from labs.services.events import record, save
from labs.services.people.signing_in import everywhere
from labs.services.people.staff_changes import may_edit_login

if TYPE_CHECKING:
    from django.contrib.auth.models import User

ISSUER = "Lab"
CODES = 10


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What came of a code. `factor`: the one that it proves. `wait`: seconds until one may try
    again, 0 where it was looked at. `left`: backup codes after one was used, else None."""

    factor: SecondFactor | None = None
    wait: int = 0
    left: int | None = None


def of(user: User) -> SecondFactor | None:
    """The one in use."""
    found: SecondFactor | None = SecondFactor.objects.filter(user=user, confirmed=True).first()
    return found


def required(user: User) -> bool:
    """Whether that person must have one: administrators of a clinic, and operators."""
    if not settings.SECOND_FACTOR_REQUIRED:
        return False
    if user.is_superuser or user.is_staff:
        return True
    return bool(Membership.objects.of(user).filter(role=Role.ADMIN).exists())


def required_of(user: User, role: str) -> bool:
    """The same of whoever has that role here. No statement."""
    is_one = role == Role.ADMIN or user.is_staff or user.is_superuser
    return bool(settings.SECOND_FACTOR_REQUIRED) and is_one


def begin(user: User) -> SecondFactor:
    """A new key, which counts for nothing until a code of it was given. Raises InvalidInput where
    one is in use."""
    with transaction.atomic():
        if of(user):
            raise InvalidInput("You have a second factor already. Take it away first.")
        SecondFactor.objects.filter(user=user).delete()
        made: SecondFactor = SecondFactor.objects.create(user=user, key=_new_key())
    return made


def begun(user: User) -> SecondFactor | None:
    found: SecondFactor | None = SecondFactor.objects.filter(user=user, confirmed=False).first()
    return found


def address(factor: SecondFactor) -> str:
    """What the QR code says: an otpauth address, as authenticator apps read it."""
    label = quote(f"{ISSUER}:{factor.user.get_username()}")
    return f"otpauth://totp/{label}?{urlencode({'secret': factor.key, 'issuer': ISSUER})}"


def confirm(user: User, code: str) -> list[str] | None:
    """The app shows the right code: from now on it is asked for. Returns the backup codes, which
    are shown this once; None where the code is wrong."""
    with transaction.atomic():
        factor = SecondFactor.objects.select_for_update().filter(user=user, confirmed=False).first()
        if factor is None or not factor.verify_token(_bare(code)):
            return None
        factor.confirmed = True
        factor.save(update_fields=["confirmed"])
        save(everywhere("staff.factor_made", user, by=user))
        return _new_codes(factor)


def prove(user: User, code: str) -> Proof:
    """Whether that code is the app's of now or a backup code; neither is taken twice. A wrong one
    is on record, and makes the next one wait."""
    with transaction.atomic():
        factor = SecondFactor.objects.select_for_update().filter(user=user, confirmed=True).first()
        if factor is None:
            return Proof()
        allowed, why = factor.verify_is_allowed()
        if not allowed:
            left = (why["locked_until"] - timezone.now()).total_seconds()
            return Proof(wait=max(1, round(left)))
        text = _bare(code)
        if len(text) > 6:
            used, _ = BackupCode.objects.filter(factor=factor, digest=_digest(text)).delete()
            if used:
                factor.throttle_reset()
                left = factor.codes.count()
                save(everywhere("staff.backup_code_used", user, by=user, left=left))
                return Proof(factor=factor, left=left)
            factor.throttle_increment()
        elif factor.verify_token(text):
            return Proof(factor=factor)
        save(everywhere("staff.factor_failed", user, by=None))
        return Proof()


def renew_codes(user: User) -> list[str]:
    """New backup codes; those on the old paper are worth nothing. Raises InvalidInput."""
    with transaction.atomic():
        factor = SecondFactor.objects.select_for_update().filter(user=user, confirmed=True).first()
        if factor is None:
            raise InvalidInput("You have no second factor.")
        save(everywhere("staff.backup_codes_made", user, by=user))
        return _new_codes(factor)


def take_off(user: User) -> None:
    """One's own. Raises NotAllowed for whoever must have one."""
    if required(user):
        raise NotAllowed("Administrators sign in with a second factor.")
    with transaction.atomic():
        if of(user):
            SecondFactor.objects.filter(user=user).delete()
            save(everywhere("staff.factor_off", user, by=user))


def reset(*, acting_user: User, place: Membership) -> EmailMessage:
    """A colleague's telephone is lost: their factor and backup codes go, and with them the sessions
    that were proven by it. Who must have one sets up a new one at the next sign-in. Returns the
    letter that tells them, to be sent when the transaction has ended; without an address it has no
    recipient. Raises NotAllowed: one's own, or a login that another clinic shares (I3)."""
    user = place.user
    if not acting_user.is_superuser:
        roles.require(acting_user, place.clinic, "administer")
    if user.pk == acting_user.pk:
        raise NotAllowed("Ask another administrator, or the operator, to take away your own.")
    if not may_edit_login(acting_user, user):
        raise NotAllowed("This person works at another clinic too; ask the operator.")
    with transaction.atomic():
        SecondFactor.objects.filter(user=user).delete()
        record("staff.factor_reset", clinic=place.clinic, acting_user=acting_user, user=user.pk)
    return _letter(user)


def reset_by_operator(user: User) -> EmailMessage:
    """The same by the operator's command."""
    with transaction.atomic():
        SecondFactor.objects.filter(user=user).delete()
        save(everywhere("staff.factor_reset", user, by=None, source="command"))
    return _letter(user)


def _letter(user: User) -> EmailMessage:
    return EmailMessage(
        subject="Your second factor for Lab was taken away",
        body=(
            "An administrator has taken away the authenticator app and the backup codes of your "
            f"login {user.get_username()}, because they were said to be lost.\n\n"
            "Your password is as it was. If you administer a clinic you set up a new app when you "
            "next sign in; else you can do it on your own page.\n\n"
            "If you did not ask for it, change your password now and tell your clinic.\n"
        ),
        to=[user.email] if user.email else [],
    )


def _new_key() -> str:
    return base64.b32encode(bytes.fromhex(random_hex(20))).decode()


def _new_codes(factor: SecondFactor) -> list[str]:
    factor.codes.all().delete()
    codes = [ids.readable(16) for _ in range(CODES)]
    BackupCode.objects.bulk_create(
        BackupCode(factor=factor, digest=_digest(code)) for code in codes
    )
    return ["-".join(code[at : at + 4] for at in range(0, 16, 4)) for code in codes]


def _bare(code: str) -> str:
    return "".join(c for c in code.upper()[:60] if c.isascii() and c.isalnum())


def _digest(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()

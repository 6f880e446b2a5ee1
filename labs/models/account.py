"""What a person proves who they are with, beside the password."""

from __future__ import annotations

import base64
import binascii
import time

from django.conf import settings
from django.db import models
from django_otp.models import Device, ThrottlingMixin
from django_otp.oath import TOTP

from labs.sealed import SealedTextField

STEP = 30  # seconds for which an app shows a code
TOLERANCE = 1  # steps that a telephone's clock may be off
# After so many wrong codes in a row each makes the next one wait for eight and a half minutes
# (django-otp: 1, 2, 4 … seconds). Without a bound whoever stole a password could shut its owner
# out for good.
MOST_FAILURES = 10
COUNT = "throttling_failure_count"  # of the base class


class SecondFactor(ThrottlingMixin, Device):  # type: ignore[misc]
    """The authenticator app on a person's telephone (TOTP, RFC 6238).

    Not django-otp's own TOTPDevice, whose key lies in clear in the database: this is its documented
    base class with its throttling and its arithmetic, and a sealed key. None of its tables exists.
    """

    name = None  # of the base: a person has one
    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="second_factor"
    )
    key = SealedTextField()  # base32, as it stands in the QR code
    # Of the newest code that was taken: it and older ones are taken no more.
    last_t = models.BigIntegerField(default=-1)
    confirmed = models.BooleanField(default=False)
    made_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"Second factor of {self.user}"

    def get_throttle_factor(self) -> int:
        return 1

    def verify_token(self, token: str) -> bool:
        """Whether it is the code of now, not used before. Counts; call it with the row locked."""
        allowed, _ = self.verify_is_allowed()
        if not allowed:
            return False
        if token.isascii() and token.isdigit() and len(token) == 6:
            totp = TOTP(self.secret, STEP)
            totp.time = time.time()
            if totp.verify(int(token), TOLERANCE, self.last_t + 1):
                self.last_t = totp.t()
                self.throttle_reset(commit=False)
                self.save()
                return True
        self.throttle_increment()
        return False

    def throttle_increment(self, commit: bool = True) -> None:
        super().throttle_increment(commit=False)
        setattr(self, COUNT, min(getattr(self, COUNT), MOST_FAILURES))
        if commit:
            self.save()

    @property
    def secret(self) -> bytes:
        try:
            return base64.b32decode(self.key)
        except binascii.Error as error:  # nothing but our own writes it
            raise ValueError("A second factor's key is no base32.") from error


class BackupCode(models.Model):
    """For the day on which the telephone is at home. Gone once it was used."""

    factor = models.ForeignKey(SecondFactor, on_delete=models.CASCADE, related_name="codes")
    # SHA-256 is enough: a code has 79 bits, which nobody tries out.
    digest = models.CharField(max_length=64)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["factor", "digest"], name="backup_code_once"),
        )

    def __str__(self) -> str:
        return f"Backup code of {self.factor_id}"


class Pin(models.Model):
    """With which a person takes over a workstation that a colleague has signed in at."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="pin"
    )
    # Hashed as a password is, and then sealed: of a million PINs all are tried in an afternoon by
    # whoever has the hash, so the database alone must not have it.
    digest = SealedTextField()
    set_at = models.DateTimeField(auto_now=True)
    # Wrong ones in a row, wherever they were typed; a sign-in with the password ends the row.
    failures = models.PositiveSmallIntegerField(default=0)

    def __str__(self) -> str:
        return f"PIN of {self.user}"

"""Text that the database holds only in authenticated encryption, under FIELD_ENCRYPTION_KEYS."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models

from labs.errors import LabError

if TYPE_CHECKING:
    TextField = models.TextField[str, str]
else:
    TextField = models.TextField


class KeyLost(LabError):
    """What is stored was encrypted under a key that this installation does not have any more."""

    code = "unreadable"

    def __init__(self) -> None:
        super().__init__(
            "What is stored here can't be read any more: the key under which it was stored is "
            "lost. The operator puts the earlier key back into FIELD_ENCRYPTION_KEYS."
        )


@cache
def cipher(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def current_cipher() -> MultiFernet:
    """Encrypts with the first of FIELD_ENCRYPTION_KEYS, reads with any: keys can be rotated."""
    return cipher(tuple(settings.FIELD_ENCRYPTION_KEYS))


class SealedTextField(TextField):
    """Fernet: AES-128-CBC + HMAC. Raises `lost` on load where no key fits. Empty text stays empty.
    `manage.py reencrypt` finds every field of this class."""

    lost: type[LabError] = KeyLost

    def get_prep_value(self, value: Any) -> Any:
        return current_cipher().encrypt(value.encode()).decode() if value else ""

    def value_to_string(self, obj: models.Model) -> str:
        """In a dump (`dumpdata`) it stays sealed."""
        sealed: str = self.get_prep_value(self.value_from_object(obj))
        return sealed

    def to_python(self, value: Any) -> Any:
        """What `loaddata` brings is sealed, what a form brings is not."""
        text = super().to_python(value)
        if not text:
            return text
        try:
            return current_cipher().decrypt(text.encode()).decode()
        except InvalidToken:
            return text

    def from_db_value(self, value: Any, *_: Any) -> Any:
        try:
            return current_cipher().decrypt(value.encode()).decode() if value else ""
        except InvalidToken as error:
            raise self.lost from error

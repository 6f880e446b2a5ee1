from __future__ import annotations

from labs.errors import LabError
from labs.sealed import SealedTextField


class Unreadable(LabError):
    """What is stored was encrypted under a key that this installation does not have any more."""

    code = "unreadable"

    def __init__(self) -> None:
        super().__init__(
            "The secret that Heska gave this clinic can't be read any more: the key under which it "
            "was stored is lost. Enter the client id and the secret again, under “Connection to "
            "the laboratory”; or the operator puts the earlier key back into FIELD_ENCRYPTION_KEYS."
        )


class EncryptedTextField(SealedTextField):
    """Raises Unreadable on load where no key fits, which says what a clinic does then."""

    lost = Unreadable

"""One error tree. `message` is for the person in front of the screen: what is wrong and what to do
next; `code` is for programs; `field` is the one of a form that is to blame, where it is one."""

from __future__ import annotations


class LabError(Exception):
    code = "error"

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.field = field


class AppendOnly(LabError):
    """Somebody tried to change a row of a history."""

    code = "append_only"

    def __init__(self, label: str) -> None:
        super().__init__(f"{label} is append-only: its rows are never changed or deleted.")


class InvalidInput(LabError):
    """What a person or a program gave cannot be taken; nothing was written."""

    code = "invalid"


class NotAllowed(LabError):
    """The acting user's role does not allow it."""

    code = "not_allowed"


class Stale(LabError):
    """Somebody else was faster; nothing was written."""

    code = "stale"


class SentBefore(InvalidInput):
    """A form that ordered something already came again, and says something else by now."""

    code = "sent_before"


class NotReadable(LabError):
    """No result is found in a stored message as it is read today."""

    code = "not_readable"


class NoVendor(LabError):
    """No laboratory integration of that name is installed."""

    code = "no_vendor"

"""The port: what the lab asks of a laboratory integration. Vendors register themselves at start, so
that nothing in `labs` imports one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

from labs.errors import NoVendor
from labs.models import Clinic, LabRequest, Message
from labs.order import Codes, Sent
from labs.report import Report

if TYPE_CHECKING:
    from django.contrib.auth.models import User


class LabVendor(Protocol):
    name: str
    label: str
    # Of the code that reads messages. Higher with each change in how it reads any of them.
    adapter_version: str

    @property
    def environment(self) -> str:
        """Where orders go: `production`, or else `sandbox` (the laboratory's test system) or `demo`
        (a simulator), which every page says."""

    def wake(self, submission_id: int) -> None:
        """Ask a worker to deliver that submission soon. Never raises and returns at once, also
        where the broker is down: the sweeper takes up what was not heard."""

    def wake_all(self, submission_ids: Sequence[int]) -> None:
        """The same for many, at the price of one connection."""

    def resume(self, *, acting_user: User | None, clinic: Clinic) -> None:
        """Somebody says that what stopped this clinic's orders is mended: let them go again."""

    def ask_anew(self, clinic: Clinic) -> None:
        """Somebody wants an order tried now: forget for how long the laboratory was to be left in
        peace after a failure, that of another order's attempt too. Takes no lock for long; call it
        with none held."""

    def look_again(self) -> None:
        """With each sweep: let orders go again that a setting stopped which has been changed."""

    def refile(self, message_id: int) -> None:
        """Read a stored message again and file it. Idempotent."""

    def read(self, message: Message) -> Report:
        """What a stored message says, as it is read today; `message` with its clinic. Writes
        nothing. Raises NotReadable."""

    def result_endpoint(self, request: LabRequest) -> str:
        """The address where the results of this request are to be posted."""

    def unmatched_endpoint(self, clinic: Clinic) -> str:
        """The address for results without a request."""

    def sent_as(
        self, *, species: str, breed: str, sex: str, neutered: bool | None, codes: Codes
    ) -> list[Sent]:
        """Under which codes an animal goes out, those of its clinic first. Costs no query."""

    def owner_in(self, body: str) -> str:
        """Whose id an order names that went out, as it was sent (`Submission.sent_body`); empty
        where that cannot be read. Costs no query."""

    def test_code(self, code: str, codes: Codes) -> str:
        """Under which code a test of the catalogue is ordered. Costs no query."""

    def known_codes(self, kind: str, species: str) -> list[tuple[str, str]]:
        """The codes that the laboratory is known to have, each with what it stands for; empty where
        there is no list of them."""

    def set_up_page(self, clinic: Clinic) -> str:
        """The address of the page where its administrators connect the clinic and see how it goes.
        Costs no query."""

    def is_connected(self, clinic: Clinic) -> bool:
        """Whether this clinic's credentials are there. Costs one query."""


_vendors: dict[str, LabVendor] = {}


def register(vendor: LabVendor) -> None:
    _vendors[vendor.name] = vendor


def get(name: str) -> LabVendor:
    """Raises NoVendor."""
    try:
        return _vendors[name]
    except KeyError:
        raise NoVendor(f"No laboratory integration “{name}” is installed.") from None


def all_of_them() -> Iterable[LabVendor]:
    return list(_vendors.values())


def default() -> LabVendor:
    """The integration that takes this installation's orders: the first one registered."""
    for vendor in _vendors.values():
        return vendor
    raise NoVendor("No laboratory integration is installed.")

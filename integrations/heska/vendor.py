"""Heska's side of the port in labs/vendors.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from django.conf import settings
from django.urls import reverse

from integrations.heska.conf import ADAPTER_VERSION, VENDOR
from integrations.heska.models import Connection
from integrations.heska.wire import codes as wire
from integrations.heska.wire import outbound
from labs.models import Clinic, LabRequest, Message
from labs.order import Codes, Sent
from labs.report import Report

if TYPE_CHECKING:
    from django.contrib.auth.models import User


class Heska:
    name = VENDOR
    label = "Heska"
    adapter_version = ADAPTER_VERSION

    @property
    def environment(self) -> str:
        return str(settings.HESKA_ENVIRONMENT)

    def wake(self, submission_id: int) -> None:
        from integrations.heska.tasks import wake

        wake(submission_id)

    def wake_all(self, submission_ids: Sequence[int]) -> None:
        from integrations.heska.tasks import wake_all

        wake_all(submission_ids)

    def resume(self, *, acting_user: User | None, clinic: Clinic) -> None:
        from integrations.heska.connections import resume

        resume(acting_user=acting_user, clinic=clinic)

    def ask_anew(self, clinic: Clinic) -> None:
        Connection.objects.filter(clinic=clinic).update(token_not_before=None)

    def look_again(self) -> None:
        from integrations.heska.connections import look_again

        look_again()

    def refile(self, message_id: int) -> None:
        from integrations.heska.services.filing import replay

        replay(message_id)

    def read(self, message: Message) -> Report:
        from integrations.heska.services.filing import read

        return read(message)

    def result_endpoint(self, request: LabRequest) -> str:
        return str(settings.PUBLIC_BASE_URL) + reverse("heska:result", args=[request.result_key])

    def unmatched_endpoint(self, clinic: Clinic) -> str:
        return str(settings.PUBLIC_BASE_URL) + reverse("heska:unmatched", args=[clinic.public_id])

    def sent_as(
        self, *, species: str, breed: str, sex: str, neutered: bool | None, codes: Codes
    ) -> list[Sent]:
        return [
            wire.species_sent(species, codes),
            wire.breed_sent(species, breed, codes),
            wire.sex_sent(sex, neutered, codes),
        ]

    def owner_in(self, body: str) -> str:
        return outbound.owner_in(body)

    def test_code(self, code: str, codes: Codes) -> str:
        return wire.test_sent(code, codes)

    def known_codes(self, kind: str, species: str) -> list[tuple[str, str]]:
        return wire.known(kind, species)

    def set_up_page(self, clinic: Clinic) -> str:
        return reverse("heska_pages:health", args=[clinic.public_id])

    def is_connected(self, clinic: Clinic) -> bool:
        return Connection.objects.filter(clinic=clinic).exists()

"""Heska's side of the port in labs/vendors.py."""

from __future__ import annotations

from django.conf import settings
from django.urls import reverse

from integrations.heska.conf import VENDOR
from integrations.heska.models import Connection
from labs.models import Clinic, LabRequest


class Heska:
    name = VENDOR
    label = "Heska"

    def wake(self, submission_id: int) -> None:
        from integrations.heska.tasks import wake

        wake(submission_id)

    def refile(self, message_id: int) -> None:
        from integrations.heska.services import replay

        replay(message_id)

    def result_endpoint(self, request: LabRequest) -> str:
        return str(settings.PUBLIC_BASE_URL) + reverse("heska:result", args=[request.result_key])

    def unmatched_endpoint(self, clinic: Clinic) -> str:
        return str(settings.PUBLIC_BASE_URL) + reverse("heska:unmatched", args=[clinic.public_id])

    def is_connected(self, clinic: Clinic) -> bool:
        return Connection.objects.filter(clinic=clinic).exists()

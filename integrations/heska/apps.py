from __future__ import annotations

from django.apps import AppConfig


class HeskaConfig(AppConfig):
    name = "integrations.heska"
    label = "heska"
    verbose_name = "Heska"

    def ready(self) -> None:
        from integrations.heska.vendor import Heska
        from labs import vendors

        vendors.register(Heska())

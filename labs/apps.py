from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


def load_catalogue(*, using: str, **_: Any) -> None:
    from labs import catalogue

    catalogue.load(using=using)


class LabsConfig(AppConfig):
    name = "labs"
    verbose_name = "Laboratory"

    def ready(self) -> None:
        post_migrate.connect(load_catalogue, sender=self)

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


def load_catalogue(*, using: str, **_: Any) -> None:
    from labs import catalogue

    catalogue.load(using=using)


def guard_audit(*, using: str, **_: Any) -> None:
    from django.db import connections

    from labs.models import append_only, kept_bodies

    connection = connections[using]
    # Not yet, where migrations were run backwards or only in part.
    tables = connection.introspection.table_names()
    for guard in (append_only, kept_bodies):
        if guard.TABLE in tables:
            guard.install(connection)


class LabsConfig(AppConfig):
    name = "labs"
    verbose_name = "Laboratory"

    def ready(self) -> None:
        post_migrate.connect(load_catalogue, sender=self)
        post_migrate.connect(guard_audit, sender=self)

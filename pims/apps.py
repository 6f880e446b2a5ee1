from __future__ import annotations

from django.apps import AppConfig


class PimsConfig(AppConfig):
    """No models: wiring that Django looks for in an app, the deployment checks."""

    name = "pims"

    def ready(self) -> None:
        from pims import checks  # noqa: F401 - registers them

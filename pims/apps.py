from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.contrib.admin.apps import SimpleAdminConfig


class PimsConfig(AppConfig):
    """No models: wiring that Django looks for in an app, the deployment checks."""

    name = "pims"
    default = True

    def ready(self) -> None:
        from pims import checks, deploy_checks, idle  # noqa: F401 - registers them


class AdminConfig(SimpleAdminConfig):
    """The Django admin with a site of our own. Not derived from Django's AdminConfig, which would
    be taken for this app's as well."""

    default_site = "pims.admin_site.LabAdminSite"

    def ready(self) -> None:
        super().ready()
        admin: Any = self.module
        admin.autodiscover()

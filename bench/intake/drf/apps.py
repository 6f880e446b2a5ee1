from __future__ import annotations

from django.apps import AppConfig


class DrfConfig(AppConfig):
    name = "bench.intake.drf"
    label = "drf"

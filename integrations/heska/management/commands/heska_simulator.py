"""Heska Vet Cloud, DCU and analyzers in a process of their own."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from integrations.heska.simulator.arguments import add_arguments
from integrations.heska.simulator.server import run


class Command(BaseCommand):
    """Runs until SIGTERM or SIGINT; exit status 1 if it cannot listen, 2 if the script is wrong."""

    help = "Run the Heska simulator alone."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        names = ("port", "host", "script", "as_json")
        status = run(**{name: options[name] for name in names})
        if status:
            sys.exit(status)

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from labs.management import base
from labs.services.registry.csv_file import ImportRefused


class ImportCommand(base.LabCommand):
    """Reads a CSV file into a clinic by `service`; each problem is a line on standard error."""

    service: Callable[..., dict[str, Any]]

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--clinic", required=True, metavar="ID")
        parser.add_argument("file", metavar="FILE.csv", type=Path)

    def run(self, options: dict[str, Any]) -> dict[str, Any]:
        clinic = base.clinic(options["clinic"])
        try:
            content = options["file"].read_bytes()
        except OSError as error:
            raise base.Error(f"{options['file']} cannot be read: {error.strerror}.") from error
        try:
            return type(self).service(acting_user=None, clinic=clinic, content=content)
        except ImportRefused as refused:
            lines = "".join(f"\n{problem}" for problem in refused.problems)
            raise base.Error(f"{refused.message}{lines}") from refused

"""Management commands as a script sees them."""

from __future__ import annotations

import io
import json
from typing import Any
from unittest import mock

from django.core.management import call_command


def said(name: str, *args: str, stdin: str = "") -> str:
    """What the command prints for people. Raises its CommandError."""
    out = io.StringIO()
    with mock.patch("sys.stdin", io.StringIO(stdin)):
        call_command(name, *args, stdout=out)
    return out.getvalue()


def lines(name: str, *args: str, stdin: str = "") -> list[dict[str, Any]]:
    """Each object that the command prints with --json."""
    return [json.loads(line) for line in said(name, *args, "--json", stdin=stdin).splitlines()]


def answer(name: str, *args: str, stdin: str = "") -> dict[str, Any]:
    """The one object that the command prints with --json."""
    (only,) = lines(name, *args, stdin=stdin)
    return only

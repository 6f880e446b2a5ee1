#!/usr/bin/env python3
"""Django's command line. Typed with whatever Python, it goes on in the project's own."""

import os
import sys
from pathlib import Path


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pims.settings")
    try:
        if sys.argv[1:2] == ["heska_simulator"]:
            # Of use without an installation: no settings, secrets or database are looked for.
            from integrations.heska.simulator.__main__ import main as simulator

            sys.exit(simulator(sys.argv[2:]))
        from django.core.management import execute_from_command_line
    except ImportError as error:
        own = Path(__file__).resolve().parent / ".venv" / "bin" / "python"
        if not own.exists() or Path(sys.prefix) == own.parent.parent:
            sys.exit(f"{error}. Run `make install` first.")
        os.execv(own, [str(own), *sys.argv])  # noqa: S606 - no shell is what is wanted
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()

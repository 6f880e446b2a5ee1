"""The simulator without Django: `python -m integrations.heska.simulator --port P [--script F]`."""

from __future__ import annotations

import argparse
import sys

from .arguments import add_arguments
from .server import run


def main(arguments: list[str] | None = None) -> int:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(
        prog="heska_simulator", description="A simulated Heska Vet Cloud"
    )
    add_arguments(parser)
    given = parser.parse_args(arguments)
    return run(port=given.port, host=given.host, script=given.script, as_json=given.as_json)


if __name__ == "__main__":
    sys.exit(main())

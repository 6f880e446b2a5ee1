"""The simulator without Django: `python -m integrations.heska.simulator --port P [--script F]`."""

from __future__ import annotations

import argparse
import sys

from .arguments import add_arguments
from .server import run


def main() -> int:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(
        prog="heska_simulator", description="A simulated Heska Vet Cloud"
    )
    add_arguments(parser)
    given = parser.parse_args()
    return run(port=given.port, host=given.host, script=given.script)


if __name__ == "__main__":
    sys.exit(main())

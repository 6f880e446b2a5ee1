"""The command line's options, the same with and without Django."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare --port, --host, --script and --json."""
    parser.add_argument(
        "--port", type=_port, required=True, help="port to listen on; 0 takes a free one"
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: %(default)s)"
    )
    parser.add_argument(
        "--script", help="JSON file with clinics, credentials and faults; none: start empty"
    )
    parser.add_argument(
        "--json",
        action="store_true",
        dest="as_json",
        help="print addresses and credentials as one line of JSON",
    )


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError("a port is a number from 0 to 65535")
    return int(text)

"""Faults of the connection itself: how an answer's bytes leave, or do not."""

from __future__ import annotations

import select
import socket
import struct
import time
from io import BufferedIOBase

from .rules import Rule

LONGEST = 3600.0  # seconds that a silent connection is kept, if the other side stays that long
SPOILT = ("slow", "cut", "reset", "silent", "drip")


def send(
    rule: Rule, connection: socket.socket, out: BufferedIOBase, head: bytes, body: bytes
) -> bool:
    """Send an answer under a fault; False where the connection must not be used again."""
    if rule.do == "slow":
        if _left_within(connection, rule.options["seconds"]):
            return False
        out.write(head + body)
        return True
    if rule.do == "silent":
        _left_within(connection, LONGEST)
        return False
    if rule.do == "reset":
        return False
    if rule.do == "cut":
        out.write((head + body)[: len(head) + len(body) // 2])
        out.flush()
        return False
    for i in range(len(head) + len(body)):  # drip
        out.write((head + body)[i : i + 1])
        out.flush()
        if _left_within(connection, rule.options["seconds"]):
            return False
    return True


def reset(connection: socket.socket) -> None:
    """Have the next close send a reset (RST) instead of an orderly end (FIN)."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _left_within(connection: socket.socket, seconds: float) -> bool:
    """Wait; True as soon as the other side has gone. What it sends meanwhile stays unread."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        readable, _, _ = select.select([connection], [], [], min(left, 0.5))
        if readable and _gone(connection):
            return True
        if readable:
            time.sleep(min(left, 0.5))
    return False


def _gone(connection: socket.socket) -> bool:
    try:
        if hasattr(connection, "pending"):  # TLS knows no peeking; a record of alert comes first
            return connection.recv(1) == b""
        return connection.recv(1, socket.MSG_PEEK) == b""
    except (BlockingIOError, InterruptedError):
        return False
    except OSError:
        return True

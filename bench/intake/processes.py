"""What processes have used, by /proc: other work on the same machine hardly moves that."""

from __future__ import annotations

import os
from pathlib import Path

import psycopg

TICKS = os.sysconf("SC_CLK_TCK")


def seconds(pid: int) -> float:
    """Processor time of a process and its children, those that have ended included."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / TICKS + sum(map(seconds, children(pid)))
    except FileNotFoundError:
        return 0.0  # it has ended since it was listed; its parent's count has it from now on


def children(pid: int) -> list[int]:
    found = []
    for thread in Path(f"/proc/{pid}/task").iterdir():
        found += map(int, (thread / "children").read_text().split())
    return found


def resident(pid: int) -> float:
    """Megabytes."""
    return int(Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1].split()[0]) / 1024


def postmaster(database_url: str) -> int:
    """The process that all of PostgreSQL's are children of."""
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT pg_backend_pid()").fetchone()
        if row is None:
            raise RuntimeError("PostgreSQL has no process.")
        fields = Path(f"/proc/{row[0]}/stat").read_text().rpartition(")")[2].split()
        return int(fields[1])

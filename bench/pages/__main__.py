"""`python -m bench.pages`: how long the server takes for each page, with little and with much
behind it. See bench/README.md."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from base64 import urlsafe_b64encode as b64encode
from collections import defaultdict
from contextlib import ExitStack
from hashlib import sha256
from typing import Any

import psycopg

from tests import servers

MOST_MS, MOST_RATIO = 100, 1.5


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.pages", description=__doc__)
    parser.add_argument("--results", type=int, nargs=2, default=(10_000, 1_000_000))
    parser.add_argument("--patients", type=int, nargs=2, default=(2_000, 200_000))
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--pages", default="", help="only those whose name holds this")
    parser.add_argument("--sql", action="store_true", help="say each page's slowest statement")
    parser.add_argument("--database", help="of a server that keeps what was loaded, to look again")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with ExitStack() as stack:
        if given.database:
            # The same each time: what is loaded is sealed with it.
            key = b64encode(sha256(given.database.encode()).digest()).decode()
            env = {"SECRET_KEY": key * 2, "FIELD_ENCRYPTION_KEYS": key}
            env["DATABASE_URL"] = given.database
        else:
            env = stack.enter_context(servers.running(postgresql=True, redis=False))
        sizes = list(zip(given.results, given.patients, strict=True))
        workers = [stack.enter_context(Worker(env, f"size{n}", *size)) for n, size in
                   enumerate(sizes)]  # fmt: skip
        said = [answer(each) for each in workers]
        names = [name for name in said[0]["pages"] if given.pages in name]
        times: dict[str, list[list[dict[str, Any]]]] = defaultdict(lambda: [[], []])
        # In turns, so that what else the machine does falls on both alike. The first round warms.
        for turn in range(given.rounds + 1):
            for name in names:
                for place, each in enumerate(workers):
                    each.stdin.write(f"{name}\n")
                    each.stdin.flush()
                    one = answer(each)
                    if turn:
                        times[name][place].append(one)
    found = {
        "loaded": [each["loaded"] for each in said],
        "results": given.results,
        "patients": given.patients,
        "pages": {name: [figures(each) for each in both] for name, both in times.items()},
    }
    print(json.dumps(found)) if given.json else tell(found, given.sql)
    return 0


class Worker:
    """A web process of that size, on a database of its own of the same server."""

    def __init__(self, env: dict[str, str], name: str, results: int, patients: int) -> None:
        base = env["DATABASE_URL"].rpartition("/")[0]
        with psycopg.connect(f"{base}/postgres", autocommit=True) as connection:
            there = "SELECT 1 FROM pg_database WHERE datname = %s"
            if not connection.execute(there, [name]).fetchone():
                connection.execute(f"CREATE DATABASE {name}")
        self.folder = tempfile.TemporaryDirectory(prefix="bench-pages-")
        kept = {k: os.environ[k] for k in ("PATH", "HOME", "LANG", "TMPDIR") if k in os.environ}
        secrets = {k: env[k] for k in ("SECRET_KEY", "FIELD_ENCRYPTION_KEYS")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench.pages.worker", str(results), str(patients)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=kept
            | secrets
            | {
                "DATABASE_URL": f"{base}/{name}",
                "VAR_DIR": self.folder.name,
                "DJANGO_SETTINGS_MODULE": "pims.settings",
                # As a person's browser, and no TLS between.
                "PUBLIC_BASE_URL": "http://testserver",
                "ALLOWED_HOSTS": "testserver",
                "HESKA_BASE_URL": "http://127.0.0.1:9",
                "HESKA_ALLOW_INSECURE": "1",
            },
        )

    def __enter__(self) -> Any:
        return self.process

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(30)
        self.folder.cleanup()


def answer(process: Any) -> dict[str, Any]:
    line = process.stdout.readline()
    if not line:
        raise SystemExit("The web process ended; what it said is above.")
    found: dict[str, Any] = json.loads(line)
    return found


def figures(times: list[dict[str, Any]]) -> dict[str, Any]:
    """In milliseconds; `web` and `database` are processor time."""
    walls = sorted(one["wall"] for one in times)
    worst = max(times, key=lambda one: one["sql"])
    return {
        "p50": 1000 * walls[len(walls) // 2],
        "p95": 1000 * walls[int(len(walls) * 0.95)],
        "web": 1000 * sum(one["web"] for one in times) / len(times),
        "database": 1000 * sum(one["database"] for one in times) / len(times),
        "sql": 1000 * sum(one["sql"] for one in times) / len(times),
        "statements": max(one["statements"] for one in times),
        "kb": max(one["bytes"] for one in times) / 1000,
        "status": max(one["status"] for one in times),
        "slowest": worst["slowest"],
        "address": worst["address"],
    }


def tell(found: dict[str, Any], sql: bool) -> None:
    small, large = found["results"]
    print(f"{small:,} and {large:,} results, {found['patients']} patients; loaded in "
          + " and ".join(f"{each:.0f} s" for each in found["loaded"]))  # fmt: skip
    print(f"{'ms':26} {'p50':>14} {'p95':>14} {'ratio':>6} {'web cpu':>13} {'db cpu':>13} "
          f"{'statements':>11} {'kB':>6}")  # fmt: skip
    for name, (few, many) in found["pages"].items():
        ratio = many["p50"] / few["p50"]
        pairs = [f"{few[key]:6.0f} {many[key]:6.0f}" for key in ("p50", "p95", "web", "database")]
        failed = f" status {many['status']}" if many["status"] >= 400 else ""
        too = failed + (" !" if many["p95"] > MOST_MS or ratio > MOST_RATIO else "")
        print(f"{name:26} {pairs[0]:>14} {pairs[1]:>14} {ratio:6.2f} {pairs[2]:>13} {pairs[3]:>13} "
              f"{few['statements']:>5} {many['statements']:>5} {many['kb']:6.0f}{too}")  # fmt: skip
        if sql:
            print(f"    {many['address']}  {many['sql']:.0f} ms\n    {many['slowest'][:4000]}")


if __name__ == "__main__":
    sys.exit(main())

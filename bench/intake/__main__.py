"""python -m bench.intake [--seconds S] [--rounds R] [--memory N] [--json]"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import psycopg

from bench.intake import contract, limit
from bench.intake.targets import TARGETS, Server, serving
from tests import servers

WARM_UP = 400  # messages to each target
# More than any target can take in a second: how many requests must be there before a round.
AT_MOST = 1500
SHARE = 0.8  # of (a)'s maximum: the load at which its latency is judged


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.intake", description=__doc__)
    parser.add_argument("--seconds", type=float, default=4, help="of each target in each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--targets", default="abcde", help="letters; for a quick look: ad")
    parser.add_argument("--memory", type=int, default=3000, help="results before memory is read")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="pims-bench-") as directory,
        servers.running(redis=False, durable=True) as env,
    ):
        found = measure(options, {**env, "VAR_DIR": directory}, Path(directory))
    sys.stdout.write(json.dumps(found, indent=1) + "\n" if options.json else table(found))


def measure(options: argparse.Namespace, env: dict[str, str], directory: Path) -> dict[str, Any]:
    access = prepare(env)
    with serving(env, directory, options.workers, options.targets) as running:
        project = running["a"]
        tokens = [project.token(each) for each in access]
        stock = Stock(env)
        rounds = []
        stock.need(WARM_UP)
        for server in running.values():
            checked(server, server.load(tokens, messages=WARM_UP))
        for _ in range(options.rounds):
            # Each goes on where it was left: (e), as (a), takes a message once.
            furthest = max(server.next for server in running.values())
            stock.need(furthest + AT_MOST * options.seconds)
            rounds.append(
                {
                    letter: checked(server, server.load(tokens, seconds=options.seconds))
                    for letter, server in running.items()
                }
            )
        found = {"targets": rates(rounds)}
        maximum = found["targets"]["a"]["a_second"]
        found["kinds"] = kinds(project, tokens, options.seconds, stock, maximum)
        found["latency"] = latency(project, tokens, options, stock, maximum)
        found["memory"] = memory(project, tokens, options.memory, stock)
    return found


def prepare(env: dict[str, str]) -> list[dict[str, str]]:
    """Everybody's tables, and the clinics; the clients' credentials."""
    access: list[dict[str, str]] = json.loads(seed(env))
    subprocess.run(
        [sys.executable, "-m", "django", "migrate", "--run-syncdb", "--verbosity=0"],
        env={**os.environ, **env, **TARGETS[1].env},
        check=True,
    )
    with psycopg.connect(env["DATABASE_URL"]) as connection:
        connection.execute(limit.TABLES)
        contract.prepare(connection)
    return access


def seed(env: dict[str, str], *numbers: int) -> str:
    made = subprocess.run(
        [sys.executable, "-m", "bench.intake.seed", *map(str, numbers)],
        env={**os.environ, **env, **TARGETS[0].env},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return made.stdout


class Stock:
    """Requests that results can come for, made before they are needed."""

    def __init__(self, env: dict[str, str]) -> None:
        self.env, self.made = env, 0

    def need(self, up_to: float) -> None:
        missing = int(up_to) - self.made
        if missing <= 0:
            return
        seed(self.env, self.made, missing)
        with psycopg.connect(self.env["DATABASE_URL"]) as connection:
            connection.execute(
                "INSERT INTO drf_order (key) SELECT result_key FROM labs_labrequest "
                "ON CONFLICT DO NOTHING"
            )
            connection.execute(contract.STOCK)
        self.made += missing


def checked(server: Server, outcome: dict[str, Any], status: int = 201) -> dict[str, Any]:
    """The outcome, if every answer was that."""
    if set(outcome["statuses"]) != {str(status)}:
        raise SystemExit(f"({server.target.letter}) answered {outcome['statuses']}")
    return outcome


def rates(rounds: list[dict[str, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Medians over the rounds; `a_to_it` is of each round's own ratio, since a machine drifts."""
    return {
        letter: {
            "a_second": median(each[letter]["a_second"] for each in rounds),
            "a_to_it": median(each["a"]["a_second"] / each[letter]["a_second"] for each in rounds),
            "worker_cpu_ms": median(each[letter]["cpu_ms"][0] for each in rounds),
            "database_cpu_ms": median(each[letter]["cpu_ms"][1] for each in rounds),
            "p50_ms": median(percentile(each[letter]["latencies"], 50) for each in rounds),
            "p99_ms": median(percentile(each[letter]["latencies"], 99) for each in rounds),
        }
        for letter in rounds[0]
    }


def kinds(
    project: Server, tokens: list[str], seconds: float, stock: Stock, maximum: float
) -> dict[str, float]:
    """How fast (a) takes what is no new result of a request, as shares of its main rate."""
    # Only what was sent before can be corrected, or sent again.
    first, messages = project.next, int(maximum * seconds)
    stock.need(first + messages)
    checked(project, project.load(tokens, messages=messages))
    done = {}
    for kind, status in (("correction", 201), ("orphan", 201), ("duplicate", 200)):
        outcome = project.load(tokens, kind=kind, first=first, messages=messages)
        done[kind] = checked(project, outcome, status)["a_second"] / maximum
    return done


def latency(
    project: Server,
    tokens: list[str],
    options: argparse.Namespace,
    stock: Stock,
    maximum: float,
) -> dict[str, float]:
    stock.need(project.next + maximum * options.seconds * 2)
    rate = maximum * SHARE
    outcome = checked(project, project.load(tokens, seconds=options.seconds * 2, rate=rate))
    return {
        "share": SHARE,
        "p50_ms": percentile(outcome["latencies"], 50),
        "p99_ms": percentile(outcome["latencies"], 99),
    }


def memory(project: Server, tokens: list[str], results: int, stock: Stock) -> dict[str, float]:
    missing = results - project.next
    if missing > 0:
        stock.need(project.next + missing)
        checked(project, project.load(tokens, messages=missing))
    return {"results": project.next, "worker_mb": project.worker_megabytes()}


def percentile(ordered: list[float], percent: int) -> float:
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def table(found: dict[str, Any]) -> str:
    heads = "".join(f"{head:>8}" for head in ("a : it", "p50 ms", "p99 ms", "cpu ms", "db cpu"))
    lines = [f"{'':38} {'per second':>10}{heads}"]
    for target in TARGETS:
        if one := found["targets"].get(target.letter):
            lines.append(
                f"({target.letter}) {target.words:34} {one['a_second']:10.0f} "
                f"{one['a_to_it']:7.2f} {one['p50_ms']:7.1f} {one['p99_ms']:7.1f} "
                f"{one['worker_cpu_ms']:7.2f} {one['database_cpu_ms']:7.2f}"
            )
    lines += [f"(a) {kind}: {share:.2f} of it" for kind, share in found["kinds"].items()]
    at, held = found["latency"], found["memory"]
    lines.append(
        f"(a) at {at['share']:.0%} of its maximum: p50 {at['p50_ms']:.1f} ms, "
        f"p99 {at['p99_ms']:.1f} ms"
    )
    lines.append(f"(a) worker after {held['results']} results: {held['worker_mb']:.0f} MB")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()

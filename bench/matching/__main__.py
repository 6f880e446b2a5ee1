"""`python -m bench.matching --size 10000`: how well and how fast the matching finds the animal.

A database of its own (SQLite in a temporary folder, or DATABASE_URL), a made-up clinic of that
size, made-up orphans, the real queries. See bench/README.md.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

DAY = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)
SEED = 20260302


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.matching", description=__doc__)
    parser.add_argument("--size", type=int, default=10_000, help="animals of the clinic")
    parser.add_argument("--orphans", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--without-visits", action="store_true")
    parser.add_argument("--suites", type=int, default=0, metavar="N", help="N of each hard suite")
    parser.add_argument(
        "--automatic", type=int, default=0, metavar="N", help="until so many automatic matches"
    )
    parser.add_argument(
        "--own-ids-one-in",
        type=int,
        default=1,
        metavar="N",
        help="of results with their own animal's id rank one in N only (bench/matching/alone.py)",
    )
    parser.add_argument("--baselines", type=int, default=0, metavar="N", help="over N orphans")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-matching-") as folder:
        os.environ.setdefault("VAR_DIR", folder)
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pims.settings")
        found = run(given)
    if given.json:
        print(json.dumps(found))
    else:
        say(found)


def run(given: argparse.Namespace) -> dict[str, Any]:
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    from bench.matching import orphans, registry
    from bench.matching.load import load
    from bench.matching.measure import System

    start = time.perf_counter()
    made = registry.make(given.size, given.seed, DAY)
    clinic = load(made, visits=not given.without_visits)
    analyse()
    loaded = time.perf_counter() - start
    system = System(clinic, made)
    cases = orphans.make(made, given.orphans, given.seed + 1)
    before = resident()
    system.measure(cases[:5])  # the process reads the names once
    names = resident() - before
    outcome = system.measure(cases)
    found: dict[str, Any] = {
        "size": given.size,
        "visits": not given.without_visits,
        "database": database(),
        "load_seconds": round(loaded, 1),
        "names_mb": round(names),
        "scorer": outcome.report(),
        "wrong_and_sure": outcome.wrong,
    }
    if given.suites:
        found["suites"] = {}
        for name, suite in orphans.SUITES.items():
            hard = suite(made, random.Random(given.seed + 2), given.suites)
            found["suites"][name] = system.measure(hard).report()
    if given.automatic:
        from bench.matching import alone

        decided = alone.decide(
            system, made, given.seed + 3, given.automatic, one_in=given.own_ids_one_in
        )
        found["wrong_and_sure"] += decided.pop("wrong")
        found["automatic"] = decided
    if given.baselines:
        from bench.matching.baselines import ExactPoints, wratio

        animals = [animal for animal in made.animals if not animal.held_out]
        some = cases[: given.baselines]
        found["baselines"] = {
            "scorer": system.measure(some).all.shares(),
            "WRatio": wratio(animals, some).shares(),
            "agreeing fields counted": ExactPoints(animals).measure(some).shares(),
        }
    return found


def database() -> str:
    from django.db import connection

    return connection.vendor


def resident() -> float:
    """Megabytes of memory that this process holds; 0 where the system does not tell."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    except OSError:
        return 0.0
    return int(pages) * os.sysconf("SC_PAGE_SIZE") / 2**20


def analyse() -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def say(found: dict[str, Any]) -> None:
    def line(name: str, each: dict[str, Any]) -> None:
        print(
            f"{name:<38}{each['cases']:>7} {each['top1']:>7} {each['top3']:>7} "
            f"{each['top5']:>7} {each['mrr']:>8}"
        )

    scorer = found["scorer"]
    visits = "visits known" if found["visits"] else "no visits known"
    print(
        f"{found['size']:,} animals, {found['database']}, {visits}, in {found['load_seconds']} s\n"
    )
    print(f"{'':<38}{'cases':>7} {'top-1':>7} {'top-3':>7} {'top-5':>7} {'MRR':>8}")
    line("all", scorer)
    line("all that name an animal in any way", scorer["named"])
    for name, each in scorer["groups"].items():
        line(f"  {name}", each)
    for name, each in found.get("baselines", {}).items():
        line(f"{name}, over the same orphans", each)
    for title, each in (("all", scorer), *found.get("suites", {}).items()):
        print(
            f"{title}: certain {each['certain']}, wrong {each['certain_wrong']}; "
            f"P >= .99 {each['p99']}, wrong {each['p99_wrong']}; automatic {each['automatic']}, "
            f"wrong {each['automatic_wrong']}; top-1 {each['top1']} top-3 {each['top3']}; "
            f"nobody leads {each['nobody_led']} of {each['nobody_cases']}"
        )
    if each := found.get("automatic"):
        bound = 3 / max(1, each["automatic"])
        print(
            f"automatic: {each['automatic_wrong']} wrong of {each['automatic']} decisions on "
            f"{each['results']} results with an id (95 % bound 1 in {1 / bound:,.0f}); "
            f"{each['ranked']} ranked, {each['ranked_risky']} of them with another animal's id"
        )
    print(
        f"calibration error {scorer['calibration_error']}; milliseconds {scorer['ms']}, of the "
        f"processor {scorer['cpu_ms']}; the names take {found['names_mb']} MB"
    )
    for each in found["wrong_and_sure"][:20]:
        print("wrong:", json.dumps(each))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    main()

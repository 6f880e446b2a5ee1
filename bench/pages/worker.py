"""One size: loads it, then answers a line on stdin (the name of a page) by a line of JSON.

python -m bench.pages.worker RESULTS PATIENTS       under `pims.settings`, DATABASE_URL
"""

from __future__ import annotations

import json
import logging
import os
import random
import sys
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import django
from django.core.management import call_command

Addresses = dict[str, Callable[[], str]]


def main(results: int, patients: int) -> None:
    from django.db import connection
    from django.test import Client

    from bench.intake.processes import postmaster, seconds
    from bench.pages.load import load, loaded
    from labs.models import Clinic
    from tests.signed_in import force_login

    logging.disable(logging.INFO)
    call_command("migrate", verbosity=0)
    started = time.perf_counter()
    if not Clinic.objects.filter(public_id="bench").exists():
        load(results, patients)
    made = loaded()
    client = Client(raise_request_exception=False)
    force_login(client, made.admin)
    pages = addresses(made)
    server = postmaster(os.environ["DATABASE_URL"])
    say({"loaded": time.perf_counter() - started, "pages": list(pages)})
    for line in sys.stdin:
        address = pages[line.strip()]()
        statements = Count()
        before, cpu, theirs = time.perf_counter(), time.process_time(), seconds(server)
        with connection.execute_wrapper(statements):
            answer = client.get(address)
        say(
            {
                "wall": time.perf_counter() - before,
                "web": time.process_time() - cpu,
                "database": seconds(server) - theirs,
                "statements": statements.number,
                "sql": statements.seconds,
                "slowest": statements.slowest,
                "status": answer.status_code,
                "bytes": len(answer.content),
                "address": address,
            }
        )


class Count:
    """How many statements, how long they took, and which took longest."""

    def __init__(self) -> None:
        self.number, self.seconds, self.longest, self.slowest = 0, 0.0, 0.0, ""

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        before = time.perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            took = time.perf_counter() - before
            self.number += 1
            self.seconds += took
            if took > self.longest:
                self.longest = took
                cursor = context["cursor"]
                self.slowest = cursor.mogrify(sql, params) if hasattr(cursor, "mogrify") else sql


def say(what: dict[str, Any]) -> None:
    print(json.dumps(what, default=str), flush=True)


def addresses(made: Any) -> Addresses:
    """What each page is asked for; another record each time, the same ones at each size."""
    chance = random.Random(11)

    def of(things: list[Any]) -> Any:
        return chance.choice(things)

    def typed() -> str:
        """As at the counter: the beginning of a name, a typo, a phone number, an id, a chip."""
        animal = of(made.animals)
        name, surname = animal.name, animal.owner.last_name
        cut = name[: chance.randint(2, 5)]
        wrong = name[:2] + name[3:] if len(name) > 4 else name
        return str(
            of(
                [
                    cut,
                    name,
                    wrong,
                    surname,
                    f"{name} {surname[:4]}",
                    animal.patient_id,
                    animal.microchip,
                    animal.owner.phone[-8:],
                ]
            )
        )

    def patient(rest: str = "") -> str:
        return f"/patients/{of(made.heavy).uuid}/{rest}"

    return {
        "worklist": lambda: "/",
        "worklist, to review": lambda: "/?show=review",
        "worklist, filtered": lambda: "/?species=dog&mine=1",
        "navigation": lambda: "/nav/",
        "result": lambda: f"/requests/{of(made.requests)}/",
        "patient": patient,
        "trends": lambda: patient("trends/"),
        "report for the owner": lambda: f"/requests/{of(made.requests)}/report/",
        "patients": lambda: "/patients/",
        "patients, searched": lambda: f"/patients/?q={quote(typed())}",
        "search, on every page": lambda: f"/search/?q={quote(typed())}",
        "typeahead": lambda: f"/requests/new/patients/?q={quote(typed())}",
        "choose a patient": lambda: "/requests/new/",
        "unmatched": lambda: "/unmatched/",
        "unmatched, matched": lambda: "/unmatched/?state=matched",
        "matching": lambda: f"/unmatched/{of(made.orphans).uuid}/",
        "unmatched, history": lambda: f"/unmatched/{of(made.orphans).uuid}/history/",
        "unmatched, quality": lambda: "/unmatched/quality/",
        "alarms": lambda: "/alarms/",
        "owner": lambda: f"/owners/{of(made.heavy).owner.uuid}/",
        "merge": lambda: patient("merge/"),
        "type a result": lambda: patient("type/"),
        "move a request, searched": lambda: (
            f"/requests/{of(made.requests)}/move/?q={quote(typed())}"
        ),
        "reconciliation": lambda: "/reconciliation/",
        "messages": lambda: "/messages/",
        "messages, one": lambda: f"/messages/{of(made.messages)}/",
        "messages, quarantined": lambda: "/messages/?state=quarantined",
        "audit": lambda: "/audit/",
        "audit, of a patient": lambda: f"/audit/?patient={of(made.heavy).patient_id}",
        "audit, of a person": lambda: "/audit/?person=vet",
        "audit, a rare kind": lambda: "/audit/?kind=screen",
        "audit, of a day": lambda: "/audit/?first=2025-03-03&last=2025-03-03",
        "catalogue": lambda: "/catalogue/",
        "reference ranges": lambda: "/catalogue/ranges/",
        "critical limits": lambda: "/limits/",
        "codes": lambda: "/codes/",
        # Beside them the ordinary way: Django's own lists of the same rows.
        "admin: results": lambda: "/admin/labs/labresult/",
        "admin: requests": lambda: "/admin/labs/labrequest/",
        "admin: patients, searched": lambda: f"/admin/labs/patient/?q={quote(typed())}",
    }


if __name__ == "__main__":
    django.setup()
    main(int(sys.argv[1]), int(sys.argv[2]))

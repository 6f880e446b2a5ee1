"""A storm across the clinics' borders (I3): people and programs of each clinic with the ids, keys
and tokens of the others, at every address that takes one, against the real server. No answer holds
a word of another clinic, none of their rows changes, and what is theirs is answered like what never
was. 40,000 requests with FULL=1."""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import pytest

from pims import run
from tests.faults import stack as stacks
from tests.faults.stack import Stack

pytestmark = [pytest.mark.faults, pytest.mark.xdist_group("faults")]
THREADS = 4
ROLES = ("admin", "vet", "technician", "reception")
# What grows by whoever signs in, posts or is turned away, and holds no clinic's records.
CHANGING = {
    *("labs_vocabulary", "labs_namecount", "labs_tries", "labs_journalcheck", "labs_clinic"),
    *("django_session", "oauth2_provider_accesstoken", "heska_inboundclient"),
}
BORDERS = """
SELECT 'event ' || e.verb FROM labs_labevent e JOIN labs_membership m ON m.user_id = e.actor_id
  WHERE e.clinic_id IS NOT NULL GROUP BY e.id, e.verb, e.clinic_id
  HAVING NOT bool_or(m.clinic_id = e.clinic_id)
UNION ALL SELECT 'event of a patient' FROM labs_labevent e
  JOIN labs_patient p ON p.id = e.patient_id WHERE p.clinic_id <> e.clinic_id
UNION ALL SELECT 'request' FROM labs_labrequest r JOIN labs_patient p ON p.id = r.patient_id
  WHERE p.clinic_id <> r.clinic_id
UNION ALL SELECT 'owner' FROM labs_patient p JOIN labs_owner o ON o.id = p.owner_id
  WHERE p.clinic_id <> o.clinic_id
UNION ALL SELECT 'run' FROM labs_testrun t JOIN labs_labrequest r ON r.id = t.request_id
  WHERE t.clinic_id <> r.clinic_id
UNION ALL SELECT 'message' FROM labs_message m JOIN labs_labrequest r ON r.id = m.request_id
  WHERE m.clinic_id <> r.clinic_id
UNION ALL SELECT 'message and orphan' FROM labs_message m
  JOIN labs_unmatchedresult u ON u.id = m.unmatched_id WHERE m.clinic_id <> u.clinic_id
UNION ALL SELECT 'message and sender' FROM labs_message m
  JOIN oauth2_provider_application a ON a.client_id = m.sender
  JOIN heska_inboundclient i ON i.application_id = a.id WHERE m.clinic_id <> i.clinic_id
"""


@dataclass
class Borders:
    stack: Stack
    clinics: list[dict[str, Any]]
    addresses: list[dict[str, Any]]
    open: list[str]
    csrf: str
    tokens: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def borders() -> Iterator[Borders]:
    with stacks.running(clinics=1, requests=1, TOKEN_RATE_PER_MINUTE="100000") as stack:
        stack.postgres.configure("fsync", "off")
        done = subprocess.run(
            [sys.executable, "-m", "tests.faults.strangers"],
            env=stack.env,
            cwd=run.ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        made = Borders(stack, **json.loads(done.stdout.strip().splitlines()[-1]))
        stack.clinics = made.clinics
        stack.fetch_tokens()
        made.tokens = stack.tokens
        stack.postgres.query("ANALYZE")
        yield made


def snapshot(stack: Stack) -> dict[str, dict[int, str]]:
    """Each row's digest, of every table with rows of clinics."""
    tables = stack.postgres.query(
        "SELECT c.table_name FROM information_schema.columns c WHERE c.table_schema = 'public' "
        "AND c.column_name = 'id' AND (c.table_name LIKE 'labs_%' OR c.table_name LIKE 'heska_%' "
        "OR c.table_name IN ('auth_user', 'oauth2_provider_application'))"
    )
    return {
        name: dict(stack.postgres.query(f"SELECT t.id, md5(t::text) FROM {name} t"))
        for (name,) in tables
        if name not in CHANGING
    }


@dataclass
class Storm:
    borders: Borders
    missing: dict[tuple[str, str, str], int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    sent: int = 0
    seconds: float = 0.0

    def learn(self) -> None:
        """What a missing object is answered with, in each role."""
        with contextlib.closing(self.borders.stack.connect()) as line:
            for each in self.borders.addresses:
                for role in ROLES if _is_page(each) else ("program",):
                    status, _ = self.ask(line, each["method"], each["missing"], 0, role, {}, 1)
                    self.missing[each["name"], each["method"], role] = status

    def run(self, size: int, seed: int) -> None:
        began = time.monotonic()
        threads = [
            threading.Thread(target=self._worker, args=(size // THREADS, seed + number))
            for number in range(THREADS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.seconds = time.monotonic() - began

    def _worker(self, size: int, seed: int) -> None:
        chance = random.Random(seed)
        line = self.borders.stack.connect()
        for _ in range(size):
            try:
                self._one(line, chance)
            except (OSError, http.client.HTTPException) as error:
                self.faults.append(f"no answer: {type(error).__name__}")
                line.close()
                line = self.borders.stack.connect()
        line.close()

    def _one(self, line: http.client.HTTPConnection, chance: random.Random) -> None:
        own, other = chance.sample(range(len(self.borders.clinics)), 2)
        fields = self._fields(chance, other)
        if chance.random() < 0.2:
            # A page of one's own, asked for with what is the others'.
            address = chance.choice(self.borders.open)
            role = chance.choice(ROLES)
            self.ask(line, "GET", f"{address}?{urlencode(fields)}", own, role, {}, other)
            return
        each = chance.choice(self.borders.addresses)
        role = chance.choice(ROLES) if _is_page(each) else "program"
        address = each["of"][other]
        if each["kind"] == "client":  # another's client under one's own clinic's address
            theirs, mine = (self.borders.clinics[n]["public_id"] for n in (other, own))
            address = address.replace(theirs, mine)
        if chance.random() < 0.3 and each["method"] == "GET":
            address += f"?{urlencode(fields)}"
        status, _ = self.ask(line, each["method"], address, own, role, fields, other)
        like = self.missing[each["name"], each["method"], role]
        if status != like:
            # As that same form is answered for one that never was: some words are no form at all.
            gone = each["missing"] + address[len(each["of"][other]) :] * ("?" in address)
            like, _ = self.ask(line, each["method"], gone, own, role, fields, other)
        if status != like:
            what = f"{role} {each['method']} {each['name']}"
            self.faults.append(f"status: {what} of another clinic {status}, missing {like}")

    def _fields(self, chance: random.Random, other: int) -> dict[str, str]:
        """Names that our forms and addresses know, with the other clinic's ids."""
        clinic = self.borders.clinics[other]
        ids = [each for args in clinic["objects"].values() for each in args]
        names = (
            *("clinic", "patient", "request", "candidate", "unmatched", "version", "owner_id", "q"),
            *("id", "pk", "chosen", "ruled_out", "run", "page", "clinic__id__exact", "person", "a"),
            *("emergency", "typed_name", "patient_id", "reason", "e", "o", "_to_field", "next"),
        )
        picked = {name: chance.choice(ids) for name in chance.sample(names, 4)}
        return picked | {"clinic": clinic["public_id"], "csrfmiddlewaretoken": self.borders.csrf}

    def ask(
        self,
        line: http.client.HTTPConnection,
        method: str,
        address: str,
        own: int,
        role: str,
        fields: dict[str, str],
        other: int,
    ) -> tuple[int, bytes]:
        """As that clinic's person or program, and with the token of another at whatever looks at a
        cookie alone."""
        mine = self.borders.clinics[own]
        headers = {"Host": f"localhost:{self.borders.stack.port}"}
        body = b""
        if role == "program":
            headers["Authorization"] = f"Bearer {self.borders.tokens[own]}"
            headers["Cookie"] = f"session={self.borders.clinics[other]['sessions']['admin']}"
            headers["Content-Type"] = "application/json"
            body = json.dumps(
                {"ClinicId": fields.get("clinic"), "Tests": [], "n": self.sent}
            ).encode()
        else:
            headers["Authorization"] = f"Bearer {self.borders.tokens[other]}"
            session = mine["sessions"][role]
            headers["Cookie"] = f"session={session}; csrf={self.borders.csrf}"
            if method == "POST":
                headers["Content-Type"] = "application/x-www-form-urlencoded"
                body = urlencode(fields | {"csrfmiddlewaretoken": self.borders.csrf}).encode()
        line.request(method, address, body, headers)
        answer = line.getresponse()
        found = answer.read()
        self.sent += 1
        self.statuses[answer.status] += 1
        if answer.status >= 500:
            self.faults.append(f"{answer.status}: {role} {method} {address}")
        self._look(own, method, address, role, body, answer, found)
        return answer.status, found

    def _look(
        self, own: int, method: str, address: str, role: str, body: bytes, answer: Any, found: bytes
    ) -> None:
        text = found + str(answer.getheaders()).encode()
        carried = address.encode() + body
        for number, clinic in enumerate(self.borders.clinics):
            if number == own:
                continue
            for marker in clinic["markers"]:
                # What was asked with may be said again: the words of a search, an address.
                if marker.encode() in text and marker.encode() not in carried:
                    self.faults.append(f"leak: {role} {method} {address} tells {marker}")


def _is_page(each: dict[str, Any]) -> bool:
    return not each["name"].startswith("heska:")


def kinds(storm: Storm) -> Counter[str]:
    return Counter(fault.split(":")[0] for fault in storm.faults)


def own_pages_work(storm: Storm) -> None:
    """Else a storm in which nobody gets in would leak nothing."""
    with contextlib.closing(storm.borders.stack.connect()) as line:
        for number, clinic in enumerate(storm.borders.clinics):
            for each in storm.borders.addresses:
                if each["name"] in ("labs:patient", "labs:request", "labs:match", "labs:message"):
                    status, body = storm.ask(
                        line, each["method"], each["of"][number], number, "admin", {}, number
                    )
                    if each["method"] == "GET":
                        assert status == 200, (each["name"], status)
                        assert clinic["word"].encode() in body, each["name"]


def test_nothing_crosses_a_border(borders: Borders, full: bool) -> None:
    storm = Storm(borders)
    own_pages_work(storm)
    storm.learn()
    assert set(storm.missing.values()) >= {404}
    before = snapshot(borders.stack)
    assert sum(map(len, before.values())) > 200

    storm.run(40_000 if full else 1_500, seed=7)

    after = snapshot(borders.stack)
    changed = [
        f"{table} {pk}"
        for table, rows in before.items()
        for pk, digest in rows.items()
        if after[table].get(pk) != digest
    ]
    print(
        f"\nstrangers: {storm.sent} requests in {storm.seconds:.0f} s, "
        f"{len(borders.addresses)} addresses with an object, {len(borders.open)} without, "
        f"{sum(map(len, before.values()))} rows, statuses {dict(sorted(storm.statuses.items()))}, "
        f"faults {dict(kinds(storm))}, changed {len(changed)}"
    )
    print("\n".join(storm.faults[:40]), borders.stack.web.tail() if storm.faults else "")
    assert not storm.faults, storm.faults[:10]
    assert not changed, changed[:10]
    assert borders.stack.postgres.query(BORDERS) == []


@pytest.mark.parametrize(
    ("broken", "seen"),
    [
        ("no for_user", {"status"}),
        ("no for_user of patients", {"status"}),
    ],
)
def test_a_border_that_is_taken_away_is_seen(borders: Borders, broken: str, seen: set[str]) -> None:
    stack = borders.stack
    file = stack.directory / "sabotage"
    storm = Storm(borders)
    storm.learn()
    stack.restart(application="tests.faults.sabotage:application", SABOTAGE=str(file))
    try:
        file.write_text(broken)
        storm.run(600, seed=8)
    finally:
        file.unlink()
        stack.restart()
    assert seen <= set(kinds(storm)), kinds(storm)

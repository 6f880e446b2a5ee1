"""Nothing that is secret, and no owner's name, where nobody looks for it: logs of web, worker,
scheduler and PostgreSQL, tracebacks of a page and of a task that fail, what Celery and the cache
put into Redis, addresses, health answers; and no secret in a dump of the database."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import redis
import requests

from tests import servers
from tests.blackbox import test_round as round_
from tests.blackbox.installation import Installation, get_token, installation, until
from tests.blackbox.stand_in import Heska
from tests.faults.postgres import Postgres

pytestmark = [pytest.mark.faults, pytest.mark.xdist_group("faults")]
NAMES = ["Wilhelmina", "Zwanenburg", "Quackenbush", "555-0172-99", "zwan@canary.example"]
PASSWORD = "seven canaries in a row"
HEAD = "patient_id,name,species,owner_id,owner_first_name,owner_last_name,owner_phone,owner_email\n"
BROKEN = (
    # An insert, an update by a worker, filing a result: the database's own words repeat the row.
    "ALTER TABLE labs_owner ADD CONSTRAINT broken CHECK (phone <> 'x') NOT VALID",
    "ALTER TABLE labs_submission ADD CONSTRAINT broken CHECK (sent_body = '') NOT VALID",
    "ALTER TABLE labs_unmatchedresult ADD CONSTRAINT broken CHECK (state = '') NOT VALID",
)


@dataclass
class House:
    pims: Installation
    heska: Heska
    postgres: Postgres
    redis_url: str
    folder: Path
    secrets: dict[str, str] = field(default_factory=dict)
    said: list[bytes] = field(default_factory=list)

    def logs(self) -> str:
        var = Path(self.pims.env["VAR_DIR"])
        found = [*sorted((var / "log").glob("*")), var / "serve.log"]
        found.append(self.postgres.data.parents[1] / "postgresql.log")
        return "\n".join(path.read_text(errors="replace") for path in found)

    def broker(self) -> str:
        """All that went through Redis meanwhile, and what lies there now."""
        with redis.Redis.from_url(self.redis_url) as client:
            lying = [key + b" " + (client.dump(key) or b"") for key in client.scan_iter(count=1000)]
        return b"\n".join([*self.said, *lying]).decode("utf-8", "replace")

    def dump(self) -> str:
        tables = self.postgres.query(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
        )
        rows = [
            row
            for (name,) in tables
            for (row,) in self.postgres.query(f"SELECT t::text FROM {name} t")
        ]
        return "\n".join(rows) + self.pims.run("dumpdata").stdout

    def health(self) -> str:
        pages = [requests.get(self.pims.url + path, timeout=9) for path in ("/healthz", "/readyz")]
        told = "".join(page.text + str(page.headers) for page in pages)
        return told + self.pims.run("health").stdout + self.pims.run("health", "--json").stdout


def found(house: House) -> set[str]:
    """Which canary stands where."""
    secrets = list(house.secrets.items())
    names = [(name, name) for name in NAMES]
    places = [("log", house.logs(), [*secrets, *names]), ("redis", house.broker(), secrets + names)]
    places.append(("health", house.health(), secrets + names))
    # The session's key is one of Django's table; whoever reads that has the records, too.
    kept = [(name, value) for name, value in secrets if name != "session"]
    places.append(("dump", house.dump(), kept))
    return {f"{name} in {where}" for where, text, seeds in places for name, v in seeds if v in text}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("canary")
    heska = Heska()
    with pytest.MonkeyPatch.context() as patch, servers.running(redis=True) as env:
        for name, value in env.items():
            patch.setenv(name, value)
        postgres = Postgres(env["DATABASE_URL"])
        postgres.configure("log_error_verbosity", "terse")  # as README.md asks of an installation
        settings = {
            "HESKA_BASE_URL": heska.base_url,
            "HESKA_SUBSCRIPTION_KEY": heska.subscription_key,
        }
        with installation(folder, **settings) as pims:
            own = Postgres(pims.env["DATABASE_URL"])
            made = House(pims, heska, own, env["REDIS_URL"], folder)
            watch = redis.Redis.from_url(env["REDIS_URL"], socket_timeout=None)
            threading.Thread(target=_listen, args=(watch, made.said), daemon=True).start()
            live(made)
            yield made
            watch.close()
    heska.close()


def _listen(client: Any, said: list[bytes]) -> None:
    try:
        with client.monitor() as monitor:
            for command in monitor.listen():
                said.append(command["command"].encode())
    except (redis.RedisError, ValueError, OSError):
        return  # the server is gone


def live(house: House) -> None:
    """A day in which everything works, and then a page, a task and a filing that break."""
    pims, heska = house.pims, house.heska
    access = round_.set_up(pims, heska, house.folder)
    placed = round_.order(pims, heska)
    token = get_token(access)
    lines = f"P-1,Pip,dog,C-1,{NAMES[0]},{NAMES[1]},{NAMES[3]},{NAMES[4]}\n"
    (house.folder / "more.csv").write_text(HEAD + lines)
    pims.answer("import_patients", "--clinic", round_.CLINIC, str(house.folder / "more.csv"))
    who = ["--clinic", round_.CLINIC, "--username", "boss", "--role", "technician"]
    pims.answer("create_staff", *who, "--password-stdin", stdin=f"{PASSWORD}\n")
    house.postgres.query("UPDATE auth_user SET email = 'boss@example.com' WHERE username = 'boss'")
    for body in round_.results_of(placed)[:2]:
        round_.post(placed["result_endpoint"], body, token)
    orphan = round_.example("08-unmatched-callback.json")
    orphan["Client"] = {"FirstName": NAMES[0], "LastName": NAMES[1]}
    round_.post(access["unmatched_url"], orphan, token)
    browser = requests.Session()
    _form(browser, pims.url + "/login/", username="boss", password="not " + PASSWORD)
    _form(browser, pims.url + "/login/forgotten/", login="boss")
    mail = Path(pims.env["VAR_DIR"]) / "mail"
    link = until(lambda: _link(mail), "the mail with the link")
    browser.get(pims.url + link[0], timeout=9)
    _form(browser, pims.url + "/login/", username="boss", password=PASSWORD)
    assert browser.get(pims.url + "/search/", params={"q": NAMES[1]}, timeout=9).ok
    house.secrets |= {
        "client secret of Heska's": heska.client_secret,
        "subscription key": heska.subscription_key,
        "token out": heska.token,
        "token in": token,
        "client secret of ours": access["client_secret"],
        "encryption key": pims.env["FIELD_ENCRYPTION_KEYS"],
        "signing key": pims.env["SECRET_KEY"],
        "password": PASSWORD,
        "reset link": link[2],
        "session": browser.cookies["session"],
    }
    for sql in BROKEN:
        house.postgres.query(sql)
    owned = {"owner_first_name": NAMES[0], "owner_last_name": NAMES[2], "owner_phone": "x"}
    animal = {"name": "Xerxes", "species": "dog", "sex": "U", "neutered": "yes"}
    page = _form(browser, pims.url + "/patients/new/", **animal, **owned)
    told = re.findall(r"(?s)<(?:li|p)[^>]*>([^<]{5,200})", page.text)
    assert page.status_code == 500, told
    round_.post(
        access["unmatched_url"], orphan | {"MessageId": "another", "HeskaReportId": "9"}, token
    )
    pims.answer(
        *("place_request", "--clinic", round_.CLINIC, "--patient", "P-1", "--test", "HHEM-1")
    )
    until(lambda: "labs_submission" in house.logs(), "a task that fails")


def _link(mail: Path) -> re.Match[str] | None:
    """Of the letter with a new password's link; one about an alarm may come before it."""
    text = "".join(each.read_text() for each in mail.glob("*")).replace("=\n", "")
    return re.search(r"(/login/password/[^/\s]+/)([^/\s]+)/", text)


def _form(browser: requests.Session, address: str, **fields: str) -> requests.Response:
    """As a browser would: with what the page holds in hidden fields."""
    text = browser.get(address, timeout=20).text
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', text))
    assert "csrfmiddlewaretoken" in hidden, text[:300]
    return browser.post(address, hidden | fields, timeout=20)


def test_no_canary_is_anywhere(house: House) -> None:
    logs = house.logs()
    # What failed is there, with its traceback, and so the search has where to search.
    for table in ("labs_owner", "labs_submission", "labs_unmatchedresult"):
        assert re.search(rf'relation "{table}" violates check', logs), table
    assert logs.count("Traceback") >= 3
    assert any(b"deliver" in command for command in house.said)
    assert found(house) == set()


def test_one_that_is_there_is_found(house: House) -> None:
    secret, name = house.secrets["token in"], NAMES[1]
    with (Path(house.pims.env["VAR_DIR"]) / "log" / "web.log").open("a") as log:
        log.write(f"owner {name}, password {PASSWORD}\n")
    with redis.Redis.from_url(house.redis_url) as client:
        client.set("canary", secret)
    house.postgres.query("UPDATE labs_clinic SET address = %s", secret)
    seen = found(house)
    wanted = {f"{name} in log", "password in log", "token in in redis", "token in in dump"}
    assert wanted <= seen, seen

"""Brings database, static files and demo data up to date before the programs start. In one process,
and only what is needed, so that a second start is quick.
"""

from __future__ import annotations

import hashlib
import importlib
import io
import os
import sys
from typing import Any

import django
from django.conf import settings
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import Error, connection

from pims.preflight import Refused


def everything(*, demo: bool) -> None:
    """Raises Refused with one sentence when the settings, the database or the demo data do not
    allow a start.
    """
    # The settings then name the storage that hashes file names.
    os.environ["COLLECTING_STATIC"] = "1"
    try:
        read_settings()
        refuse_unsafe(include_deployment_checks=True)
        migrate()
        # What only the database knows: whether it keeps what it commits, and the audit's guard.
        refuse_unsafe(include_deployment_checks=True, databases=["default"], tags=["database"])
        collect_static()
        if demo:
            if not (settings.VAR_DIR / "demo").exists():
                say("Filling in the demo clinics.")
            # Fills the clinics in once; later it moves their dates and follows a changed port.
            call_command("seed_demo", stdout=io.StringIO())
        # What cannot be imported ends here, with its traceback. The web server would start its
        # worker processes again for ever, and nobody would see more than a page that never comes.
        importlib.import_module("pims.wsgi")
        connection.close()  # what is forked later must not share it
    except ImproperlyConfigured as error:
        raise Refused(str(error)) from error
    except CommandError as error:
        raise Refused(f"Could not prepare: {error}") from error
    except Error as error:
        reason = str(error).strip().splitlines()[0]
        raise Refused(
            f"The database cannot be used ({reason}). Check DATABASE_URL and that the server runs."
        ) from error


def read_settings() -> None:
    """Raises Refused where a setting cannot be read or cannot work, rather than start a server that
    fails at the first order."""
    try:
        django.setup()
    except (ValueError, KeyError, OSError) as error:
        raise Refused(f"A setting in the environment cannot be read: {error}") from error
    for message in run_checks():
        if message.is_serious():
            raise Refused(" ".join(filter(None, [str(message.msg), message.hint])))


def refuse_unsafe(**which: Any) -> None:
    """Raises Refused with a line for each error of the deployment checks, where it is a production
    installation. An id in SILENCED_SYSTEM_CHECKS is a risk that its operator takes."""
    if not settings.PRODUCTION:
        return
    found = [
        " ".join(filter(None, [f"{message.id}:", str(message.msg), message.hint]))
        for message in run_checks(**which)
        if message.is_serious() and not message.is_silenced()
    ]
    if found:
        raise Refused("\n".join(found))


def migrate() -> None:
    from django.db.migrations.executor import MigrationExecutor

    executor = MigrationExecutor(connection)
    if not executor.migration_plan(executor.loader.graph.leaf_nodes()):
        return
    say("Preparing the database.")
    if connection.vendor == "postgresql":
        with (
            connection.cursor() as cursor
        ):  # the limits are for requests; a migration may take its time
            cursor.execute("SET statement_timeout = 0")
    call_command("migrate", interactive=False, verbosity=0)


def collect_static() -> None:
    """Collect, unless names, sizes and times of all files are those of the last time."""
    from django.contrib.staticfiles.finders import get_finders

    facts = hashlib.sha256()
    for finder in get_finders():
        for path, storage in finder.list([]):
            stat = os.stat(storage.path(path))
            facts.update(f"{path}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    stamp = settings.STATIC_ROOT / ".collected"
    if stamp.exists() and stamp.read_text() == facts.hexdigest():
        return
    say("Collecting static files.")
    call_command("collectstatic", interactive=False, clear=True, verbosity=0)
    stamp.write_text(facts.hexdigest())


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)

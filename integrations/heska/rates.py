"""How much somebody has sent in this minute, counted over all processes of a machine.

The count is the length of a file: an append of one byte is atomic and tells its own place, costs
some microseconds, and hangs on nothing. A counter in Redis would make intake wait for a frozen one,
and a row in the database would make all that one sender posts wait for each other's commits.
"""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

from django.conf import settings

log = logging.getLogger(__name__)


def count(application: int, minute: int) -> int:
    """One more of this application in this minute; returns which one it is. 0 where it cannot be
    counted: a full disk must not keep results out."""
    folder = settings.VAR_DIR / "rates"
    name = f"{application}-{minute}"
    try:
        folder.mkdir(exist_ok=True)
        place = _append(folder / name)
        if place == 1:
            for old in folder.glob(f"{application}-*"):
                if old.name != name:
                    old.unlink(missing_ok=True)
    except OSError as error:
        log.warning("Nobody is counted: %s", type(error).__name__)
        return 0
    return place


def count_of_minute(kind: str, key: str, minute: int) -> int:
    """As `count`, where anybody can make up keys: all of a minute's lie in one folder, which goes
    when the next minute's comes. 0 where it cannot be counted."""
    folder = settings.VAR_DIR / "rates" / kind
    try:
        try:
            (folder / str(minute)).mkdir(parents=True)
        except FileExistsError:
            pass
        else:
            for old in folder.iterdir():
                # Of the minute before, another process may still count one.
                if old.name.isdecimal() and int(old.name) < minute - 1:
                    shutil.rmtree(old, ignore_errors=True)
        return _append(folder / str(minute) / key)
    except OSError as error:
        log.warning("Nobody is counted: %s", type(error).__name__)
        return 0


def _append(path: Path) -> int:
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, b".")
        return os.lseek(file, 0, os.SEEK_CUR)
    finally:
        os.close(file)

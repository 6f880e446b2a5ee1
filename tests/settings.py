"""`pims.settings` for the suite, with all state in a folder of its own: var/ is never touched.

A settings module, because nothing else of ours is read before pytest-django loads the settings.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

# One folder for a run; each process of pytest-xdist has its own inside it, and the first process
# takes the whole away.
_parent = os.environ.get("TEST_RUN_DIR")
os.environ["VAR_DIR"] = tempfile.mkdtemp(prefix="pims-tests-", dir=_parent)
if _parent is None:
    os.environ["TEST_RUN_DIR"] = os.environ["VAR_DIR"]
    atexit.register(shutil.rmtree, os.environ["VAR_DIR"], ignore_errors=True)
# What the developer's shell says about an installation is not about the suite.
for _name in list(os.environ):
    if _name.startswith("HESKA_") or _name in {
        *("DEBUG", "ALLOWED_HOSTS", "PUBLIC_BASE_URL", "PORT", "EMAIL_URL", "EMAIL_FROM"),
        *("INTAKE_MAX_BYTES", "INTAKE_RATE_PER_MINUTE", "FAILPOINT", "TRUSTED_PROXIES"),
        *("TOKEN_RATE_PER_MINUTE", "TOKEN_RATE_PER_MINUTE_PER_ADDRESS", "SILENCED_SYSTEM_CHECKS"),
        *("SECOND_FACTOR_REQUIRED", "SESSION_IDLE_MINUTES"),
    }:
        del os.environ[_name]

from pims.settings import *  # noqa: E402, F403 - after the environment is as it must be

# Each test has its token from the same address, some hundred a minute; test_token_rate.py sets what
# an installation has.
TOKEN_RATE_PER_MINUTE = TOKEN_RATE_PER_MINUTE_PER_ADDRESS = 1_000_000

# A password costs a quarter of a second on purpose; tests make hundreds.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher", *PASSWORD_HASHERS]  # noqa: F405
# Finds a static file when asked for it, instead of reading all of them for each test's client.
WHITENOISE_AUTOREFRESH = True
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":  # noqa: F405
    # A file, as in a real installation: in memory there is no WAL, and a live server's threads
    # would lock each other's tables.
    DATABASES["default"]["TEST"] = {"NAME": VAR_DIR / "test.sqlite3"}  # noqa: F405

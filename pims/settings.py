"""The one settings file. All configuration is environment; docs of each name: README.md.

A PostgreSQL DATABASE_URL makes it a production installation, which refuses to start without its own
secrets. Without one (a demo, a developer) secrets are generated once into VAR_DIR, so that no
secret, not even a demo one, is ever written in the source.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import environ
from cryptography.fernet import Fernet
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from pims import log

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.FileAwareEnv()

VAR_DIR = Path(env.str("VAR_DIR", default=str(BASE_DIR / "var"))).resolve()
DATABASE_URL = env.str("DATABASE_URL", default="")
REDIS_URL = env.str("REDIS_URL", default="")
PRODUCTION = DATABASE_URL.startswith(("postgres://", "postgresql://"))
if DATABASE_URL and not PRODUCTION and not DATABASE_URL.startswith("sqlite:"):
    raise ImproperlyConfigured(
        "DATABASE_URL names no database that is known here. "
        "Use postgresql://user:password@host/name, or leave it out for SQLite in VAR_DIR."
    )
DEBUG = env.bool("DEBUG", default=False)
PORT = env.int("PORT", default=8000)
PUBLIC_BASE_URL = env.str("PUBLIC_BASE_URL", default=f"http://localhost:{PORT}").rstrip("/")
_public = urlsplit(PUBLIC_BASE_URL)
HTTPS = _public.scheme == "https"


def secret(name: str, generate: Callable[[], str]) -> str:
    """The secret of that name from the environment, else one generated once into VAR_DIR.

    Raises ImproperlyConfigured in production, where several machines must share one value and a
    value that lies beside the database's own machine would be lost with it.
    """
    value: str = env.str(name, default="")
    if value:
        return value
    if PRODUCTION:
        raise ImproperlyConfigured(
            f"{name} is not set. With DATABASE_URL set this is a production installation: "
            f"give {name} (or {name}_FILE) in the environment."
        )
    path = VAR_DIR / "secrets" / name.lower()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        # O_EXCL: of two processes that start at once, one writes and the other reads.
        with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            file.write(generate())
    except FileExistsError:
        pass
    for _ in range(50):
        if value := path.read_text().strip():
            return value
    raise ImproperlyConfigured(f"{path} is empty. Delete it and start again.")


SECRET_KEY = secret("SECRET_KEY", lambda: secrets.token_urlsafe(50))
FIELD_ENCRYPTION_KEYS = [
    key.strip()
    for key in secret("FIELD_ENCRYPTION_KEYS", lambda: Fernet.generate_key().decode()).split(",")
    if key.strip()
]

LOGGING = log.config(debug=DEBUG)
# Ids of checks that are to stop no start: each is a risk that the operator takes.
SILENCED_SYSTEM_CHECKS = env.list("SILENCED_SYSTEM_CHECKS", default=[])

ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[])
if not ALLOWED_HOSTS:
    ALLOWED_HOSTS = [_public.hostname or "localhost"]
    if not PRODUCTION or not HTTPS:
        ALLOWED_HOSTS += ["localhost", "127.0.0.1", "[::1]"]
CSRF_TRUSTED_ORIGINS = [f"{_public.scheme}://{_public.netloc}"]

INSTALLED_APPS = [
    "pims.apps.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_htmx",
    "csp",
    "oauth2_provider",
    "rest_framework",
    "pims",
    "labs",
    "integrations.heska",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "pims.log.RequestLog",
    "pims.private.NoStore",
    "pims.text.NoNul",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "pims.idle.IdleSessions",
    "pims.proven.SecondFactor",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "pims.urls"
WSGI_APPLICATION = "pims.wsgi.application"
# A 301 for a missing slash loses a POST's body; every address is written out instead.
APPEND_SLASH = False

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
if DATABASE_URL:
    DATABASES = {"default": env.db_url_config(DATABASE_URL)}
else:
    VAR_DIR.mkdir(parents=True, exist_ok=True)
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": VAR_DIR / "db.sqlite3",
        }
    }
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # Measured: WAL without IMMEDIATE gives "database is locked" to 359 of 600 concurrent writers,
    # with it to none. synchronous=FULL because a 2xx to Heska means durable, and WAL with NORMAL
    # may lose the last commits when the power goes.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 5,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
    }
else:
    DATABASES["default"]["ENGINE"] = "pims.postgresql"
    DATABASES["default"]["CONN_MAX_AGE"] = 60
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    DATABASES["default"].setdefault("OPTIONS", {}).update(
        connect_timeout=3,
        options="-c statement_timeout=5s -c lock_timeout=3s",
        tcp_user_timeout=5000,
        # What comes again is planned once a connection: a third of PostgreSQL's work for a result.
        # A pooler in front of the database must then pool sessions.
        server_side_binding=True,
        prepare_threshold=3,
    )

if REDIS_URL:
    CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": REDIS_URL,
            "OPTIONS": {"socket_timeout": 0.3, "socket_connect_timeout": 0.3},
        }
    }

# NIST SP 800-63B: length and no common ones; no rule of composition, no expiry.
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "pims.passwords.PredictablePasswordValidator"},
]
AUTHENTICATION_BACKENDS = ["pims.proven.Backend"]
# Of clinics' administrators and operators. Without it only in a demo, whose administrator has no
# telephone to set up for a look around.
SECOND_FACTOR_REQUIRED = env.bool("SECOND_FACTOR_REQUIRED", default=True)
if PRODUCTION and not SECOND_FACTOR_REQUIRED:
    raise ImproperlyConfigured(
        "pims.E019: SECOND_FACTOR_REQUIRED is off, which is for the demo. With DATABASE_URL set "
        "this is a production installation: take SECOND_FACTOR_REQUIRED out of the environment."
    )
PASSWORD_RESET_TIMEOUT = 60 * 60  # of the link in a mail; labs/services/people/letters.py
LOGIN_URL = "/login/"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/login/"

LANGUAGE_CODE = "en-us"
# Django's default is America/Chicago, which would read a vendor's naive time as Chicago's.
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
# Hashed names once `collectstatic` has run; before that (a bare `runserver`, the tests) the files
# are served from where they lie.
_collected = not DEBUG and (STATIC_ROOT / "staticfiles.json").exists()
WHITENOISE_USE_FINDERS = not _collected
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if _collected or os.environ.get("COLLECTING_STATIC")
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}

EMAIL_TIMEOUT = 10  # a worker that tells administrators of refused credentials waits for it
_email = env.email_url("EMAIL_URL", default="") if env.str("EMAIL_URL", default="") else {}
if _email:
    vars().update(_email)
else:
    EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    EMAIL_FILE_PATH = VAR_DIR / "mail"

# Who our own mail is from; a mail server may refuse a sender that it does not know.
DEFAULT_FROM_EMAIL = env.str("EMAIL_FROM", default=f"lab@{_public.hostname or 'localhost'}")

SESSION_COOKIE_AGE = 12 * 60 * 60
# Where no clinic says it: at the sign-in, and for whoever works at none. See pims/idle.py.
SESSION_IDLE_MINUTES = env.int("SESSION_IDLE_MINUTES", default=30)
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_NAME = "__Host-session" if HTTPS else "session"
CSRF_COOKIE_NAME = "__Host-csrf" if HTTPS else "csrf"
CSRF_COOKIE_HTTPONLY = True
DEVICE_COOKIE_NAME = "__Host-device" if HTTPS else "device"  # labs/views/devices.py
WALL_COOKIE_NAME = "__Host-wall" if HTTPS else "wall"  # labs/views/wall.py
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
if HTTPS:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_SSL_REDIRECT = True
    # An API never redirects to https: the secret would already have crossed in clear (ASVS 4.1.2).
    SECURE_REDIRECT_EXEMPT = [r"^api/", r"^healthz$", r"^readyz$"]
    SECURE_HSTS_SECONDS = 365 * 24 * 60 * 60
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "connect-src": [SELF],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    }
}

# The largest result that is taken, with its attachments in base64; the intake view reads the stream
# itself and answers 413, this is the same limit for everything else.
INTAKE_MAX_BYTES = env.int("INTAKE_MAX_BYTES", default=25 * 1024 * 1024)
DATA_UPLOAD_MAX_MEMORY_SIZE = INTAKE_MAX_BYTES
# How long the audit is kept; until then the database refuses to delete a row of it.
AUDIT_RETENTION_DAYS = env.int("AUDIT_RETENTION_DAYS", default=6 * 365 + 2)
# Of one OAuth application on one machine; beyond it 429, and the sender comes again.
INTAKE_RATE_PER_MINUTE = env.int("INTAKE_RATE_PER_MINUTE", default=30_000)
# Token calls on one machine: of one OAuth client, and from one address.
TOKEN_RATE_PER_MINUTE = env.int("TOKEN_RATE_PER_MINUTE", default=10)
TOKEN_RATE_PER_MINUTE_PER_ADDRESS = env.int("TOKEN_RATE_PER_MINUTE_PER_ADDRESS", default=30)
# How many proxies of our own append to X-Forwarded-For: with https the one that ends TLS.
TRUSTED_PROXIES = env.int("TRUSTED_PROXIES", default=1 if HTTPS else 0)

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "EXCEPTION_HANDLER": "pims.problems.exception_handler",
    "UNAUTHENTICATED_USER": None,
}
# Not swapped; named because migrations ask for the setting itself.
OAUTH2_PROVIDER_APPLICATION_MODEL = "oauth2_provider.Application"
OAUTH2_PROVIDER = {
    "SCOPES": {"results:write": "Post laboratory results"},
    "DEFAULT_SCOPES": ["results:write"],
    "ACCESS_TOKEN_EXPIRE_SECONDS": 3600,
    "ALLOWED_GRANT_TYPES": ["client_credentials"],
    # A client's secret is 128 random characters, so few rounds are as safe as many: 14 ms of CPU
    # instead of 250 ms, which anybody could ask for without a password.
    "CLIENT_SECRET_HASHER": "client_secret",
    "COMPLIANT_BCP_RFC9700_TOKEN_STORAGE": True,
    "COMPLIANT_BCP_RFC9700_ACCESS_TOKEN_TRANSPORT": True,
    "COMPLIANT_BCP_RFC9700_PASSWORD_GRANT": True,
    "COMPLIANT_BCP_RFC9700_IMPLICIT_GRANT": True,
    # Doors that are shut anyway (client_credentials only), for the deployment checks.
    "COMPLIANT_BCP_RFC9700_PKCE_METHOD": True,
    "COMPLIANT_BCP_RFC9700_AUTHZ_RESPONSE_ISS": True,
    "REFRESH_TOKEN_REUSE_PROTECTION": True,
    "ALLOWED_REDIRECT_URI_SCHEMES": ["https"],
}
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
    "integrations.heska.hashers.ClientSecretHasher",
]

HESKA_BASE_URL = env.str("HESKA_BASE_URL", default="").rstrip("/")
HESKA_SUBSCRIPTION_KEY = env.str("HESKA_SUBSCRIPTION_KEY", default="")
# The other one while it is being replaced: asked with where Heska does not accept the first.
HESKA_SUBSCRIPTION_KEY_NEXT = env.str("HESKA_SUBSCRIPTION_KEY_NEXT", default="")
HESKA_TOKEN_PATH = env.str("HESKA_TOKEN_PATH", default="/oauth/token")
HESKA_SUBMIT_PATH = env.str("HESKA_SUBMIT_PATH", default="/labreports")
HESKA_TOKEN_ENCODING = env.str("HESKA_TOKEN_ENCODING", default="form")
HESKA_ALLOW_INSECURE = env.bool("HESKA_ALLOW_INSECURE", default=False)
# Said on every page, and on what is printed, unless it is production.
HESKA_ENVIRONMENT = env.str(
    "HESKA_ENVIRONMENT", default="demo" if HESKA_ALLOW_INSECURE else "production"
)

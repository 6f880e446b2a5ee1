from __future__ import annotations

from django.contrib.auth.hashers import PBKDF2PasswordHasher


class ClientSecretHasher(PBKDF2PasswordHasher):
    """For generated client secrets of 128 random characters only, never for people's passwords:
    guessing one is hopeless at any number of rounds, and the token endpoint runs this each time."""

    algorithm = "client_secret"
    iterations = 20_000

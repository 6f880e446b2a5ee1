"""Length counts, and what everybody tries first is refused; nothing else is asked."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError

GOOD = [
    "correct horse battery",
    "a-long-enough-secret",
    "long-enough-1",
    "ein ganz langer satz ohne ziffern",
    "ветеринарная клиника на углу",
    "zwölf zeichen mindestens und ein emoji 🐕",
    "X7$" * 3 + "unrelated words",
    "p" + "lain words " * 30,
]
BAD = [
    "short",
    "elevenchars",
    "passwordpassword",
    "Password1234!",
    "welcome20261",
    "!!!iloveyou123",
    "aaaaaaaaaaaa",
    "abcabcabcabc",
    "123456789012",
    "abcdefghijkl",
    "qwertyuiopasdf",
    "1qaz2wsx3edc" * 2,
    "------------",
    "dana.reed.1234",
]


@pytest.mark.parametrize("password", GOOD)
def test_taken(password: str) -> None:
    validate_password(password, User(username="dana.reed"))


@pytest.mark.parametrize("password", BAD)
def test_refused_with_words(password: str) -> None:
    with pytest.raises(ValidationError) as refused:
        validate_password(password, User(username="dana.reed"))
    assert all(message.endswith(".") for message in refused.value.messages)


def test_generated_ones_of_the_demo_are_taken() -> None:
    from integrations.heska.demo.practices import new_password

    for _ in range(200):
        validate_password(new_password(), User(username="dana"))

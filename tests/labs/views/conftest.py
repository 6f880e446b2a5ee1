"""alice owns what a test looks at, bob is her colleague, charlie works elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from labs.models import Clinic
from tests import factories


@pytest.fixture
def clinic(db: None) -> Clinic:
    return factories.make_clinic()


@pytest.fixture
def alice(clinic: Clinic) -> User:
    return factories.make_staff("technician", clinic=clinic, username="alice")


@pytest.fixture
def bob(clinic: Clinic) -> User:
    return factories.make_staff("vet", clinic=clinic, username="bob", first_name="Bob")


@pytest.fixture
def ada(clinic: Clinic) -> User:
    return factories.make_staff("admin", clinic=clinic, username="ada")


@pytest.fixture
def charlie(db: None) -> User:
    return factories.make_staff(
        "vet", clinic=factories.make_clinic("Harbour Animal Clinic"), username="charlie"
    )


@pytest.fixture
def signed_in() -> Callable[[User], Client]:
    def sign_in(user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return sign_in


@pytest.fixture
def still_clock() -> Iterator[None]:
    """Time stands: pages that show ages change with the minute."""
    with time_machine.travel(timezone.now(), tick=False):
        yield

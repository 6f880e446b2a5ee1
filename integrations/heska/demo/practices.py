"""The two demo clinics: their staff, analyzers and patients."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path

from django.contrib.auth.models import User

from integrations.heska.simulator.bodies import serial_number
from integrations.heska.simulator.catalogue import TESTS
from labs.models import Analyzer, Clinic, Role
from labs.services.clinics import create_clinic
from labs.services.people.staff import create_staff
from labs.services.registry.imports import import_patients

DATA = Path(__file__).parent / "data"


@dataclass(frozen=True)
class Person:
    username: str
    role: str
    first_name: str
    last_name: str

    @property
    def as_doctor(self) -> str:
        return f"{self.last_name}, {self.first_name}"


@dataclass(frozen=True)
class Practice:
    """`tests`: codes of the panels whose analyzers the clinic has."""

    public_id: str
    name: str
    timezone: str
    patients: str
    staff: tuple[Person, ...]
    tests: tuple[str, ...]

    def person(self, role: str) -> Person:
        return next(person for person in self.staff if person.role == role)


ELM = Practice(
    public_id="clinic-0042",
    name="Elm Street Veterinary Clinic",
    timezone="America/Denver",
    patients="elm.csv",
    staff=(
        Person("elm-tech", Role.TECHNICIAN, "Toni", "Tech"),
        Person("elm-vet", Role.VET, "Sam", "Sample"),
        Person("elm-admin", Role.ADMIN, "Alex", "Admin"),
    ),
    tests=tuple(TESTS),
)
OAK = Practice(
    public_id="clinic-0077",
    name="Oak Hollow Animal Hospital",
    timezone="America/New_York",
    patients="oak.csv",
    staff=(
        Person("oak-tech", Role.TECHNICIAN, "Tracy", "Tech"),
        Person("oak-vet", Role.VET, "Vera", "Vetsample"),
        Person("oak-admin", Role.ADMIN, "Ari", "Admin"),
    ),
    tests=("HHEM-1", "HDC-1", "HDC-3", "HTR-1", "HAIM-1"),
)
PRACTICES = (ELM, OAK)

WORDS = (
    *("amber", "basil", "cedar", "clove", "coral", "daisy", "fable", "fern", "fjord", "frost"),
    *("grove", "hazel", "heron", "iris", "ivory", "lemon", "lilac", "linen", "lotus", "maize"),
    *("mango", "maple", "mint", "moss", "north", "oasis", "ocean", "olive", "onyx", "opal"),
    *("otter", "pearl", "petal", "pine", "plum", "quail", "quartz", "raven", "reed", "river"),
    *("robin", "sable", "sage", "slate", "sorrel", "spruce", "stone", "sugar", "swift", "tansy"),
    *("teal", "thyme", "topaz", "tulip", "umber", "velvet", "walnut", "willow", "wren", "zephyr"),
)


def new_password() -> str:
    """Random for each installation, and short enough to be typed: about 25 bits, which is for a
    demo on one's own machine."""
    words = [secrets.choice(WORDS) for _ in range(2)]
    return "-".join([*words, f"{secrets.randbelow(10_000):04d}"])


@dataclass(frozen=True)
class Opened:
    """A practice as stored. `logins` go into VAR_DIR/demo/logins.json and nowhere else."""

    practice: Practice
    clinic: Clinic
    users: dict[str, User]
    logins: list[dict[str, str]]


def open_practice(practice: Practice) -> Opened:
    """Make clinic, staff, analyzers and patients, through the services and the import."""
    clinic = create_clinic(
        name=practice.name, timezone=practice.timezone, public_id=practice.public_id
    )
    users, logins = {}, []
    for person in practice.staff:
        password = new_password()
        users[person.role] = create_staff(
            clinic=clinic,
            username=person.username,
            role=person.role,
            password=password,
            first_name=person.first_name,
            last_name=person.last_name,
        )
        logins.append(login(practice, person, password))
    models = {test.model: test for test in map(TESTS.__getitem__, practice.tests)}
    Analyzer.objects.bulk_create(
        Analyzer(
            clinic=clinic,
            model=model,
            serial_number=serial_number(clinic.public_id, test),
            name="Lab bench 1",
        )
        for model, test in models.items()
    )
    import_patients(
        acting_user=None, clinic=clinic, content=(DATA / practice.patients).read_bytes()
    )
    return Opened(practice, clinic, users, logins)


def login(practice: Practice, person: Person, password: str) -> dict[str, str]:
    return {
        "username": person.username,
        "password": password,
        "role": Role(person.role).label,
        "clinic": practice.name,
    }


def new_passwords() -> list[dict[str, str]]:
    """Set every demo login's password anew: the file with the old ones is gone."""
    logins = []
    for practice in PRACTICES:
        for person in practice.staff:
            user = User.objects.get(username=person.username)
            password = new_password()
            user.set_password(password)
            user.save(update_fields=["password"])
            logins.append(login(practice, person, password))
    return logins

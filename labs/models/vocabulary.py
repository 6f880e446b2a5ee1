"""How many animals of a clinic bear each name. Kept in step by whatever writes animals and owners
(labs/models/patient.py), in the same transaction; `check_names` proves it.

One clinic's changes come one after another: each locks the clinic's row here, before it looks at
what it is about to change. So counts are exact, and a reader who knows one version needs only the
rows that are newer.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.db import models

from labs.keys import plain
from labs.querysets import ClinicQuerySet

BATCH = 500
# Of a patient, what is counted. The patient of test orders is no animal.
COLUMNS = ("name_key", "surname_key", "species", "breed", "is_test")
Tally = Counter[tuple[str, str]]


class Kind(models.TextChoices):
    NAME = "name", "Name"
    SURNAME = "surname", "Owner's surname"
    SPECIES = "species", "Species"
    BREED = "breed", "Breed"


class Vocabulary(models.Model):
    """A clinic's names as a whole: `version` grows with every change of any of them, and no version
    comes twice, not even where a transaction was rolled back."""

    clinic = models.OneToOneField("labs.Clinic", on_delete=models.CASCADE, primary_key=True)
    version = models.BigIntegerField(default=0)
    # When a name was last taken out altogether: who read before it reads all of them anew.
    forgotten = models.BigIntegerField(default=0)

    objects = ClinicQuerySet.as_manager()

    def __str__(self) -> str:
        return f"names of {self.clinic}"


class NameCount(models.Model):
    """One name and how many animals bear it; a name that none bears any more stays with 0.

    `key` is labs.keys.plain of it. `version`: the vocabulary's when the count changed last."""

    clinic = models.ForeignKey("labs.Clinic", on_delete=models.CASCADE, db_index=False)
    kind = models.CharField(max_length=8, choices=Kind.choices)
    key = models.CharField(max_length=200)
    count = models.IntegerField()
    version = models.BigIntegerField()

    objects = ClinicQuerySet.as_manager()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["clinic", "kind", "key"], name="name_counted_once"),
        )
        indexes = (models.Index(fields=["clinic", "version"], name="name_count_changes"),)

    def __str__(self) -> str:
        return f"{self.key}: {self.count}"


def lock(clinic_id: int) -> None:
    """Until the end of the transaction nobody else counts this clinic's names."""
    Vocabulary.objects.select_for_update().get_or_create(pk=clinic_id)


def tally(rows: Iterable[Sequence[Any]]) -> Tally:
    """What rows of COLUMNS add to the counts."""
    counts: Tally = Counter()
    for name, surname, species, breed, is_test in rows:
        if is_test:
            continue
        for kind, key in (
            (Kind.NAME, name),
            (Kind.SURNAME, surname),
            (Kind.SPECIES, species),
            (Kind.BREED, plain(breed)[:200]),
        ):
            if key:
                counts[kind.value, key] += 1
    return counts


def change(clinic_id: int, before: Tally, after: Tally) -> None:
    """Write the difference; the clinic is locked. Four statements for every 500 names."""
    after = Counter(after)
    after.subtract(before)
    changed = {pair: number for pair, number in after.items() if number}
    if not changed:
        return
    version = time.time_ns()
    fresh = []
    for kind in Kind.values:
        keys = sorted(key for each, key in changed if each == kind)
        for some in _batches(keys):
            known = dict(
                NameCount.objects.filter(clinic=clinic_id, kind=kind, key__in=some).values_list(
                    "key", "count"
                )
            )
            fresh += [
                NameCount(
                    clinic_id=clinic_id,
                    kind=kind,
                    key=key,
                    count=known.get(key, 0) + changed[kind, key],
                    version=version,
                )
                for key in some
            ]
    NameCount.objects.bulk_create(
        fresh,
        batch_size=BATCH,
        update_conflicts=True,
        unique_fields=["clinic", "kind", "key"],
        update_fields=["count", "version"],
    )
    Vocabulary.objects.filter(pk=clinic_id).update(version=version)


def forget(clinic_id: int, surname: str) -> None:
    """Take a surname that no animal bears any more out altogether; the clinic is locked."""
    gone, _ = NameCount.objects.filter(
        clinic=clinic_id, kind=Kind.SURNAME, key=surname, count=0
    ).delete()
    if gone:
        version = time.time_ns()
        Vocabulary.objects.filter(pk=clinic_id).update(version=version, forgotten=version)


def _batches(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), BATCH):
        yield values[start : start + BATCH]

"""What writes animals, owners and visits, singly and in bulk, so that the counted names and what an
animal is found by are always those of its record."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Max

from labs.models import vocabulary
from labs.models.vocabulary import BATCH, COLUMNS, Tally, tally
from labs.querysets import ClinicQuerySet

# A patient's column, and what is worked out from it.
DERIVED = {
    "name": "name_key",
    "owner": "surname_key",
    "owner_id": "surname_key",
    "patient_id": "id_key",
    "microchip": "chip_key",
}
# Of an owner likewise.
OF_OWNER = {"first_name": ("first_key",), "phone": ("phone_key", "phone_end")}
COUNTED = frozenset({"name", "owner", "owner_id", "species", "breed", "is_test", *COLUMNS})


def touching(names: Iterable[str], *, counted_only: bool = False) -> list[str]:
    """These columns of a patient with what is worked out from them; or those that are counted."""
    names = list(names)
    if counted_only:
        return [name for name in names if name in COUNTED]
    return list(dict.fromkeys([*names, *(DERIVED[name] for name in names if name in DERIVED)]))


def of_owner(names: Iterable[str]) -> list[str]:
    """These columns of an owner with what is worked out from them."""
    names = list(names)
    return list(dict.fromkeys([*names, *(key for n in names for key in OF_OWNER.get(n, ()))]))


Read = Callable[[], Iterable[Sequence[Any]]]


@contextmanager
def counted(clinics: Iterable[int], read: Read) -> Iterator[None]:
    """A transaction around a change: `read` gives (clinic, *COLUMNS) of the animals concerned,
    before it and after it."""
    with transaction.atomic():
        clinic_ids = sorted(set(clinics))
        for clinic_id in clinic_ids:
            vocabulary.lock(clinic_id)
        before = _tallies(read())
        yield
        after = _tallies(read())
        for clinic_id in clinic_ids:
            vocabulary.change(
                clinic_id, before.get(clinic_id, Tally()), after.get(clinic_id, Tally())
            )


def _tallies(rows: Iterable[Sequence[Any]]) -> dict[int, Tally]:
    found: dict[int, list[Sequence[Any]]] = {}
    for clinic_id, *columns in rows:
        found.setdefault(clinic_id, []).append(columns)
    return {clinic_id: tally(each) for clinic_id, each in found.items()}


def _some(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), BATCH):
        yield values[start : start + BATCH]


class PatientRows(ClinicQuerySet):
    def _read(self, column: str, values: Sequence[Any], **where: Any) -> Iterator[Sequence[Any]]:
        rows = self.model._default_manager.filter(**where).order_by()
        for some in _some(values):
            found = rows.filter(**{f"{column}__in": some})
            yield from found.values_list("clinic_id", *COLUMNS)

    def counts_of(self, pk: int | None) -> Iterable[Sequence[Any]]:
        """What that one adds to the counts, as it is stored."""
        return self._read("pk", [pk] if pk else [])

    def update(self, **values: Any) -> int:
        """Also what is worked out from the columns. Names by expression are refused: nobody could
        work out what they are found by."""
        if not any(name in COUNTED or name in DERIVED for name in values):
            return super().update(**values)
        for name in DERIVED:
            if hasattr(values.get(name), "resolve_expression"):
                raise TypeError(f"Write {name} as a value, or row by row.")
        sample = self.model(**{name: values[name] for name in DERIVED if name in values})
        for name in DERIVED:
            if name in values:
                values[DERIVED[name]] = getattr(sample, f"derive_{DERIVED[name]}")()
        with transaction.atomic():
            pks = list(self.order_by().values_list("pk", flat=True))
            clinics = set(self.order_by().values_list("clinic_id", flat=True).distinct())
            with counted(clinics, lambda: self._read("pk", pks)):
                return super().update(**values)

    update.alters_data = True  # type: ignore[attr-defined]

    def delete(self) -> tuple[int, dict[str, int]]:
        pks = list(self.order_by().values_list("pk", flat=True))
        clinics = set(self.order_by().values_list("clinic_id", flat=True).distinct())
        with counted(clinics, lambda: self._read("pk", pks)):
            return super().delete()

    delete.alters_data = True  # type: ignore[attr-defined]
    delete.queryset_only = True  # type: ignore[attr-defined]

    def bulk_create(self, objs: Iterable[Any], *args: Any, **kwargs: Any) -> list[Any]:
        """Upserts too. The owners of rows that know only an owner's number are read in bulk."""
        objs = list(objs)
        if kwargs.get("update_fields"):
            kwargs["update_fields"] = touching(kwargs["update_fields"])
        self._owners_of(objs)
        ids = list({obj.patient_id for obj in objs})
        clinics = {obj.clinic_id for obj in objs}
        made: list[Any] = []

        def read() -> Iterator[Sequence[Any]]:
            # What is written has its key by now. By the clinic and their ids PostgreSQL would look
            # through the whole clinic for every 500 of a first import, whose rows it has not
            # counted yet.
            if made and all(obj.pk for obj in made):
                return self._read("pk", [obj.pk for obj in made])
            return self._read("patient_id", ids, clinic__in=clinics)

        with counted(clinics, read):
            made += super().bulk_create(objs, *args, **kwargs)
        return made

    def _owners_of(self, objs: Sequence[Any]) -> None:
        field = self.model._meta.get_field("owner")
        bare = [obj for obj in objs if obj.owner_id and not field.is_cached(obj)]
        owners: dict[int, Any] = {}
        for some in _some(list({obj.owner_id for obj in bare})):
            owners |= field.related_model._default_manager.in_bulk(some)
        for obj in bare:
            obj.owner = owners[obj.owner_id]

    def heard_of(self, when: Mapping[int, datetime]) -> None:
        """Of patients by their key: a visit or request at that time. Costs two statements and one
        for every moment."""
        later: dict[datetime, list[int]] = {}
        for some in _some(list(when)):
            for pk, known in self.filter(pk__in=some).values_list("pk", "latest_visit"):
                if known is None or known < when[pk]:
                    later.setdefault(when[pk], []).append(pk)
        for at, pks in later.items():
            for some in _some(pks):
                self.filter(pk__in=some).update(latest_visit=at)

    def not_heard_of(self, pk: int, when: datetime) -> None:
        """What was heard at that time turned out to be of another animal: back to what is left, its
        visits and the requests that were not cancelled."""
        known = self.filter(pk=pk, latest_visit=when)
        visits = known.aggregate(at=Max("visit__at"))
        requests = known.filter(labrequest__cancelled_at=None).aggregate(
            at=Max("labrequest__requested_at")
        )
        left = filter(None, (visits["at"], requests["at"]))
        known.update(latest_visit=max(left, default=None))


class OwnerRows(ClinicQuerySet):
    def update(self, **values: Any) -> int:
        """As of patients: names and phone numbers are values."""
        for name in OF_OWNER.keys() & values.keys():
            if hasattr(values[name], "resolve_expression"):
                raise TypeError(f"Write {name} as a value, or row by row.")
            sample = self.model(**{name: values[name]})
            values |= {key: getattr(sample, f"derive_{key}")() for key in OF_OWNER[name]}
        if not {"last_name", "first_name"} & set(values):
            return super().update(**values)
        with transaction.atomic():
            pks = list(self.order_by().values_list("pk", flat=True))
            changed = super().update(**values)
            for some in _some(pks):
                self.pass_on(self.model._default_manager.filter(pk__in=some))
        return changed

    update.alters_data = True  # type: ignore[attr-defined]

    def bulk_create(self, objs: Iterable[Any], *args: Any, **kwargs: Any) -> list[Any]:
        objs = list(objs)
        if kwargs.get("update_fields"):
            kwargs["update_fields"] = of_owner(kwargs["update_fields"])
        with transaction.atomic():
            made = super().bulk_create(objs, *args, **kwargs)
            if kwargs.get("update_conflicts"):
                self.pass_on(made)
        return made

    def pass_on(self, owners: Iterable[Any]) -> None:
        """Give these owners' animals the surname that they are found by."""
        keys = {owner.pk: owner.surname_key for owner in owners}
        patients = self.model._meta.get_field("patient").related_model._default_manager
        for some in _some(list(keys)):
            stale: dict[str, list[int]] = {}
            rows = patients.filter(owner__in=some).order_by()
            for pk, owner, key in rows.values_list("pk", "owner_id", "surname_key"):
                if key != keys[owner]:
                    stale.setdefault(keys[owner], []).append(pk)
            for key, pks in stale.items():
                patients.filter(pk__in=pks).update(surname_key=key)


class VisitRows(ClinicQuerySet):
    def bulk_create(self, objs: Iterable[Any], *args: Any, **kwargs: Any) -> list[Any]:
        objs = list(objs)
        latest: dict[int, datetime] = {}
        for visit in objs:
            latest[visit.patient_id] = max(visit.at, latest.get(visit.patient_id, visit.at))
        with transaction.atomic():
            made = super().bulk_create(objs, *args, **kwargs)
            field = self.model._meta.get_field("patient")
            field.related_model._default_manager.heard_of(latest)
        return made

"""A litter: animals without names yet, each with an id and told apart by what it wears."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING
from uuid import UUID

from labs.errors import InvalidInput
from labs.models import Clinic, Owner, Patient
from labs.services.registry import adding, patients

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def add_litter(
    *,
    acting_user: User | None,
    clinic: Clinic,
    owner: Owner,
    stem: str,
    marks: Sequence[str],
    species: str,
    breed: str = "",
    birth_date: date | None = None,
    form_key: UUID | None = None,
) -> list[Patient]:
    """One animal for each mark, called by both (“Luna pup red”), all or none; each is renamed when
    it has a name. `form_key`: sent twice it adds them once.

    Raises InvalidInput without a mark, for an owner of another clinic or a value that does not fit;
    SentBefore, NotAllowed.
    """
    names = [f"{stem.strip()} {mark.strip()}" for mark in marks]
    if not names:
        raise InvalidInput("Give a collar or mark for each of them.")

    def add() -> list[Patient]:
        return [
            patients.create_patient(
                acting_user=acting_user,
                clinic=clinic,
                name=name,
                species=species,
                owner=owner,
                breed=breed.strip(),
                birth_date=birth_date,
                form_key=adding.key_of(form_key, number),
            )
            for number, name in enumerate(names)
        ]

    def says(made: list[Patient]) -> bool:
        return [each.name for each in made] == names and {each.owner for each in made} == {owner}

    return adding.once(
        acting_user=acting_user, clinic=clinic, form_key=form_key, add=add, says=says
    )

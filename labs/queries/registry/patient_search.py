"""Which animals fit what a person types: each word begins the animal's name, its owner's first name
or surname, an id, a chip or a phone number (those also by their last digits). Where too few fit, a
letter or two may be wrong.

Each way to find an animal is one range of an ordinary index, so that 100,000 animals cost as much
as a hundred; wrong letters are looked for among the distinct names (labs/matching/names.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Case, F, Q, QuerySet, Value, When

from labs.keys import chip_key, id_key, phone_key, plain, stored_id
from labs.matching.hypotheses import Registry
from labs.models import Owner, Patient
from labs.queries.orphaned.vocabulary import registry_of
from labs.queries.paging import Page

WORDS = 6
# Of names with wrong letters, and of owners whom one word names: enough to fill a page.
NAMES, OWNERS = 60, 1000
# Fewer digits are in every number.
SHORTEST_NUMBER = 3
NUMBER = re.compile(r"[\d\s()+./-]+")


@dataclass
class Word:
    text: str
    owners: list[int] = field(default_factory=list)
    # Records into which others were merged that this word names.
    merged: list[int] = field(default_factory=list)

    @property
    def key(self) -> str:
        return plain(self.text)

    @property
    def digits(self) -> str:
        return phone_key(self.text) if NUMBER.fullmatch(self.text) else ""


def words_of(text: str) -> list[Word]:
    """A phone number or chip is one word however it is broken up."""
    bare = text.replace(",", " ").strip()
    if NUMBER.fullmatch(bare):
        bare = "".join(c for c in bare if c.isdigit())
    found = [word for word in map(Word, bare.split()) if word.key]
    return found[:WORDS]


def find(clinic_id: int, rows: QuerySet[Any], text: str, number: int, size: int) -> Page[int]:
    """Keys of those of `rows`, all of that clinic, that fit: who is called so first, then who was
    here last. Four statements and one for each word, one more where wrong letters are allowed; and
    another for each word where records were merged."""
    words = words_of(text)
    if not words:
        return Page(rows=[], number=number, more=False, size=size)
    registry = registry_of(clinic_id)
    merged = Patient.objects.filter(clinic=clinic_id, merged_into__isnull=False).order_by()
    anything = merged.exists()
    for word in words:
        word.owners = _owners(clinic_id, word)
        if anything:
            said = _fits(word, registry, by_name=False, roughly=False)
            word.merged = list(merged.filter(said).values_list("merged_into", flat=True)[:OWNERS])
    exactly = _all(words, registry)
    found = _keys(rows, exactly, exactly, words[0], number, size)
    letters = any(len(word.key) > 2 and not word.digits for word in words)
    if letters and (len(found) < size if number == 1 else not found):
        roughly = _all(words, registry, roughly=True)
        found = _keys(rows, roughly, exactly, words[0], number, size)
    return Page(rows=found[:size], number=number, more=len(found) > size, size=size)


def _keys(
    rows: QuerySet[Any], wanted: Q, exactly: Q, first: Word, number: int, size: int
) -> list[int]:
    """One more than a page, to know whether there is another."""
    called = Q(name_key=first.key) | Q(surname_key=first.key) | Q(id_key=stored_id(first.text))
    start = (number - 1) * size
    ordered = (
        rows.filter(wanted)
        .annotate(rank=Case(When(called, then=0), When(exactly, then=1), default=Value(2)))
        .order_by("rank", F("latest_visit").desc(nulls_last=True), "name", "pk")
    )
    return list(ordered.values_list("pk", flat=True)[start : start + size + 1])


def _owners(clinic_id: int, word: Word) -> list[int]:
    """Those whose first name or number it begins, or whose number it ends."""
    wanted = Q(first_key__startswith=word.key)
    if len(word.digits) >= SHORTEST_NUMBER:
        wanted = Q(phone_key__startswith=word.digits) | Q(phone_end__startswith=word.digits[::-1])
    owners = Owner.objects.filter(wanted, clinic=clinic_id).order_by()
    return list(owners.values_list("pk", flat=True)[:OWNERS])


def _all(words: Iterable[Word], registry: Registry, *, roughly: bool = False) -> Q:
    words = list(words)
    many = [word for word in words if len(word.owners) >= OWNERS]
    fits = Q()
    for word in words:
        # Of a first name that a thousand owners bear, the other words say which of them.
        by_name = word in many and len(many) < len(words)
        fits &= _fits(word, registry, by_name=by_name, roughly=roughly)
    return fits


def _fits(word: Word, registry: Registry, *, by_name: bool, roughly: bool) -> Q:
    key, digits = word.key, word.digits
    fits = Q(name_key__startswith=key) | Q(surname_key__startswith=key) | Q(pk__in=word.merged)
    fits |= Q(owner__first_key__startswith=key) if by_name else Q(owner__in=word.owners)
    if names := registry.names.with_word(key):
        fits |= Q(name_key__in=names[:NAMES])
    if surnames := registry.surnames.with_word(key):
        fits |= Q(surname_key__in=surnames[:NAMES])
    if any(c.isdigit() for c in key):
        # `k977` may be `K9-77`, which has two numbers, or `K-977`, of which the number is kept.
        fits |= Q(id_key__startswith=stored_id(word.text)) | Q(id_key__startswith=id_key(word.text))
        fits |= Q(chip_key__startswith=chip_key(word.text) or key)
    else:
        fits |= Q(id_key__startswith=id_key(word.text) or key)
    if roughly and not digits:
        fits |= Q(name_key__in=registry.names.beginning_nearly(key)[:NAMES])
        fits |= Q(surname_key__in=registry.surnames.beginning_nearly(key)[:NAMES])
    return fits

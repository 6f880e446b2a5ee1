"""The ways to read the names that were typed: as the fields ask, exchanged, or both in one. Each is
tried on every candidate, the best one wins, and the screen says which it was. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from labs.matching import reading
from labs.matching.names import SHORTEST_LIMIT, Levels, Vocabulary, surname_levels
from labs.matching.weights import NAME, READINGS, SURNAME

TYPED, SWAPPED, JOINED, SURNAME_FIRST, NAME_AS_ID, ID_AS_NAME = (
    *("typed", "swapped", "joined", "surname_first", "name_as_id"),
    "id_as_name",
)
WORDS = {
    TYPED: "",
    SWAPPED: "name and surname exchanged",
    JOINED: "surname typed with the name",
    SURNAME_FIRST: "surname typed before the name",
    NAME_AS_ID: "name typed as the patient id",
    ID_AS_NAME: "patient id typed as the name",
}
MOST_WORDS = 4


@dataclass(frozen=True, kw_only=True)
class Reading:
    """`name` and `surname` as this way reads them; no levels where it reads none."""

    key: str
    name: str
    surname: str
    names: Levels | None
    surnames: Levels | None
    prior: float = 0.0

    @property
    def words(self) -> str:
        return WORDS[self.key]


class Registry:
    """What of a clinic's records the scoring needs: names, surnames, and how common the rest is."""

    def __init__(
        self,
        names: Vocabulary,
        surnames: Vocabulary,
        species: Mapping[str, int] | None = None,
        breeds: Mapping[str, int] | None = None,
        total: int | None = None,
    ) -> None:
        self.names, self.surnames = names, surnames
        self.species, self.breeds = dict(species or {}), dict(breeds or {})
        self._total = total

    @property
    def total(self) -> int:
        """Animals, also those without an owner."""
        return max(1, self.names.total if self._total is None else self._total)


def readings_of(
    typed: Mapping[str, str], registry: Registry, ignored: frozenset[str] = frozenset()
) -> list[Reading]:
    """`typed` is labs.report.Identity, texts stripped; `ignored` is plain text that says nothing
    here, such as the clinic's own name."""
    name, surname = (
        _said(typed.get(key, ""), ignored) for key in ("patient_name", "owner_last_name")
    )
    raw_name = typed.get("patient_name", "")
    if not surname:
        # One field asks for "owner" as a whole on some analyzers.
        surname = _said(typed.get("owner_first_name", ""), ignored) if not name else ""
    ways = _Ways(registry)
    found = [ways.read(TYPED, name, surname, weak=True)]
    if name and surname:
        found.append(ways.read(SWAPPED, surname, name))
    elif surname and not name:
        # Only the owner's field is filled: it may hold the animal's name as well.
        found.append(ways.read(SWAPPED, surname, ""))
    joined, raw = (name, raw_name) if not surname else ("", "")
    if surname and not name:
        joined, raw = surname, typed.get("owner_last_name", "")
    for first, last in _splits(joined):
        cut = len(raw.strip()) >= SHORTEST_LIMIT
        found.append(ways.read(JOINED, first, last, cut=cut))
        found.append(ways.read(SURNAME_FIRST, last, first, cut=cut))
    typed_id = typed.get("patient_id", "")
    if not name and typed_id and not any(c.isdigit() for c in typed_id):
        as_name = _said(typed_id, ignored)
        if as_name:
            found.append(ways.read(NAME_AS_ID, as_name, surname))
    return found


class _Ways:
    """Looks each text up in each vocabulary once."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.known: dict[tuple[str, str, bool, bool], Levels] = {}

    def read(
        self, key: str, name: str, surname: str, *, weak: bool = False, cut: bool = False
    ) -> Reading:
        return Reading(
            key=key,
            name=name,
            surname=surname,
            names=self._look("names", name, weak, cut and key == SURNAME_FIRST),
            surnames=self._look("surnames", surname, weak, cut and key == JOINED),
            prior=READINGS[key],
        )

    def _look(self, where: str, text: str, weak: bool, cut: bool) -> Levels | None:
        if not text:
            return None
        known = self.known.get((where, text, weak, cut))
        if known is None:
            if where == "names":
                found = self.registry.names.classify(text, weak=weak, cut_from=1 if cut else 3)
                known = found.weigh(NAME)
            else:
                found = self.registry.surnames.classify(text, weak=weak, cut_from=1 if cut else 3)
                known = surname_levels(found, SURNAME)
            self.known[where, text, weak, cut] = known
        return known


def _said(text: str, ignored: frozenset[str]) -> str:
    if reading.is_placeholder(text):
        return ""
    plain = reading.plain(text)
    return "" if plain in ignored else plain


def _splits(text: str) -> Iterator[tuple[str, str]]:
    words = text.split()
    if len(words) > MOST_WORDS:
        return
    for place in range(1, len(words)):
        yield " ".join(words[:place]), " ".join(words[place:])

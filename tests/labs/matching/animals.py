"""Registries and orphans for tests of the matching, without a database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from labs.keys import plain
from labs.matching.hypotheses import Registry
from labs.matching.names import Vocabulary
from labs.matching.score import Ranking, rank
from labs.matching.sides import OnFile, Orphan, Surroundings

AT = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)
# So many other animals, none of whom is called like anybody in a test.
CROWD = 9_000


def animal(key: int, name: str, surname: str = "Example", **fields: Any) -> OnFile:
    fields = {"patient_id": f"P-{10_000 + key}", "species": "dog", "household": key, **fields}
    return OnFile(key=key, name=name, owner_last_name=surname, **fields)


def registry(animals: Iterable[OnFile], crowd: int = CROWD, **more: int) -> Registry:
    """Those animals among a crowd; `more` are further animals of a name."""
    animals = list(animals)
    names = Counter(plain(each.name) for each in animals) + Counter(more)
    surnames = Counter(plain(each.owner_last_name) for each in animals)
    crowd_names = {f"qqx{number}": 1 for number in range(30)} | {"zzyyxx": max(0, crowd - 30)}
    return Registry(
        Vocabulary({**crowd_names, **{key: n for key, n in names.items() if key}}),
        Vocabulary({**crowd_names, **{key: n for key, n in surnames.items() if key}}),
        {"dog": (crowd + len(animals)) * 6 // 10, "cat": (crowd + len(animals)) * 4 // 10},
        total=crowd + len(animals) + sum(more.values()),
    )


def ranked(typed: dict[str, Any], animals: Iterable[OnFile], **around: Any) -> Ranking:
    more = around.pop("more", {})
    animals = list(animals)
    orphan = Orphan(typed, registry(animals, **more), Surroundings(**{"at": AT, **around}))
    return rank(orphan, animals)


def keys(ranking: Ranking) -> list[int]:
    return [each.animal.key for each in ranking.found]

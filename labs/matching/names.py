"""The distinct names of a clinic's registry, and how a typed text stands to each of them. Pure.

The work grows with the names and not with the animals: 1,000,000 animals have about 130,000.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from math import log2

from rapidfuzz import process
from rapidfuzz.distance import OSA, JaroWinkler

from labs.matching import nicknames
from labs.matching.letters import Letters, least_common
from labs.matching.weights import (
    ELSEWHERE,
    ELSEWHERE_SHARE,
    SURNAME_PART_CAP,
    VARIANTS,
    WEAK_LIKENESS,
)

EXACT, NEAR, CUT, PART, NICKNAME, WEAK, DIFFERS = (
    *("exact", "near", "cut", "part", "nickname", "weak"),
    "differs",
)
# Analyzers keep between 8 and 20 characters of a text.
SHORTEST_LIMIT = 8


def edits(length: int) -> int:
    """How many wrong letters a name of that many may have and still be near."""
    return 0 if length < 3 else 1 if length <= 6 else 2


class Levels:
    """How a typed text stands to every name of a vocabulary: `of` gives the level of each name that
    does not simply differ, `counts` how many animals each level has."""

    __slots__ = ("_bits", "counts", "of", "total")

    def __init__(self, of: dict[str, str], counts: dict[str, int], total: int) -> None:
        self.of, self.counts, self.total = of, counts, total
        self._bits: dict[str, float] = {}

    def weigh(self, m: Mapping[str, float], *, part_cap: float | None = None) -> Levels:
        """With bits for each level: log2 of `m` over the exact share of the registry that reads so.
        Next to a name that is typed exactly, a level of less is worth less (VARIANTS)."""
        total = self.total + ELSEWHERE
        by_chance = ELSEWHERE * ELSEWHERE_SHARE
        differing = total - sum(self.counts.values()) - by_chance
        for level, often in m.items():
            if not often:
                continue
            if level == DIFFERS:
                self._bits[level] = min(0.0, log2(often * total / max(differing, 1)))
            else:
                count = self.counts.get(level, 0) + by_chance
                count += VARIANTS.get(level, 0) * self.counts.get(EXACT, 0)
                self._bits[level] = log2(often * total / count)
        if part_cap is not None and PART in self._bits:
            self._bits[PART] = min(self._bits[PART], part_cap)
        return self

    def level(self, key: str) -> str:
        return self.of.get(key, DIFFERS)

    def bits(self, level: str) -> float:
        return self._bits.get(level, 0.0)

    def keys(self, *levels: str) -> list[str]:
        return [key for key, level in self.of.items() if level in levels]


class Vocabulary:
    """Distinct names (labs.matching.reading.plain) and how many animals bear each. `put` keeps it
    in step, a count of zero takes a name out."""

    def __init__(self, counts: Mapping[str, int] | None = None) -> None:
        self.counts: dict[str, int] = {}
        self.total = 0
        self._lock = threading.RLock()  # a web server's threads share it
        # Without spaces -> as they are kept. No sets: where there are more names than can be looked
        # at, it would be others in every process.
        self._keys: dict[str, dict[str, None]] = {}
        self._letters = Letters()  # of those without spaces
        self._words: dict[str, dict[str, None]] = {}
        self._sorted: list[str] | None = None
        self._sorted_words: list[str] | None = None
        for key, count in (counts or {}).items():
            self.put(key, count)

    def __len__(self) -> int:
        return len(self.counts)

    def put(self, key: str, count: int) -> None:
        if not key:
            return
        with self._lock:
            before = self.counts.get(key, 0)
            self.total += count - before
            if count and not before:
                self._add(key)
            elif before and not count:
                self._remove(key)
            if count:
                self.counts[key] = count
            else:
                self.counts.pop(key, None)

    def _add(self, key: str) -> None:
        bare = key.replace(" ", "")
        if bare not in self._keys:
            self._letters.add(bare)
            self._sorted = None
        self._keys.setdefault(bare, {})[key] = None
        for word in words_of(key):
            if word not in self._words:
                self._sorted_words = None
            self._words.setdefault(word, {})[key] = None

    def _remove(self, key: str) -> None:
        bare = key.replace(" ", "")
        del self._keys[bare][key]
        if not self._keys[bare]:
            del self._keys[bare]
            self._letters.remove(bare)
            self._sorted = None
        for word in words_of(key):
            self._words[word].pop(key, None)

    def with_word(self, beginning: str) -> list[str]:
        """Names of several words one of which begins so."""
        with self._lock:
            if self._sorted_words is None:
                self._sorted_words = sorted(self._words)
            found: dict[str, None] = {}
            for word in beginning_with(self._sorted_words, beginning):
                found |= self._words[word]
            return list(found)

    def beginning_nearly(self, typed: str) -> list[str]:
        """Names that begin with `typed` but for a wrong letter or two, the nearest first: for who
        is still typing."""
        bare = typed.replace(" ", "")
        most = edits(len(bare))
        if not most:
            return []
        nearest: dict[str, float] = {}
        with self._lock:
            # A letter too many or too few makes the beginning that was meant shorter or longer.
            # Of a short one, a letter less would make nearly every name fit.
            shorter = (len(bare) - 1,) if len(bare) > 4 else ()
            perhaps = list(self._letters.at(self._letters.lacking(bare, most)[most]))
            for length in (len(bare), len(bare) + 1, *shorter):
                beginnings: dict[str, list[str]] = {}
                for other in perhaps:
                    if len(other) >= length:
                        beginnings.setdefault(other[:length], []).append(other)
                for found, distance, _ in process.extract(
                    bare, beginnings.keys(), scorer=OSA.distance, score_cutoff=most, limit=None
                ):
                    for other in beginnings[found]:
                        for key in self._keys[other]:
                            nearest[key] = min(distance, nearest.get(key, distance))
            return sorted(nearest, key=lambda key: (nearest[key], -self.counts[key]))

    def classify(self, typed: str, *, weak: bool = True, cut_from: int = 3) -> Levels:
        """`typed` as plain text. `weak`: also what is only alike, which costs as much again.
        `cut_from`: letters from which the beginning of a name may stand for it."""
        with self._lock:
            return self._classify(typed, weak, cut_from)

    def _classify(self, typed: str, weak: bool, cut_from: int) -> Levels:
        bare = typed.replace(" ", "")
        found: dict[str, str] = {}

        def take(bares: Iterable[str], level: str) -> None:
            for other in bares:
                for key in self._keys.get(other, ()):
                    found.setdefault(key, level)

        if bare and self.counts:
            take([bare], EXACT)
            for word in dict.fromkeys((typed, *words_of(typed))):
                for key in self._words.get(word, ()):
                    found.setdefault(key, PART)
            if " " in typed:
                take((word for word in words_of(typed) if len(word) > 2), PART)
            take(self._near(bare), NEAR)
            take(self._cut(bare, cut_from), CUT)
            take(sorted(nicknames.of(typed)), NICKNAME)
            for stem in sorted(nicknames.stems(bare)):
                take(self._beginning(stem), NICKNAME)
            if weak:
                take(self._weak(bare), WEAK)
        counts: dict[str, int] = {}
        for key, level in found.items():
            counts[level] = counts.get(level, 0) + self.counts[key]
        return Levels(found, counts, self.total)

    def _near(self, bare: str) -> Iterator[str]:
        most = edits(len(bare))
        if not most:
            return
        # A wrong letter takes at most one of the typed ones away.
        lacking = self._letters.lacking(bare, most)
        for length in range(max(3, len(bare) - most), len(bare) + most + 1):
            # Of a short name and a long one the shorter says how much may be wrong.
            cutoff = min(most, edits(length))
            here = list(self._letters.at(lacking[cutoff] & self._letters.long(length)))
            for other, _, _ in process.extract(
                bare, here, scorer=OSA.distance, score_cutoff=cutoff, limit=None
            ):
                yield other

    def _cut(self, bare: str, cut_from: int) -> Iterator[str]:
        if len(bare) >= cut_from:
            yield from self._beginning(bare)
        for end in range(3, len(bare)):
            yield bare[:end]

    def _beginning(self, bare: str) -> Iterator[str]:
        if self._sorted is None:
            self._sorted = sorted(self._keys)
        yield from beginning_with(self._sorted, bare)

    def _weak(self, bare: str) -> Iterator[str]:
        if len(bare) < 4:
            return
        for other, _, _ in process.extract(
            bare,
            list(self._letters.at(self._perhaps_alike(bare))),
            scorer=JaroWinkler.similarity,
            score_cutoff=WEAK_LIKENESS,
            limit=None,
        ):
            yield other

    def _perhaps_alike(self, bare: str) -> int:
        """Names that have enough of its letters to be alike."""
        size, letters = len(bare), self._letters
        same_start = letters.starting(bare[0])
        lacking = letters.lacking(bare, size)
        found = 0
        for length in letters.lengths():
            for prefix, start in ((4, same_start), (0, ~same_start)):
                common = least_common(size, length, WEAK_LIKENESS, prefix)
                if common <= min(size, length):
                    found |= lacking[size - common] & letters.long(length) & start
        return found


def beginning_with(ordered: list[str], text: str) -> Iterator[str]:
    start = bisect_left(ordered, text)
    while start < len(ordered) and ordered[start].startswith(text):
        yield ordered[start]
        start += 1


def words_of(key: str) -> list[str]:
    """The words of a name of several, those of at least three letters."""
    words = key.split()
    return [word for word in words if len(word) > 2] if len(words) > 1 else []


def surname_levels(levels: Levels, m: Mapping[str, float]) -> Levels:
    return levels.weigh(m, part_cap=SURNAME_PART_CAP)

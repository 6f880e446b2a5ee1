"""Seeded chance: one animal's values, steady from run to run, now and then outside the usual."""

from __future__ import annotations

import random
from decimal import Decimal

ABNORMAL = 0.12


class Draw:
    """The chance of one test run.

    `animal` fixes where in the usual range this animal is at home, `run` all that varies from run
    to run: the same pair always gives the same values, in whatever order threads happen to work.
    """

    def __init__(self, *, seed: int, animal: str, run: str) -> None:
        self._home = f"{seed}|{animal}"
        self.chance = random.Random(f"{seed}|{run}")  # noqa: S311 - believable, not secret

    def number(
        self, code: str, low: Decimal, high: Decimal, decimals: int, abnormal: float = ABNORMAL
    ) -> Decimal:
        """A value mostly within low and high, with a fixed number of decimals."""
        chance = self.chance
        home = random.Random(f"{self._home}|{code}").gauss(0, 1)  # noqa: S311
        place = max(-2.6, min(2.6, 0.8 * home + 0.6 * chance.gauss(0, 1)))
        bottom, top = float(low), float(high)
        value = (bottom + top) / 2 + place * (top - bottom) / 6
        if chance.random() < abnormal:
            value = self._outside(bottom, top)
        return fixed(Decimal(value), decimals)

    def _outside(self, bottom: float, top: float) -> float:
        chance = self.chance
        severe = chance.random() < 0.3
        if chance.random() < 0.6 or bottom == 0:
            return top + (top - bottom) * (
                chance.uniform(0.8, 1.6) if severe else chance.uniform(0.03, 0.5)
            )
        if bottom < 0:
            return bottom - (top - bottom) * chance.uniform(0.1, 0.8)
        # Below, but never under zero; what the body holds in a narrow range moves by that range.
        step = (top - bottom) * (chance.uniform(0.6, 1.0) if severe else chance.uniform(0.03, 0.4))
        return max(bottom - step, bottom * chance.uniform(0.1, 0.3))

    def often(self, probability: float) -> bool:
        """True with this probability."""
        return self.chance.random() < probability


def fixed(value: Decimal, decimals: int) -> Decimal:
    """`value` with exactly so many digits after the point."""
    return value.quantize(Decimal(1).scaleb(-decimals))

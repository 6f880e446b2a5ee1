"""What an analyzer would have delivered: the simulator's bodies, with a story's values in them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from integrations.heska.simulator import bodies
from integrations.heska.simulator.catalogue import TESTS
from integrations.heska.simulator.draw import Draw, fixed
from integrations.heska.wire.tables import SPECIES_OUT

Json = dict[str, Any]
SEED = 20
RARELY = 0.03
NAMESPACE = uuid.UUID("6f0c9a52-3a4d-5d0e-9a53-2d1c1b6e4c11")


class StoryDraw(Draw):
    """Chance, but for the analytes that the story tells; other rows are seldom out of range."""

    def __init__(self, *, animal: str, run: str, told: Mapping[str, float]) -> None:
        super().__init__(seed=SEED, animal=animal, run=run)
        self._told = told

    def number(
        self,
        code: str,
        low: Decimal,
        high: Decimal,
        decimals: int,
        abnormal: float = RARELY,
    ) -> Decimal:
        if code in self._told:
            return fixed(Decimal(str(self._told[code])), decimals)
        return super().number(code, low, high, decimals, abnormal)

    def often(self, probability: float) -> bool:
        """A story's point must not fall to `*****` or to a flag that was left out."""
        return not self._told and super().often(probability)


def test_block(
    *,
    code: str,
    species: str,
    clinic_id: str,
    external_id: str,
    run_at: datetime,
    animal: str,
    told: Mapping[str, float],
    ordered: Json | None = None,
    sequence: int = 1,
) -> Json:
    """One finished run. `species` is ours; `told` are values by analyte code; `ordered` is the
    order's own entry for the test, None where nobody ordered it."""
    test = TESTS[code]
    return bodies.test_block(
        test=test,
        species=SPECIES_OUT[species],
        draw=StoryDraw(animal=animal, run=f"{external_id}|{code}", told=told),
        clinic_id=clinic_id,
        ident=bodies.run_id(test, external_id, sequence, run_at),
        run_at=run_at.isoformat(timespec="seconds"),
        ordered=ordered,
    )


def message(
    *,
    external_id: str,
    version: int,
    status: str,
    clinic_id: str,
    reported_at: datetime,
    people: Json,
    tests: list[Json],
    lab_report_id: str | None = None,
) -> Json:
    """Deterministic but for the moment: the same story gives the same message ids."""
    names = "|".join(str(test.get("TestRequestId") or test["TestName"]) for test in tests)
    ident = uuid.uuid5(NAMESPACE, f"{clinic_id}|{external_id}|{version}|{names}")
    return bodies.message(
        message_id=str(ident),
        lab_report_id=lab_report_id,
        heska_report_id=external_id,
        version=version,
        status=status,
        clinic_id=clinic_id,
        reported_at=reported_at,
        people=people,
        tests=tests,
    )

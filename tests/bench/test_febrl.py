"""A sanity check against errors that nobody of this project made up: FEBRL's records of people."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from bench.matching import febrl

ROOT = Path(__file__).resolve().parents[2]
# 96.7 and 97.3 were measured, with neither visit nor sex nor weight to go by.
RECORDS, FLOOR_TOP1, FLOOR_TOP3 = 300, 94, 95


def test_of_febrls_people_the_right_one_stands_on_top() -> None:
    assert febrl.folder(), "sh deploy/setup.sh dev installs the files (requirements-data.txt)"
    kept = {key: os.environ[key] for key in ("PATH", "HOME", "LANG", "TMPDIR") if key in os.environ}
    done = subprocess.run(
        [sys.executable, "-m", "bench.matching.febrl", "--records", str(RECORDS)],
        cwd=ROOT,
        env=kept | {"PYTHONPATH": os.environ.get("PYTHONPATH", "")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert found["cases"] == RECORDS
    assert found["top1"] >= FLOOR_TOP1
    assert found["top3"] >= FLOOR_TOP3
    assert found["with_id"]["top1"] >= 99
    assert found["certain"] > RECORDS / 2
    assert found["certain_wrong"] == 0

"""Each import rule of pyproject.toml is seen to fail: one that cannot guards nothing."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONTRACTS = [
    contract["name"]
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
        "contracts"
    ]
]

# For each contract a module that breaks it, or lines added to one that is there.
VIOLATIONS = {
    "Layers of labs": ("labs/values.py", "import labs.services.orders.ordering"),
    "Nobody imports the wiring": ("labs/services/bad_wiring.py", "import pims.log"),
    "labs knows no vendor, no HTTP client, no Celery": (
        "labs/services/bad_vendor.py",
        "import integrations.heska.client",
    ),
    "Vendors never import each other": (
        "integrations/other/__init__.py",
        "import integrations.heska.client",
    ),
    "wire is pure": ("integrations/heska/wire/bad.py", "import django.db"),
    "client knows no rows": ("integrations/heska/client.py", "import labs.models"),
    "Only client and simulator speak HTTP": ("integrations/heska/bad_http.py", "import requests"),
    "DRF only at the doors": ("labs/views/bad_drf.py", "import rest_framework"),
    "Only the report and the tube labels draw PDF": (
        "labs/services/bad_pdf.py",
        "import reportlab",
    ),
    "Celery only in the wiring and the tasks": ("labs/services/bad_task.py", "import celery"),
    "Tasks call services and nothing else": ("integrations/heska/tasks.py", "import labs.models"),
    "The simulator knows nothing of the application": (
        "integrations/heska/simulator/bad.py",
        "import labs.models",
    ),
}


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Contract -> verdict, of one run over a copy of the tree with every violation in it."""
    copy = tmp_path_factory.mktemp("tree")
    for package in ("labs", "integrations", "pims"):
        shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("*.pyc"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    for path, line in VIOLATIONS.values():
        (copy / path).parent.mkdir(exist_ok=True)
        with (copy / path).open("a") as module:
            module.write(f"\n{line}\n")
    command = (
        "import sys; from importlinter.cli import lint_imports_command as run; sys.exit(run())"
    )
    result = subprocess.run(
        [sys.executable, "-c", command, "--no-cache"],
        cwd=copy,
        env={"PYTHONPATH": str(copy), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 1, result.stdout + result.stderr
    return dict(re.findall(r"^(.+) (KEPT|BROKEN)\b", result.stdout, re.MULTILINE))


def test_every_contract_has_a_violation() -> None:
    assert list(VIOLATIONS) == CONTRACTS


@pytest.mark.parametrize("contract", CONTRACTS)
def test_contract_breaks(contract: str, verdicts: dict[str, str]) -> None:
    assert verdicts[contract] == "BROKEN"

"""What every test may use. Says what to do where the suite cannot run at all."""

from __future__ import annotations

import pytest

try:
    import django  # noqa: F401
    import pytest_django  # noqa: F401
except ImportError as error:
    raise pytest.UsageError(
        f"{error}. This is not the project's own Python. "
        "`make test` sets it up; after that `.venv/bin/pytest` works too."
    ) from None

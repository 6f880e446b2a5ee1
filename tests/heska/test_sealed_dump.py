"""A dump of the database holds no secret in clear, and can be loaded again."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

from integrations.heska.connections import connect
from integrations.heska.models import Connection
from tests import factories

pytestmark = pytest.mark.django_db


def test_a_dump_stays_sealed_and_can_be_loaded(tmp_path: Path) -> None:
    clinic = factories.make_clinic()
    connect(acting_user=None, clinic=clinic, client_id="id", client_secret="a secret of Heska's")
    out = StringIO()
    call_command("dumpdata", "heska.connection", stdout=out)
    assert "a secret of" not in out.getvalue()
    Connection.objects.all().delete()
    file = tmp_path / "dump.json"
    file.write_text(out.getvalue())
    call_command("loaddata", str(file), verbosity=0)
    assert Connection.objects.get().client_secret == "a secret of Heska's"

from __future__ import annotations

from typing import Any

from django.conf import settings

from integrations.heska.demo import files
from integrations.heska.demo.seed import seed
from labs.management import base


class Command(base.LabCommand):
    help = (
        "Fill in the demo clinics, once. Run again it only keeps them recent. Logins and secrets "
        "are made for this installation alone and lie in VAR_DIR/demo."
    )

    def run(self, options: dict[str, Any]) -> dict[str, Any]:
        if settings.PRODUCTION and not settings.HESKA_ALLOW_INSECURE:
            raise base.Error(
                "This is a production installation; two demo clinics with logins do not belong "
                "into it. `make run` has a database of its own for the demo."
            )
        return {"seeded": seed(), "files": str(files.folder())}

    def text(self, answer: dict[str, Any]) -> str:
        done = "The demo is filled in" if answer["seeded"] else "The demo is there already"
        return f"{done}; see {answer['files']}/logins.json."

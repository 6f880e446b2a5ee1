from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import CommandParser

from labs.management import base
from labs.services.people import letters, second_factor


class Command(base.LabCommand):
    help = (
        "Take a person's lost second factor and backup codes away, and tell them by mail. Their "
        "sessions end; administrators set up a new one at the next sign-in."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--username", required=True)

    def run(self, options: dict[str, Any]) -> dict[str, Any]:
        user = User.objects.filter(username=options["username"]).first()
        if user is None:
            raise base.Error(f"Nobody is called “{options['username']}”.")
        had = second_factor.of(user) is not None
        letter = second_factor.reset_by_operator(user)
        told = had and bool(letter.to) and letters.post(letter)
        return {"username": user.username, "had_one": had, "told_by_mail": told}

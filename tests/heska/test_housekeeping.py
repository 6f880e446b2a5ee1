from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, get_application_model

from pims.celery_settings import settings as celery_settings
from pims.tasks import forget_expired_tokens

pytestmark = pytest.mark.django_db


def test_expired_tokens_are_forgotten_and_live_ones_are_not() -> None:
    application = get_application_model().objects.create(
        client_type="confidential", authorization_grant_type="client-credentials"
    )
    for token, minutes in (("old", -1), ("live", 59)):
        get_access_token_model().objects.create(
            application=application,
            token=token,
            expires=timezone.now() + timedelta(minutes=minutes),
            scope="results:write",
        )
    forget_expired_tokens()
    (left,) = get_access_token_model().objects.all()
    assert left.expires > timezone.now()


def test_it_is_on_the_schedule() -> None:
    tasks = {entry["task"] for entry in celery_settings["beat_schedule"].values()}
    assert "pims.tasks.forget_expired_tokens" in tasks

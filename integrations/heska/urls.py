"""Every address with and without its slash and with no redirect: one would lose the POST's body."""

from __future__ import annotations

from django.urls import path
from django.views.decorators.http import require_POST

from integrations.heska import views

app_name = "heska"
result = require_POST(views.ResultView.as_view())
unmatched = require_POST(views.UnmatchedView.as_view())

urlpatterns = [
    path("oauth/token", views.token, name="token"),
    path("oauth/token/", views.token),
    path("labresults/<str:key>", result, name="result"),
    path("labresults/<str:key>/", result),
    path("unmatchedlabresults/<str:clinic_id>", unmatched, name="unmatched"),
    path("unmatchedlabresults/<str:clinic_id>/", unmatched),
]

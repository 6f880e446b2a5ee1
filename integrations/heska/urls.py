"""Every address with and without its slash and with no redirect: one would lose the POST's body."""

from __future__ import annotations

from django.urls import path

from integrations.heska import views

app_name = "heska"

urlpatterns = [
    path("oauth/token", views.token, name="token"),
    path("oauth/token/", views.token),
    path("labresults/<str:key>", views.ResultView.as_view(), name="result"),
    path("labresults/<str:key>/", views.ResultView.as_view()),
    path(
        "unmatchedlabresults/<str:clinic_id>",
        views.UnmatchedView.as_view(),
        name="unmatched",
    ),
    path("unmatchedlabresults/<str:clinic_id>/", views.UnmatchedView.as_view()),
]

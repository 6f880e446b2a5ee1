"""Pages for a clinic's administrators. Each names its clinic: a page that was left open must not
act on the clinic to which one has switched since."""

from __future__ import annotations

from django.urls import path

from integrations.heska import pages

app_name = "heska_pages"

urlpatterns = [
    path("<slug:clinic>/", pages.page, name="health"),
    path("<slug:clinic>/credentials/", pages.credentials, name="credentials"),
    path("<slug:clinic>/test/", pages.test, name="test"),
    path("<slug:clinic>/test-order/", pages.test_order, name="test_order"),
    path("<slug:clinic>/address/", pages.address, name="address"),
    path("<slug:clinic>/hours/", pages.hours, name="hours"),
    path("<slug:clinic>/clients/", pages.make_client, name="make_client"),
    path("<slug:clinic>/clients/<str:client_id>/revoke/", pages.revoke_client, name="revoke"),
    path("<slug:clinic>/missing.csv", pages.missing_csv, name="missing"),
]

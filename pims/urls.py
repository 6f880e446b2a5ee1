from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from pims import health

urlpatterns = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("admin/", admin.site.urls),
    path("api/", include("integrations.heska.urls")),
    path("heska/", include("integrations.heska.page_urls")),
    path("", include("labs.urls")),
]

handler400 = "pims.problems.bad_request"
handler403 = "pims.problems.permission_denied"
handler404 = "pims.problems.not_found"
handler500 = "pims.problems.server_error"

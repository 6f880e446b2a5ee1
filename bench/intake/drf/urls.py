from __future__ import annotations

import os

from django.urls import path

from bench.intake.drf.views import BulkResultView, ResultView

view = BulkResultView if os.environ["BENCH_STORE"] == "bulk" else ResultView
urlpatterns = [path("api/labresults/<str:key>", view.as_view())]

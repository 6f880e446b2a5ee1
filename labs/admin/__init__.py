"""The Django admin: for a clinic's administrators, and for the operator (a superuser)."""

from __future__ import annotations

from django.contrib import admin

from labs.admin import catalogue, clinics, history, patients, people, unmatched

__all__ = ["catalogue", "clinics", "history", "patients", "people", "unmatched"]

admin.site.site_header = "Laboratory"
admin.site.site_title = "Laboratory"
admin.site.index_title = "Administration"
admin.site.empty_value_display = "not given"

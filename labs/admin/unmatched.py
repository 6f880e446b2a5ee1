"""The queue of unmatched results. A row leads to the matching screen, as on the staff site."""

from __future__ import annotations

from functools import wraps
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth.views import redirect_to_login
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django_htmx.http import HttpResponseClientRedirect

from labs.admin.scope import ReadOnlyAdmin
from labs.models import UnmatchedResult, UnmatchedState
from labs.queries.words import duration
from labs.views.match_page import ADMIN
from labs.views.matching import patterns


class StateFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [*UnmatchedState.choices, ("all", "All")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() in UnmatchedState.values:
            return queryset.filter(state=self.value())
        if self.value() == "all":
            return queryset
        return queryset.filter(state__in=[UnmatchedState.OPEN, UnmatchedState.HELD])

    def choices(self, changelist: Any) -> Any:
        first, *others = super().choices(changelist)
        return [{**first, "display": "Waiting"}, *others]


class Queue(ChangeList):
    def url_for_result(self, result: Any) -> str:
        return ADMIN.url("match", result)


@admin.register(UnmatchedResult)
class UnmatchedResultAdmin(ReadOnlyAdmin):
    right = "match"
    list_display = ("typed_name", "typed_owner", "tests", "reason", "state", "waiting", "clinic")
    list_select_related = ("clinic",)
    list_filter = (StateFilter, "reason")
    search_fields = (
        "typed__patient_name__icontains",
        "typed__owner_last_name__icontains",
        "external_id",
        "message_id",
    )
    search_help_text = "Name or owner as typed, the laboratory's report id or message id"

    @admin.display(description="Name as typed")
    def typed_name(self, obj: UnmatchedResult) -> str:
        return obj.typed.get("patient_name") or "no name typed"

    @admin.display(description="Owner as typed", empty_value="")
    def typed_owner(self, obj: UnmatchedResult) -> str:
        return obj.typed.get("owner_last_name") or ""

    @admin.display(description="Tests", empty_value="")
    def tests(self, obj: UnmatchedResult) -> str:
        return ", ".join(str(run) for run in obj.runs.all())

    @admin.display(description="Received", ordering="created_at")
    def waiting(self, obj: UnmatchedResult) -> str:
        return f"{duration(timezone.now() - obj.created_at)} ago"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).prefetch_related("runs")

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        return super().changelist_view(request, {"title": "Unmatched results"})

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return Queue

    def get_urls(self) -> list[Any]:
        return [*patterns(ADMIN, self._own_door), *super().get_urls()]

    def _own_door(self, view: Any) -> Any:
        """As `admin_view`; but a part of a page that is asked for after the session has ended, such
        as the hits of a search, is not replaced by the sign-in form: the whole page goes there."""
        inner = self.admin_site.admin_view(view)

        @wraps(view)
        def wrapper(request: Any, *args: Any, **kwargs: Any) -> HttpResponse:
            if request.htmx and not self.admin_site.has_permission(request):
                page = request.htmx.current_url_abs_path or reverse("admin:index")
                login = redirect_to_login(page, reverse("admin:login"))
                return HttpResponseClientRedirect(login.url)
            answer: HttpResponse = inner(request, *args, **kwargs)
            return answer

        return wrapper

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        row = self.get_object(request, object_id)
        if row is None:
            raise Http404
        return HttpResponseRedirect(ADMIN.url("match", row))

"""Heska in the admin: who is connected, and taking a client's way in away. No secret is shown."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from oauth2_provider.models import (
    get_access_token_model,
    get_application_model,
    get_grant_model,
    get_id_token_model,
    get_refresh_token_model,
)

from integrations.heska.models import Connection, InboundClient
from integrations.heska.revocation import revoke
from labs.admin.scope import ReadOnlyAdmin

# django-oauth-toolkit brings pages of its own that show hashes and make clients without a clinic.
OAUTH_MODELS: tuple[type[Model], ...] = (
    get_access_token_model(),
    get_application_model(),
    get_grant_model(),
    get_id_token_model(),
    get_refresh_token_model(),
)
for model in OAUTH_MODELS:
    if admin.site.is_registered(model):
        admin.site.unregister(model)


@admin.register(Connection)
class ConnectionAdmin(ReadOnlyAdmin):
    viewed = ""
    list_display = ("clinic", "client_id", "refused_at", "updated_at")
    list_select_related = ("clinic",)
    search_fields = ("client_id",)
    exclude = ("client_secret", "token", "token_lease", "held_with")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("client_secret", "token")


@admin.register(InboundClient)
class InboundClientAdmin(ReadOnlyAdmin):
    viewed = ""
    list_display = ("client_id", "clinic", "created_at")
    list_select_related = ("application", "clinic")
    search_fields = ("application__client_id",)
    fields = ("client_id", "clinic", "created_at")
    readonly_fields = ("client_id",)
    actions = ("revoke",)

    @admin.display(description="Client id")
    def client_id(self, obj: InboundClient) -> str:
        client_id: str = obj.application.client_id
        return client_id

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    @admin.action(description="Revoke: Heska can't post with it any more", permissions=["revoke"])
    def revoke(self, request: Any, queryset: QuerySet[InboundClient]) -> HttpResponse | None:
        chosen = list(queryset.select_related("application", "clinic"))
        if "confirmed" not in request.POST:
            context = {
                **self.admin_site.each_context(request),
                "title": "Revoke?",
                "opts": self.opts,
                "chosen": chosen,
            }
            return TemplateResponse(request, "admin/heska/revoke.html", context)
        for inbound in chosen:
            revoke(acting_user=request.user, inbound=inbound)
        count = len(chosen)
        self.message_user(
            request, f"{count} client{'' if count == 1 else 's'} revoked.", messages.SUCCESS
        )
        return None

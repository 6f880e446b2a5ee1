"""The Django admin's own site: one door, and nothing that looks past whose rows are whose."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.http import urlencode
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from labs.address import client_address
from labs.services.people import guessing, signing_in
from labs.views import devices


class LabAdminSite(AdminSite):
    # An address that is none of ours answers like one of the staff site.
    final_catch_all_view = False

    @method_decorator(require_GET)
    def login(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Signing in is the staff site's, with its lock-out. Whoever is signed in already has
        no right to the page, and is told so."""
        if request.user.is_authenticated:
            return redirect("labs:worklist")
        after = request.GET.get("next") or reverse("admin:index")
        return redirect(f"{reverse('labs:login')}?{urlencode({'next': after})}")

    @method_decorator(require_POST)
    def logout(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        return super().logout(request, extra_context)

    def password_change(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Django's page, on record. The old password is not tried out here either."""
        turn = guessing.Turn()
        name = request.user.get_username()
        if request.method == "POST":
            device = devices.known(request, name)
            turn = guessing.turn(name, address=client_address(request), device=device)
        if turn.wait:
            raise PermissionDenied(f"Too many wrong tries. Wait {turn.wait} s, then try again.")
        with transaction.atomic():
            response = super().password_change(request, extra_context)
            if response.status_code == 302:
                signing_in.password_changed(request.user)
                guessing.right(turn)
        return response

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        """Only by the methods that pages use: Django would answer the others like a GET."""
        return require_http_methods(["GET", "POST"])(super().admin_view(view, cacheable))

    def get_urls(self) -> list[Any]:
        """Without "view on site", which loads a row of any model for anybody who may enter here."""
        urls = super().get_urls()
        return [each for each in urls if getattr(each, "name", "") != "view_on_site"]

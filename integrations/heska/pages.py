"""The set-up and health page of a clinic, for its administrators. Views only read and render;
services write."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, cast

from django.contrib import messages as notices
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from integrations.heska import connections, missing, reach, rehearsal, revocation
from integrations.heska import credentials as pair
from integrations.heska.ailments import OLD
from integrations.heska.conf import VENDOR
from integrations.heska.forms import CredentialsForm, HoursForm, TestOrderForm
from integrations.heska.health import health
from integrations.heska.models import InboundClient
from labs import vendors
from labs.errors import LabError
from labs.models import Clinic
from labs.services.clinics import set_opening_hours
from labs.services.events import record
from labs.views.access import StaffRequest, load, right_required, staff_required
from labs.views.attachments import safe

P = ParamSpec("P")
ONLY_ADMINISTRATORS = (
    "Only an administrator of the clinic may see and change how it is connected to Heska. Ask one "
    "if results don't come."
)


def administrators(
    view: Callable[Concatenate[StaffRequest, P], HttpResponse],
) -> Callable[..., HttpResponse]:
    """For administrators of the clinic that the address names; another clinic is missing like one
    that never was (I3). Nothing of it is kept by a browser or a proxy."""

    @wraps(view)
    def wrapper(request: StaffRequest, clinic: str, *args: P.args, **kwargs: P.kwargs) -> Any:
        load(request, Clinic.objects.for_user(request.user), public_id=clinic)
        right_required(request, "administer", ONLY_ADMINISTRATORS)
        return view(request, *args, **kwargs)

    return never_cache(staff_required(cast("Any", wrapper)))


@require_GET
@administrators
def page(request: StaffRequest) -> HttpResponse:
    return _page(request)


@require_POST
@administrators
def credentials(request: StaffRequest) -> HttpResponse:
    form = CredentialsForm(request.POST)
    if not form.is_valid():
        return _page(request, form=form)
    try:
        asked = pair.enter(
            acting_user=request.user,
            clinic=request.clinic,
            **{name: form.cleaned_data[name] for name in ("client_id", "client_secret")},
            untested=form.cleaned_data["untested"],
        )
    except LabError as error:
        form.add_error(None, error.message)
        return _page(request, form=form)
    if asked.ok:
        notices.success(request, "Stored. Heska gave a token for it; orders are sent with it now.")
    elif asked.stored:
        notices.warning(request, f"Stored without a test. {asked.said}{_words(asked.words)}")
    else:
        form.add_error(None, _not_stored(asked))
        return _page(request, form=form)
    return _back(request)


def _not_stored(asked: pair.Asked) -> str:
    said = f"{asked.said}{_words(asked.words)}"
    if asked.refused:
        return f"Nothing was changed: Heska refuses this pair.{_words(asked.words)}"
    return f"Nothing was changed: this pair could not be tested. {said}"


@require_POST
@administrators
def test(request: StaffRequest) -> HttpResponse:
    try:
        asked = pair.test(acting_user=request.user, clinic=request.clinic)
    except LabError as error:
        notices.error(request, error.message)
        return _back(request)
    for each in asked:
        with_key = f"With {each.key}: " if each.key else ""
        said = f"{with_key}{each.said}{_words(each.words)}"
        took = f" It took {each.milliseconds} ms, at {timezone.localtime():%H:%M:%S}."
        (notices.success if each.ok else notices.error)(request, said + took)
    return _back(request)


@require_POST
@administrators
def test_order(request: StaffRequest) -> HttpResponse:
    form = TestOrderForm(request.POST, clinic=request.clinic)
    if not form.is_valid():
        return _page(request, ordering=form)
    try:
        sent = rehearsal.order(
            acting_user=request.user, clinic=request.clinic, panel=form.cleaned_data["panel"]
        )
    except LabError as error:
        notices.error(request, error.message)
    else:
        notices.success(request, f"The test order {sent} is on its way. Its page says where it is.")
    return _back(request)


@require_POST
@administrators
def address(request: StaffRequest) -> HttpResponse:
    found = reach.look(acting_user=request.user, clinic=request.clinic)
    for problem in found.problems:
        notices.error(request, problem)
    if found.ok:
        notices.success(
            request,
            f"{found.url} leads to {', '.join(found.addresses)}, and this installation answers "
            f"there, within {found.milliseconds} ms. Asked from here: a firewall may still keep "
            "others out.",
        )
    return _back(request)


@require_POST
@administrators
def hours(request: StaffRequest) -> HttpResponse:
    form = HoursForm(request.POST, clinic=request.clinic)
    if not form.is_valid():
        return _page(request, hours=form)
    data = form.cleaned_data
    set_opening_hours(
        acting_user=request.user,
        clinic=request.clinic,
        days=[int(day) for day in data["days"]],
        opens=data["opens"],
        closes=data["closes"],
        quiet_hours=data["quiet_hours"],
    )
    notices.success(request, "The opening hours were changed.")
    return _back(request)


@require_POST
@administrators
def make_client(request: StaffRequest) -> HttpResponse:
    """The one time that the secret is shown: in the answer itself, kept nowhere."""
    access = connections.create_client(acting_user=request.user, clinic=request.clinic)
    return _page(request, access=access)


@require_http_methods(["GET", "POST"])
@administrators
def revoke_client(request: StaffRequest, client_id: str) -> HttpResponse:
    inbound = load(
        request,
        InboundClient.objects.for_user(request.user)
        .filter(clinic=request.clinic)
        .select_related("application", "clinic"),
        application__client_id=client_id,
    )
    if request.method == "GET":
        found = health(request.clinic)
        key = next(each for each in found.own_keys if each.client_id == client_id)
        last = len(found.keys) == 1
        return render(request, "heska/revoke.html", {"key": key, "last": last})
    revocation.revoke(acting_user=request.user, inbound=inbound)
    notices.success(request, f"{client_id} was revoked: nobody posts results with it any more.")
    return _back(request)


@require_GET
@administrators
def missing_csv(request: StaffRequest) -> HttpResponse:
    body = missing.as_csv(missing.never_came(request.clinic))
    record("request.missing_exported", clinic=request.clinic, acting_user=request.user)
    response = HttpResponse(body, content_type="text/csv; charset=utf-8")
    name = f"never-came-{request.clinic.public_id}-{timezone.localdate()}.csv"
    return safe(response, name, inline=False)


def _page(
    request: StaffRequest,
    *,
    form: CredentialsForm | None = None,
    hours: HoursForm | None = None,
    ordering: TestOrderForm | None = None,
    access: connections.Access | None = None,
) -> HttpResponse:
    found = health(request.clinic)
    context = {
        "health": found,
        "access": access,
        "form": form or CredentialsForm(),
        "hours": hours or HoursForm(clinic=request.clinic),
        "ordering": ordering or TestOrderForm(clinic=request.clinic),
        "test_order": rehearsal.latest(request.clinic),
        "test_name": rehearsal.NAME,
        "wrong": form is not None,
        "token_url": connections.token_url(),
        "unmatched_url": vendors.get(VENDOR).unmatched_endpoint(request.clinic),
        "missing_text": missing.as_text(found.missing),
        "old": OLD,
    }
    refused = any(each is not None for each in (form, hours, ordering))
    return render(request, "heska/health.html", context, status=422 if refused else 200)


def _back(request: StaffRequest) -> HttpResponse:
    return redirect("heska_pages:health", clinic=request.clinic.public_id)


def _words(words: str) -> str:
    return f" It says: “{words}”." if words else ""

from __future__ import annotations

import re
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from labs import vendors
from labs.models import Patient
from labs.queries import words
from labs.queries.overview.nav import Nav, Waiting, nav, waiting
from labs.views.access import who

NUMBER = re.compile(r"[<>=≤≥]* ?-?\d+(?:\.(\d+))?")
PLACES = {
    "worklist": {
        *("worklist", "request", "owner_report", "new_request", "emergency", "move_request"),
        *("alarms", "versions", "review_many"),
    },
    "unmatched": {"unmatched", "match", "match_new", "unmatched_history", "unmatched_quality"},
    "patients": {
        *("patients", "patient", "edit_patient", "new_patient", "trends"),
        *("merge_patient", "merge", "owner", "edit_owner", "litter", "owner_data"),
    },
    "messages": {"messages", "message"},
    "reconciliation": {"reconciliation"},  # the front desk has it in its navigation
}
ENVIRONMENTS = {
    "production": "Orders go to the laboratory.",
    "sandbox": "Orders go to the laboratory's test system, not to your analyzers.",
    "demo": "Orders go to a simulated laboratory; every patient and value is made up.",
}

register = template.Library()
GRAM = Decimal("0.001")
SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
SHAPES = {
    "low": "▼",
    "critlow": "◆▼",
    "high": "▲",
    "crithigh": "◆▲",
    "abnormal": "●",
    "unknown": "?",
}


@register.simple_tag
def lab_nav(request: Any) -> Nav | None:
    """The counts of the navigation; one statement, unless the view has them already. None where
    nobody is signed in to a clinic."""
    clinic = getattr(request, "clinic", None)
    if clinic is None:
        return None
    if getattr(request, "nav", None) is None:
        request.nav = nav(clinic, getattr(request, "user", None))
    counts: Nav = request.nav
    return counts


@register.simple_tag
def lab_form_key() -> SafeString:
    """A field that tells this form as it is shown now from all others: sent twice it acts once."""
    return format_html('<input type="hidden" name="form_key" value="{}">', uuid4())


@register.simple_tag
def lab_waiting(user: Any) -> Waiting | None:
    """The unmatched results of a person's clinics, for every page of the admin; one statement."""
    return waiting(user) if user.is_authenticated else None


@register.simple_tag
def lab_current(request: Any) -> str:
    """Which entry of the navigation the page belongs to."""
    name = request.resolver_match.url_name if request.resolver_match else ""
    if name == "nav":
        return str(request.GET.get("current", ""))
    if name == "worklist" and request.GET.get("show") == "attention":
        return "attention"
    return next((entry for entry, names in PLACES.items() if name in names), "")


@register.simple_tag
def lab_environment() -> dict[str, str]:
    """Which laboratory this installation speaks with, for every page. No statement."""
    name = vendors.default().environment
    return {"name": name, "says": ENVIRONMENTS.get(name, ENVIRONMENTS["sandbox"])}


@register.simple_tag
def lab_who(request: Any) -> str:
    """Who is signed in, as a page that stays open compares it. No statement."""
    return who(request)


@register.simple_tag
def lab_set_up(request: Any) -> str:
    """Where the clinic's administrators connect it to the laboratory. No statement."""
    return vendors.default().set_up_page(request.clinic)


@register.filter
def clock(at: datetime | None) -> SafeString | str:
    """A time in the clinic's zone, short, with the exact one behind it."""
    if at is None:
        return ""
    local = timezone.localtime(at)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        local.isoformat(timespec="seconds"),
        f"{local:%Y-%m-%d %H:%M:%S %Z}",
        words.clock(at),
    )


@register.filter
def day(at: date | datetime | None) -> str:
    """`21 Nov 2025`, without the year where it is this one."""
    if at is None:
        return ""
    on = timezone.localtime(at).date() if isinstance(at, datetime) else at
    return f"{on.day} {on:%b}" if on.year == timezone.localdate().year else f"{on.day} {on:%b %Y}"


@register.filter
def ago(at: datetime | None) -> str:
    """`26 min`, `3 h 05`, `2 days`."""
    return words.duration(timezone.now() - at) if at else ""


@register.filter
def age_of(patient: Patient) -> str:
    return patient.age_words(timezone.localdate())


@register.filter
def kg(value: Decimal | None) -> str:
    """`31.4`, to the gram at most."""
    return f"{value.quantize(GRAM).normalize():f}" if value is not None else ""


@register.filter
def unit(text: str) -> str:
    """`10^3/uL` as `10³/µL`; only the signs change, never the unit."""
    head, caret, tail = text.partition("^")
    if caret:
        digits = tail[: len(tail) - len(tail.lstrip("0123456789"))]
        text = head + digits.translate(SUPERSCRIPTS) + tail[len(digits) :]
    return text.replace("uL", "µL").replace("umol", "µmol").replace("ug/", "µg/")


@register.filter
def places(text: str) -> str:
    """A class, `d0` to `d3`, by which a column of numbers is set with the decimal points under each
    other; empty for what is no number."""
    found = NUMBER.fullmatch(text)
    return f"d{min(len(found[1] or ''), 3)}" if found else ""


@register.filter
def shape(name: str) -> str:
    """The sign before a flag's word."""
    return SHAPES.get(name, "")


@register.simple_tag(takes_context=True)
def query(context: Any, **changes: Any) -> str:
    """The page's own address with these parameters changed; an empty one is left out."""
    given = context["request"].GET.dict() | changes
    kept = {key: value for key, value in given.items() if value not in ("", None) and key != "v"}
    return f"?{urlencode(kept)}"
